//! Commits blocks of the tail: finds the commit point, makes sure that what is behind it means the same without what
//! is before it, and forgets what is before it.

use std::collections::HashSet;
use std::mem::discriminant;
use std::ops::Range;

use super::super::commit_point::{self, CommitPoint, Limits};
use super::super::definitions::Label;
use super::super::direction;
use super::super::formulas::{self, LineDollars};
use super::super::node::{Direction, Kind, Node};
use super::super::open::{Open, reopening_prefix};
use super::super::parse::Own;
use super::super::patch::{Dom, Shown, units};
use super::super::waiting::Unit;
use super::tail::{Tail, starts};
use super::{HEAVY, Stream};

impl<D: Dom> Stream<D> {
    /// Whether the line that goes on may turn out to head a table.
    pub(super) fn goes_on_with_pipe(&self, text: &str) -> bool {
        let end = &text.as_bytes()[self.base..];
        let line = memchr::memchr2(b'\n', b'\r', end).map_or(end, |length| &end[..length]);
        self.is_in_paragraph() && memchr::memchr(b'|', line).is_some()
    }

    /// Whether what is not final begins within a line of a paragraph.
    fn is_in_paragraph(&self) -> bool {
        let is_paragraph = match self.open.last() {
            Some(Open::Part { is_heading }) => !is_heading,
            open => open == Some(&Open::Paragraph),
        };
        self.is_mid_line && is_paragraph
    }

    /// Notes that the paragraph that is open may be something else than what is final of it says: the head of a table,
    /// or a heading.
    pub(super) fn require_reparse(&mut self) {
        if matches!(self.open.as_slice(), [Open::Part { .. }]) {
            // It begins in an earlier block.
            self.must_reparse_all = true;
        } else {
            self.block.must_reparse = true;
            self.block.has_other_paragraph = true;
        }
    }

    /// Makes as much of the text final as can be.
    pub(super) fn commit(&mut self, text: &str) {
        let end = &text[self.base..];
        let whole_lines = end.rfind(['\n', '\r']).map_or("", |at| &end[..=at]);
        let rest = end.len() - whole_lines.len();
        let mut found = self.find_commit_point(whole_lines);
        if rest > self.limits.long {
            let within = self
                .find_commit_point(end)
                .filter(|(point, _)| point.is_mid_line);
            found = within.or(found);
        }
        let Some((point, tail)) = found else { return };
        if self.block.is_whole && !point.path.is_empty() && point.path[0] == 0 {
            return;
        }
        if point.is_forced || !self.shows(&point, &tail) {
            // What was predicted for a mark that may never be closed is taken back.
            self.render(text, false);
        }
        let final_to = point.at;
        for (label, definition, end) in &tail.parsed.defined {
            if *end <= final_to {
                self.define(label, definition);
            }
        }
        if self.stands_alone(&point, &tail) && self.apply(&point, &tail) {
            self.reparse_defined(text);
        }
    }

    fn find_commit_point(&self, end: &str) -> Option<(CommitPoint, Tail)> {
        // A text that is much work for its length is committed in pieces as a long one is, before new pieces of
        // the text have to wait for it.
        let limits = if self.work > HEAVY / 2 {
            Limits {
                too_long: self.limits.long,
                ..self.limits
            }
        } else {
            self.limits
        };
        let mut tail = self.parse_tail(end);
        let from = tail.own.from;
        if let Some(pending) = tail.parsed.pending() {
            // What a display formula holds is no Markdown once it is closed.
            let before = end.get(..pending.line.saturating_sub(from))?;
            if before.is_empty() {
                return None;
            }
            tail = self.parse_tail(before);
        }
        if !self.fit(&mut tail.parsed.nodes, from) {
            return None;
        }
        tail.starts = starts(&tail.parsed.nodes, &tail);
        let point = commit_point::last_commit_point(
            &tail.parsed.nodes,
            &tail.source,
            tail.own,
            &self.open,
            limits,
        )?;
        Some((point, tail))
    }

