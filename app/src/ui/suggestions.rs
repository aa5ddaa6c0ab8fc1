//! Suggestions for a first message, below the composer of an empty conversation.

use leptos::ev::MouseEvent;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::Element;

use crate::chat::Chat;
use crate::chat::preferences::Preferences;
use crate::protocol::{PageInfo, Suggestion};
use crate::ui::controls::icon::along_icon;
use crate::ui::server_rendered::ServerRendered;
use crate::ui::text;
use crate::ui::transcript::follow::Follow;

/// The suggestions, and in the demo what it is. Only the server knows them, so they are its HTML alone: a click is read
/// from the button's attribute.
#[component]
pub fn Suggestions(
    /// Whether the conversation is empty.
    is_shown: Memo<bool>,
) -> impl IntoView {
    let chat = expect_context::<Chat>();
    let follow = expect_context::<Follow>();
    let preferences = expect_context::<Preferences>();
    let choose = move |click: MouseEvent| {
        let target = click
            .target()
            .and_then(|target| target.dyn_into::<Element>().ok());
        let button = target.and_then(|target| target.closest("[data-prompt]").ok().flatten());
        if let Some(prompt) = button.and_then(|button| button.get_attribute("data-prompt")) {
            chat.draft().update(|draft| draft.write(prompt));
            if chat.send() {
                follow.resume();
            }
        }
    };
    view! {
        <div class="below-composer" hidden=move || !is_shown.get() on:click=choose>
            <div>{ServerRendered::new(on_server)}</div>
            <p class="aside keys">{move || text::keys(preferences.sends_by_enter(), preferences.is_touch())}</p>
        </div>
    }
}

fn on_server() -> impl IntoView {
    let suggestions = use_context::<Vec<Suggestion>>().unwrap_or_default();
    let is_demo = use_context::<PageInfo>().unwrap_or_default().demo;
    let item = |suggestion: Suggestion| {
        view! {
            <li>
                <button type="button" data-prompt=suggestion.prompt>
                    <strong dir="auto">{suggestion.title}</strong>
                    <span dir="auto">{suggestion.detail}</span>
                    {along_icon("next")}
                </button>
            </li>
        }
    };
    view! {
        <ul class="suggestions">{suggestions.into_iter().map(item).collect_view()}</ul>
        {is_demo.then(|| view! {
            <p class="aside" role="note">
                "This is a demo: Rill makes up the answers. Set "
                <code>"OPENAI_API_KEY"</code>", or "<code>"OPENAI_BASE_URL"</code>
                " for a model of your own, and restart."
            </p>
        })}
    }
}
