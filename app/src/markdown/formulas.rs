//! Finds the formulas of a text before the Markdown parser sees it.
//!
//! A display formula may hold lines that would begin a list, a heading or a quotation, so its extent has to be known
//! before blocks are. The scanner walks over the lines as CommonMark's first phase does: it matches the open containers
//! of each line, opens new ones, and skips fenced and indented code. It collects the text of each paragraph and looks
//! there for inline formulas. Where it takes code for a paragraph or the other way round, no text is lost: what is
//! masked is always shown from the original text.

use std::ops::Range;

use super::dollars;
use super::html_block;
use super::masks::break_tag;

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
pub(super) fn find(text: &str) -> Found {
    let mut scanner = scan(text);
    scanner.end_paragraph();
    scanner.found
}

/// What decides how the lines behind a text are read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct State {
    containers: Vec<Container>,
    verbatim: Option<Verbatim>,
    is_in_paragraph: bool,
}

/// The state at the end of a text.
pub(super) fn state_behind(text: &str) -> State {
    let scanner = scan(text);
    State {
        containers: scanner.containers,
        verbatim: scanner.verbatim,
        is_in_paragraph: scanner.paragraph.is_some(),
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

fn scan(text: &str) -> Scanner<'_> {
    let mut scanner = Scanner {
        text,
        bytes: text.as_bytes(),
        containers: Vec::new(),
        verbatim: None,
        paragraph: None,
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
    bytes: &'a [u8],
    containers: Vec<Container>,
    verbatim: Option<Verbatim>,
    paragraph: Option<Paragraph>,
    found: Found,
}

/// What the search for the end of a display formula found.
enum Display {
    /// The formula ends behind its closing delimiter.
    Closed {
        end: usize,
        lines: Vec<(usize, usize)>,
    },
    /// The text ends within it; its content ends here.
    Open(usize),
    /// It is no formula.
    None,
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
            return end + 1;
        }
        let has_opened = self.open_containers(matched, &mut cursor, end);
        let text = self.skip_spaces(cursor, end);
        let is_indented = text.column - cursor.column >= 4;
        if is_indented && (has_opened || self.paragraph.is_none()) {
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
                return next;
            }
            self.containers = lazy;
        }
        let is_row = rest[0] == b'|';
        if is_row || is_heading(rest) || is_rule(rest) {
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

    /// The kind of the verbatim block that begins here.
    fn opens_verbatim(&self, at: usize, end: usize, has_opened: bool) -> Option<VerbatimKind> {
        let rest = &self.bytes[at..end];
        if let Some((character, length)) = opening_fence(rest) {
            return Some(VerbatimKind::Fence(character, length));
        }
        if rest[0] != b'<' || is_break(rest) {
            return None;
        }
        let interrupts = self.paragraph.is_some() && !has_opened;
        html_block::begin(&self.text[at..end], interrupts).map(VerbatimKind::Html)
    }

    /// Whether a verbatim block ends with its first line.
    fn is_one_line(&self, kind: VerbatimKind, at: usize, end: usize) -> bool {
        matches!(kind, VerbatimKind::Html(html_block::End::With(last)) if self.text[at..end].contains(last))
    }

    fn line_end(&self, start: usize) -> usize {
        memchr::memchr(b'\n', &self.bytes[start..]).map_or(self.bytes.len(), |end| start + end)
    }

    /// Ends the paragraph, and the containers that do not go on.
    fn end_containers(&mut self, matched: usize, has_opened: bool) {
        self.end_paragraph();
        if !has_opened {
            self.containers.truncate(matched);
        }
    }

    /// How many of the open containers go on in a line, and where its content begins then.
    fn matched(&self, start: usize, end: usize) -> (usize, Cursor) {
        let mut cursor = Cursor {
            at: start,
            column: 0,
        };
        let is_blank = self.skip_spaces(cursor, end).at == end;
        for (number, container) in self.containers.iter().enumerate() {
            let text = self.skip_spaces(cursor, end);
            match container {
                Container::Quote => {
                    let is_quoted = text.at < end
                        && self.bytes[text.at] == b'>'
                        && text.column - cursor.column < 4;
                    if !is_quoted {
                        return (number, cursor);
                    }
                    cursor = self.behind_quote(text, end);
                }
                Container::Indented(width) => {
                    let is_indented = text.column - cursor.column >= *width;
                    if !is_indented && !is_blank && text.at < end {
                        return (number, cursor);
                    }
                    cursor = self.skip_columns(cursor, *width);
                }
            }
        }
        (self.containers.len(), cursor)
    }

    /// Opens the containers that begin here; says whether there are any.
    fn open_containers(&mut self, matched: usize, cursor: &mut Cursor, end: usize) -> bool {
        let mut has_opened = false;
        loop {
            let text = self.skip_spaces(*cursor, end);
            let indent = text.column - cursor.column;
            if indent >= 4 || text.at == end {
                return has_opened;
            }
            let interrupts = self.paragraph.is_some() && !has_opened;
            let (container, behind) = if self.bytes[text.at] == b'>' {
                (Container::Quote, self.behind_quote(text, end))
            } else {
                let marker = marker(&self.bytes[text.at..end]);
                let Some(marker) = marker.filter(|_| !is_rule(&self.bytes[text.at..end])) else {
                    return has_opened;
                };
                let behind_marker = Cursor {
                    at: text.at + marker.length,
                    column: text.column + marker.length,
                };
                let content = self.skip_spaces(behind_marker, end);
                if interrupts && (content.at == end || !marker.may_interrupt) {
                    return has_opened;
                }
                if marker.is_footnote {
                    (Container::Indented(4), content)
                } else {
                    let spaces = content.column - behind_marker.column;
                    let spaces = if content.at == end || spaces > 4 {
                        1
                    } else {
                        spaces
                    };
                    let behind = if content.at == end {
                        content
                    } else {
                        self.skip_columns(behind_marker, spaces)
                    };
                    (Container::Indented(indent + marker.length + spaces), behind)
                }
            };
            if !has_opened {
                self.end_paragraph();
                self.containers.truncate(matched);
            }
            has_opened = true;
            self.containers.push(container);
            *cursor = behind;
        }
    }

    fn skip_spaces(&self, mut cursor: Cursor, end: usize) -> Cursor {
        while cursor.at < end {
            match self.bytes[cursor.at] {
                b' ' | b'\r' => cursor.column += 1,
                b'\t' => cursor.column += 4 - cursor.column % 4,
                _ => break,
            }
            cursor.at += 1;
        }
        cursor
    }

    /// Skips so many columns of white space.
    fn skip_columns(&self, mut cursor: Cursor, columns: usize) -> Cursor {
        let to = cursor.column + columns;
        while cursor.column < to {
            match self.bytes.get(cursor.at) {
                Some(b' ') => cursor.column += 1,
                Some(b'\t') => cursor.column += 4 - cursor.column % 4,
                _ => break,
            }
            cursor.at += 1;
        }
        cursor
    }

    /// Behind the `>` that stands here, and the space that belongs to it.
    fn behind_quote(&self, mark: Cursor, end: usize) -> Cursor {
        let behind = Cursor {
            at: mark.at + 1,
            column: mark.column + 1,
        };
        if behind.at < end && self.bytes[behind.at] == b' ' {
            return self.skip_columns(behind, 1);
        }
        behind
    }

    fn ends_verbatim(&self, kind: VerbatimKind, cursor: Cursor, end: usize) -> bool {
        let text = self.skip_spaces(cursor, end);
        match kind {
            VerbatimKind::Html(html_block::End::Blank) => text.at == end,
            VerbatimKind::Html(html_block::End::With(end_of_block)) => {
                self.text[cursor.at..end].contains(end_of_block)
            }
            VerbatimKind::Fence(character, length) => {
                let rest = self.bytes[text.at..end].trim_ascii_end();
                text.column - cursor.column < 4
                    && rest.len() >= length
                    && rest.iter().all(|byte| *byte == character)
            }
        }
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

    /// A delimiter at the end of a line that opens a display formula.
    fn last_opener(&self, text: usize, end: usize) -> Option<usize> {
        let line = self.bytes[text..end].trim_ascii_end();
        let opener = line.len().checked_sub(2).filter(|opener| *opener > 0)?;
        let (before, delimiter) = line.split_at(opener);
        let backslashes = before.iter().rev().take_while(|b| **b == b'\\').count();
        if backslashes % 2 == 1 || before.ends_with(b"$") {
            return None;
        }
        let opens = match delimiter {
            b"\\[" => true,
            // Every second one closes a formula.
            b"$$" => memchr::memmem::find_iter(before, b"$$").count() % 2 == 0,
            _ => false,
        };
        opens.then_some(text + opener)
    }

    /// Takes the display formula that is opened here, if it is one; gives where the scan goes on.
    fn display(&mut self, line: usize, opener: usize, begins_line: bool) -> Option<usize> {
        let (end, lines) = match self.end_of_display(opener) {
            Display::Closed { end, lines } => (end, lines),
            Display::Open(content_end) => {
                if self.found.pending.is_none() {
                    self.found.pending = Some(Pending {
                        line,
                        opener,
                        content_end,
                        closing: closing_of(self.bytes[opener]),
                    });
                }
                return None;
            }
            Display::None => return None,
        };
        let line_end = self.line_end(end);
        let is_alone = self.bytes[end..line_end].trim_ascii().is_empty();
        let is_block = begins_line && is_alone;
        if !is_block && lines.is_empty() {
            // It is found among the inline formulas.
            return None;
        }
        if is_block {
            self.end_paragraph();
        }
        let tex = tex(self.text, opener + 2..end - 2, &lines);
        if !is_block {
            let formulas = self.found.formulas.len();
            let paragraph = self.paragraph.get_or_insert_with(|| Paragraph {
                start: opener,
                end,
                lines: Vec::new(),
                formulas,
                is_row: false,
            });
            if begins_line && paragraph.start != opener {
                paragraph.lines.push((line, opener));
            }
            paragraph.end = line_end;
        }
        self.found.formulas.push(Formula {
            range: opener..end,
            tex,
            is_block,
        });
        Some(line_end + 1)
    }

    /// Looks for the end of the display formula that is opened here.
    fn end_of_display(&self, opener: usize) -> Display {
        let is_dollars = self.bytes[opener] == b'$';
        let mut lines = Vec::new();
        let mut from = opener + 2;
        let mut content_end = opener;
        let mut blank_lines = 0;
        let mut is_behind_blank = false;
        loop {
            let end = self.line_end(from);
            if end.min(from + LONGEST_DISPLAY) - opener > LONGEST_DISPLAY {
                return Display::None;
            }
            let line = &self.bytes[from..end];
            if let Some(closing) = closing_delimiter(line, is_dollars) {
                let has_content = content_end > opener || !line[..closing].trim_ascii().is_empty();
                let is_formula = has_content && !is_no_tex(&self.text[from..from + closing]);
                return match is_formula {
                    true => Display::Closed {
                        end: from + closing + 2,
                        lines,
                    },
                    false => Display::None,
                };
            }
            if is_no_tex(&self.text[from..end]) || !is_dollars && has_opener(line) {
                return Display::None;
            }
            let content = line.trim_ascii_end();
            let is_blank = content.is_empty();
            if !is_blank {
                content_end = from + content.len();
            } else if !lines.is_empty() {
                blank_lines += 1;
                if is_behind_blank || blank_lines > MOST_BLANK_LINES {
                    return Display::None;
                }
            }
            is_behind_blank = is_blank && !lines.is_empty();
            let start = end + 1;
            if start >= self.bytes.len() {
                return Display::Open(content_end);
            }
            match self.content_of(start, is_behind_blank) {
                Some(text) => {
                    lines.push((start, text));
                    from = text;
                }
                None => return Display::None,
            }
        }
    }

    /// Where the content of a line within a display formula begins; `None` if its containers end before.
    fn content_of(&self, start: usize, is_behind_blank: bool) -> Option<usize> {
        let end = self.line_end(start);
        let (matched, cursor) = self.matched(start, end);
        let text = self.skip_spaces(cursor, end);
        if matched == self.containers.len() {
            return Some(cursor.at);
        }
        // The lines of an item may be indented less than its text is.
        let is_item = |container: &Container| matches!(container, Container::Indented(_));
        let goes_on = self.containers[matched..].iter().all(is_item)
            && !is_behind_blank
            && (text.at == end
                || self.bytes[text.at] != b'>' && marker(&self.bytes[text.at..end]).is_none());
        goes_on.then_some(text.at)
    }

    /// Looks for inline formulas in the paragraph that ends here.
    fn end_paragraph(&mut self) {
        let Some(paragraph) = self.paragraph.take() else {
            return;
        };
        let text = &self.text[paragraph.start..paragraph.end];
        if !may_have_formulas(text) {
            return;
        }
        let displays = self.found.formulas.split_off(paragraph.formulas);
        let mut from = paragraph.start;
        for display in displays {
            self.inline(&paragraph, from..display.range.start);
            from = display.range.end;
            self.found.formulas.push(display);
        }
        self.inline(&paragraph, from..paragraph.end);
    }

    /// Finds the inline formulas in a part of a paragraph.
    fn inline(&mut self, paragraph: &Paragraph, range: Range<usize>) {
        let mut at = range.start;
        // The lengths of backtick runs that do not occur any more.
        let mut no_ticks = 0_u32;
        while let Some(found) = memchr::memchr3(b'$', b'\\', b'`', &self.bytes[at..range.end]) {
            at += found;
            let rest = &self.text[at..range.end];
            let formula = match rest.as_bytes() {
                [b'\\', b'(', ..] => closed_by(rest, "\\(", "\\)"),
                [b'\\', b'[', ..] => closed_by(rest, "\\[", "\\]"),
                [b'\\', ..] => {
                    at += 1 + rest[1..].chars().next().map_or(0, char::len_utf8);
                    at = at.min(range.end);
                    continue;
                }
                [b'`', ..] => {
                    let run = run_length(rest.as_bytes());
                    at += closing_ticks(rest.as_bytes(), run, &mut no_ticks).unwrap_or(run);
                    continue;
                }
                bytes => match run_length(bytes) {
                    1 => self.single_dollar(at, range.end),
                    2 => double_dollar(rest),
                    run => {
                        at += run;
                        continue;
                    }
                },
            };
            let is_row = paragraph.is_row && rest.starts_with('$');
            let formula = formula.filter(|length| !(is_row && rest[..*length].contains(" | ")));
            let Some(length) = formula else {
                at += if rest.starts_with("$$") || !rest.starts_with('$') {
                    2
                } else {
                    1
                };
                continue;
            };
            let delimiter = if rest.starts_with('$') && !rest.starts_with("$$") {
                1
            } else {
                2
            };
            let content = at + delimiter..at + length - delimiter;
            let first = paragraph
                .lines
                .partition_point(|(start, _)| *start <= content.start);
            let last = paragraph
                .lines
                .partition_point(|(start, _)| *start < content.end);
            self.found.formulas.push(Formula {
                range: at..at + length,
                tex: tex(self.text, content, &paragraph.lines[first..last]),
                is_block: false,
            });
            at += length;
        }
    }

    /// The length of the formula between single dollars that begins here.
    fn single_dollar(&self, at: usize, end: usize) -> Option<usize> {
        let rest = &self.text[at..end];
        let before = self.text[..at].chars().next_back();
        // A text within the formula may hold formulas of its own; a few dollars are passed over for that.
        let mut from = 1;
        for _ in 0..8 {
            let close = next_dollar(rest, from)?;
            if run_length(&rest.as_bytes()[close..]) != 1 {
                return None;
            }
            let content = &rest[1..close];
            if braces_are_balanced(content) {
                let is_formula = dollars::is_formula(before, content, &rest[close + 1..]);
                return is_formula.then_some(close + 1);
            }
            if !content.contains("\\text") && !content.contains("\\mbox") {
                return None;
            }
            from = close + 1;
        }
        None
    }
}

/// The TeX in a range of the text, without the prefixes of the lines in it.
fn tex(text: &str, range: Range<usize>, lines: &[(usize, usize)]) -> String {
    let mut tex = String::with_capacity(range.len());
    let mut from = range.start;
    for (start, content) in lines {
        tex.push_str(&text[from..*start]);
        from = (*content).min(range.end);
    }
    tex.push_str(&text[from.min(range.end)..range.end]);
    if tex.contains('\r') {
        tex = tex.replace('\r', "");
    }
    tex
}

struct Marker {
    length: usize,
    is_footnote: bool,
    may_interrupt: bool,
}

/// The marker of an item or a footnote that begins here.
fn marker(line: &[u8]) -> Option<Marker> {
    let is_followed =
        |length: usize| matches!(line.get(length), None | Some(b' ' | b'\t' | b'\r' | b'\n'));
    match line.first()? {
        b'-' | b'+' | b'*' if is_followed(1) => Some(Marker {
            length: 1,
            is_footnote: false,
            may_interrupt: true,
        }),
        b'0'..=b'9' => {
            let digits = line.iter().take_while(|b| b.is_ascii_digit()).count();
            let is_marker = digits < 10
                && matches!(line.get(digits), Some(b'.' | b')'))
                && is_followed(digits + 1);
            is_marker.then(|| Marker {
                length: digits + 1,
                is_footnote: false,
                may_interrupt: line[..digits] == *b"1",
            })
        }
        b'[' if line.starts_with(b"[^") => {
            let label = &line[..line.len().min(1024)];
            let end = memchr::memchr(b']', label).filter(|end| *end > 2)?;
            (label.get(end + 1) == Some(&b':')).then_some(Marker {
                length: end + 2,
                is_footnote: true,
                may_interrupt: true,
            })
        }
        _ => None,
    }
}

fn run_length(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| **byte == bytes[0]).count()
}

/// The fence of a block of code that begins here.
fn opening_fence(line: &[u8]) -> Option<(u8, usize)> {
    let character = *line.first().filter(|byte| matches!(byte, b'`' | b'~'))?;
    let length = run_length(line);
    let is_fence = length >= 3 && !(character == b'`' && line[length..].contains(&b'`'));
    is_fence.then_some((character, length))
}

fn is_heading(line: &[u8]) -> bool {
    let level = line.iter().take_while(|byte| **byte == b'#').count();
    (1..=6).contains(&level) && matches!(line.get(level), None | Some(b' ' | b'\t' | b'\r'))
}

/// Whether a line is a thematic break or the underline of a heading.
fn is_rule(line: &[u8]) -> bool {
    let mark = line[0];
    let is_of_rule = |byte: &u8| *byte == mark || matches!(byte, b' ' | b'\t' | b'\r');
    let has_enough = || line.iter().filter(|byte| **byte == mark).count() > 2;
    match mark {
        b'-' | b'*' | b'_' => line.iter().all(is_of_rule) && has_enough(),
        b'=' => line.trim_ascii_end().iter().all(|byte| *byte == mark),
        _ => false,
    }
}

/// Whether a line is the tag of a line break alone, which begins no block of HTML here.
fn is_break(line: &[u8]) -> bool {
    break_tag(line).is_some_and(|length| line[length..].trim_ascii().is_empty())
}

/// Whether a display formula may begin here.
fn is_display_opener(line: &[u8]) -> bool {
    line.starts_with(b"\\[") || line.starts_with(b"$$") && run_length(line) == 2
}

fn closing_of(first: u8) -> &'static str {
    if first == b'$' { "$$" } else { "\\]" }
}