    /// Whether what is after a commit point means the same without what is before it. By all we know it
    /// does; should the parser know a case that we do not, there is no commit point.
    fn stands_alone(&self, point: &CommitPoint, tail: &Tail) -> bool {
        if self.is_within_fence(point, tail) {
            return true;
        }
        let rest = &tail.source[point.at..];
        let lines = reopening_prefix(&point.open, point.is_mid_line);
        let at = self.base + (point.at - tail.own.from);
        let before = at.saturating_sub(self.paragraph_at(point, tail));
        let alone = self.read(&lines, rest, |own| Own {
            dollars: dollars_before(point, tail),
            ..own.going_on(&point.open, before)
        });
        let from = alone.own.from;
        // What finds the formulas has a view of its own of what is open.
        if formulas::state_behind(&tail.source, tail.own)
            != formulas::state_behind(&alone.source, alone.own)
        {
            return false;
        }
        let (mut expect, mut got) = (tail.parsed.nodes.as_slice(), alone.parsed.nodes.as_slice());
        for index in &point.path {
            let Some((open, later)) = expect.get(*index..).and_then(<[Node]>::split_first) else {
                return false;
            };
            let (inner, got_later): (&[Node], _) = match got.split_first() {
                Some((first, later)) if first.start < from => {
                    if !first.kind.is_same_block(&open.kind) {
                        return false;
                    }
                    (&first.children, later)
                }
                _ => (&[], got),
            };
            if !means_same(later, got_later, 0) {
                return false;
            }
            (expect, got) = (&open.children, inner);
        }
        expect
            .get(point.index..)
            .is_some_and(|expect| means_same(expect, got, point.text_at.unwrap_or(0)))
    }

    /// Whether a commit point is between two lines of a block of code that nothing before it can have closed, since
    /// no container is around it and the character of its fence has not come. What follows is more of its lines.
    fn is_within_fence(&self, point: &CommitPoint, tail: &Tail) -> bool {
        let ([Open::Fence(fence, _)], [Open::Fence(same, _)]) =
            (self.open.as_slice(), point.open.as_slice())
        else {
            return false;
        };
        let committed = &tail.source.as_bytes()[tail.own.from..point.at];
        fence == same
            && !point.is_mid_line
            && memchr::memchr(fence.as_bytes()[0], committed).is_none()
    }

    /// Where the paragraph, or the part of one, begins that is open at a commit point.
    fn paragraph_at(&self, point: &CommitPoint, tail: &Tail) -> usize {
        match node_at(&tail.parsed.nodes, &point.path) {
            Some(node) if node.start >= tail.own.from => self.base + (node.start - tail.own.from),
            _ => self.paragraph,
        }
    }

    /// Whether what is shown before a commit point is what is there.
    fn shows(&self, point: &CommitPoint, tail: &Tail) -> bool {
        let mut shown = self.shown.as_slice();
        let mut nodes = tail.parsed.nodes.as_slice();
        for index in point.path.iter().chain([&point.index]) {
            let (Some(a), Some(b)) = (shown.get(*index), nodes.get(*index)) else {
                return false;
            };
            if !shown[..*index].iter().zip(nodes).all(|(a, b)| shows(a, b)) {
                return false;
            }
            let is_same = match (&a.kind, &b.kind, point.text_at) {
                (Kind::Text(a, _), Kind::Text(b, _), Some(at)) => a.get(..at) == b.get(..at),
                // What more is known of it may still change.
                (a, b, _) => discriminant(a) == discriminant(b),
            };
            if !is_same {
                return false;
            }
            (shown, nodes) = (&a.children, &b.children);
        }
        true
    }

