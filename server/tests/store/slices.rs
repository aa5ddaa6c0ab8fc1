//! Long imports, removals and exports: other writers get their turns, and conversations that are stored
//! only in part stay hidden.
//!
//! The tests compare the order of events and no times: another write is answered while a part of the
//! messages of the long work is stored.

use std::collections::BTreeSet;
use std::path::Path;

use app::protocol::saved::{EXPORT_PATH, export_path};
use serde_json::{Value, json};
use server::store::{LOCAL_OWNER, StoreError, new_id};
use sqlx::{AnyConnection, Connection, query, query_scalar};

use crate::support::conversations::{exported, import_request};
use crate::support::http::Request;
use crate::support::rill::Rill;
use crate::support::scripted_upstream::ScriptedUpstream;
use crate::support::scripts;
use crate::support::soon;

/// A number of messages that takes many slices.
const MANY: usize = 6_000;
/// The least number of other writes during the long work.
const BETWEEN: usize = 3;

async fn rill() -> (ScriptedUpstream, Rill) {
    let upstream = ScriptedUpstream::playing(vec![scripts::saying("Yes.")]).await;
    let rill = Rill::before(&upstream).await;
    (upstream, rill)
}

/// A conversation with this many messages.
fn conversation(id: &str, messages: usize) -> Value {
    exported(
        id,
        "Long",
        (0..messages).map(|number| format!("needle {number}")),
    )
}

fn import(file: &Value) -> Request {
    import_request(file.to_string())
}

/// A connection of another program to the database.
struct Watch(AnyConnection);

impl Watch {
    async fn on(folder: &Path) -> Self {
        let url = format!("sqlite://{}?mode=ro", folder.join("rill.db").display());
        Self(AnyConnection::connect(&url).await.expect("a database"))
    }

    async fn messages(&mut self) -> i64 {
        let count = query_scalar("select count(*) from messages");
        count.fetch_one(&mut self.0).await.expect("a number")
    }
}

/// Writes again and again until the long work is done. Gives how far it was each time when a write had
/// just been answered, without its beginning and its end.
async fn write_during(rill: &Rill, small: &str, work: impl Future<Output = ()>) -> BTreeSet<i64> {
    let mut watch = Watch::on(rill.data.path()).await;
    let mut seen = BTreeSet::new();
    tokio::pin!(work);
    let mut pinned = false;
    loop {
        let write = async {
            pinned = !pinned;
            let store = &rill.state.store;
            store.pin(LOCAL_OWNER, small, pinned).await.expect("saved");
            watch.messages().await
        };
        tokio::select! {
            biased;
            () = &mut work => break,
            messages = write => {
                seen.insert(messages);
            }
        }
    }
    let last = watch.messages().await;
    seen.retain(|messages| *messages > 2 && *messages < (MANY as i64) && *messages != last);
    seen
}

