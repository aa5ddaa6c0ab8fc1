//! A very long paragraph is shown in parts, each an element of its own.
//!
//! A browser sets a paragraph as a whole, and marks in it can reach over all of it. So without a bound both the
//! work for a word that comes and the longest task of the page would grow with the paragraph. Marks do not reach
//! over the border of two parts. Where a part ends depends on the text up to there alone, so a text that streams has
//! the same parts as one that is read at once.

use super::definitions::{Definitions, Label};
use super::masks::Masked;
use super::node::{Kind, Node};
use super::open::{Open, open_of, reopening_prefix};
use super::parse::{Own, Parsed, WHITE_SPACE, parse};

/// A paragraph that is longer than this is shown in parts of at most this, in bytes.
pub(super) const PART: usize = 16 * 1024;

/// From where on a part that begins at `begin` may end. What is before is in no case the border, so there a text
/// that streams can be cut.
pub(super) fn earliest_end(begin: isize, part: usize) -> usize {
    usize::try_from(begin + signed(part - part / 16)).unwrap_or(0)
}

/// Where the part ends that begins at `begin`, if the paragraph ends at `end`; `None` if that is not longer than
/// a part. Nothing before `from` can be the border.
fn end_of_part(source: &str, begin: isize, from: usize, end: usize, part: usize) -> Option<usize> {
    let latest = usize::try_from(begin + signed(part)).unwrap_or(0);
    if end <= latest {
        return None;
    }
    let earliest = earliest_end(begin, part).max(from + 1);
    let bytes = source.as_bytes();
    let is_word = |at: &usize| {
        bytes[at - 1].is_ascii_whitespace()
            && !bytes[*at].is_ascii_whitespace()
            && !(bytes[*at] == b'>' && is_in_prefix(source, *at))
    };
    if let Some(word) = (earliest..=latest).rev().find(is_word) {
        return Some(word);
    }
    let mut at = latest.max(from + 1);
    if bytes[at].is_ascii_whitespace() {
        // A part begins with something that shows.
        return (at..end).find(is_word);
    }
    while !source.is_char_boundary(at) {
        at -= 1;
    }
    (at > from).then_some(at)
}

/// Whether only marks of containers stand before this place on its line.
fn is_in_prefix(source: &str, at: usize) -> bool {
    let before = source.as_bytes()[..at].iter().rev();
    let mut before = before.skip_while(|byte| matches!(byte, b' ' | b'\t' | b'>'));
    before
        .next()
        .is_none_or(|byte| matches!(byte, b'\n' | b'\r'))
}

fn signed(length: usize) -> isize {
    isize::try_from(length).unwrap_or(isize::MAX / 4)
}

/// Where a node would begin if the lines of the reopening prefix were as long as what they stand for.
pub(super) fn begin_of(node: &Node, own: Own) -> isize {
    if node.start < own.from {
        signed(own.from) - signed(own.before)
    } else {
        signed(node.start)
    }
}

/// Whether a paragraph or a heading whose text ends at `end` is so long that it is shown in parts.
pub(super) fn is_long(node: &Node, end: usize, own: Own) -> bool {
    signed(end.min(own.to)) - begin_of(node, own) > signed(own.part)
}

/// What the parser leaves out at the end of a paragraph. It keeps a line of any other white space.
const BLANK: [char; 4] = [' ', '\t', '\n', '\r'];

/// Where the text of a paragraph or a heading ends: neither spaces behind it nor the line below a heading are text.
fn end_of_text(node: &Node, source: &str, own: Own) -> usize {
    let mut text = source[..node.end.min(own.to)].trim_end_matches(BLANK);
    if matches!(node.kind, Kind::Heading(_)) && text_of_heading(node, source, own).is_none() {
        let line = memchr::memrchr(b'\n', text.as_bytes());
        text = line.map_or(text, |line| text[..line].trim_end_matches(BLANK));
    }
    text.len().max(node.start)
}

