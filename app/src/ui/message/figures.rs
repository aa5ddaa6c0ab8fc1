//! The figures of a reply (model, tokens, times), in a small panel that is shown on request.

use leptos::html::{Button, Dl};
use leptos::prelude::*;

use crate::reply::Reply;
use crate::ui::controls::icon::icon;
use crate::ui::dom::{append, create};
use crate::ui::text;

/// The button that shows the panel, and the panel.
#[component]
pub fn Figures(
    /// A reply that has ended.
    reply: RwSignal<Reply>,
) -> impl IntoView {
    let button = NodeRef::<Button>::new();
    let list = NodeRef::<Dl>::new();
    let toggle = move |_| {
        if let (Some(button), Some(list)) = (button.get_untracked(), list.get_untracked()) {
            let is_shown = list.hidden();
            list.set_text_content(None);
            if is_shown {
                let figures = reply.with_untracked(|reply| text::figures(&reply.figures()));
                for (name, value) in figures {
                    let row = create("div");
                    for (tag, text) in [("dt", name), ("dd", value.as_str())] {
                        let cell = create(tag);
                        cell.set_text_content(Some(text));
                        append(&row, &cell);
                    }
                    append(&list, &row);
                }
            }
            list.set_hidden(!is_shown);
            // Setting fails only for an invalid attribute name.
            let _ = button.set_attribute("aria-expanded", if is_shown { "true" } else { "false" });
        }
    };
    view! {
        <button
            node_ref=button
            type="button"
            class="icon-button tip"
            aria-label="Details"
            aria-expanded="false"
            on:click=toggle
        >
            {icon("info")}
        </button>
        <dl node_ref=list class="figures" hidden></dl>
    }
}
