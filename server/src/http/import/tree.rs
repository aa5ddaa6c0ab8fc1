//! The messages of a conversation that is a tree of nodes. Each node names its parent or its children, and many
//! nodes hold no message.
//!
//! The order of the nodes is known only after all were read. Until then their texts are in a temporary file, and
//! the memory holds for each node only the place of its text and its relations.

mod children;
mod order;
mod texts;

use std::collections::HashMap;

use app::protocol::saved::{MessageState, SavedMessage};
use app::protocol::{Finish, Role};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use self::order::MessageOrder;
use self::texts::{TextSpan, Texts};
use super::fields::{NodeName, name};
use super::file::ReadStop;
use super::reading::{MAX_MESSAGES, TOO_MANY};

/// The most models of a conversation, and the longest name of a model, in bytes.
const MAX_MODELS: usize = 100;
const MAX_MODEL: usize = 200;
/// A node as it was read.
#[derive(Debug, Default, PartialEq)]
pub(super) struct TreeNode {
    pub(super) name: Option<NodeName>,
    pub(super) parent: Parent,
    pub(super) children: Vec<NodeName>,
    /// The role. If it is unknown, it follows from the message before.
    pub(super) role: Option<Role>,
    pub(super) text: String,
    pub(super) reasoning: String,
    /// The number of parts that are not imported.
    pub(super) left_out: u64,
    /// The number of fields with a wrong type.
    pub(super) odd: u64,
    /// In milliseconds.
    pub(super) created_at: Option<i64>,
    pub(super) model: Option<String>,
    /// Whether a person changed the text. Only in our own export.
    pub(super) edited: bool,
}

/// The parent that a node names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Parent {
    /// The node names no parent.
    #[default]
    None,
    /// The parent has this name.
    Named(NodeName),
    /// The node has no field for it. In a list the parent is the node before.
    Before,
}

/// The layout of the nodes of a conversation in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TreeLayout {
    /// A map of nodes. Consecutive nodes of an assistant, as between two calls of tools, are one message.
    Steps,
    /// A map of messages.
    Map,
    /// A list of messages, in their order.
    List,
}

/// The nodes of a conversation.
pub(super) struct Tree {
    layout: TreeLayout,
    nodes: Vec<KeptNode>,
    by_name: HashMap<NodeName, u32>,
    /// The children of all nodes, one node after the other.
    children: Vec<NodeName>,
    models: Vec<String>,
    texts: Texts,
    wrong: Option<&'static str>,
    /// The largest message, in bytes.
    limit: u64,
    odd: u64,
}

/// The part of a node that stays in memory.
#[derive(Clone, Copy, Default)]
struct KeptNode {
    parent: Option<NodeName>,
    /// The index of its parent, if the node does not name one.
    before: Option<u32>,
    /// Whether `before` counts more than the parent that the node names.
    is_nested: bool,
    /// The range of its children in `Tree::children`.
    children: (u32, u32),
    role: Option<Role>,
    text: Option<TextSpan>,
    reasoning: Option<TextSpan>,
    left_out: u64,
    created_at: Option<i64>,
    /// An index into `Tree::models`.
    model: Option<u32>,
    edited: bool,
}

impl Tree {
    pub(super) fn new(layout: TreeLayout, limit: u64) -> Self {
        Self {
            layout,
            nodes: Vec::new(),
            by_name: HashMap::new(),
            children: Vec::new(),
            models: Vec::new(),
            texts: Texts::default(),
            wrong: None,
            limit,
            odd: 0,
        }
    }

    pub(super) fn wants_more(&self) -> bool {
        self.wrong.is_none()
    }

    /// Reserves an index for a node that is read later. `above` is the index of the node that contains it.
    pub(super) fn reserve(&mut self, above: Option<u32>) -> u32 {
        if self.nodes.len() >= MAX_MESSAGES {
            self.wrong = Some(TOO_MANY);
            return 0;
        }
        let last = (self.nodes.len() as u32).checked_sub(1);
        self.nodes.push(KeptNode {
            before: above.or(last).filter(|_| self.layout == TreeLayout::List),
            is_nested: above.is_some(),
            ..KeptNode::default()
        });
        (self.nodes.len() - 1) as u32
    }

    /// Adds a node.
    pub(super) fn add(&mut self, node: TreeNode, above: Option<u32>) -> Result<(), ReadStop> {
        let known = node.name.and_then(|name| self.by_name.get(&name).copied());
        // In a map a second node of the same name replaces the first.
        let place = match known {
            Some(known) if self.layout != TreeLayout::List => known,
            _ => self.reserve(above),
        };
        self.fill(place, node)
    }

