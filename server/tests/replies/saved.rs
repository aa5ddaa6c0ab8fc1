//! Saved replies: what is stored, versions, continuations, and requests that are sent twice.

use std::time::Duration;

use app::protocol::saved::{MessageState, events_path, generation_path};
use app::protocol::{ErrorKind, Finish, Role};
use serde_json::json;

use super::readers::{endless, follow, slow_words};
use crate::support::conversations::{begin, id, kept, last, message};
use crate::support::http::Request;
use crate::support::rill::Rill;
use crate::support::scripted_upstream::ScriptedUpstream;
use crate::support::scripts::{self, DONE, delta};
use crate::support::soon;

#[tokio::test]
async fn a_message_and_its_reply_are_kept_as_they_were_said() {
    let upstream = ScriptedUpstream::playing(vec![scripts::saying("It is a small stream.")]).await;
    let rill = Rill::before(&upstream).await;
    let (conversation, reply) = begin(&rill).await;
    let reply = soon(reply.finish()).await;
    let start = match &reply.events[0] {
        app::protocol::ChatEvent::Start(start) => start.clone(),
        other => panic!("no start: {other:?}"),
    };
    assert_eq!(start.conversation.as_deref(), Some(conversation.as_str()));
    let kept = kept(&rill, &conversation).await;
    let told: Vec<_> = kept
        .messages
        .iter()
        .map(|message| (message.role, message.text.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (Role::User, crate::support::log::PROMPT),
            (Role::Assistant, "It is a small stream."),
        ]
    );
    assert_eq!(kept.messages[0].id, start.user_message.expect("a question"));
    assert_eq!(kept.messages[1].id, start.message.expect("a message"));
    assert_eq!(kept.leaf.as_ref(), Some(&kept.messages[1].id));
    assert_eq!(
        kept.messages[1].state,
        MessageState::Done {
            finish: Finish::Stop
        }
    );
    assert_eq!(upstream.request_count(), 1);
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let upstream = ScriptedUpstream::playing(vec![scripts::saying("fine")]).await;
    let rill = Rill::before(&upstream).await;
    for request in [
        Request::get(&events_path("0123")),
        Request::new("DELETE", &generation_path("0123")),
        Request::get(&format!("/api/conversations/{}/export", id())),
        message(&id(), &json!({ "content": null, "regenerate": id() })),
        message(&id(), &json!({ "parent": id() })),
    ] {
        let answer = soon(rill.send(&request)).await;
        assert_eq!(answer.status, 404, "{request:?}");
        assert_eq!(soon(answer.json()).await["error"]["kind"], "not_found");
    }
    assert_eq!(upstream.request_count(), 0);
}

#[tokio::test]
async fn a_request_that_is_sent_twice_asks_the_model_once() {
    let upstream = ScriptedUpstream::playing(vec![slow_words(&["a ", "b"])]).await;
    let rill = Rill::before(&upstream).await;
    let conversation = id();
    let request = message(&conversation, &json!({}));
    // The request comes again at the same time, while the reply runs, and after its end.
    let (first, second) = tokio::join!(rill.begin_with(&request), rill.begin_with(&request));
    let third = soon(rill.begin_with(&request)).await;
    let mut generations = Vec::new();
    for reader in [first, second, third] {
        let reply = soon(reader.finish()).await;
        assert_eq!(reply.transcript.text, "a b");
        generations.push(reply.generation().to_owned());
    }
    let late = soon(soon(rill.begin_with(&request)).await.finish()).await;
    assert_eq!(late.transcript.text, "a b");
    generations.push(late.generation().to_owned());
    generations.dedup();
    assert_eq!(generations.len(), 1, "{generations:?}");
    assert_eq!(kept(&rill, &conversation).await.messages.len(), 2);
    assert_eq!(upstream.request_count(), 1);
}

#[tokio::test]
async fn another_version_is_a_sibling_and_the_model_does_not_see_the_first() {
    let upstream =
        ScriptedUpstream::playing(vec![scripts::saying("One."), scripts::saying("Two.")]).await;
    let rill = Rill::before(&upstream).await;
    let (conversation, reply) = begin(&rill).await;
    soon(reply.finish()).await;
    let first = last(&rill, &conversation).await;
    let again = message(
        &conversation,
        &json!({ "content": null, "regenerate": first.id }),
    );
    soon(soon(rill.begin_with(&again)).await.finish()).await;
    let kept = kept(&rill, &conversation).await;
    assert_eq!(kept.messages.len(), 3);
    assert_eq!(kept.messages[2].parent, kept.messages[1].parent);
    assert_eq!(kept.leaf.as_ref(), Some(&kept.messages[2].id));
    let sent = &upstream.exchanges()[1].body["messages"];
    assert_eq!(sent.as_array().map(Vec::len), Some(1), "{sent}");
    // A question cannot be regenerated.
    let wrong = json!({ "content": null, "regenerate": kept.messages[0].id });
    assert_eq!(
        soon(rill.send(&message(&conversation, &wrong)))
            .await
            .status,
        400
    );
}

