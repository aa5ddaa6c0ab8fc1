//! The children of each node of a tree.

use super::{KeptNode, Tree};
use crate::http::import::fields::NodeName;

/// The edges of a tree, sorted by parent.
pub(super) struct ChildIndex {
    /// The parent, the rank among its children, and the child.
    edges: Vec<(u32, u32, u32)>,
    has_parent: Vec<bool>,
}

impl ChildIndex {
    pub(super) fn of(tree: &Tree) -> Self {
        let place_of = |name: &NodeName| tree.by_name.get(name).copied();
        // A node's own field decides its parent, then the children that other nodes list, then its place in
        // the file.
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

    pub(super) fn is_root(&self, node: u32) -> bool {
        !self.has_parent[node as usize]
    }

    pub(super) fn children_of(&self, node: u32) -> &[(u32, u32, u32)] {
        let from = self.edges.partition_point(|edge| edge.0 < node);
        let to = self.edges.partition_point(|edge| edge.0 <= node);
        &self.edges[from..to]
    }
}
