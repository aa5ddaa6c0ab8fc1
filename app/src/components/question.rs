//! What the person asked.

use std::sync::Arc;

use leptos::prelude::*;

use super::composer_field::ComposerField;
use super::copy_button::CopyButton;
use super::versions::Versions;
use crate::chat::Chat;
use crate::conversation::MessageId;

/// A question, as the text that it is.
#[component]
pub fn QuestionView(
    /// The message.
    id: MessageId,
    /// What was asked.
    text: Arc<str>,
) -> impl IntoView {
    let chat = expect_context::<Chat>();
    let field = expect_context::<ComposerField>();
    let is_edited = move || chat.draft().with(|draft| draft.editing() == Some(id));
    let copied = Arc::clone(&text);
    view! {
        <article class="question" class:edited=is_edited aria-label="You">
            <div class="text" data-text dir="auto">{text.to_string()}</div>
            <div class="actions">
                <Versions id/>
                <button type="button" on:click=move |_| {
                    chat.edit(id);
                    field.focus();
                }>"Edit"</button>
                <CopyButton text=Box::new(move || copied.to_string())/>
            </div>
        </article>
    }
}
