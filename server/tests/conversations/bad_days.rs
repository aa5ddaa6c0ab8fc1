//! A database that is held by another program, a disk that is full, a file that is damaged: the reply
//! streams all the same, that it could not be saved is said, and what was saved stays whole.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use app::protocol::ErrorKind;
use app::protocol::saved::messages_path;
use serde_json::{Value, json};
use sqlx::{AnyConnection, Connection, Row, query};
use tempfile::TempDir;

use super::{begin, call, id, kept, message};
use crate::support::http::{self, Request};
use crate::support::program::{Program, hand_over};
use crate::support::rill::{Reply, Rill, read_reply};
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

/// Asks a program something in this conversation.
pub(super) async fn ask(program: &Program, conversation: &str) -> Reply {
    let body = json!({ "request_id": id(), "content": log::PROMPT });
    let request = Request::post(&messages_path(conversation), &body);
    let answer = soon(http::send(program.address, &request))
        .await
        .expect("an answer");
    soon(read_reply(answer).finish()).await
}

/// A conversation as a program gives it.
pub(super) async fn given(program: &Program, conversation: &str) -> Value {
    let request = Request::post("/api/conversations/get", &json!({ "id": conversation }));
    let answer = soon(http::send(program.address, &request))
        .await
        .expect("an answer");
    assert_eq!(answer.status, 200);
    soon(answer.json()).await
}

