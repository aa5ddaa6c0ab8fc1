//! A menu that a button opens. The arrow keys, Home and End move the focus; Escape and Tab close the menu.

use leptos::html::{Button, Div};
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{FocusEvent, HtmlElement, KeyboardEvent};

use crate::ui::dom::focus_in_place;

/// An open menu. Its items have the role `menuitem` and no place in the order of tabs.
#[component]
pub fn PopupMenu(
    /// The accessible name.
    label: &'static str,
    /// The button that opens the menu.
    button: NodeRef<Button>,
    /// Closes the menu. `true` moves the focus back to the button.
    close: impl Fn(bool) + Copy + Send + Sync + 'static,
    children: Children,
) -> impl IntoView {
    let menu = NodeRef::<Div>::new();
    Effect::new(move |_| {
        if let (Some(menu), Some(button)) = (menu.get(), button.get_untracked()) {
            place(&menu, &button);
            if let Some(first) = items(&menu).first() {
                focus_in_place(first);
            }
        }
    });
    let on_key = move |key: KeyboardEvent| {
        if let Some(menu) = menu.get_untracked() {
            on_menu_key(&key, &menu, close);
        }
    };
    let on_leave = move |leave: FocusEvent| {
        // The menu also loses the focus when it is removed; then there is nothing to close.
        if let Some(menu) = menu.try_get_untracked().flatten()
            && has_left(&leave, &menu, button)
        {
            close(false);
        }
    };
    view! {
        <div class="menu" role="menu" aria-label=label node_ref=menu on:keydown=on_key on:focusout=on_leave>
            {children()}
        </div>
    }
}

/// Moves the focus between the items, or closes the menu.
fn on_menu_key(key: &KeyboardEvent, menu: &HtmlElement, close: impl Fn(bool)) {
    let items = items(menu);
    let here = document().active_element();
    let at = items
        .iter()
        .position(|item| here.as_ref() == Some(item.as_ref()));
    let last = items.len().saturating_sub(1);
    let to = match (key.key().as_str(), at) {
        ("ArrowDown", Some(at)) if at < last => at + 1,
        ("ArrowDown" | "Home", _) => 0,
        ("ArrowUp", Some(at)) if at > 0 => at - 1,
        ("ArrowUp" | "End", _) => last,
        ("Escape", _) => {
            key.prevent_default();
            key.stop_propagation();
            return close(true);
        }
        ("Tab", _) => {
            key.prevent_default();
            return close(true);
        }
        _ => return,
    };
    key.prevent_default();
    if let Some(item) = items.get(to) {
        focus_in_place(item);
    }
}

/// Whether the focus moves out of the menu. The button does not count: its own click closes the menu.
fn has_left(leave: &FocusEvent, menu: &HtmlElement, button: NodeRef<Button>) -> bool {
    let to = leave
        .related_target()
        .and_then(|to| to.dyn_into::<web_sys::Node>().ok());
    let is_inside = to.as_ref().is_some_and(|to| menu.contains(Some(to)));
    let is_button = match (button.get_untracked(), &to) {
        (Some(button), Some(to)) => button.contains(Some(to)),
        _ => false,
    };
    !is_inside && !is_button
}

fn items(menu: &HtmlElement) -> Vec<HtmlElement> {
    let Ok(found) = menu.query_selector_all("[role^=menuitem]:not(:disabled)") else {
        return Vec::new();
    };
    (0..found.length())
        .filter_map(|index| found.item(index)?.dyn_into().ok())
        .collect()
}

/// Places the menu below its button, or above it if there is not enough space below. The position is fixed, so that
/// the scrolling list does not clip the menu.
fn place(menu: &HtmlElement, button: &HtmlElement) {
    let (at, size) = (
        button.get_bounding_client_rect(),
        menu.get_bounding_client_rect(),
    );
    let height = window()
        .inner_height()
        .ok()
        .and_then(|height| height.as_f64())
        .unwrap_or_default();
    let top = if at.bottom() + size.height() > height {
        (at.top() - size.height()).max(0.0)
    } else {
        at.bottom()
    };
    let left = (at.right() - size.width()).max(0.0);
    let style = menu.style();
    for (property, value) in [("top", top), ("left", left)] {
        // Setting fails only for an invalid property.
        let _ = style.set_property(property, &format!("{value}px"));
    }
}
