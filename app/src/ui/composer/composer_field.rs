//! The message field, as a handle for views that focus it.

use leptos::html::Textarea;
use leptos::prelude::*;

use crate::ui::dom::focus_in_place;

/// The message field of the composer.
#[derive(Clone, Copy)]
pub struct ComposerField(pub NodeRef<Textarea>);

impl ComposerField {
    /// A handle that the composer sets when it is mounted.
    pub fn new() -> Self {
        Self(NodeRef::new())
    }

    /// Focuses the field without scrolling.
    pub fn focus(self) {
        if let Some(field) = self.0.get_untracked() {
            focus_in_place(&field);
        }
    }
}

impl Default for ComposerField {
    fn default() -> Self {
        Self::new()
    }
}
