//! `rill check` and `rill backup`, and starts over a database that cannot be used: each refusal is a sentence,
//! and leaves the file as it was.

use app::protocol::saved::messages_path;
use serde_json::json;
use sqlx::{Connection, query};

use crate::support::conversations::id;
use crate::support::http::{self, Request};
use crate::support::program::{Program, hand_over};
use crate::support::program_data::{arguments, filled_folder, open, rows};
use crate::support::rill::read_reply;
use crate::support::scripted_upstream::ScriptedUpstream;
use crate::support::scripts::{self};
use crate::support::{log, soon};

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
        // The error names the place and a remedy.
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
