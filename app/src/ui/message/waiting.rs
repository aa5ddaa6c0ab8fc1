//! The line in place of an answer that takes long to start, or that waits for a retry of the provider.

use std::time::Duration;

use leptos::prelude::*;

use crate::chat::Chat;
use crate::protocol::PageInfo;
use crate::reply::Reply;
use crate::ui::controls::ticking::ticking;
use crate::ui::text;

/// How long to wait before the line is shown.
const PATIENCE: Duration = Duration::from_secs(9);

/// Empty at first; after a while the line names the model and counts seconds. While the server waits for a retry, the line
/// says that.
#[component]
pub fn Waiting(
    /// A reply without text or reasoning.
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
