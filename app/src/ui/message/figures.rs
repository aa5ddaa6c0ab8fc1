//! The figures of a reply (tokens and times), in one line that is shown on request.

use leptos::html::{Button, P};
use leptos::prelude::*;

use crate::reply::Reply;
use crate::ui::text;

/// The button that shows the line, and the line.
#[component]
pub fn Figures(
    /// A reply that has ended.
    reply: RwSignal<Reply>,
) -> impl IntoView {
    let button = NodeRef::<Button>::new();
    let line = NodeRef::<P>::new();
    let toggle = move |_| {
        if let (Some(button), Some(line)) = (button.get_untracked(), line.get_untracked()) {
            let is_shown = line.hidden();
            let figures =
                is_shown.then(|| reply.with_untracked(|reply| text::figures(&reply.figures())));
            line.set_text_content(figures.as_deref());
            line.set_hidden(!is_shown);
            // Setting fails only for an invalid attribute name.
            let _ = button.set_attribute("aria-expanded", if is_shown { "true" } else { "false" });
        }
    };
    view! {
        <button node_ref=button type="button" aria-expanded="false" on:click=toggle>"Details"</button>
        <p node_ref=line class="figures" hidden></p>
    }
}
