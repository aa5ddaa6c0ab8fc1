//! How much a removal writes. SQLite's write-ahead log shows it while a reader keeps it from beginning anew.

use std::path::Path;

use sqlx::{AnyConnection, Connection, query, query_scalar};
use tempfile::TempDir;

use super::writes::in_one_slice;
use super::{opened, to_import};
use crate::store::{ImportCursor, ImportPart, LOCAL_OWNER, Store, new_id};

/// Stores deleted conversations of ten messages, this many messages in all.
async fn fill(store: &Store, messages: usize) {
    let mut cursor = ImportCursor::default();
    for first in (0..messages).step_by(10) {
        let mut parts = to_import();
        let end = parts.pop().expect("an end");
        let message = parts.pop().expect("a message");
        parts.pop();
        for number in first..first + 10 {
            let mut message = message.clone();
            if let ImportPart::Message(message) = &mut message {
                message.id = new_id();
                message.parent = None;
                // Words of its own beside common ones.
                let words = (0..60).map(|at| format!("w{} ", number * at));
                message.text = words.collect();
            }
            parts.push(message);
        }
        parts.push(end);
        let stored = store.import(LOCAL_OWNER, "an import", &mut cursor, parts);
        stored.await.expect("stored");
    }
    let shown = store.finish_import(LOCAL_OWNER, "an import").await;
    shown.expect("shown");
    let mut connection = store.write.settled().await;
    let all = query("update conversations set deleted_at = 1").execute(&mut *connection);
    all.await.expect("deleted");
}

fn log_bytes(folder: &Path) -> u64 {
    let log = std::fs::metadata(folder.join("rill.db-wal"));
    log.expect("it is there").len()
}

/// How many bytes are written for each message when this many are removed.
async fn written_each(messages: usize) -> u64 {
    let folder = TempDir::new().expect("a folder");
    let store = in_one_slice(opened(folder.path()).await);
    fill(&store, messages).await;
    let url = format!("sqlite://{}", folder.path().join("rill.db").display());
    let mut reader = AnyConnection::connect(&url).await.expect("a database");
    let emptied = query("pragma wal_checkpoint(truncate)").execute(&mut reader);
    emptied.await.expect("nobody reads");
    let mut reading = reader.begin().await.expect("begun");
    let count: i64 = query_scalar("select count(*) from messages")
        .fetch_one(&mut *reading)
        .await
        .expect("a number");
    assert_eq!(count, messages as i64);
    let before = log_bytes(folder.path());
    let removed = store.purge(i64::MAX).await.expect("removed");
    assert_eq!(removed, messages as u64 / 10);
    (log_bytes(folder.path()) - before) / messages as u64
}

#[tokio::test(flavor = "multi_thread")]
async fn removing_many_messages_writes_little_more_for_each_than_removing_few() {
    let (few, many) = (written_each(500).await, written_each(4_000).await);
    assert!(many < few * 3 / 2, "{few} bytes a message, then {many}");
}
