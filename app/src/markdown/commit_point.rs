//! Commit points: places in a text before which all is final. Such are the start of a line that begins a
//! block, a line within a block of code, a row of a table, and a word in a long paragraph.
//!
//! What can still change the text before a commit point is known and rare: definitions of links and
//! footnotes, and emphasis in a long paragraph that is not closed for pages. Such blocks are parsed again
//! later, see [`super::stream`].

mod words;

use super::depth::LEVELS;
use super::node::{Kind, Node, Origin};
use super::open::{Open, open_of};
use super::parse::Own;
use super::parts::PART;

/// A paragraph has commit points within itself when it is longer than this, in bytes.
pub(super) const LONG_PARAGRAPH: usize = 1536;

/// When it is longer than this, it has one even where emphasis is open.
const TOO_LONG_PARAGRAPH: usize = 8192;

/// A commit point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CommitPoint {
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

/// How long a paragraph may be before it is committed in pieces, and how deep a text may nest. Tests make both small.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// From this length, in bytes, at words before which nothing is open.
    pub(super) long: usize,
    /// From this length, in bytes, at any word.
    pub(super) too_long: usize,
    /// How deep containers and marks may nest, see [`super::depth`].
    pub(super) levels: usize,
    /// From this length, in bytes, it is shown in parts, see [`super::parts`].
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

/// The last commit point of `source`, of which only whole lines were parsed into `nodes`. `open` is what is
/// open where the source's own text begins.
pub(super) fn last_commit_point(
    nodes: &[Node],
    source: &str,
    own: Own,
    open: &[Open],
    limits: Limits,
) -> Option<CommitPoint> {
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
        // Its start was committed before, so it is open at the beginning of the source.
        let is_spine = last.start < from;
        if !is_spine {
            let found = if let Kind::Part { is_heading } = last.kind {
                if !is_part_certain(level, source, from) {
                    return best;
                }
                Some(before_part(last, index, is_heading, &path, &around))
            } else {
                let line = line_start(source, last.start);
                let has_own_line = opener_line.is_none_or(|opener| line > opener);
                (has_own_line && line > from).then(|| before_block(index, line, &path, &around))
            };
            best = found.or(best);
        }
        let inner = if is_spine {
            open.get(path.len()).cloned()
        } else {
            open_of(last, source, &around)
        };
        let Some(inner) = inner else { return best };
        // Whether a list is loose shows only where an item has text of its own.
        let is_list_without_text = matches!(last.kind, Kind::List { has_text, .. } if !has_text);
        if !is_spine && is_list_without_text {
            return best;
        }
        path.push(index);
        around.push(inner.clone());
        if !is_spine {
            opener_line = Some(line_start(source, last.start));
        }
        let point = match inner {
            Open::Fence(..) | Open::Indented => within_line(last, source, from, limits)
                .or_else(|| at_line(last, source, from, opener_line)),
            // A line of HTML may have said already that the block ends with it.
            Open::Raw(_) => at_line(last, source, from, opener_line),
            Open::Paragraph | Open::Part { .. } => {
                words::within_paragraph(last, source, own, limits)
            }
            _ if last.children.is_empty() => None,
            _ => {
                level = &last.children;
                continue;
            }
        };
        let placed = |point| CommitPoint {
            path,
            open: around,
            ..point
        };
        return point.map(placed).or(best);
    }
}

/// Whether the last of these nodes, a part of a long paragraph, is certain to be one.
fn is_part_certain(level: &[Node], source: &str, from: usize) -> bool {
    let Some(last) = level.last() else {
        return false;
    };
    let is_first = |node: &&Node| !matches!(node.kind, Kind::Part { .. });
    let paragraph = level.iter().rfind(is_first).unwrap_or(last);
    let may_be_definition = paragraph.start >= from && may_define(&source[paragraph.start..]);
    last.start < certain_end(last, source, from) && !may_be_definition
}

/// The commit point before a part of a long paragraph, which begins within a line.
fn before_part(
    last: &Node,
    index: usize,
    is_heading: bool,
    path: &[usize],
    around: &[Open],
) -> CommitPoint {
    let part = Open::Part { is_heading };
    CommitPoint {
        path: path.iter().copied().chain([index]).collect(),
        open: around.iter().cloned().chain([part]).collect(),
        is_mid_line: true,
        ..point_at(0, 0, last.start, true)
    }
}

/// The commit point before a block that begins on a line of its own.
fn before_block(index: usize, line: usize, path: &[usize], around: &[Open]) -> CommitPoint {
    CommitPoint {
        path: path.to_vec(),
        open: around.to_vec(),
        index,
        text_at: None,
        at: line,
        is_mid_line: false,
        is_forced: false,
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
fn at_line(
    node: &Node,
    source: &str,
    from: usize,
    opener_line: Option<usize>,
) -> Option<CommitPoint> {
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
    Some(point_at(index, text_at(text, origins, at), at, false))
}

/// A place within the last line of a block of code, if that is very long: before a letter, which means nothing there
/// that begins or ends a block.
fn within_line(node: &Node, source: &str, from: usize, limits: Limits) -> Option<CommitPoint> {
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
    // Only what is shown as it is written tells where in the text it is.
    let origin = origins
        .iter()
        .rfind(|origin| (origin.source..origin.source + origin.len).contains(&at))?;
    Some(point_at(index, origin.at + (at - origin.source), at, true))
}

/// Where in the text of a block of code or HTML the line begins that begins at `at` in the source.
fn text_at(text: &str, origins: &[Origin], at: usize) -> usize {
    match origins
        .iter()
        .position(|origin| origin.source + origin.len > at)
    {
        // The closing fence has no text of its own, so the block's text ends before it.
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

fn point_at(index: usize, text_at: usize, at: usize, is_mid_line: bool) -> CommitPoint {
    CommitPoint {
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
