//! Long conversations are read in parts, and a page begins with the last part.

use app::protocol::saved::ConversationDetail;
use serde_json::{Value, json};

use crate::support::conversations::{begin, call, exported, id, import, kept, message};
use crate::support::http::Request;
use crate::support::rill::Rill;
use crate::support::scripted_upstream::ScriptedUpstream;
use crate::support::scripts::{self, End, delta};
use crate::support::{log, soon};

async fn rill() -> (ScriptedUpstream, Rill) {
    let upstream = ScriptedUpstream::playing(vec![scripts::saying("Short.")]).await;
    let rill = Rill::before(&upstream).await;
    (upstream, rill)
}

/// Stores a conversation with this many messages, and returns its id and theirs.
async fn long(rill: &Rill, count: usize) -> (String, Vec<String>) {
    let text = |number| {
        format!(
            "Message {number} begins. {}",
            "It has some words. ".repeat(30)
        )
    };
    let conversation = exported(&id(), "A long talk", (0..count).map(text));
    let file = json!({ "format": "rill", "version": 1, "conversations": [conversation] });
    let (status, report) = import(rill, file.to_string()).await;
    assert_eq!(status, 200, "{report}");
    let (_, list) = call(rill, "list", &json!({})).await;
    let conversation = list["conversations"][0]["id"].as_str().expect("an id");
    let whole = kept(rill, conversation).await;
    let ids = whole.messages.into_iter().map(|message| message.id);
    (conversation.to_owned(), ids.collect())
}

async fn page(rill: &Rill, address: &str) -> String {
    let answer = soon(rill.send(&Request::get(address))).await;
    assert_eq!(answer.status, 200, "{address}");
    let body = soon(answer.body()).await.expect("a whole page");
    String::from_utf8(body).expect("UTF-8")
}

async fn part(rill: &Rill, arguments: Value) -> ConversationDetail {
    let (status, json) = call(rill, "path", &arguments).await;
    assert_eq!(status, 200, "{json}");
    serde_json::from_value(json).expect("a part")
}

/// The number of times that a page has a message: as HTML, and as data.
fn shown(page: &str, number: usize) -> usize {
    page.matches(&format!("Message {number} begins.")).count()
}

#[tokio::test]
async fn a_page_is_small_whatever_the_length_of_the_conversation() {
    let (_upstream, rill) = rill().await;
    let (conversation, ids) = long(&rill, 1200).await;
    let end = page(&rill, &format!("/c/{conversation}")).await;
    assert!(end.len() < 300_000, "{} bytes", end.len());
    for (number, expect) in [(1199, 2), (1150, 2), (1149, 0), (0, 0)] {
        assert_eq!(shown(&end, number), expect, "{number}");
    }
    // What comes before is a link that works without scripts, up to the first message.
    let mut link = format!("/c/{conversation}?message={}", ids[1149]);
    assert!(end.contains(&format!("href=\"{link}\"")));
    assert!(!end.contains("Latest messages"));
    let before = page(&rill, &link).await;
    for (number, expect) in [(1150, 0), (1149, 2), (1100, 2), (1099, 0)] {
        assert_eq!(shown(&before, number), expect, "{number}");
    }
    assert!(before.contains("Latest messages"));
    link = format!("/c/{conversation}?message={}", ids[49]);
    let first = page(&rill, &link).await;
    assert_eq!((shown(&first, 0), shown(&first, 49)), (2, 2));
    assert!(!first.contains("Earlier messages"));
    // A link to a message that is not there leads to the conversation.
    for query in ["?message=nothing", "?message=a&message=b", "?other=1"] {
        let found = page(&rill, &format!("/c/{conversation}{query}")).await;
        assert_eq!(shown(&found, 1199), 2, "{query}");
    }
}

#[tokio::test]
async fn the_parts_of_a_path_are_the_whole_conversation() {
    let (_upstream, rill) = rill().await;
    let (conversation, ids) = long(&rill, 120).await;
    let whole = kept(&rill, &conversation).await;
    let mut arguments = json!({ "id": conversation });
    let mut joined = Vec::new();
    let mut sizes = Vec::new();
    loop {
        let part = part(&rill, arguments.clone()).await;
        sizes.push(part.messages.len());
        joined.splice(0..0, part.messages);
        let Some(earlier) = part.earlier else { break };
        arguments["last"] = earlier.into();
    }
    assert_eq!(sizes, [50, 50, 20]);
    assert_eq!(joined, whole.messages);
    let check = async |fields: Value, expect: usize| {
        let mut arguments = json!({ "id": conversation });
        for (name, value) in fields.as_object().expect("fields") {
            arguments[name] = value.clone();
        }
        let part = part(&rill, arguments).await;
        assert_eq!(part.messages.len(), expect, "{fields}");
        part
    };
    check(json!({ "limit": 7 }), 7).await;
    check(json!({ "limit": 0 }), 1).await;
    check(json!({ "limit": 100_000 }), 120).await;
    let through = check(json!({ "through": ids[10], "limit": 1 }), 1).await;
    assert_eq!(through.leaf, ids.last().cloned());
    assert_eq!(through.through.as_ref(), Some(&ids[10]));
    let last = check(json!({ "last": ids[10] }), 11).await;
    assert_eq!((last.leaf, last.later), (None, true));
}

#[tokio::test]
async fn a_part_that_makes_no_sense_is_refused_and_what_is_not_there_is_not_found() {
    let (_upstream, rill) = rill().await;
    let (conversation, ids) = long(&rill, 2).await;
    let check = async |arguments: Value, expect: u16| {
        let (status, answer) = call(&rill, "path", &arguments).await;
        assert_eq!(status, expect, "{arguments}: {answer}");
    };
    let of = |fields: Value| {
        let mut arguments = fields;
        arguments["id"] = conversation.clone().into();
        arguments
    };
    check(of(json!({ "last": ids[0], "through": ids[1] })), 400).await;
    check(of(json!({ "version": 1 })), 400).await;
    check(of(json!({ "last": ids[0], "version": 1 })), 400).await;
    check(json!({}), 400).await;
    check(json!({ "id": id() }), 404).await;
    check(of(json!({ "last": id() })), 404).await;
    check(of(json!({ "through": ids[0], "version": 2 })), 404).await;
    check(of(json!({ "through": ids[0], "version": 1 })), 200).await;
}

#[tokio::test]
async fn a_part_has_what_has_come_so_far_of_a_reply_that_streams() {
    let endless = scripts::stream().then(&delta("so far")).ending(End::Hang);
    let upstream = ScriptedUpstream::playing(vec![endless]).await;
    let rill = Rill::before(&upstream).await;
    let (conversation, mut reply) = begin(&rill).await;
    soon(reply.until(|reply| !reply.transcript.text.is_empty())).await;
    let part = part(&rill, json!({ "id": conversation, "limit": 1 })).await;
    assert_eq!(part.messages[0].text, "so far");
    assert_eq!(part.leaf.as_ref(), Some(&part.messages[0].id));
}

#[tokio::test]
async fn the_model_is_told_all_of_a_long_conversation() {
    let (upstream, rill) = rill().await;
    let (conversation, ids) = long(&rill, 300).await;
    let ask = message(&conversation, &json!({ "parent": ids[299] }));
    soon(rill.begin_with(&ask)).await.finish().await;
    let body = upstream.exchanges()[0].body.clone();
    let messages = body["messages"].as_array().expect("messages");
    assert_eq!(messages.len(), 301);
    assert_eq!(messages[300]["content"], log::PROMPT);
}
