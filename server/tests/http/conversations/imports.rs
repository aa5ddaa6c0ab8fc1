//! Imports of files of other programs: the cases in `world_imports/`, which are from public reports, and further
//! cases of the same kinds.

use std::io::Write;

use app::protocol::saved::IMPORT_PATH;
use serde_json::{Value, json};

use crate::support::conversations::{call, import, kept};
use crate::support::http::Request;
use crate::support::rill::Rill;
use crate::support::scripted_upstream::ScriptedUpstream;
use crate::support::{scripts, soon};

const ID: &str = "51c5d366-1a04-400b-b9a8-050d19bb01ad";

async fn rill() -> Rill {
    let upstream = ScriptedUpstream::playing(vec![scripts::saying("Yes.")]).await;
    Rill::before(&upstream).await
}

/// A file as it is kept.
struct Imported {
    rill: Rill,
    report: Value,
}

impl Imported {
    async fn of(file: impl Into<Vec<u8>>) -> Self {
        let rill = rill().await;
        let (status, report) = import(&rill, file).await;
        assert_eq!(status, 200, "{report}");
        Self { rill, report }
    }

    /// The messages of the conversation with this title, a line each: its place and that of its parent, who
    /// said it with which model, the text, and after a bar the reasoning. The one at the end of the path
    /// that is shown has a mark.
    async fn lines(&self, title: &str) -> Vec<String> {
        let (_, list) = call(&self.rill, "list", &json!({ "limit": 500 })).await;
        let list = list["conversations"].as_array().expect("a list");
        let one = list.iter().find(|one| one["title"] == title);
        let id = one.unwrap_or_else(|| panic!("no {title} in {list:?}"))["id"].as_str();
        let kept = kept(&self.rill, id.expect("an id")).await;
        let messages = &kept.messages;
        let place = |id: &str| messages.iter().position(|message| message.id == id);
        let lines = messages.iter().map(|message| {
            let parent = message.parent.as_deref().and_then(place);
            let parent = parent.map_or("-".to_owned(), |parent| parent.to_string());
            let role = json!(message.role);
            let mut line = format!("{parent} {}", role.as_str().expect("a role"));
            if let Some(model) = &message.model {
                line += &format!(" ({model})");
            }
            line += &format!(": {}", message.text);
            if !message.reasoning.is_empty() {
                line += &format!(" | {}", message.reasoning);
            }
            if kept.leaf.as_ref() == Some(&message.id) {
                line += " <";
            }
            line
        });
        lines.collect()
    }

    /// What was skipped, a line each.
    fn skipped(&self) -> Vec<String> {
        let skipped = self.report["skipped"].as_array().expect("a list");
        let word = |one: &Value, name: &str| one[name].as_str().expect("a text").to_owned();
        let line = |one: &Value| format!("{}: {}", word(one, "what"), word(one, "why"));
        skipped.iter().map(line).collect()
    }
}

/// Imports a file that has one conversation, and nothing to be said of it.
async fn check(what: &str, file: impl Into<Vec<u8>>, title: &str, expect: &[&str]) {
    let imported = Imported::of(file).await;
    assert_eq!(imported.report["conversations"], 1, "{what}");
    assert_eq!(imported.skipped(), [""; 0], "{what}");
    assert_eq!(imported.lines(title).await, expect, "{what}");
}

/// The same with the text.
async fn check_with_note(what: &str, file: Value, expect: &[&str], note: &str) {
    let imported = Imported::of(file.to_string()).await;
    assert_eq!(imported.lines("T").await, expect, "{what}");
    let skipped = imported.skipped();
    assert!(
        skipped.len() == 1 && skipped[0].contains(note),
        "{what}: {skipped:?}"
    );
}

const LEFT_OUT: &str = "1 part was left out: tools, images and files are not imported.";
const ODD: &str = "1 value or character has an unexpected form.";

// ---- ChatGPT ----

