//! Storage faults: another program holds the database, the disk is full, or no folder can be made. The reply
//! streams all the same, and says that it is not saved; stored conversations stay intact.

use std::sync::Arc;
use std::time::Duration;

use app::protocol::ErrorKind;
use app::protocol::saved::messages_path;
use serde_json::json;
use sqlx::{AnyConnection, Connection, query};
use tempfile::TempDir;

use crate::support::conversations::{begin, call, exported, id, import, kept, message};
use crate::support::http::{self, Request};
use crate::support::program::Program;
use crate::support::program_data::{ask, given, open};
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
    // Stored conversations can be read now, and changed after the fault.
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
async fn a_message_that_cannot_be_saved_is_answered_from_its_path_or_refused() {
    let upstream = ScriptedUpstream::playing(vec![scripts::saying("fine")]).await;
    let rill = Rill::before(&upstream).await;
    // More messages than are read at once.
    let texts: Vec<String> = (0..1_202).map(|number| format!("text {number}")).collect();
    let file = json!([exported(&id(), "Long", texts.clone())]).to_string();
    assert_eq!(import(&rill, file).await.1["conversations"], 1);
    let (_, list) = call(&rill, "list", &json!({})).await;
    let conversation = list["conversations"][0]["id"].as_str().expect("an id");
    let stored = kept(&rill, conversation).await.messages;
    // Another version of the last reply is not on the path.
    let again = message(
        conversation,
        &json!({ "content": null, "regenerate": stored[1_201].id }),
    );
    soon(soon(rill.begin_with(&again)).await.finish()).await;

    let mut other = open(rill.data.path()).await;
    let lock = query("begin immediate").execute(&mut other).await;
    lock.expect("the lock");
    let next = message(conversation, &json!({ "parent": stored[1_201].id }));
    let reply = soon(soon(rill.begin_with(&next)).await.finish()).await;
    assert_eq!(reply.outcome(), "complete");
    let notice = reply.transcript.notice.as_ref().expect("a notice");
    assert_eq!(notice.kind, ErrorKind::NotSaved);
    let exchanges = upstream.exchanges();
    let asked = exchanges.last().expect("a request").body["messages"].clone();
    let asked: Vec<String> = asked
        .as_array()
        .expect("messages")
        .iter()
        .map(|message| message["content"].as_str().expect("a text").to_owned())
        .collect();
    assert_eq!(asked[..1_202], texts);
    assert_eq!(asked[1_202..], [log::PROMPT]);
    // Without its history a message cannot be answered.
    let unknown = message(conversation, &json!({ "parent": id() }));
    let refused = soon(rill.send(&unknown)).await;
    assert_eq!(refused.status, 503);
    assert_eq!(upstream.request_count(), exchanges.len());
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
async fn a_store_that_fails_is_logged_once_for_each_reply() {
    let slow = scripts::stream()
        .then(&delta("one "))
        .after(Duration::from_millis(1_500), &delta("two"))
        .then(STOP)
        .then(DONE);
    let upstream = ScriptedUpstream::playing(vec![slow, scripts::saying("fine")]).await;
    let mut program = Program::before(&upstream, &[]).await;
    let body = json!({ "request_id": id(), "content": log::PROMPT });
    let request = Request::post(&messages_path(&id()), &body);
    let answer = soon(http::send(program.address, &request)).await;
    let mut reply = read_reply(answer.expect("an answer"));
    soon(reply.until(|reply| !reply.transcript.text.is_empty())).await;
    let mut other = open(program.data.path()).await;
    query("begin immediate")
        .execute(&mut other)
        .await
        .expect("the lock");
    // Neither a piece of the first nor its end can be stored, and nothing of the second.
    let other_conversation = id();
    let asked = ask(&program, &other_conversation);
    let (first, second) = tokio::join!(soon(reply.finish()), asked);
    assert!(first.transcript.notice.is_some() && second.transcript.notice.is_some());
    query("rollback")
        .execute(&mut other)
        .await
        .expect("the lock");
    program.logs("was saved after all").await;
    program.terminate();
    let end = soon(program.end()).await;
    let is_loud = |line: &&str| line.contains("ERROR") || line.contains("WARN");
    let loud: Vec<&str> = end.log.lines().filter(is_loud).collect();
    assert_eq!(loud.len(), 2, "{}", end.log);
    let is_said = |line: &&str| line.contains("another program holds the database");
    assert!(loud.iter().all(is_said), "{}", end.log);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_streams_when_the_disk_is_full() {
    let upstream = ScriptedUpstream::playing(vec![scripts::saying(&"x".repeat(300_000))]).await;
    // No file of the program may become larger than this.
    let program = Program::with_file_limit(&upstream, 900).await;
    let first = id();
    let mut was_full = ask(&program, &first).await.transcript.notice.is_some();
    assert!(!was_full, "there is room for one");
    let saved = given(&program, &first).await;
    for _ in 0..4 {
        let reply = ask(&program, &id()).await;
        assert_eq!(reply.transcript.text.len(), 300_000);
        assert_eq!(reply.outcome(), "complete");
        was_full |= reply.transcript.notice.is_some();
    }
    assert!(was_full, "the limit was not met");
    let data = Arc::clone(&program.data);
    program.kill().await;
    // Nothing that was saved is harmed.
    let folder = data.path().to_str().expect("a plain path");
    let end = soon(Program::run(&["check", "--data-dir", folder], &[])).await;
    assert_eq!(end.code, Some(0), "{}", end.log);
    let program = Program::over(data, &upstream, &[]).await;
    assert_eq!(given(&program, &first).await, saved);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_can_be_kept_a_reply_streams_and_is_said_to_be_lost() {
    let upstream = ScriptedUpstream::playing(vec![scripts::saying("fine")]).await;
    let home = TempDir::new().expect("a folder");
    // In the place of the folder for data there is a file.
    std::fs::write(home.path().join("data"), "").expect("a file");
    let mut program = Program::at_home(home.path(), &upstream).await;
    let conversation = id();
    let reply = ask(&program, &conversation).await;
    assert_eq!(
        (reply.outcome(), reply.transcript.text.as_str()),
        ("complete", "fine")
    );
    let notice = reply.transcript.notice.as_ref().expect("a notice");
    assert_eq!(notice.kind, ErrorKind::NotSaved);
    // As long as the program runs, it is there.
    let kept = given(&program, &conversation).await;
    assert_eq!(kept["messages"][1]["text"], "fine", "{kept}");
    program.terminate();
    program.logs("stopping").await;
    let end = soon(program.end()).await;
    assert_eq!(end.code, Some(0), "{}", end.log);
    assert!(end.log.contains("--data-dir"), "{}", end.log);
    assert!(end.log.contains("lost when Rill ends"), "{}", end.log);
}
