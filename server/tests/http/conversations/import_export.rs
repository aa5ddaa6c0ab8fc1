//! Export and import: an export can be imported, exports of other programs are read, and of a broken file
//! what is whole is kept.

use app::protocol::saved::{EXPORT_PATH, IMPORT_PATH, export_path};
use serde_json::{Value, json};

use crate::support::conversations::{begin, call, exported, id, import, kept};
use crate::support::http::Request;
use crate::support::rill::Rill;
use crate::support::scripted_upstream::ScriptedUpstream;
use crate::support::scripts;
use crate::support::{log, soon};

async fn rill() -> (ScriptedUpstream, Rill) {
    let upstream = ScriptedUpstream::playing(vec![scripts::saying("A **small** stream.")]).await;
    let rill = Rill::before(&upstream).await;
    (upstream, rill)
}

async fn count(rill: &Rill) -> usize {
    let (_, list) = call(rill, "list", &json!({ "limit": 500 })).await;
    list["conversations"].as_array().expect("a list").len()
}

#[tokio::test]
async fn a_conversation_is_exported_as_markdown_and_as_json() {
    let (_upstream, rill) = rill().await;
    let (conversation, reply) = begin(&rill).await;
    soon(reply.finish()).await;
    let request = Request::get(&export_path(&conversation, "markdown"));
    let answer = soon(rill.send(&request)).await;
    assert_eq!(
        answer.header("content-type"),
        Some("text/markdown; charset=utf-8")
    );
    let disposition = answer.header("content-disposition").expect("a name");
    assert!(
        disposition.starts_with("attachment; filename=\"")
            && disposition.contains(".md\"; filename*=UTF-8''"),
        "{disposition}"
    );
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    let text = String::from_utf8(soon(answer.body()).await.expect("whole")).expect("UTF-8");
    let expect = format!(
        "# {0}\n\n## You\n\n{0}\n\n## gpt-5-mini\n\nA **small** stream.\n",
        log::PROMPT
    );
    assert_eq!(text, expect);
    let request = Request::get(&export_path(&conversation, "json"));
    let json = soon(soon(rill.send(&request)).await.json()).await;
    assert_eq!(
        json["conversations"][0]["messages"][1]["text"],
        "A **small** stream."
    );
    let request = Request::get(&export_path(&conversation, "html"));
    assert_eq!(soon(rill.send(&request)).await.status, 400);
}

#[tokio::test]
async fn code_that_a_reply_leaves_open_is_closed_in_the_export() {
    for (said, closing) in [
        ("So:\n\n```rust\nfn main() {", "```"),
        ("- So:\n\n  ~~~~\n  a", "  ~~~~"),
        ("> ```\n> a\n", "> ```"),
    ] {
        let upstream = ScriptedUpstream::playing(vec![scripts::saying(said)]).await;
        let rill = Rill::before(&upstream).await;
        let (conversation, reply) = begin(&rill).await;
        soon(reply.finish()).await;
        let request = Request::get(&export_path(&conversation, "markdown"));
        let answer = soon(rill.send(&request)).await;
        let text = String::from_utf8(soon(answer.body()).await.expect("whole")).expect("UTF-8");
        let expect = format!("\n\n{}\n{closing}\n", said.trim_end());
        assert!(text.ends_with(&expect), "{text:?}");
    }
}

#[tokio::test]
async fn all_that_is_exported_can_be_imported_once() {
    let (_upstream, rill) = rill().await;
    let mut conversations = Vec::new();
    for _ in 0..3 {
        let (conversation, reply) = begin(&rill).await;
        soon(reply.finish()).await;
        conversations.push(conversation);
    }
    let exported = soon(soon(rill.send(&Request::get(EXPORT_PATH))).await.body())
        .await
        .expect("a whole file");

    let (_upstream, other) = self::rill().await;
    let (status, report) = import(&other, exported.clone()).await;
    assert_eq!(status, 200, "{report}");
    assert_eq!(
        report,
        json!({ "conversations": 3, "messages": 6, "skipped": [], "more_skipped": 0 })
    );
    for conversation in &conversations {
        let (here, there) = (
            kept(&rill, conversation).await,
            kept(&other, conversation).await,
        );
        let said = |conversation: &app::protocol::saved::ConversationDetail| -> Vec<_> {
            let messages = conversation.messages.iter();
            messages
                .map(|message| (message.role, message.text.clone(), message.model.clone()))
                .collect()
        };
        assert_eq!(said(&here), said(&there));
        assert_eq!(there.leaf.as_ref(), Some(&there.messages[1].id));
    }
    let (_, found) = call(&other, "search", &json!({ "query": "small" })).await;
    assert_eq!(found["hits"].as_array().map(Vec::len), Some(3));

    let (_, again) = import(&other, exported).await;
    assert_eq!(again["conversations"], 0);
    assert_eq!(again["skipped"].as_array().map(Vec::len), Some(3));
    assert_eq!(again["skipped"][0]["why"], "It is there already.");
    assert_eq!(count(&other).await, 3);
}

