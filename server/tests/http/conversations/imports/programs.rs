//! Exports of Claude, LibreChat and Open WebUI, and the units in which programs write times.

use serde_json::{Value, json};

use super::{ID, Imported, check, check_with_note, rill};
use crate::support::conversations::{call, import};

/// A message of an export of Claude.
fn claude_message(
    id: &str,
    parent: Option<&str>,
    sender: &str,
    text: &str,
    content: Value,
) -> Value {
    let mut message = json!({
        "uuid": id, "sender": sender, "text": text, "content": content, "attachments": [], "files": [],
        "created_at": "2025-06-01T10:00:00.123456Z", "updated_at": "2025-06-01T10:00:00.123456Z",
    });
    if let Some(parent) = parent {
        message["parent_message_uuid"] = parent.into();
    }
    message
}

/// The content of a message of Claude with one text.
fn claude_text(text: &str) -> Value {
    json!([{ "type": "text", "text": text, "citations": [], "flags": null }])
}

/// An export of Claude with one conversation.
fn claude_export(messages: Value) -> Value {
    json!([{
        "uuid": ID, "name": "T", "summary": "", "account": { "uuid": "u" }, "chat_messages": messages,
        "created_at": "2025-06-01T10:00:00Z", "updated_at": "2025-06-01T12:00:00+02:00",
    }])
}

#[tokio::test]
async fn an_export_of_claude_is_read_with_its_branches() {
    let line = claude_export(json!([
        claude_message("a", None, "human", "Hi", claude_text("Hi")),
        claude_message(
            "b",
            None,
            "assistant",
            "Hello",
            json!([
                { "type": "thinking", "thinking": "Hm.", "summaries": [{ "summary": "S" }] },
                { "type": "text", "text": "Hello" },
                { "type": "token_budget" },
            ])
        ),
        claude_message("c", None, "human", "Older, without content", json!([])),
    ]));
    check(
        "a line",
        line.to_string(),
        "T",
        &[
            "- user: Hi",
            "0 assistant: Hello | Hm.",
            "1 user: Older, without content <",
        ],
    )
    .await;
    let root = "00000000-0000-4000-8000-000000000000";
    let tree = claude_export(json!([
        claude_message("a", Some(root), "human", "", claude_text("Hi")),
        claude_message("b", Some("a"), "assistant", "", claude_text("One")),
        claude_message("c", Some("a"), "assistant", "", claude_text("Two")),
        claude_message("d", Some(root), "human", "", claude_text("Again")),
    ]));
    check(
        "a tree",
        tree.to_string(),
        "T",
        &[
            "- user: Hi",
            "0 assistant: One",
            "0 assistant: Two",
            "- user: Again <",
        ],
    )
    .await;
    let mut pasted = claude_message("a", None, "human", "Look:", claude_text("Look:"));
    pasted["attachments"] = json!([{ "file_name": "notes.txt", "extracted_content": "a ``` b\n" }]);
    pasted["files"] = json!([{ "file_name": "cat.png" }]);
    let file = claude_export(json!([
        pasted,
        claude_message(
            "b",
            None,
            "assistant",
            "",
            json!([
                { "type": "tool_use", "name": "artifacts", "input": { "content": "x" } },
                { "type": "tool_result", "content": [] },
                { "type": "text", "text": "Seen." },
                { "type": "newer", "data": 1 },
            ])
        ),
    ]));
    let expect = [
        "- user: Look:\n\nnotes.txt\n\n````\na ``` b\n````",
        "0 assistant: Seen. <",
    ];
    check_with_note("files and tools", file, &expect, "4 parts were left out").await;
}

