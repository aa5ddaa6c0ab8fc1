//! From a whole text to its tree, by the events of pulldown-cmark. This is what a text means: whatever
//! is shown while it streams, in the end it is this.
//!
//! Beyond CommonMark and GitHub's extensions there are formulas in `\(…\)` and `\[…\]`, addresses that
//! are links by themselves, and a line break for `<br>`. Tight lists have paragraphs, too: whether a
//! list is loose is a mark on the list, so that its items need not change when that is decided late.
//!
//! A text may begin with a few lines that only reopen what is open there, its reopening prefix (see `open.rs`) and end with a few
//! characters that only complete it (see `predict.rs`). Neither is part of the tree.

use pulldown_cmark::{
    Alignment, BrokenLink, CodeBlockKind, CowStr, Event, LinkType, OffsetIter, Options, Parser,
    Tag, TagEnd,
};
use std::borrow::Cow;
use std::ops::Range;

use super::definitions::{Definition, Definitions, Label};
use super::depth::LEVELS;
use super::direction;
use super::formulas::Pending;
use super::link;
use super::masks::{Masked, masked};
use super::node::{Align, Direction, Kind, Node, Origin};
use super::open::Open;
use super::parts::{self, PART};

/// No language has a longer name.
const LONGEST_LANGUAGE: usize = 40;

/// In a table of more columns than this, a row is not filled up with the cells that it lacks.
const FILLED_COLUMNS: usize = 16;

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
    /// How much of the paragraph, or of its part, that goes on where the lines before end stands before that.
    pub before: usize,
    /// Whether it is a later part of a paragraph that goes on there.
    pub is_part: bool,
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
    /// The references that nothing defines, and where each stands.
    pub missing: Vec<(Label, usize)>,
    /// The references that something defines, and where each stands.
    pub used: Vec<(Label, usize)>,
    /// Whether an underline makes the paragraph a heading of which a part stands before.
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

