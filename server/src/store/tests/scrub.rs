//! What is removed is nowhere in the files any more, and what is kept is unharmed.

use std::path::Path;

use sqlx::{AnyConnection, Connection, query, query_scalar};
use tempfile::TempDir;

use super::{opened, to_import};
use crate::store::{ImportCursor, ImportPart, LOCAL_OWNER, Store, new_id};

/// A word of each text that is removed, and one of each that is kept.
const REMOVED: &str = "zqxjkvremovedword";
const KEPT: &str = "yqwertykeptword";

/// Stores a conversation with these texts, and returns its id.
async fn stored(store: &Store, texts: &[String]) -> String {
    let mut parts = to_import();
    let end = parts.pop().expect("an end");
    let message = parts.pop().expect("a message");
    parts.truncate(1);
    let Some(ImportPart::Begin(Some(id))) = parts.first() else {
        panic!("it begins with an id");
    };
    let id = id.clone();
    for text in texts {
        let mut message = message.clone();
        if let ImportPart::Message(message) = &mut message {
            message.id = new_id();
            message.parent = None;
            message.text.clone_from(text);
        }
        parts.push(message);
    }
    parts.push(end);
    let mut cursor = ImportCursor::default();
    let imported = store.import(LOCAL_OWNER, &id, &mut cursor, parts);
    imported.await.expect("stored");
    let shown = store.finish_import(LOCAL_OWNER, &id).await;
    shown.expect("shown");
    id
}

/// How often a word is in the files of the database.
fn count(folder: &Path, word: &str) -> usize {
    let count = |name: &str| {
        let bytes = std::fs::read(folder.join(name)).unwrap_or_default();
        let places = bytes.windows(word.len());
        places.filter(|place| *place == word.as_bytes()).count()
    };
    count("rill.db") + count("rill.db-wal")
}

async fn connection(folder: &Path) -> AnyConnection {
    let url = format!("sqlite://{}", folder.join("rill.db").display());
    AnyConnection::connect(&url).await.expect("a database")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_removed_is_in_no_file_after_scrubbing() {
    let folder = TempDir::new().expect("a folder");
    let store = opened(folder.path()).await;
    // Texts that share a page, and texts with pages of their own.
    let texts = |word: &str| -> Vec<String> {
        let text = |times: usize| format!("{word} and more. ").repeat(times);
        (0..40)
            .map(|at| text(if at % 4 == 0 { 2_000 } else { 3 }))
            .collect()
    };
    let mut removed = Vec::new();
    for _ in 0..5 {
        removed.push(stored(&store, &texts(REMOVED)).await);
        stored(&store, &texts(KEPT)).await;
    }
    let kept = count(folder.path(), KEPT);
    for id in &removed {
        store.delete(LOCAL_OWNER, id, 1).await.expect("deleted");
    }
    assert_eq!(store.purge(i64::MAX).await.expect("removed"), 5);
    assert!(
        count(folder.path(), REMOVED) > 1_000,
        "the test sees what is left"
    );

    assert!(store.scrub().await.expect("scrubbed"));
    assert_eq!(count(folder.path(), REMOVED), 0);
    assert!(count(folder.path(), KEPT) > 5 * 20_000 && kept > 5 * 20_000);
    let wal = std::fs::metadata(folder.path().join("rill.db-wal")).expect("a log");
    assert_eq!(wal.len(), 0);

    let mut database = connection(folder.path()).await;
    let is_whole: String = query_scalar("pragma integrity_check")
        .fetch_one(&mut database)
        .await
        .expect("checked");
    assert_eq!(is_whole, "ok");
    for index in ["message_words", "title_words"] {
        let check = format!("insert into {index} ({index}) values ('integrity-check')");
        let check = query(sqlx::AssertSqlSafe(check));
        check.execute(&mut database).await.expect("a whole index");
    }
    let rows: i64 = query_scalar("select count(*) from messages")
        .fetch_one(&mut database)
        .await
        .expect("a number");
    let pieces: i64 = query_scalar("select count(*) from pieces")
        .fetch_one(&mut database)
        .await
        .expect("a number");
    assert_eq!((rows, pieces), (5 * 40, 0));
    let words = |word: &'static str| {
        query_scalar::<_, i64>("select count(*) from message_words where message_words match $1")
            .bind(word)
    };
    let found = words(KEPT)
        .fetch_one(&mut database)
        .await
        .expect("a number");
    let gone = words(REMOVED)
        .fetch_one(&mut database)
        .await
        .expect("a number");
    assert_eq!((found, gone), (5 * 40, 0));
    // With nothing left to do it ends at once.
    assert!(store.scrub().await.expect("scrubbed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_read_delays_the_end_of_the_log_and_no_writer() {
    let folder = TempDir::new().expect("a folder");
    let store = opened(folder.path()).await;
    let id = stored(&store, &[REMOVED.repeat(1_000)]).await;
    let mut reader = connection(folder.path()).await;
    let mut reading = reader.begin().await.expect("begun");
    let count_rows = query_scalar::<_, i64>("select count(*) from messages");
    assert_eq!(
        count_rows.fetch_one(&mut *reading).await.expect("a number"),
        1
    );
    store.delete(LOCAL_OWNER, &id, 1).await.expect("deleted");
    store.purge(i64::MAX).await.expect("removed");
    assert!(
        !store.scrub().await.expect("scrubbed"),
        "the reader needs the log"
    );
    stored(&store, &[KEPT.to_owned()]).await;
    reading.rollback().await.expect("ended");
    assert!(store.scrub().await.expect("scrubbed"));
    assert_eq!(count(folder.path(), REMOVED), 0);
}
