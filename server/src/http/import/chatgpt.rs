//! A conversation of ChatGPT's `conversations.json`: a map of nodes, each with its parent, of which
//! many hold nothing that was said.
//!
//! The order of the nodes is known only when all were read. Until then their texts are in a temporary
//! file, and in memory stands of each node where its text is and what follows it.

use std::collections::HashMap;
use std::io::{Read, Seek, SeekFrom, Write};

use app::protocol::saved::{MessageState, SavedMessage};
use app::protocol::{Finish, Role};
use tempfile::SpooledTempFile;
use uuid::Uuid;

use super::fields::{Name, Raw, name};
use super::file::Stop;
use super::node::{Node, Said};
use super::reading::{
    MAX_MESSAGES, NO_FORM_OF_CHATGPT, Note, OrLeftOut, TOO_LARGE, TOO_MANY, milliseconds,
};

/// Texts up to this size together are kept in memory.
const IN_MEMORY: usize = 1024 * 1024;
/// A thought is repeated for each answer that follows it. All of them together may be repeated so often.
const REPEATED: u64 = 4;
/// How many models are told apart, and how long their names are, in bytes.
const MAX_MODELS: usize = 100;
const MAX_MODEL: usize = 200;
/// What stands between two texts that become one.
const BETWEEN: &str = "\n\n";

/// The nodes of a conversation.
pub(super) struct Tree {
    nodes: Vec<Kept>,
    by_name: HashMap<Name, u32>,
    /// Of all nodes, one after the other.
    children: Vec<Name>,
    models: Vec<String>,
    texts: Texts,
    wrong: Option<&'static str>,
    /// How large a message may be, in bytes.
    limit: u64,
}

/// What is kept of a node.
struct Kept {
    parent: Option<Name>,
    /// The first of its children, and the one after the last.
    children: (u32, u32),
    said: KeptText,
    left_out: u64,
    created_at: Option<i64>,
    /// A place in the list of models.
    model: Option<u32>,
}

#[derive(Clone, Copy)]
enum KeptText {
    Message(Role, Span),
    Reasoning(Span),
    Nothing,
}

/// Where a text stands.
#[derive(Clone, Copy)]
struct Span {
    from: u64,
    length: u64,
}

/// Texts that are put aside.
struct Texts {
    file: SpooledTempFile,
    end: u64,
}

impl Texts {
    fn add(&mut self, text: &str) -> Result<Span, Stop> {
        let from = self.end;
        let length = text.len() as u64;
        self.file.write_all(text.as_bytes())?;
        self.end += length;
        Ok(Span { from, length })
    }

    /// Adds texts to another one, with an empty line between two.
    fn append(&mut self, spans: impl Iterator<Item = Span>, out: &mut String) -> Result<(), Stop> {
        for span in spans {
            if !out.is_empty() {
                out.push_str(BETWEEN);
            }
            self.file.seek(SeekFrom::Start(span.from))?;
            (&mut self.file).take(span.length).read_to_string(out)?;
        }
        Ok(())
    }
}

impl Tree {
    pub(super) fn new(limit: u64) -> Self {
        Self {
            nodes: Vec::new(),
            by_name: HashMap::new(),
            children: Vec::new(),
            models: Vec::new(),
            texts: Texts {
                file: SpooledTempFile::new(IN_MEMORY),
                end: 0,
            },
            wrong: None,
            limit,
        }
    }

    /// Nothing can be made of it.
    pub(super) fn refuse(&mut self, why: &'static str) {
        self.wrong.get_or_insert(why);
    }

    pub(super) fn wants_more(&self) -> bool {
        self.wrong.is_none()
    }

