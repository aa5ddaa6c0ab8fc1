//! The composer: the message field, and Send or Stop in the same place.
//!
//! The text is in the chat's draft, and `draft_field` keeps the field and the draft in sync. Text that was typed
//! before hydration is kept.

pub mod composer_field;
mod direction;
mod draft_field;
pub mod effort;
pub mod preset_button;

use leptos::ev::{KeyboardEvent, MouseEvent};
use leptos::prelude::*;

use self::draft_field::DraftField;
use self::effort::Effort;
use self::preset_button::PresetButton;
use crate::chat::draft::Draft;
use crate::chat::preferences::Preferences;
use crate::chat::{Chat, ConnectionState};
use crate::ui::composer::composer_field::ComposerField;
use crate::ui::controls::icon::icon;
use crate::ui::text;
use crate::ui::transcript::follow::Follow;

/// The composer.
#[component]
pub fn Composer() -> impl IntoView {
    let chat = expect_context::<Chat>();
    let follow = expect_context::<Follow>();
    let field = expect_context::<ComposerField>();
    let preferences = expect_context::<Preferences>();
    let is_ready = RwSignal::new(false);
    let draft_field = DraftField::new(chat, field);
    draft_field.keep(is_ready);
    // The pointer changes when a keyboard or a mouse is attached.
    let check_pointer = move || preferences.note_touch(has_coarse_pointer());
    Effect::new(move |_| check_pointer());
    let sends_now = move || {
        check_pointer();
        untrack(|| preferences.sends_by_enter())
    };
    let send = move || {
        if chat.send() {
            follow.resume();
        }
        field.focus();
    };

    // One line of text about the conversation as a whole.
    let status = move || match chat.link() {
        ConnectionState::Lost => Some(text::CONNECTION_LOST),
        ConnectionState::HeldBack => Some(text::HELD_BACK),
        ConnectionState::Fine => chat.is_temporary().then_some(text::TEMPORARY),
    };
    view! {
        <div class="composer">
            <p class="link" hidden=move || status().is_none()>{move || status().unwrap_or_default()}</p>
            {move || match chat.notice() {
                // The status region announces it already; a live alert would announce it twice.
                Some(sentence) => view! { <p class="notice" role="alert" aria-live="off">{sentence}</p> }.into_any(),
                None => ().into_any(),
            }}
            <p class="editing" hidden=move || !chat.draft().with(Draft::is_edit)>
                {text::EDITING}
                <button type="button" class="quiet" on:click=move |_| {
                    chat.cancel_edit();
                    field.focus();
                }>"Cancel"</button>
            </p>
            <div class="box">
                <div class="grow" data-value=move || draft_field.beginning()>
                    <textarea
                        id="message"
                        node_ref=field.0
                        aria-label="Message"
                        placeholder="Ask anything"
                        rows="1"
                        dir="auto"
                        autocomplete="off"
                        enterkeyhint=move || if preferences.sends_by_enter() { "send" } else { "enter" }
                        on:beforeinput=move |input| draft_field.will_write(&input)
                        on:input=move |_| draft_field.wrote()
                        on:keydown=move |key| on_key(&key, chat, sends_now, send)
                        on:focus=move |_| check_pointer()
                    ></textarea>
                </div>
                <div class="below">
                    <PresetButton/>
                    <Effort/>
                    <span class="room"></span>
                    <span class="count">{move || draft_field.count()}</span>
                    {move || if chat.is_streaming() {
                        stop_button(chat, field)
                    } else {
                        send_button(is_ready, draft_field, send)
                    }}
                </div>
            </div>
        </div>
    }
}

fn stop_button(chat: Chat, field: ComposerField) -> AnyView {
    view! {
        <button
            type="button"
            class="send stop"
            aria-label="Stop"
            on:click=move |click| stop(&click, chat, field)
        >{icon("stop")}</button>
    }
    .into_any()
}

fn send_button(
    is_ready: RwSignal<bool>,
    draft_field: DraftField,
    send: impl Fn() + 'static,
) -> AnyView {
    view! {
        <button
            type="button"
            class="send"
            class:idle=move || draft_field.is_blank()
            aria-label="Send"
            disabled=move || !is_ready.get()
            on:click=move |_| send()
        >{icon("send")}</button>
    }
    .into_any()
}

/// Handles a key in the field: Enter sends, ↑ in an empty field edits the last question, Escape cancels an edit.
fn on_key(key: &KeyboardEvent, chat: Chat, sends_now: impl Fn() -> bool, send: impl Fn()) {
    // The Enter that confirms a candidate of an input method does not send. Safari marks it by the key code only.
    if key.is_composing() || key.key_code() == 229 {
        return;
    }
    match key.key().as_str() {
        // Alt and Enter is a shortcut of the page.
        "Enter" if key.alt_key() => {}
        "Enter" if key.ctrl_key() || key.meta_key() || (!key.shift_key() && sends_now()) => {
            key.prevent_default();
            send();
        }
        "ArrowUp" if chat.draft().with_untracked(|draft| draft.text().is_empty()) => {
            key.prevent_default();
            chat.edit_last();
        }
        "Escape" if !chat.is_streaming_untracked() => chat.cancel_edit(),
        _ => {}
    }
}

fn stop(click: &MouseEvent, chat: Chat, field: ComposerField) {
    // The second click of a double click on Send must not stop what the first click started.
    if click.detail() < 2 {
        chat.stop();
    }
    field.focus();
}

/// Whether the main pointer is a finger. Then the keyboard is most likely on the screen.
fn has_coarse_pointer() -> bool {
    let query = window().match_media("(pointer: coarse)");
    query.ok().flatten().is_some_and(|query| query.matches())
}