    /// Forgets what is before a commit point; says whether it could.
    fn apply(&mut self, point: &CommitPoint, tail: &Tail) -> bool {
        if !self.shows(point, tail) {
            return false;
        }
        let way: Vec<_> = point.path.iter().copied().chain([point.index]).collect();
        let at = self.base + (point.at - tail.own.from);
        let closed = if point.path.is_empty() {
            point.index
        } else {
            point.path[0]
        };
        let has_closed = closed > 0;
        self.close(tail, closed, at);
        if has_closed {
            self.block.start = if point.path.is_empty() {
                at
            } else {
                self.base + (tail.starts[closed] - tail.own.from)
            };
        }
        self.block.must_reparse |= point.is_forced;
        self.paragraph = self.paragraph_at(point, tail);
        let mut level = &mut self.shown;
        for (depth, index) in way.iter().enumerate() {
            level.drain(..index);
            if depth + 1 < way.len() {
                let Some(first) = level.first_mut() else {
                    return false;
                };
                level = &mut first.children;
            }
        }
        if let Some(text_at) = point.text_at.filter(|at| *at > 0)
            && let Some(first) = level.first_mut()
            && let Kind::Text(text, _) = &mut first.kind
        {
            if text_at >= text.len() {
                level.remove(0);
            } else {
                let second = self.dom.split_text(&first.outer, units(&text[..text_at]));
                let is_paragraph =
                    matches!(point.open.last(), Some(Open::Paragraph | Open::Part { .. }));
                if point.is_mid_line && is_paragraph && can_break_shaping(&text[..text_at]) {
                    self.dom.shaping_break(&second);
                    self.block.has_shaping_breaks = true;
                }
                text.drain(..text_at);
                first.outer = second.clone();
                first.inner = second;
            }
        }
        self.base = at;
        self.certain = self.certain_before(point, tail);
        self.open.clone_from(&point.open);
        self.is_mid_line = point.is_mid_line;
        self.dollars = dollars_before(point, tail);
        let line = &tail.source[commit_point::line_start(&tail.source, point.at)..point.at];
        if self.is_in_paragraph() && line.contains('|') {
            self.require_reparse();
        }
        true
    }

    /// What is certain of each block that is open at a commit point: what is before that says it.
    fn certain_before(&self, point: &CommitPoint, tail: &Tail) -> Vec<Kind> {
        let mut all = Vec::with_capacity(point.path.len());
        let (mut level, mut was_open, mut is_nested) = (tail.parsed.nodes.as_slice(), true, false);
        for (depth, index) in point.path.iter().enumerate() {
            let Some(node) = level.get(*index) else { break };
            was_open &= *index == 0;
            let mut kind = node.kind.clone();
            kind.set_direction(Direction::new(
                direction::of_node(node, point.at),
                is_nested,
            ));
            if let Kind::List { has_text, .. } = &mut kind {
                *has_text = has_text_before(&node.children, point.at);
            }
            if let Some(known) = self.certain.get(depth).filter(|_| was_open) {
                let found = std::mem::replace(&mut kind, known.clone());
                kind.join(&found);
            }
            all.push(kind);
            is_nested |= direction::gives_direction(&node.kind);
            level = &node.children;
        }
        all
    }

    /// Notes what the first blocks of the end define and lack before they are forgotten. All of them
    /// but the last have ended if `closed` counts them; `at` is where what is final ends.
    pub(super) fn close(&mut self, tail: &Tail, closed: usize, at: usize) {
        let from = tail.own.from;
        let final_to = from + (at - self.base);
        let starts = &tail.starts;
        // A definition that is not final may change: what uses it is read again when it is final.
        let uses = self.uses_of_uncertain(tail);
        let lacking = |range: Range<usize>| {
            let uses = uses.iter().map(|(label, place, _)| (*label, *place));
            let missing = tail.parsed.missing.iter();
            missing
                .map(|(label, place)| (label, *place))
                .chain(uses)
                .filter(move |(_, place)| range.contains(place))
                .map(|(label, _)| label.clone())
        };
        // A definition on an unfinished line may even turn out to be none.
        let may_lose = |range: Range<usize>| {
            let mut unfinished = uses.iter().filter(|(.., is_unfinished)| *is_unfinished);
            unfinished.any(|(_, place, _)| range.contains(place))
        };
        for index in 0..closed {
            let start = starts.get(index).copied().unwrap_or(final_to);
            let end = starts.get(index + 1).copied().unwrap_or(final_to);
            let place = start..end.max(start);
            let mut missing: Vec<_> = lacking(place.clone()).collect();
            let mut range = self.base + (start - from)..self.base + (end - from);
            let (mut must_reparse, mut has_shaping_breaks) = (may_lose(place), false);
            if index == 0 {
                let block = std::mem::take(&mut self.block);
                missing.extend(block.missing);
                range.start = block.start;
                must_reparse |= block.must_reparse;
                has_shaping_breaks = block.has_shaping_breaks;
                let next = self.shown.get(1).map(|next| &next.kind);
                if block.has_other_paragraph && matches!(next, Some(Kind::Part { .. })) {
                    self.must_reparse_all = true;
                }
            }
            let Some(shown) = self.shown.get(index) else {
                continue;
            };
            if has_shaping_breaks {
                self.dom.remove_shaping_breaks(&shown.outer);
            }
            if missing.is_empty() && !must_reparse {
                continue;
            }
            let unit = Unit {
                range,
                outer: shown.outer.clone(),
                kind: shown.kind.clone(),
                missing,
                must_reparse,
            };
            self.waiting.add(unit, &self.definitions);
        }
        let start = if closed == 0 {
            from
        } else {
            starts.get(closed).copied().unwrap_or(final_to)
        };
        let rest = start..final_to.max(start);
        self.block.must_reparse |= may_lose(rest.clone());
        self.block.missing.extend(lacking(rest));
    }

