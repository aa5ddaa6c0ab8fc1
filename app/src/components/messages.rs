//! The messages of the conversation, one below the other: a part of the page that is loaded when there
//! is one to show, or somebody is about to write one. Whoever only opens the page does not pay for it.
//!
//! A message is built once and stays as it is while others come; what streams changes within its own.

use leptos::either::Either;
use leptos::html::Div;
use leptos::mount::mount_to;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::JsCast;
use web_sys::HtmlDivElement;

use super::question::QuestionView;
use super::reply::ReplyView;
use crate::chat::{Chat, Message};
use crate::conversation::MessageId;
use crate::part::part;
use crate::wording;

/// How far the part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Asleep,
    Loading,
    Live,
    Failed,
}

/// The place of the messages.
#[component]
pub fn Messages() -> impl IntoView {
    let chat = expect_context::<Chat>();
    let place = NodeRef::<Div>::new();
    let state = RwSignal::new(State::Asleep);
    let owner = Owner::current().unwrap_or_default();
    let wake = move || {
        let Some(place) = place.get_untracked() else {
            return;
        };
        if !matches!(state.get_untracked(), State::Asleep | State::Failed) {
            return;
        }
        state.set(State::Loading);
        let owner = owner.clone();
        spawn_local(async move {
            let outcome = come_to_life(place, owner).await;
            state.set(match outcome {
                Ok(()) => State::Live,
                Err(_) => State::Failed,
            });
        });
    };
    let is_empty = Memo::new(move |_| chat.is_empty());
    {
        let wake = wake.clone();
        Effect::new(move |_| {
            if place.get().is_some() && !is_empty.get() {
                wake();
            }
        });
    }
    {
        let wake = wake.clone();
        // An effect runs in the browser only.
        Effect::new(move |_| {
            let (at_a_key, at_a_touch) = (wake.clone(), wake.clone());
            let key = window_event_listener(leptos::ev::keydown, move |_| at_a_key());
            let touch = window_event_listener(leptos::ev::pointerdown, move |_| at_a_touch());
            on_cleanup(move || {
                key.remove();
                touch.remove();
            });
        });
    }
    view! {
        <div class="messages" node_ref=place></div>
        <p
            class="note error"
            role="alert"
            hidden=move || is_empty.get() || state.get() != State::Failed
        >
            {wording::MESSAGES_NOT_LOADED}
            <button type="button" on:click=move |_| wake()>"Try again"</button>
        </p>
    }
}

part! {
    /// Shows the messages, live, in their place.
    fn come_to_life(place: HtmlDivElement, owner: Owner) -> () {
        place.set_text_content(None);
        // They stay for as long as the page does.
        owner.with(|| mount_to(place.unchecked_into(), || view! { <MessageList/> }).forget());
    }
}

#[component]
fn MessageList() -> impl IntoView {
    let chat = expect_context::<Chat>();
    view! {
        <For each=move || chat.path() key=|id| *id children=move |id| view! { <MessageView id/> }/>
    }
}

#[component]
fn MessageView(id: MessageId) -> impl IntoView {
    match expect_context::<Chat>().message(id) {
        Message::Question(text) => Either::Left(view! { <QuestionView id text/> }),
        Message::Reply(reply) => Either::Right(view! { <ReplyView id reply/> }),
    }
}
