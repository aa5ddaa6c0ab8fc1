//! The reasoning effort, in the row under the text: a list of the browser that looks like a quiet word.

use leptos::ev::Event;
use leptos::html::Label;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::HtmlSelectElement;

use crate::chat::Chat;
use crate::ui::controls::icon::small_icon;
use crate::ui::server_rendered::ServerRendered;

/// The list. Its options are the server's HTML alone.
#[component]
pub fn Effort() -> impl IntoView {
    let chat = expect_context::<Chat>();
    let label = NodeRef::<Label>::new();
    Effect::new(move |_| {
        let effort = chat.choices().reasoning_effort;
        let Some(label) = label.get() else { return };
        let list = label.query_selector("select").ok().flatten();
        if let Some(list) = list.and_then(|list| list.dyn_into::<HtmlSelectElement>().ok()) {
            list.set_value(&effort);
            if let Ok(Some(words)) = label.query_selector(".words") {
                let chosen = list.selected_options().item(0);
                let name = chosen
                    .filter(|_| !effort.is_empty())
                    .and_then(|one| one.text_content());
                words.set_text_content(Some(name.as_deref().unwrap_or("Effort")));
            }
        }
    });
    let choose = move |change: Event| {
        let list = change
            .target()
            .and_then(|target| target.dyn_into::<HtmlSelectElement>().ok());
        if let Some(list) = list {
            let effort = list.value();
            chat.choose(|choices| choices.reasoning_effort.clone_from(&effort));
        }
    };
    view! {
        <label class="quiet effort" title="Reasoning effort" node_ref=label on:change=choose>
            {ServerRendered::new(on_server)}
        </label>
    }
}

fn on_server() -> impl IntoView {
    view! {
        {small_icon("reasoning")}
        <span class="words" aria-hidden="true">"Effort"</span>
        {small_icon("down")}
        <select aria-label="Reasoning effort">
            <option value="">"The model's own"</option>
            <option value="low">"Low"</option>
            <option value="medium">"Medium"</option>
            <option value="high">"High"</option>
        </select>
    }
}
