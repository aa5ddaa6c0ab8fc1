//! The view of a question.
//!
//! A long question is rendered in parts, each an element of its own, so that the browser lays out only the visible
//! ones.

use std::sync::Arc;

use leptos::prelude::*;

use crate::chat::Chat;
use crate::chat::tree::MessageId;
use crate::ui::composer::composer_field::ComposerField;
use crate::ui::controls::copy_button::CopyButton;
use crate::ui::controls::icon::icon;
use crate::ui::message::more::MoreButton;
use crate::ui::message::versions::Versions;

/// A question as plain text.
#[component]
pub fn QuestionView(
    /// The message.
    id: MessageId,
    /// The text of the question.
    text: Arc<str>,
) -> impl IntoView {
    let chat = expect_context::<Chat>();
    let field = expect_context::<ComposerField>();
    let is_edited = move || chat.draft().with(|draft| draft.editing() == Some(id));
    let copied = Arc::clone(&text);
    view! {
        <article class="question" class:edited=is_edited aria-label="You">
            <div class=if is_long(&text) { "text long" } else { "text" } data-text dir="auto">{shown(&text)}</div>
            <div class="actions">
                <Versions id/>
                <button type="button" class="icon-button tip" aria-label="Edit" on:click=move |_| {
                    chat.edit(id);
                    field.focus();
                }>{icon("edit")}</button>
                <CopyButton text=Box::new(move || copied.to_string())/>
                <MoreButton id/>
            </div>
        </article>
    }
}

/// The most bytes of a part. A longer question is rendered in parts.
const PART: usize = 8 * 1024;

fn is_long(text: &str) -> bool {
    text.len() > PART
}

/// The text, in parts if it is long.
fn shown(text: &str) -> AnyView {
    if !is_long(text) {
        return text.to_owned().into_any();
    }
    parts(text)
        .map(|part| view! { <span class="part" dir="auto">{part.to_owned()}</span> })
        .collect_view()
        .into_any()
}

/// The parts of a text: each ends after a line or, if lines are long, after a word or any character.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.len() <= PART {
            return (!rest.is_empty()).then(|| std::mem::take(&mut rest));
        }
        let mut end = PART;
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        let begin = &rest[..end];
        let end = begin
            .rfind('\n')
            .or_else(|| begin.rfind(' '))
            .map_or(end, |last| last + 1);
        let (part, later) = rest.split_at(end);
        rest = later;
        Some(part)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, count: usize) {
        let parts: Vec<_> = parts(text).collect();
        assert_eq!(parts.concat(), text);
        assert_eq!(parts.len(), count);
        assert!(parts.iter().all(|part| (1..=PART).contains(&part.len())));
    }

    #[test]
    fn a_long_question_is_divided_into_bounded_parts() {
        check("", 0);
        check("a", 1);
        check(&"a".repeat(PART), 1);
        check(&"a".repeat(PART + 1), 2);
        check(&format!("{}\n{}", "a".repeat(PART - 1), "b"), 2);
        check(&format!("a\n{}", "b".repeat(PART)), 2);
        check(&"\n".repeat(2 * PART), 2);
        check(&"字".repeat(PART), 4);
    }

    proptest! {
        #[test]
        fn no_character_of_a_question_is_lost(
            pieces in prop::collection::vec("(\\PC{0,40}|[ \n]|a{3000}|\u{1f600}{900})", 0..20),
        ) {
            let text = pieces.concat();
            let parts: Vec<_> = parts(&text).collect();
            prop_assert_eq!(parts.concat(), text.as_str());
            prop_assert!(parts.iter().all(|part| (1..=PART).contains(&part.len())));
        }
    }
}
