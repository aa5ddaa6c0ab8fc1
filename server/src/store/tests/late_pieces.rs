//! A piece of a reply that ends, or is removed, at the same time. Nothing would remove a piece that is stored afterwards.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use sqlx::{AnyConnection, query_scalar};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::writes::{PostgresDatabase, run};
use super::{finished, open_memory, opened, piece, question};
use crate::store::{LOCAL_OWNER, NewPiece, Store, new_id};

/// Begins a reply, and gives its conversation and its generation.
async fn begun(store: &Store) -> (String, String) {
    let conversation = new_id();
    let new = question(&conversation, None, "question");
    let begun = store.begin(LOCAL_OWNER, &new).await.expect("saved");
    (conversation, begun.generation)
}

async fn append(store: &Store, generations: &[&str]) {
    let new = |generation: &&str| NewPiece::new(LOCAL_OWNER, generation, 0, &piece("late"));
    let pieces: Vec<_> = generations.iter().map(new).collect();
    store.append(|| pieces).await.expect("no fault");
}

async fn finish(store: &Store, generation: &str) {
    let whole = finished("whole");
    let done = store.finish(LOCAL_OWNER, generation, &whole).await;
    done.expect("saved");
}

async fn stored(store: &Store) -> Vec<String> {
    let pieces = query_scalar("select generation from pieces");
    pieces.fetch_all(store.single_read()).await.expect("rows")
}

async fn check_late(store: &Store) {
    let (_, ended) = begun(store).await;
    let (removed_conversation, removed) = begun(store).await;
    let (_, running) = begun(store).await;
    finish(store, &ended).await;
    let deleted = store.delete(LOCAL_OWNER, &removed_conversation, 7).await;
    deleted.expect("deleted");
    assert_eq!(store.purge(8).await.expect("removed"), 1);
    append(store, &[&ended]).await;
    assert_eq!(stored(store).await, [""; 0]);
    append(store, &[&ended, &running, &removed]).await;
    assert_eq!(stored(store).await, [running]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_piece_of_a_reply_that_has_ended_or_is_gone_is_not_stored() {
    let folder = TempDir::new().expect("a folder");
    check_late(&opened(folder.path()).await).await;
    check_late(&open_memory().await).await;
    if let Some(database) = PostgresDatabase::create().await {
        let store = database.open(&database.url).await;
        check_late(&store).await;
        store.close().await;
        database.drop_database().await;
    }
}

/// Lets each piece wait, once it is in its table, until nobody else has this lock.
const WAITING_PIECES: &str = "
    create function wait() returns trigger language plpgsql as $$
    begin
        perform pg_advisory_xact_lock(42);
        return null;
    end $$;
    create trigger wait after insert on pieces for each row execute function wait()";

/// Waits until a task has ended or waits for a lock of the database.
async fn ended_or_waiting<T>(task: &JoinHandle<T>, other: &mut AnyConnection, waiting: i64) {
    let sql = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()";
    while !task.is_finished() {
        let now: i64 = query_scalar(sql)
            .fetch_one(&mut *other)
            .await
            .expect("a number");
        if now >= waiting {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn spawn(work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(work)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_piece_is_left_of_a_reply_that_ends_or_is_removed_while_it_is_stored() {
    let Some(database) = PostgresDatabase::create().await else {
        return;
    };
    let store = Arc::new(database.open(&database.url).await);
    let mut other = database.connect().await;
    let made = sqlx::raw_sql(WAITING_PIECES).execute(&mut other).await;
    made.expect("a trigger");
    for is_removed in [false, true] {
        let (conversation, generation) = begun(&store).await;
        run(&mut other, "select pg_advisory_lock(42)".to_owned()).await;
        let appending = {
            let (store, generation) = (Arc::clone(&store), generation.clone());
            spawn(async move { append(&store, &[&generation]).await })
        };
        ended_or_waiting(&appending, &mut other, 1).await;
        assert!(!appending.is_finished(), "its piece waits");
        let ending = {
            let store = Arc::clone(&store);
            spawn(async move {
                if is_removed {
                    let deleted = store.delete(LOCAL_OWNER, &conversation, 7).await;
                    deleted.expect("deleted");
                    store.purge(8).await.expect("removed");
                } else {
                    finish(&store, &generation).await;
                }
            })
        };
        ended_or_waiting(&ending, &mut other, 2).await;
        run(&mut other, "select pg_advisory_unlock(42)".to_owned()).await;
        appending.await.expect("no panic");
        ending.await.expect("no panic");
        assert_eq!(stored(&store).await, [""; 0], "removed: {is_removed}");
    }
    drop(store);
    database.drop_database().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_piece_that_comes_while_its_reply_ends_waits_for_that_and_is_not_stored() {
    let Some(database) = PostgresDatabase::create().await else {
        return;
    };
    let store = Arc::new(database.open(&database.url).await);
    let mut other = database.connect().await;
    let (_, generation) = begun(&store).await;
    // What the end of the reply does, up to its commit.
    let mut ending = database.connect().await;
    run(&mut ending, "begin".to_owned()).await;
    for sql in [
        "update messages set state = 'done' where generation = ",
        "delete from pieces where generation = ",
    ] {
        run(&mut ending, format!("{sql}'{generation}'")).await;
    }
    let appending = {
        let store = Arc::clone(&store);
        spawn(async move { append(&store, &[&generation]).await })
    };
    ended_or_waiting(&appending, &mut other, 1).await;
    run(&mut ending, "commit".to_owned()).await;
    appending.await.expect("no panic");
    assert_eq!(stored(&store).await, [""; 0]);
    drop(store);
    database.drop_database().await;
}
