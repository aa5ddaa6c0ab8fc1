//! A word about a long silence before the first text, and about a pause before the provider is asked
//! again.

use std::time::Duration;

use leptos::prelude::*;

use crate::chat::Chat;
use crate::protocol::PageInfo;
use crate::reply::Reply;
use crate::ui::controls::ticking::ticking;
use crate::ui::text;

/// Shorter than this is no long silence.
const PATIENCE: Duration = Duration::from_secs(9);

/// Nothing at first; after a while it says who is being waited for, and counts on. While the server
/// waits to ask again, it says that.
#[component]
pub fn Waiting(
    /// A reply of which nothing has come yet.
    reply: RwSignal<Reply>,
) -> impl IntoView {
    let default_model = use_context::<PageInfo>().unwrap_or_default().model;
    let now = ticking(expect_context::<Chat>());
    move || {
        let now = now.get()?;
        let sentence = reply.with(|reply| {
            let waited = reply.waiting_time(now);
            let model = reply.transcript().model.as_ref().unwrap_or(&default_model);
            reply
                .pause_left(now)
                .map(text::asking_again)
                .or_else(|| (waited >= PATIENCE).then(|| text::still_waiting(model, waited)))
        })?;
        Some(view! { <p class="note waiting">{sentence}</p> })
    }
}
