//! From a whole text to its tree, by the events of pulldown-cmark. This is what a text means: whatever
//! is shown while it streams, in the end it is this.
//!
//! Beyond CommonMark and GitHub's extensions there are formulas in `\(…\)` and `\[…\]`, addresses that
//! are links by themselves, and a line break for `<br>`. Tight lists have paragraphs, too: whether a
//! list is loose is a mark on the list, so that its items need not change when that is decided late.
//!
//! A text may begin with a reopening prefix, a few lines that only reopen the blocks that are open there
//! (see `open.rs`), and end with a few characters that only complete it (see `predict.rs`). Neither is part
//! of the tree.

mod builder;

use pulldown_cmark::{BrokenLink, CowStr, OffsetIter, Options, Parser};
use std::borrow::Cow;
use std::ops::Range;

use self::builder::Builder;
use super::definitions::{Definition, Definitions, Label};
use super::depth::LEVELS;
use super::direction;
use super::formulas::{LineDollars, Pending};
use super::masks::{Masked, masked};
use super::node::Node;
use super::open::Open;
use super::parts::{self, PART};

/// What of a text is its own.
#[derive(Debug, Clone, Copy)]
pub struct Own {
    /// Where the lines before it end, in bytes.
    pub from: usize,
    /// Where the characters after it begin, in bytes.
    pub to: usize,
    /// How deep containers may nest in it, and marks within a block. Deeper ones are text.
    pub levels: usize,
    /// A paragraph that is longer than this, in bytes, is shown in parts.
    pub part: usize,
    /// How much of the paragraph, or of its part, that goes on where the lines before end is before that.
    pub before: usize,
    /// Whether it is a later part of a paragraph that goes on there.
    pub is_part: bool,
    /// The dollars of the line that continues at `from`, counted up to there.
    pub dollars: LineDollars,
}

impl Own {
    /// All of a text is its own.
    #[must_use]
    pub fn whole(text: &str) -> Self {
        Self {
            from: 0,
            to: text.len(),
            levels: LEVELS,
            part: PART,
            before: 0,
            is_part: false,
            dollars: LineDollars::default(),
        }
    }

    /// The same where this is open, and where a paragraph that is open has begun so many bytes before.
    pub(super) fn going_on(self, open: &[Open], before: usize) -> Self {
        match open.last() {
            Some(last @ (Open::Paragraph | Open::Part { .. })) => Self {
                before,
                is_part: *last != Open::Paragraph,
                ..self
            },
            _ => self,
        }
    }
}

/// What a text means.
#[derive(Debug, Default)]
pub struct Parsed {
    /// Its blocks.
    pub nodes: Vec<Node>,
    /// The links and footnotes that it defines, and from where on each definition is certain.
    pub defined: Vec<(Label, Definition, usize)>,
    /// The references that nothing defines, and where each is.
    pub missing: Vec<(Label, usize)>,
    /// The references that something defines, and where each is.
    pub used: Vec<(Label, usize)>,
    /// Whether an underline makes the paragraph a heading, of which a part was committed before.
    pub is_underlined: bool,
    /// Whether a paragraph was so long that it has parts.
    pub has_parts: bool,
    /// What the parser read, if that is not the text as it was written.
    pub(super) masked: Option<Masked>,
    /// How many events the parser gave: where a text has many of them for its length, they are the work.
    pub events: usize,
}

impl Parsed {
    /// The first display formula that is not closed.
    pub(super) fn pending(&self) -> Option<&Pending> {
        self.masked.as_ref()?.pending.as_ref()
    }
}

/// What the parser takes for white space within a line. CommonMark has only the first two.
pub(super) const WHITE_SPACE: [char; 4] = [' ', '\t', '\u{b}', '\u{c}'];

/// The extensions that are understood.
pub(super) fn options() -> Options {
    Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_MATH
}

/// Reads a whole text that needs nothing else.
#[must_use]
pub fn parse_whole(text: &str) -> Vec<Node> {
    parse(text, Own::whole(text), &Definitions::default()).nodes
}

