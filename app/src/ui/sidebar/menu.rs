//! The menu of a conversation.

use leptos::html::Button;
use leptos::prelude::*;

use crate::chat::Chat;
use crate::library::list::Conversations;
use crate::page::base::below;
use crate::page::navigation::{Address, Navigation};
use crate::protocol::saved::export_path;
use crate::ui::controls::icon::icon;
use crate::ui::controls::link::is_plain_click;
use crate::ui::controls::popup_menu::PopupMenu;

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
    let is_pinned = conversations
        .index()
        .with_untracked(|index| index.get(&id).is_some_and(|one| one.pinned));
    let (markdown, json) = (
        below(&export_path(&id, "markdown")),
        below(&export_path(&id, "json")),
    );
    let id = StoredValue::new(id);

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
        <PopupMenu label="Conversation menu" button close>
            <button type="button" class="row" role="menuitem" tabindex="-1" on:click=rename>
                {icon("rename")}<span class="words">"Rename"</span>
            </button>
            <button type="button" class="row" role="menuitem" tabindex="-1" on:click=pin>
                {icon("pin")}<span class="words">{if is_pinned { "Unpin" } else { "Pin" }}</span>
            </button>
            <a class="row" role="menuitem" tabindex="-1" href=markdown download="" on:click=export>
                {icon("download")}<span class="words">"Export"</span>
            </a>
            <a class="row" role="menuitem" tabindex="-1" href=json download="" on:click=export>
                {icon("download")}<span class="words">"Export as JSON"</span>
            </a>
            <hr/>
            <button type="button" class="row danger" role="menuitem" tabindex="-1" on:click=delete>
                {icon("trash")}<span class="words">"Delete"</span>
            </button>
        </PopupMenu>
    }
}
