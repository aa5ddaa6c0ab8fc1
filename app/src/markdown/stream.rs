//! A text that grows, shown as what it means so far.
//!
//! Only its end is ever read again. What is before the last commit point (see `commit_point.rs`) is final: it
//! is not read, and its elements are not even known here any more. The end is read as if a few lines
//! stood before it that open what is open there (see `open.rs`), and shown as what it will most
//! likely become (see `predict.rs`).
//!
//! Three things can change what is final, and each is parsed again in its block alone: a definition that
//! comes after its use, a mark that is closed only after pages, and an underline that makes a long
//! paragraph a heading. So at the end all is as if the whole text had been read at once.

mod commit;
mod reparse;
mod tail;

use super::commit_point::Limits;
use super::definitions::{Definitions, Label};
use super::formulas::LineDollars;
use super::node::Kind;
use super::open::{Open, reopening_prefix};
use super::parse::parse;
use super::patch::{Dom, Shown, adopt, patch};
use super::waiting::Waiting;
use tail::{Tail, starts};

/// After so many new bytes a commit point is looked for.
const STEP: usize = 768;

/// An end without a commit point is not read again for every few bytes when reading it takes more work than this,
/// in bytes of usual text.
const HEAVY: usize = 24 * 1024;

/// An event of the parser is as much work as so many bytes of usual text: most become elements, which are compared,
/// made and laid out.
const EVENT: usize = 16;

/// At the end, so many bytes of final blocks are read again in one step.
const REPARSE_STEP: usize = 16 * 1024;

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
    /// What is certain of each of these. More may be shown of it, by what may still turn out to be something else.
    certain: Vec<Kind>,
    is_mid_line: bool,
    /// The dollars of the line that continues at `base`, counted up to there.
    dollars: LineDollars,
    /// Where the paragraph, or the part of one, begins that is open there.
    paragraph: usize,
    /// How much of the text has been shown.
    read: usize,
    /// How much work it was to read the end the last time, in bytes of usual text.
    work: usize,
    /// Whether a paragraph had parts when the end was read the last time.
    has_parts: bool,
    /// How long the end may become before a commit point is looked for again.
    next_cut: usize,
    definitions: Definitions,
    block: Block,
    /// Final blocks in which something is not defined yet.
    waiting: Waiting<D::Node>,
    /// Whether a block could not be parsed again alone. It is rare, and then all is read again at the end.
    must_reparse_all: bool,
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
    must_reparse: bool,
    /// Whether a paragraph in it may be something else than what is final of it says.
    has_other_paragraph: bool,
    /// Whether no commit point is looked for in it any more.
    is_whole: bool,
    /// Whether there are shaping breaks in it, which go when it is closed.
    has_shaping_breaks: bool,
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
            certain: Vec::new(),
            is_mid_line: false,
            dollars: LineDollars::default(),
            paragraph: 0,
            read: 0,
            work: 0,
            has_parts: false,
            next_cut: step,
            definitions: Definitions::default(),
            block: Block::default(),
            waiting: Waiting::default(),
            must_reparse_all: false,
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
        // What is before the end as its reopening prefix is read with it, and can be much: a table's head.
        let work = self.work.max(end);
        if new == 0 || (work > HEAVY && new < work / 16) {
            return;
        }
        // A line of code is final at once: only then can it be coloured.
        let has_new_line = memchr::memchr2(b'\n', b'\r', &text.as_bytes()[self.read..]).is_some();
        self.read = text.len();
        let had_parts = self.has_parts;
        self.has_parts = self.render(text, true).parsed.has_parts;
        // A part that has ended is final. Until it is committed it would be read twice for each piece.
        let has_ended_part = self.has_parts && !had_parts;
        if end >= self.next_cut || has_ended_part || (has_new_line && self.is_in_code()) {
            self.commit(text);
            let left = text.len() - self.base;
            self.next_cut = left + self.step.max(left / 4);
            if left < end {
                // The lines of the reopening prefix are still read with it.
                let lines = reopening_prefix(&self.open, self.is_mid_line).len();
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
            self.reparse(text, unit);
            if done >= REPARSE_STEP {
                return false;
            }
        }
        if std::mem::take(&mut self.must_reparse_all) {
            let own = self.own(0, text.len());
            let nodes = parse(text, own, &Definitions::default()).nodes;
            let outers = self.dom.joined_children(&self.root);
            let mut shown = adopt(&mut self.dom, outers, &nodes);
            patch(&mut self.dom, &self.root, &mut shown, nodes, None);
        }
        true
    }

    /// Reads the end and shows it.
    fn render(&mut self, text: &str, is_growing: bool) -> Tail {
        let mut tail = self.parse_tail(&text[self.base..]);
        self.work = tail.source.len().max(EVENT * tail.parsed.events);
        if tail.parsed.is_underlined || self.goes_on_with_pipe(text) {
            self.require_reparse();
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
        self.must_reparse_all |= self.shown.first().is_some_and(is_part);
        let outers = self.shown.iter().map(|shown| shown.outer.clone()).collect();
        self.base = self.block.start;
        self.open.clear();
        self.certain.clear();
        self.is_mid_line = false;
        self.block.is_whole = true;
        let mut tail = self.parse_tail(&text[self.base..]);
        let nodes = std::mem::take(&mut tail.parsed.nodes);
        self.shown = adopt(&mut self.dom, outers, &nodes);
        tail.starts = starts(&nodes, &tail);
        patch(&mut self.dom, &self.root, &mut self.shown, nodes, None);
        tail
    }
}
