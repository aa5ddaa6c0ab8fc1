//! The button that requests another version of a reply: Retry if the reply is incomplete, otherwise Regenerate.

use std::time::Duration;

use leptos::prelude::*;

use crate::chat::Chat;
use crate::chat::tree::MessageId;
use crate::reply::Reply;
use crate::ui::controls::icon::icon;
use crate::ui::controls::ticking::ticking;
use crate::ui::text;
use crate::ui::transcript::follow::Follow;

/// Regenerate or Retry. After a rate limit the button counts down first.
#[component]
pub fn RegenerateButton(
    /// The message of the reply.
    id: MessageId,
    /// A reply that has ended.
    reply: RwSignal<Reply>,
) -> impl IntoView {
    let chat = expect_context::<Chat>();
    let follow = expect_context::<Follow>();
    let (is_retry, must_wait) = reply.with_untracked(|reply| {
        (
            reply.invites_retry(),
            reply.retry_wait(Duration::ZERO).is_some(),
        )
    });
    let now = must_wait.then(|| ticking(chat));
    let wait = move || {
        let now = now.and_then(|now| now.get())?;
        reply
            .with(|reply| reply.retry_wait(now))
            .filter(|wait| !wait.is_zero())
    };
    view! {
        <button
            type="button"
            class=if is_retry { "button always" } else { "icon-button tip" }
            aria-label=(!is_retry).then_some("Regenerate")
            disabled=move || chat.is_streaming() || wait().is_some()
            on:click=move |_| {
                chat.regenerate(id);
                follow.resume();
            }
        >
            {if is_retry { "Retry".into_any() } else { icon("again") }}
        </button>
        {move || wait().map(|wait| view! { <span class="wait always">{text::retry_in(wait)}</span> })}
    }
}
