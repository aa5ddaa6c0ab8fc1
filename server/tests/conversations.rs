//! Saved conversations over HTTP: replies that outlive their readers, and what is kept of them.

mod bad_days;
mod caching;
mod crash;
mod failing_disk;
mod files;
mod full_disk;
mod functions;
mod ids;
mod parts;
mod replies;
mod reported;

use app::protocol::saved::{ConversationDetail, SavedMessage, messages_path};
use serde_json::{Value, json};

use crate::support::http::Request;
use crate::support::rill::{OpenReply, Rill};
use crate::support::{log, soon};

/// A new id.
fn id() -> String {
    server::store::new_id()
}

/// The request that asks something in this conversation.
fn message(conversation: &str, fields: &Value) -> Request {
    let mut body = json!({ "request_id": id(), "content": log::PROMPT });
    for (name, value) in fields.as_object().expect("fields") {
        if value.is_null() {
            body.as_object_mut().expect("fields").remove(name);
        } else {
            body[name] = value.clone();
        }
    }
    Request::post(&messages_path(conversation), &body)
}

/// Asks the first thing in a new conversation.
async fn begin(rill: &Rill) -> (String, OpenReply) {
    let conversation = id();
    let reply = soon(rill.begin_with(&message(&conversation, &json!({})))).await;
    (conversation, reply)
}

/// Calls a server function.
async fn call(rill: &Rill, name: &str, arguments: &Value) -> (u16, Value) {
    let request = Request::post(&format!("/api/conversations/{name}"), arguments);
    let answer = soon(rill.send(&request)).await;
    let status = answer.status;
    (status, soon(answer.json()).await)
}

/// The conversation as it is kept.
async fn kept(rill: &Rill, conversation: &str) -> ConversationDetail {
    let (status, json) = call(rill, "get", &json!({ "id": conversation })).await;
    assert_eq!(status, 200, "{json}");
    serde_json::from_value(json).expect("a conversation")
}

/// Its newest message as it is kept.
async fn last(rill: &Rill, conversation: &str) -> SavedMessage {
    let conversation = kept(rill, conversation).await;
    conversation
        .messages
        .into_iter()
        .next_back()
        .expect("a message")
}