/// Reads a text, or its end, among definitions that stand before it.
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
    let mut events = 0;
    for (event, range) in parser.by_ref() {
        events += 1;
        builder.take(event, range);
    }
    for (label, definition) in parser.reference_definitions().iter() {
        // Those before the text's own beginning are known already.
        if definition.span.end > own.from {
            let span = definition.span.clone();
            let label = written(label, span.clone());
            let address = masked.map_or(Cow::Borrowed(&*definition.dest), |masked| {
                masked.unmasked(&definition.dest, source, span)
            });
            let address = Definition::Link(address.into_owned());
            parsed.defined.push((label, address, definition.span.end));
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

struct Builder<'a> {
    source: &'a str,
    /// What the parser reads in its place, if that is something else.
    masked: Option<&'a Masked>,
    /// Whether a container may be open in which no letter has come.
    is_undirected: bool,
    /// Whether the heading that is open stands for a display formula.
    is_in_formula: bool,
    own: Own,
    /// What is shown as its source because it is too deep.
    too_deep: Option<TooDeep>,
    root: Vec<Node>,
    /// Whether an underline makes the paragraph a heading of which a part stands before.
    is_underlined: bool,
    /// Whether there is a paragraph that has to be shown in parts.
    has_long: bool,
    /// The nodes that are open, from the outside in.
    open: Vec<Node>,
    /// How the columns of the table that is open are aligned. A table holds no other.
    columns: Vec<Align>,
    /// The footnotes that are defined, and where.
    footnotes: Vec<(String, usize)>,
    /// Footnotes that are referred to, but nowhere defined.
    unknown: Vec<(Label, usize)>,
    /// References to what is defined.
    used: Vec<(Label, usize)>,
}

impl<'a> Builder<'a> {
    fn new(source: &'a str, own: Own) -> Self {
        Self {
            source,
            masked: None,
            is_undirected: false,
            is_in_formula: false,
            own,
            too_deep: None,
            root: Vec::new(),
            is_underlined: false,
            has_long: false,
            open: Vec::new(),
            columns: Vec::new(),
            footnotes: Vec::new(),
            unknown: Vec::new(),
            used: Vec::new(),
        }
    }

    fn take(&mut self, event: Event<'_>, range: Range<usize>) {
        if let Some(label) = self.label_of(&event, &range) {
            self.used.push((label, range.start));
        }
        if self.too_deep.is_some() {
            return self.pass(&event, &range);
        }
        if self.is_in_formula {
            self.is_in_formula = !matches!(event, Event::End(TagEnd::Heading(_)));
            return;
        }
        match event {
            Event::Start(tag) => self.start(tag, range),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => self.text(&text, range),
            Event::Html(text) => self.text(&text, range),
            Event::InlineHtml(html) if is_line_break(&html) => {
                self.leaf(Kind::Break, range);
            }
            Event::InlineHtml(html) => self.text(&html, range),
            // The line of a tag that breaks it ends there.
            Event::SoftBreak | Event::HardBreak if self.is_behind_break_tag(range.start) => {}
            Event::SoftBreak => self.text("\n", range),
            Event::HardBreak => self.leaf(Kind::Break, range),
            Event::Rule => {
                self.end_implied();
                self.add(Node::new(Kind::Rule, range.start, range.end));
            }
            Event::Code(code) => {
                self.begin_implied(range.start);
                let mut node = Node::new(Kind::Code, range.start, range.end);
                let code = self.unmasked(&code, range.clone()).into_owned();
                if range.start >= self.own.from {
                    self.note_direction(&code, range.start);
                }
                node.children.push(Node::new(
                    Kind::Text(code, Vec::new()),
                    range.start,
                    range.end,
                ));
                self.add(node);
            }
            Event::InlineMath(_) | Event::DisplayMath(_) => self.math(range),
            Event::FootnoteReference(label) => {
                let label = self.unmasked(&label, range.clone()).into_owned();
                self.leaf(Kind::FootnoteReference(label), range);
            }
            Event::TaskListMarker(is_done) => {
                if let Some(item) = self
                    .open
                    .iter_mut()
                    .rfind(|node| matches!(node.kind, Kind::Item(_)))
                {
                    item.kind = Kind::Item(Some(is_done));
                }
            }
        }
    }

    /// The label by which a reference finds its definition. Also a reference that is not shown has one: whether it is
    /// defined decides what the brackets around it mean.
    fn label_of(&self, event: &Event<'_>, range: &Range<usize>) -> Option<Label> {
        match event {
            Event::Start(Tag::Link { link_type, id, .. } | Tag::Image { link_type, id, .. }) => {
                let is_reference = matches!(
                    link_type,
                    LinkType::Reference
                        | LinkType::ReferenceUnknown
                        | LinkType::Collapsed
                        | LinkType::CollapsedUnknown
                        | LinkType::Shortcut
                        | LinkType::ShortcutUnknown
                );
                is_reference.then(|| Label::link(&self.unmasked(id, range.clone())))
            }
            Event::FootnoteReference(label) => {
                Some(Label::footnote(&self.unmasked(label, range.clone())))
            }
            _ => None,
        }
    }

    fn start(&mut self, tag: Tag<'_>, range: Range<usize>) {
        let kind = match tag {
            Tag::Paragraph => {
                self.mark_loose();
                Kind::Paragraph
            }
            Tag::Heading { .. } if self.begin_formula(&range) => return,
            Tag::Heading { level, .. } => Kind::Heading(level as u8),
            Tag::BlockQuote(_) => Kind::Quote(Direction::Unknown),
            Tag::CodeBlock(CodeBlockKind::Indented) => Kind::CodeBlock {
                language: String::new(),
                is_fenced: false,
            },
            Tag::CodeBlock(CodeBlockKind::Fenced(info)) => Kind::CodeBlock {
                language: language(&self.unmasked(&info, range.clone())),
                is_fenced: true,
            },
            Tag::HtmlBlock => Kind::Raw,
            Tag::List(first) => Kind::List {
                first,
                loose: false,
                has_text: false,
                direction: Direction::Unknown,
            },
            Tag::Item => Kind::Item(None),
            Tag::FootnoteDefinition(label) => {
                let label = self.unmasked(&label, range.clone()).into_owned();
                self.footnotes.push((label.clone(), range.start));
                Kind::Footnote(label)
            }
            Tag::Table(alignment) => {
                self.columns = alignment.into_iter().map(Align::from).collect();
                Kind::Table(Direction::Unknown)
            }
            Tag::TableHead => Kind::TableHead,
            Tag::TableRow => Kind::Row,
            Tag::TableCell => self.next_cell(),
            Tag::Emphasis => Kind::Emphasis,
            Tag::Strong => Kind::Strong,
            Tag::Strikethrough => Kind::Deleted,
            Tag::Link {
                link_type,
                dest_url,
                ..
            } => {
                let dest_url = self.address(&dest_url, &range);
                let is_mail = link_type == LinkType::Email
                    && !dest_url.to_ascii_lowercase().starts_with("mailto:");
                let address = if is_mail {
                    format!("mailto:{dest_url}")
                } else {
                    dest_url
                };
                Kind::Link(self.if_whole(address, &range))
            }
            Tag::Image { .. } if self.is_in_link() => Kind::ImageInLink,
            Tag::Image { dest_url, .. } => {
                let address = self.address(&dest_url, &range);
                Kind::Image(self.if_whole(address, &range))
            }
            // Never emitted with these options.
            Tag::DefinitionList
            | Tag::DefinitionListTitle
            | Tag::DefinitionListDefinition
            | Tag::Superscript
            | Tag::Subscript
            | Tag::MetadataBlock(_) => Kind::Paragraph,
        };
        if self.is_too_deep(&kind) {
            return self.begin_too_deep(&kind, range);
        }
        if is_inline(&kind) {
            self.begin_implied(range.start);
        } else {
            self.end_implied();
        }
        self.is_undirected |= kind.direction().is_some();
        self.open.push(Node::new(kind, range.start, range.end));
    }

    /// Notes the direction of what is open from the first letter in it. The lines before the text's own have none, and
    /// neither have the characters that complete it, nor code.
    fn note_direction(&mut self, text: &str, start: usize) {
        if !self.is_undirected || start >= self.own.to || self.is_in_code() {
            return;
        }
        let Some(is_rtl) = direction::of(text) else {
            return;
        };
        self.is_undirected = false;
        let mut is_nested = false;
        for node in &mut self.open {
            let is_footnote = matches!(node.kind, Kind::Footnote(_));
            if let Some(direction) = node.kind.direction_mut() {
                if *direction == Direction::Unknown {
                    *direction = match (is_rtl, is_nested) {
                        (true, _) => Direction::Rtl,
                        (false, true) => Direction::NestedLtr,
                        (false, false) => Direction::Ltr,
                    };
                }
                is_nested = true;
            }
            is_nested |= is_footnote;
        }
    }

    /// Whether there are as many containers, or as many marks, around what begins as there may be. The
    /// parser is given no more containers than that, so for those it only makes sure.
    fn is_too_deep(&self, kind: &Kind) -> bool {
        if self.open.len() < self.own.levels {
            return false;
        }
        let of_its_kind: fn(&Kind) -> bool = match kind {
            kind if is_inline(kind) => is_inline,
            Kind::Quote(_) | Kind::List { .. } | Kind::Footnote(_) => {
                |kind| matches!(kind, Kind::Quote(_) | Kind::List { .. } | Kind::Footnote(_))
            }
            _ => return false,
        };
        let around = self.open.iter().filter(|open| of_its_kind(&open.kind));
        around.count() >= self.own.levels
    }

    /// Shows what begins, up to its end, as its source.
    fn begin_too_deep(&mut self, kind: &Kind, range: Range<usize>) {
        if is_inline(kind) {
            self.begin_implied(range.start);
        } else {
            self.end_implied();
            let source = self.source;
            let text = &source[range.start.max(self.own.from).min(range.end)..range.end];
            let mut raw = Node::new(Kind::Raw, range.start, range.end);
            raw.children.push(Node::new(
                Kind::Text(text.to_owned(), Vec::new()),
                range.start,
                range.end,
            ));
            self.add(raw);
        }
        self.too_deep = Some(TooDeep {
            is_block: !is_inline(kind),
            levels: 1,
            shown_to: range.start,
            line_from: None,
        });
    }

    /// Passes over what is shown as its source, but for how its lines begin.
    fn pass(&mut self, event: &Event<'_>, range: &Range<usize>) {
        let Some(mut too_deep) = self.too_deep.take() else {
            return;
        };
        let is_end = matches!(event, Event::End(_));
        match event {
            Event::Start(_) => too_deep.levels += 1,
            Event::End(_) => too_deep.levels -= 1,
            _ => {}
        }
        let is_over = too_deep.levels == 0;
        if !too_deep.is_block {
            if let Some(end) = too_deep.line_from.take() {
                too_deep.shown_to = if is_end { end } else { range.start };
            }
            let source = self.source;
            if matches!(event, Event::SoftBreak | Event::HardBreak) {
                let line = too_deep.shown_to..range.start.max(too_deep.shown_to);
                self.text(&source[line.clone()], line);
                self.text("\n", range.clone());
                too_deep.line_from = Some(range.end);
            } else if is_over {
                let rest = too_deep.shown_to..range.end.max(too_deep.shown_to);
                self.text(&source[rest.clone()], rest);
            }
        }
        if !is_over {
            self.too_deep = Some(too_deep);
        }
    }

    /// What the parser made of a part of the text, as it was written.
    fn unmasked<'t>(&self, text: &'t str, range: Range<usize>) -> Cow<'t, str> {
        match self.masked {
            None => Cow::Borrowed(text),
            Some(masked) => masked.unmasked(text, self.source, range),
        }
    }

    /// The address of a link in this range, as it was written. It stands at the end of the link.
    fn address(&self, address: &str, range: &Range<usize>) -> String {
        let Some(masked) = self.masked else {
            return address.to_owned();
        };
        let at = masked.text[range.clone()].rfind(address);
        let range = at.map_or(range.clone(), |at| range.start + at..range.end);
        masked.unmasked(address, self.source, range).into_owned()
    }

    /// Whether a line ends right behind the tag of a line break.
    fn is_behind_break_tag(&self, at: usize) -> bool {
        let is_break = |node: &Node| node.kind == Kind::Break;
        let parent = self.open.last();
        parent
            .and_then(|node| node.children.last())
            .is_some_and(is_break)
            && self.source[..at].trim_end_matches(' ').ends_with('>')
    }

    /// Adds the display formula that a heading stands for; says whether it stands for one.
    fn begin_formula(&mut self, range: &Range<usize>) -> bool {
        let formula = self.masked.and_then(|masked| masked.formula(range));
        let Some(formula) = formula.filter(|formula| formula.is_block) else {
            return false;
        };
        self.end_implied();
        self.is_in_formula = true;
        let Range { start, end } = formula.range;
        let kind = Kind::Math {
            tex: formula.tex.clone(),
            is_display: true,
            is_whole: end <= self.own.to,
        };
        let mut paragraph = Node::new(Kind::Paragraph, start, end);
        paragraph
            .children
            .push(Node::new(kind, start, end.min(self.own.to)));
        self.add(paragraph);
        true
    }

    fn end(&mut self, tag: TagEnd) {
        if matches!(tag, TagEnd::Item | TagEnd::FootnoteDefinition) {
            self.end_implied();
        }
        let Some(mut node) = self.open.pop() else {
            return;
        };
        match node.kind {
            Kind::Row => {
                // Rows of two bytes each below a head of a thousand columns would else be millions of cells.
                if node.children.len() > FILLED_COLUMNS {
                    let is_filled = |cell: &Node| !cell.children.is_empty();
                    let filled = node.children.iter().rposition(is_filled);
                    node.children.truncate(filled.map_or(1, |last| last + 1));
                }
                self.add_row(node);
            }
            Kind::Item(_) => {
                if let Some(Kind::List { has_text, .. }) =
                    self.open.last_mut().map(|list| &mut list.kind)
                {
                    *has_text |= node
                        .children
                        .iter()
                        .any(|child| child.kind == Kind::Paragraph);
                }
                self.add(node);
            }
            Kind::Link(Some(ref address)) | Kind::Image(Some(ref address))
                if link::safe(address).is_none() =>
            {
                self.unlink(node);
            }
            _ => {
                if self.own.is_part
                    && node.start < self.own.from
                    && matches!(node.kind, Kind::Heading(_))
                {
                    // The parts before it are shown as paragraphs.
                    node.kind = Kind::Paragraph;
                    self.is_underlined |= !self.source[node.start..].starts_with('#');
                }
                self.finish(&mut node);
                let shown = match &node.kind {
                    Kind::Image(Some(address)) if link::is_web(address) => {
                        Some(Node::new(Kind::ShowImage, node.end, node.end))
                    }
                    _ => None,
                };
                self.add(node);
                if let Some(shown) = shown {
                    self.add(shown);
                }
            }
        }
    }

    /// Whether what comes next is shown as it was written.
    fn is_in_code(&self) -> bool {
        let parent = self.open.last().map(|open| &open.kind);
        matches!(parent, Some(Kind::CodeBlock { .. } | Kind::Raw))
    }

    /// Whether what comes next stands in a link.
    fn is_in_link(&self) -> bool {
        self.open.iter().any(|open| open.kind.is_link())
    }

    /// Adds what has ended to what holds it, unless it belongs to the lines before.
    fn add(&mut self, node: Node) {
        if node.end <= self.own.from {
            return;
        }
        let node = Node {
            end: node.end.min(self.own.to),
            ..node
        };
        if matches!(node.kind, Kind::Paragraph | Kind::Heading(_)) && !self.is_in_formula {
            self.has_long |= parts::is_long(&node, node.end, self.own);
        }
        let siblings = match self.open.last_mut() {
            Some(parent) => &mut parent.children,
            None => &mut self.root,
        };
        // Texts beside each other are one.
        if let Kind::Text(text, origins) = &node.kind
            && let Some(Node {
                kind: Kind::Text(before, all),
                end,
                ..
            }) = siblings.last_mut()
        {
            all.extend(origins.iter().map(|origin| Origin {
                at: origin.at + before.len(),
                ..*origin
            }));
            before.push_str(text);
            *end = node.end;
            return;
        }
        siblings.push(node);
    }

    fn leaf(&mut self, kind: Kind, range: Range<usize>) {
        self.begin_implied(range.start);
        self.add(Node::new(kind, range.start, range.end));
    }

    fn math(&mut self, range: Range<usize>) {
        let Some(formula) = self.masked.and_then(|masked| masked.formula(&range)) else {
            let source = self.source;
            return self.text(&source[range.clone()], range);
        };
        // In a table the backslash before a pipe belongs to the table.
        let in_cell = self
            .open
            .iter()
            .any(|open| matches!(open.kind, Kind::Cell { .. }));
        let tex = if in_cell {
            formula.tex.replace("\\|", "|")
        } else {
            formula.tex.clone()
        };
        let source = &self.source[range.clone()];
        let kind = Kind::Math {
            tex,
            is_display: source.starts_with("$$") || source.starts_with("\\["),
            is_whole: range.end <= self.own.to,
        };
        self.leaf(kind, range);
    }

    fn text(&mut self, text: &str, range: Range<usize>) {
        self.begin_implied(range.start);
        if range.end <= self.own.from {
            return;
        }
        if range.start < self.own.from {
            // It began in the lines before.
            let own = self.own.from..range.end;
            let source = self.source;
            return self.text(&source[own.clone()], own);
        }
        let line_break = self.masked.and_then(|masked| masked.line_break(&range));
        if let Some(tag) = line_break.filter(|_| !self.is_in_code()) {
            self.add(Node::new(Kind::Break, tag.start, tag.end));
            return;
        }
        let text = self.unmasked(text, range.clone());
        self.note_direction(&text, range.start);
        let is_as_written = self.source.get(range.clone()) == Some(&text);
        let origin = is_as_written.then_some(Origin {
            at: 0,
            source: range.start,
            len: text.len(),
        });
        let kind = Kind::Text(text.into_owned(), origin.into_iter().collect());
        self.add(Node::new(kind, range.start, range.end));
    }

    /// In a tight list, and after a task's box, text stands in no paragraph of its own: then it gets one.
    fn begin_implied(&mut self, start: usize) {
        let Some(parent) = self.open.last() else {
            return;
        };
        if matches!(parent.kind, Kind::Item(_) | Kind::Footnote(_)) {
            // It begins with the backslash of a first character that is escaped.
            let is_escaped = self.source[..start].ends_with('\\');
            let start = start - usize::from(is_escaped);
            // Its end is not known yet: until then it is where it begins.
            self.open
                .push(Node::new(Kind::Paragraph, start, usize::MAX));
        }
    }

    fn end_implied(&mut self) {
        if let Some(node) = self.open.last()
            && node.end == usize::MAX
            && let Some(mut node) = self.open.pop()
        {
            node.end = node.children.last().map_or(self.own.from, |last| last.end);
            self.finish(&mut node);
            self.add(node);
        }
    }

    /// A paragraph right in an item says that the list is loose.
    fn mark_loose(&mut self) {
        if let [.., list, item] = self.open.as_mut_slice()
            && matches!(item.kind, Kind::Item(_))
            && let Kind::List { loose, .. } = &mut list.kind
        {
            *loose = true;
        }
    }

    /// An address counts when its end has come.
    fn if_whole(&self, address: String, range: &Range<usize>) -> Option<String> {
        (range.end <= self.own.to).then_some(address)
    }

    /// A link that must lead nowhere is shown as it was written: what it holds, between its brackets.
    fn unlink(&mut self, node: Node) {
        let inner = node.children.first().map_or(node.end, |first| first.start)
            ..node.children.last().map_or(node.end, |last| last.end);
        let ends = [node.start..inner.start, inner.end..node.end];
        let [before, after] = ends.map(|range| {
            let text = self
                .source
                .get(range.clone())
                .unwrap_or_default()
                .to_owned();
            let origin = Origin {
                at: 0,
                source: range.start,
                len: text.len(),
            };
            Node::new(Kind::Text(text, vec![origin]), range.start, range.end)
        });
        self.add(before);
        for child in node.children {
            self.add(child);
        }
        self.add(after);
    }

    fn next_cell(&self) -> Kind {
        let row = self.open.last();
        let column = row.map_or(0, |row| row.children.len());
        Kind::Cell {
            align: self.columns.get(column).copied().unwrap_or(Align::Natural),
            is_head: row.is_some_and(|row| row.kind == Kind::TableHead),
        }
    }

    /// Adds a row to the body of the table that is open, which begins with its first row.
    fn add_row(&mut self, row: Node) {
        let Some(table) = self.open.last_mut() else {
            return;
        };
        if row.end <= self.own.from {
            return;
        }
        let row = Node {
            end: row.end.min(self.own.to),
            ..row
        };
        match table.children.last_mut() {
            Some(body) if body.kind == Kind::TableBody => {
                body.end = row.end;
                body.children.push(row);
            }
            _ => {
                // It begins with the table, as the element that shows it does.
                let mut body = Node::new(Kind::TableBody, table.start, row.end);
                body.children.push(row);
                table.children.push(body);
            }
        }
    }

    /// What can be told only when a node has ended: addresses in its text, and footnotes nobody defines.
    fn finish(&mut self, node: &mut Node) {
        if matches!(node.kind, Kind::CodeBlock { .. } | Kind::Code | Kind::Raw) {
            return;
        }
        let may_link = !node.kind.is_link() && !self.is_in_link();
        let mut splits = Vec::new();
        for (index, child) in node.children.iter().enumerate() {
            let Kind::Text(text, origins) = &child.kind else {
                continue;
            };
            self.unknown
                .extend(footnote_labels(text).map(|label| (Label::footnote(label), child.start)));
            if may_link && let Some(parts) = link::split(text, origins, child.start, child.end) {
                splits.push((index, parts));
            }
        }
        if !splits.is_empty() {
            node.children = with_splits(std::mem::take(&mut node.children), splits);
        }
    }
}

