//! A text that grows, shown as what it means so far.
//!
//! Only its end is ever read again. What stands before the last cut (see `cut.rs`) is final: it
//! is not read, and its elements are not even known here any more. The end is read as if a few lines
//! stood before it that open what is open there (see `open.rs`), and shown as what it will most
//! likely become (see `predict.rs`).
//!
//! Three things can change what is final, and each is mended in its block alone: a definition that
//! comes after its use, a mark that is closed only after pages, and an underline that makes a long
//! paragraph a heading. So at the end all is as if the whole text had been read at once.

use std::collections::HashSet;
use std::mem::discriminant;
use std::ops::Range;

use super::cut::{self, Cut, Limits};
use super::definitions::{Definition, Definitions, Label};
use super::node::{Kind, Node};
use super::open::{Open, scene};
use super::parse::{Own, Parsed, parse, with_line_feeds};
use super::patch::{Dom, Shown, adopt, patch, units};
use super::predict::predict;
use super::waiting::{Unit, Waiting};

/// After so many new bytes it is looked for a place to cut.
const STEP: usize = 768;

/// An end that cannot be cut is not read again for every few bytes when reading it takes more work than this,
/// in bytes of usual text.
const HEAVY: usize = 24 * 1024;

/// An event of the parser is as much work as so many bytes of usual text: most become elements, which are compared,
/// made and laid out.
const EVENT: usize = 16;

/// At the end, so many bytes of final blocks are read again in one step.
const MEND_STEP: usize = 16 * 1024;

/// A text that grows.
pub struct Stream<D: Dom> {
    dom: D,
    root: D::Node,
    /// What is on the screen and may still change. Along what is open, the first child of each level.
    shown: Vec<Shown<D::Node>>,
    /// Where the end begins that is read again, in bytes.
    base: usize,
    /// What is open there.
    open: Vec<Open>,
    is_mid_line: bool,
    /// Where the paragraph, or the part of one, begins that is open there.
    paragraph: usize,
    /// How much of the text has been shown.
    read: usize,
    /// How much work it was to read the end the last time, in bytes of usual text.
    work: usize,
    /// Whether a paragraph had parts when the end was read the last time.
    has_parts: bool,
    /// How long the end may become before it is cut again.
    next_cut: usize,
    definitions: Definitions,
    block: Block,
    /// Final blocks in which something is not defined yet.
    waiting: Waiting<D::Node>,
    /// Whether a block could not be mended alone. It is rare, and then all is read again at the end.
    must_mend_all: bool,
    /// Whether all of the text is shown and only final blocks have to be read again.
    has_ended: bool,
    limits: Limits,
    step: usize,
}

/// The outermost block that is open.
#[derive(Default)]
struct Block {
    /// Where it begins, in bytes.
    start: usize,
    /// What it refers to and nothing defines.
    missing: Vec<Label>,
    /// Whether it has to be read again when it is closed.
    must_mend: bool,
    /// Whether a paragraph in it may be something else than what is final of it says.
    has_other_paragraph: bool,
    /// Whether it is not cut any more.
    is_whole: bool,
    /// Whether there are seams in it, which go when it is closed.
    has_seams: bool,
}

impl<D: Dom> Stream<D> {
    /// An empty text in an empty element.
    pub fn new(dom: D, root: D::Node) -> Self {
        Self::with_limits(dom, root, STEP, Limits::default())
    }

    pub(super) fn with_limits(dom: D, root: D::Node, step: usize, limits: Limits) -> Self {
        Self {
            dom,
            root,
            shown: Vec::new(),
            base: 0,
            open: Vec::new(),
            is_mid_line: false,
            paragraph: 0,
            read: 0,
            work: 0,
            has_parts: false,
            next_cut: step,
            definitions: Definitions::default(),
            block: Block::default(),
            waiting: Waiting::default(),
            must_mend_all: false,
            has_ended: false,
            limits,
            step,
        }
    }

    /// The document in which it is shown.
    pub fn dom(&mut self) -> &mut D {
        &mut self.dom
    }

