//! The outline of a conversation: its questions, as a list to jump to.

use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::chat::Chat;
use crate::library::GetOutline;
use crate::library::backend::use_server;
use crate::library::list::Conversations;
use crate::protocol::saved::OutlineQuestion;
use crate::ui::controls::icon::icon;
use crate::ui::panels::chooser::{Chooser, How, Row, Section, fits, marked};
use crate::ui::panels::{Panel, Panels};

/// The number of messages from which there is an outline.
const FROM: usize = 8;
/// The most questions that are listed at once.
const MOST_ROWS: usize = 300;

/// Whether the open conversation is long enough. Reactive.
pub fn has_outline(chat: Chat) -> bool {
    chat.id().is_some() && (chat.path().len() >= FROM || chat.earlier().is_some())
}

/// The button in the header; hidden for a short conversation.
#[component]
pub fn OutlineButton() -> impl IntoView {
    let chat = expect_context::<Chat>();
    let panels = expect_context::<Panels>();
    view! {
        <button
            type="button"
            class="icon-button tip below"
            aria-label="Outline"
            hidden=move || !has_outline(chat)
            on:click=move |_| panels.open(Panel::Outline)
        >
            {icon("outline")}
        </button>
    }
}

/// The list of the questions.
#[component]
pub fn Outline() -> impl IntoView {
    let chat = expect_context::<Chat>();
    let conversations = expect_context::<Conversations>();
    let panels = expect_context::<Panels>();
    let server = StoredValue::new(use_server());
    let questions = StoredValue::new(Vec::<OutlineQuestion>::new());
    let find = move |typed: &str| {
        let rows = questions.with_value(|questions| {
            let rows = questions
                .iter()
                .filter(|question| fits(&question.text, typed));
            // The newest are nearest to what one is at.
            let rows = rows.rev().take(MOST_ROWS).map(|question| Row {
                label: marked(first_line(&question.text), typed),
                ..Row::new(question.message.clone(), "")
            });
            rows.collect()
        });
        vec![Section {
            heading: "Questions, the newest first".to_owned(),
            rows,
        }]
    };
    let choose = move |message: String, _: How| {
        if let Some(id) = chat.id_untracked() {
            chat.seek(id, message);
        }
        true
    };
    let chooser = Chooser::new(Panel::Outline, "outline", find, choose);
    Effect::new(move |_| {
        if !panels.is_open(Panel::Outline) {
            return;
        }
        let Some(id) = chat.id_untracked() else {
            return;
        };
        let server = server.get_value();
        spawn_local(async move {
            match server.call(GetOutline { id: id.into() }).await {
                Ok(found) => {
                    questions.set_value(found);
                    chooser.show(false);
                }
                Err(refusal) => conversations.say(refusal.error.message),
            }
        });
    });
    let hints = view! {
        <span><b>"↵"</b>" jump to it"</span>
        <span><b>"Esc"</b>" close"</span>
    };
    chooser.view("palette", "Outline", "Find a question", hints.into_any())
}

/// The first line that is not blank.
fn first_line(text: &str) -> &str {
    text.lines()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or_default()
}
