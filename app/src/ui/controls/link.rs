//! A link within the app. A plain click navigates without loading a page; without scripts, with a modifier key or the
//! middle button, the browser follows the link.

use leptos::ev::MouseEvent;
use leptos::prelude::*;

use crate::page::navigation::{Address, MESSAGE, Navigation};

/// A link to an address in the app.
#[component]
pub fn Link(
    /// The address.
    to: Address,
    /// Whether the address is the current one.
    #[prop(into)]
    is_current: Signal<bool>,
    /// A message in the conversation, to scroll to.
    #[prop(optional_no_strip)]
    message: Option<String>,
    /// Its class.
    #[prop(default = "")]
    class: &'static str,
    /// Called after a plain click.
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
            class=class
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

/// Whether a click is plain: the main button without modifier keys, which does not open a tab or a window.
#[must_use]
pub fn is_plain_click(click: &MouseEvent) -> bool {
    click.button() == 0
        && !(click.ctrl_key() || click.meta_key() || click.shift_key() || click.alt_key())
}
