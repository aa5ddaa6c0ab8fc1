//! The messages of a conversation that is a tree of nodes, each with its parent or its children, of which
//! many hold nothing that was said.
//!
//! The order of the nodes is known only when all were read. Until then their texts are in a temporary
//! file, and in memory stands of each node where its text is and what follows it.

use std::collections::HashMap;
use std::io::{Read, Seek, SeekFrom, Write};

use app::protocol::saved::{MessageState, SavedMessage};
use app::protocol::{Finish, Role};
use sha2::{Digest, Sha256};
use tempfile::SpooledTempFile;
use uuid::Uuid;

use super::fields::{NodeName, name};
use super::file::ReadStop;
use super::reading::{MAX_MESSAGES, TOO_MANY};

/// Texts up to this size together are kept in memory.
const IN_MEMORY: usize = 1024 * 1024;
/// A thought is repeated for each answer that follows it. All of them together may be repeated so often.
const REPEATED: u64 = 4;
/// How many models are told apart, and how long their names are, in bytes.
const MAX_MODELS: usize = 100;
const MAX_MODEL: usize = 200;
/// What stands between two texts that become one.
const BETWEEN: &str = "\n\n";

/// A node as it was read.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Node {
    pub(super) name: Option<NodeName>,
    pub(super) parent: Parent,
    pub(super) children: Vec<NodeName>,
    /// Who said it. Where that is not known, whose turn it is tells.
    pub(super) role: Option<Role>,
    pub(super) text: String,
    pub(super) reasoning: String,
    /// How many parts of it are not imported.
    pub(super) left_out: u64,
    /// How many of its fields have another type than they should.
    pub(super) odd: u64,
    /// In milliseconds.
    pub(super) created_at: Option<i64>,
    pub(super) model: Option<String>,
}

/// What a node says of the one before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Parent {
    /// There is none, as far as it says.
    #[default]
    None,
    /// It has this name.
    Named(NodeName),
    /// Nothing is said: in a list it is the one before.
    Before,
}

/// How the nodes of a conversation stand in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TreeLayout {
    /// A map, in which what an assistant says after itself, as between two tools, is one message.
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
    /// Of all nodes, one after the other.
    children: Vec<NodeName>,
    models: Vec<String>,
    texts: Texts,
    wrong: Option<&'static str>,
    /// How large a message may be, in bytes.
    limit: u64,
    odd: u64,
}

/// What is kept of a node.
#[derive(Clone, Copy, Default)]
struct KeptNode {
    parent: Option<NodeName>,
    /// Its parent where no name tells it: a place in the list of nodes.
    before: Option<u32>,
    /// It hangs below that one, whatever it says itself.
    is_nested: bool,
    /// The first of its children, and the one after the last.
    children: (u32, u32),
    role: Option<Role>,
    text: Option<TextSpan>,
    reasoning: Option<TextSpan>,
    left_out: u64,
    created_at: Option<i64>,
    /// A place in the list of models.
    model: Option<u32>,
}

/// Where a text stands.
#[derive(Clone, Copy)]
struct TextSpan {
    from: u64,
    length: u64,
}

/// Texts that are put aside.
struct Texts {
    file: SpooledTempFile,
    end: u64,
}

impl Texts {
    /// Puts a text aside, if it has words.
    fn add(&mut self, text: &str) -> Result<Option<TextSpan>, ReadStop> {
        if text.trim().is_empty() {
            return Ok(None);
        }
        let from = self.end;
        let length = text.len() as u64;
        self.file.write_all(text.as_bytes())?;
        self.end += length;
        Ok(Some(TextSpan { from, length }))
    }

    /// Adds texts to another one, with an empty line between two.
    fn append(
        &mut self,
        spans: impl Iterator<Item = TextSpan>,
        out: &mut String,
    ) -> Result<(), ReadStop> {
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
    pub(super) fn new(layout: TreeLayout, limit: u64) -> Self {
        Self {
            layout,
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
            odd: 0,
        }
    }

    pub(super) fn wants_more(&self) -> bool {
        self.wrong.is_none()
    }

    /// Takes a place for a node that is read later, in a list below the one of which the place is given.
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
    pub(super) fn add(&mut self, node: Node, above: Option<u32>) -> Result<(), ReadStop> {
        let known = node.name.and_then(|name| self.by_name.get(&name).copied());
        // In a map, what comes again takes the place of the first.
        let place = match known {
            Some(known) if self.layout != TreeLayout::List => known,
            _ => self.reserve(above),
        };
        self.fill(place, node)
    }

    /// Puts a node where its place was taken.
    pub(super) fn fill(&mut self, place: u32, node: Node) -> Result<(), ReadStop> {
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
            model,
            ..*kept
        };
        Ok(())
    }

    /// The place of a model in the list. A few models take turns; a file with very many is nobody's.
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

