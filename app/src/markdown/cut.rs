//! Where a text can be cut so that what stands before the cut is final: the start of a line that begins
//! a block, a line within a block of code, a row of a table, a word in a long paragraph.
//!
//! What can still change what is before a cut is known and few: definitions of links and footnotes,
//! and marks in a long paragraph that are not closed for pages. Those are mended later, see
//! [`super::stream`].

use super::depth::LEVELS;
use super::node::{Kind, Node, Origin};
use super::open::{Open, open_of};
use super::parse::Own;
use super::parts::{self, PART};

/// A paragraph is cut within itself when it is longer than this, in bytes.
pub(super) const LONG_PARAGRAPH: usize = 1536;

/// It is cut even where a mark is open when it is longer than this.
const TOO_LONG_PARAGRAPH: usize = 8192;

/// A cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cut {
    /// The way to what is open there: at each level the number of a child.
    pub(super) path: Vec<usize>,
    /// What is open there.
    pub(super) open: Vec<Open>,
    /// The number of the first child of the innermost that is not final.
    pub(super) index: usize,
    /// How much of the text of that child is final.
    pub(super) text_at: Option<usize>,
    /// Where it is in the source.
    pub(super) at: usize,
    /// Whether it is within a line.
    pub(super) is_mid_line: bool,
    /// Whether something was open there that a later character may close.
    pub(super) is_forced: bool,
}

/// How long a paragraph may be before it is cut, and how deep a text may nest; tests make both small.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// It is cut at a good place.
    pub(super) long: usize,
    /// It is cut.
    pub(super) too_long: usize,
    /// How deep containers and marks may nest, see [`super::depth`].
    pub(super) levels: usize,
    /// It is shown in parts, see [`super::parts`].
    pub(super) part: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            long: LONG_PARAGRAPH,
            too_long: TOO_LONG_PARAGRAPH,
            levels: LEVELS,
            part: PART,
        }
    }
}

/// The last place to cut `source`, of which only whole lines were parsed, into `nodes`; where its own text
/// begins, `open` is open.
pub(super) fn last_cut(
    nodes: &[Node],
    source: &str,
    own: Own,
    open: &[Open],
    limits: Limits,
) -> Option<Cut> {
    let from = own.from;
    let mut best = None;
    let mut path = Vec::new();
    let mut around: Vec<Open> = Vec::new();
    let mut level = nodes;
    // The line on which the innermost container begins: its first block has no line of its own.
    let mut opener_line: Option<usize> = None;
    loop {
        let index = level.len().checked_sub(1)?;
        let last = &level[index];
        let is_spine = last.start < from;
        if let Kind::Part { is_heading } = last.kind
            && !is_spine
        {
            let is_first = |node: &&Node| !matches!(node.kind, Kind::Part { .. });
            let paragraph = level.iter().rfind(is_first).unwrap_or(last);
            if last.start >= certain_end(last, source, from)
                || paragraph.start >= from && may_define(&source[paragraph.start..])
            {
                return best;
            }
            // It begins within a line.
            best = Some(Cut {
                path: path.iter().copied().chain([index]).collect(),
                open: around
                    .iter()
                    .cloned()
                    .chain([Open::Part { is_heading }])
                    .collect(),
                is_mid_line: true,
                ..cut(0, 0, last.start, true)
            });
        } else if !is_spine {
            let line = line_start(source, last.start);
            let has_own_line = opener_line.is_none_or(|opener| line > opener);
            if has_own_line && line > from && line >= from {
                best = Some(Cut {
                    path: path.clone(),
                    open: around.clone(),
                    index,
                    text_at: None,
                    at: line,
                    is_mid_line: false,
                    is_forced: false,
                });
            }
        }
        let part = if is_spine {
            open.get(path.len()).cloned()
        } else {
            open_of(last, source, &around)
        };
        let Some(part) = part else { return best };
        // Whether a list is loose shows only where an item has text of its own.
        if !is_spine
            && matches!(
                last.kind,
                Kind::List {
                    has_text: false,
                    ..
                }
            )
        {
            return best;
        }
        path.push(index);
        around.push(part.clone());
        if !is_spine {
            opener_line = Some(line_start(source, last.start));
        }
        let inner = match part {
            Open::Fence(..) | Open::Indented => within_line(last, source, from, limits)
                .or_else(|| line_cut(last, source, from, opener_line)),
            // A line of HTML may have said already that the block ends with it.
            Open::Raw(_) => line_cut(last, source, from, opener_line),
            Open::Paragraph | Open::Part { .. } => word_cut(last, source, own, limits),
            _ => {
                if last.children.is_empty() {
                    return best;
                }
                level = &last.children;
                continue;
            }
        };
        return match inner {
            Some(inner) => Some(Cut {
                path,
                open: around,
                ..inner
            }),
            None => best,
        };
    }
}

