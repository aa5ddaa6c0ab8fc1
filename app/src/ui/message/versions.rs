//! The control that switches between the versions of a message.

use leptos::prelude::*;

use crate::chat::Chat;
use crate::chat::tree::{MessageId, VersionStep};
use crate::ui::controls::icon::along_icon;
use crate::ui::transcript::follow::Follow;

/// "2 of 3" with a button on each side; hidden if there is one version.
#[component]
pub fn Versions(
    /// The message.
    id: MessageId,
) -> impl IntoView {
    let chat = expect_context::<Chat>();
    let follow = expect_context::<Follow>();
    let version = Memo::new(move |_| chat.version(id));
    let step = move |step| {
        // The clicked button stays under the pointer: the view keeps following only at the last message.
        if chat.path().last() != Some(&id) {
            follow.pause();
        }
        chat.show_version(id, step);
    };
    view! {
        <span class="versions" hidden=move || version.get().of < 2>
            <button
                type="button"
                class="icon-button"
                aria-label="Previous version"
                disabled=move || version.get().number == 1
                on:click=move |_| step(VersionStep::Previous)
            >{along_icon("prev")}</button>
            <span>{move || { let version = version.get(); format!("{} of {}", version.number, version.of) }}</span>
            <button
                type="button"
                class="icon-button"
                aria-label="Next version"
                disabled=move || { let version = version.get(); version.number == version.of }
                on:click=move |_| step(VersionStep::Next)
            >{along_icon("next")}</button>
        </span>
    }
}
