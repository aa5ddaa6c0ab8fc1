//! A conversation of ChatGPT's `conversations.json`: a map of nodes, each with its parent, of which
//! many hold nothing that was said.

use std::collections::HashMap;

use app::protocol::saved::{ExportedConversation, MessageState, SavedMessage};
use app::protocol::{Finish, Role};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Conversation {
    #[serde(default, alias = "conversation_id")]
    id: Option<String>,
    #[serde(default)]
    create_time: Option<f64>,
    #[serde(default)]
    update_time: Option<f64>,
    mapping: HashMap<String, Node>,
    #[serde(default)]
    current_node: Option<String>,
}

#[derive(Deserialize)]
struct Node {
    #[serde(default)]
    message: Option<Message>,
    #[serde(default)]
    parent: Option<String>,
    #[serde(default)]
    children: Vec<String>,
}

#[derive(Deserialize)]
struct Message {
    author: Author,
    #[serde(default)]
    create_time: Option<f64>,
    #[serde(default)]
    content: Value,
    #[serde(default)]
    metadata: Value,
}

#[derive(Deserialize)]
struct Author {
    role: String,
}

/// What a node says.
enum Said {
    Message(Role, String),
    Reasoning(String),
    Nothing,
}

/// Reads a conversation, and says what of it was left out.
pub(super) fn conversation(
    mut value: Value,
) -> Result<(ExportedConversation, Option<String>), &'static str> {
    // Some files have both names for the same.
    if let Some(fields) = value.as_object_mut()
        && fields.contains_key("id")
    {
        fields.remove("conversation_id");
    }
    let read = Conversation::deserialize(value)
        .map_err(|_| "It has not the form in which ChatGPT exports conversations.")?;
    let began = read.create_time.map_or(0, milliseconds);
    let mut reader = Reader {
        nodes: &read.mapping,
        messages: Vec::new(),
        places: HashMap::new(),
        left_out: 0,
        began,
    };
    let mut roots: Vec<&str> = read
        .mapping
        .iter()
        .filter(|(_, node)| {
            node.parent
                .as_ref()
                .is_none_or(|parent| !read.mapping.contains_key(parent))
        })
        .map(|(id, _)| id.as_str())
        .collect();
    roots.sort_unstable();
    for root in roots {
        reader.read_from(root);
    }
    let Reader {
        messages,
        places,
        left_out,
        ..
    } = reader;
    if messages.is_empty() {
        return Err("It has no messages with text.");
    }
    let leaf = read
        .current_node
        .and_then(|node| places.get(node.as_str()).copied().flatten())
        .map(|place| messages[place].id.clone());
    let conversation = ExportedConversation {
        id: read.id.unwrap_or_default(),
        title: String::new(),
        created_at: began,
        updated_at: read.update_time.map_or(began, milliseconds),
        pinned: false,
        leaf,
        messages,
    };
    let note = (left_out > 0).then(|| {
        format!(
            "{left_out} {} left out: tools, images and files are not imported.",
            if left_out == 1 {
                "part was"
            } else {
                "parts were"
            }
        )
    });
    Ok((conversation, note))
}

struct Reader<'a> {
    nodes: &'a HashMap<String, Node>,
    messages: Vec<SavedMessage>,
    /// The message in which a node ended up: its own, or the one before it.
    places: HashMap<&'a str, Option<usize>>,
    left_out: u64,
    began: i64,
}

impl<'a> Reader<'a> {
    /// Reads a node and all below it, parents before children.
    fn read_from(&mut self, root: &'a str) {
        let mut open = vec![(root, None, String::new())];
        while let Some((id, above, mut reasoning)) = open.pop() {
            let Some(node) = self.nodes.get(id) else {
                continue;
            };
            // A node that was seen would begin a circle.
            if self.places.contains_key(id) {
                continue;
            }
            let mut place = above;
            if let Some(message) = &node.message {
                match self.said(message) {
                    Said::Nothing => {}
                    Said::Reasoning(text) => {
                        if !reasoning.is_empty() {
                            reasoning.push_str("\n\n");
                        }
                        reasoning.push_str(&text);
                    }
                    Said::Message(role, text) => {
                        let thought = std::mem::take(&mut reasoning);
                        place = Some(self.add(id, above, role, text, thought, message));
                    }
                }
            }
            self.places.insert(id, place);
            for child in node.children.iter().rev() {
                open.push((child, place, reasoning.clone()));
            }
        }
    }