/// Where the line that holds this place begins.
pub(super) fn line_start(source: &str, at: usize) -> usize {
    let before = &source.as_bytes()[..at.min(source.len())];
    memchr::memrchr(b'\n', before).map_or(0, |end| end + 1)
}

/// No label of a link or a footnote is as long, in bytes. So a line of which this much has come still belongs to its
/// paragraph, although it has not ended.
const CERTAIN_LINE: usize = 4096;

/// Whether a paragraph may turn out to define a link. Its label is bounded, but neither its address nor its title.
fn may_define(paragraph: &str) -> bool {
    let label = &paragraph.as_bytes()[..paragraph.len().min(CERTAIN_LINE)];
    paragraph.starts_with('[')
        && (label.len() < CERTAIN_LINE || memchr::memmem::find(label, b"]:").is_some())
}

/// Up to where it is certain that a text belongs to a paragraph: the last line may become a block of its own as long as
/// its first characters may begin one.
fn certain_end(paragraph: &Node, source: &str, from: usize) -> usize {
    let line = line_start(source, source.len());
    if line == source.len() || line < from {
        return source.len();
    }
    let text = &source[line.max(paragraph.start)..];
    let text = text.trim_start_matches([' ', '\t', '>']);
    const BEGINS: &[char] = &[
        '#', '`', '~', '<', '[', '-', '+', '*', '_', '=', '|', ':', '0', '1', '2', '3', '4', '5',
        '6', '7', '8', '9',
    ];
    let is_rule = || text.trim_matches(['-', '*', '_', ' ', '\t']).is_empty();
    if !text.is_empty() && !text.starts_with(BEGINS) || text.len() > CERTAIN_LINE && !is_rule() {
        return source.len();
    }
    line
}

/// The start of the last line of a block of code or HTML.
fn line_cut(node: &Node, source: &str, from: usize, opener_line: Option<usize>) -> Option<Cut> {
    let (index, text, origins) = last_text(node)?;
    let at = line_start(source, node.end.checked_sub(1)?);
    let is_own = at > from && opener_line.is_none_or(|opener| at > opener);
    // Blank lines at its end may turn out not to belong to it.
    let is_blank = source[at..]
        .split('\n')
        .next()
        .is_none_or(|line| line.trim().is_empty());
    if !is_own || is_blank {
        return None;
    }
    Some(cut(index, text_at(text, origins, at), at, false))
}

/// A place within the last line of a block of code, if that is very long: before a letter, which means nothing there
/// that begins or ends a block.
fn within_line(node: &Node, source: &str, from: usize, limits: Limits) -> Option<Cut> {
    let (index, _, origins) = last_text(node)?;
    let line = line_start(source, node.end).max(from).max(node.start);
    if node.end.saturating_sub(line) <= limits.too_long {
        return None;
    }
    let latest = node.end - limits.long / 4;
    let at = (line + 1..latest)
        .rev()
        .take(limits.long)
        .filter(|at| source.is_char_boundary(*at))
        .find(|at| source[*at..].starts_with(char::is_alphanumeric))?;
    // Only what is shown as it is written tells where in the text it stands.
    let origin = origins
        .iter()
        .rfind(|origin| (origin.source..origin.source + origin.len).contains(&at))?;
    Some(cut(index, origin.at + (at - origin.source), at, true))
}

