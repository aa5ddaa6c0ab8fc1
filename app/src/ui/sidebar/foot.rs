//! The foot of the sidebar: import and export, and for a while what was just done.

use leptos::html::Input;
use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::chat::Chat;
use crate::library::import::{Import, use_import};
use crate::library::list::{Conversations, Toast};
use crate::page::navigation::{Address, Navigation};
use crate::protocol::saved::EXPORT_PATH;
use crate::ui::text;

/// Import, export, and the way back from a deletion.
#[component]
pub fn Foot() -> impl IntoView {
    view! {
        <div class="foot">
            <ToastView/>
            <div class="both">
                <ImportButton/>
                <a class="quiet" href=EXPORT_PATH download="">"Export all"</a>
            </div>
        </div>
    }
}

#[component]
fn ToastView() -> impl IntoView {
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
    move || {
        match conversations.toast() {
        Some(Toast::Deleted { id, title }) => view! {
            <div class="toast">
                <span>"Deleted “"<span dir="auto">{title}</span>"”"</span>
                <button type="button" on:click=move |_| undo(id.clone())>"Undo"</button>
            </div>
        }
        .into_any(),
        Some(Toast::Said(sentence)) => view! {
            <div class="toast">
                <span>{sentence}</span>
                <button type="button" aria-label="Dismiss" on:click=move |_| conversations.dismiss()>"×"</button>
            </div>
        }
        .into_any(),
        None => ().into_any(),
    }
    }
}

/// Chooses a file and sends it.
#[component]
fn ImportButton() -> impl IntoView {
    let conversations = expect_context::<Conversations>();
    let chat = expect_context::<Chat>();
    let import = StoredValue::new(use_import());
    let field = NodeRef::<Input>::new();
    let progress = RwSignal::new(None::<u8>);
    let choose = move |_| {
        if let Some(field) = field.get_untracked() {
            field.click();
        }
    };
    let send = move |_| {
        let Some(field) = field.get_untracked() else {
            return;
        };
        let file = field.files().and_then(|files| files.get(0));
        let (Some(file), Some(import)) = (file, import.get_value()) else {
            return;
        };
        progress.set(Some(0));
        spawn_local(async move {
            let outcome = Import::send(
                &*import,
                file,
                Box::new(move |percent| progress.set(Some(percent))),
            )
            .await;
            progress.set(None);
            // So that the same file can be chosen again.
            field.set_value("");
            let sentence = match outcome {
                Ok(report) => text::imported(&report),
                Err(error) => error.kind.sentence_or(&error.message).to_owned(),
            };
            chat.announce(sentence.clone());
            conversations.say(sentence);
            conversations.reload();
        });
    };
    view! {
        <button type="button" class="quiet" disabled=move || progress.get().is_some() on:click=choose>
            {move || match progress.get() {
                None => "Import…".to_owned(),
                Some(100) => "Importing…".to_owned(),
                Some(percent) => format!("Importing… {percent} %"),
            }}
        </button>
        <input
            type="file"
            class="visually-hidden"
            aria-label="File to import"
            tabindex="-1"
            accept=".json,application/json"
            node_ref=field
            on:change=send
        />
    }
}
