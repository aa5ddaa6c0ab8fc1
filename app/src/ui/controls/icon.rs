//! Icons: symbols of one sprite, `public/icons.svg`, which the server writes into each page.

use leptos::prelude::*;

/// The symbols, as the server writes them into the page: invisible, and there before the first icon is painted.
#[must_use]
pub fn sprite() -> AnyView {
    let file = include_str!("../../../../public/icons.svg");
    let symbols = file.split_once('>').map_or("", |(_, rest)| rest);
    let symbols = symbols
        .split_once("<!--")
        .map_or(symbols, |(first, _)| first);
    view! { <svg hidden inner_html=symbols></svg> }.into_any()
}

/// An icon of 1.25 rem in the colour of the text. The button around it has the name.
pub(in crate::ui) fn icon(symbol: &str) -> AnyView {
    drawn(symbol, "icon")
}

/// An icon of 1 rem.
pub(in crate::ui) fn small_icon(symbol: &str) -> AnyView {
    drawn(symbol, "icon small")
}

/// An icon that points along the line of writing, and is mirrored with it.
pub(in crate::ui) fn along_icon(symbol: &str) -> AnyView {
    drawn(symbol, "icon small along")
}

/// The mark of Rill.
pub(in crate::ui) fn mark() -> AnyView {
    drawn("mark", "mark")
}

fn drawn(symbol: &str, class: &'static str) -> AnyView {
    view! { <svg class=class aria-hidden="true" inner_html=symbol_use(symbol)></svg> }.into_any()
}

/// The element that shows a symbol of the sprite.
pub(in crate::ui) fn symbol_use(symbol: &str) -> String {
    format!("<use href=\"#i-{symbol}\"/>")
}
