//! Saved conversations over HTTP: requests to write and to read them.

use app::protocol::saved::{ConversationDetail, IMPORT_PATH, SavedMessage, messages_path};
use serde_json::{Value, json};

use super::http::Request;
use super::rill::{OpenReply, Rill};
use super::{log, soon};

/// A new id.
pub(crate) fn id() -> String {
    server::store::new_id()
}

/// The request that sends a message to this conversation. A field that is null is left out.
pub(crate) fn message(conversation: &str, fields: &Value) -> Request {
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

/// Begins a new conversation with a message.
pub(crate) async fn begin(rill: &Rill) -> (String, OpenReply) {
    let conversation = id();
    let reply = soon(rill.begin_with(&message(&conversation, &json!({})))).await;
    (conversation, reply)
}

/// Calls a server function.
pub(crate) async fn call(rill: &Rill, name: &str, arguments: &Value) -> (u16, Value) {
    let request = Request::post(&format!("/api/conversations/{name}"), arguments);
    let answer = soon(rill.send(&request)).await;
    let status = answer.status;
    (status, soon(answer.json()).await)
}

/// The conversation as it is stored.
pub(crate) async fn kept(rill: &Rill, conversation: &str) -> ConversationDetail {
    let (status, json) = call(rill, "get", &json!({ "id": conversation })).await;
    assert_eq!(status, 200, "{json}");
    serde_json::from_value(json).expect("a conversation")
}

/// The newest message of a conversation as it is stored.
pub(crate) async fn last(rill: &Rill, conversation: &str) -> SavedMessage {
    let conversation = kept(rill, conversation).await;
    conversation
        .messages
        .into_iter()
        .next_back()
        .expect("a message")
}

/// A conversation in the format of an export: a question and an answer in turn, with these texts.
pub(crate) fn exported(id: &str, title: &str, texts: impl IntoIterator<Item = String>) -> Value {
    let message = |(number, text): (usize, String)| {
        json!({
            "id": format!("m{number}"),
            "parent": number.checked_sub(1).map(|before| format!("m{before}")),
            "role": if number.is_multiple_of(2) { "user" } else { "assistant" },
            "text": text,
            "created_at": number,
            "state": { "done": { "finish": "stop" } },
        })
    };
    let messages: Vec<Value> = texts.into_iter().enumerate().map(message).collect();
    json!({ "id": id, "title": title, "created_at": 1, "updated_at": 2, "messages": messages })
}

/// The request to import a file.
pub(crate) fn import_request(file: impl Into<Vec<u8>>) -> Request {
    Request::new("POST", IMPORT_PATH)
        .header("content-type", "application/json")
        .body(file)
}

/// Imports a file. Returns the status of the answer and the report.
pub(crate) async fn import(rill: &Rill, file: impl Into<Vec<u8>>) -> (u16, Value) {
    let answer = soon(rill.send(&import_request(file))).await;
    (answer.status, soon(answer.json()).await)
}
