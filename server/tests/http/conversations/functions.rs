//! The server functions as other programs call them, the stream of changes, and titles.

use std::time::Duration;

use app::protocol::saved::{CHANGES_PATH, Change};
use app::sse;
use serde_json::json;

use crate::support::conversations::{begin, call, id, kept, message};
use crate::support::http::{Answer, Request};
use crate::support::rill::Rill;
use crate::support::scripted_upstream::ScriptedUpstream;
use crate::support::scripts::{self, End, delta};
use crate::support::{log, soon};

async fn answered(rill: &Rill) -> String {
    let (conversation, reply) = begin(rill).await;
    soon(reply.finish()).await;
    conversation
}

async fn rill() -> (ScriptedUpstream, Rill) {
    let upstream = ScriptedUpstream::playing(vec![scripts::saying("A small stream.")]).await;
    let rill = Rill::before(&upstream).await;
    (upstream, rill)
}

#[tokio::test]
async fn the_list_has_pinned_conversations_first_and_then_the_newest() {
    let (_upstream, rill) = rill().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(answered(&rill).await);
    }
    let (status, _) = call(&rill, "pin", &json!({ "id": ids[0], "pinned": true })).await;
    assert_eq!(status, 200);
    let (_, first) = call(&rill, "list", &json!({ "limit": 2 })).await;
    let (_, second) = call(
        &rill,
        "list",
        &json!({ "limit": 2, "before": first["next"] }),
    )
    .await;
    let listed: Vec<_> = [&first, &second]
        .iter()
        .flat_map(|part| part["conversations"].as_array().expect("a list").clone())
        .collect();
    let order: Vec<_> = listed.iter().map(|one| one["id"].as_str()).collect();
    assert_eq!(order, [Some(&*ids[0]), Some(&*ids[2]), Some(&*ids[1])]);
    assert_eq!(second["next"], json!(null));
    assert_eq!(listed[0]["pinned"], true);
    assert_eq!(listed[0]["unread"], true);
    assert_eq!(listed[0]["running"], false);
    assert_eq!(listed[0]["title"], log::PROMPT);
    call(&rill, "read", &json!({ "id": ids[0] })).await;
    let (_, list) = call(&rill, "list", &json!({ "limit": 1 })).await;
    assert_eq!(list["conversations"][0]["unread"], false);
}

#[tokio::test]
async fn what_is_deleted_is_gone_until_it_is_restored() {
    let (_upstream, rill) = rill().await;
    let conversation = answered(&rill).await;
    let id = json!({ "id": conversation });
    assert_eq!(call(&rill, "delete", &id).await.0, 200);
    assert_eq!(call(&rill, "get", &id).await.0, 404);
    let (_, list) = call(&rill, "list", &json!({})).await;
    assert_eq!(list["conversations"], json!([]));
    let (_, found) = call(&rill, "search", &json!({ "query": "stream" })).await;
    assert_eq!(found["hits"], json!([]));
    assert_eq!(call(&rill, "restore", &id).await.0, 200);
    assert_eq!(kept(&rill, &conversation).await.messages.len(), 2);
}

#[tokio::test]
async fn deleting_a_conversation_stops_the_reply_in_it() {
    let endless = scripts::stream().then(&delta("one ")).ending(End::Hang);
    let upstream = ScriptedUpstream::playing(vec![endless]).await;
    let rill = Rill::before(&upstream).await;
    let (conversation, mut reply) = begin(&rill).await;
    soon(reply.until(|reply| !reply.transcript.text.is_empty())).await;
    call(&rill, "delete", &json!({ "id": conversation })).await;
    crate::support::within_a_second(upstream.is_free()).await;
    assert_eq!(soon(reply.finish()).await.outcome(), "stopped");
}

#[tokio::test]
async fn titles_and_messages_are_found_from_their_first_letters() {
    let (_upstream, rill) = rill().await;
    let conversation = answered(&rill).await;
    let rename = json!({ "id": conversation, "title": "  Über\nBäche 東京 " });
    assert_eq!(call(&rill, "rename", &rename).await.0, 200);
    for (query, marked, in_message) in [
        ("s", "small", true),
        ("STREAM", "stream", true),
        ("bac", "Bäche", false),
        ("東", "東", false),
    ] {
        let (_, found) = call(&rill, "search", &json!({ "query": query })).await;
        let hit = &found["hits"][0];
        assert_eq!(hit["conversation"], conversation, "{query}: {found}");
        assert_eq!(hit["title"], "Über Bäche 東京");
        assert_eq!(hit["message"].is_string(), in_message, "{query}");
        let parts = hit["snippet"].as_array().expect("parts");
        let is_marked = |part: &&serde_json::Value| part["marked"] == true;
        assert_eq!(
            parts.iter().find(is_marked).expect("a mark")["text"],
            marked
        );
    }
    for nothing in ["", "zebra", "\"*' OR 1", "tream"] {
        let (status, found) = call(&rill, "search", &json!({ "query": nothing })).await;
        assert_eq!((status, &found["hits"]), (200, &json!([])), "{nothing}");
    }
}

#[tokio::test]
async fn the_path_that_is_shown_is_remembered() {
    let (_upstream, rill) = rill().await;
    let conversation = answered(&rill).await;
    let first = kept(&rill, &conversation).await.leaf.expect("a leaf");
    let again = message(
        &conversation,
        &json!({ "content": null, "regenerate": first }),
    );
    soon(soon(rill.begin_with(&again)).await.finish()).await;
    assert_ne!(kept(&rill, &conversation).await.leaf.as_ref(), Some(&first));
    let show = json!({ "id": conversation, "leaf": first });
    assert_eq!(call(&rill, "show", &show).await.0, 200);
    assert_eq!(kept(&rill, &conversation).await.leaf, Some(first));
    let elsewhere = json!({ "id": conversation, "leaf": id() });
    assert_eq!(call(&rill, "show", &elsewhere).await.0, 404);
}

