//! The toast: one sentence above the composer, with "Undo" where something went away.

use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::chat::Chat;
use crate::library::list::{Conversations, Toast};
use crate::page::navigation::{Address, Navigation};
use crate::page::tab::{Notices, ask_permission};
use crate::platform::storage::use_storage;
use crate::ui::controls::icon::icon;

/// The toast, if there is one.
#[component]
pub fn ToastView() -> impl IntoView {
    let chat = expect_context::<Chat>();
    let conversations = expect_context::<Conversations>();
    let navigation = expect_context::<Navigation>();
    let undo = move |id: String| {
        let to = Address::Conversation(id.clone());
        conversations.restore(id, move || {
            chat.announce("Conversation restored".to_owned());
            if untrack(|| chat.is_empty()) {
                navigation.go(to);
            }
        });
    };
    let undo_messages = move |id: String| {
        conversations.restore(id, move || {
            chat.announce("Messages restored".to_owned());
            chat.restored();
        });
    };
    let storage = StoredValue::new(use_storage());
    let notify = move |is_wanted: bool| {
        conversations.dismiss();
        spawn_local(async move {
            let notices = match is_wanted {
                true if ask_permission().await => Notices::On,
                _ => Notices::Off,
            };
            storage.with_value(|storage| notices.store(storage.as_deref()));
        });
    };
    move || {
        match conversations.toast() {
            Some(Toast::Deleted { id, title }) => view! {
                <div class="toast">
                    <span>"Deleted “"<span dir="auto">{title}</span>"”"</span>
                    <button type="button" on:click=move |_| undo(id.clone())>"Undo"</button>
                </div>
            }
            .into_any(),
            Some(Toast::DeletedMessages(id)) => view! {
                <div class="toast">
                    <span>"Messages deleted"</span>
                    <button type="button" on:click=move |_| undo_messages(id.clone())>"Undo"</button>
                </div>
            }
            .into_any(),
            Some(Toast::OfferNotices) => view! {
                <div class="toast">
                    <span>"Tell you when an answer is ready?"</span>
                    <button type="button" on:click=move |_| notify(true)>"Notify me"</button>
                    <button type="button" on:click=move |_| notify(false)>"No"</button>
                </div>
            }
            .into_any(),
            Some(Toast::Text(sentence)) => view! {
                <div class="toast">
                    <span>{sentence}</span>
                    <button type="button" aria-label="Dismiss" on:click=move |_| conversations.dismiss()>
                        {icon("close")}
                    </button>
                </div>
            }
            .into_any(),
            None => ().into_any(),
        }
    }
}