/// Reads a text, or its end, among definitions that are before it.
#[must_use]
pub fn parse(text: &str, own: Own, known: &Definitions) -> Parsed {
    let text = &*with_line_feeds(text);
    let masked = masked(text, own);
    let read = masked.as_ref().map_or(text, |masked| masked.text.as_str());
    let mut builder = Builder::new(text, own);
    builder.masked = masked.as_ref();
    let (mut parsed, has_long) = build(read, builder, known);
    parsed.masked = masked;
    if has_long {
        parts::split(&mut parsed, text, own, known);
        parsed.has_parts = true;
    }
    direction::set(&mut parsed.nodes, own.to);
    parsed
}

/// The text with a line feed for each carriage return that is a line break of its own, so that everything behind
/// this knows one kind of line break, and the places stay.
pub(super) fn with_line_feeds(text: &str) -> Cow<'_, str> {
    if memchr::memchr(b'\r', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    let mut parts = text.split('\r').peekable();
    let mut changed = String::with_capacity(text.len());
    while let Some(part) = parts.next() {
        changed.push_str(part);
        if let Some(next) = parts.peek() {
            changed.push(if next.starts_with('\n') { '\r' } else { '\n' });
        }
    }
    Cow::Owned(changed)
}

/// What is asked for the address of a link that the text does not define.
type Resolve<'a> = Box<dyn FnMut(BrokenLink<'a>) -> Option<(CowStr<'a>, CowStr<'a>)> + 'a>;

/// The parser. There is one kind of it, so that its code is there once.
pub(super) fn parser<'a>(text: &'a str, resolve: Resolve<'a>) -> OffsetIter<'a, Resolve<'a>> {
    Parser::new_with_broken_link_callback(text, options(), Some(resolve)).into_offset_iter()
}

/// Reads `text`; the builder knows it as it was written. Also says whether there is a paragraph in it that has to be
/// shown in parts.
fn build(text: &str, mut builder: Builder<'_>, known: &Definitions) -> (Parsed, bool) {
    let own = builder.own;
    let (source, masked) = (builder.source, builder.masked);
    let written = |label: &str, range: Range<usize>| {
        let label = masked.map_or(Cow::Borrowed(label), |masked| {
            masked.unmasked(label, source, range)
        });
        Label::link(&label)
    };
    let mut parsed = Parsed::default();
    let missing = &mut parsed.missing;
    let resolve = |link: BrokenLink<'_>| {
        let label = written(&link.reference, link.span.clone());
        match known.link(&label) {
            Some(address) => Some((CowStr::from(address.to_owned()), CowStr::from(""))),
            None => {
                missing.push((label, link.span.start));
                None
            }
        }
    };
    let mut parser = parser(text, Box::new(resolve));
    if masked.is_some() {
        for (label, definition) in parser.reference_definitions().iter() {
            builder.note_address(label, &definition.dest, &definition.span);
        }
    }
    let mut events = 0;
    for (event, range) in parser.by_ref() {
        events += 1;
        builder.take(event, range);
    }
    for (label, definition) in parser.reference_definitions().iter() {
        // Those before the text's own beginning are known already.
        if definition.span.end > own.from {
            let address = builder.address(&definition.dest, &definition.span);
            let label = written(label, definition.span.clone());
            parsed
                .defined
                .push((label, Definition::Link(address), definition.span.end));
        }
    }
    let Builder {
        root,
        footnotes,
        unknown,
        used,
        is_underlined,
        has_long,
        ..
    } = builder;
    parsed.is_underlined = is_underlined;
    parsed.used = used;
    parsed.nodes = root;
    parsed.events = events;
    parsed.defined.extend(
        footnotes
            .into_iter()
            .map(|(label, at)| (Label::footnote(&label), Definition::Footnote(label), at)),
    );
    drop(parser);
    parsed.missing.extend(unknown);
    (parsed, has_long)
}

/// The labels in what would be references to footnotes if those were defined.
pub(super) fn footnote_labels(text: &str) -> impl Iterator<Item = &str> {
    // Most texts have no bracket, and to look for one byte costs least.
    let first = memchr::memchr(b'[', text.as_bytes());
    let parts = first.map(|first| text[first..].split("[^").skip(1));
    parts
        .into_iter()
        .flatten()
        .filter_map(|rest| rest.split_once(']').map(|(label, _)| label))
}
