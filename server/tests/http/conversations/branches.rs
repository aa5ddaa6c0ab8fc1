//! Editing an answer, a new chat from a message, and deleting messages, as the page and other programs ask for them.

use app::protocol::saved::{ConversationDetail, EXPORT_PATH};
use serde_json::{Value, json};

use crate::support::conversations::{begin, call, id, import, kept, last, message};
use crate::support::http::Request;
use crate::support::rill::Rill;
use crate::support::scripted_upstream::ScriptedUpstream;
use crate::support::scripts::{self, End, delta};
use crate::support::{soon, within_a_second};

/// A server, and a conversation of two questions with their answers.
async fn talked() -> (ScriptedUpstream, Rill, ConversationDetail) {
    let upstream = ScriptedUpstream::playing(vec![scripts::saying("An old stream.")]).await;
    let rill = Rill::before(&upstream).await;
    let (conversation, reply) = begin(&rill).await;
    soon(reply.finish()).await;
    let first = last(&rill, &conversation).await;
    let next = json!({ "content": "More?", "parent": first.id });
    soon(
        soon(rill.begin_with(&message(&conversation, &next)))
            .await
            .finish(),
    )
    .await;
    let whole = kept(&rill, &conversation).await;
    assert_eq!(whole.messages.len(), 4);
    (upstream, rill, whole)
}

/// What the provider was last asked.
fn asked(upstream: &ScriptedUpstream) -> Vec<String> {
    let exchanges = upstream.exchanges();
    let last = exchanges.last().expect("a request");
    let messages = last.body["messages"].as_array().expect("messages").clone();
    let text = |message: &Value| message["content"].as_str().map(str::to_owned);
    messages.iter().filter_map(text).collect()
}

fn of(conversation: &ConversationDetail, at: usize) -> Value {
    json!({ "id": conversation.id, "message": conversation.messages[at].id })
}

async fn finds(rill: &Rill, query: &str) -> usize {
    let (_, found) = call(rill, "search", &json!({ "query": query })).await;
    found["hits"].as_array().expect("hits").len()
}

#[tokio::test]
async fn an_edited_answer_is_a_version_that_the_model_reads_from_then_on() {
    let (upstream, rill, before) = talked().await;
    let mut edit = of(&before, 1);
    edit["text"] = json!("A **new** brook.");
    let (status, edited) = call(&rill, "edit_reply", &edit).await;
    assert_eq!(status, 200, "{edited}");
    assert_eq!(call(&rill, "edit_reply", &edit).await.1, edited);
    let after = kept(&rill, &before.id).await;
    assert_eq!(after.leaf.as_deref(), edited.as_str());
    let version = after.messages.last().expect("a message");
    assert_eq!(version.parent, before.messages[1].parent);
    assert!(version.edited && !after.messages[1].edited);
    assert_eq!(finds(&rill, "brook").await, 1);
    let next = json!({ "content": "And now?", "parent": edited });
    soon(
        soon(rill.begin_with(&message(&before.id, &next)))
            .await
            .finish(),
    )
    .await;
    assert_eq!(asked(&upstream)[1..], ["A **new** brook.", "And now?"]);
    // It is edited in an export, too, and after the import of that.
    let export = soon(soon(rill.send(&Request::get(EXPORT_PATH))).await.json()).await;
    call(&rill, "delete", &json!({ "id": before.id })).await;
    let (_, report) = import(&rill, export.to_string()).await;
    assert_eq!(report["conversations"], 1, "{report}");
    let (_, list) = call(&rill, "list", &json!({})).await;
    let copy = list["conversations"][0]["id"].as_str().expect("an id");
    let copy = kept(&rill, copy).await;
    assert_eq!(copy.messages.iter().filter(|one| one.edited).count(), 1);
}

#[tokio::test]
async fn what_is_no_answer_is_not_edited() {
    let (_upstream, rill, conversation) = talked().await;
    for (at, text, expect) in [(0, "text", 400), (1, "  ", 400), (1, "", 400)] {
        let mut edit = of(&conversation, at);
        edit["text"] = json!(text);
        let (status, refusal) = call(&rill, "edit_reply", &edit).await;
        assert_eq!(status, expect, "{refusal}");
    }
    for (conversation, message) in [
        (id(), conversation.messages[1].id.clone()),
        (conversation.id.clone(), id()),
    ] {
        let edit = json!({ "id": conversation, "message": message, "text": "text" });
        assert_eq!(call(&rill, "edit_reply", &edit).await.0, 404);
        let fork = json!({ "id": conversation, "message": message, "into": id() });
        assert_eq!(call(&rill, "fork", &fork).await.0, 404);
        let delete = json!({ "id": conversation, "message": message });
        assert_eq!(call(&rill, "delete_messages", &delete).await.0, 404);
    }
    assert_eq!(kept(&rill, &conversation.id).await, conversation);
}

