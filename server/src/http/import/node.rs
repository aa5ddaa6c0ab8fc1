//! One node of a conversation of ChatGPT's.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use app::protocol::Role;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::fields::{Name, name};

/// A node as it is written. What is in it of other kinds is not read.
#[derive(Deserialize)]
pub(super) struct Node<'a> {
    #[serde(default, borrow)]
    pub(super) message: Option<Message<'a>>,
    #[serde(default, borrow)]
    pub(super) parent: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(super) children: Children,
}

#[derive(Deserialize)]
pub(super) struct Message<'a> {
    #[serde(borrow)]
    author: Author<'a>,
    #[serde(default)]
    pub(super) create_time: Option<f64>,
    #[serde(default, borrow)]
    content: Option<&'a RawValue>,
    #[serde(default, borrow)]
    metadata: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Author<'a> {
    #[serde(borrow)]
    role: Cow<'a, str>,
}

/// The names of the nodes that follow.
#[derive(Default)]
pub(super) struct Children(pub(super) Vec<Name>);

/// What a node says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    Message(Role, String),
    Reasoning(String),
    Nothing,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Content<'a> {
    #[serde(borrow)]
    content_type: Option<&'a RawValue>,
    #[serde(borrow)]
    parts: Option<&'a RawValue>,
    #[serde(borrow)]
    thoughts: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Metadata<'a> {
    #[serde(borrow)]
    model_slug: Option<&'a RawValue>,
    #[serde(borrow)]
    is_visually_hidden_from_conversation: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Thought<'a> {
    #[serde(borrow)]
    content: Cow<'a, str>,
}

impl<'a> Message<'a> {
    /// The model that said it.
    pub(super) fn model(&self) -> Option<String> {
        self.metadata().model_slug.and_then(value)
    }

    fn metadata(&self) -> Metadata<'a> {
        self.metadata.and_then(value).unwrap_or_default()
    }

    /// What it says, and how many parts of it are not imported.
    pub(super) fn said(&self) -> (Said, u64) {
        let role = match &*self.author.role {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "system" => return (Said::Nothing, 0),
            _ => return (Said::Nothing, 1),
        };
        let is_hidden = self.metadata().is_visually_hidden_from_conversation;
        if is_hidden.and_then(value) == Some(true) {
            return (Said::Nothing, 0);
        }
        let content: Content<'a> = self.content.and_then(value).unwrap_or_default();
        let kind: Option<Cow<'a, str>> = content.content_type.and_then(value);
        match kind.as_deref() {
            Some("text" | "multimodal_text") => {
                let (text, left_out) = text_of(content.parts);
                if text.trim().is_empty() {
                    (Said::Nothing, left_out)
                } else {
                    (Said::Message(role, text), left_out)
                }
            }
            Some("thoughts") => {
                let thoughts = thoughts_of(content.thoughts);
                if thoughts.is_empty() {
                    (Said::Nothing, 0)
                } else {
                    (Said::Reasoning(thoughts), 0)
                }
            }
            Some("reasoning_recap" | "user_editable_context" | "model_editable_context") => {
                (Said::Nothing, 0)
            }
            _ => (Said::Nothing, 1),
        }
    }
}

fn text_of(parts: Option<&RawValue>) -> (String, u64) {
    let mut text = String::new();
    let mut left_out = 0;
    each(parts, |part| match value::<Cow<'_, str>>(part) {
        Some(part) if text.is_empty() => text.push_str(&part),
        Some(part) => {
            text.push_str("\n\n");
            text.push_str(&part);
        }
        None => left_out += 1,
    });
    (text, left_out)
}

fn thoughts_of(thoughts: Option<&RawValue>) -> String {
    let mut text = String::new();
    each(thoughts, |thought| {
        let Some(thought) = value::<Thought<'_>>(thought) else {
            return;
        };
        if thought.content.trim().is_empty() {
            return;
        }
        if !text.is_empty() {
            text.push_str("\n\n");
        }
        text.push_str(&thought.content);
    });
    text
}

/// Reads a value, if it is of this type.
fn value<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Option<T> {
    serde_json::from_str(raw.get()).ok()
}

/// Goes over a list, if it is one, without holding it.
fn each<'a>(list: Option<&'a RawValue>, take: impl FnMut(&'a RawValue)) {
    if let Some(list) = list {
        let mut parser = serde_json::Deserializer::from_str(list.get());
        // What is no list has nothing in it.
        let _ = parser.deserialize_seq(Each(take, PhantomData::<&RawValue>));
    }
}

/// Gives what is in a list to a function.
struct Each<F, T>(F, PhantomData<T>);

impl<'de, T: Deserialize<'de>, F: FnMut(T)> Visitor<'de> for Each<F, T> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        while let Some(next) = list.next_element()? {
            (self.0)(next);
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Children {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut names = Vec::new();
        let take = |id: Cow<'de, str>| names.push(name(&id));
        deserializer.deserialize_seq(Each(take, PhantomData))?;
        Ok(Self(names))
    }
}
