//! Owners that leave their transaction: they are dropped, never polled again, or wait too long.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use sqlx::{Executor, query_scalar};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use super::faults::Fault;
use super::{open_memory, opened, question};
use crate::store::{LOCAL_OWNER, NewPiece, Piece, Store, new_id};

/// A write that follows is done in less than this.
const SOON: Duration = Duration::from_secs(4);

async fn next_is_kept(store: &Store) {
    let next = question(&new_id(), None, "next");
    let saved = timeout(SOON, store.begin(LOCAL_OWNER, &next)).await;
    saved.expect("it does not wait").expect("saved");
    let there = store.get(LOCAL_OWNER, &next.conversation).await;
    there.expect("it is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_is_dropped_at_any_moment_leaves_no_transaction() {
    let folder = TempDir::new().expect("a folder");
    let store = opened(folder.path()).await;
    for polls in 0..40 {
        let new = question(&new_id(), None, "dropped");
        {
            let mut write = pin!(store.begin(LOCAL_OWNER, &new));
            let mut context = Context::from_waker(Waker::noop());
            for _ in 0..polls {
                if write.as_mut().poll(&mut context).is_ready() {
                    break;
                }
                sleep(Duration::from_micros(200)).await;
            }
        }
        next_is_kept(&store).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_is_never_polled_again_is_ended_by_the_watch() {
    let folder = TempDir::new().expect("a folder");
    let mut store = opened(folder.path()).await;
    store.write_limit = Duration::from_millis(100);
    // The last of them sends the commit. If the database answers within a poll, the one before it does, and is tried again.
    for polls in [1, 2, 3] {
        let mut was_ended = false;
        for _ in 0..10 {
            was_ended = abandon_after(&store, polls).await;
            if was_ended || polls > 2 {
                break;
            }
        }
        assert!(was_ended || polls > 2, "{polls}: it was not ended");
    }
}

/// Begins a write, and never polls it again after so many polls, until the next write is kept. Returns whether the watch
/// ended it. What the owner is told then is true.
async fn abandon_after(store: &Store, polls: usize) -> bool {
    let new = question(&new_id(), None, "abandoned");
    let mut write = pin!(store.begin(LOCAL_OWNER, &new));
    let mut context = Context::from_waker(Waker::noop());
    let mut is_done = false;
    for _ in 0..polls {
        is_done = write.as_mut().poll(&mut context).is_ready();
        if is_done {
            break;
        }
        sleep(Duration::from_millis(2)).await;
    }
    next_is_kept(store).await;
    if is_done {
        return false;
    }
    // The owner gets an error when it is polled again, unless it had sent the commit.
    let result = write.await;
    let there = store.get(LOCAL_OWNER, &new.conversation).await;
    assert_eq!(result.is_ok(), there.is_ok(), "{polls}: {result:?}");
    result.is_err()
}

#[tokio::test]
async fn a_transaction_that_is_open_for_too_long_is_ended_and_its_owner_is_told() {
    for is_memory in [false, true] {
        let folder = TempDir::new().expect("a folder");
        let mut store = if is_memory {
            open_memory().await
        } else {
            opened(folder.path()).await
        };
        next_is_kept(&store).await;
        store.write_limit = Duration::from_millis(100);
        let mut tx = store.transaction().await.expect("it begins");
        let insert = "insert into pieces (generation, number, owner, text, reasoning, marks)
                      values ('g', 0, 'o', '', '', x'')";
        tx.execute(insert).await.expect("it is written");
        next_is_kept(&store).await;
        let late = tx.execute(insert).await.expect_err("it is refused");
        assert!(late.to_string().contains("too long"), "{late}");
        let late = tx.commit().await.expect_err("it is refused");
        assert!(late.to_string().contains("too long"), "{late}");
        let mut tx = store.snapshot().await.expect("it begins");
        let count = query_scalar("select count(*) from pieces").fetch_one(&mut *tx);
        let count: i64 = count.await.expect("a number");
        assert_eq!(count, 0, "what was rolled back is there");
    }
}

/// Writes more and more, up to the first error.
async fn write_until_refused(store: &Store, first: &'static str) -> (usize, String) {
    let mut tx = store.transaction().await.expect("it begins");
    tx.execute(first).await.expect("it is written");
    let mut written = 0;
    loop {
        let sql = "update pieces set owner = 'p' where generation = 'g' and number = 1";
        match tx.execute(sql).await {
            Ok(_) => written += 1,
            Err(error) => return (written, error.to_string()),
        }
    }
}

#[tokio::test]
async fn a_transaction_of_many_statements_is_ended_but_its_longest_is_not_counted() {
    let folder = TempDir::new().expect("a folder");
    let mut store = opened(folder.path()).await;
    store.write_total = Duration::from_millis(300);
    let long = "with recursive n (i) as (select 1 union all select i + 1 from n where i < 400000)
                insert into pieces (generation, number, owner, text, reasoning, marks)
                select 'g', i, 'o', '', '', x'' from n";
    let (written, error) = timeout(SOON * 5, write_until_refused(&store, long))
        .await
        .expect("it is ended");
    assert!(error.contains("too long"), "{error}");
    assert!(written > 1, "the longest statement was counted");
    next_is_kept(&store).await;
}

#[tokio::test]
async fn nothing_runs_after_a_statement_that_failed() {
    let folder = TempDir::new().expect("a folder");
    let store = opened(folder.path()).await;
    for fault in [Fault::RolledBack("13"), Fault::LeftOpen("5")] {
        let mut tx = store.transaction().await.expect("it begins");
        store.faults.expect(Some((0, fault)));
        let insert = "insert into pieces (generation, number, owner, text, reasoning, marks)
                      values ('g', 0, 'o', '', '', x'')";
        tx.execute(insert).await.expect_err("it fails");
        // Where SQLite has rolled back by itself, this would be committed at once.
        tx.execute(insert).await.expect_err("it is refused");
        tx.commit().await.expect_err("it is refused");
        let mut tx = store.snapshot().await.expect("it begins");
        let count = query_scalar("select count(*) from pieces").fetch_one(&mut *tx);
        let count: i64 = count.await.expect("a number");
        assert_eq!(count, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_text_is_indexed_before_its_transaction_begins() {
    let folder = TempDir::new().expect("a folder");
    let mut store = opened(folder.path()).await;
    // A text whose terms take longer than any delay of the machine.
    let mut text: String = (0..50_000).map(|number| format!("word{number} ")).collect();
    let once = loop {
        let started = std::time::Instant::now();
        assert!(!crate::store::search::tokenizer::terms(&text).is_empty());
        if started.elapsed() > Duration::from_millis(600) {
            break started.elapsed();
        }
        text.push_str(&text.clone());
    };
    // If the words were made while a transaction waits for them, it would be ended.
    store.write_limit = once * 3 / 4;
    let conversation = new_id();
    let new = question(&conversation, None, &text);
    let begun = store.begin(LOCAL_OWNER, &new).await.expect("saved");
    let piece = Piece {
        text,
        ..Piece::default()
    };
    let piece = [NewPiece::new(LOCAL_OWNER, &begun.generation, 0, &piece)];
    let stored = store.append(|| piece.to_vec());
    stored.await.expect("saved");
    assert_eq!(store.interrupt_all().await.expect("saved"), 1);
    let found = store.search(LOCAL_OWNER, "word49999", 9).await;
    assert_eq!(found.expect("found").len(), 2);
}
