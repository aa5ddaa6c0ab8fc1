//! The dialog in which the text of a reply is edited.

use leptos::ev::{Event, KeyboardEvent};
use leptos::html::{Dialog, Textarea};
use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::chat::tree::MessageId;
use crate::chat::{Chat, Message};
use crate::library::backend::use_server;
use crate::ui::controls::icon::icon;
use crate::ui::panels::{Panel, Panels, is_beside};
use crate::ui::text;

/// The dialog. A text that was not saved is there again when the same reply is edited again.
#[component]
pub fn EditReplyDialog() -> impl IntoView {
    let chat = expect_context::<Chat>();
    let panels = expect_context::<Panels>();
    let dialog = NodeRef::<Dialog>::new();
    let field = NodeRef::<Textarea>::new();
    let error = RwSignal::new(String::new());
    let unsaved = StoredValue::new(None::<(u32, MessageId, String)>);
    let server = StoredValue::new(use_server());
    let edited = Memo::new(move |_| match panels.open.get() {
        Some(Panel::EditReply(message)) => Some(message),
        _ => None,
    });
    Effect::new(move |_| {
        let (Some(dialog), Some(field)) = (dialog.get(), field.get()) else {
            return;
        };
        match edited.get() {
            Some(message) if !dialog.open() => {
                error.set(String::new());
                field.set_value(&text_to_edit(chat, message, unsaved));
                // This fails only if the dialog is open already.
                let _ = dialog.show_modal();
            }
            None if dialog.open() => dialog.close(),
            _ => {}
        }
    });
    let close = move || {
        if let Some(message) = edited.get_untracked() {
            panels.closed(Panel::EditReply(message));
        }
    };
    let note = move |_| {
        if let (Some(message), Some(field)) = (edited.get_untracked(), field.get_untracked()) {
            unsaved.set_value(Some((untrack(|| chat.epoch()), message, field.value())));
        }
    };
    let save = move || {
        let (Some(message), Some(field)) = (edited.get_untracked(), field.get_untracked()) else {
            return;
        };
        let written = field.value();
        if written == source(chat, message) {
            return close();
        }
        if written.trim().is_empty() {
            return error.set(text::NO_TEXT.to_owned());
        }
        let server = server.get_value();
        spawn_local(async move {
            match chat.edit_reply(server, message, written).await {
                Ok(()) => {
                    unsaved.set_value(None);
                    chat.announce("Answer changed".to_owned());
                    close();
                }
                Err(refusal) => error.set(refusal.error.message),
            }
        });
    };
    view! {
        <dialog
            node_ref=dialog
            class="settings edit-reply"
            aria-labelledby="edit-reply-title"
            on:keydown=move |key: KeyboardEvent| {
                key.stop_propagation();
                if key.key() == "Enter" && (key.ctrl_key() || key.meta_key()) {
                    key.prevent_default();
                    save();
                }
            }
            on:click=move |click| if is_beside(&click) { close() }
            on:close=move |_| close()
        >
            {sheet(field, error, note, save, close)}
        </dialog>
    }
}

/// The heading, the field and the buttons.
fn sheet(
    field: NodeRef<Textarea>,
    error: RwSignal<String>,
    note: impl Fn(Event) + 'static,
    save: impl Fn() + 'static,
    close: impl Fn() + Copy + 'static,
) -> impl IntoView {
    view! {
        <div class="sheet">
            <h2 id="edit-reply-title">"Edit answer"</h2>
            <p class="help">"It becomes another version, which the model reads from then on."</p>
            <textarea
                node_ref=field
                class="field"
                rows="16"
                dir="auto"
                aria-label="Answer"
                aria-describedby="edit-reply-error"
                on:input=note
            ></textarea>
            <span class="wrong" id="edit-reply-error" role="alert">{move || error.get()}</span>
            <div class="buttons">
                <button type="button" class="button" on:click=move |_| close()>"Cancel"</button>
                <button type="button" class="button primary" on:click=move |_| save()>"Save"</button>
            </div>
            <button type="button" class="icon-button close" aria-label="Close" on:click=move |_| close()>
                {icon("close")}
            </button>
        </div>
    }
}

/// The text of a reply.
fn source(chat: Chat, message: MessageId) -> String {
    match chat.message(message) {
        Message::Reply(reply) => reply.with_untracked(|reply| reply.transcript().text.clone()),
        Message::Question(text) => text.to_string(),
    }
}

/// The text that was not saved when this reply was last edited, or else the text of the reply.
fn text_to_edit(
    chat: Chat,
    message: MessageId,
    unsaved: StoredValue<Option<(u32, MessageId, String)>>,
) -> String {
    let epoch = untrack(|| chat.epoch());
    let kept = unsaved
        .get_value()
        .filter(|(opened, edited, _)| (*opened, *edited) == (epoch, message));
    kept.map_or_else(|| source(chat, message), |(.., text)| text)
}
