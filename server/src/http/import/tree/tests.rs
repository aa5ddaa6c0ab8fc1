use serde_json::{Value, json};

use super::order::REPEATED;
use super::*;
use crate::http::import::file::{self, ImportStep};
use crate::store::{ConversationHead, ImportPart};

/// How large a message may be here.
const LIMIT: u64 = 200_000;

/// The result of a conversation: its messages, its head, and what was left out; or the reason why it is
/// skipped.
type Told = Result<(Vec<SavedMessage>, ConversationHead, Option<String>), String>;

fn conversation(file: &Value) -> Told {
    let mut messages = Vec::new();
    let mut outcome = None;
    let json = format!("[{file}]");
    let done = file::read(LIMIT, "The file", |_| Ok(json.as_bytes()), &mut |step| {
        match step {
            ImportStep::Part(ImportPart::Message(message)) => messages.push(*message),
            ImportStep::Part(ImportPart::Drop) => messages.clear(),
            ImportStep::Part(_) => {}
            ImportStep::End(head, note) => {
                outcome = Some(Ok((std::mem::take(&mut messages), head, note)));
            }
            ImportStep::Skipped(skipped) => outcome = Some(Err(skipped.why)),
        }
        true
    });
    done.expect("a file");
    outcome.expect("a conversation")
}

/// The place of a message in the list.
fn place(messages: &[SavedMessage], id: Option<&str>) -> Option<usize> {
    let id = id?;
    messages.iter().position(|message| message.id == id)
}

fn node(parent: Option<&str>, children: &[&str], role: &str, content: Value) -> Value {
    json!({
        "message": {
            "author": { "role": role }, "create_time": 1.5, "content": content,
            "metadata": { "model_slug": "gpt-5" },
        },
        "parent": parent, "children": children,
    })
}

const ID: &str = "6a0c1f0e-5f0b-4c3e-9f5e-0123456789ab";

fn text(text: &str) -> Value {
    json!({ "content_type": "text", "parts": [text] })
}

#[test]
fn a_tree_with_tools_and_thoughts_becomes_questions_and_answers() {
    let file = json!({
        "title": "T", "create_time": 1.0, "update_time": 2.0, "conversation_id": ID, "current_node": "b",
        "mapping": {
            "root": { "message": null, "parent": null, "children": ["s"] },
            "s": node(Some("root"), &["q"], "system", text("")),
            "q": node(Some("s"), &["t", "b"], "user", text("What?")),
            "t": node(Some("q"), &["a"], "assistant", json!({
                "content_type": "thoughts", "thoughts": [{ "summary": "S", "content": "Hm." }],
            })),
            "a": node(Some("t"), &["tool"], "assistant", text("One")),
            "tool": node(Some("a"), &["a2"], "tool", text("result")),
            "a2": node(Some("tool"), &[], "assistant", text("more.")),
            "b": node(Some("q"), &[], "assistant", json!({
                "content_type": "multimodal_text", "parts": [{ "asset_pointer": "x" }, "Two."],
            })),
        },
    });
    let (messages, head, left_out) = conversation(&file).expect("a conversation");
    let outcome: Vec<_> = messages
        .iter()
        .map(|message| {
            (
                place(&messages, message.parent.as_deref()),
                message.text.as_str(),
                message.reasoning.as_str(),
            )
        })
        .collect();
    assert_eq!(
        outcome,
        [
            (None, "What?", ""),
            (Some(0), "One\n\nmore.", "Hm."),
            (Some(0), "Two.", ""),
        ]
    );
    assert_eq!(place(&messages, head.leaf.as_deref()), Some(2));
    assert_eq!(
        (head.id.as_str(), head.created_at, head.updated_at),
        (ID, 1000, 2000)
    );
    assert_eq!(
        (messages[0].model.as_deref(), messages[1].model.as_deref()),
        (None, Some("gpt-5"))
    );
    assert!(left_out.is_some_and(|note| note.starts_with("2 parts were left out")));
}

#[test]
fn circles_and_lost_parents_do_no_harm() {
    let file = json!({
        "mapping": {
            "a": node(Some("lost"), &["b", "gone"], "user", text("1")),
            "b": node(Some("a"), &["a", "b"], "assistant", text("2")),
            "x": node(Some("y"), &["y"], "user", text("3")),
            "y": node(Some("x"), &["x"], "assistant", text("4")),
        },
    });
    let (messages, _, _) = conversation(&file).expect("a conversation");
    let outcome: Vec<_> = messages
        .iter()
        .map(|message| {
            (
                place(&messages, message.parent.as_deref()),
                message.text.as_str(),
            )
        })
        .collect();
    // A circle begins at its first node in the file.
    assert_eq!(
        outcome,
        [(None, "1"), (Some(0), "2"), (None, "3"), (Some(2), "4")]
    );
}

