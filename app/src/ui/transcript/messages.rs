//! The messages of the conversation: a lazy part, loaded when there is a message to show or at the first interaction.
//!
//! Messages that the server rendered are readable before, and are hydrated in place. The view of a message is built once;
//! a streaming reply changes within its own view.

use leptos::html::Div;
use leptos::mount::mount_to;
use leptos::prelude::*;
use leptos::tachys::hydration::Cursor;
use leptos::tachys::view::PositionState;
use wasm_bindgen::JsCast;
use web_sys::HtmlDivElement;

use crate::chat::tree::MessageId;
use crate::chat::{Chat, Message};
use crate::page::lazy::{FIRST_INTERACTION, LazyPart, lazy_part, on_each};
use crate::ui::message::question::QuestionView;
use crate::ui::message::reply::ReplyView;
use crate::ui::server_rendered::ServerRendered;
use crate::ui::text;
use crate::ui::transcript::earlier_row::{EarlierRow, LaterRow};
use crate::ui::transcript::warm_up::warm_up;

/// The container of the messages.
#[component]
pub fn Messages() -> impl IntoView {
    let chat = expect_context::<Chat>();
    let place = NodeRef::<Div>::new();
    let part = LazyPart::new();
    let owner = Owner::current().expect("a component has one");
    // The messages that the server has rendered.
    let as_rendered = StoredValue::new(shown_messages(chat));
    let load = move || {
        if let Some(place) = place.get_untracked() {
            part.load(show_messages(place, owner.clone(), as_rendered));
        }
    };
    let is_empty = Memo::new(move |_| chat.is_empty());
    {
        let load = load.clone();
        Effect::new(move |_| {
            if place.get().is_some() && !is_empty.get() {
                load();
            }
        });
    }
    on_each(FIRST_INTERACTION, load.clone());
    view! {
        <div class="messages" node_ref=place>
            {ServerRendered::new(|| view! { <MessageList/> })}
        </div>
        <p
            class="note failed"
            role="alert"
            hidden=move || is_empty.get() || !part.has_failed()
        >
            {text::MESSAGES_NOT_LOADED}
            <button type="button" class="button" on:click=move |_| load()>"Try again"</button>
        </p>
    }
}

lazy_part! {
    /// Makes the messages interactive: hydrates them if the conversation is still as the server rendered it, and builds
    /// them again otherwise.
    fn show_messages(
        place: HtmlDivElement,
        owner: Owner,
        as_rendered: StoredValue<Option<ShownMessages>>,
    ) -> () {
        owner.with(|| {
            // The container may be gone by now.
            let Some(as_rendered) = as_rendered.try_get_value() else {
                return;
            };
            let chat = expect_context::<Chat>();
            let now = shown_messages(chat);
            // The view lives as long as its container.
            if now.is_some() && now == as_rendered {
                let list = view! { <MessageList/> }.into_any();
                let cursor = Cursor::new(place.unchecked_into());
                std::mem::forget(list.hydrate::<true>(&cursor, &PositionState::default()));
            } else {
                place.set_text_content(None);
                mount_to(place.unchecked_into(), || view! { <MessageList/> }).forget();
            }
            warm_up(chat);
        });
    }
}

/// The epoch of the chat, and the path that is shown.
type ShownMessages = (u32, Vec<MessageId>);

/// The messages that are shown; `None` if a reply streams or has changed since it was loaded.
fn shown_messages(chat: Chat) -> Option<ShownMessages> {
    untrack(|| {
        let path = chat.path();
        let is_as_saved = |id: &MessageId| match chat.message(*id) {
            Message::Question(_) => true,
            Message::Reply(reply) => {
                reply.with(|reply| reply.restarts() == 0 && !reply.transcript().is_streaming())
            }
        };
        path.iter().all(is_as_saved).then(|| (chat.epoch(), path))
    })
}

#[component]
fn MessageList() -> impl IntoView {
    let chat = expect_context::<Chat>();
    view! {
        <EarlierRow/>
        // The ids of messages start anew in each conversation, so another epoch means other messages.
        {move || {
            let _ = chat.epoch();
            view! { <Parts/> }.into_any()
        }}
        <LaterRow/>
    }
}

/// The slices of the path as they were loaded. Earlier messages are inserted as one element, because inserting many
/// messages into one list would move the others.
#[component]
fn Parts() -> impl IntoView {
    let chat = expect_context::<Chat>();
    let path = Memo::new(move |_| chat.path_in_parts());
    let numbers = move || path.with(|(_, parts)| (0..parts.len()).rev().collect::<Vec<_>>());
    view! {
        <For each=numbers key=|number| *number children=move |number| {
            let ids = Memo::new(move |_| path.with(|(path, parts)| {
                let (start, end) = parts.get(number).copied().unwrap_or_default();
                let end = end.min(path.len());
                path[start.min(end)..end].to_vec()
            }));
            view! {
                <div class="slice">
                    <For each=move || ids.get() key=|id| *id children=move |id| view! { <MessageView id/> }/>
                </div>
            }
        }/>
    }
}

#[component]
fn MessageView(id: MessageId) -> impl IntoView {
    match expect_context::<Chat>().message(id) {
        Message::Question(text) => view! { <QuestionView id text/> }.into_any(),
        Message::Reply(reply) => view! { <ReplyView id reply/> }.into_any(),
    }
}