#[tokio::test]
async fn a_call_that_is_not_the_pages_own_or_makes_no_sense_is_refused() {
    let (_upstream, rill) = rill().await;
    let path = "/api/conversations/list";
    let good = Request::post(path, &json!({}));
    let refuses = async |request: &Request, status: u16, kind: &str| {
        let answer = soon(rill.send(request)).await;
        assert_eq!(answer.status, status, "{request:?}");
        assert_eq!(
            answer.header("content-type"),
            Some("application/json"),
            "{request:?}"
        );
        assert_eq!(soon(answer.json()).await["error"]["kind"], kind);
    };
    assert_eq!(soon(rill.send(&good)).await.status, 200);
    for form in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
    ] {
        refuses(
            &good.clone().header("content-type", form),
            415,
            "unsupported_media_type",
        )
        .await;
    }
    refuses(
        &good.clone().without("content-type"),
        415,
        "unsupported_media_type",
    )
    .await;
    let foreign = good.clone().header("origin", "https://attacker.example");
    refuses(&foreign, 403, "not_allowed").await;
    let cross = good.clone().header("sec-fetch-site", "cross-site");
    refuses(&cross, 403, "not_allowed").await;
    refuses(&good.clone().header("host", "evil.test"), 421, "wrong_host").await;
    refuses(&good.clone().body("{"), 400, "bad_request").await;
    refuses(&good.clone().body("[]"), 400, "bad_request").await;
    let cursor = Request::post(path, &json!({ "before": "x" }));
    refuses(&cursor, 400, "bad_request").await;
    let large = good.clone().body(" ".repeat(1024 * 1024 + 1));
    refuses(&large, 413, "too_large").await;
    refuses(&Request::get(path), 405, "method_not_allowed").await;
    let missing = Request::post("/api/conversations/get", &json!({}));
    refuses(&missing, 400, "bad_request").await;
    for name in ["get", "rename", "pin", "delete", "restore", "show", "read"] {
        let arguments = json!({ "id": id(), "title": "t", "pinned": true, "leaf": id() });
        let request = Request::post(&format!("/api/conversations/{name}"), &arguments);
        refuses(&request, 404, "not_found").await;
    }
    // A browser that shows pages is not sent elsewhere.
    let page = good
        .header("accept", "text/html")
        .header("referer", "https://evil.test/");
    let answer = soon(rill.send(&page)).await;
    assert_eq!((answer.status, answer.header("location")), (200, None));
}

/// A subscriber to the stream of changes.
struct Listener {
    answer: Answer,
    decoder: sse::Decoder,
    changes: Vec<Change>,
}

impl Listener {
    async fn of(rill: &Rill) -> Self {
        let answer = soon(rill.send(&Request::get(CHANGES_PATH))).await;
        assert_eq!(answer.header("content-type"), Some("text/event-stream"));
        Self {
            answer,
            decoder: sse::Decoder::new(usize::MAX),
            changes: Vec::new(),
        }
    }

    /// Waits until the last change is such a one.
    async fn until(&mut self, is_it: impl Fn(&Change) -> bool) {
        while !self.changes.last().is_some_and(&is_it) {
            let frame = soon(self.answer.next_frame()).await;
            let frame = frame.expect("no cut").expect("no end");
            let changes = &mut self.changes;
            self.decoder
                .feed(&frame, |event| {
                    changes.extend(Change::from_sse(event.name, event.data).expect("our JSON"));
                })
                .expect("there is no limit");
        }
    }
}

#[tokio::test]
async fn whoever_listens_is_told_of_changes() {
    let (_upstream, rill) = rill().await;
    let mut listener = Listener::of(&rill).await;
    let conversation = answered(&rill).await;
    let looks = |title: &'static str| {
        let conversation = conversation.clone();
        move |change: &Change| {
            matches!(change, Change::Changed(summary)
                if summary.id == conversation && summary.title == title && !summary.running && summary.unread)
        }
    };
    listener.until(looks(log::PROMPT)).await;
    let rename = json!({ "id": conversation, "title": "New" });
    call(&rill, "rename", &rename).await;
    listener.until(looks("New")).await;
    call(&rill, "delete", &json!({ "id": conversation })).await;
    let is_removed = |change: &Change| *change == Change::Removed(conversation.clone());
    listener.until(is_removed).await;
}

#[tokio::test]
async fn the_model_gives_a_title_beside_the_first_answer_and_a_person_a_better_one() {
    let upstream = ScriptedUpstream::playing(vec![
        scripts::saying("It is a small stream."),
        scripts::saying("\"Small Streams.\""),
        scripts::saying("Yes."),
    ])
    .await;
    let rill = Rill::with(&upstream, &["--titles=on"]).await;
    let conversation = answered(&rill).await;
    soon(async {
        while kept(&rill, &conversation).await.title != "Small Streams" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert_eq!(upstream.request_count(), 2);
    // Only the first answer has a title beside it.
    let parent = kept(&rill, &conversation).await.leaf;
    let next = message(&conversation, &json!({ "parent": parent }));
    soon(soon(rill.begin_with(&next)).await.finish()).await;
    assert_eq!(upstream.request_count(), 3);
}