#[test]
fn a_node_that_is_known_from_one_side_only_is_found() {
    let mut by_parent = json!({ "mapping": {
        "q": node(None, &[], "user", text("1")),
        "a": node(Some("q"), &[], "assistant", text("2")),
        "b": node(Some("q"), &["gone"], "assistant", text("3")),
    }});
    let outcome = |file: &Value| -> Vec<_> {
        let (messages, _, _) = conversation(file).expect("a conversation");
        messages
            .iter()
            .map(|message| {
                let parent = place(&messages, message.parent.as_deref());
                (parent, message.text.clone())
            })
            .collect()
    };
    let expect = [
        (None, "1".to_owned()),
        (Some(0), "2".to_owned()),
        (Some(0), "3".to_owned()),
    ];
    assert_eq!(outcome(&by_parent), expect);
    by_parent["mapping"]["q"]["children"] = json!(["a", "b"]);
    by_parent["mapping"]["a"]["parent"] = Value::Null;
    by_parent["mapping"]["b"]["parent"] = json!("gone");
    assert_eq!(outcome(&by_parent), expect);
    // The order of the children is that of the parent.
    by_parent["mapping"]["q"]["children"] = json!(["b", "a"]);
    let texts: Vec<_> = outcome(&by_parent)
        .into_iter()
        .map(|(_, text)| text)
        .collect();
    assert_eq!(texts, ["1", "3", "2"]);
}

#[test]
fn what_has_no_text_is_no_conversation() {
    let empty = json!({ "mapping": { "a": { "message": null } } });
    let why = |file: &Value| conversation(file).expect_err("it is skipped");
    assert_eq!(why(&empty), "It has no messages with text.");
    assert_eq!(
        why(&json!({ "mapping": 1 })),
        "It has no messages with text."
    );
    let wrong = json!({ "mapping": { "a": { "message": null, "children": 5 } } });
    assert_eq!(why(&wrong), "It has no messages with text.");
}

#[test]
fn thoughts_before_many_answers_do_not_multiply_the_file() {
    // Missing children cost nothing, and existing ones share the thoughts.
    let gone: Vec<String> = (0..1500).map(|number| format!("gone{number}")).collect();
    let there: Vec<String> = (0..300).map(|number| format!("a{number}")).collect();
    let children: Vec<&str> = gone.iter().chain(&there).map(String::as_str).collect();
    let thought = "x".repeat(100_000);
    let mut file = json!({ "mapping": {
        "q": node(None, &["t"], "user", text("What?")),
        "t": node(Some("q"), &children, "assistant", json!({
            "content_type": "thoughts", "thoughts": [{ "content": thought }],
        })),
    }});
    for id in &there {
        file["mapping"][id] = node(Some("t"), &[], "assistant", text("One."));
    }
    let (messages, _, left_out) = conversation(&file).expect("a conversation");
    assert_eq!(messages.len(), 301);
    let with_thoughts = messages
        .iter()
        .filter(|message| message.reasoning == thought);
    assert_eq!(with_thoughts.count() as u64, REPEATED);
    assert!(left_out.is_some_and(|note| note.starts_with("296 parts")));
}

#[test]
fn a_message_that_is_too_large_costs_itself_only() {
    let mut large = node(Some("q"), &["q2"], "assistant", text("Two."));
    large["message"]["content"]["numbers"] = vec![1; LIMIT as usize].into();
    let file = json!({ "mapping": {
        "q": node(None, &["a"], "user", text("What?")),
        "a": large,
        "q2": node(Some("a"), &[], "user", text("And?")),
    }});
    let (messages, _, note) = conversation(&file).expect("a conversation");
    assert_eq!(messages.len(), 2);
    assert_eq!(place(&messages, messages[1].parent.as_deref()), Some(0));
    assert!(note.is_some_and(|note| note.starts_with("1 part was left out")));
}

#[test]
fn texts_become_one_message_as_long_as_it_is_none_that_is_too_large() {
    let part = |letter: &str| letter.repeat(LIMIT as usize / 3);
    let file = json!({ "mapping": {
        "a": node(None, &["b"], "assistant", text(&part("a"))),
        "b": node(Some("a"), &["c"], "assistant", text(&part("b"))),
        "c": node(Some("b"), &["d"], "assistant", text(&part("c"))),
        "d": node(Some("c"), &[], "assistant", text("xxxx")),
    }});
    let (messages, _, _) = conversation(&file).expect("a conversation");
    let texts: Vec<_> = messages.iter().map(|message| &message.text).collect();
    assert_eq!(
        texts,
        [
            &format!("{}\n\n{}\n\n{}", part("a"), part("b"), part("c")),
            "xxxx"
        ]
    );
}

#[test]
fn thoughts_in_a_long_line_are_read_in_a_time_that_does_not_square() {
    let count = 20_000;
    let mut file = json!({ "mapping": {} });
    for number in 0..count {
        let next = format!("n{}", number + 1);
        let answer = format!("a{number}");
        let thought = json!({ "content_type": "thoughts", "thoughts": [{ "content": "hm" }] });
        file["mapping"][format!("n{number}")] = node(None, &[&next, &answer], "assistant", thought);
        let own = format!("n{number}");
        file["mapping"][&answer] = node(Some(&own), &[], "assistant", text("x"));
    }
    for number in 1..count {
        file["mapping"][format!("n{number}")]["parent"] = format!("n{}", number - 1).into();
    }
    let (messages, _, _) = conversation(&file).expect("a conversation");
    assert_eq!(messages.len(), count);
    let bytes: usize = messages.iter().map(|message| message.reasoning.len()).sum();
    assert!(bytes as u64 <= 2 * REPEATED * 4 * count as u64, "{bytes}");
}
