//! A node of ChatGPT's conversations: `{message, parent, children}`, as in its `conversations.json` and in the
//! files of browser extensions.

use std::borrow::Cow;

use app::protocol::Role;
use serde_json::value::RawValue;

use super::citations::Sources;
use super::fields::name;
use super::times;
use super::tree::{Parent, TreeNode};
use super::values::{each, expect, is_something, pick, text, value};

/// The separator of two parts of a text.
const BETWEEN: &str = "\n\n";

/// Reads a node with this name. A value that is no node becomes an empty one.
pub(super) fn node(id: &str, raw: &RawValue) -> TreeNode {
    let [message, parent, children] = pick(Some(raw), ["message", "parent", "children"]);
    let mut node = TreeNode {
        name: Some(name(id)),
        ..TreeNode::default()
    };
    let is_node = message.is_some() || parent.is_some() || children.is_some();
    node.odd += u64::from(!is_node);
    let parent: Option<Cow<'_, str>> = expect(parent, &mut node.odd);
    node.parent = parent.map_or(Parent::None, |parent| Parent::Named(name(&parent)));
    let is_list = each(children, |child| {
        if let Some(child) = expect::<Cow<'_, str>>(Some(child), &mut node.odd) {
            node.children.push(name(&child));
        }
    });
    node.odd += u64::from(is_something(children) && !is_list);
    if is_something(message) {
        read_message(message, &mut node);
    }
    node
}

fn read_message(message: Option<&RawValue>, node: &mut TreeNode) {
    let [author, created_at, content, metadata, recipient, channel] = pick(
        message,
        [
            "author",
            "create_time",
            "content",
            "metadata",
            "recipient",
            "channel",
        ],
    );
    let [role] = pick(author, ["role"]);
    let [model, is_hidden, references] = pick(
        metadata,
        [
            "model_slug",
            "is_visually_hidden_from_conversation",
            "content_references",
        ],
    );
    if is_something(created_at) {
        node.created_at = created_at.and_then(times::time);
        node.odd += u64::from(created_at.and_then(value::<f64>).is_none());
    }
    node.model = expect(model, &mut node.odd);
    let content = NodeContent::read(content, &mut node.odd);
    node.role = match role.and_then(text).as_deref() {
        Some("user") => Some(Role::User),
        Some("assistant") => Some(Role::Assistant),
        // Instructions of the provider.
        Some("system") => return,
        // Tools, and unknown roles.
        Some(_) => {
            node.left_out += 1;
            return;
        }
        // The tree decides whose turn it is.
        None => {
            node.odd += 1;
            None
        }
    };
    if is_hidden.and_then(value) == Some(true) {
        return;
    }
    let recipient = recipient.and_then(text);
    if !matches!(recipient.as_deref(), None | Some("all" | "")) && node.role != Some(Role::User) {
        node.left_out += 1;
        return;
    }
    node.left_out += content.left_out;
    let words = match node.role {
        Some(Role::User) => content.text,
        _ => Sources::read(references).resolve(&content.text),
    };
    let is_thought = channel.and_then(text).as_deref() == Some("analysis");
    match content.is_reasoning || is_thought {
        true => node.reasoning = words,
        false => node.text = words,
    }
}

/// The content of a message.
#[derive(Default)]
struct NodeContent {
    text: String,
    is_reasoning: bool,
    left_out: u64,
}

impl NodeContent {
    fn read(content: Option<&RawValue>, odd: &mut u64) -> Self {
        let mut out = Self::default();
        let [kind, parts, words, thoughts, language] = pick(
            content,
            ["content_type", "parts", "text", "thoughts", "language"],
        );
        let kind: Option<Cow<'_, str>> = expect(kind, odd);
        match kind.as_deref() {
            Some("thoughts") => {
                out.is_reasoning = true;
                each(thoughts, |thought| {
                    let [content, summary] = pick(Some(thought), ["content", "summary"]);
                    let thought = content
                        .and_then(text)
                        .filter(|text| !text.trim().is_empty());
                    out.add(thought.or_else(|| summary.and_then(text)));
                });
            }
            Some("reasoning_recap" | "user_editable_context" | "model_editable_context") => {}
            Some("code") => {
                if let Some(code) = words.and_then(text) {
                    out.add(Some(
                        fenced(&code, language.and_then(text).as_deref()).into(),
                    ));
                }
            }
            // `text`, `multimodal_text` and newer types with a text.
            _ => {
                let is_list = each(parts, |part| out.add_part(part));
                if !is_list {
                    let written = [parts, words, content].into_iter().flatten();
                    out.add(written.filter_map(text).next());
                }
                if out.text.is_empty() && out.left_out == 0 {
                    let is_text = matches!(kind.as_deref(), Some("text" | "multimodal_text"));
                    let is_nothing = is_text && (is_list || !is_something(parts));
                    out.left_out += u64::from(!is_nothing && is_something(content));
                }
            }
        }
        out
    }

    /// A string, or an object with a text, such as a transcription. Pictures and sounds have none.
    fn add_part(&mut self, part: &RawValue) {
        let words = text(part).or_else(|| {
            let [words] = pick(Some(part), ["text"]);
            words.and_then(text)
        });
        match words {
            Some(words) => self.add(Some(words)),
            None => self.left_out += u64::from(is_something(Some(part))),
        }
    }

    fn add(&mut self, words: Option<Cow<'_, str>>) {
        let Some(words) = words.filter(|words| !words.trim().is_empty()) else {
            return;
        };
        if !self.text.is_empty() {
            self.text.push_str(BETWEEN);
        }
        self.text.push_str(&words);
    }
}

/// A text as a code block.
pub(super) fn fenced(code: &str, language: Option<&str>) -> String {
    let longest = code
        .split(|letter| letter != '`')
        .map(str::len)
        .max()
        .unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    let is_word = |word: &&str| {
        *word != "unknown"
            && word.len() <= 40
            && word.chars().all(|letter| letter.is_ascii_alphanumeric())
    };
    let language = language.filter(is_word).unwrap_or("");
    format!(
        "{fence}{language}\n{}\n{fence}",
        code.trim_end_matches('\n')
    )
}