/// A conversation of ChatGPT's: messages one after the other, with what else a node has.
fn chatgpt(messages: &[(&str, Value, Value)]) -> Value {
    let mut mapping =
        json!({ "n0": { "id": "n0", "message": null, "parent": null, "children": ["n1"] } });
    for (place, (role, content, more)) in messages.iter().enumerate() {
        let mut message = json!({
            "id": "x", "author": { "role": role }, "create_time": 1.0, "content": content,
            "metadata": {}, "recipient": "all",
        });
        for (key, value) in more.as_object().expect("fields") {
            message[key] = value.clone();
        }
        let place = place + 1;
        let children = if place < messages.len() {
            json!([format!("n{}", place + 1)])
        } else {
            json!([])
        };
        mapping[format!("n{place}")] = json!({
            "id": "x", "message": message, "parent": format!("n{}", place - 1), "children": children,
        });
    }
    json!([{
        "title": "T", "create_time": 1.0, "update_time": 2.0, "mapping": mapping,
        "current_node": format!("n{}", messages.len()), "conversation_id": ID,
    }])
}

fn text(text: &str) -> Value {
    json!({ "content_type": "text", "parts": [text] })
}

/// A question and the answer that is looked at.
fn answered(content: Value, more: Value) -> Value {
    chatgpt(&[
        ("user", text("hi"), json!({})),
        ("assistant", content, more),
    ])
}

macro_rules! world {
    ($name:literal) => {
        include_bytes!(concat!("../../conformance/world_imports/", $name)).to_vec()
    };
}

#[tokio::test]
async fn each_reported_file_is_read() {
    let simple = ["- user: hi", "0 assistant: hello <"];
    check(
        "a byte order mark",
        world!("chatgpt_bom.json"),
        "good",
        &simple,
    )
    .await;
    check("UTF-16", world!("chatgpt_utf16.json"), "good", &simple).await;
    check(
        "one object",
        world!("chatgpt_single_object.json"),
        "good",
        &simple,
    )
    .await;
    check(
        "no metadata",
        world!("chatgpt_no_metadata.json"),
        "nometa",
        &simple,
    )
    .await;
    check(
        "hidden context",
        world!("chatgpt_hidden.json"),
        "hidden",
        &simple,
    )
    .await;
    let untitled = "Conversation 1 of the file";
    check(
        "no title",
        world!("chatgpt_title_null.json"),
        untitled,
        &simple,
    )
    .await;
    check(
        "the model of the conversation",
        world!("chatgpt_default_slug.json"),
        "slug",
        &["- user: hi", "0 assistant (gpt-5-thinking): hello <"],
    )
    .await;
    check(
        "citations",
        world!("chatgpt_citations.json"),
        "cite",
        &[
            "- user: Who won?",
            "0 assistant (gpt-5): Team A won. ([site](https://e.x/a)) See Jane Doe. <",
        ],
    )
    .await;
    for (file, title, expect) in [
        (world!("chatgpt_nan.json"), "good", simple),
        (
            world!("chatgpt_code.json"),
            "code",
            ["- user: hi", "0 assistant: found <"],
        ),
        (
            world!("chatgpt_tool_recipient.json"),
            "tool",
            ["- user: Draw a cat", "0 assistant: Here is your cat. <"],
        ),
    ] {
        let imported = Imported::of(file).await;
        assert_eq!(imported.lines(title).await, expect);
        assert_eq!(imported.skipped().len(), 1, "{:?}", imported.skipped());
    }
    let imported = Imported::of(world!("chatgpt_one_bad.json")).await;
    for title in ["bad", "badtime", "good"] {
        assert_eq!(imported.lines(title).await, simple);
    }
    let expect = ["bad", "badtime"].map(|title| format!("{title}: {ODD}"));
    assert_eq!(imported.skipped(), expect);
}