#[tokio::test]
async fn a_file_of_chatgpt_is_read_and_what_was_left_out_is_said() {
    let (_upstream, rill) = rill().await;
    let node = |parent: Value, children: Value, role: &str, content: Value| {
        json!({
            "message": { "author": { "role": role }, "content": content, "create_time": 2.0 },
            "parent": parent, "children": children,
        })
    };
    let file = json!([
        {
            "title": "Streams", "create_time": 1.0, "update_time": 3.0, "current_node": "a",
            "mapping": {
                "r": { "message": null, "parent": null, "children": ["q"] },
                "q": node(json!("r"), json!(["a"]), "user",
                    json!({ "content_type": "multimodal_text", "parts": [{ "asset": 1 }, "What?"] })),
                "a": node(json!("q"), json!([]), "assistant",
                    json!({ "content_type": "text", "parts": ["A brook."] })),
            },
        },
        { "title": "Empty", "mapping": {} },
        "nonsense",
    ]);
    let (status, report) = import(&rill, file.to_string()).await;
    assert_eq!(status, 200, "{report}");
    assert_eq!(
        (&report["conversations"], &report["messages"]),
        (&json!(1), &json!(2))
    );
    let skipped: Vec<_> = report["skipped"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| one["what"].as_str().expect("a name"))
        .collect();
    assert_eq!(skipped, ["Streams", "Empty", "Conversation 3 of the file"]);
    let (_, found) = call(&rill, "search", &json!({ "query": "brook" })).await;
    assert_eq!(found["hits"][0]["title"], "Streams");
}

#[tokio::test]
async fn of_a_file_that_breaks_off_what_is_whole_is_kept() {
    let (_upstream, rill) = rill().await;
    let one = |title: usize| exported(&id(), &title.to_string(), ["brook".to_owned()]);
    // More than are added in one go.
    let whole = json!((0..120).map(one).collect::<Vec<_>>()).to_string();
    for file in ["", "{}", "42", "<html>", &whole[..60]] {
        assert_eq!(import(&rill, file).await.0, 400, "{file}");
    }
    assert_eq!(count(&rill).await, 0);
    let (status, report) = import(&rill, &whole[..whole.len() - 300]).await;
    assert_eq!((status, &report["conversations"]), (200, &json!(118)));
    let last = report["skipped"].as_array().and_then(|all| all.last());
    let sentence = last.expect("one")["why"].as_str().expect("a sentence");
    assert!(sentence.contains("cut off"), "{sentence}");
    // The rest comes with the whole file.
    assert_eq!(import(&rill, whole).await.1["conversations"], 2);
    assert_eq!(count(&rill).await, 120);
}

#[tokio::test]
async fn a_large_import_tells_how_far_it_is() {
    let (_upstream, rill) = rill().await;
    // Larger than any other request may be.
    let text = "brook ".repeat(20_000);
    let one = |title: usize| exported(&id(), &title.to_string(), [text.clone()]);
    let file = json!({ "conversations": (0..20).map(one).collect::<Vec<_>>() }).to_string();
    assert!(file.len() > 2 * 1024 * 1024);
    let request = Request::new("POST", IMPORT_PATH)
        .header("content-type", "application/json")
        .header("accept", "application/x-ndjson")
        .body(file.clone());
    let answer = soon(rill.send(&request)).await;
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    let body = String::from_utf8(soon(answer.body()).await.expect("whole")).expect("UTF-8");
    let lines: Vec<Value> = body
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let (last, before) = lines.split_last().expect("lines");
    assert_eq!(last["report"]["conversations"], 20);
    assert!(before.iter().all(|line| line["total"] == file.len()));
}

#[tokio::test]
async fn an_import_that_is_no_json_is_refused() {
    let (_upstream, rill) = rill().await;
    for form in [
        "text/plain",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded",
    ] {
        let request = Request::new("POST", IMPORT_PATH)
            .header("content-type", form)
            .body("[]");
        assert_eq!(soon(rill.send(&request)).await.status, 415);
    }
    let foreign = Request::new("POST", IMPORT_PATH)
        .header("content-type", "application/json")
        .header("origin", "https://attacker.example")
        .body("[]");
    assert_eq!(soon(rill.send(&foreign)).await.status, 403);
}