    /// Fills the reserved index with a node.
    pub(super) fn fill(&mut self, place: u32, node: TreeNode) -> Result<(), ReadStop> {
        let first = self.children.len();
        if first + node.children.len() > MAX_MESSAGES {
            self.wrong = Some(TOO_MANY);
        }
        if self.wrong.is_some() {
            return Ok(());
        }
        self.children.extend(&node.children);
        self.odd += node.odd;
        if let Some(name) = node.name {
            self.by_name.entry(name).or_insert(place);
        }
        let (text, reasoning) = (
            self.texts.add(&node.text)?,
            self.texts.add(&node.reasoning)?,
        );
        let model = node.model.and_then(|model| self.place_of_model(model));
        let children = (first as u32, self.children.len() as u32);
        let kept = &mut self.nodes[place as usize];
        match node.parent {
            _ if kept.is_nested => {}
            Parent::None => kept.before = None,
            Parent::Named(name) => kept.parent = Some(name),
            Parent::Before => {}
        }
        *kept = KeptNode {
            children,
            role: node.role,
            text,
            reasoning,
            left_out: node.left_out,
            created_at: node.created_at,
            edited: node.edited,
            model,
            ..*kept
        };
        Ok(())
    }

    /// The index of a model. More than [`MAX_MODELS`] models are not kept.
    fn place_of_model(&mut self, model: String) -> Option<u32> {
        if let Some(place) = self.models.iter().position(|known| *known == model) {
            return Some(place as u32);
        }
        if model.is_empty() || model.len() > MAX_MODEL || self.models.len() >= MAX_MODELS {
            return None;
        }
        self.models.push(model);
        Some((self.models.len() - 1) as u32)
    }

    /// Emits all messages with new ids, parents before children.
    pub(super) fn emit(
        mut self,
        facts: &TreeFacts<'_>,
        give: &mut dyn FnMut(SavedMessage) -> Result<(), ReadStop>,
    ) -> Result<Result<TreeSummary, &'static str>, ReadStop> {
        if let Some(why) = self.wrong {
            return Ok(Err(why));
        }
        let order = MessageOrder::of(&self);
        if order.messages.is_empty() {
            return Ok(Err("It has no messages with text."));
        }
        let times = order.messages.iter();
        let times = times.filter_map(|message| self.nodes[message.node as usize].created_at);
        let (first_at, last_at) = times.fold((None, None), |(first, last), at| {
            (
                Some(at.min(first.unwrap_or(at))),
                Some(at.max(last.unwrap_or(at))),
            )
        });
        let began = facts.began.or(first_at).or(facts.updated).unwrap_or(0);
        let mut content = Sha256::new();
        let mut ids: Vec<Uuid> = Vec::with_capacity(order.messages.len());
        for message in &order.messages {
            let mut text = String::new();
            let spans = message.text.iter().chain(&message.more).copied();
            self.texts.append(spans, &mut text)?;
            let mut reasoning = String::new();
            for thought in &message.thoughts {
                let spans = order.thoughts_to(*thought);
                self.texts.append(spans.into_iter(), &mut reasoning)?;
            }
            if facts.wants_content {
                content.update([message.role as u8]);
                content.update((text.len() as u64).to_le_bytes());
                content.update(&text);
            }
            let id = Uuid::now_v7();
            ids.push(id);
            let node = &self.nodes[message.node as usize];
            let model = node.model.map(|place| self.models[place as usize].clone());
            let model = model.or_else(|| facts.model.clone());
            give(SavedMessage {
                id: id.to_string(),
                parent: message.parent.map(|place| ids[place as usize].to_string()),
                role: message.role,
                text,
                reasoning,
                model: model.filter(|_| message.role == Role::Assistant),
                created_at: node.created_at.unwrap_or(began),
                usage: None,
                timing: None,
                state: MessageState::Done {
                    finish: Finish::Stop,
                },
                could_not_be_saved: false,
                edited: node.edited,
            })?;
        }
        let shown = facts
            .leaf
            .and_then(|leaf| self.by_name.get(&name(leaf)).copied());
        // The last message of a list is the newest.
        let last = (self.nodes.len() as u32).checked_sub(1);
        let shown = shown.or(last.filter(|_| self.layout == TreeLayout::List));
        let leaf = shown
            .and_then(|node| order.places[node as usize].flatten())
            .map(|place| ids[place as usize].to_string());
        Ok(Ok(TreeSummary {
            leaf,
            began,
            ended: facts.updated.or(last_at).unwrap_or(began),
            left_out: order.left_out,
            odd: self.odd,
            content: content.finalize().into(),
        }))
    }
}

/// The fields of a conversation beside its nodes.
pub(super) struct TreeFacts<'a> {
    pub(super) began: Option<i64>,
    pub(super) updated: Option<i64>,
    /// The node at the end of the path that is shown.
    pub(super) leaf: Option<&'a str>,
    /// The model of answers that name none.
    pub(super) model: Option<String>,
    /// Whether the digest of its content is needed, because it has no id.
    pub(super) wants_content: bool,
}

/// The result after all messages of a conversation were emitted.
pub(super) struct TreeSummary {
    /// The new id of the message at the end of the path that is shown.
    pub(super) leaf: Option<String>,
    pub(super) began: i64,
    pub(super) ended: i64,
    pub(super) left_out: u64,
    pub(super) odd: u64,
    /// The digest of the content, if it was requested.
    pub(super) content: [u8; 32],
}

#[cfg(test)]
mod tests;
