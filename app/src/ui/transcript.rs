//! The view of the conversation: the messages, in a scroll area that follows the end.

pub mod earlier_row;
pub mod follow;
pub mod messages;
mod warm_up;
pub mod welcome;

use leptos::prelude::*;

use crate::chat::Chat;
use crate::ui::controls::icon::small_icon;
use crate::ui::dom::focus_in_place;
use crate::ui::transcript::follow::Follow;
use crate::ui::transcript::messages::Messages;
use crate::ui::transcript::welcome::Welcome;

/// The view of the open conversation.
#[component]
pub fn Transcript() -> impl IntoView {
    let chat = expect_context::<Chat>();
    let follow = expect_context::<Follow>();
    follow.watch();
    let is_empty = Memo::new(move |_| chat.is_empty());
    // A conversation that is opened is shown at its end.
    Effect::new(move |before: Option<u32>| {
        let epoch = chat.epoch();
        if before.is_some_and(|before| before != epoch) {
            follow.resume();
        }
        epoch
    });
    let jump = move |_| {
        follow.resume();
        // The button is about to be hidden; the focus must not fall back to the top of the page.
        if let Some(scroller) = follow.scroller.get_untracked() {
            focus_in_place(&scroller);
        }
    };
    view! {
        <div class="view">
            // Not a live region: a screen reader would read the growing text in fragments. The status region announces.
            <div
                class="transcript"
                role="log"
                aria-label="Conversation"
                aria-live="off"
                tabindex="0"
                node_ref=follow.scroller
            >
                <div class="column" node_ref=follow.content>
                    {move || {
                        // Another new conversation may be a temporary one.
                        let _ = chat.epoch();
                        if is_empty.get() { view! { <Welcome/> }.into_any() } else { ().into_any() }
                    }}
                    <Messages/>
                </div>
            </div>
            <button type="button" class="quiet jump" hidden=move || !follow.is_away() on:click=jump>
                {small_icon("latest")}"Jump to latest"
            </button>
        </div>
    }
}