/// A small conversation that others write to.
async fn small(rill: &Rill) -> String {
    let id = new_id();
    let answer = soon(rill.send(&import(&json!([conversation(&id, 2)])))).await;
    assert_eq!(answer.status, 200);
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn others_write_between_the_parts_of_a_long_import() {
    let (_upstream, rill) = rill().await;
    let small = small(&rill).await;
    let long = new_id();
    let file = import(&json!([conversation(&long, MANY)]));
    let work = async {
        let answer = rill.send(&file).await;
        assert_eq!(answer.status, 200);
        let report = answer.json().await;
        assert_eq!(report["messages"], MANY);
    };
    let seen = write_during(&rill, &small, work).await;
    assert!(seen.len() >= BETWEEN, "{seen:?}");
    let kept = rill.state.store.get(LOCAL_OWNER, &long).await;
    assert_eq!(kept.expect("it is there").messages.len(), MANY);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_failed_and_could_not_be_removed_can_be_repeated_soon() {
    let (_upstream, rill) = rill().await;
    let mut watch = Watch::on(rill.data.path()).await;
    let url = format!("sqlite://{}", rill.data.path().join("rill.db").display());
    let mut other = AnyConnection::connect(&url).await.expect("a database");
    // SQLite's own waiting sleeps between its tries, and would miss the moments between two parts.
    query("pragma busy_timeout = 0")
        .execute(&mut other)
        .await
        .expect("set");
    // An import may be over before the lock is had. Then the next one is held up.
    let mut held_up = None;
    for _ in 0..20 {
        let long = new_id();
        let file = import(&json!([conversation(&long, MANY)]));
        let before = watch.messages().await;
        let hold = async {
            while watch.messages().await == before {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
            while query("begin immediate").execute(&mut other).await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        let (answer, ()) = tokio::join!(rill.send(&file), hold);
        if answer.status == 503 {
            held_up = Some((long, file));
            break;
        }
        assert_eq!(answer.status, 200);
        query("rollback").execute(&mut other).await.expect("held");
    }
    let (long, file) = held_up.expect("one import of twenty was held up");
    query("rollback").execute(&mut other).await.expect("held");
    soon(async {
        loop {
            let report = rill.send(&file).await.json().await;
            if report["conversations"] == 1 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    })
    .await;
    let kept = rill.state.store.get(LOCAL_OWNER, &long).await;
    assert_eq!(kept.expect("it is there").messages.len(), MANY);
}

#[tokio::test(flavor = "multi_thread")]
async fn others_write_between_the_parts_of_a_long_removal() {
    let (_upstream, rill) = rill().await;
    let small = small(&rill).await;
    let long = new_id();
    let answer = rill
        .send(&import(&json!([conversation(&long, MANY)])))
        .await;
    assert_eq!(answer.json().await["messages"], MANY);
    let store = &rill.state.store;
    store.delete(LOCAL_OWNER, &long, 1).await.expect("there");
    let work = async {
        assert_eq!(store.purge(2).await.expect("removed"), 1);
    };
    let seen = write_during(&rill, &small, work).await;
    assert!(seen.len() >= BETWEEN, "{seen:?}");
    let hits = store.search(LOCAL_OWNER, "needle", 100).await;
    assert_eq!(hits.expect("an answer").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_broke_off_stays_out_of_sight_and_goes_on() {
    let (_upstream, rill) = rill().await;
    let long = new_id();
    let answer = rill
        .send(&import(&json!([conversation(&long, MANY)])))
        .await;
    assert_eq!(answer.json().await["messages"], MANY);
    let store = &rill.state.store;
    store.delete(LOCAL_OWNER, &long, 1).await.expect("there");
    let mut watch = Watch::on(rill.data.path()).await;
    let left = tokio::select! {
        _ = store.purge(2) => panic!("it was too fast to break off"),
        left = async {
            loop {
                let left = watch.messages().await;
                if left < MANY as i64 {
                    break left;
                }
            }
        } => left,
    };
    assert!(left > 0);
    // A conversation that is partly removed cannot be restored.
    let restored = store.restore(LOCAL_OWNER, &long).await;
    assert!(
        matches!(restored, Err(StoreError::NotFound)),
        "{restored:?}"
    );
    assert!(matches!(
        store.get(LOCAL_OWNER, &long).await,
        Err(StoreError::NotFound)
    ));
    store.purge(2).await.expect("removed");
    assert_eq!(watch.messages().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_of_a_conversation_that_turns_out_wrong_is_removed() {
    let (_upstream, rill) = rill().await;
    let mut wrong = conversation(&new_id(), 1_000);
    wrong["messages"][999]["parent"] = "nobody".into();
    let file = json!([
        conversation(&new_id(), 10),
        wrong,
        conversation(&new_id(), 10)
    ]);
    let report = rill.send(&import(&file)).await.json().await;
    assert_eq!(
        (&report["conversations"], &report["messages"]),
        (&json!(2), &json!(20))
    );
    let why = &report["skipped"][0]["why"];
    assert_eq!(why, "Its messages do not follow each other.");
    let mut watch = Watch::on(rill.data.path()).await;
    assert_eq!(watch.messages().await, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_of_many_pages_is_exported_as_it_is() {
    let (_upstream, rill) = rill().await;
    let id = new_id();
    let mut file = conversation(&id, 700);
    // A message that is larger than a page, and a branch that is not shown.
    file["messages"][300]["text"] = "large ".repeat(100_000).into();
    let branch = json!({
        "id": "branch", "parent": "m698", "created_at": 1, "text": "not shown", "role": "assistant",
        "state": "interrupted",
    });
    file["messages"]
        .as_array_mut()
        .expect("a list")
        .push(branch);
    file["leaf"] = "m699".into();
    let report = rill.send(&import(&json!([file]))).await.json().await;
    assert_eq!(report["messages"], 701);

    let exported = |path: String| {
        let rill = &rill;
        async move {
            rill.send(&Request::get(&path))
                .await
                .body()
                .await
                .expect("whole")
        }
    };
    let text = exported(export_path(&id, "markdown")).await;
    let mut expect = "# Long\n".to_owned();
    for message in &file["messages"].as_array().expect("a list")[..700] {
        let who = if message["role"] == "user" {
            "You"
        } else {
            "Assistant"
        };
        let text = message["text"].as_str().expect("a text").trim_end();
        expect.push_str(&format!("\n## {who}\n\n{text}\n"));
    }
    assert!(text == expect.as_bytes(), "the Markdown differs");

    let one: Value =
        serde_json::from_slice(&exported(export_path(&id, "json")).await).expect("JSON");
    let all: Value = serde_json::from_slice(&exported(EXPORT_PATH.to_owned()).await).expect("JSON");
    assert!(one == all, "one conversation is all there are");
    let messages = one["conversations"][0]["messages"]
        .as_array()
        .expect("a list");
    assert_eq!(messages.len(), 701);
    for (message, before) in messages
        .iter()
        .zip(file["messages"].as_array().expect("a list"))
    {
        assert_eq!(message["text"], before["text"]);
        assert_eq!(message["state"], before["state"]);
    }
    let leaf = &one["conversations"][0]["leaf"];
    assert_eq!(leaf, &messages[699]["id"]);
    assert_eq!(messages[700]["parent"], messages[698]["id"]);
    // Another path is shown.
    let newest = messages[700]["id"].as_str().expect("an id");
    rill.state
        .store
        .show(LOCAL_OWNER, &id, newest)
        .await
        .expect("there");
    let text = String::from_utf8(exported(export_path(&id, "markdown")).await).expect("UTF-8");
    assert!(text.ends_with("needle 698\n\n## Assistant\n\nnot shown\n"));
}