#[tokio::test]
async fn the_model_sees_the_path_to_the_question_and_what_was_set() {
    let upstream =
        ScriptedUpstream::playing(vec![scripts::saying("One."), scripts::saying("Two.")]).await;
    let rill = Rill::before(&upstream).await;
    let (conversation, reply) = begin(&rill).await;
    soon(reply.finish()).await;
    let parent = last(&rill, &conversation).await.id;
    let next = message(
        &conversation,
        &json!({ "content": "And then?", "parent": parent, "system": "Be brief.", "temperature": 0.5 }),
    );
    soon(soon(rill.begin_with(&next)).await.finish()).await;
    let sent = &upstream.exchanges()[1].body;
    let told: Vec<_> = sent["messages"]
        .as_array()
        .expect("messages")
        .iter()
        .map(|message| message["content"].as_str().expect("text"))
        .collect();
    assert_eq!(
        told,
        [
            "Be brief.",
            crate::support::log::PROMPT,
            "One.",
            "And then?"
        ]
    );
    assert_eq!(sent["temperature"], 0.5);
}

#[tokio::test]
async fn a_reply_that_was_cut_off_goes_on_in_its_place() {
    let cut = scripts::stream()
        .then(&delta("One, "))
        .then("data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"length\"}]}\n\n")
        .then(DONE);
    let upstream = ScriptedUpstream::playing(vec![cut, scripts::saying("two.")]).await;
    let rill = Rill::before(&upstream).await;
    let (conversation, reply) = begin(&rill).await;
    assert_eq!(soon(reply.finish()).await.outcome(), "truncated");
    let reply = last(&rill, &conversation).await;
    let go_on = message(
        &conversation,
        &json!({ "content": null, "continue": reply.id }),
    );
    let whole = soon(soon(rill.begin_with(&go_on)).await.finish()).await;
    assert_eq!(whole.transcript.text, "One, two.");
    let kept = kept(&rill, &conversation).await;
    assert_eq!(kept.messages.len(), 2);
    assert_eq!(kept.messages[1].text, "One, two.");
    let sent = upstream.exchanges()[1].body["messages"].clone();
    assert_eq!(sent[1]["content"], "One, ");
    assert_eq!(sent[1]["role"], "assistant");
}

#[tokio::test]
async fn a_generation_keeps_its_events_and_its_end_when_another_one_continues_the_reply() {
    let cut = scripts::stream()
        .then(&delta("One, "))
        .after(Duration::from_millis(60), &delta("two, "))
        .then("data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"length\"}]}\n\n")
        .then(DONE);
    let upstream = ScriptedUpstream::playing(vec![cut, endless()]).await;
    let rill = Rill::before(&upstream).await;
    let (conversation, reply) = begin(&rill).await;
    let before = soon(reply.finish()).await;
    let generation = before.generation().to_owned();
    let reply = last(&rill, &conversation).await;
    let go_on = message(
        &conversation,
        &json!({ "content": null, "continue": reply.id }),
    );
    let mut going = soon(rill.begin_with(&go_on)).await;
    soon(going.until(|reply| reply.transcript.text == "One, two, one ")).await;
    // While the other one runs, and when it has ended.
    for is_over in [false, true] {
        if is_over {
            let stop = Request::new("DELETE", &generation_path(going.reply.generation()));
            assert_eq!(soon(rill.send(&stop)).await.status, 204);
        }
        let again = soon(follow(&rill, &generation, None).await.finish()).await;
        assert_eq!(again.generation(), generation);
        assert_eq!(again.ids().last(), before.ids().last());
        assert_eq!(again.transcript.text, "One, two, ");
        assert_eq!(again.outcome(), "truncated");
        let rest = soon(follow(&rill, &generation, Some("1")).await.finish()).await;
        assert_eq!(rest.transcript.text, "two, ");
        assert_eq!(rest.outcome(), "truncated");
        let end = before.ids().last().expect("an id").to_string();
        let request = Request::get(&events_path(&generation)).header("last-event-id", &end);
        assert_eq!(soon(rill.send(&request)).await.status, 204);
    }
}

#[tokio::test]
async fn a_server_that_ends_keeps_what_had_come() {
    let upstream = ScriptedUpstream::playing(vec![endless()]).await;
    let rill = Rill::before(&upstream).await;
    let (conversation, mut reply) = begin(&rill).await;
    soon(reply.until(|reply| !reply.transcript.text.is_empty())).await;
    rill.state.shutdown.cancel();
    let reply = soon(reply.finish()).await;
    assert_eq!(reply.error_kind(), Some(ErrorKind::Shutdown));
    let kept = last(&rill, &conversation).await;
    assert_eq!(kept.text, "one ");
    assert!(matches!(kept.state, MessageState::Error(error) if error.kind == ErrorKind::Shutdown));
}
