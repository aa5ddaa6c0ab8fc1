//! The order of the messages of a tree: from the roots to the leaves, without the nodes that hold no message.

use app::protocol::Role;

use super::children::ChildIndex;
use super::texts::TextSpan;
use super::{Tree, TreeLayout};

/// A thought is repeated in each answer that follows it. The total size of the thoughts is at most this many
/// times their size in the file.
pub(super) const REPEATED: u64 = 4;

/// The messages in order.
pub(super) struct MessageOrder {
    pub(super) messages: Vec<OrderedMessage>,
    /// For each node that was visited: the index of its message, or of the message before it.
    pub(super) places: Vec<Option<Option<u32>>>,
    /// The thoughts, each with the index of the one before it.
    pub(super) thoughts: Vec<OrderedThought>,
    pub(super) left_out: u64,
}

pub(super) struct OrderedMessage {
    pub(super) node: u32,
    pub(super) parent: Option<u32>,
    pub(super) role: Role,
    /// `None` if there are only thoughts.
    pub(super) text: Option<TextSpan>,
    /// The texts of further nodes that are part of this message.
    pub(super) more: Vec<TextSpan>,
    /// The total size of its texts, in bytes.
    pub(super) bytes: u64,
    /// The last thought before the text and before each further text.
    pub(super) thoughts: Vec<u32>,
}

pub(super) struct OrderedThought {
    pub(super) before: Option<u32>,
    pub(super) span: TextSpan,
    /// The total size of this thought and those before it, in bytes.
    pub(super) bytes: u64,
}

impl MessageOrder {
    /// Reads the nodes from the roots on.
    pub(super) fn of(tree: &Tree) -> Self {
        let mut order = Self {
            messages: Vec::new(),
            places: vec![None; tree.nodes.len()],
            thoughts: Vec::new(),
            left_out: 0,
        };
        let below = ChildIndex::of(tree);
        for root in 0..tree.nodes.len() as u32 {
            if below.is_root(root) {
                order.read_from(tree, &below, root);
            }
        }
        // The nodes that are left form cycles. Each cycle is entered at its first node.
        for node in 0..tree.nodes.len() as u32 {
            if order.places[node as usize].is_none() {
                order.read_from(tree, &below, node);
            }
        }
        order.limit_thoughts(tree.limit);
        order
    }

    /// Reads a node and all below it, parents before children.
    fn read_from(&mut self, tree: &Tree, below: &ChildIndex, root: u32) {
        let mut open = vec![(root, None, None)];
        while let Some((place, above, mut thought)) = open.pop() {
            // A visited node would close a cycle.
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

    /// The role that follows a message.
    fn turn_after(&self, above: Option<u32>) -> Role {
        let role = above.map(|place| self.messages[place as usize].role);
        match role {
            Some(Role::User) => Role::Assistant,
            _ => Role::User,
        }
    }

    /// Thoughts after a question without an answer become an answer without text.
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

    /// Adds a message, or appends the text to the assistant's message before it.
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

    /// Leaves out thoughts that would make the conversation many times larger than its file.
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

    /// The thoughts up to this one, in order.
    pub(super) fn thoughts_to(&self, thought: u32) -> Vec<TextSpan> {
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
