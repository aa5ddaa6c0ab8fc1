//! A message of a list or a map, as Claude, LibreChat, Open WebUI and many others write it.
//!
//! The formats differ mainly in the names of the fields, so one function reads them all: an id, a parent, a
//! role, and a content that is a string or a list of parts.

use std::borrow::Cow;

use app::protocol::Role;
use serde_json::value::RawValue;

use super::chatgpt::fenced;
use super::details;
use super::fields::name;
use super::json::FieldUse;
use super::times;
use super::tree::{Parent, TreeNode};
use super::values::{each, expect, is_something, pick, text, value};

/// The separator of two parts of a text.
const BETWEEN: &str = "\n\n";
/// The field that holds nested messages, if its items are not names.
pub(super) const NESTED: &str = "children";

const IDS: [&str; 4] = ["id", "uuid", "messageId", "message_id"];
const PARENTS: [&str; 5] = [
    "parent",
    "parentId",
    "parentMessageId",
    "parent_message_uuid",
    "parent_id",
];
const ROLES: [&str; 3] = ["role", "sender", "author"];
const TEXTS: [&str; 2] = ["content", "text"];
const THOUGHTS: [&str; 3] = ["reasoning", "reasoning_content", "thinking"];
const TIMES: [&str; 5] = [
    "created_at",
    "createdAt",
    "timestamp",
    "create_time",
    "updated_at",
];
const MODELS: [&str; 3] = ["model", "modelName", "model_slug"];
const OTHERS: [&str; 8] = [
    "childrenIds",
    "isCreatedByUser",
    "attachments",
    // Only in our own export.
    "usage",
    "timing",
    "state",
    "could_not_be_saved",
    "edited",
];
const COUNTED: [&str; 2] = ["files", "images"];

/// Whether a field of a message is needed.
pub(super) fn wanted(field: &str) -> FieldUse {
    let all: [&[&str]; 8] = [
        &IDS, &PARENTS, &ROLES, &TEXTS, &THOUGHTS, &TIMES, &MODELS, &OTHERS,
    ];
    if all.into_iter().flatten().any(|name| *name == field) {
        FieldUse::Copy
    } else if COUNTED.contains(&field) {
        FieldUse::Count
    } else if field == NESTED {
        FieldUse::Enter
    } else {
        FieldUse::Skip
    }
}

/// Whether a message has the format of our own export.
pub(super) fn is_own(raw: &RawValue) -> bool {
    let [text, state, at] = pick(Some(raw), ["text", "state", "created_at"]);
    text.is_some() && state.is_some() && at.is_some()
}

/// The first of these fields that is not empty.
fn first<'a, const COUNT: usize>(raw: &'a RawValue, names: [&str; COUNT]) -> Option<&'a RawValue> {
    let found = pick(Some(raw), names);
    found
        .into_iter()
        .flatten()
        .find(|raw| is_something(Some(raw)))
}

/// Reads a message. In a map the message has a key.
pub(super) fn node(key: Option<&str>, raw: &RawValue) -> TreeNode {
    let mut node = TreeNode::default();
    let id: Option<Cow<'_, str>> = expect(first(raw, IDS), &mut node.odd);
    node.name = key.map(name).or_else(|| id.as_deref().map(name));
    node.parent = match expect::<Cow<'_, str>>(first(raw, PARENTS), &mut node.odd) {
        Some(parent) if is_nobody(&parent) => Parent::None,
        Some(parent) => Parent::Named(name(&parent)),
        None => Parent::Before,
    };
    if node.name.is_none() && first(raw, ROLES).is_none() {
        node.odd += 1;
    }
    let [children, is_persons, attachments] =
        pick(Some(raw), ["childrenIds", "isCreatedByUser", "attachments"]);
    each(children, |child| {
        if let Some(child) = expect::<Cow<'_, str>>(Some(child), &mut node.odd) {
            node.children.push(name(&child));
        }
    });
    let at = first(raw, TIMES);
    node.created_at = at.and_then(times::time);
    node.odd += u64::from(at.is_some() && node.created_at.is_none());
    node.model = expect(first(raw, MODELS), &mut node.odd);
    let [edited] = pick(Some(raw), ["edited"]);
    node.edited = edited.is_some_and(|edited| edited.get() == "true");
    for count in pick(Some(raw), COUNTED).into_iter().flatten() {
        node.left_out += value::<u64>(count).unwrap_or(0);
    }
    let role = role_of(raw, is_persons, &mut node.odd);
    if role == Speaker::Other {
        node.left_out += 1;
        return node;
    }
    if role == Speaker::Provider {
        return node;
    }
    node.role = match role {
        Speaker::Person => Some(Role::User),
        Speaker::Model => Some(Role::Assistant),
        _ => None,
    };
    read_text(raw, &mut node);
    each(attachments, |attachment| {
        add_attachment(attachment, &mut node)
    });
    node
}