    /// How much of a text is read again for each piece.
    #[cfg(test)]
    pub(super) fn end_length(&self, text: &str) -> usize {
        text.len() - self.base
    }

    /// The element in which the text ends.
    pub fn last_element(&self) -> &D::Node {
        let mut element = &self.root;
        let mut level = &self.shown;
        loop {
            let last = match level.last().map(|last| &last.kind) {
                // Cells that a row does not have yet are empty.
                Some(Kind::Cell { .. }) => level
                    .iter()
                    .rfind(|cell| !cell.children.is_empty())
                    .or(level.first()),
                Some(
                    Kind::Text(..)
                    | Kind::Break
                    | Kind::Rule
                    | Kind::Math { .. }
                    | Kind::FootnoteReference(_)
                    | Kind::ShowImage,
                )
                | None => None,
                Some(_) => level.last(),
            };
            let Some(last) = last else { return element };
            element = &last.inner;
            level = &last.children;
        }
    }

    /// Shows a text that has only grown since the last time.
    pub fn show(&mut self, text: &str) {
        // A line feed may follow and belong to it.
        let text = text.strip_suffix('\r').unwrap_or(text);
        let end = text.len() - self.base;
        let new = text.len() - self.read;
        // What stands before the end to set its scene is read with it, and can be much: a table's head.
        let work = self.work.max(end);
        if new == 0 || (work > HEAVY && new < work / 16) {
            return;
        }
        // A line of code is final at once: only then can it be coloured.
        let has_new_line = memchr::memchr2(b'\n', b'\r', &text.as_bytes()[self.read..]).is_some();
        self.read = text.len();
        let had_parts = self.has_parts;
        self.has_parts = self.render(text, true).parsed.has_parts;
        // A part that has ended is final. Until it is cut off it would be read twice for each piece.
        let has_ended_part = self.has_parts && !had_parts;
        if end >= self.next_cut || has_ended_part || (has_new_line && self.is_in_code()) {
            self.cut(text);
            let left = text.len() - self.base;
            self.next_cut = left + self.step.max(left / 4);
            if left < end {
                // The lines that set the scene are still read with it.
                let lines = scene(&self.open, self.is_mid_line).len();
                self.work = (self.work / end * left).max(lines * EVENT / 4);
            }
        }
    }

    /// Whether the text ends in a block of code.
    fn is_in_code(&self) -> bool {
        let mut last = self.shown.last();
        while let Some(shown) = last {
            if matches!(shown.kind, Kind::CodeBlock { .. }) {
                return true;
            }
            last = shown.children.last();
        }
        false
    }

    /// Shows the whole text; nothing more will come.
    pub fn end(&mut self, text: &str) {
        while !self.end_in_part(text) {}
    }

    /// Shows the whole text, or does a part of the work for that; says whether all is done. Until then it has to
    /// be called again with the same text.
    pub fn end_in_part(&mut self, text: &str) -> bool {
        if !std::mem::replace(&mut self.has_ended, true) {
            self.read = text.len();
            let parsed = self.render(text, false);
            for (label, definition, _) in &parsed.parsed.defined {
                self.define(label, definition);
            }
            self.close(&parsed, self.shown.len(), text.len());
            self.shown.clear();
        }
        let mut done = 0;
        while let Some(unit) = self.waiting.take_due(None) {
            done += unit.range.len();
            self.mend(text, unit);
            if done >= MEND_STEP {
                return false;
            }
        }
        if std::mem::take(&mut self.must_mend_all) {
            let own = self.own(0, text.len());
            let nodes = parse(text, own, &Definitions::default()).nodes;
            let outers = self.dom.joined_children(&self.root);
            let mut shown = adopt(&mut self.dom, outers, &nodes);
            patch(&mut self.dom, &self.root, &mut shown, nodes, None);
        }
        true
    }

    fn define(&mut self, label: &Label, definition: &Definition) {
        if self.definitions.add(label.clone(), definition.clone()) {
            self.waiting.defined(label);
        }
    }

