//! The disk becomes full, and has room again later: every message that is said to be saved is stored, and later
//! messages are saved again without a restart.

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use sqlx::{Connection, query};
use tempfile::TempDir;

use crate::support::conversations::id;
use crate::support::http::{self, Request};
use crate::support::program::Program;
use crate::support::program_data::{arguments, ask, call, given, open, rows};
use crate::support::rill::read_reply;
use crate::support::scripted_upstream::ScriptedUpstream;
use crate::support::scripts::{self, DONE, STOP, delta};
use crate::support::{log, soon};

/// A disk of 1 MiB, where one may be mounted.
struct SmallDisk {
    folder: Arc<TempDir>,
}

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = Arc::new(TempDir::new().expect("a folder"));
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
            .arg(folder.path())
            .output();
        let is_mounted = mounted.is_ok_and(|output| output.status.success());
        is_mounted.then_some(Self { folder })
    }

    fn filler(&self) -> std::path::PathBuf {
        self.folder.path().join("filler")
    }

    /// Leaves no room.
    fn fill(&self) {
        let mut file = std::fs::File::create(self.filler()).expect("a file");
        while file.write_all(&[1; 1024]).is_ok() {}
    }

    fn make_room(&self) {
        std::fs::remove_file(self.filler()).expect("it is there");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount")
            .arg("-l")
            .arg(self.folder.path())
            .status();
    }
}

/// A conversation that the server reported as saved is visible to other programs, and survives a kill.
async fn is_kept(program: Program, upstream: &ScriptedUpstream, conversation: &str) {
    let seen = given(&program, conversation).await;
    let data = Arc::clone(&program.data);
    let found = rows(data.path()).await;
    let is_there = found.iter().any(|row| row.starts_with(conversation));
    assert!(is_there, "another program does not see it");
    // No other program finds the database held.
    let mut other = open(data.path()).await;
    for sql in ["begin immediate", "rollback"] {
        query(sql).execute(&mut other).await.expect("the lock");
    }
    other.close().await.expect("an end");
    program.kill().await;
    let program = Program::over(data, upstream, &[]).await;
    assert_eq!(given(&program, conversation).await, seen);
    program.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_disk_was_full_what_is_said_is_saved_again() {
    let upstream = ScriptedUpstream::playing(vec![scripts::saying(&"x".repeat(100_000))]).await;
    let program = Program::with_file_limit(&upstream, 700).await;
    // Several writes fail: the first may leave a state that only the next one shows.
    let mut not_saved = 0;
    while not_saved < 4 {
        not_saved += usize::from(ask(&program, &id()).await.transcript.notice.is_some());
    }
    program.lift_file_limit();
    let after = id();
    let reply = ask(&program, &after).await;
    assert_eq!(
        (reply.outcome(), reply.transcript.notice),
        ("complete", None)
    );
    is_kept(program, &upstream, &after).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_of_its_own_is_survived_and_named() {
    // Where nothing can be mounted, the limit of the test before this one is the disk.
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let slow = scripts::stream()
        .then(&delta("one "))
        .after(Duration::from_millis(2_500), &delta("two"))
        .then(STOP)
        .then(DONE);
    let quick = scripts::saying("fine");
    let upstream = ScriptedUpstream::playing(vec![quick.clone(), slow, quick]).await;
    let program = Program::over(Arc::clone(&disk.folder), &upstream, &[]).await;
    let first = id();
    assert_eq!(ask(&program, &first).await.transcript.notice, None);
    let saved = given(&program, &first).await;

    // A reply runs while the disk becomes full.
    let running = id();
    let body = json!({ "request_id": id(), "content": log::PROMPT });
    let path = app::protocol::saved::messages_path(&running);
    let request = Request::post(&path, &body);
    let answer = soon(http::send(program.address, &request)).await;
    let mut reply = read_reply(answer.expect("an answer"));
    soon(reply.until(|reply| !reply.transcript.text.is_empty())).await;
    disk.fill();
    let (reply, others) = tokio::join!(soon(reply.finish()), async {
        let mut others = Vec::new();
        for _ in 0..3 {
            others.push(ask(&program, &id()).await);
        }
        others
    });
    for reply in others.iter().chain([&reply]) {
        assert_eq!(reply.outcome(), "complete");
        assert!(reply.transcript.notice.is_some(), "it is said to be saved");
    }
    // Changes are refused, and stored conversations can be read.
    let rename = json!({ "id": first, "title": "New".repeat(60) });
    assert_eq!(
        call(&program, "/api/conversations/rename", &rename).await,
        503
    );
    assert_eq!(given(&program, &first).await, saved);

    disk.make_room();
    assert_eq!(
        call(&program, "/api/conversations/rename", &rename).await,
        200
    );
    let after = id();
    let reply = ask(&program, &after).await;
    assert_eq!(
        (reply.outcome(), reply.transcript.notice),
        ("complete", None)
    );
    // The reply that ran is saved now, too.
    soon(async {
        loop {
            let kept = given(&program, &running).await;
            if kept["messages"][1]["could_not_be_saved"] != json!(true) {
                assert_eq!(kept["messages"][1]["text"], "one two", "{kept}");
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    is_kept(program, &upstream, &after).await;

    // Nothing is called damaged for want of room. SQLite makes this file anew when it opens the others.
    std::fs::remove_file(disk.folder.path().join("rill.db-shm")).expect("a kill leaves it");
    disk.fill();
    is_named(disk.folder.path()).await;
}

/// Both a start and `rill check` report that the disk is full.
async fn is_named(folder: &Path) {
    let name = folder.to_str().expect("a plain path");
    for arguments in [&arguments(folder)[..], &["check", "--data-dir", name]] {
        let end = soon(Program::run(arguments, &[])).await;
        assert_eq!(end.code, Some(1), "{}", end.log);
        assert!(end.log.contains("full"), "{}", end.log);
        assert!(end.log.contains("ake room"), "{}", end.log);
        assert!(!end.log.contains("damaged"), "{}", end.log);
        assert!(!end.log.contains("backup"), "{}", end.log);
    }
}