    /// Gives all messages, parents first, under new ids.
    pub(super) fn emit(
        mut self,
        facts: &TreeFacts<'_>,
        give: &mut dyn FnMut(SavedMessage) -> Result<(), ReadStop>,
    ) -> Result<Result<TreeSummary, &'static str>, ReadStop> {
        if let Some(why) = self.wrong {
            return Ok(Err(why));
        }
        let line = MessageOrder::of(&self);
        if line.messages.is_empty() {
            return Ok(Err("It has no messages with text."));
        }
        let times = line.messages.iter();
        let times = times.filter_map(|message| self.nodes[message.node as usize].created_at);
        let (first_at, last_at) = times.fold((None, None), |(first, last), at| {
            (
                Some(at.min(first.unwrap_or(at))),
                Some(at.max(last.unwrap_or(at))),
            )
        });
        let began = facts.began.or(first_at).or(facts.updated).unwrap_or(0);
        let mut content = Sha256::new();
        let mut ids: Vec<Uuid> = Vec::with_capacity(line.messages.len());
        for message in &line.messages {
            let mut text = String::new();
            let spans = message.text.iter().chain(&message.more).copied();
            self.texts.append(spans, &mut text)?;
            let mut reasoning = String::new();
            for thought in &message.thoughts {
                let spans = line.thoughts_to(*thought);
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
            })?;
        }
        let shown = facts
            .leaf
            .and_then(|leaf| self.by_name.get(&name(leaf)).copied());
        // In a list the last message is the newest.
        let last = (self.nodes.len() as u32).checked_sub(1);
        let shown = shown.or(last.filter(|_| self.layout == TreeLayout::List));
        let leaf = shown
            .and_then(|node| line.places[node as usize].flatten())
            .map(|place| ids[place as usize].to_string());
        Ok(Ok(TreeSummary {
            leaf,
            began,
            ended: facts.updated.or(last_at).unwrap_or(began),
            left_out: line.left_out,
            odd: self.odd,
            content: content.finalize().into(),
        }))
    }
}

/// What is known of a conversation beside its nodes.
pub(super) struct TreeFacts<'a> {
    pub(super) began: Option<i64>,
    pub(super) updated: Option<i64>,
    /// The node at the end of the path that is shown.
    pub(super) leaf: Option<&'a str>,
    /// The model of answers that name none.
    pub(super) model: Option<String>,
    /// Whether it is to be told by what was said.
    pub(super) wants_content: bool,
}

/// What is known of a conversation when all its messages were given.
pub(super) struct TreeSummary {
    /// The new id of the message at the end of the path that is shown.
    pub(super) leaf: Option<String>,
    pub(super) began: i64,
    pub(super) ended: i64,
    pub(super) left_out: u64,
    pub(super) odd: u64,
    /// Of all that was said, where it was asked for.
    pub(super) content: [u8; 32],
}

/// The messages in order, made of the nodes.
struct MessageOrder {
    messages: Vec<OrderedMessage>,
    /// For each node that was reached, the message in which it ended up: its own, or the one before.
    places: Vec<Option<Option<u32>>>,
    /// Thoughts, each with the one before it.
    thoughts: Vec<OrderedThought>,
    left_out: u64,
}

struct OrderedMessage {
    node: u32,
    parent: Option<u32>,
    role: Role,
    /// Nothing where there are only thoughts.
    text: Option<TextSpan>,
    /// What an assistant said after itself.
    more: Vec<TextSpan>,
    /// The size of all of it.
    bytes: u64,
    /// What was thought before it, and before each of what was said after itself.
    thoughts: Vec<u32>,
}

struct OrderedThought {
    before: Option<u32>,
    span: TextSpan,
    /// With all before it.
    bytes: u64,
}

impl MessageOrder {
    /// Reads the nodes from the roots on.
    fn of(tree: &Tree) -> Self {
        let mut line = Self {
            messages: Vec::new(),
            places: vec![None; tree.nodes.len()],
            thoughts: Vec::new(),
            left_out: 0,
        };
        let below = ChildIndex::of(tree);
        for root in 0..tree.nodes.len() as u32 {
            if below.is_root(root) {
                line.read_from(tree, &below, root);
            }
        }
        // What is left are circles: they begin somewhere.
        for node in 0..tree.nodes.len() as u32 {
            if line.places[node as usize].is_none() {
                line.read_from(tree, &below, node);
            }
        }
        line.limit_thoughts(tree.limit);
        line
    }

    /// Reads a node and all below it, parents before children.
    fn read_from(&mut self, tree: &Tree, below: &ChildIndex, root: u32) {
        let mut open = vec![(root, None, None)];
        while let Some((place, above, mut thought)) = open.pop() {
            // A node that was seen would begin a circle.
            if self.places[place as usize].is_some() {
                continue;
            }
            let node = &tree.nodes[place as usize];
            self.left_out += node.left_out;
            let mut message = above;
            if let Some(span) = node.reasoning {
                thought = Some(self.think(thought, span));
            }
            if let Some(span) = node.text {
                let role = node.role.unwrap_or_else(|| self.turn_after(above));
                let takes = thought.take_if(|_| role == Role::Assistant);
                message = Some(self.add(tree, place, above, role, span, takes));
            }
            self.places[place as usize] = Some(message);
            let children = below.children_of(place);
            if children.is_empty() && thought.is_some() && message == above {
                message = self.keep_last_thought(place, above, thought);
                self.places[place as usize] = Some(message);
            }
            for (_, _, child) in children.iter().rev() {
                if self.places[*child as usize].is_none() {
                    open.push((*child, message, thought));
                }
            }
        }
    }

