//! Operations of the disk fail for a while, from each operation on and with each error. Every message that is said
//! to be saved is stored, and the messages after the fault are saved again.
//!
//! A preloaded library (`LD_PRELOAD`) makes the operations of the real program fail.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use serde_json::json;
use tempfile::TempDir;

use crate::support::conversations::id;
use crate::support::program::Program;
use crate::support::program_data::{ask, call, given, rows};
use crate::support::scripted_upstream::ScriptedUpstream;
use crate::support::scripts;

/// The numbers of the system's errors.
const ENOSPC: i32 = 28;
const EIO: i32 = 5;

/// Compiles the library.
fn library(folder: &Path) -> String {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/store/failing_disk.c");
    let library = folder.join("failing_disk.so");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .args([source, "-ldl"])
        .status();
    assert!(compiled.expect("the compiler that builds SQLite").success());
    library.to_str().expect("a plain path").to_owned()
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn whatever_operation_of_the_disk_fails_the_next_message_is_saved() {
    let folder = TempDir::new().expect("a folder");
    let library = library(folder.path());
    let plan = folder.path().join("plan");
    let name = plan.to_str().expect("a plain path");
    let upstream = ScriptedUpstream::playing(vec![scripts::saying(&"fine ".repeat(2_000))]).await;
    let variables = [("LD_PRELOAD", library.as_str()), ("DISK_FAULTS", name)];
    let program = Program::preloaded(&upstream, &variables).await;
    let first = id();
    assert_eq!(ask(&program, &first).await.transcript.notice, None);
    let mut saved = vec![first.clone()];
    let mut not_saved = 0;
    for (error, with_reading) in [(ENOSPC, 0), (EIO, 0), (EIO, 1)] {
        for still_work in [0, 1, 2, 3, 5, 8] {
            let case = format!("error {error} after {still_work}, reading too: {with_reading}");
            std::fs::write(&plan, format!("{still_work} {error} {with_reading}")).expect("a file");
            // Two in a row: the first may leave a state that only the second one shows.
            for _ in 0..2 {
                let conversation = id();
                let reply = ask(&program, &conversation).await;
                assert_eq!(reply.outcome(), "complete", "{case}");
                if reply.transcript.notice.is_none() {
                    saved.push(conversation);
                } else {
                    not_saved += 1;
                }
            }
            let rename = json!({ "id": first, "title": case });
            let renamed = call(&program, "/api/conversations/rename", &rename).await;
            std::fs::remove_file(&plan).expect("it is there");
            let title = given(&program, &first).await["title"].clone();
            assert_eq!(renamed == 200, title == json!(case), "{case}");

            let after = id();
            let reply = ask(&program, &after).await;
            assert_eq!(reply.transcript.notice, None, "{case}");
            saved.push(after);
            let found = rows(program.data.path()).await;
            for conversation in &saved {
                let is_there = found.iter().any(|row| row.starts_with(conversation));
                assert!(is_there, "{case}: another program does not see it");
            }
        }
    }
    assert!(not_saved > 10, "the faults were not met");
    let data = Arc::clone(&program.data);
    program.kill().await;
    let program = Program::over(data, &upstream, &[]).await;
    for conversation in &saved {
        let kept = given(&program, conversation).await;
        assert_eq!(kept["messages"][1]["text"], "fine ".repeat(2_000));
    }
    let folder = program.data.path().to_str().expect("a plain path");
    let end = Program::run(&["check", "--data-dir", folder], &[]).await;
    assert_eq!(end.code, Some(0), "{}", end.log);
}
