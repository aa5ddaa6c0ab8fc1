//! The foot of the sidebar: import, export, and toasts.

use leptos::html::Input;
use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::chat::Chat;
use crate::library::backend::use_backend;
use crate::library::list::{Conversations, Toast};
use crate::page::navigation::{Address, Navigation};
use crate::protocol::saved::EXPORT_PATH;
use crate::ui::text;

/// Import, export, and the toast.
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
        Some(Toast::Text(sentence)) => view! {
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

/// The percentage of all files that is sent, when this percentage of one of them is.
fn of_all(place: usize, count: usize, percent: u8) -> u8 {
    let percent = (place * 100 + usize::from(percent)) / count.max(1);
    u8::try_from(percent.min(100)).expect("it is a percentage")
}

/// Chooses files and uploads them.
#[component]
fn ImportButton() -> impl IntoView {
    let conversations = expect_context::<Conversations>();
    let chat = expect_context::<Chat>();
    let backend = StoredValue::new(use_backend());
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
        let Some((list, backend)) = field.files().zip(backend.get_value()) else {
            return;
        };
        let files: Vec<_> = (0..list.length()).filter_map(|at| list.get(at)).collect();
        if files.is_empty() {
            return;
        }
        progress.set(Some(0));
        spawn_local(async move {
            let count = files.len();
            let mut outcomes = Vec::with_capacity(count);
            // Uploads are sequential, because the server imports one file at a time.
            for (place, file) in files.into_iter().enumerate() {
                let name = file.name();
                let on_progress = move |percent| progress.set(Some(of_all(place, count, percent)));
                let outcome = backend.import(file, Box::new(on_progress)).await;
                let outcome =
                    outcome.map_err(|error| error.kind.sentence_or(&error.message).to_owned());
                outcomes.push((name, outcome));
            }
            progress.set(None);
            // Resetting the field allows to choose the same file again.
            field.set_value("");
            let sentence = text::imported_files(outcomes);
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
            accept=".json,.jsonl,.zip,application/json,application/zip"
            multiple
            node_ref=field
            on:change=send
        />
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn progress_is_a_percentage_of_all_files() {
        for (place, count, percent, expect) in [
            (0, 1, 40, 40),
            (0, 1, 100, 100),
            (0, 4, 100, 25),
            (3, 4, 50, 87),
            (3, 4, 100, 100),
        ] {
            assert_eq!(of_all(place, count, percent), expect);
        }
    }
}