/// Where in the text of a block of code or HTML the line begins that begins at `at` in the source.
fn text_at(text: &str, origins: &[Origin], at: usize) -> usize {
    match origins
        .iter()
        .position(|origin| origin.source + origin.len > at)
    {
        // The closing fence has no text: all there is stands before it.
        None => text.len(),
        Some(number) if origins[number].source <= at => {
            origins[number].at + (at - origins[number].source)
        }
        // Spaces that stand for a tab come before the line's own text, and belong to it.
        Some(number) => number
            .checked_sub(1)
            .map_or(0, |before| origins[before].at + origins[before].len),
    }
}

fn cut(index: usize, text_at: usize, at: usize, is_mid_line: bool) -> Cut {
    Cut {
        path: Vec::new(),
        open: Vec::new(),
        index,
        text_at: Some(text_at),
        at,
        is_mid_line,
        is_forced: false,
    }
}

fn last_text(node: &Node) -> Option<(usize, &str, &[Origin])> {
    let index = node.children.len().checked_sub(1)?;
    match &node.children[index].kind {
        Kind::Text(text, origins) => Some((index, text, origins)),
        _ => None,
    }
}

/// A word of a long paragraph, not far from its end, before which no mark is open.
fn word_cut(node: &Node, source: &str, own: Own, limits: Limits) -> Option<Cut> {
    let start = node.start.max(own.from);
    let length = node.end.saturating_sub(start);
    let is_new = node.start >= own.from;
    if length < limits.long || is_new && may_define(&source[start..]) {
        return None;
    }
    // The last words stay: they are what will be read again.
    let before = node.end - limits.long / 4;
    // Where the part ends must not be decided by where it was cut.
    let before = before.min(parts::earliest_end(parts::begin_of(node, own), limits.part));
    let before = before.min(certain_end(node, source, own.from));
    let written = &source[start..node.end.min(source.len())];
    let mut scan = Scan {
        // Which of two kinds of formulas holds the other is decided by the later delimiters.
        is_open: written.contains('$') && (written.contains("\\(") || written.contains("\\[")),
        // A paragraph begins with one, and so does what follows a cut.
        begins_word: true,
        ..Scan::default()
    };
    for (index, child) in node.children.iter().enumerate() {
        if child.start >= before {
            break;
        }
        scan.take(child, index, source, before);
    }
    let (found, is_forced) = match (scan.clean, scan.any) {
        (Some(clean), _) => (clean, false),
        (None, Some(any)) if length > limits.too_long => (any, true),
        _ => return None,
    };
    let (index, text_at, at) = found;
    Some(Cut {
        is_forced,
        ..cut(index, text_at, at, true)
    })
}

/// Looks for words before which no mark is open.
#[derive(Default)]
struct Scan {
    /// The last such word: the number of its node, and where it begins in the text and in the source.
    clean: Option<(usize, usize, usize)>,
    /// The last word of any kind, also one that begins with a mark.
    any: Option<(usize, usize, usize)>,
    /// Whether nothing but letters came since the last space.
    begins_word: bool,
    /// Brackets that are open.
    brackets: usize,
    /// Whether a mark is open for good.
    is_open: bool,
}

