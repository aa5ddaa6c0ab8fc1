//! Small helpers for the browser's document. Their `expect`s hold because all names are constants.

use leptos::prelude::document;
use web_sys::{Element, FocusOptions, HtmlElement, Node};

/// Creates an element.
pub(in crate::ui) fn create(tag: &str) -> Element {
    document()
        .create_element(tag)
        .expect("the name of the tag is valid")
}

/// Sets an attribute.
pub(in crate::ui) fn set(element: &Element, name: &str, value: &str) {
    element
        .set_attribute(name, value)
        .expect("the name of the attribute is valid");
}

/// Appends a node to another.
pub(in crate::ui) fn append(parent: &Node, child: &Node) {
    parent
        .append_child(child)
        .expect("an element takes any text or element that does not contain it");
}

/// Creates an iframe that sends no referrer. The title is its accessible name.
pub(in crate::ui) fn create_frame(title: &str) -> Element {
    let frame = create("iframe");
    set(&frame, "title", title);
    set(&frame, "referrerpolicy", "no-referrer");
    frame
}

/// Focuses an element without scrolling to it.
pub(in crate::ui) fn focus_in_place(element: &HtmlElement) {
    let options = FocusOptions::new();
    options.set_prevent_scroll(true);
    // Focusing does not fail for an element of the page.
    let _ = element.focus_with_options(&options);
}
