//! The button that copies a message as it was written.

use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;

/// How long it says what has come of it.
const SAID_FOR: Duration = Duration::from_secs(2);

/// Copy.
#[component]
pub fn CopyButton(
    /// What to copy, asked for at the click.
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
            // The message may be gone by now, and this button with it.
            let _ = label.try_set(outcome);
            set_timeout(
                move || {
                    let _ = label.try_set("Copy");
                },
                SAID_FOR,
            );
        });
    };
    view! { <button type="button" on:click=copy>{move || label.get()}</button> }
}

/// Writes a text into the clipboard.
///
/// # Errors
/// When the browser does not let the page.
pub(in crate::ui) async fn copy_to_clipboard(text: &str) -> Result<(), JsValue> {
    let clipboard = window().navigator().clipboard();
    // A page that came over plain HTTP from another machine has none.
    if clipboard.is_undefined() {
        return Err(JsValue::UNDEFINED);
    }
    JsFuture::from(clipboard.write_text(text)).await?;
    Ok(())
}
