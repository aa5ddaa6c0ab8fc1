//! What one can do with a conversation, as a menu that keys reach: arrows go through it, Esc and Tab
//! leave it.

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
    /// The conversation.
    id: String,
    /// The button that it belongs to.
    button: NodeRef<Button>,
    /// Set when the title is to be written.
    is_renaming: RwSignal<bool>,
    /// Closes the menu; the focus goes back to its button, or stays where it went.
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
        let Some(menu) = menu.get_untracked() else {
            return;
        };
        let items = items(&menu);
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
    };
    let on_leave = move |leave: FocusEvent| {
        // Being taken away, it loses the focus, too.
        let Some(menu) = menu.try_get_untracked().flatten() else {
            return;
        };
        let to = leave
            .related_target()
            .and_then(|to| to.dyn_into::<web_sys::Node>().ok());
        let is_inside = to.as_ref().is_some_and(|to| menu.contains(Some(to)));
        // The button's own click closes it.
        let is_button = match (button.get_untracked(), &to) {
            (Some(button), Some(to)) => button.contains(Some(to)),
            _ => false,
        };
        if !is_inside && !is_button {
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
        // Leaving a conversation takes back what was announced of it.
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

fn items(menu: &HtmlElement) -> Vec<HtmlElement> {
    let Ok(found) = menu.query_selector_all("[role=menuitem]") else {
        return Vec::new();
    };
    (0..found.length())
        .filter_map(|index| found.item(index)?.dyn_into().ok())
        .collect()
}

/// Puts the menu below its button, or above it where there is no room below. It is over everything, so
/// that the list that scrolls does not cut it off.
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
        // Only an unknown property could make it fail.
        let _ = style.set_property(property, &format!("{value}px"));
    }
}
