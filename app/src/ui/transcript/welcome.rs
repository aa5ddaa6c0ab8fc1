//! The view of an empty conversation.

use leptos::html::Span;
use leptos::prelude::*;

use crate::chat::Chat;
use crate::chat::preferences::Preferences;
use crate::protocol::PageInfo;
use crate::ui::composer::composer_field::ComposerField;
use crate::ui::text;

/// Shows which model answers, and in the demo which settings give real answers.
#[component]
pub fn Welcome() -> impl IntoView {
    let chat = expect_context::<Chat>();
    let field = expect_context::<ComposerField>();
    let info = use_context::<PageInfo>().unwrap_or_default();
    let preferences = expect_context::<Preferences>();
    let default = if info.model.is_empty() {
        "the model".to_owned()
    } else {
        info.model
    };
    let name = NodeRef::<Span>::new();
    {
        let default = default.clone();
        Effect::new(move |_| {
            let model = preferences.get().model().unwrap_or_else(|| default.clone());
            if let Some(name) = name.get() {
                name.set_text_content(Some(&model));
            }
        });
    }
    view! {
        <div class="welcome">
            <h2>"Ask "<span class="model" node_ref=name>{default}</span></h2>
            <p>{move || text::keys(preferences.sends_by_enter(), preferences.is_touch())}</p>
            {info.demo.then(|| view! {
                <p class="demo" role="note">
                    "This is a demo: Rill itself makes up these answers. Set "
                    <code>"OPENAI_API_KEY"</code>", or "<code>"OPENAI_BASE_URL"</code>
                    " for Ollama, vLLM, llama.cpp and the like, and restart."
                </p>
            }.into_any())}
            {untrack(|| chat.can_restore()).then(|| view! {
                <button type="button" on:click=move |_| {
                    chat.restore();
                    field.focus();
                }>"Back to the previous chat"</button>
            }.into_any())}
        </div>
    }
}