    /// Adds a node.
    pub(super) fn add(&mut self, id: &str, raw: &Raw) -> Result<(), Stop> {
        if raw.is_cut {
            self.refuse(TOO_LARGE);
            return Ok(());
        }
        let Ok(node) = serde_json::from_str::<Node<'_>>(raw.json.get()) else {
            self.refuse(NO_FORM_OF_CHATGPT);
            return Ok(());
        };
        let first = self.children.len();
        self.children.extend(&node.children.0);
        if self.nodes.len() >= MAX_MESSAGES || self.children.len() > MAX_MESSAGES {
            self.refuse(TOO_MANY);
            return Ok(());
        }
        let mut kept = Kept {
            parent: node.parent.as_deref().map(name),
            children: (first as u32, self.children.len() as u32),
            said: KeptText::Nothing,
            left_out: 0,
            created_at: None,
            model: None,
        };
        if let Some(message) = &node.message {
            let (said, left_out) = message.said();
            kept.said = match said {
                Said::Message(role, text) => KeptText::Message(role, self.texts.add(&text)?),
                Said::Reasoning(text) => KeptText::Reasoning(self.texts.add(&text)?),
                Said::Nothing => KeptText::Nothing,
            };
            kept.left_out = left_out;
            kept.created_at = message.create_time.map(milliseconds);
            kept.model = message.model().and_then(|model| self.place_of_model(model));
        }
        // A name that comes again takes the place of the first.
        let place = self.nodes.len() as u32;
        let place = *self.by_name.entry(name(id)).or_insert(place);
        match self.nodes.get_mut(place as usize) {
            Some(earlier) => *earlier = kept,
            None => self.nodes.push(kept),
        }
        Ok(())
    }

    /// The place of a model in the list. A few models take turns; a file with very many is nobody's.
    fn place_of_model(&mut self, model: String) -> Option<u32> {
        if let Some(place) = self.models.iter().position(|known| *known == model) {
            return Some(place as u32);
        }
        if model.len() > MAX_MODEL || self.models.len() >= MAX_MODELS {
            return None;
        }
        self.models.push(model);
        Some((self.models.len() - 1) as u32)
    }

    /// Gives all messages, parents first, under new ids. Gives the new id of the message in which
    /// `current` ended up, and says what was left out.
    pub(super) fn tell(
        mut self,
        began: i64,
        current: Option<&str>,
        give: &mut dyn FnMut(SavedMessage) -> Result<(), Stop>,
    ) -> Result<OrLeftOut<(Option<String>, Note)>, Stop> {
        if let Some(why) = self.wrong {
            return Ok(Err(why));
        }
        let Some(line) = Line::of(&self) else {
            return Ok(Err(TOO_LARGE));
        };
        if line.messages.is_empty() {
            return Ok(Err("It has no messages with text."));
        }
        let mut ids: Vec<Uuid> = Vec::with_capacity(line.messages.len());
        for message in &line.messages {
            let mut text = String::new();
            let more = message.more.iter().copied();
            self.texts
                .append([message.text].into_iter().chain(more), &mut text)?;
            let mut reasoning = String::new();
            let thoughts = line.thoughts_to(message.thought);
            self.texts.append(thoughts.into_iter(), &mut reasoning)?;
            let id = Uuid::now_v7();
            ids.push(id);
            let node = &self.nodes[message.node as usize];
            let model = node.model.filter(|_| message.role == Role::Assistant);
            give(SavedMessage {
                id: id.to_string(),
                parent: message.parent.map(|place| ids[place as usize].to_string()),
                role: message.role,
                text,
                reasoning,
                model: model.map(|place| self.models[place as usize].clone()),
                created_at: node.created_at.unwrap_or(began),
                usage: None,
                timing: None,
                state: MessageState::Done {
                    finish: Finish::Stop,
                },
                could_not_be_saved: false,
            })?;
        }
        let current = current.and_then(|current| self.by_name.get(&name(current)));
        let leaf = current
            .and_then(|node| line.places[*node as usize].flatten())
            .map(|place| ids[place as usize].to_string());
        Ok(Ok((leaf, line.note())))
    }
}

/// The messages in order, made of the nodes.
struct Line {
    messages: Vec<Message>,
    /// For each node that was reached, the message in which it ended up: its own, or the one before.
    places: Vec<Option<Option<u32>>>,
    /// Thoughts, each with the one before it.
    thoughts: Vec<Thought>,
    left_out: u64,
}

struct Message {
    node: u32,
    parent: Option<u32>,
    role: Role,
    text: Span,
    /// What an assistant said after itself.
    more: Vec<Span>,
    /// The size of all of it.
    bytes: u64,
    thought: Option<u32>,
}

