//! The title of the open conversation, in the header. A click makes it a field.

use leptos::prelude::*;

use crate::chat::Chat;
use crate::library::list::Conversations;
use crate::ui::panels::outline::OutlineButton;
use crate::ui::sidebar::rename::Rename;

/// The title, which a click changes into a field. There is none for a new or a temporary conversation.
#[component]
pub fn ConversationTitle() -> impl IntoView {
    let chat = expect_context::<Chat>();
    let conversations = expect_context::<Conversations>();
    let title = Memo::new(move |_| title_of(chat, conversations));
    let is_renaming = RwSignal::new(false);
    let renamed = move |title: Option<String>| {
        is_renaming.set(false);
        if let Some((id, title)) = chat.id_untracked().zip(title) {
            conversations.rename(id, title);
        }
    };
    let title = move || match (title.get(), is_renaming.get()) {
        (None, _) => ().into_any(),
        (Some(title), true) => view! { <Rename title done=renamed/> }.into_any(),
        (Some(title), false) => view! {
            <button
                type="button"
                class="quiet conversation-title tip below"
                aria-label=format!("Rename “{title}”")
                on:click=move |_| is_renaming.set(true)
            >
                <span class="words" dir="auto">{title.clone()}</span>
            </button>
        }
        .into_any(),
    };
    view! { {title} <OutlineButton/> }
}

/// The title of the open conversation, if it has one. Reactive.
pub fn title_of(chat: Chat, conversations: Conversations) -> Option<String> {
    let id = chat.id()?;
    conversations
        .get(&id)
        .map(|one| one.title)
        .or_else(|| chat.title())
        .filter(|title| !title.is_empty())
}
