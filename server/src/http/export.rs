//! Export: one conversation as Markdown or JSON, or all conversations as one JSON file for an import.
//!
//! Files are written page by page while they are read from the store.

use std::fmt::Write;
use std::sync::Arc;

use app::protocol::saved::SavedMessage;
use app::protocol::{Id, Role};
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::access::Caller;
use crate::http::error::AppError;
use crate::http::file_name;
use crate::http::state::AppState;
use crate::store::{ConversationHead, ConversationKey, Store, StoreError};

/// The beginning and the end of an exported file.
const HEAD: &str = "{\"format\":\"rill\",\"version\":1,\"conversations\":[";
const FOOT: &str = "]}\n";

const JSON: &str = "application/json";
const MARKDOWN: &str = "text/markdown; charset=utf-8";

/// The query of an export of one conversation.
#[derive(Deserialize)]
pub(super) struct ExportQuery {
    format: Option<String>,
}

/// `GET …/export?format=json|markdown`
pub(super) async fn one(
    State(state): State<AppState>,
    Path(id): Path<Id>,
    Query(query): Query<ExportQuery>,
    caller: Caller,
) -> Result<Response, AppError> {
    let is_markdown = match query.format.as_deref() {
        Some("markdown") => true,
        Some("json") | None => false,
        Some(_) => return Err(AppError::invalid("format must be json or markdown.")),
    };
    let key = state.store.key(caller.owner(), &id).await?;
    let head = state.store.head(caller.owner(), key).await?;
    let title = head.title.clone();
    let writer = ExportWriter::new(state.store, caller.owner());
    if is_markdown {
        let body = body(move |out| writer.markdown(key, head, out));
        return Ok(file(MARKDOWN, &title, "md", body));
    }
    let body = body(move |out| writer.json(vec![key], "", out));
    Ok(file(JSON, &title, "json", body))
}

/// `GET /api/export`
pub(super) async fn all(
    State(state): State<AppState>,
    caller: Caller,
) -> Result<Response, AppError> {
    let keys = state.store.keys(caller.owner()).await?;
    state.access.note_export(&caller).await;
    let writer = ExportWriter::new(state.store, caller.owner());
    let body = body(move |out| writer.json(keys, "\n", out));
    Ok(file(JSON, "rill-conversations", "json", body))
}

/// Writes all conversations of the person with this email into a new file, for a command.
///
/// # Errors
/// A sentence.
pub async fn to_file(
    store: &Arc<Store>,
    email: &str,
    path: &std::path::Path,
) -> Result<(), String> {
    let failed =
        |error: &dyn std::fmt::Display| format!("{} cannot be written: {error}", path.display());
    let person = store.person_by_email(&email.trim().to_lowercase()).await;
    let person = person.map_err(|_| format!("There is no person with the email {email}."))?;
    let keys = store
        .keys(&person.owner)
        .await
        .map_err(|error| failed(&error))?;
    use std::io::Write;
    let mut file = std::fs::File::create_new(path).map_err(|error| failed(&error))?;
    let (out, mut parts) = mpsc::channel(1);
    let writer = ExportWriter::new(Arc::clone(store), &person.owner);
    let writing = tokio::spawn(writer.json(keys, "\n", out));
    while let Some(part) = parts.recv().await {
        let part = part.map_err(|error| failed(&error))?;
        file.write_all(&part).map_err(|error| failed(&error))?;
    }
    match writing.await {
        Ok(Ok(())) => file.sync_all().map_err(|error| failed(&error)),
        Ok(Err(ExportError::Store(error))) => Err(failed(&error)),
        Ok(Err(ExportError::ClientLeft)) | Err(_) => Err(failed(&"the export broke off")),
    }
}

/// The sending end of a body. Sending fails when the client has disconnected.
type ByteSender = mpsc::Sender<std::io::Result<Bytes>>;

/// A body that is written while it is sent. Dropping the body ends the writer.
fn body<F>(write: impl FnOnce(ByteSender) -> F) -> Body
where
    F: Future<Output = Result<(), ExportError>> + Send + 'static,
{
    let (out, parts) = mpsc::channel(1);
    let writing = write(out.clone());
    tokio::spawn(async move {
        let written = tokio::select! {
            written = writing => written,
            () = out.closed() => return,
        };
        if let Err(ExportError::Store(error)) = written {
            tracing::error!(%error, "an export broke off");
            // A truncated file is not valid JSON, so no program takes it for a whole one.
            let _ = out
                .send(Err(std::io::Error::other("the export broke off")))
                .await;
        }
    });
    Body::from_stream(stream::unfold(parts, async |mut parts| {
        Some((parts.recv().await?, parts))
    }))
}

