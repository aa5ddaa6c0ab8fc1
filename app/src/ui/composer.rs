//! Where one writes: the field, and Send or Stop in the same place.
//!
//! The text lives in the chat's draft, and `draft_field` keeps the field and the draft the same. What was
//! typed before the page came to life is taken over, never overwritten.

pub mod composer_field;
mod draft_field;
pub mod model_picker;

use leptos::ev::{KeyboardEvent, MouseEvent};
use leptos::prelude::*;

use self::draft_field::DraftField;
use crate::chat::draft::Draft;
use crate::chat::preferences::Preferences;
use crate::chat::{Chat, ConnectionState};
use crate::ui::composer::composer_field::ComposerField;
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
    // It changes where a keyboard is attached.
    let look_at_pointer = move || preferences.note_touch(has_coarse_pointer());
    Effect::new(move |_| look_at_pointer());
    let sends_now = move || {
        look_at_pointer();
        untrack(|| preferences.sends_by_enter())
    };

    let send = move || {
        if chat.send() {
            follow.resume();
        }
        field.focus();
    };
    let on_key = move |key: KeyboardEvent| {
        // The Enter that confirms an input method's candidate is not ours. Safari says so by the code only.
        if key.is_composing() || key.key_code() == 229 {
            return;
        }
        let draft = chat.draft();
        match key.key().as_str() {
            "Enter" if key.ctrl_key() || key.meta_key() || (!key.shift_key() && sends_now()) => {
                key.prevent_default();
                send();
            }
            "ArrowUp" if draft.with_untracked(|draft| draft.text().is_empty()) => {
                key.prevent_default();
                chat.edit_last();
            }
            "Escape" if !chat.is_streaming_untracked() => chat.cancel_edit(),
            _ => {}
        }
    };
    let stop = move |click: MouseEvent| {
        // The second click of a double click on Send must not stop what the first one began.
        if click.detail() < 2 {
            chat.stop();
        }
        field.focus();
    };

    // One quiet line about the conversation as a whole.
    let said = move || match chat.link() {
        ConnectionState::Lost => Some(text::CONNECTION_LOST),
        ConnectionState::HeldBack => Some(text::HELD_BACK),
        ConnectionState::Fine => chat.is_temporary().then_some(text::TEMPORARY),
    };
    view! {
        <div class="composer">
            <p class="link" hidden=move || said().is_none()>{move || said().unwrap_or_default()}</p>
            {move || match chat.notice() {
                // The status says it already; an alert that spoke too would say it twice.
                Some(sentence) => view! { <p class="notice" role="alert" aria-live="off">{sentence}</p> }.into_any(),
                None => ().into_any(),
            }}
            <p class="editing" hidden=move || !chat.draft().with(Draft::is_edit)>
                {text::EDITING}
                <button type="button" on:click=move |_| {
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
                        placeholder="Message"
                        rows="1"
                        dir="auto"
                        autocomplete="off"
                        enterkeyhint=move || if preferences.sends_by_enter() { "send" } else { "enter" }
                        on:input=move |_| draft_field.wrote()
                        on:keydown=on_key
                        on:focus=move |_| look_at_pointer()
                    ></textarea>
                </div>
                {move || if chat.is_streaming() {
                    view! { <button type="button" class="stop" on:click=stop>"Stop"</button> }.into_any()
                } else {
                    view! {
                        <button type="button" class="send" disabled=move || !is_ready.get() on:click=move |_| send()>
                            "Send"
                        </button>
                    }.into_any()
                }}
            </div>
        </div>
    }
}

/// Whether the main pointer is a finger, so that the keyboard is most likely on the screen.
fn has_coarse_pointer() -> bool {
    let query = window().match_media("(pointer: coarse)");
    query.ok().flatten().is_some_and(|query| query.matches())
}