/// Where the text of a heading begins that begins with `#`, or of a later part of one; `None` if it is none. The line
/// of the reopening prefix for a part of one has that character, too.
fn text_of_heading(node: &Node, source: &str, own: Own) -> Option<usize> {
    if !matches!(node.kind, Kind::Heading(_)) && node.start >= own.from {
        return None;
    }
    let text = source[node.start..].trim_start_matches([' ', '\t']);
    let rest = text.trim_start_matches('#');
    let is_heading = (1..=6).contains(&(text.len() - rest.len())) && rest.starts_with(WHITE_SPACE);
    is_heading.then(|| source.len() - rest.trim_start_matches(WHITE_SPACE).len())
}

/// Puts parts in the place of each long paragraph that was read from `source`.
pub(super) fn split(parsed: &mut Parsed, source: &str, own: Own, known: &Definitions) {
    let mut known = known.clone();
    for (label, definition, _) in &parsed.defined {
        known.add(label.clone(), definition.clone());
    }
    let masked = parsed.masked.take();
    let mut splitter = Splitter {
        source,
        masked: masked.as_ref(),
        own,
        known,
        missing: Vec::new(),
        used: Vec::new(),
    };
    let nodes = std::mem::take(&mut parsed.nodes);
    parsed.nodes = splitter.split_all(nodes, &mut Vec::new());
    parsed.missing.append(&mut splitter.missing);
    parsed.used.append(&mut splitter.used);
    parsed.masked = masked;
}

/// What the parts are read with.
struct Splitter<'a> {
    source: &'a str,
    masked: Option<&'a Masked>,
    own: Own,
    known: Definitions,
    missing: Vec<(Label, usize)>,
    used: Vec<(Label, usize)>,
}

impl Splitter<'_> {
    /// Whether a paragraph is a display formula. It stays one, whatever its length.
    fn is_formula(&self, node: &Node) -> bool {
        let formula = self
            .masked
            .and_then(|masked| masked.formula(&(node.start..node.end)));
        formula.is_some_and(|formula| formula.is_block && formula.range.start == node.start)
    }

    fn split_all(&mut self, nodes: Vec<Node>, around: &mut Vec<Open>) -> Vec<Node> {
        let mut all = Vec::with_capacity(nodes.len());
        for mut node in nodes {
            match node.kind {
                Kind::Paragraph | Kind::Heading(_)
                    if !self.is_formula(&node)
                        && is_long(&node, end_of_text(&node, self.source, self.own), self.own) =>
                {
                    let is_heading = text_of_heading(&node, self.source, self.own).is_some();
                    around.push(Open::Part { is_heading });
                    self.split_one(&node, around, &mut all);
                    around.pop();
                    continue;
                }
                Kind::Quote(_) | Kind::List { .. } | Kind::Item(_) | Kind::Footnote(_) => {
                    if let Some(open) = open_of(&node, self.source, around) {
                        around.push(open);
                        node.children = self.split_all(node.children, around);
                        around.pop();
                    }
                }
                _ => {}
            }
            all.push(node);
        }
        all
    }

    /// Adds the parts of a paragraph to `all`.
    fn split_one(&mut self, node: &Node, around: &[Open], all: &mut Vec<Node>) {
        let own = self.own;
        let is_heading = matches!(around.last(), Some(Open::Part { is_heading: true }));
        let end = end_of_text(node, self.source, own);
        let rest = &self.source[end..own.to.max(end)];
        let is_last = rest.trim_end_matches(BLANK).is_empty();
        // What marks a heading is no text of it.
        let text = text_of_heading(node, self.source, self.own).unwrap_or(node.start);
        let (mut begin, mut from) = (begin_of(node, own), text.max(own.from));
        let mut first = Some(Node::new(Kind::Paragraph, node.start, end));
        loop {
            let next = end_of_part(self.source, begin, from, end, own.part);
            let mut part = first
                .take()
                .unwrap_or_else(|| Node::new(Kind::Part { is_heading }, from, end));
            // The characters that complete a text stand behind its end.
            let to = match next {
                Some(next) => next,
                None if is_last => self.source.len(),
                None => end,
            };
            part.end = to.min(end);
            part.children = self.read(from, to, around);
            all.push(part);
            let Some(next) = next else { break };
            (begin, from) = (signed(next), next);
        }
    }

    /// Reads a part among what is open around it.
    fn read(&mut self, from: usize, to: usize, around: &[Open]) -> Vec<Node> {
        let written = &self.source[from..to];
        // The line on which the part ends may go on in the next part, and be something else without that, like a rule.
        for goes_on in ["", GOES_ON] {
            if let Some(nodes) = self.read_among(from, written, goes_on, around) {
                return nodes;
            }
        }
        // Alone it is something else, like the head of a table: then it is shown as it was written.
        let text = Kind::Text(written.to_owned(), Vec::new());
        vec![Node::new(text, from, to)]
    }

    /// Reads a part with what follows it; `None` if it is no part of a paragraph then.
    fn read_among(
        &mut self,
        from: usize,
        written: &str,
        after: &str,
        around: &[Open],
    ) -> Option<Vec<Node>> {
        let mut text = self.known.footnote_lines(written);
        text.push_str(&reopening_prefix(around, true));
        let begin = text.len();
        text.push_str(written);
        text.push_str(after);
        let own = Own {
            from: begin,
            to: begin + (self.own.to - from).min(written.len()),
            part: usize::MAX / 4,
            before: 0,
            is_part: false,
            dollars: self.own.dollars.on_line(self.source, self.own.from, from),
            ..self.own
        };
        let parsed = parse(&text, own, &self.known);
        let mut children = within(parsed.nodes, begin, around)?;
        if !after.is_empty() {
            without_end(children.last_mut()?, after)?;
        }
        let moved = |at: usize| at.saturating_sub(begin) + from;
        let missing = parsed.missing.into_iter();
        self.missing
            .extend(missing.map(|(label, at)| (label, moved(at))));
        let used = parsed.used.into_iter();
        self.used.extend(used.map(|(label, at)| (label, moved(at))));
        for child in &mut children {
            move_all(child, &moved);
        }
        Some(children)
    }
}