/// The reason why an export ended early.
enum ExportError {
    ClientLeft,
    Store(StoreError),
}

impl From<StoreError> for ExportError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Writes conversations page by page.
struct ExportWriter {
    store: Arc<Store>,
    owner: String,
}

impl ExportWriter {
    fn new(store: Arc<Store>, owner: &str) -> Self {
        Self {
            store,
            owner: owner.to_owned(),
        }
    }

    /// Writes a file for an import. `between` precedes each conversation.
    async fn json(
        self,
        keys: Vec<ConversationKey>,
        between: &'static str,
        out: ByteSender,
    ) -> Result<(), ExportError> {
        let mut text = String::from(HEAD);
        let mut is_first = true;
        for key in keys {
            let head = match self.store.head(&self.owner, key).await {
                Ok(head) => head,
                // The conversation was deleted meanwhile.
                Err(StoreError::NotFound) => continue,
                Err(error) => return Err(error.into()),
            };
            if !is_first {
                text.push(',');
            }
            text.push_str(between);
            is_first = false;
            let head = to_json(&head);
            // The messages are the last field.
            text.push_str(head.strip_suffix('}').unwrap_or(&head));
            text.push_str(",\"messages\":[");
            let mut page = self.store.messages_after(&self.owner, key, None).await?;
            let mut comma = "";
            while let Some(last) = page.last {
                text = on_a_thread(move || {
                    for message in &page.messages {
                        text.push_str(comma);
                        text.push_str(&to_json(message));
                        comma = ",";
                    }
                    text
                })
                .await?;
                comma = ",";
                text = send_if_large(&out, text).await?;
                page = self
                    .store
                    .messages_after(&self.owner, key, Some(last))
                    .await?;
            }
            text.push_str("]}");
        }
        text.push_str(FOOT);
        send(&out, text).await
    }

    /// Writes the shown path of a conversation as Markdown.
    async fn markdown(
        self,
        key: ConversationKey,
        head: ConversationHead,
        out: ByteSender,
    ) -> Result<(), ExportError> {
        let mut text = format!("# {}\n", one_line(&head.title));
        let path = self.store.shown(&self.owner, key).await?;
        let mut left = path.as_slice();
        while !left.is_empty() {
            let (messages, taken) = self.store.messages(&self.owner, left).await?;
            left = &left[taken..];
            text = on_a_thread(move || {
                for message in &messages {
                    add_markdown(&mut text, message);
                }
                text
            })
            .await?;
            text = send_if_large(&out, text).await?;
        }
        send(&out, text).await
    }
}

/// The size at which a part is sent, in bytes. Smaller parts are joined with the next.
const PART: usize = 64 * 1024;

/// Sends a large text and returns an empty one. Returns a small text unchanged.
async fn send_if_large(out: &ByteSender, text: String) -> Result<String, ExportError> {
    if text.len() < PART {
        return Ok(text);
    }
    send(out, text).await?;
    Ok(String::new())
}

async fn send(out: &ByteSender, text: String) -> Result<(), ExportError> {
    let sent = out.send(Ok(Bytes::from(text))).await;
    sent.map_err(|_| ExportError::ClientLeft)
}

/// Formats a page on a blocking thread, because one message may have megabytes.
async fn on_a_thread(
    write: impl FnOnce() -> String + Send + 'static,
) -> Result<String, ExportError> {
    let written = tokio::task::spawn_blocking(write).await;
    written.map_err(|error| ExportError::Store(StoreError::Failed(error.to_string())))
}

fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("our wire types are JSON")
}

/// A response that a browser saves and does not display.
fn file(media_type: &'static str, title: &str, ending: &str, body: Body) -> Response {
    let headers = [
        (CONTENT_TYPE, media_type.to_owned()),
        (CONTENT_DISPOSITION, file_name::attachment(title, ending)),
        (CACHE_CONTROL, "no-store".to_owned()),
    ];
    (headers, body).into_response()
}

/// A message as Markdown.
fn add_markdown(out: &mut String, message: &SavedMessage) {
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
    let text = message.text.trim_end();
    out.push_str(text);
    out.push('\n');
    // A reply that was cut off may end within code, which would take in the messages behind it.
    if let Some(line) = app::markdown::unclosed::closing_line(text) {
        writeln!(out, "{line}").expect("a string takes all");
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