    /// Reads the end and shows it.
    fn render(&mut self, text: &str, is_growing: bool) -> Tail {
        let mut tail = self.parse_tail(&text[self.base..]);
        self.work = tail.source.len().max(EVENT * tail.parsed.events);
        if tail.parsed.is_underlined || self.goes_on_with_pipe(text) {
            self.mend_paragraph();
        }
        let nodes = is_growing.then(|| self.predicted(&tail)).flatten();
        let mut nodes = nodes.unwrap_or_else(|| std::mem::take(&mut tail.parsed.nodes));
        if self.fit(&mut nodes, tail.own.from) {
            tail.starts = starts(&nodes, &tail);
            patch(&mut self.dom, &self.root, &mut self.shown, nodes, None);
            return tail;
        }
        // What is open is not what it seemed: its block is read again, as a whole.
        let is_part = |shown: &Shown<D::Node>| matches!(shown.kind, Kind::Part { .. });
        self.must_mend_all |= self.shown.first().is_some_and(is_part);
        let outers = self.shown.iter().map(|shown| shown.outer.clone()).collect();
        self.base = self.block.start;
        self.open.clear();
        self.is_mid_line = false;
        self.block.is_whole = true;
        let mut tail = self.parse_tail(&text[self.base..]);
        let nodes = std::mem::take(&mut tail.parsed.nodes);
        self.shown = adopt(&mut self.dom, outers, &nodes);
        tail.starts = starts(&nodes, &tail);
        patch(&mut self.dom, &self.root, &mut self.shown, nodes, None);
        tail
    }

    /// What the end will most likely mean, where that is something else than what it means now.
    fn predicted(&self, tail: &Tail) -> Option<Vec<Node>> {
        let prediction = predict(&tail.source, tail.own, &tail.parsed.nodes, &self.open);
        if prediction.to == tail.source.len() && prediction.completion.is_empty() {
            return None;
        }
        let mut source = tail.source[..prediction.to].to_owned();
        source.push_str(&prediction.completion);
        let own = Own {
            to: prediction.to,
            ..tail.own
        };
        Some(parse(&source, own, &self.definitions).nodes)
    }

    fn parse_tail(&self, end: &str) -> Tail {
        let lines = scene(&self.open, self.is_mid_line);
        let before = self.base.saturating_sub(self.paragraph);
        self.read(&lines, end, |own| own.going_on(&self.open, before))
    }

    /// Reads a part of the text behind the lines that set its scene, among the definitions that are final. `place`
    /// says what is known of where it stands.
    fn read(&self, lines: &str, text: &str, place: impl FnOnce(Own) -> Own) -> Tail {
        let mut source = self.definitions.footnote_lines(text);
        source.push_str(lines);
        let from = source.len();
        source.push_str(&with_line_feeds(text));
        let own = place(self.own(from, source.len()));
        let mut parsed = parse(&source, own, &self.definitions);
        // The first definition of a label counts, also where this text has another one.
        let known: Vec<_> = parsed
            .defined
            .iter()
            .filter_map(|(label, ..)| Some((label.written(), self.definitions.link(label)?)))
            .collect();
        if known.is_empty() {
            return Tail {
                source,
                own,
                parsed,
                starts: Vec::new(),
            };
        }
        let mut again = String::new();
        for (label, address) in known {
            again.push_str(&format!("[{label}]: <{address}>\n\n"));
        }
        let from = again.len() + own.from;
        again.push_str(&source);
        let own = Own {
            from,
            to: again.len(),
            ..own
        };
        parsed = parse(&again, own, &self.definitions);
        Tail {
            source: again,
            own,
            parsed,
            starts: Vec::new(),
        }
    }

    /// What of a source is its own, where nothing is open.
    fn own(&self, from: usize, to: usize) -> Own {
        Own {
            from,
            to,
            levels: self.limits.levels,
            part: self.limits.part,
            before: 0,
            is_part: false,
        }
    }

