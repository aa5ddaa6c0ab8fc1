//! What a text defines for other places of it: where links lead, and which footnotes there are.
//!
//! The first definition of a label counts, wherever in the text it is used.

use std::collections::HashMap;

use unicase::UniCase;

use super::parse::footnote_labels;

/// A label as it is compared: the case of its letters makes no difference.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Label {
    label: UniCase<String>,
    is_footnote: bool,
}

/// What a label stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Definition {
    /// The address of a link.
    Link(String),
    /// A footnote, by its label as it was written.
    Footnote(String),
}

/// The definitions so far.
#[derive(Debug, Clone, Default)]
pub struct Definitions(HashMap<Label, Definition>);

impl Label {
    /// The label of a link.
    #[must_use]
    pub fn link(label: &str) -> Self {
        Self::new(label, false)
    }

    /// The label of a footnote.
    #[must_use]
    pub fn footnote(label: &str) -> Self {
        Self::new(label, true)
    }

    /// The label as it can be written again.
    #[must_use]
    pub fn written(&self) -> &str {
        &self.label
    }

    fn new(label: &str, is_footnote: bool) -> Self {
        Self {
            label: UniCase::new(label.split_whitespace().collect::<Vec<_>>().join(" ")),
            is_footnote,
        }
    }
}

impl Definitions {
    /// Adds a definition, unless there is one; says whether it is new.
    pub fn add(&mut self, label: Label, definition: Definition) -> bool {
        match self.0.entry(label) {
            std::collections::hash_map::Entry::Occupied(_) => false,
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(definition);
                true
            }
        }
    }

    /// Whether a label is defined.
    #[must_use]
    pub fn knows(&self, label: &Label) -> bool {
        self.0.contains_key(label)
    }

    /// Lines that define the footnotes that a text refers to, as far as they are known, and that nothing behind
    /// them can continue.
    pub(super) fn footnote_lines(&self, text: &str) -> String {
        let mut lines = String::new();
        if self.0.is_empty() {
            return lines;
        }
        for label in footnote_labels(text) {
            if let Some(label) = self.footnote(&Label::footnote(label)) {
                lines.push_str(&format!("[^{label}]: x\n\n"));
            }
        }
        if !lines.is_empty() {
            lines.push_str("#\n");
        }
        lines
    }

    /// Where a link leads.
    #[must_use]
    pub fn link(&self, label: &Label) -> Option<&str> {
        match self.0.get(label)? {
            Definition::Link(address) => Some(address),
            Definition::Footnote(_) => None,
        }
    }

    /// A footnote's label as it was written where it is defined.
    #[must_use]
    pub fn footnote(&self, label: &Label) -> Option<&str> {
        match self.0.get(label)? {
            Definition::Footnote(written) => Some(written),
            Definition::Link(_) => None,
        }
    }
}