/// The role of a message.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Speaker {
    Person,
    Model,
    /// Instructions.
    Provider,
    /// Tools.
    Other,
    Unknown,
}

fn role_of(raw: &RawValue, is_persons: Option<&RawValue>, odd: &mut u64) -> Speaker {
    match expect(is_persons, odd) {
        Some(true) => return Speaker::Person,
        Some(false) => return Speaker::Model,
        None => {}
    }
    let role = first(raw, ROLES).and_then(|role| {
        let [inner] = pick(Some(role), ["role"]);
        text(inner.unwrap_or(role))
    });
    let Some(role) = role else {
        *odd += 1;
        return Speaker::Unknown;
    };
    match role.to_ascii_lowercase().as_str() {
        "user" | "human" | "you" => Speaker::Person,
        "system" | "developer" => Speaker::Provider,
        "tool" | "function" => Speaker::Other,
        // A role, or the name of a model.
        _ => Speaker::Model,
    }
}

/// The parents that mean that there is none.
fn is_nobody(parent: &str) -> bool {
    let is_zero =
        |part: Option<&str>| part.is_some_and(|part| part.bytes().all(|byte| byte == b'0'));
    parent.is_empty() || parent.len() == 36 && is_zero(parent.get(..8)) && is_zero(parent.get(24..))
}

fn read_text(raw: &RawValue, node: &mut TreeNode) {
    let [content, written] = pick(Some(raw), TEXTS);
    let [parts] = pick(content, ["parts"]);
    let is_list = each(parts.or(content), |part| add_part(part, node));
    if !is_list && let Some(content) = content.filter(|content| is_something(Some(content))) {
        add_part(content, node);
    }
    if node.text.trim().is_empty() {
        node.text = written.and_then(text).unwrap_or_default().into_owned();
        node.odd += u64::from(is_something(written) && written.and_then(text).is_none());
    }
    if let Some(thought) = first(raw, THOUGHTS).and_then(text)
        && node.reasoning.is_empty()
    {
        node.reasoning = thought.into_owned();
    }
    if node.role != Some(Role::User) {
        let (text, reasoning, left_out) = details::split(&node.text);
        node.text = text;
        node.left_out += left_out;
        add(&mut node.reasoning, &reasoning);
    }
}

/// Reads a part of a content: text, reasoning, or a type that is not imported.
fn add_part(part: &RawValue, node: &mut TreeNode) {
    if let Some(words) = text(part) {
        return add(&mut node.text, &words);
    }
    let [kind, words, thinking, think, reasoning] = pick(
        Some(part),
        ["type", "text", "thinking", "think", "reasoning"],
    );
    // LibreChat wrote {"text": {"value": "…"}}.
    let [inner] = pick(words, ["value"]);
    let words = words.and_then(text).or_else(|| inner.and_then(text));
    let thought = [thinking, think, reasoning].into_iter().flatten();
    let thought = thought.filter_map(text).next();
    match kind.and_then(text).as_deref() {
        Some("thinking" | "think" | "reasoning") => {
            if let Some(thought) = thought.or(words) {
                add(&mut node.reasoning, &thought);
            }
        }
        Some("tool_use" | "tool_result" | "tool_call" | "error") => node.left_out += 1,
        // Signatures of the provider, without text.
        Some("token_budget" | "redacted_thinking" | "agent_update") => {}
        _ => match words {
            Some(words) => add(&mut node.text, &words),
            None => node.left_out += u64::from(is_something(Some(part))),
        },
    }
}

/// The text of an attachment, such as a long text that was pasted. It is part of the message.
fn add_attachment(attachment: &RawValue, node: &mut TreeNode) {
    let [title, content] = pick(Some(attachment), ["file_name", "extracted_content"]);
    let content = content
        .and_then(text)
        .filter(|text| !text.trim().is_empty());
    let Some(content) = content else {
        node.left_out += 1;
        return;
    };
    let title = title.and_then(text).unwrap_or_default();
    let title = title.split_whitespace().collect::<Vec<_>>().join(" ");
    if !title.is_empty() {
        add(&mut node.text, &title);
    }
    add(&mut node.text, &fenced(&content, None));
}

fn add(out: &mut String, words: &str) {
    if words.trim().is_empty() {
        return;
    }
    if !out.is_empty() {
        out.push_str(BETWEEN);
    }
    out.push_str(words);
}
