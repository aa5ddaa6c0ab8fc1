//! The button that opens the menu of a message.

use leptos::html::Button;
use leptos::prelude::*;

use crate::chat::Chat;
use crate::chat::tree::MessageId;
use crate::ui::controls::icon::icon;
use crate::ui::panels::Panels;

/// The button; nothing in a temporary conversation, whose messages the server does not know.
#[component]
pub fn MoreButton(
    /// The message.
    id: MessageId,
) -> impl IntoView {
    let panels = expect_context::<Panels>();
    if untrack(|| expect_context::<Chat>().is_temporary()) {
        return ().into_any();
    }
    let button = NodeRef::<Button>::new();
    view! {
        <button
            node_ref=button
            type="button"
            class="icon-button tip"
            aria-label="More"
            aria-haspopup="menu"
            aria-expanded="false"
            on:click=move |_| panels.toggle_menu(id, button)
        >
            {icon("more")}
        </button>
    }
    .into_any()
}