#[tokio::test]
async fn a_file_is_read_in_each_encoding() {
    let file = answered(text("é 東京 😀"), json!({})).to_string();
    let expect = ["- user: hi", "0 assistant: é 東京 😀 <"];
    let utf16 = |mark: &str, bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
        let marked = format!("{mark}{file}");
        marked.encode_utf16().flat_map(bytes).collect()
    };
    for bytes in [u16::to_be_bytes, u16::to_le_bytes] {
        check("UTF-16 with a mark", utf16("\u{feff}", bytes), "T", &expect).await;
        check("UTF-16 without", utf16("", bytes), "T", &expect).await;
    }
    check("two marks", format!("\u{feff}\u{feff}{file}"), "T", &expect).await;
}

#[tokio::test]
async fn an_odd_character_costs_itself() {
    let one = |title: &str, answer: &str| {
        let file = answered(text("ANSWER"), json!({}))[0].to_string();
        let id = server::store::new_id();
        file.replace("\"T\"", &format!("\"{title}\""))
            .replace(ID, &id)
            .replace("ANSWER", answer)
    };
    for (odd, expect) in [
        (&b"a\\ud83db"[..], "a\u{fffd}b"),
        (b"a\\ude00b", "a\u{fffd}b"),
        (b"a\\u0000b", "ab"),
        (b"a\0b", "ab"),
        (b"a\x07b", "ab"),
        (b"a\xffb", "a\u{fffd}b"),
        (b"a\\q", "a\\q"),
        (b"a\\u00g", "a\u{fffd}g"),
    ] {
        let mut file = format!("[{},", one("A", "fine")).into_bytes();
        let middle = one("T", "ANSWER").into_bytes();
        let place = middle
            .windows(6)
            .position(|part| part == b"ANSWER")
            .expect("it is there");
        file.extend(&middle[..place]);
        file.extend(odd);
        file.extend(&middle[place + 6..]);
        file.extend(format!(",{}]", one("C", "fine")).into_bytes());
        let imported = Imported::of(file).await;
        assert_eq!(imported.report["conversations"], 3, "{odd:?}");
        assert_eq!(
            imported.lines("T").await[1],
            format!("0 assistant: {expect} <")
        );
        assert_eq!(imported.skipped(), [format!("T: {ODD}")]);
    }
}

#[tokio::test]
async fn numbers_that_json_does_not_have_cost_themselves() {
    let file = answered(text("hello"), json!({ "weight": "W", "create_time": "T1" })).to_string();
    for word in ["NaN", "Infinity", "-Infinity", "undefined"] {
        let file = file.replace("\"W\"", word).replace("\"T1\"", word);
        let imported = Imported::of(file).await;
        assert_eq!(
            imported.lines("T").await,
            ["- user: hi", "0 assistant: hello <"]
        );
        let expect = "T: 2 values or characters have an unexpected form.";
        assert_eq!(imported.skipped(), [expect], "{word}");
    }
}

#[tokio::test]
async fn what_was_said_by_voice_is_a_text() {
    let heard = |words: &str, direction: &str| {
        json!({ "content_type": "multimodal_text", "parts": [
            { "content_type": "audio_transcription", "text": words, "direction": direction, "decoding_id": null },
            { "content_type": "real_time_user_audio_video_asset_pointer", "audio_asset_pointer": { "a": 1 } },
        ]})
    };
    let file = chatgpt(&[
        ("user", heard("How are you?", "in"), json!({})),
        ("assistant", heard("Well.", "out"), json!({})),
    ]);
    let expect = ["- user: How are you?", "0 assistant: Well. <"];
    check_with_note("voice", file, &expect, "2 parts were left out").await;
}

