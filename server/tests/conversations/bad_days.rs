//! A database that is held by another program, a disk that is full, a file that is damaged: the reply
//! streams all the same, that it could not be saved is said, and what was saved stays whole.

use std::time::Duration;

use app::protocol::ErrorKind;
use app::protocol::saved::messages_path;
use serde_json::json;
use sqlx::{AnyConnection, Connection, query};

use super::{begin, call, id, kept, message};
use crate::support::http::{self, Request};
use crate::support::program::Program;
use crate::support::rill::{Rill, read_reply};
use crate::support::scripted_upstream::ScriptedUpstream;
use crate::support::scripts::{self, DONE, STOP, delta};
use crate::support::{log, soon};

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_streams_while_another_program_holds_the_database() {
    let upstream = ScriptedUpstream::playing(vec![scripts::saying("fine")]).await;
    let rill = Rill::before(&upstream).await;
    let (saved, reply) = begin(&rill).await;
    soon(reply.finish()).await;

    let file = rill.data.path().join("rill.db");
    let mut other = AnyConnection::connect(&format!("sqlite://{}", file.display()))
        .await
        .expect("a database");
    query("begin immediate")
        .execute(&mut other)
        .await
        .expect("the lock");
    let conversation = id();
    let request = message(&conversation, &json!({}));
    let reply = soon(soon(rill.begin_with(&request)).await.finish()).await;
    assert_eq!(
        (reply.outcome(), reply.transcript.text.as_str()),
        ("complete", "fine")
    );
    let notice = reply.transcript.notice.as_ref().expect("a notice");
    assert_eq!(notice.kind, ErrorKind::NotSaved);
    // The same request again does not ask the model again.
    let again = soon(soon(rill.begin_with(&request)).await.finish()).await;
    assert_eq!(again.generation(), reply.generation());
    assert_eq!(upstream.request_count(), 2);
    // What was saved before can be read, and changed again afterwards.
    assert_eq!(kept(&rill, &saved).await.messages.len(), 2);
    let rename = json!({ "id": saved, "title": "New" });
    let (status, refusal) = call(&rill, "rename", &rename).await;
    assert_eq!(
        (status, &refusal["error"]["kind"]),
        (503, &json!("not_saved"))
    );
    query("rollback")
        .execute(&mut other)
        .await
        .expect("the lock");
    assert_eq!(call(&rill, "rename", &rename).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_whose_end_cannot_be_saved_is_saved_when_it_can() {
    let slow = scripts::stream()
        .then(&delta("one "))
        .after(Duration::from_millis(1_500), &delta("two"))
        .then(STOP)
        .then(DONE);
    let upstream = ScriptedUpstream::playing(vec![slow]).await;
    let rill = Rill::before(&upstream).await;
    let (conversation, mut reply) = begin(&rill).await;
    soon(reply.until(|reply| !reply.transcript.text.is_empty())).await;
    let file = rill.data.path().join("rill.db");
    let mut other = AnyConnection::connect(&format!("sqlite://{}", file.display()))
        .await
        .expect("a database");
    query("begin immediate")
        .execute(&mut other)
        .await
        .expect("the lock");
    let reply = soon(reply.finish()).await;
    assert_eq!(
        (reply.outcome(), reply.transcript.text.as_str()),
        ("complete", "one two")
    );
    assert!(reply.transcript.notice.is_some());
    // A page that is opened now shows all of it, and says so.
    let message = kept(&rill, &conversation)
        .await
        .messages
        .pop()
        .expect("a reply");
    assert_eq!(
        (message.text.as_str(), message.could_not_be_saved),
        ("one two", true)
    );
    query("rollback")
        .execute(&mut other)
        .await
        .expect("the lock");
    soon(async {
        loop {
            let message = kept(&rill, &conversation)
                .await
                .messages
                .pop()
                .expect("a reply");
            assert_eq!(message.text, "one two");
            if !message.could_not_be_saved {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_streams_when_the_disk_is_full() {
    let upstream = ScriptedUpstream::playing(vec![scripts::saying(&"x".repeat(300_000))]).await;
    // No file of the program may become larger than this.
    let program = Program::with_file_limit(&upstream, 300).await;
    let ask = async |conversation: &str| {
        let body = json!({ "request_id": id(), "content": log::PROMPT });
        let request = Request::post(&messages_path(conversation), &body);
        let answer = soon(http::send(program.address, &request))
            .await
            .expect("an answer");
        soon(read_reply(answer).finish()).await
    };
    let mut was_full = false;
    for _ in 0..4 {
        let reply = ask(&id()).await;
        assert_eq!(reply.transcript.text.len(), 300_000);
        assert_eq!(reply.outcome(), "complete");
        was_full |= reply.transcript.notice.is_some();
    }
    assert!(was_full, "the limit was not met");
    let data = program.data.clone();
    program.kill().await;
    // Nothing that was saved is harmed.
    let folder = data.path().to_str().expect("a plain path");
    let end = soon(Program::run(&["check", "--data-dir", folder], &[])).await;
    assert_eq!(end.code, Some(0), "{}", end.log);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_database_can_be_copied_and_verified() {
    let upstream = ScriptedUpstream::playing(vec![scripts::saying("fine")]).await;
    let program = Program::before(&upstream, &[]).await;
    let body = json!({ "request_id": id(), "content": log::PROMPT });
    let conversation = id();
    let request = Request::post(&messages_path(&conversation), &body);
    let answer = soon(http::send(program.address, &request))
        .await
        .expect("an answer");
    soon(read_reply(answer).finish()).await;

    let folder = program
        .data
        .path()
        .to_str()
        .expect("a plain path")
        .to_owned();
    let run = async |arguments: &[&str]| {
        let arguments: Vec<&str> = arguments
            .iter()
            .chain(&["--data-dir", &folder])
            .copied()
            .collect();
        soon(Program::run(&arguments, &[])).await
    };
    let end = run(&["check"]).await;
    assert_eq!(end.code, Some(0), "{}", end.log);
    assert!(
        end.output.contains("1 conversations, 2 messages"),
        "{}",
        end.output
    );
    let copies = tempfile::TempDir::new().expect("a folder");
    let copy = copies.path().join("rill.db");
    let copy = copy.to_str().expect("a plain path");
    let end = run(&["backup", copy]).await;
    assert_eq!(end.code, Some(0), "{}", end.log);
    let end = run(&["backup", copy]).await;
    assert_eq!(end.code, Some(1), "{}", end.log);
    assert!(end.log.contains("there already"), "{}", end.log);
    // The copy is a database of its own.
    let copies = copies.path().to_str().expect("a plain path");
    let end = soon(Program::run(&["check", "--data-dir", copies], &[])).await;
    assert!(
        end.output.contains("1 conversations, 2 messages"),
        "{}",
        end.output
    );
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_with_a_sentence() {
    let data = tempfile::TempDir::new().expect("a folder");
    std::fs::write(data.path().join("rill.db"), "not a database ".repeat(1000)).expect("a file");
    let folder = data.path().to_str().expect("a plain path");
    for arguments in [
        &["--listen", "127.0.0.1:0", "--data-dir", folder][..],
        &["check", "--data-dir", folder],
    ] {
        let end = soon(Program::run(arguments, &[])).await;
        assert_eq!(end.code, Some(1), "{}", end.log);
        assert!(end.log.contains("damaged"), "{}", end.log);
        assert!(!end.log.contains("panicked"), "{}", end.log);
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_said_or_lived_without() {
    let data = tempfile::TempDir::new().expect("a folder");
    let file = data.path().join("file");
    std::fs::write(&file, "").expect("a file");
    let inside = file.join("folder");
    let named = soon(Program::run(
        &[
            "--listen",
            "127.0.0.1:0",
            "--data-dir",
            inside.to_str().expect("a path"),
        ],
        &[],
    ))
    .await;
    assert_eq!(named.code, Some(1), "{}", named.log);
    assert!(named.log.contains("--data-dir"), "{}", named.log);
}
