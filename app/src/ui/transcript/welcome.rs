//! The view of an empty conversation: a greeting within the arch of the mark.

use leptos::prelude::*;

use crate::chat::Chat;
use crate::ui::composer::composer_field::ComposerField;

/// The arches. They stand on what one writes into; a temporary chat draws them broken.
pub const ARCHES: &str = r#"<svg viewBox="0 0 520 288"><path d="M72.5 288v-28a187.5 187.5 0 0 1 375 0v28M48.5 288v-28a211.5 211.5 0 0 1 423 0v28M24.5 288v-28a235.5 235.5 0 0 1 471 0v28M.5 288v-28a259.5 259.5 0 0 1 519 0v28"/></svg>"#;

/// The greeting, and the way back to a temporary chat that was just left.
#[component]
pub fn Welcome() -> impl IntoView {
    let chat = expect_context::<Chat>();
    let field = expect_context::<ComposerField>();
    let greeting = if untrack(|| chat.is_temporary()) {
        "Nothing of this is kept"
    } else {
        "What shall we look at?"
    };
    view! {
        <div class="greeting">
            <span class="spring" aria-hidden="true" inner_html=ARCHES></span>
            <h2>{greeting}</h2>
            {untrack(|| chat.can_restore()).then(|| view! {
                <button type="button" class="quiet" on:click=move |_| {
                    chat.restore();
                    field.focus();
                }>"Back to the previous chat"</button>
            }.into_any())}
        </div>
    }
}