#[tokio::test]
async fn an_export_of_librechat_is_read_flat_and_nested() {
    let root = "00000000-0000-0000-0000-000000000000";
    let message = |id: &str, parent: &str, is_users: bool, text: &str, more: Value| {
        let mut message = json!({
            "messageId": id, "parentMessageId": parent, "conversationId": ID, "isCreatedByUser": is_users,
            "sender": if is_users { "User" } else { "GPT-4" }, "text": text, "error": false,
            "createdAt": "2024-05-28T18:08:55.014Z", "model": if is_users { Value::Null } else { "gpt-4o".into() },
        });
        for (key, value) in more.as_object().expect("fields") {
            message[key] = value.clone();
        }
        message
    };
    let conversation = |name: &str, messages: Value| {
        let mut file = json!({
            "conversationId": ID, "endpoint": "azureOpenAI", "title": "T", "branches": true,
            "exportAt": "08:12:16 GMT-0400 (Eastern Daylight Time)", "options": { "model": "gpt-4o-mini" },
        });
        file[name] = messages;
        file.to_string()
    };
    let parts = json!({ "content": [
        { "type": "think", "think": "Hm." },
        { "type": "text", "text": "Two" },
        { "type": "text", "text": { "value": "parts" } },
    ], "model": null });
    let expect = [
        "- user: Hi",
        "0 assistant (gpt-4o): One",
        "0 assistant (gpt-4o-mini): Two\n\nparts | Hm.",
        "- user: Again <",
    ];
    let flat = json!([
        message("a", root, true, "Hi", json!({})),
        message("b", "a", false, "One", json!({})),
        message("c", "a", false, "", parts.clone()),
        message("d", root, true, "Again", json!({})),
    ]);
    check("flat", conversation("messages", flat), "T", &expect).await;
    let one = message("b", "a", false, "One", json!({ "children": [] }));
    let mut two = parts.clone();
    two["children"] = json!([]);
    let nested = json!([
        message(
            "a",
            root,
            true,
            "Hi",
            json!({ "children": [one, message("c", "a", false, "", two)] })
        ),
        message("d", root, true, "Again", json!({ "children": [] })),
    ]);
    for name in ["messages", "messagesTree"] {
        check("nested", conversation(name, nested.clone()), "T", &expect).await;
    }
    // Deeper than a parser goes that calls itself.
    let depth = 3000;
    let begin =
        r#"{"messageId":"x","sender":"User","isCreatedByUser":true,"text":"Hi","children":["#;
    let deep = format!(
        r#"{{"title":"T","messages":[{}{}]}}"#,
        begin.repeat(depth),
        "]}".repeat(depth)
    );
    let imported = Imported::of(deep).await;
    assert_eq!(imported.report["messages"], depth);
}

#[tokio::test]
async fn an_export_of_open_webui_is_read_whole_and_without_its_frame() {
    let thought = "<details type=\"reasoning\" done=\"true\" duration=\"3\">\n<summary>Thought for 3 seconds</summary>\n&gt; 1 &lt; 2\n</details>\nOne";
    let message = |id: &str, parent: Option<&str>, children: Value, role: &str, content: &str| {
        json!({
            "id": id, "parentId": parent, "childrenIds": children, "role": role, "content": content,
            "timestamp": 1_700_000_000, "model": if role == "user" { Value::Null } else { "llama3:8b".into() },
        })
    };
    let a = message("a", None, json!(["b", "c"]), "user", "Hi");
    let b = message("b", Some("a"), json!([]), "assistant", thought);
    let mut c = message("c", Some("a"), json!([]), "assistant", "Two");
    c["model"] = Value::Null;
    let chat = json!({
        "title": "T", "models": ["qwen3"], "timestamp": 1_700_000_000_000_u64, "messages": [a, b],
        "history": { "messages": { "c": c, "a": a, "b": b }, "currentId": "b" },
    });
    let frame = |chat: &Value| {
        json!({
            "id": ID, "user_id": "u", "title": "T", "chat": chat, "created_at": 1_700_000_000,
            "updated_at": 1_700_000_001, "archived": false, "pinned": false, "meta": {}, "folder_id": null,
        })
    };
    let expect = [
        "- user: Hi",
        "0 assistant (llama3:8b): One | 1 < 2 <",
        "0 assistant (qwen3): Two",
    ];
    check("a list", json!([frame(&chat)]).to_string(), "T", &expect).await;
    check("one", frame(&chat).to_string(), "T", &expect).await;
    check("without its frame", chat.to_string(), "T", &expect).await;
    let mut old = chat.clone();
    old.as_object_mut().expect("an object").remove("history");
    check(
        "of long ago",
        json!([frame(&old)]).to_string(),
        "T",
        &[expect[0], expect[1]],
    )
    .await;
}

#[tokio::test]
async fn times_are_read_in_each_unit() {
    let rill = rill().await;
    let expect = 1_709_642_096_000_i64;
    let times = [
        json!(1_709_642_096),
        json!(1_709_642_096_000_u64),
        json!(1_709_642_096_000_000_000_u64),
        json!("2024-03-05T12:34:56Z"),
        json!("2024-03-05T13:34:56+01:00"),
    ];
    for (place, time) in times.iter().enumerate() {
        let file = json!([{
            "uuid": server::store::new_id(), "name": format!("T{place}"), "created_at": time,
            "updated_at": time, "chat_messages": [{ "sender": "human", "text": "Hi", "created_at": time }],
        }]);
        let (_, report) = import(&rill, file.to_string()).await;
        assert_eq!(
            (&report["conversations"], &report["skipped"]),
            (&json!(1), &json!([])),
            "{time}"
        );
    }
    let (_, list) = call(&rill, "list", &json!({ "limit": 500 })).await;
    let list = list["conversations"].as_array().expect("a list");
    assert_eq!(list.len(), times.len());
    for one in list {
        assert_eq!(
            (&one["created_at"], &one["updated_at"]),
            (&json!(expect), &json!(expect)),
            "{one}"
        );
    }
}