#[tokio::test]
async fn marks_of_citations_are_taken_off() {
    for (marked, expect) in [
        (
            "So \u{e200}filecite\u{e202}turn0file1\u{e202}L1-L9\u{e201}.",
            "So.",
        ),
        (
            "\u{e200}i\u{e202}turn0image0\u{e202}turn0image2\u{e201}A cat",
            "A cat",
        ),
        (
            "See \u{e200}url\u{e202}the site\u{e202}https://e.x\u{e201}.",
            "See [the site](https://e.x).",
        ),
        ("So\u{e203}marked\u{e204}.", "Somarked."),
        ("So【4:0†source】.", "So."),
    ] {
        let file = answered(text(marked), json!({})).to_string();
        check(
            marked,
            file,
            "T",
            &["- user: hi", &format!("0 assistant: {expect} <")],
        )
        .await;
    }
    // What a person wrote is nobody's mark.
    let file = chatgpt(&[("user", text("\u{e204} is a letter of mine"), json!({}))]);
    check(
        "a question",
        file.to_string(),
        "T",
        &["- user: \u{e204} is a letter of mine <"],
    )
    .await;
}

#[tokio::test]
async fn what_is_for_a_tool_is_left_out_and_what_follows_is_there() {
    for (content, recipient) in [
        (
            text("{\"name\":\"Plan\",\"content\":\"…\"}"),
            "canmore.create_textdoc",
        ),
        (text("search(\"x\")"), "web.run"),
        (
            json!({ "content_type": "code", "language": "python", "text": "print(1)" }),
            "python",
        ),
        (json!({ "content_type": "newer", "parts": ["x"] }), "bio"),
    ] {
        let file = chatgpt(&[
            ("user", text("hi"), json!({})),
            ("assistant", content, json!({ "recipient": recipient })),
            ("assistant", text("found"), json!({})),
        ]);
        check_with_note(
            recipient,
            file,
            &["- user: hi", "0 assistant: found <"],
            LEFT_OUT,
        )
        .await;
    }
}

#[tokio::test]
async fn thoughts_are_reasoning_and_newer_kinds_are_read_by_their_text() {
    let thoughts = |words: &str| json!({ "content_type": "thoughts", "thoughts": [{ "summary": "S", "content": words }] });
    let file = chatgpt(&[
        ("user", text("hi"), json!({})),
        ("assistant", thoughts("Hm."), json!({})),
        (
            "assistant",
            text("Let me see."),
            json!({ "channel": "commentary" }),
        ),
        ("assistant", thoughts("Ah."), json!({})),
        (
            "assistant",
            text("Inner."),
            json!({ "channel": "analysis" }),
        ),
        (
            "assistant",
            json!({ "content_type": "reasoning_recap", "content": "Thought for 2s" }),
            json!({}),
        ),
        ("assistant", text("Hello."), json!({ "channel": "final" })),
    ]);
    check(
        "thoughts",
        file.to_string(),
        "T",
        &[
            "- user: hi",
            "0 assistant: Let me see.\n\nHello. | Hm.\n\nAh.\n\nInner. <",
        ],
    )
    .await;
    let code = json!({ "content_type": "code", "language": "python", "text": "print(1)" });
    for (content, expect) in [
        (
            json!({ "content_type": "newer_text", "parts": ["hello"] }),
            "hello",
        ),
        (
            json!({ "content_type": "newer_text", "text": "hello" }),
            "hello",
        ),
        (json!({ "content_type": "text", "parts": "hello" }), "hello"),
        (
            json!({ "content_type": "text", "parts": ["a", { "content_type": "new", "text": "b" }] }),
            "a\n\nb",
        ),
        (json!("hello"), "hello"),
        (code, "```python\nprint(1)\n```"),
    ] {
        let mut file = answered(content.clone(), json!({ "a_newer_field": [{ "x": 1 }] }));
        file[0]["another"] = json!({ "mapping": 1 });
        let expect = format!("0 assistant: {expect} <");
        check(
            &content.to_string(),
            file.to_string(),
            "T",
            &["- user: hi", &expect],
        )
        .await;
    }
    let file = chatgpt(&[
        ("user", text("hi"), json!({})),
        (
            "assistant",
            json!({ "content_type": "hologram", "data": [1] }),
            json!({}),
        ),
        ("assistant", text("hello"), json!({})),
    ]);
    check_with_note(
        "no text",
        file,
        &["- user: hi", "0 assistant: hello <"],
        LEFT_OUT,
    )
    .await;
}

