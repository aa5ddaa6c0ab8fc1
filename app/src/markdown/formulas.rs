//! Finds the formulas of a text before the Markdown parser sees it.
//!
//! A display formula may hold lines that would begin a list, a heading or a quotation, so its extent has to be known
//! before blocks are. The scanner walks over the lines as CommonMark's first phase does: it matches the open containers
//! of each line, opens new ones, and skips fenced and indented code. It collects the text of each paragraph and looks
//! there for inline formulas. Where it takes code for a paragraph or the other way round, no text is lost: what is
//! masked is always shown from the original text.

mod containers;
mod display;
mod inline;
mod line_dollars;
mod lines;

use std::ops::Range;

use self::lines::{is_delimiter_row, is_display_opener, is_heading, is_rule, marker};
use super::html_block;
use super::parse::Own;

pub(super) use self::line_dollars::LineDollars;

/// Longest display formula, in bytes. An opening delimiter without a closing one holds back commits for so long.
const LONGEST_DISPLAY: usize = 8 * 1024;

/// Longest inline formula between single dollars, in bytes.
const LONGEST_INLINE: usize = 2000;

/// Most blank lines within a display formula.
const MOST_BLANK_LINES: usize = 3;

/// Code spans with more backticks than this are not searched for.
const LONGEST_TICKS: usize = 31;

/// A formula with its delimiters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Formula {
    /// Its bytes in the text, with both delimiters.
    pub(super) range: Range<usize>,
    /// Its TeX, without the prefixes of the containers around it.
    pub(super) tex: String,
    /// Whether it fills whole lines, and so is a block.
    pub(super) is_block: bool,
}

/// A display formula that is not closed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pending {
    /// Where the line begins on which it is opened, in bytes.
    pub(super) line: usize,
    /// Where its opening delimiter begins.
    pub(super) opener: usize,
    /// Where its content ends so far; before the opener's end if it has none.
    pub(super) content_end: usize,
    /// The delimiter that closes it.
    pub(super) closing: &'static str,
}

/// All formulas of a text, in order.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) formulas: Vec<Formula>,
    /// The first display formula that more text may close.
    pub(super) pending: Option<Pending>,
}

/// Whether there may be a formula in a text.
pub(super) fn may_have_formulas(text: &str) -> bool {
    let bytes = text.as_bytes();
    memchr::memchr2_iter(b'$', b'\\', bytes)
        .any(|at| bytes[at] == b'$' || matches!(bytes.get(at + 1), Some(b'(' | b'[')))
}

/// Finds the formulas of a text.
pub(super) fn find(text: &str, own: Own) -> Found {
    let mut scanner = scan(text, own);
    scanner.end_paragraph();
    scanner.found
}

/// What decides how the lines behind a text are read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct State {
    containers: Vec<Container>,
    verbatim: Option<Verbatim>,
    is_in_paragraph: bool,
    /// Whether a display formula is open.
    is_in_formula: bool,
    /// Whether each line may be the row of a table.
    is_in_table: bool,
}

/// The state at the end of a text.
pub(super) fn state_behind(text: &str, own: Own) -> State {
    let scanner = scan(text, own);
    State {
        containers: scanner.containers,
        verbatim: scanner.verbatim,
        is_in_paragraph: scanner.paragraph.is_some(),
        is_in_formula: scanner.found.pending.is_some(),
        is_in_table: scanner.is_in_table,
    }
}

impl State {
    /// The line that ends the block of code or HTML that is open, in its containers; `None` if none is.
    pub(super) fn closing_line(&self) -> Option<String> {
        let block = self.verbatim?;
        let mut line = String::new();
        for container in &self.containers[..block.depth.min(self.containers.len())] {
            match container {
                Container::Quote => line.push_str("> "),
                Container::Indented(width) => line.extend(std::iter::repeat_n(' ', *width)),
            }
        }
        match block.kind {
            VerbatimKind::Fence(character, length) => {
                line.extend(std::iter::repeat_n(char::from(character), length));
            }
            VerbatimKind::Html(html_block::End::With(end)) => line.push_str(end),
            VerbatimKind::Html(html_block::End::Blank) => return None,
        }
        Some(line)
    }
}

fn scan(text: &str, own: Own) -> Scanner<'_> {
    let mut scanner = Scanner {
        text,
        own,
        bytes: text.as_bytes(),
        containers: Vec::new(),
        verbatim: None,
        paragraph: None,
        is_in_table: false,
        found: Found::default(),
    };
    let mut at = 0;
    while at < text.len() {
        at = scanner.line(at);
    }
    scanner
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Container {
    Quote,
    /// An item or a footnote, by the width of its content's indentation.
    Indented(usize),
}

/// A block whose lines are no Markdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Verbatim {
    kind: VerbatimKind,
    /// How many containers are around it.
    depth: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum VerbatimKind {
    /// A fenced block of code, by the character of its fence and how many there are.
    Fence(u8, usize),
    Html(html_block::End),
}

/// The text of a paragraph, a heading or a row.
struct Paragraph {
    start: usize,
    end: usize,
    /// Where each line but the first begins, and where its text begins behind the prefixes of containers.
    lines: Vec<(usize, usize)>,
    /// The number of display formulas found before it.
    formulas: usize,
    is_row: bool,
}

