//! Where one writes: the field, and Send or Stop in the same place.
//!
//! The text lives in the chat's draft; this keeps the field and the draft the same. What was typed
//! before the page came to life is taken over, never overwritten.

pub mod composer_field;
pub mod model_picker;

use leptos::ev::{KeyboardEvent, MouseEvent};
use leptos::prelude::*;

use crate::chat::draft::{Draft, recovered};
use crate::chat::{Chat, Link};
use crate::platform::storage::{Item, use_memory};
use crate::ui::composer::composer_field::ComposerField;
use crate::ui::text;
use crate::ui::transcript::follow::Follow;

/// The composer.
#[component]
pub fn Composer() -> impl IntoView {
    let chat = expect_context::<Chat>();
    let follow = expect_context::<Follow>();
    let field = expect_context::<ComposerField>();
    let is_ready = RwSignal::new(false);
    keep_draft(chat, field, is_ready);

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
            "Enter" if !key.shift_key() => {
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
        Link::Lost => Some(text::CONNECTION_LOST),
        Link::HeldBack => Some(text::HELD_BACK),
        Link::Fine => chat.is_temporary().then_some(text::TEMPORARY),
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
                <div class="grow" data-value=move || chat.draft().with(|draft| beginning(draft.text()).to_owned())>
                    <textarea
                        id="message"
                        node_ref=field.0
                        aria-label="Message"
                        placeholder="Message"
                        rows="1"
                        dir="auto"
                        autocomplete="off"
                        enterkeyhint="send"
                        on:input=move |input| chat.draft().update(|draft| draft.write(event_target_value(&input)))
                        on:keydown=on_key
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

/// As much of a text as fills the field to its greatest height on any screen. The field is as high as this is, so
/// more would only be laid out with each key.
fn beginning(text: &str) -> &str {
    const LINES: usize = 128;
    let mut end = text.len().min(16 * 1024);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let beginning = &text[..end];
    let lines = beginning.match_indices('\n').nth(LINES);
    &beginning[..lines.map_or(end, |(at, _)| at)]
}

/// Keeps the field, the draft and the browser's memory the same, from the moment the page is alive.
fn keep_draft(chat: Chat, field: ComposerField, is_ready: RwSignal<bool>) {
    let memory = use_memory();
    let draft = chat.draft();
    Effect::new(move |is_begun: Option<bool>| {
        let Some(field) = field.0.get() else {
            return false;
        };
        if is_begun != Some(true) {
            let remembered = memory
                .as_ref()
                .and_then(|memory| memory.recall(Item::Draft))
                .unwrap_or_default();
            draft.update(|draft| draft.write(recovered(remembered, field.value())));
            is_ready.set(true);
        }
        draft.with(|draft| {
            // An equal value is left alone: setting it could disturb an input method.
            if field.value() != draft.text() {
                field.set_value(draft.text());
            }
            if let Some(memory) = &memory {
                memory.remember(Item::Draft, draft.unsent());
            }
        });
        true
    });
}

#[cfg(test)]
mod tests {
    use super::beginning;

    #[test]
    fn the_copy_that_gives_the_field_its_height_is_bounded() {
        assert_eq!(beginning("a\nb"), "a\nb");
        assert_eq!(beginning(&"a\n".repeat(20_000)).lines().count(), 129);
        assert!(beginning(&"\u{5b57}".repeat(20_000)).len() <= 16 * 1024);
        assert_eq!(beginning(""), "");
    }
}
