//! A link within the app: without scripts, with a modifier or the middle button it is the browser's;
//! else the page goes there by itself, without loading anything anew.

use leptos::ev::MouseEvent;
use leptos::prelude::*;

use crate::page::navigation::{Address, MESSAGE, Navigation};

/// A link to a place in the app.
#[component]
pub fn Link(
    /// Where it leads.
    to: Address,
    /// Whether that is where one is.
    #[prop(into)]
    is_current: Signal<bool>,
    /// A message in the conversation that it leads to.
    #[prop(optional_no_strip)]
    message: Option<String>,
    /// Called when it is followed here.
    on_go: impl Fn() + 'static,
    children: Children,
) -> impl IntoView {
    let navigation = expect_context::<Navigation>();
    let path = match message {
        Some(message) => format!("{}?{MESSAGE}={message}", to.path()),
        None => to.path(),
    };
    view! {
        <a
            href=path
            aria-current=move || is_current.get().then_some("page")
            on:click=move |click| {
                if is_plain_click(&click) {
                    click.prevent_default();
                    navigation.go(to.clone());
                    on_go();
                }
            }
        >
            {children()}
        </a>
    }
}

/// Whether a click means just that, and not a new tab or window.
#[must_use]
pub fn is_plain_click(click: &MouseEvent) -> bool {
    click.button() == 0
        && !(click.ctrl_key() || click.meta_key() || click.shift_key() || click.alt_key())
}