impl Scan {
    fn take(&mut self, node: &Node, index: usize, source: &str, before: usize) {
        let Kind::Text(text, origins) = &node.kind else {
            // Brackets, ticks and formulas bind tighter than emphasis: they may begin within it.
            self.is_open |= has_open_mark(&node.children);
            // What is no formula until its `\)` has come, and may still turn out to be code, a tag or an address.
            self.is_open |= matches!(&node.kind, Kind::Math { tex, .. }
                if source[node.start..].starts_with('\\') && tex.contains(['`', '<', '[', '$']));
            // An address that is a link by itself may have taken in marks that mean something else.
            if let (
                Kind::Link(_),
                [
                    Node {
                        kind: Kind::Text(text, _),
                        ..
                    },
                ],
            ) = (&node.kind, node.children.as_slice())
            {
                self.is_open |= text.contains(['*', '~']);
                self.is_open |= text.match_indices('_').any(|(at, _)| {
                    let before = text[..at].chars().next_back();
                    !before.is_some_and(char::is_alphanumeric)
                });
            }
            return;
        };
        for (number, origin) in origins.iter().enumerate() {
            let written = &text[origin.at..origin.at + origin.len];
            let is_escaped = is_escaped(origins, number, source);
            let mut previous = text[..origin.at].chars().next_back();
            let mut characters = written.char_indices().peekable();
            while let Some((at, c)) = characters.next() {
                let next = characters.peek().map(|(_, c)| *c);
                let next = next.or_else(|| {
                    let after = source.get(origin.source + origin.len..)?;
                    after.chars().next()
                });
                if is_escaped && at == 0 {
                    self.is_open |= matches!(c, '(' | '[');
                } else {
                    self.mark(c, previous, next);
                }
                if matches!(previous, Some(' ' | '\n')) {
                    self.begins_word = true;
                } else if matches!(c, ':' | '/' | '.' | '@' | '_' | '-' | '+') {
                    // It may be part of an address.
                    self.begins_word = false;
                }
                let is_word = match previous {
                    Some(' ' | '\n') => c.is_alphanumeric(),
                    // Scripts without spaces are cut between any two letters.
                    Some(before) => {
                        self.begins_word && is_without_spaces(c) && is_without_spaces(before)
                    }
                    None => false,
                };
                // Where all words begin with marks, or there are none at all.
                let may_begin = match previous {
                    Some(' ' | '\n') => !c.is_whitespace(),
                    Some('!' | '\\') | None => false,
                    Some(_) => matches!(c, '[' | '!'),
                };
                if (is_word || may_begin && !is_escaped) && origin.source + at < before {
                    let word = (index, origin.at + at, origin.source + at);
                    self.any = Some(word);
                    if is_word && !self.is_open && self.brackets == 0 {
                        self.clean = Some(word);
                    }
                }
                previous = Some(c);
            }
        }
    }

    fn mark(&mut self, c: char, previous: Option<char>, next: Option<char>) {
        let before_space = next.is_none_or(char::is_whitespace);
        match c {
            '`' => self.is_open = true,
            '<' => {
                self.is_open |=
                    next.is_none_or(|c| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?'))
            }
            '$' => self.is_open |= !before_space,
            '*' | '~' => self.is_open |= !before_space,
            '_' => self.is_open |= !before_space && !previous.is_some_and(char::is_alphanumeric),
            '[' => self.brackets += 1,
            ']' if self.brackets > 0 => {
                self.brackets -= 1;
                self.is_open |= matches!(next, Some('(' | '[' | ':'));
            }
            _ => {}
        }
    }
}

/// Whether it is a letter of a script that is written without spaces between words.
fn is_without_spaces(c: char) -> bool {
    c.is_alphabetic()
        && matches!(c,
            '\u{e00}'..='\u{eff}' // Thai, Lao
            | '\u{1000}'..='\u{109f}' | '\u{a9e0}'..='\u{a9ff}' | '\u{aa60}'..='\u{aa7f}' // Myanmar
            | '\u{1780}'..='\u{17ff}' // Khmer
            | '\u{1950}'..='\u{19df}' | '\u{1a20}'..='\u{1aaf}' // Tai scripts
            | '\u{1b00}'..='\u{1b7f}' | '\u{a980}'..='\u{a9df}' // Balinese, Javanese
            | '\u{3005}'..='\u{312f}' | '\u{ff66}'..='\u{ff9f}' // kana, Bopomofo
            | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' // Chinese characters
            | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}'
            | '\u{a000}'..='\u{a4cf}' // Yi
        )
}

fn is_escaped(origins: &[Origin], number: usize, source: &str) -> bool {
    let start = origins[number].source;
    let previous_end = number
        .checked_sub(1)
        .map_or(0, |before| origins[before].source + origins[before].len);
    start > previous_end && source.as_bytes()[start - 1] == b'\\'
}

fn has_open_mark(nodes: &[Node]) -> bool {
    nodes.iter().any(|node| match &node.kind {
        Kind::Text(text, _) => text.contains(['`', '[', '$', '<', '(']),
        Kind::Code | Kind::Math { .. } => false,
        _ => has_open_mark(&node.children),
    })
}
