//! Ids have one form. Every route accepts every spelling of a UUID, and all spellings name the same thing.

use app::protocol::ChatEvent;
use app::protocol::saved::{IMPORT_PATH, events_path, generation_path, messages_path};
use serde_json::{Value, json};

use crate::support::conversations::{begin, call, exported, id, kept, last};
use crate::support::http::Request;
use crate::support::rill::Rill;
use crate::support::scripted_upstream::ScriptedUpstream;
use crate::support::{scripts, soon};

/// The spellings of a UUID, its own form first.
fn spellings(id: &str) -> Vec<String> {
    let simple = id.replace('-', "");
    vec![
        id.to_owned(),
        id.to_uppercase(),
        simple.clone(),
        simple.to_uppercase(),
        format!("{{{id}}}"),
        format!("{{{}}}", id.to_uppercase()),
        format!("urn:uuid:{id}"),
        format!("URN:UUID:{id}"),
    ]
}

/// A spelling as part of a path.
fn in_path(spelling: &str) -> String {
    spelling.replace('{', "%7B").replace('}', "%7D")
}

async fn import(rill: &Rill, file: &Value) -> Value {
    let request = Request::post(IMPORT_PATH, file);
    let answer = soon(rill.send(&request)).await;
    assert_eq!(answer.status, 200);
    soon(answer.json()).await
}

async fn rill() -> (ScriptedUpstream, Rill) {
    let upstream = ScriptedUpstream::playing(vec![scripts::saying("fine")]).await;
    let rill = Rill::before(&upstream).await;
    (upstream, rill)
}

#[tokio::test]
async fn a_message_is_sent_in_any_spelling() {
    let (upstream, rill) = rill().await;
    let conversation = id();
    let mut parent: Option<String> = None;
    for (at, spelling) in spellings(&conversation).into_iter().enumerate() {
        let path = messages_path(&in_path(&spelling));
        let request_id = id();
        let mut body = json!({ "request_id": request_id, "content": "Hi" });
        if let Some(parent) = &parent {
            body["parent"] = spellings(parent)[at].clone().into();
        }
        let reply = soon(rill.begin_with(&Request::post(&path, &body))).await;
        let reply = soon(reply.finish()).await;
        let ChatEvent::Start(start) = &reply.events[0] else {
            panic!("no start: {:?}", reply.events);
        };
        assert_eq!(start.conversation.as_deref(), Some(conversation.as_str()));
        // The same request in another spelling is the same request.
        body["request_id"] = spellings(&request_id)[(at + 1) % 8].clone().into();
        let again = soon(rill.begin_with(&Request::post(&path, &body))).await;
        assert_eq!(soon(again.finish()).await.generation(), reply.generation());
        for wish in ["regenerate", "continue"] {
            let message = last(&rill, &conversation).await.id;
            let body = json!({ "request_id": id(), wish: spellings(&message)[at] });
            let more = soon(rill.begin_with(&Request::post(&path, &body))).await;
            assert_eq!(
                soon(more.finish()).await.outcome(),
                "complete",
                "{spelling}"
            );
        }
        parent = Some(last(&rill, &conversation).await.id);
    }
    let conversation = kept(&rill, &conversation).await;
    assert_eq!(conversation.messages.len(), 3 * 8);
    assert_eq!(upstream.request_count(), 3 * 8);
    let all = call(&rill, "list", &json!({})).await.1;
    assert_eq!(all["conversations"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_conversation_is_found_in_any_spelling_by_every_function_and_route() {
    let (_upstream, rill) = rill().await;
    let (conversation, reply) = begin(&rill).await;
    let generation = soon(reply.finish()).await.generation().to_owned();
    let leaf = last(&rill, &conversation).await.id;
    for (at, spelling) in spellings(&conversation).iter().enumerate() {
        for (name, arguments) in [
            ("get", json!({})),
            ("rename", json!({ "title": format!("Title {at}") })),
            ("pin", json!({ "pinned": true })),
            ("read", json!({})),
            ("show", json!({ "leaf": spellings(&leaf)[at] })),
            ("delete", json!({})),
            ("restore", json!({})),
        ] {
            let mut arguments = arguments;
            arguments["id"] = spelling.clone().into();
            let (status, answer) = call(&rill, name, &arguments).await;
            assert_eq!(status, 200, "{name} {spelling}: {answer}");
            if name == "get" {
                assert_eq!(answer["id"], json!(conversation), "{spelling}");
            }
        }
        let found = kept(&rill, &conversation).await;
        assert_eq!(found.title, format!("Title {at}"));
        let (spelling, generation) = (in_path(spelling), in_path(&spellings(&generation)[at]));
        for (request, expect) in [
            (Request::get(&format!("/c/{spelling}")), 200),
            (
                Request::get(&format!("/api/conversations/{spelling}/export")),
                200,
            ),
            (Request::get(&events_path(&generation)), 200),
            (
                Request::get(&format!("{}?after=2", events_path(&generation))),
                204,
            ),
            (Request::new("DELETE", &generation_path(&generation)), 204),
        ] {
            let answer = soon(rill.send(&request)).await;
            assert_eq!(answer.status, expect, "{request:?}");
        }
    }
}

#[tokio::test]
async fn what_is_imported_is_there_under_the_one_form_of_its_id() {
    let (_upstream, rill) = rill().await;
    let ours = |id: &str| json!({ "conversations": [exported(id, "Ours", ["Hi".to_owned()])] });
    let chatgpt = |id: &str| {
        json!([{
            "id": id, "conversation_id": id, "title": "Theirs", "create_time": 1.0, "update_time": 1.0,
            "current_node": "b",
            "mapping": {
                "a": { "id": "a", "message": null, "parent": null, "children": ["b"] },
                "b": { "id": "b", "parent": "a", "children": [], "message": {
                    "id": "b", "author": { "role": "user" }, "create_time": 1.0,
                    "content": { "content_type": "text", "parts": ["Hi"] } } },
            },
        }])
    };
    for file in [&ours as &dyn Fn(&str) -> Value, &chatgpt] {
        for at in 0..8 {
            let conversation = id();
            let report = import(&rill, &file(&spellings(&conversation)[at])).await;
            assert_eq!(report["conversations"], 1, "{report}");
            let (status, found) = call(&rill, "get", &json!({ "id": conversation })).await;
            assert_eq!(status, 200, "{at}: {found}");
            assert_eq!(found["id"], json!(conversation));
            // Another spelling is a duplicate.
            let again = import(&rill, &file(&spellings(&conversation)[(at + 3) % 8])).await;
            assert_eq!(again["conversations"], 0, "{again}");
            // And it can be gone on with.
            let parent = found["messages"][0]["id"].clone();
            let body = json!({ "request_id": id(), "content": "More", "parent": parent });
            let request = Request::post(&messages_path(&conversation), &body);
            let reply = soon(rill.begin_with(&request)).await;
            assert_eq!(soon(reply.finish()).await.outcome(), "complete");
        }
    }
}

#[test]
fn no_route_takes_an_id_as_it_is_written() {
    fn check(folder: &std::path::Path) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                check(&path);
                continue;
            }
            // A model is no UUID, and neither is the secret of a link for signing in.
            let has_no_ids =
                path.ends_with("openai/models.rs") || path.ends_with("account/sign_in.rs");
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(
                has_no_ids || !text.contains("Path<String>"),
                "{}: take Path<Id>",
                path.display()
            );
        }
    }
    check(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
}