#[tokio::test]
async fn a_new_chat_from_a_message_copies_the_path_up_to_it_once() {
    let (upstream, rill, from) = talked().await;
    let mut fork = of(&from, 1);
    fork["into"] = json!(id());
    for _ in 0..2 {
        let (status, copy) = call(&rill, "fork", &fork).await;
        assert_eq!((status, &copy), (200, &fork["into"]));
    }
    let copy = kept(&rill, fork["into"].as_str().expect("an id")).await;
    let texts = |conversation: &ConversationDetail| -> Vec<String> {
        let messages = conversation.messages.iter();
        messages.map(|message| message.text.clone()).collect()
    };
    assert_eq!(texts(&copy), texts(&from)[..2]);
    assert_eq!(copy.title, from.title);
    assert_eq!(copy.leaf.as_ref(), Some(&copy.messages[1].id));
    assert_ne!(copy.messages[1].id, from.messages[1].id);
    assert_eq!(kept(&rill, &from.id).await, from);
    let (_, list) = call(&rill, "list", &json!({})).await;
    let listed = list["conversations"].as_array().expect("a list");
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[0]["id"], fork["into"]);
    let next = json!({ "content": "Elsewhere?", "parent": copy.messages[1].id });
    soon(
        soon(rill.begin_with(&message(&copy.id, &next)))
            .await
            .finish(),
    )
    .await;
    assert_eq!(asked(&upstream)[1..], ["An old stream.", "Elsewhere?"]);
}

#[tokio::test]
async fn deleted_messages_are_gone_with_all_that_follows_until_they_are_restored() {
    let (_upstream, rill, before) = talked().await;
    // Another version of the second answer, which is shown.
    let again = json!({ "content": null, "regenerate": before.messages[3].id });
    soon(
        soon(rill.begin_with(&message(&before.id, &again)))
            .await
            .finish(),
    )
    .await;
    let before = kept(&rill, &before.id).await;
    assert_eq!(finds(&rill, "more").await, 1);
    let (status, restore) = call(&rill, "delete_messages", &of(&before, 2)).await;
    assert_eq!(status, 200, "{restore}");
    assert_ne!(restore, json!(before.id));
    let after = kept(&rill, &before.id).await;
    assert_eq!(after.messages, before.messages[..2]);
    assert_eq!(after.leaf.as_ref(), Some(&before.messages[1].id));
    assert_eq!(finds(&rill, "more").await, 0);
    let reply = json!({ "content": null, "regenerate": before.messages[3].id });
    let refused = soon(rill.send(&message(&before.id, &reply))).await;
    assert_eq!(refused.status, 404);
    let (_, list) = call(&rill, "list", &json!({})).await;
    assert_eq!(list["conversations"].as_array().map(Vec::len), Some(1));
    for expect in [200, 404] {
        let (status, _) = call(&rill, "restore", &json!({ "id": restore })).await;
        assert_eq!(status, expect);
    }
    assert_eq!(kept(&rill, &before.id).await, before);
    assert_eq!(finds(&rill, "more").await, 1);
}

#[tokio::test]
async fn without_the_shown_version_another_one_is_shown() {
    let (_upstream, rill, before) = talked().await;
    let again = json!({ "content": null, "regenerate": before.messages[3].id });
    soon(
        soon(rill.begin_with(&message(&before.id, &again)))
            .await
            .finish(),
    )
    .await;
    let versions = kept(&rill, &before.id).await;
    assert_eq!(versions.leaf.as_ref(), Some(&versions.messages[4].id));
    call(&rill, "delete_messages", &of(&versions, 4)).await;
    assert_eq!(kept(&rill, &before.id).await, before);
    // A version that is not shown changes nothing of what is.
    let first = json!({ "id": before.id, "message": before.messages[0].id });
    let (_, gone) = call(&rill, "delete_messages", &first).await;
    assert_eq!(gone, json!(before.id));
    assert_eq!(call(&rill, "get", &json!({ "id": before.id })).await.0, 404);
    let (status, _) = call(&rill, "restore", &json!({ "id": gone })).await;
    assert_eq!(status, 200);
    assert_eq!(kept(&rill, &before.id).await, before);
}

#[tokio::test]
async fn messages_are_restored_only_where_they_were() {
    let (_upstream, rill, before) = talked().await;
    let (_, later) = call(&rill, "delete_messages", &of(&before, 3)).await;
    let (_, earlier) = call(&rill, "delete_messages", &of(&before, 1)).await;
    let restore = async |id: &Value| call(&rill, "restore", &json!({ "id": id })).await.0;
    assert_eq!(restore(&later).await, 404);
    assert_eq!(restore(&earlier).await, 200);
    assert_eq!(restore(&later).await, 200);
    assert_eq!(kept(&rill, &before.id).await, before);
    let (_, cut) = call(&rill, "delete_messages", &of(&before, 3)).await;
    call(&rill, "delete", &json!({ "id": before.id })).await;
    assert_eq!(restore(&cut).await, 404);
    assert_eq!(restore(&json!(before.id)).await, 200);
    assert_eq!(restore(&cut).await, 200);
    assert_eq!(kept(&rill, &before.id).await, before);
}

#[tokio::test]
async fn deleting_a_message_stops_the_reply_that_follows_it() {
    let endless = scripts::stream().then(&delta("one ")).ending(End::Hang);
    let upstream = ScriptedUpstream::playing(vec![scripts::saying("First."), endless]).await;
    let rill = Rill::before(&upstream).await;
    let (conversation, reply) = begin(&rill).await;
    soon(reply.finish()).await;
    let first = last(&rill, &conversation).await;
    let next = json!({ "content": "More?", "parent": first.id });
    let mut reply = soon(rill.begin_with(&message(&conversation, &next))).await;
    soon(reply.until(|reply| !reply.transcript.text.is_empty())).await;
    let before = kept(&rill, &conversation).await;
    let (status, restore) = call(&rill, "delete_messages", &of(&before, 2)).await;
    assert_eq!(status, 200);
    within_a_second(upstream.is_free()).await;
    assert_eq!(soon(reply.finish()).await.outcome(), "stopped");
    call(&rill, "restore", &json!({ "id": restore })).await;
    assert_eq!(last(&rill, &conversation).await.text, "one ");
}
