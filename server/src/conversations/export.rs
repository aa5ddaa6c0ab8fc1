//! Export: a conversation as Markdown or JSON, or all of them as one JSON file that an import reads.
//!
//! Files are written while they are read from the store, one conversation at a time.

use std::fmt::Write;

use app::protocol::saved::{ExportedConversation, SavedMessage};
use app::protocol::{Id, Role};
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use serde::Deserialize;

use crate::error::AppError;
use crate::state::AppState;
use crate::store::{LOCAL_OWNER, StoreError};

/// The beginning of a file of ours, and its end.
const HEAD: &str = "{\"format\":\"rill\",\"version\":1,\"conversations\":[";
const FOOT: &str = "]}\n";

const JSON: &str = "application/json";
const MARKDOWN: &str = "text/markdown; charset=utf-8";

/// How one conversation is wanted.
#[derive(Deserialize)]
pub(super) struct Wanted {
    format: Option<String>,
}

/// `GET …/export?format=json|markdown`
pub(super) async fn one(
    State(state): State<AppState>,
    Path(id): Path<Id>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, AppError> {
    let is_markdown = match wanted.format.as_deref() {
        Some("markdown") => true,
        Some("json") | None => false,
        Some(_) => return Err(AppError::invalid("format must be json or markdown.")),
    };
    let conversation = state.store.exported(LOCAL_OWNER, &id).await?;
    let name = file_name(&conversation.title);
    if is_markdown {
        return Ok(file(
            MARKDOWN,
            &format!("{name}.md"),
            Body::from(markdown(&conversation)),
        ));
    }
    let json = format!("{HEAD}{}{FOOT}", to_json(&conversation));
    Ok(file(JSON, &format!("{name}.json"), Body::from(json)))
}

/// `GET /api/export`
pub(super) async fn all(State(state): State<AppState>) -> Result<Response, AppError> {
    let ids = state.store.ids(LOCAL_OWNER).await?;
    let parts = stream::unfold(
        (Part::Head, ids.into_iter(), state),
        |(part, mut ids, state)| async move {
            let is_first = match part {
                Part::Head => {
                    let next = (Part::First, ids, state);
                    return Some((Ok(Bytes::from_static(HEAD.as_bytes())), next));
                }
                Part::First => true,
                Part::Further => false,
                Part::Over => return None,
            };
            loop {
                let Some(id) = ids.next() else {
                    let next = (Part::Over, ids, state);
                    return Some((Ok(Bytes::from_static(FOOT.as_bytes())), next));
                };
                match state.store.exported(LOCAL_OWNER, &id).await {
                    Ok(conversation) => {
                        let comma = if is_first { "\n" } else { ",\n" };
                        let json = format!("{comma}{}", to_json(&conversation));
                        return Some((Ok(Bytes::from(json)), (Part::Further, ids, state)));
                    }
                    // It was deleted meanwhile.
                    Err(StoreError::NotFound) => {}
                    Err(error) => {
                        tracing::error!(%error, "an export broke off");
                        // A file that is cut off is no JSON, so nobody takes it for whole.
                        let error = std::io::Error::other("the export broke off");
                        return Some((Err(error), (Part::Over, ids, state)));
                    }
                }
            }
        },
    );
    Ok(file(
        JSON,
        "rill-conversations.json",
        Body::from_stream(parts),
    ))
}

enum Part {
    Head,
    First,
    Further,
    Over,
}

fn to_json(conversation: &ExportedConversation) -> String {
    serde_json::to_string(conversation).expect("our wire types are JSON")
}

/// An answer that a browser saves, and never shows.
fn file(media_type: &'static str, name: &str, body: Body) -> Response {
    let headers = [
        (CONTENT_TYPE, media_type.to_owned()),
        (
            CONTENT_DISPOSITION,
            format!("attachment; filename=\"{name}\""),
        ),
        (CACHE_CONTROL, "no-store".to_owned()),
    ];
    (headers, body).into_response()
}

/// A title as the name of a file, in letters that every system takes.
fn file_name(title: &str) -> String {
    let mut name = String::new();
    for letter in title.chars().take(60) {
        if letter.is_ascii_alphanumeric() {
            name.push(letter.to_ascii_lowercase());
        } else if !name.ends_with('-') && !name.is_empty() {
            name.push('-');
        }
    }
    let name = name.trim_end_matches('-');
    if name.is_empty() {
        "conversation".to_owned()
    } else {
        name.to_owned()
    }
}

/// The path of a conversation that is shown, for people.
fn markdown(conversation: &ExportedConversation) -> String {
    let mut out = format!("# {}\n", one_line(&conversation.title));
    for message in shown_path(conversation) {
        let who = match (message.role, &message.model) {
            (Role::User, _) => "You".to_owned(),
            (Role::System, _) => "Instructions".to_owned(),
            (Role::Assistant, Some(model)) => one_line(model),
            (Role::Assistant, None) => "Assistant".to_owned(),
        };
        write!(out, "\n## {who}\n\n").expect("a string takes all");
        if !message.reasoning.trim().is_empty() {
            for line in message.reasoning.trim().lines() {
                writeln!(out, "> {line}").expect("a string takes all");
            }
            out.push('\n');
        }
        out.push_str(message.text.trim_end());
        out.push('\n');
    }
    out
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The messages from the first to the leaf that is shown; without one, to the newest.
fn shown_path(conversation: &ExportedConversation) -> Vec<&SavedMessage> {
    let by_id = |id: &str| {
        conversation
            .messages
            .iter()
            .find(|message| message.id == id)
    };
    let mut next = conversation
        .leaf
        .as_deref()
        .and_then(by_id)
        .or(conversation.messages.last());
    let mut path = Vec::new();
    while let Some(message) = next {
        path.push(message);
        next = message.parent.as_deref().and_then(by_id);
        if path.len() > conversation.messages.len() {
            break;
        }
    }
    path.reverse();
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use app::protocol::Finish;
    use app::protocol::saved::MessageState;

    #[test]
    fn a_title_becomes_a_name_that_every_system_takes() {
        let check = |title: &str, expect: &str| assert_eq!(file_name(title), expect, "{title}");
        check("What is a rill?", "what-is-a-rill");
        check("../../etc/passwd", "etc-passwd");
        check("a\"; filename=\"b.html", "a-filename-b-html");
        check("東京", "conversation");
        check("", "conversation");
    }

    #[test]
    fn markdown_tells_the_path_that_is_shown() {
        let message = |id: &str, parent: Option<&str>, role, text: &str| SavedMessage {
            id: id.into(),
            parent: parent.map(Into::into),
            role,
            text: text.into(),
            reasoning: String::new(),
            model: None,
            created_at: 0,
            usage: None,
            timing: None,
            state: MessageState::Done {
                finish: Finish::Stop,
            },
            could_not_be_saved: false,
        };
        let conversation = ExportedConversation {
            id: "c".into(),
            title: "A\nrill".into(),
            created_at: 0,
            updated_at: 0,
            pinned: false,
            leaf: Some("b".into()),
            messages: vec![
                message("q", None, Role::User, "What?"),
                message("a", Some("q"), Role::Assistant, "One."),
                message("b", Some("q"), Role::Assistant, "Two.\n"),
            ],
        };
        assert_eq!(
            markdown(&conversation),
            "# A rill\n\n## You\n\nWhat?\n\n## Assistant\n\nTwo.\n"
        );
    }
}
