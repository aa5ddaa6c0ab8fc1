//! Parses committed blocks again: those that used what was defined after them, or whose marks were closed after they
//! were committed.

use std::mem::discriminant;

use super::super::definitions::{Definition, Label};
use super::super::node::Kind;
use super::super::open::{Open, reopening_prefix};
use super::super::parse::{Own, Parsed};
use super::super::patch::{Dom, adopt, patch};
use super::super::waiting::Unit;
use super::{REPARSE_STEP, Stream};

impl<D: Dom> Stream<D> {
    pub(super) fn define(&mut self, label: &Label, definition: &Definition) {
        if self.definitions.add(label.clone(), definition.clone()) {
            self.waiting.defined(label);
        }
    }

    /// Reads again the final blocks in which something was missing that is there by now, but no more of them than
    /// may take a step.
    pub(super) fn reparse_defined(&mut self, text: &str) {
        let mut done = 0;
        while done < REPARSE_STEP
            && let Some(unit) = self.waiting.take_due(Some(text.len()))
        {
            done += unit.range.len();
            self.reparse(text, unit);
        }
    }

    pub(super) fn reparse(&mut self, text: &str, mut unit: Unit<D::Node>) {
        let before = &text[..unit.range.start];
        if !before.is_empty() && !before.ends_with(['\n', '\r']) {
            // It begins behind another footnote on the same line, whose beginning says how deep it is.
            self.must_reparse_all = true;
            return;
        }
        let block = &text[unit.range.clone()];
        let (is_part, lines) = match unit.kind {
            Kind::Part { is_heading } => {
                (true, reopening_prefix(&[Open::Part { is_heading }], true))
            }
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
            // Alone it is something else: it takes its meaning from what is before it.
            self.must_reparse_all = true;
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