#[tokio::test]
async fn a_field_of_another_kind_costs_itself() {
    let file = answered(text("hello"), json!({}));
    for (place, value) in [
        ("/0/title", json!([1])),
        ("/0/update_time", json!("soon")),
        ("/0/create_time", json!({})),
        ("/0/current_node", json!(5)),
        ("/0/conversation_id", json!(5)),
        ("/0/mapping/n2/message/author", json!("assistant")),
        ("/0/mapping/n2/message/create_time", json!([])),
        ("/0/mapping/n2/message/metadata/model_slug", json!(4)),
        ("/0/mapping/n2/parent", json!(1)),
        ("/0/mapping/n1/children", json!("n2")),
        ("/0/mapping/n1/children/0", json!(2)),
        ("/0/mapping/n0", json!(false)),
    ] {
        let mut file = file.clone();
        let (parent, last) = place.rsplit_once('/').expect("a place");
        let parent = file.pointer_mut(parent).expect("it is there");
        match last.parse::<usize>() {
            Ok(index) => parent[index] = value,
            Err(_) => parent[last] = value,
        }
        let imported = Imported::of(file.to_string()).await;
        let title = if place == "/0/title" {
            "Conversation 1 of the file"
        } else {
            "T"
        };
        let mut lines = imported.lines(title).await;
        lines[1] = lines[1].trim_end_matches(" <").to_owned();
        assert_eq!(lines, ["- user: hi", "0 assistant: hello"], "{place}");
        assert_eq!(imported.skipped(), [format!("{title}: {ODD}")], "{place}");
    }
}

// ---- other programs ----

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

// ---- files ----

#[tokio::test]
async fn the_same_file_twice_adds_nothing_whether_its_conversations_have_ids_or_not() {
    let rill = rill().await;
    let mut without = answered(text("hello"), json!({}));
    without[0]["conversation_id"] = Value::Null;
    let mut named = answered(text("hello"), json!({}));
    named[0]["conversation_id"] = json!("WEB:3");
    let other = answered(text("another answer"), json!({})).to_string();
    let cut = other.find("another").expect("it is there");
    let own = json!({
        "id": server::store::new_id(), "title": "Own", "created_at": 1, "updated_at": 1,
        "messages": [{ "id": "a", "role": "user", "text": "x", "created_at": 1,
            "state": { "done": { "finish": "stop" } } }],
    });
    let files = [
        answered(text("hello"), json!({})).to_string(),
        without.to_string(),
        named.to_string(),
        json!([{ "name": "C", "chat_messages": [{ "sender": "human", "text": "Hi" }] }])
            .to_string(),
        json!({ "title": "L", "messages": [{ "sender": "User", "text": "Hi" }] }).to_string(),
        own.to_string(),
        // Cut off, and so not the one that is there.
        other[..cut].to_owned(),
    ];
    for (round, expect) in [(1, 1), (2, 0)] {
        for file in &files {
            let (_, report) = import(&rill, file.clone()).await;
            assert_eq!(report["conversations"], expect, "{round}: {file} {report}");
        }
    }
}

#[tokio::test]
async fn what_was_cut_off_does_not_stand_in_the_way_of_the_whole() {
    // The messages are the last field, as they are in real files.
    let claude = format!(
        r#"[{{"uuid":"{ID}","name":"T","chat_messages":[
            {{"uuid":"a","sender":"human","text":"Hi"}},{{"uuid":"b","sender":"assistant","text":"Hello"}}]}}]"#
    );
    let message = |id: &str| {
        format!(
            r#"{{"id":"{id}","role":"user","text":"Hi","created_at":1,"state":{{"done":{{"finish":"stop"}}}}}}"#
        )
    };
    let own = format!(
        r#"[{{"id":"{ID}","title":"T","created_at":1,"updated_at":1,"messages":[{},{}]}}]"#,
        message("a"),
        message("b")
    );
    for file in [claude, own] {
        let rill = rill().await;
        let cut = file.len() - 20;
        let (_, report) = import(&rill, &file.as_bytes()[..cut]).await;
        assert_eq!(
            (&report["conversations"], &report["messages"]),
            (&json!(1), &json!(1)),
            "{report}"
        );
        assert!(
            report["skipped"][0]["why"]
                .as_str()
                .expect("a text")
                .contains("cut off within it")
        );
        assert_eq!(report["skipped"][1]["what"], "The file");
        let (_, again) = import(&rill, &file.as_bytes()[..cut]).await;
        assert_eq!(again["conversations"], 0, "{again}");
        let (_, whole) = import(&rill, file.clone()).await;
        assert_eq!(
            (&whole["conversations"], &whole["messages"]),
            (&json!(1), &json!(2)),
            "{whole}"
        );
        assert_eq!(kept(&rill, ID).await.messages.len(), 2);
    }
}

