//! The menu of a conversation. The arrow keys, Home and End move the focus; Escape and Tab close the menu.

use leptos::html::{Button, Div};
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{FocusEvent, HtmlElement, KeyboardEvent};

use crate::chat::Chat;
use crate::library::list::Conversations;
use crate::page::navigation::{Address, Navigation};
use crate::protocol::saved::export_path;
use crate::ui::controls::link::is_plain_click;
use crate::ui::dom::focus_in_place;

/// The menu of a conversation.
#[component]
pub fn Menu(
    /// The id of the conversation.
    id: String,
    /// The button that opens the menu.
    button: NodeRef<Button>,
    /// Set by "Rename".
    is_renaming: RwSignal<bool>,
    /// Closes the menu. `true` moves the focus back to the button.
    close: impl Fn(bool) + Copy + Send + Sync + 'static,
) -> impl IntoView {
    let chat = expect_context::<Chat>();
    let conversations = expect_context::<Conversations>();
    let navigation = expect_context::<Navigation>();
    let menu = NodeRef::<Div>::new();
    let is_pinned = conversations
        .index()
        .with_untracked(|index| index.get(&id).is_some_and(|one| one.pinned));
    let (markdown, json) = (export_path(&id, "markdown"), export_path(&id, "json"));
    let id = StoredValue::new(id);

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
    let rename = move |_| {
        close(false);
        is_renaming.set(true);
    };
    let pin = move |_| {
        close(true);
        conversations.pin(id.get_value(), !is_pinned);
    };
    let delete = move |_| {
        close(false);
        let id = id.get_value();
        if chat.id_untracked().as_ref() == Some(&id) {
            chat.start_anew(false);
            navigation.go(Address::New);
        }
        // After `start_anew`, which clears the announcement.
        chat.announce("Conversation deleted".to_owned());
        conversations.delete(id);
    };
    let export = move |click| {
        if is_plain_click(&click) {
            close(true);
        }
    };
    view! {
        <div class="menu" role="menu" aria-label="Conversation menu" node_ref=menu on:keydown=on_key on:focusout=on_leave>
            <button type="button" role="menuitem" tabindex="-1" on:click=rename>"Rename"</button>
            <button type="button" role="menuitem" tabindex="-1" on:click=pin>{if is_pinned { "Unpin" } else { "Pin" }}</button>
            <a role="menuitem" tabindex="-1" href=markdown download="" on:click=export>"Export"</a>
            <a role="menuitem" tabindex="-1" href=json download="" on:click=export>"Export as JSON"</a>
            <button type="button" role="menuitem" tabindex="-1" class="danger" on:click=delete>"Delete"</button>
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
    let Ok(found) = menu.query_selector_all("[role=menuitem]") else {
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
