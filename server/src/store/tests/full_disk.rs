//! A full disk, which SQLite simulates by a limit on the number of pages.

use std::path::Path;

use sqlx::{AnyConnection, AssertSqlSafe, Connection, query, query_scalar};

use super::{opened, question};
use crate::store::{LOCAL_OWNER, Store, new_id};

/// Leaves room for this many pages more.
async fn leave_room(store: &Store, pages: i64) {
    let mut connection = store.write.settled().await;
    let count: i64 = query_scalar("pragma page_count")
        .fetch_one(&mut *connection)
        .await
        .expect("a number");
    let sql = format!("pragma max_page_count = {}", count + pages);
    query(AssertSqlSafe(sql))
        .execute(&mut *connection)
        .await
        .expect("set");
}

/// How many conversations of this id another connection sees.
async fn seen(file: &Path, id: &str) -> i64 {
    let url = format!("sqlite://{}", file.display());
    let mut other = AnyConnection::connect(&url).await.expect("a connection");
    let count = query_scalar("select count(*) from conversations where id = $1")
        .bind(id)
        .fetch_one(&mut other)
        .await
        .expect("a number");
    other.close().await.expect("closed");
    count
}

#[tokio::test]
async fn after_two_writes_that_found_the_disk_full_the_next_one_is_kept() {
    // With each page more, the disk is found full by a later statement, or by the commit.
    for room in 0..16 {
        let folder = tempfile::TempDir::new().expect("a folder");
        let store = opened(folder.path()).await;
        leave_room(&store, room).await;
        for _ in 0..2 {
            let text = (0..4_000).map(|number| format!("w{number} "));
            let large = question(&new_id(), None, &text.collect::<String>());
            let failed = store.begin(LOCAL_OWNER, &large).await;
            let why = failed.err().map(|error| error.to_string());
            let is_full = why.as_ref().is_some_and(|why| why.contains("full"));
            assert!(is_full, "{room}: {why:?}");
        }
        leave_room(&store, 10_000).await;
        let conversation = new_id();
        let next = question(&conversation, None, "short");
        store.begin(LOCAL_OWNER, &next).await.expect("saved");
        let file = folder.path().join("rill.db");
        assert_eq!(seen(&file, &conversation).await, 1, "{room}");
        // A kill would leave the files as they are now.
        let left = tempfile::TempDir::new().expect("a folder");
        for name in ["rill.db", "rill.db-wal"] {
            std::fs::copy(folder.path().join(name), left.path().join(name)).expect("a copy");
        }
        let file = left.path().join("rill.db");
        assert_eq!(seen(&file, &conversation).await, 1, "{room}");
    }
}