    /// Whose turn it is after a message.
    fn turn_after(&self, above: Option<u32>) -> Role {
        let role = above.map(|place| self.messages[place as usize].role);
        match role {
            Some(Role::User) => Role::Assistant,
            _ => Role::User,
        }
    }

    /// Thoughts after a question that no answer follows are an answer without words.
    fn keep_last_thought(
        &mut self,
        node: u32,
        above: Option<u32>,
        thought: Option<u32>,
    ) -> Option<u32> {
        let question = above.filter(|place| self.messages[*place as usize].role == Role::User);
        if question.is_none() {
            self.left_out += 1;
            return above;
        }
        self.messages.push(OrderedMessage {
            node,
            parent: above,
            role: Role::Assistant,
            text: None,
            more: Vec::new(),
            bytes: 0,
            thoughts: thought.into_iter().collect(),
        });
        Some((self.messages.len() - 1) as u32)
    }

    fn think(&mut self, before: Option<u32>, span: TextSpan) -> u32 {
        let bytes_before = before.map_or(0, |place| self.thoughts[place as usize].bytes);
        self.thoughts.push(OrderedThought {
            before,
            span,
            bytes: bytes_before + span.length,
        });
        (self.thoughts.len() - 1) as u32
    }

    /// Adds a message. What an assistant says after itself, as between two tools, is one message.
    fn add(
        &mut self,
        tree: &Tree,
        node: u32,
        above: Option<u32>,
        role: Role,
        text: TextSpan,
        thought: Option<u32>,
    ) -> u32 {
        if let Some(place) = above
            && tree.layout == TreeLayout::Steps
            && role == Role::Assistant
        {
            let before = &mut self.messages[place as usize];
            if before.role == Role::Assistant && before.bytes + text.length <= tree.limit {
                before.more.push(text);
                before.bytes += text.length;
                before.thoughts.extend(thought);
                return place;
            }
        }
        self.messages.push(OrderedMessage {
            node,
            parent: above,
            role,
            text: Some(text),
            more: Vec::new(),
            bytes: text.length,
            thoughts: thought.into_iter().collect(),
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
        let thoughts = &self.thoughts;
        for message in &mut self.messages {
            let before = message.thoughts.len();
            let mut here = 0;
            message.thoughts.retain(|thought| {
                let bytes = thoughts[*thought as usize].bytes;
                let fits = bytes <= left && here + bytes <= limit;
                if fits {
                    left -= bytes;
                    here += bytes;
                }
                fits
            });
            self.left_out += (before - message.thoughts.len()) as u64;
        }
    }

    /// The thoughts up to this one, the first one first.
    fn thoughts_to(&self, thought: u32) -> Vec<TextSpan> {
        let mut spans = Vec::new();
        let mut next = Some(thought);
        while let Some(place) = next {
            let thought = &self.thoughts[place as usize];
            spans.push(thought.span);
            next = thought.before;
        }
        spans.reverse();
        spans
    }
}

/// The nodes below each node.
struct ChildIndex {
    /// The parent, the place among its children, and the child; in this order.
    edges: Vec<(u32, u32, u32)>,
    has_parent: Vec<bool>,
}

impl ChildIndex {
    fn of(tree: &Tree) -> Self {
        let place_of = |name: &NodeName| tree.by_name.get(name).copied();
        // What a node says itself comes first, then what others say of it, then its place in the file.
        let own = |node: &KeptNode| node.parent.as_ref().and_then(place_of);
        let mut parents: Vec<Option<u32>> = tree.nodes.iter().map(own).collect();
        let mut ranks = vec![u32::MAX; tree.nodes.len()];
        for (parent, node) in tree.nodes.iter().enumerate() {
            let (from, to) = node.children;
            let children = &tree.children[from as usize..to as usize];
            for (rank, child) in children.iter().enumerate() {
                let Some(child) = place_of(child).map(|child| child as usize) else {
                    continue;
                };
                let is_its = *parents[child].get_or_insert(parent as u32) == parent as u32;
                if is_its && ranks[child] == u32::MAX {
                    ranks[child] = rank as u32;
                }
            }
        }
        let mut edges = Vec::new();
        let mut has_parent = vec![false; tree.nodes.len()];
        for (child, node) in tree.nodes.iter().enumerate() {
            let parent = parents[child].or(node.before);
            let parent = parent.filter(|parent| *parent as usize != child);
            if let Some(parent) = parent {
                has_parent[child] = true;
                edges.push((parent, ranks[child], child as u32));
            }
        }
        edges.sort_unstable();
        Self { edges, has_parent }
    }

    fn is_root(&self, node: u32) -> bool {
        !self.has_parent[node as usize]
    }

    fn children_of(&self, node: u32) -> &[(u32, u32, u32)] {
        let from = self.edges.partition_point(|edge| edge.0 < node);
        let to = self.edges.partition_point(|edge| edge.0 <= node);
        &self.edges[from..to]
    }
}

#[cfg(test)]
mod tests;