/// What makes clear that a line goes on, and is no part of a mark or an address before it.
const GOES_ON: &str = " x";

/// Takes from a text what was added behind it; `None` if it is no text, or does not end with that.
fn without_end(node: &mut Node, end: &str) -> Option<()> {
    let Kind::Text(text, origins) = &mut node.kind else {
        return None;
    };
    let length = text.strip_suffix(end)?.trim_end_matches(' ').len();
    text.truncate(length);
    origins.retain(|origin| origin.at < length);
    if let Some(last) = origins.last_mut() {
        last.len = last.len.min(length - last.at);
    }
    Some(())
}

/// What the only node in as many levels of only nodes as are open around it holds, if all of these began before `from`
/// and the last one is a paragraph, or a heading of one line where that is open.
fn within(nodes: Vec<Node>, from: usize, around: &[Open]) -> Option<Vec<Node>> {
    let mut nodes = nodes;
    for open in around {
        let node = nodes.pop()?;
        let is_open = match open {
            Open::Part { is_heading: true } => matches!(node.kind, Kind::Heading(_)),
            Open::Part { .. } => node.kind == Kind::Paragraph,
            _ => !matches!(node.kind, Kind::Paragraph | Kind::Heading(_)),
        };
        if !nodes.is_empty() || node.start >= from || !is_open {
            return None;
        }
        nodes = node.children;
    }
    Some(nodes)
}

/// Moves a node with all that it holds to another place of the source.
fn move_all(node: &mut Node, moved: &impl Fn(usize) -> usize) {
    node.start = moved(node.start);
    node.end = moved(node.end);
    if let Kind::Text(_, origins) = &mut node.kind {
        for origin in origins {
            origin.source = moved(origin.source);
        }
    }
    for child in &mut node.children {
        move_all(child, moved);
    }
}