struct Thought {
    before: Option<u32>,
    span: Span,
    /// With all before it.
    bytes: u64,
}

impl Line {
    /// Reads the nodes from the roots on. Nothing where a message is too large.
    fn of(tree: &Tree) -> Option<Self> {
        let mut line = Self {
            messages: Vec::new(),
            places: vec![None; tree.nodes.len()],
            thoughts: Vec::new(),
            left_out: 0,
        };
        let has_parent = |node: &Kept| {
            node.parent
                .is_some_and(|parent| tree.by_name.contains_key(&parent))
        };
        for (root, node) in tree.nodes.iter().enumerate() {
            if !has_parent(node) {
                line.read_from(tree, root as u32);
            }
        }
        line.limit_thoughts(tree.limit);
        let is_large = |message: &Message| message.bytes > tree.limit;
        let is_large = line.messages.iter().any(is_large);
        (!is_large).then_some(line)
    }

    /// Reads a node and all below it, parents before children.
    fn read_from(&mut self, tree: &Tree, root: u32) {
        let mut open = vec![(root, None, None)];
        while let Some((place, above, mut thought)) = open.pop() {
            // A node that was seen would begin a circle.
            if self.places[place as usize].is_some() {
                continue;
            }
            let node = &tree.nodes[place as usize];
            self.left_out += node.left_out;
            let mut message = above;
            match node.said {
                KeptText::Nothing => {}
                KeptText::Reasoning(span) => thought = Some(self.think(thought, span)),
                KeptText::Message(role, span) => {
                    message = Some(self.add(place, above, role, span, thought.take()));
                }
            }
            self.places[place as usize] = Some(message);
            let (from, to) = node.children;
            for child in tree.children[from as usize..to as usize].iter().rev() {
                if let Some(child) = tree.by_name.get(child)
                    && self.places[*child as usize].is_none()
                {
                    open.push((*child, message, thought));
                }
            }
        }
    }

    fn think(&mut self, before: Option<u32>, span: Span) -> u32 {
        let bytes_before = before.map_or(0, |place| self.thoughts[place as usize].bytes);
        self.thoughts.push(Thought {
            before,
            span,
            bytes: bytes_before + span.length,
        });
        (self.thoughts.len() - 1) as u32
    }

    /// Adds a message. What an assistant says after itself, as between two tools, is one message.
    fn add(
        &mut self,
        node: u32,
        above: Option<u32>,
        role: Role,
        text: Span,
        thought: Option<u32>,
    ) -> u32 {
        if let Some(place) = above
            && role == Role::Assistant
            && self.messages[place as usize].role == Role::Assistant
        {
            let before = &mut self.messages[place as usize];
            before.more.push(text);
            before.bytes += text.length;
            return place;
        }
        self.messages.push(Message {
            node,
            parent: above,
            role,
            text,
            more: Vec::new(),
            bytes: text.length,
            thought,
        });
        (self.messages.len() - 1) as u32
    }

    /// Leaves out thoughts that would make the conversation many times as large as its file.
    fn limit_thoughts(&mut self, limit: u64) {
        let all: u64 = self
            .thoughts
            .iter()
            .map(|thought| thought.span.length)
            .sum();
        let mut left = all * REPEATED;
        for message in &mut self.messages {
            let Some(thought) = message.thought else {
                continue;
            };
            let bytes = self.thoughts[thought as usize].bytes;
            if bytes <= left && bytes <= limit {
                left -= bytes;
            } else {
                message.thought = None;
                self.left_out += 1;
            }
        }
    }

    /// The thoughts up to this one, the first one first.
    fn thoughts_to(&self, thought: Option<u32>) -> Vec<Span> {
        let mut spans = Vec::new();
        let mut next = thought;
        while let Some(place) = next {
            let thought = &self.thoughts[place as usize];
            spans.push(thought.span);
            next = thought.before;
        }
        spans.reverse();
        spans
    }

    fn note(&self) -> Note {
        let (count, verb) = match self.left_out {
            0 => return None,
            1 => (1, "part was"),
            count => (count, "parts were"),
        };
        Some(format!(
            "{count} {verb} left out: tools, images and files are not imported."
        ))
    }
}

#[cfg(test)]
mod tests;