/// An archive of these files.
fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = rawzip::ZipArchiveWriter::new(&mut bytes);
    for (name, content) in files {
        let builder = writer.new_file(name);
        let builder = builder.compression_method(rawzip::CompressionMethod::DEFLATE);
        let (mut entry, config) = builder.start().expect("an entry");
        let encoder =
            flate2::write::DeflateEncoder::new(&mut entry, flate2::Compression::default());
        let mut data = config.wrap(encoder);
        data.write_all(content.as_bytes()).expect("written");
        let (encoder, descriptor) = data.finish().expect("written");
        encoder.finish().expect("written");
        entry.finish(descriptor).expect("written");
    }
    writer.finish().expect("written");
    bytes
}

#[tokio::test]
async fn an_archive_is_read_as_the_provider_sends_it() {
    let file = |title: &str| {
        let file = answered(text("hello"), json!({})).to_string();
        file.replace(ID, &server::store::new_id())
            .replace("\"T\"", &format!("\"{title}\""))
    };
    let bytes = archive(&[
        ("chat.html", "<html></html>"),
        ("conversations-000.json", &file("One")),
        ("conversations-001.json", &file("Two")),
        ("user.json", "{\"id\":\"user-1\"}"),
    ]);
    for form in [
        "application/zip",
        "application/x-zip-compressed",
        "application/octet-stream",
        "application/json",
    ] {
        let rill = rill().await;
        let request = Request::new("POST", IMPORT_PATH)
            .header("content-type", form)
            .body(bytes.clone());
        let answer = soon(rill.send(&request)).await;
        assert_eq!(answer.status, 200, "{form}");
        let report = soon(answer.json()).await;
        let expect = json!({ "conversations": 2, "messages": 4, "skipped": [], "more_skipped": 0 });
        assert_eq!(report, expect, "{form}");
        let (_, again) = import(&rill, bytes.clone()).await;
        assert_eq!(again["conversations"], 0);
    }
}

#[tokio::test]
async fn a_file_of_another_kind_is_refused_with_what_is_read_and_changes_nothing() {
    let rill = rill().await;
    let elsewhere = archive(&[("photos/index.json", "{\"photos\":[]}")]);
    let no_json = archive(&[("a.txt", "Hi")]);
    for (file, word) in [
        (&b"# Notes"[..], "ChatGPT"),
        (b"<!doctype html><title>ChatGPT Data Export</title>", "ZIP"),
        (b"{\"messages\":5}", "LibreChat"),
        (b"[{\"uuid\":\"u\",\"full_name\":\"A\"}]", "Claude"),
        (b"\x1f\x8b\x08\0\0\0\0\0", "Open WebUI"),
        (b"", "empty"),
        (&elsewhere, "ChatGPT"),
        (&no_json, "conversations.json"),
    ] {
        let (status, report) = import(&rill, file).await;
        assert_eq!(status, 400, "{report}");
        let sentence = report["error"]["message"].as_str().expect("a sentence");
        assert!(sentence.contains(word), "{sentence}");
    }
    let (_, list) = call(&rill, "list", &json!({ "limit": 500 })).await;
    assert_eq!(list["conversations"], json!([]));
}
