//! The path below which the server is, as `/chat`: the server writes it into the page, as an attribute of its root.

use leptos::prelude::{document, with_context};

use crate::protocol::PageInfo;

/// The attribute of the root of the document that holds the path. There is none where the server has the whole host.
pub const BASE: &str = "data-base";

/// The path, without a slash at its end; empty where the server has the whole host.
#[must_use]
pub fn base() -> String {
    if cfg!(target_arch = "wasm32") {
        let root = document().document_element();
        root.and_then(|root| root.get_attribute(BASE))
    } else {
        with_context(|info: &PageInfo| info.base.clone())
    }
    .unwrap_or_default()
}

/// The path on the host of one of the server's own paths.
#[must_use]
pub fn below(path: &str) -> String {
    base() + path
}