/// A folder in which a program has kept one conversation and has ended, and its rows.
pub(super) async fn filled_folder() -> (Arc<TempDir>, Vec<String>) {
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

/// What stands in the database of a folder.
pub(super) async fn rows(folder: &Path) -> Vec<String> {
    let mut database = open(folder).await;
    let found = query(
        "select id || title || owner || updated_at from conversations
         union all select id || parent || text || state || created_at from messages where parent is not null
         union all select id || text || state || created_at from messages where parent is null",
    )
    .fetch_all(&mut database)
    .await
    .expect("rows");
    database.close().await.expect("an end");
    let texts = found.iter().map(|row| row.try_get(0).expect("a text"));
    texts.collect()
}

pub(super) async fn open(folder: &Path) -> AnyConnection {
    sqlx::any::install_default_drivers();
    let url = format!("sqlite://{}", folder.join("rill.db").display());
    AnyConnection::connect(&url).await.expect("a database")
}

pub(super) fn arguments(folder: &Path) -> [&str; 4] {
    let folder = folder.to_str().expect("a plain path");
    ["--listen", "127.0.0.1:0", "--data-dir", folder]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_streams_when_the_disk_is_full() {
    let upstream = ScriptedUpstream::playing(vec![scripts::saying(&"x".repeat(300_000))]).await;
    // No file of the program may become larger than this.
    let program = Program::with_file_limit(&upstream, 700).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_a_newer_version_is_refused_and_left_as_it_is() {
    let (data, rows_before) = filled_folder().await;
    let mut database = open(data.path()).await;
    query(
        "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
         values (1000000, 'of the future', true, x'00', 0)",
    )
    .execute(&mut database)
    .await
    .expect("a row");
    database.close().await.expect("an end");
    let end = soon(Program::run(&arguments(data.path()), &[])).await;
    assert_eq!(end.code, Some(1), "{}", end.log);
    assert!(end.log.contains("a newer version of Rill"), "{}", end.log);
    assert!(end.log.contains("--data-dir"), "{}", end.log);
    assert_eq!(rows(data.path()).await, rows_before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_may_not_be_written_is_refused_and_left_as_it_is() {
    let (data, rows_before) = filled_folder().await;
    let (folder, file) = (data.path(), data.path().join("rill.db"));
    for (of_folder, of_file) in [(0o700, 0o400), (0o500, 0o600), (0o500, 0o400)] {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            hand_over(&entry.expect("a file").path(), 0o600);
        }
        hand_over(&file, of_file);
        hand_over(folder, of_folder);
        let end = soon(Program::run_without_rights(&arguments(folder))).await;
        hand_over(folder, 0o700);
        let rights = format!("{of_folder:o} {of_file:o}");
        assert_eq!(end.code, Some(1), "{rights}: {}", end.log);
        assert!(!end.log.contains("panicked"), "{rights}: {}", end.log);
        // What is wrong, where, and what to do.
        let place = folder.to_str().expect("a plain path");
        assert!(end.log.contains(place), "{rights}: {}", end.log);
        assert!(end.log.contains("--data-dir"), "{rights}: {}", end.log);
        assert_eq!(rows(folder).await, rows_before, "{rights}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_is_said_to_be_damaged_only_where_it_is() {
    let (data, rows_before) = filled_folder().await;
    let folder = data.path().to_str().expect("a plain path");
    let check = async |case: &str, words: &str| {
        let end = soon(Program::run_without_rights(&[
            "check",
            "--data-dir",
            folder,
        ]))
        .await;
        assert_eq!(end.code, Some(1), "{case}: {}", end.log);
        assert!(end.log.contains(words), "{case}: {}", end.log);
        assert!(end.log.contains(folder), "{case}: {}", end.log);
        assert!(!end.log.contains("damaged"), "{case}: {}", end.log);
    };
    let hand_all_over = || {
        hand_over(data.path(), 0o700);
        for entry in std::fs::read_dir(data.path()).expect("a folder") {
            hand_over(&entry.expect("a file").path(), 0o600);
        }
    };
    hand_all_over();
    let file = data.path().join("rill.db");

    let mut other = open(data.path()).await;
    query("begin exclusive")
        .execute(&mut other)
        .await
        .expect("the lock");
    hand_all_over();
    check("held", "held by another program").await;
    query("rollback")
        .execute(&mut other)
        .await
        .expect("the lock");

    query(
        "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
         values (1000000, 'of the future', true, x'00', 0)",
    )
    .execute(&mut other)
    .await
    .expect("a row");
    hand_all_over();
    check("newer", "made by a newer version of Rill").await;
    query("delete from _sqlx_migrations where version = 1000000")
        .execute(&mut other)
        .await
        .expect("a row");
    other.close().await.expect("an end");

    hand_over(&file, 0o000);
    check("unreadable", "cannot be read").await;
    hand_over(&file, 0o400);
    check("not writable", "cannot be written").await;
    hand_over(data.path(), 0o500);
    hand_over(&file, 0o600);
    check("in a folder that is not writable", "Let Rill").await;
    hand_all_over();
    std::fs::rename(&file, data.path().join("aside")).expect("it is there");
    check("not there", "there is no database").await;
    std::fs::write(&file, "").expect("a file");
    hand_all_over();
    check("empty", "not a database of Rill").await;
    std::fs::rename(data.path().join("aside"), &file).expect("it is there");

    let end = soon(Program::run_without_rights(&[
        "check",
        "--data-dir",
        folder,
    ]))
    .await;
    assert_eq!(end.code, Some(0), "{}", end.log);
    assert_eq!(rows(data.path()).await, rows_before);
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
    assert!(end.log.contains("exists already"), "{}", end.log);
    // The copy is a database of its own.
    let copies = copies.path().to_str().expect("a plain path");
    let end = soon(Program::run(&["check", "--data-dir", copies], &[])).await;
    assert!(
        end.output.contains("1 conversations, 2 messages"),
        "{}",
        end.output
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_is_refused_with_a_sentence_and_left_as_it_is() {
    let (data, _) = filled_folder().await;
    let file = data.path().join("rill.db");
    let whole = std::fs::read(&file).expect("a database");
    let folder = data.path().to_str().expect("a plain path");
    let mut no_header = whole.clone();
    no_header[..100].fill(0xff);
    let mut no_tables = whole.clone();
    no_tables[100..4096].fill(0xff);
    for damaged in [
        "not a database ".repeat(1000).into_bytes(),
        no_header,
        no_tables,
        whole[..whole.len() / 3].to_vec(),
    ] {
        std::fs::write(&file, &damaged).expect("a file");
        for arguments in [
            &arguments(data.path())[..],
            &["check", "--data-dir", folder],
        ] {
            let end = soon(Program::run(arguments, &[])).await;
            assert_eq!(end.code, Some(1), "{}", end.log);
            assert!(end.log.contains("damaged"), "{}", end.log);
            assert!(end.log.contains("backup"), "{}", end.log);
            assert!(!end.log.contains("panicked"), "{}", end.log);
            let left = std::fs::read(&file).expect("a file");
            assert!(left == damaged, "it was written to");
        }
    }
}

#[tokio::test]
async fn a_named_folder_that_cannot_be_made_is_refused_with_a_sentence() {
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