/// A place within a line. Tabs make columns differ from bytes.
#[derive(Clone, Copy)]
struct Cursor {
    at: usize,
    column: usize,
}

struct Scanner<'a> {
    text: &'a str,
    own: Own,
    bytes: &'a [u8],
    containers: Vec<Container>,
    verbatim: Option<Verbatim>,
    paragraph: Option<Paragraph>,
    /// Whether the row has come that is below the head of a table.
    is_in_table: bool,
    found: Found,
}

impl Scanner<'_> {
    /// Reads the line that begins here; gives the begin of the next one.
    fn line(&mut self, start: usize) -> usize {
        let end = self.line_end(start);
        let (matched, mut cursor) = self.matched(start, end);
        if let Some(block) = self.verbatim {
            if matched >= block.depth {
                if self.ends_verbatim(block.kind, cursor, end) {
                    self.verbatim = None;
                }
                return end + 1;
            }
            self.verbatim = None;
        }
        if self.skip_spaces(cursor, end).at == end {
            self.end_paragraph();
            self.containers.truncate(matched);
            self.is_in_table = false;
            return end + 1;
        }
        let has_opened = self.open_containers(matched, &mut cursor, end);
        let text = self.skip_spaces(cursor, end);
        let is_indented = text.column - cursor.column >= 4;
        if is_indented && (has_opened || self.paragraph.is_none()) {
            // In a table it is a row, unless it would begin a block without the indent.
            self.is_in_table &= !has_opened && !self.begins_block(text.at, end);
            self.end_containers(matched, has_opened);
            return end + 1;
        }
        let rest = &self.bytes[text.at..end];
        if rest.is_empty() {
            return end + 1;
        }
        if is_indented {
            return self.add_line(start, text.at, end);
        }
        if let Some(kind) = self.opens_verbatim(text.at, end, has_opened) {
            self.end_containers(matched, has_opened);
            self.is_in_table = false;
            let depth = self.containers.len();
            let goes_on = !self.is_one_line(kind, text.at, end);
            self.verbatim = goes_on.then_some(Verbatim { kind, depth });
            return end + 1;
        }
        if is_display_opener(rest) {
            let lazy = self.containers.clone();
            if !has_opened {
                self.containers.truncate(matched);
            }
            if let Some(next) = self.display(start, text.at, true) {
                self.is_in_table = false;
                return next;
            }
            self.containers = lazy;
        }
        // A line that goes on with a paragraph, but not with its containers, is no row and no underline of it.
        let is_lazy = self.paragraph.is_some() && !has_opened && matched < self.containers.len();
        let is_block = is_heading(rest) || is_rule(rest) && !(is_lazy && rest[0] == b'=');
        self.is_in_table &= !has_opened && !is_block && matched == self.containers.len();
        self.is_in_table |= !is_lazy && is_delimiter_row(rest);
        let is_row = if is_lazy {
            rest[0] == b'|' && self.heads_table(end)
        } else {
            rest[0] == b'|' || self.is_in_table
        };
        if is_row || is_block {
            self.end_containers(matched, has_opened);
            let next = self.add_line(start, text.at, end);
            if let Some(paragraph) = &mut self.paragraph {
                paragraph.is_row = is_row;
            }
            self.end_paragraph();
            return next;
        }
        if self.paragraph.is_none() && !has_opened {
            self.containers.truncate(matched);
        }
        self.add_line(start, text.at, end)
    }

    /// Whether this text would begin a block, if it were not indented.
    fn begins_block(&self, at: usize, end: usize) -> bool {
        let rest = &self.bytes[at..end];
        let Some(first) = rest.first() else {
            return false;
        };
        *first == b'>'
            || marker(rest).is_some()
            || is_heading(rest)
            || (is_rule(rest) && *first != b'=')
            || self.opens_verbatim(at, end, false).is_some()
    }

    /// Whether the line behind this end can be below the head of a table. It has to go on with all containers, even
    /// where the head itself does not.
    fn heads_table(&self, end: usize) -> bool {
        let start = (end + 1).min(self.bytes.len());
        let next_end = self.line_end(start);
        let (matched, cursor) = self.matched(start, next_end);
        let text = self.skip_spaces(cursor, next_end);
        matched == self.containers.len() && is_delimiter_row(&self.bytes[text.at..next_end])
    }

    fn line_end(&self, start: usize) -> usize {
        memchr::memchr(b'\n', &self.bytes[start..]).map_or(self.bytes.len(), |end| start + end)
    }

    /// Adds a line to the paragraph, or begins one with it; gives the begin of the next line.
    fn add_line(&mut self, start: usize, text: usize, end: usize) -> usize {
        let formulas = self.found.formulas.len();
        let paragraph = self.paragraph.get_or_insert_with(|| Paragraph {
            start: text,
            end,
            lines: Vec::new(),
            formulas,
            is_row: false,
        });
        if paragraph.start != text {
            paragraph.lines.push((start, text));
        }
        paragraph.end = end;
        let Some(opener) = self.last_opener(text, end) else {
            return end + 1;
        };
        self.display(start, opener, false).unwrap_or(end + 1)
    }
}
