//! The button that continues a reply where it was cut off.

use leptos::prelude::*;

use crate::chat::Chat;
use crate::chat::tree::MessageId;
use crate::ui::transcript::follow::Follow;

/// Continue; nothing if the reply is not saved.
#[component]
pub fn ContinueButton(
    /// The message of the reply.
    id: MessageId,
) -> impl IntoView {
    let chat = expect_context::<Chat>();
    let follow = expect_context::<Follow>();
    if !chat.can_continue(id) {
        return ().into_any();
    }
    view! {
        <button
            type="button"
            class="button always"
            disabled=move || chat.is_streaming()
            on:click=move |_| {
                chat.continue_reply(id);
                follow.resume();
            }
        >
            "Continue"
        </button>
    }
    .into_any()
}