    /// The references whose definitions are not final, where each is, and whether its definition is on a line
    /// that has not ended.
    fn uses_of_uncertain<'t>(&self, tail: &'t Tail) -> Vec<(&'t Label, usize, bool)> {
        let used = tail.parsed.used.iter();
        let uncertain: Vec<_> = used
            .filter(|(label, _)| !self.definitions.knows(label))
            .collect();
        if uncertain.is_empty() {
            return Vec::new();
        }
        let last_line = memchr::memrchr2(b'\n', b'\r', tail.source.as_bytes());
        let last_line = last_line.map_or(0, |end| end + 1);
        let defined = tail.parsed.defined.iter();
        let finished: HashSet<_> = defined
            .filter(|(.., end)| *end <= last_line)
            .map(|(label, ..)| label)
            .collect();
        let uses = uncertain.into_iter();
        uses.map(|(label, place)| (label, *place, !finished.contains(label)))
            .collect()
    }
}

/// The dollars before a commit point, on its line.
fn dollars_before(point: &CommitPoint, tail: &Tail) -> LineDollars {
    let own = tail.own;
    own.dollars.on_line(&tail.source, own.from, point.at)
}

/// Whether an item of a list has text of its own before this place.
fn has_text_before(items: &[Node], at: usize) -> bool {
    let mut children = items.iter().flat_map(|item| &item.children);
    children.any(|child| child.kind == Kind::Paragraph && child.start < at)
}

/// Whether this is what is shown.
fn shows<N>(shown: &Shown<N>, node: &Node) -> bool {
    let is_same = match (&shown.kind, &node.kind) {
        (Kind::Text(a, _), Kind::Text(b, _)) => a == b,
        (a, b) => a == b,
    };
    is_same
        && shown.children.len() == node.children.len()
        && shown
            .children
            .iter()
            .zip(&node.children)
            .all(|(a, b)| shows(a, b))
}

/// Whether nodes mean the same, but for the first bytes of the first text.
fn means_same(expect: &[Node], got: &[Node], skip: usize) -> bool {
    // A text that ends where the other begins is none.
    let expect = match expect.split_first() {
        Some((first, rest))
            if skip > 0 && matches!(&first.kind, Kind::Text(text, _) if text.len() <= skip) =>
        {
            rest
        }
        _ => expect,
    };
    expect.len() == got.len()
        && expect.iter().zip(got).enumerate().all(|(index, (a, b))| {
            let skip = if index == 0 { skip } else { 0 };
            let is_same = match (&a.kind, &b.kind) {
                (Kind::Text(a, _), Kind::Text(b, _)) => {
                    a.get(skip.min(a.len())..) == Some(b.as_str())
                }
                (Kind::List { .. }, Kind::List { .. }) => {
                    discriminant(&a.kind) == discriminant(&b.kind)
                }
                (a, b) => a == b,
            };
            is_same && means_same(&a.children, &b.children, 0)
        })
}

/// Whether there can be a shaping break behind this text: not where letters may be joined.
fn can_break_shaping(before: &str) -> bool {
    before
        .chars()
        .next_back()
        .is_some_and(|c| c.is_whitespace() || matches!(c, '\u{3041}'..='\u{9fff}'))
}

fn node_at<'a>(nodes: &'a [Node], way: &[usize]) -> Option<&'a Node> {
    let (first, rest) = way.split_first()?;
    let node = nodes.get(*first)?;
    if rest.is_empty() {
        Some(node)
    } else {
        node_at(&node.children, rest)
    }
}
