//! Imports of files of other programs, of cases from public reports and of further cases of the same kinds.

mod chatgpt;
mod encodings;
mod files;
mod programs;

use serde_json::{Value, json};

use crate::support::conversations::{call, import, kept};
use crate::support::rill::Rill;
use crate::support::scripted_upstream::ScriptedUpstream;
use crate::support::scripts;

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
