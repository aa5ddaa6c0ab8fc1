//! Loads the highlighter of code.

use std::cell::Cell;

use leptos::prelude::document;

use crate::page::base::below;
use crate::ui::dom::{append, create, set};

/// The script of the highlighter, built from `frontend/code`. It finds the code blocks by itself.
const HIGHLIGHTER: &str = "/code/highlight.js";

/// Loads the highlighter at the first call. If the script cannot be loaded, code stays plain.
pub(in crate::ui) fn load_highlighter() {
    thread_local! {
        static IS_LOADED: Cell<bool> = const { Cell::new(false) };
    }
    if IS_LOADED.replace(true) {
        return;
    }
    let script = create("script");
    set(&script, "type", "module");
    set(&script, "src", &below(HIGHLIGHTER));
    if let Some(head) = document().head() {
        append(&head, &script);
    }
}
