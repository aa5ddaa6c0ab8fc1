//! What nests deeper than the limit: it is shown as its source.

use std::ops::Range;

use pulldown_cmark::Event;

use super::{Builder, is_inline};
use crate::markdown::node::{Kind, Node};

/// What is too deep, while the parser's events for it are passed over.
pub(super) struct TooDeep {
    /// Whether it is a block, whose source is shown already; else it is a mark.
    pub(super) is_block: bool,
    /// How many of the parser's elements are open in it, itself included.
    pub(super) levels: usize,
    /// How far its source is shown.
    pub(super) shown_to: usize,
    /// Set behind a line break to where that ends: what follows begins with the marks of its containers.
    pub(super) line_from: Option<usize>,
}

impl Builder<'_> {
    /// Whether there are as many containers, or as many marks, around what begins as there may be. The
    /// parser is given no more containers than that, so for those it only makes sure.
    pub(super) fn is_too_deep(&self, kind: &Kind) -> bool {
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
    pub(super) fn begin_too_deep(&mut self, kind: &Kind, range: Range<usize>) {
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
    pub(super) fn pass(&mut self, event: &Event<'_>, range: &Range<usize>) {
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
}