    /// Adds a message. What an assistant says after itself, as between two tools, is one message.
    fn add(
        &mut self,
        id: &str,
        above: Option<usize>,
        role: Role,
        text: String,
        reasoning: String,
        message: &Message,
    ) -> usize {
        if let Some(place) = above
            && role == Role::Assistant
            && self.messages[place].role == Role::Assistant
        {
            let before = &mut self.messages[place];
            before.text.push_str("\n\n");
            before.text.push_str(&text);
            return place;
        }
        let model = message.metadata.get("model_slug").and_then(Value::as_str);
        self.messages.push(SavedMessage {
            id: id.to_owned(),
            parent: above.map(|place| self.messages[place].id.clone()),
            role,
            text,
            reasoning,
            model: model.filter(|_| role == Role::Assistant).map(str::to_owned),
            created_at: message.create_time.map_or(self.began, milliseconds),
            usage: None,
            timing: None,
            state: MessageState::Done {
                finish: Finish::Stop,
            },
            could_not_be_saved: false,
        });
        self.messages.len() - 1
    }

    fn said(&mut self, message: &Message) -> Said {
        let is_hidden = message
            .metadata
            .get("is_visually_hidden_from_conversation")
            .and_then(Value::as_bool)
            .unwrap_or_default();
        let role = match message.author.role.as_str() {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "system" => return Said::Nothing,
            _ => {
                self.left_out += 1;
                return Said::Nothing;
            }
        };
        if is_hidden {
            return Said::Nothing;
        }
        let kind = message.content.get("content_type").and_then(Value::as_str);
        match kind {
            Some("text" | "multimodal_text") => {
                let parts = message.content.get("parts").and_then(Value::as_array);
                let mut text = String::new();
                for part in parts.into_iter().flatten() {
                    match part.as_str() {
                        Some(part) if text.is_empty() => text.push_str(part),
                        Some(part) => {
                            text.push_str("\n\n");
                            text.push_str(part);
                        }
                        None => self.left_out += 1,
                    }
                }
                if text.trim().is_empty() {
                    Said::Nothing
                } else {
                    Said::Message(role, text)
                }
            }
            Some("thoughts") => {
                let thoughts = message.content.get("thoughts").and_then(Value::as_array);
                let texts: Vec<&str> = thoughts
                    .into_iter()
                    .flatten()
                    .filter_map(|thought| thought.get("content")?.as_str())
                    .filter(|text| !text.trim().is_empty())
                    .collect();
                if texts.is_empty() {
                    Said::Nothing
                } else {
                    Said::Reasoning(texts.join("\n\n"))
                }
            }
            Some("reasoning_recap" | "user_editable_context" | "model_editable_context") => {
                Said::Nothing
            }
            _ => {
                self.left_out += 1;
                Said::Nothing
            }
        }
    }
}

/// Seconds, as the file has them.
fn milliseconds(seconds: f64) -> i64 {
    // What is out of range ends at its end.
    (seconds * 1000.0) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn node(parent: Option<&str>, children: &[&str], role: &str, content: Value) -> Value {
        json!({
            "message": {
                "author": { "role": role }, "create_time": 1.5, "content": content,
                "metadata": { "model_slug": "gpt-5" },
            },
            "parent": parent, "children": children,
        })
    }

    fn text(text: &str) -> Value {
        json!({ "content_type": "text", "parts": [text] })
    }

    #[test]
    fn a_tree_with_tools_and_thoughts_becomes_questions_and_answers() {
        let file = json!({
            "title": "T", "create_time": 1.0, "update_time": 2.0, "conversation_id": "c", "current_node": "b",
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
        let (got, left_out) = conversation(file).expect("a conversation");
        let told: Vec<_> = got
            .messages
            .iter()
            .map(|message| {
                (
                    message.id.as_str(),
                    message.parent.as_deref(),
                    message.text.as_str(),
                    message.reasoning.as_str(),
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                ("q", None, "What?", ""),
                ("a", Some("q"), "One\n\nmore.", "Hm."),
                ("b", Some("q"), "Two.", ""),
            ]
        );
        assert_eq!(got.leaf.as_deref(), Some("b"));
        assert_eq!(
            (got.id.as_str(), got.created_at, got.updated_at),
            ("c", 1000, 2000)
        );
        assert_eq!(got.messages[0].model, None);
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
        let (got, _) = conversation(file).expect("a conversation");
        assert_eq!(got.messages.len(), 2);
    }

    #[test]
    fn what_has_no_text_is_no_conversation() {
        let empty = json!({ "mapping": { "a": { "message": null } } });
        assert!(conversation(empty).is_err());
        assert!(conversation(json!({ "mapping": 1 })).is_err());
    }
}