/// Where in a line the delimiter stands that closes a display formula.
fn closing_delimiter(line: &[u8], is_dollars: bool) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr::memchr2(b'\\', b'$', line.get(at..)?)?;
        match line[at] {
            b'\\' if !is_dollars && line.get(at + 1) == Some(&b']') => return Some(at),
            b'\\' => at += 2,
            _ => {
                let run = run_length(&line[at..]);
                if is_dollars && run == 2 {
                    return Some(at);
                }
                at += run;
            }
        }
    }
}

/// Whether another display formula between brackets is opened in a line.
fn has_opener(line: &[u8]) -> bool {
    let mut at = 0;
    while let Some(found) = line.get(at..).and_then(|rest| memchr::memchr(b'\\', rest)) {
        at += found;
        if line.get(at + 1) == Some(&b'[') {
            return true;
        }
        at += 2;
    }
    false
}

/// Whether a line is Markdown or prose rather than a line of a formula.
fn is_no_tex(line: &str) -> bool {
    let text = line.trim_start();
    text.starts_with("```")
        || text.starts_with("~~~")
        || line.contains("**")
        || line.contains("](")
        || line.contains("://")
        || !line.contains('\\') && dollars::longest_prose(line) > 3
}

/// The length of the formula that begins here with `open` and is ended by `close`.
fn closed_by(rest: &str, open: &str, close: &str) -> Option<usize> {
    let bytes = rest.as_bytes();
    let mut at = open.len();
    loop {
        at += memchr::memchr(b'\\', bytes.get(at..)?)?;
        if bytes[at..].starts_with(close.as_bytes()) {
            let content = &rest[open.len()..at];
            return (!content.trim().is_empty()).then_some(at + close.len());
        }
        if bytes[at..].starts_with(open.as_bytes()) {
            return None;
        }
        at += 2;
    }
}

