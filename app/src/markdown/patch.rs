//! Brings what is shown to what it should be, by touching nothing that is right already.
//!
//! It works on any [`Dom`]: the browser's, or a tree in a test.

use super::node::{Kind, Node};

/// A document of elements and text. Positions in text are UTF-16 units, as the browser counts them.
pub trait Dom {
    /// An element or a text, as a handle.
    type Node: Clone;

    /// Makes the elements of a kind; gives the outermost, and the one that takes children.
    fn create(&mut self, kind: &Kind) -> (Self::Node, Self::Node);
    /// Makes a text.
    fn create_text(&mut self, text: &str) -> Self::Node;
    /// Puts a node into another, at its end or before one of its children.
    fn insert(&mut self, parent: &Self::Node, node: &Self::Node, before: Option<&Self::Node>);
    /// Takes a node out.
    fn remove(&mut self, node: &Self::Node);
    /// Replaces a part of a text, so that selections elsewhere in it stay.
    fn replace_text(&mut self, node: &Self::Node, at: u32, count: u32, with: &str);
    /// Splits a text in two and gives the second.
    fn split_text(&mut self, node: &Self::Node, at: u32) -> Self::Node;
    /// Puts a shaping break before a text: the two sides of it are no one word, and may be set each for itself. It
    /// is no node of the text: who looks for those does not see it.
    fn shaping_break(&mut self, before: &Self::Node);
    /// Takes the shaping breaks out of an element, at once or soon.
    fn remove_shaping_breaks(&mut self, outer: &Self::Node);
    /// Sets the attributes of an element to those of a kind.
    fn set_attributes(&mut self, outer: &Self::Node, kind: &Kind);

    /// The node after this one.
    fn next(&self, node: &Self::Node) -> Option<Self::Node>;
    /// The children of an element, with shaping breaks taken out and texts that are beside each other joined.
    fn joined_children(&mut self, node: &Self::Node) -> Vec<Self::Node>;
    /// What a text says; `None` for an element.
    fn text_of(&self, node: &Self::Node) -> Option<String>;
    /// The element that takes children within one that shows this kind; `None` if it shows another. Code of another
    /// language is another kind, since its elements name the language.
    fn inner_of(&self, outer: &Self::Node, kind: &Kind) -> Option<Self::Node>;
}

/// A node that is on the screen.
#[derive(Debug, Clone)]
pub struct Shown<N> {
    /// What it shows. A text's origins are of no interest any more.
    pub kind: Kind,
    /// Its outermost element, or the text.
    pub outer: N,
    /// The element that takes its children.
    pub inner: N,
    /// Its children that may still change.
    pub children: Vec<Shown<N>>,
}

/// Makes the children of `parent` that are in `shown` show `nodes`. They stand before `end`.
pub fn patch<D: Dom>(
    dom: &mut D,
    parent: &D::Node,
    shown: &mut Vec<Shown<D::Node>>,
    nodes: Vec<Node>,
    end: Option<&D::Node>,
) {
    while shown.len() > nodes.len() {
        if let Some(gone) = shown.pop() {
            dom.remove(&gone.outer);
        }
    }
    for (index, node) in nodes.into_iter().enumerate() {
        match shown.get_mut(index) {
            None => {
                let new = build(dom, node);
                dom.insert(parent, &new.outer, end);
                shown.push(new);
            }
            Some(old) => {
                let Err(node) = update(dom, old, node) else {
                    continue;
                };
                let new = build(dom, node);
                dom.insert(parent, &new.outer, Some(&old.outer));
                dom.remove(&old.outer);
                *old = new;
            }
        }
    }
}

