//! The field in which one writes, as a handle for those who put the focus there.

use leptos::html::Textarea;
use leptos::prelude::*;

use crate::ui::dom::focus_in_place;

/// The composer's text field.
#[derive(Clone, Copy)]
pub struct ComposerField(pub NodeRef<Textarea>);

impl ComposerField {
    /// A handle that the composer will fill.
    pub fn new() -> Self {
        Self(NodeRef::new())
    }

    /// Puts the focus there, without moving the view.
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
