//! Reads of one statement: after one that failed, or that nobody waits for any more, reads and writes go on.

use std::time::Duration;

use tempfile::TempDir;

use super::faults::Fault;
use super::writes::PostgresDatabase;
use super::{open_memory, opened, question};
use crate::store::{LOCAL_OWNER, Store, new_id};

const OF_SQLITE: [Fault; 6] = [
    Fault::LeftOpen("5"),
    Fault::LeftOpen("13"),
    Fault::LeftOpen("779"),
    Fault::LeftOpen("1032"),
    Fault::LeftOpen("4874"),
    Fault::AnswerLost,
];
const OF_POSTGRES: [Fault; 4] = [
    Fault::LeftOpen("53100"),
    Fault::LeftOpen("58030"),
    Fault::Terminated,
    Fault::AnswerLost,
];

/// Each fault twice for each of the connections that a store has at most.
async fn check(store: &Store, faults: &[Fault]) {
    let kept = question(&new_id(), None, "kept");
    store.begin(LOCAL_OWNER, &kept).await.expect("saved");
    let id = &kept.conversation;
    for fault in faults.iter().cycle().take(faults.len() * 8) {
        store.faults.expect(Some((0, *fault)));
        let failed = store.summary(LOCAL_OWNER, id).await;
        failed.expect_err("it is made to fail");
        store.faults.expect(None);
        let left = tokio::time::timeout(Duration::ZERO, store.list(LOCAL_OWNER, None, 9)).await;
        drop(left);
        let next = store.summary(LOCAL_OWNER, id).await;
        next.unwrap_or_else(|error| panic!("{fault:?}: {error}"));
        let next = question(&new_id(), None, "next");
        let saved = store.begin(LOCAL_OWNER, &next).await;
        saved.unwrap_or_else(|error| panic!("{fault:?}: then {error}"));
        let list = store.list(LOCAL_OWNER, None, 500).await.expect("a list");
        let has = |id: &str| list.conversations.iter().any(|found| found.id == id);
        assert!(has(id) && has(&next.conversation), "{fault:?}");
    }
}

#[tokio::test]
async fn in_sqlite_a_read_that_fails_or_is_left_harms_no_other() {
    let folder = TempDir::new().expect("a folder");
    check(&opened(folder.path()).await, &OF_SQLITE).await;
}

#[tokio::test]
async fn in_memory_a_read_that_fails_or_is_left_harms_no_other() {
    check(&open_memory().await, &OF_SQLITE).await;
}

#[tokio::test]
async fn in_postgresql_a_read_that_fails_or_is_left_harms_no_other() {
    let Some(database) = PostgresDatabase::create().await else {
        return;
    };
    let store = database.open(&database.url).await;
    check(&store, &OF_POSTGRES).await;
    store.close().await;
    database.drop_database().await;
}
