//! The view of the model's reasoning.

use leptos::html::Details;
use leptos::prelude::*;

use crate::reply::Reply;
use crate::ui::content::streamed_text::{Source, StreamedText};
use crate::ui::controls::icon::along_icon;
use crate::ui::text;
use crate::ui::transcript::follow::Follow;

/// A block that is open while the model reasons, and closes when the answer starts.
#[component]
pub fn Reasoning(
    /// A reply with reasoning.
    reply: RwSignal<Reply>,
) -> impl IntoView {
    let follow = expect_context::<Follow>();
    let details = NodeRef::<Details>::new();
    let thought = Memo::new(move |_| reply.with(Reply::thinking_time));
    let is_open = RwSignal::new(thought.get_untracked().is_none());
    Effect::new(move |_| {
        // A user who has scrolled away may be reading the reasoning, so the block stays open.
        if thought.get().is_some() && follow.is_following() {
            is_open.set(false);
        }
    });
    let before_toggle = move |_| {
        // Following would scroll the opened block up.
        if details
            .get_untracked()
            .is_some_and(|details| !details.open())
        {
            follow.pause();
        }
    };
    view! {
        <details class="reasoning" node_ref=details prop:open=move || is_open.get()>
            <summary on:click=before_toggle>
                {along_icon("next")}
                <span class:thinking=move || thought.get().is_none()>
                    {move || thought.get().map_or_else(|| text::THINKING.to_owned(), text::thought_for)}
                </span>
            </summary>
            <StreamedText reply source=Source::Reasoning/>
        </details>
    }
}