/// The length of the formula between double dollars that begins here.
fn double_dollar(rest: &str) -> Option<usize> {
    let close = 2 + closing_delimiter(&rest.as_bytes()[2..], true)?;
    dollars::is_display(&rest[2..close]).then_some(close + 2)
}

/// Where the next dollar stands that is not escaped.
fn next_dollar(rest: &str, mut at: usize) -> Option<usize> {
    let bytes = &rest.as_bytes()[..rest.len().min(LONGEST_INLINE)];
    loop {
        at += memchr::memchr2(b'$', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'$' {
            return Some(at);
        }
        at += 2;
    }
}

fn braces_are_balanced(tex: &str) -> bool {
    let mut depth = 0_usize;
    let mut bytes = tex.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => drop(bytes.next()),
            b'{' => depth += 1,
            b'}' => match depth.checked_sub(1) {
                Some(less) => depth = less,
                None => return false,
            },
            _ => {}
        }
    }
    depth == 0
}

/// The length of the code span that begins with a run of so many backticks. `missing` notes the lengths of runs that
/// were looked for in vain.
fn closing_ticks(bytes: &[u8], length: usize, missing: &mut u32) -> Option<usize> {
    if length > LONGEST_TICKS || *missing & (1 << length) != 0 {
        return None;
    }
    let mut at = length;
    while let Some(found) = memchr::memchr(b'`', &bytes[at..]) {
        at += found;
        let run = run_length(&bytes[at..]);
        at += run;
        if run == length {
            return Some(at);
        }
    }
    *missing |= 1 << length;
    None
}