    /// Puts the nodes in their places along what is open; says whether they fit there.
    fn fit(&self, nodes: &mut Vec<Node>, from: usize) -> bool {
        let mut level = nodes;
        let mut shown = &self.shown;
        for depth in 0..self.open.len() {
            let Some(expected) = shown.first() else {
                return false;
            };
            match level.first_mut() {
                Some(first) if first.start < from => {
                    if !first.kind.is_same_block(&expected.kind) {
                        return false;
                    }
                    let found = std::mem::replace(&mut first.kind, expected.kind.clone());
                    first.kind.join_list(&found);
                }
                _ => {
                    // Nothing new stands in it. Only a word cannot be taken for another block's.
                    if self.is_mid_line && depth + 1 == self.open.len() && !level.is_empty() {
                        return false;
                    }
                    level.insert(0, Node::new(expected.kind.clone(), 0, from));
                }
            }
            level = &mut level[0].children;
            shown = &expected.children;
        }
        true
    }

    /// Whether the line that goes on may turn out to head a table.
    fn goes_on_with_pipe(&self, text: &str) -> bool {
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
    fn mend_paragraph(&mut self) {
        if matches!(self.open.as_slice(), [Open::Part { .. }]) {
            // It begins in an earlier block.
            self.must_mend_all = true;
        } else {
            self.block.must_mend = true;
            self.block.has_other_paragraph = true;
        }
    }

    /// Makes as much of the text final as can be.
    fn cut(&mut self, text: &str) {
        let end = &text[self.base..];
        let whole_lines = end.rfind(['\n', '\r']).map_or("", |at| &end[..=at]);
        let rest = end.len() - whole_lines.len();
        let mut found = self.find_cut(whole_lines);
        if rest > self.limits.long {
            let within = self.find_cut(end).filter(|(cut, _)| cut.is_mid_line);
            found = within.or(found);
        }
        let Some((cut, tail)) = found else { return };
        if self.block.is_whole && !cut.path.is_empty() && cut.path[0] == 0 {
            return;
        }
        if cut.is_forced || !self.shows(&cut, &tail) {
            // What was predicted for a mark that may never be closed is taken back.
            self.render(text, false);
        }
        let final_to = cut.at;
        for (label, definition, end) in &tail.parsed.defined {
            if *end <= final_to {
                self.define(label, definition);
            }
        }
        if self.stands_alone(&cut, &tail) && self.apply(&cut, &tail) {
            self.mend_defined(text);
        }
    }

    fn find_cut(&self, end: &str) -> Option<(Cut, Tail)> {
        // What is much work for its length is cut as what is long, before it is so much that pieces have to wait.
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
        if !self.fit(&mut tail.parsed.nodes, from) {
            return None;
        }
        tail.starts = starts(&tail.parsed.nodes, &tail);
        let cut = cut::last_cut(
            &tail.parsed.nodes,
            &tail.source,
            tail.own,
            &self.open,
            limits,
        )?;
        Some((cut, tail))
    }

    /// Whether what stands after a cut means the same without what stands before it. By all we know it
    /// does; should the parser know a case that we do not, there is no cut.
    fn stands_alone(&self, cut: &Cut, tail: &Tail) -> bool {
        let rest = &tail.source[cut.at..];
        let lines = scene(&cut.open, cut.is_mid_line);
        let at = self.base + (cut.at - tail.own.from);
        let before = at.saturating_sub(self.paragraph_at(cut, tail));
        let alone = self.read(&lines, rest, |own| own.going_on(&cut.open, before));
        let from = alone.own.from;
        let (mut expect, mut got) = (tail.parsed.nodes.as_slice(), alone.parsed.nodes.as_slice());
        for index in &cut.path {
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
            .get(cut.index..)
            .is_some_and(|expect| means_same(expect, got, cut.text_at.unwrap_or(0)))
    }

    /// Where the paragraph, or the part of one, begins that is open at a cut.
    fn paragraph_at(&self, cut: &Cut, tail: &Tail) -> usize {
        match node_at(&tail.parsed.nodes, &cut.path) {
            Some(node) if node.start >= tail.own.from => self.base + (node.start - tail.own.from),
            _ => self.paragraph,
        }
    }

    /// Whether what is shown before a cut is what stands there.
    fn shows(&self, cut: &Cut, tail: &Tail) -> bool {
        let mut shown = self.shown.as_slice();
        let mut nodes = tail.parsed.nodes.as_slice();
        for index in cut.path.iter().chain([&cut.index]) {
            let (Some(a), Some(b)) = (shown.get(*index), nodes.get(*index)) else {
                return false;
            };
            if !shown[..*index].iter().zip(nodes).all(|(a, b)| shows(a, b)) {
                return false;
            }
            let is_same = match (&a.kind, &b.kind, cut.text_at) {
                (Kind::Text(a, _), Kind::Text(b, _), Some(at)) => a.get(..at) == b.get(..at),
                (a, b, _) => discriminant(a) == discriminant(b),
            };
            if !is_same {
                return false;
            }
            (shown, nodes) = (&a.children, &b.children);
        }
        true
    }

    /// Forgets what stands before a cut; says whether it could.
    fn apply(&mut self, cut: &Cut, tail: &Tail) -> bool {
        if !self.shows(cut, tail) {
            return false;
        }
        let way: Vec<_> = cut.path.iter().copied().chain([cut.index]).collect();
        let at = self.base + (cut.at - tail.own.from);
        let closed = if cut.path.is_empty() {
            cut.index
        } else {
            cut.path[0]
        };
        let has_closed = closed > 0;
        self.close(tail, closed, at);
        if has_closed {
            self.block.start = if cut.path.is_empty() {
                at
            } else {
                self.base + (tail.starts[closed] - tail.own.from)
            };
        }
        self.block.must_mend |= cut.is_forced;
        self.paragraph = self.paragraph_at(cut, tail);
        let mut level = &mut self.shown;
        for (depth, index) in way.iter().enumerate() {
            level.drain(..index);
            if depth + 1 < way.len() {
                let Some(first) = level.first_mut() else {
                    return false;
                };
                if let Some(certain) = node_at(&tail.parsed.nodes, &way[..=depth]) {
                    first.kind.join_list(&certain.kind);
                }
                level = &mut first.children;
            }
        }
        if let Some(text_at) = cut.text_at.filter(|at| *at > 0)
            && let Some(first) = level.first_mut()
            && let Kind::Text(text, _) = &mut first.kind
        {
            if text_at >= text.len() {
                level.remove(0);
            } else {
                let second = self.dom.split_text(&first.outer, units(&text[..text_at]));
                let is_paragraph =
                    matches!(cut.open.last(), Some(Open::Paragraph | Open::Part { .. }));
                if cut.is_mid_line && is_paragraph && can_have_seam(&text[..text_at]) {
                    self.dom.seam(&second);
                    self.block.has_seams = true;
                }
                text.drain(..text_at);
                first.outer = second.clone();
                first.inner = second;
            }
        }
        self.base = at;
        self.open.clone_from(&cut.open);
        self.is_mid_line = cut.is_mid_line;
        let line = &tail.source[cut::line_start(&tail.source, cut.at)..cut.at];
        if self.is_in_paragraph() && line.contains('|') {
            self.mend_paragraph();
        }
        true
    }

    /// Notes what the first blocks of the end define and lack before they are forgotten. All of them
    /// but the last have ended if `closed` counts them; `at` is where what is final ends.
    fn close(&mut self, tail: &Tail, closed: usize, at: usize) {
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
            let (mut must_mend, mut has_seams) = (may_lose(place), false);
            if index == 0 {
                let block = std::mem::take(&mut self.block);
                missing.extend(block.missing);
                range.start = block.start;
                must_mend |= block.must_mend;
                has_seams = block.has_seams;
                let next = self.shown.get(1).map(|next| &next.kind);
                if block.has_other_paragraph && matches!(next, Some(Kind::Part { .. })) {
                    self.must_mend_all = true;
                }
            }
            let Some(shown) = self.shown.get(index) else {
                continue;
            };
            if has_seams {
                self.dom.remove_seams(&shown.outer);
            }
            if missing.is_empty() && !must_mend {
                continue;
            }
            let unit = Unit {
                range,
                outer: shown.outer.clone(),
                kind: shown.kind.clone(),
                missing,
                must_mend,
            };
            self.waiting.add(unit, &self.definitions);
        }
        let start = if closed == 0 {
            from
        } else {
            starts.get(closed).copied().unwrap_or(final_to)
        };
        let rest = start..final_to.max(start);
        self.block.must_mend |= may_lose(rest.clone());
        self.block.missing.extend(lacking(rest));
    }

    /// The references whose definitions are not final, where each stands, and whether its definition stands on a line
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

    /// Reads again the final blocks in which something was missing that is there by now, but no more of them than
    /// may take a step.
    fn mend_defined(&mut self, text: &str) {
        let mut done = 0;
        while done < MEND_STEP
            && let Some(unit) = self.waiting.take_due(Some(text.len()))
        {
            done += unit.range.len();
            self.mend(text, unit);
        }
    }

    fn mend(&mut self, text: &str, mut unit: Unit<D::Node>) {
        let before = &text[..unit.range.start];
        if !before.is_empty() && !before.ends_with(['\n', '\r']) {
            // It begins behind another footnote on the same line, whose beginning says how deep it is.
            self.must_mend_all = true;
            return;
        }
        let block = &text[unit.range.clone()];
        let (is_part, lines) = match unit.kind {
            Kind::Part { is_heading } => (true, scene(&[Open::Part { is_heading }], true)),
            _ => (false, String::new()),
        };
        let Parsed {
            mut nodes, missing, ..
        } = self
            .read(&lines, block, |own| Own { is_part, ..own })
            .parsed;
        if is_part
            && let [only] = nodes.as_mut_slice()
            && only.kind == Kind::Paragraph
        {
            only.kind = unit.kind.clone();
        }
        unit.missing = missing.into_iter().map(|(label, _)| label).collect();
        let is_same_block =
            nodes.len() == 1 && discriminant(&nodes[0].kind) == discriminant(&unit.kind);
        if !is_same_block {
            // Alone it is something else: it takes its meaning from what stands before it.
            self.must_mend_all = true;
            return;
        }
        let end = self.dom.next(&unit.outer);
        let mut shown = adopt(&mut self.dom, vec![unit.outer.clone()], &nodes);
        patch(&mut self.dom, &self.root, &mut shown, nodes, end.as_ref());
        if let Some(first) = shown.first() {
            unit.outer = first.outer.clone();
        }
        self.waiting.add_again(unit, &self.definitions);
    }
}

/// The end of a text with the lines that set its scene, and what it means.
struct Tail {
    source: String,
    own: Own,
    parsed: Parsed,
    /// Where its blocks begin, also when they have been shown and are not here any more.
    starts: Vec<usize>,
}

/// Whether this is what is shown.
fn shows<N>(shown: &Shown<N>, node: &Node) -> bool {
    let is_same = match (&shown.kind, &node.kind) {
        (Kind::Text(a, _), Kind::Text(b, _)) => a == b,
        (a @ Kind::List { .. }, b) => a.is_like(b),
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

/// Where the blocks of an end begin in its source: right after the ones before them, since definitions
/// between two blocks belong to the second, which the parser may read in another way without them.
fn starts(nodes: &[Node], tail: &Tail) -> Vec<usize> {
    let from = tail.own.from;
    let later = nodes.windows(2).map(|pair| {
        let (before, node) = (&pair[0], &pair[1]);
        // Two footnotes can begin on one line, and so can parts. No more is looked at than what stands between them: that
        // line can be long.
        // What was only predicted stands behind the source.
        let to = node.start.min(tail.source.len());
        let between = &tail.source.as_bytes()[before.start.min(to)..to];
        let start = match memchr::memrchr(b'\n', between) {
            _ if matches!(node.kind, Kind::Part { .. }) => node.start,
            Some(end) => (before.start + end + 1).min(before.end),
            None => node.start,
        };
        start.max(from)
    });
    std::iter::once(from)
        .chain(later)
        .take(nodes.len())
        .collect()
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

/// Whether there can be a seam behind this text: not where letters may be joined.
fn can_have_seam(before: &str) -> bool {
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
