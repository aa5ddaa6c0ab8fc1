//! The history of a new message is read before its write transaction begins.

use tempfile::TempDir;

use super::history::{LineEnd, line_to};
use crate::store::tests::{finished, opened, question};
use crate::store::{LOCAL_OWNER, NewReply, Store, Turn, new_id};

async fn finish(store: &Store, generation: &str, answer: &str) {
    let finished = finished(answer);
    let done = store.finish(LOCAL_OWNER, generation, &finished).await;
    done.expect("saved");
}

#[tokio::test]
async fn the_history_is_read_while_another_transaction_writes() {
    let folder = TempDir::new().expect("a folder");
    let store = opened(folder.path()).await;
    let conversation = new_id();
    let first = question(&conversation, None, "one");
    let begun = store.begin(LOCAL_OWNER, &first).await.expect("saved");
    finish(&store, &begun.generation, "two").await;
    let writer = store.transaction().await.expect("it begins");
    let next = question(&conversation, Some(&begun.message), "three");
    let again = NewReply {
        turn: Turn::Regenerate(begun.message.clone()),
        ..next.clone()
    };
    for (reply, expect) in [(&next, &["one", "two"][..]), (&again, &["one"])] {
        let history = store.history_of(LOCAL_OWNER, reply).await.expect("read");
        let history = history.messages.expect("it is complete");
        let texts: Vec<&str> = history.iter().map(|one| one.content.as_str()).collect();
        assert_eq!(texts, expect);
    }
    // Of another owner nothing is read.
    let other = store.history_of("other", &next).await.expect("read");
    assert!(other.messages.is_none());
    writer.commit().await.expect("an end");
}

#[tokio::test]
async fn a_message_that_was_streaming_when_the_history_was_read_is_read_again() {
    let folder = TempDir::new().expect("a folder");
    let store = opened(folder.path()).await;
    let conversation = new_id();
    let first = question(&conversation, None, "one");
    let begun = store.begin(LOCAL_OWNER, &first).await.expect("saved");
    let next = question(&conversation, Some(&begun.message), "three");
    let history = store.history_of(LOCAL_OWNER, &next).await.expect("read");
    assert!(history.messages.is_none(), "the reply is not complete");
    // The reply ends between that and the transaction, which then sees all of it.
    finish(&store, &begun.generation, "two").await;
    let asked = store.begin(LOCAL_OWNER, &next).await.expect("saved");
    let question = asked.user_message.expect("a question");
    let line = line_to(LOCAL_OWNER, &conversation, &LineEnd::At(&question));
    let line = store.single_rows(&line).await.expect("read");
    let history = history.with(Some(line));
    let texts: Vec<&str> = history.iter().map(|one| one.content.as_str()).collect();
    assert_eq!(texts, ["one", "two", "three"]);
    assert_eq!(asked.history, history);
}
