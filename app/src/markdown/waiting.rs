//! Final blocks that have to be read again: now, or when a label that they refer to is defined.
//!
//! Finding the blocks of a label takes no look at the other ones, and reading blocks again takes at most a fixed
//! multiple of the work that the text itself takes, however many definitions a block waits for.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;

use super::definitions::{Definitions, Label};
use super::node::Kind;

/// Blocks that are read again while the text grows may have so many times its bytes. More of them wait for its
/// end, where each is read once.
const READ_AGAIN: usize = 2;

/// A final block of the text.
pub(super) struct Unit<N> {
    pub(super) range: Range<usize>,
    pub(super) outer: N,
    pub(super) kind: Kind,
    /// What it refers to and nothing defines yet.
    pub(super) missing: Vec<Label>,
    /// Whether it has to be read again in any case.
    pub(super) must_reparse: bool,
}

/// The blocks that wait.
pub(super) struct Waiting<N> {
    /// The blocks by their number. One that was taken out leaves its place empty.
    units: Vec<Option<Unit<N>>>,
    /// Which blocks refer to a label that nothing defines yet.
    by_label: HashMap<Label, Vec<usize>>,
    /// The blocks that can be read again now. A number may be there twice.
    due: VecDeque<usize>,
    /// How many bytes were read again.
    read_again: usize,
}

impl<N> Default for Waiting<N> {
    fn default() -> Self {
        Self {
            units: Vec::new(),
            by_label: HashMap::new(),
            due: VecDeque::new(),
            read_again: 0,
        }
    }
}

impl<N> Waiting<N> {
    /// Adds a block. Labels that are defined already say nothing new to it, unless it was never read with them.
    pub(super) fn add(&mut self, mut unit: Unit<N>, definitions: &Definitions) {
        let number = self.units.len();
        if unit.must_reparse || unit.missing.iter().any(|label| definitions.knows(label)) {
            self.due.push_back(number);
        } else {
            self.wait(number, &mut unit, definitions);
            if unit.missing.is_empty() {
                return;
            }
        }
        self.units.push(Some(unit));
    }

    /// Adds a block that was just read with all that is defined.
    pub(super) fn add_again(&mut self, mut unit: Unit<N>, definitions: &Definitions) {
        self.wait(self.units.len(), &mut unit, definitions);
        if !unit.missing.is_empty() {
            self.units.push(Some(unit));
        }
    }

    fn wait(&mut self, number: usize, unit: &mut Unit<N>, definitions: &Definitions) {
        unit.missing.retain(|label| !definitions.knows(label));
        for label in &unit.missing {
            let waiting = self.by_label.entry(label.clone()).or_default();
            if waiting.last() != Some(&number) {
                waiting.push(number);
            }
        }
    }

    /// A label was defined.
    pub(super) fn defined(&mut self, label: &Label) {
        self.due
            .extend(self.by_label.remove(label).unwrap_or_default());
    }

    /// Takes a block that can be read again now. `text` is how long the text is; `None` where it has ended.
    pub(super) fn take_due(&mut self, text: Option<usize>) -> Option<Unit<N>> {
        loop {
            let number = *self.due.front()?;
            if let Some(unit) = &self.units[number] {
                let read_again = self.read_again + unit.range.len();
                if text.is_some_and(|text| read_again > text * READ_AGAIN) {
                    return None;
                }
                self.read_again = read_again;
            }
            self.due.pop_front();
            if let Some(unit) = self.units[number].take() {
                return Some(unit);
            }
        }
    }
}
