//! The real program with its data: requests to it, and what is in its database.

use std::path::Path;
use std::sync::Arc;

use app::protocol::saved::messages_path;
use serde_json::{Value, json};
use sqlx::{AnyConnection, Connection, query_scalar};
use tempfile::TempDir;

use super::conversations::id;
use super::http::{self, Request};
use super::program::Program;
use super::rill::{Reply, read_reply};
use super::scripted_upstream::ScriptedUpstream;
use super::{log, scripts, soon};

/// Sends a message to a conversation, and reads the reply to its end.
pub(crate) async fn ask(program: &Program, conversation: &str) -> Reply {
    let body = json!({ "request_id": id(), "content": log::PROMPT });
    let request = Request::post(&messages_path(conversation), &body);
    let answer = soon(http::send(program.address, &request))
        .await
        .expect("an answer");
    soon(read_reply(answer).finish()).await
}

/// A conversation as the program returns it.
pub(crate) async fn given(program: &Program, conversation: &str) -> Value {
    let request = Request::post("/api/conversations/get", &json!({ "id": conversation }));
    let answer = soon(http::send(program.address, &request))
        .await
        .expect("an answer");
    assert_eq!(answer.status, 200);
    soon(answer.json()).await
}

/// A folder in which a program has stored one conversation and has ended, and its rows.
pub(crate) async fn filled_folder() -> (Arc<TempDir>, Vec<String>) {
    let upstream = ScriptedUpstream::playing(vec![scripts::saying("fine")]).await;
    let program = Program::before(&upstream, &[]).await;
    let data = Arc::clone(&program.data);
    assert_eq!(ask(&program, &id()).await.outcome(), "complete");
    program.terminate();
    assert_eq!(soon(program.end()).await.code, Some(0));
    let rows = rows(data.path()).await;
    assert_eq!(rows.len(), 3);
    (data, rows)
}

/// The rows of the database of a folder.
pub(crate) async fn rows(folder: &Path) -> Vec<String> {
    let mut database = open(folder).await;
    let found = query_scalar(
        "select id || title || owner || updated_at from conversations
         union all select id || parent || text || state || created_at from messages where parent is not null
         union all select id || text || state || created_at from messages where parent is null",
    )
    .fetch_all(&mut database)
    .await
    .expect("rows");
    database.close().await.expect("an end");
    found
}

/// A connection to the database of a folder.
pub(crate) async fn open(folder: &Path) -> AnyConnection {
    sqlx::any::install_default_drivers();
    let url = format!("sqlite://{}", folder.join("rill.db").display());
    AnyConnection::connect(&url).await.expect("a database")
}

/// The arguments to serve a folder.
pub(crate) fn arguments(folder: &Path) -> [&str; 4] {
    let folder = folder.to_str().expect("a plain path");
    ["--listen", "127.0.0.1:0", "--data-dir", folder]
}

/// Sends a request to the program, and returns the status of the answer.
pub(crate) async fn call(program: &Program, path: &str, body: &Value) -> u16 {
    let request = Request::post(path, body);
    soon(http::send(program.address, &request))
        .await
        .expect("an answer")
        .status
}
