//! The button that copies a message as its source text.

use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;

use crate::ui::controls::icon::symbol_use;

/// How long the button shows its outcome.
const OUTCOME_TIME: Duration = Duration::from_secs(2);

/// The copy button.
#[component]
pub fn CopyButton(
    /// Returns the text to copy. Called at the click.
    text: Box<dyn Fn() -> String>,
) -> impl IntoView {
    let label = RwSignal::new("Copy");
    let copy = move |_| {
        let text = text();
        spawn_local(async move {
            let outcome = match copy_to_clipboard(&text).await {
                Ok(()) => "Copied",
                Err(_) => "Not copied",
            };
            // The message may be gone by now, and the button with it.
            let _ = label.try_set(outcome);
            set_timeout(
                move || {
                    let _ = label.try_set("Copy");
                },
                OUTCOME_TIME,
            );
        });
    };
    let symbol = move || {
        symbol_use(if label.get() == "Copied" {
            "check"
        } else {
            "copy"
        })
    };
    view! {
        <button
            type="button"
            class="icon-button tip"
            class:said=move || label.get() != "Copy"
            aria-label=move || label.get()
            on:click=copy
        >
            <svg class="icon" aria-hidden="true" inner_html=symbol></svg>
        </button>
    }
}

/// Writes a text to the clipboard.
///
/// # Errors
/// If the browser does not allow it.
pub(in crate::ui) async fn copy_to_clipboard(text: &str) -> Result<(), JsValue> {
    let clipboard = window().navigator().clipboard();
    // A page that was loaded over plain HTTP from another machine has no clipboard.
    if clipboard.is_undefined() {
        return Err(JsValue::UNDEFINED);
    }
    JsFuture::from(clipboard.write_text(text)).await?;
    Ok(())
}
