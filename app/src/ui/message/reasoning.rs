//! The model's reasoning, apart from its answer.

use leptos::html::Details;
use leptos::prelude::*;

use crate::reply::Reply;
use crate::ui::content::streamed_text::{Source, StreamedText};
use crate::ui::text;
use crate::ui::transcript::follow::Follow;

/// A block that is open while the model reasons, and closes when the answer begins.
#[component]
pub fn Reasoning(
    /// A reply that has reasoning.
    reply: RwSignal<Reply>,
) -> impl IntoView {
    let follow = expect_context::<Follow>();
    let details = NodeRef::<Details>::new();
    let thought = Memo::new(move |_| reply.with(Reply::thinking_time));
    let is_open = RwSignal::new(thought.get_untracked().is_none());
    Effect::new(move |_| {
        // Who has scrolled away may be reading it, and nothing moves under a reader's eyes.
        if thought.get().is_some() && follow.is_following() {
            is_open.set(false);
        }
    });
    let before_toggle = move |_| {
        // What the person opens stays where it is, instead of being pushed up by the following.
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
                {move || thought.get().map_or_else(|| text::THINKING.to_owned(), text::thought_for)}
            </summary>
            <StreamedText reply source=Source::Reasoning/>
        </details>
    }
}