/// Makes a node show another; gives that back if it cannot.
fn update<D: Dom>(dom: &mut D, old: &mut Shown<D::Node>, node: Node) -> Result<(), Node> {
    if let (Kind::Text(before, _), Kind::Text(text, _)) = (&mut old.kind, &node.kind) {
        if before != text {
            update_text(dom, &old.outer, before, text);
            before.clone_from(text);
        }
        return Ok(());
    }
    if matches!(node.kind, Kind::Text(..)) || !old.kind.is_like(&node.kind) {
        return Err(node);
    }
    if old.kind != node.kind {
        dom.set_attributes(&old.outer, &node.kind);
        old.kind = node.kind;
    }
    patch(dom, &old.inner, &mut old.children, node.children, None);
    Ok(())
}

fn update_text<D: Dom>(dom: &mut D, node: &D::Node, before: &str, text: &str) {
    let mut same = before
        .bytes()
        .zip(text.bytes())
        .take_while(|(a, b)| a == b)
        .count();
    while !text.is_char_boundary(same) || !before.is_char_boundary(same) {
        same -= 1;
    }
    dom.replace_text(
        node,
        units(&before[..same]),
        units(&before[same..]),
        &text[same..],
    );
}

/// The length of a text in UTF-16 units.
#[must_use]
pub fn units(text: &str) -> u32 {
    let units = if text.is_ascii() {
        text.len()
    } else {
        text.encode_utf16().count()
    };
    u32::try_from(units).unwrap_or(u32::MAX)
}

/// Makes a node with all that it holds.
pub fn build<D: Dom>(dom: &mut D, node: Node) -> Shown<D::Node> {
    if let Kind::Text(text, _) = node.kind {
        let made = dom.create_text(&text);
        return Shown {
            kind: Kind::Text(text, Vec::new()),
            outer: made.clone(),
            inner: made,
            children: Vec::new(),
        };
    }
    let (outer, inner) = dom.create(&node.kind);
    let children = node
        .children
        .into_iter()
        .map(|child| {
            let child = build(dom, child);
            dom.insert(&inner, &child.outer, None);
            child
        })
        .collect();
    Shown {
        kind: node.kind,
        outer,
        inner,
        children,
    }
}

/// Reads from the document what is shown in place of `nodes`, as far as it is like them.
pub fn adopt<D: Dom>(dom: &mut D, outers: Vec<D::Node>, nodes: &[Node]) -> Vec<Shown<D::Node>> {
    let mut nodes = nodes.iter();
    outers
        .into_iter()
        .map(|outer| adopt_one(dom, outer, nodes.next()))
        .collect()
}

fn adopt_one<D: Dom>(dom: &mut D, outer: D::Node, node: Option<&Node>) -> Shown<D::Node> {
    if let Some(text) = dom.text_of(&outer) {
        return Shown {
            kind: Kind::Text(text, Vec::new()),
            inner: outer.clone(),
            outer,
            children: Vec::new(),
        };
    }
    let found = node
        .filter(|node| can_be_adopted(&node.kind))
        .and_then(|node| Some((node, dom.inner_of(&outer, &node.kind)?)));
    let Some((node, inner)) = found else {
        // Unlike whatever takes its place.
        return Shown {
            kind: Kind::Text(String::new(), Vec::new()),
            inner: outer.clone(),
            outer,
            children: Vec::new(),
        }
        .unlike(node);
    };
    dom.set_attributes(&outer, &node.kind);
    let children = dom
        .joined_children(&inner)
        .into_iter()
        .skip(node.kind.own_children())
        .collect();
    let children = adopt(dom, children, &node.children);
    Shown {
        kind: node.kind.clone(),
        outer,
        inner,
        children,
    }
}

impl<N> Shown<N> {
    fn unlike(mut self, node: Option<&Node>) -> Self {
        self.kind = match node.map(|node| &node.kind) {
            Some(Kind::Rule) => Kind::Break,
            _ => Kind::Rule,
        };
        self
    }
}

/// Whether a look at its elements tells that it shows the same: not where its own text is in them.
fn can_be_adopted(kind: &Kind) -> bool {
    !matches!(
        kind,
        Kind::Text(..)
            | Kind::Math { .. }
            | Kind::FootnoteReference(_)
            | Kind::Footnote(_)
            | Kind::Item(Some(_))
    )
}
