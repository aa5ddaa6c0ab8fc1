//! The menu of a message: editing an answer, a new chat from here, deleting.

use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::chat::branches::Deleted;
use crate::chat::tree::MessageId;
use crate::chat::{Chat, Message};
use crate::library::backend::{Server, use_server};
use crate::library::list::Conversations;
use crate::page::navigation::{Address, Navigation};
use crate::ui::controls::icon::icon;
use crate::ui::controls::popup_menu::PopupMenu;
use crate::ui::dom::{focus_in_place, set};
use crate::ui::panels::{Panel, Panels};

/// The menu of a message, while it is open.
#[component]
pub fn MessageMenu() -> impl IntoView {
    let panels = expect_context::<Panels>();
    let opened = Memo::new(move |_| match panels.open.get() {
        Some(Panel::Menu(message)) => Some(message),
        _ => None,
    });
    let actions = MessageActions::of_page();
    move || match opened.get() {
        Some(message) => view! { <Items message actions/> }.into_any(),
        None => ().into_any(),
    }
}

#[component]
fn Items(message: MessageId, actions: MessageActions) -> impl IntoView {
    let (chat, panels) = (actions.chat, actions.panels);
    let button = panels.menu_button.get_value().unwrap_or_default();
    let note = move |is_open: &str| {
        if let Some(button) = button.try_get_untracked().flatten() {
            set(&button, "aria-expanded", is_open);
        }
    };
    note("true");
    on_cleanup(move || note("false"));
    let close = move |moves_focus: bool| {
        panels.closed(Panel::Menu(message));
        if moves_focus && let Some(button) = button.get_untracked() {
            focus_in_place(&button);
        }
    };
    let is_reply = matches!(chat.message(message), Message::Reply(_));
    // A message that is being sent has no id on the server yet.
    let is_saved = chat.server_id(message).is_some();
    let is_streaming = move || chat.is_streaming();
    view! {
        <PopupMenu label="Message menu" button close>
            {is_reply.then(|| view! {
                <button
                    type="button"
                    class="row"
                    role="menuitem"
                    tabindex="-1"
                    disabled=move || is_streaming() || !is_saved
                    on:click=move |_| panels.open(Panel::EditReply(message))
                >
                    {icon("edit")}<span class="words">"Edit answer"</span>
                </button>
            })}
            <button
                type="button"
                class="row"
                role="menuitem"
                tabindex="-1"
                disabled=!is_saved
                on:click=move |_| {
                    close(false);
                    actions.fork(message);
                }
            >
                {icon("branch")}<span class="words">"New chat from here"</span>
            </button>
            <hr/>
            <button
                type="button"
                class="row danger"
                role="menuitem"
                tabindex="-1"
                disabled=move || is_streaming() || !is_saved
                on:click=move |_| {
                    close(false);
                    actions.delete(message);
                }
            >
                {icon("trash")}<span class="words">"Delete from here"</span>
            </button>
        </PopupMenu>
    }
}

/// What the items act on. The handle is `Copy`.
#[derive(Clone, Copy)]
struct MessageActions {
    chat: Chat,
    conversations: Conversations,
    navigation: Navigation,
    panels: Panels,
    server: StoredValue<Server>,
}

impl MessageActions {
    fn of_page() -> Self {
        Self {
            chat: expect_context(),
            conversations: expect_context(),
            navigation: expect_context(),
            panels: expect_context(),
            server: StoredValue::new(use_server()),
        }
    }

    fn fork(self, message: MessageId) {
        let server = self.server.get_value();
        spawn_local(async move {
            match self.chat.fork(server, message).await {
                Ok(Some(copy)) => {
                    self.navigation.go(Address::Conversation(copy));
                    self.chat
                        .announce("New chat with the messages up to here".to_owned());
                }
                Ok(None) => {}
                Err(refusal) => self.conversations.say(refusal.error.message),
            }
        });
    }

    fn delete(self, message: MessageId) {
        let server = self.server.get_value();
        spawn_local(async move {
            match self.chat.delete(server, message).await {
                Ok(Some(Deleted::Messages(restore))) => {
                    self.chat.announce("Messages deleted".to_owned());
                    self.conversations.deleted_messages(restore);
                }
                Ok(Some(Deleted::Conversation(id))) => {
                    if self.chat.id_untracked().as_ref() == Some(&id) {
                        self.chat.start_anew(false);
                        self.navigation.go(Address::New);
                    }
                    self.chat.announce("Conversation deleted".to_owned());
                    self.conversations.deleted(id);
                }
                Ok(None) => {}
                Err(refusal) => self.conversations.say(refusal.error.message),
            }
        });
    }
}