/// What is too deep, while the parser's events for it are passed over.
struct TooDeep {
    /// Whether it is a block, whose source is shown already; else it is a mark.
    is_block: bool,
    /// How many of the parser's elements are open in it, itself included.
    levels: usize,
    /// How far its source is shown.
    shown_to: usize,
    /// Set behind a line break to where that ends: what follows begins with the marks of its containers.
    line_from: Option<usize>,
}

/// Replaces some children, which are given by their sorted indices. It moves each child once: replacing them
/// one after the other would move all later ones each time.
fn with_splits(children: Vec<Node>, splits: Vec<(usize, Vec<Node>)>) -> Vec<Node> {
    let mut splits = splits.into_iter().peekable();
    let mut all = Vec::with_capacity(children.len() + splits.len());
    for (index, child) in children.into_iter().enumerate() {
        match splits.next_if(|(at, _)| *at == index) {
            Some((_, parts)) => all.extend(parts),
            None => all.push(child),
        }
    }
    all
}

/// The labels in what would be references to footnotes if those were defined.
fn footnote_labels(text: &str) -> impl Iterator<Item = &str> {
    text.split("[^")
        .skip(1)
        .filter_map(|rest| rest.split_once(']').map(|(label, _)| label))
}

impl From<Alignment> for Align {
    fn from(alignment: Alignment) -> Self {
        match alignment {
            Alignment::None => Self::Natural,
            Alignment::Left => Self::Left,
            Alignment::Center => Self::Center,
            Alignment::Right => Self::Right,
        }
    }
}

fn is_inline(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::Emphasis
            | Kind::Strong
            | Kind::Deleted
            | Kind::Link(_)
            | Kind::Image(_)
            | Kind::ImageInLink
    )
}

fn is_line_break(html: &str) -> bool {
    let name = html
        .trim_start_matches('<')
        .trim_end_matches('>')
        .trim_end_matches('/')
        .trim_end();
    name.eq_ignore_ascii_case("br")
}

/// The language of a fenced block: the first word after the fence.
fn language(info: &str) -> String {
    let word = info
        .split(|c: char| c.is_whitespace() || matches!(c, ',' | '{'))
        .next()
        .unwrap_or_default();
    word.chars().take(LONGEST_LANGUAGE).collect()
}
