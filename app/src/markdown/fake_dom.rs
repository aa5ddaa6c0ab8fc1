//! A document for tests: it knows what the browser's would know, and counts what is done to it.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use super::node::{Attr, Kind, Sink, Tag};
use super::patch::Dom;

/// A node of it.
pub(super) type Handle = Rc<FakeNode>;

pub(super) struct FakeNode {
    /// What element it is; none is a text, or a shaping break.
    tag: Option<Tag>,
    is_shaping_break: bool,
    attrs: RefCell<Vec<(Attr, String)>>,
    text: RefCell<String>,
    children: RefCell<Vec<Handle>>,
    parent: RefCell<Weak<FakeNode>>,
}

#[derive(Default, Clone)]
pub(super) struct FakeDom {
    /// How many nodes were made and how many bytes of text were written.
    pub(super) work: Rc<Cell<usize>>,
}

impl FakeNode {
    fn new(tag: Option<Tag>, text: &str, is_shaping_break: bool) -> Handle {
        Rc::new(Self {
            tag,
            is_shaping_break,
            attrs: RefCell::default(),
            text: RefCell::new(text.to_owned()),
            children: RefCell::default(),
            parent: RefCell::default(),
        })
    }

    pub(super) fn element(tag: Tag) -> Handle {
        Self::new(Some(tag), "", false)
    }

    fn text(text: &str) -> Handle {
        Self::new(None, text, false)
    }

    /// It shows in a document that was left with one.
    fn shaping_break() -> Handle {
        Self::new(None, "(shaping break)", true)
    }

    fn add(self: &Rc<Self>, child: &Handle, before: Option<&Handle>) {
        detach(child);
        let mut children = self.children.borrow_mut();
        let at = before.map_or(children.len(), |before| {
            children
                .iter()
                .position(|child| Rc::ptr_eq(child, before))
                .expect("it is a child of this one")
        });
        children.insert(at, Rc::clone(child));
        *child.parent.borrow_mut() = Rc::downgrade(self);
    }

    /// How many elements stand within each other in it.
    pub(super) fn depth(&self) -> usize {
        let children = self.children.borrow();
        let deepest = children.iter().map(|child| child.depth()).max();
        deepest.unwrap_or(0) + usize::from(self.tag.is_some())
    }

    /// What is in it, in the form of HTML.
    pub(super) fn html(&self) -> String {
        let mut html = super::html::Html::default();
        for child in self.children.borrow().iter() {
            child.write(&mut html);
        }
        html.finish()
    }

    fn write(&self, sink: &mut impl Sink) {
        let Some(tag) = self.tag else {
            sink.text(&self.text.borrow());
            return;
        };
        sink.open(tag);
        for (name, value) in self.attrs.borrow().iter() {
            sink.attr(*name, value);
        }
        for child in self.children.borrow().iter() {
            child.write(sink);
        }
        sink.close();
    }
}

fn detach(node: &Handle) {
    if let Some(parent) = node.parent.borrow().upgrade() {
        parent
            .children
            .borrow_mut()
            .retain(|child| !Rc::ptr_eq(child, node));
    }
    *node.parent.borrow_mut() = Weak::new();
}

struct Maker {
    made: Vec<Handle>,
    outer: Option<Handle>,
    inner: Option<Handle>,
}

impl Sink for Maker {
    fn open(&mut self, tag: Tag) {
        let new = FakeNode::element(tag);
        if let Some(parent) = self.made.last() {
            parent.add(&new, None);
        }
        self.outer.get_or_insert_with(|| Rc::clone(&new));
        self.inner = Some(Rc::clone(&new));
        self.made.push(new);
    }

    fn attr(&mut self, name: Attr, value: &str) {
        let node = self.made.last().expect("an element is open");
        node.attrs.borrow_mut().push((name, value.to_owned()));
    }

    fn text(&mut self, text: &str) {
        self.made
            .last()
            .expect("an element is open")
            .add(&FakeNode::text(text), None);
    }

    fn close(&mut self) {
        self.made.pop();
        self.inner = self.made.last().cloned();
    }
}

impl Dom for FakeDom {
    type Node = Handle;

    fn create(&mut self, kind: &Kind) -> (Handle, Handle) {
        self.work.set(self.work.get() + 1);
        let mut maker = Maker {
            made: Vec::new(),
            outer: None,
            inner: None,
        };
        kind.open(&mut maker);
        let inner = maker.made.last().cloned().expect("an element is open");
        (maker.outer.expect("an element was made"), inner)
    }

    fn create_text(&mut self, text: &str) -> Handle {
        self.work.set(self.work.get() + 1 + text.len());
        FakeNode::text(text)
    }

    fn insert(&mut self, parent: &Handle, node: &Handle, before: Option<&Handle>) {
        parent.add(node, before);
    }

    fn remove(&mut self, node: &Handle) {
        detach(node);
    }

    fn replace_text(&mut self, node: &Handle, at: u32, count: u32, with: &str) {
        self.work.set(self.work.get() + 1 + with.len());
        let mut units: Vec<u16> = node.text.borrow().encode_utf16().collect();
        let at = at as usize;
        units.splice(at..at + count as usize, with.encode_utf16());
        *node.text.borrow_mut() = String::from_utf16(&units).expect("no character is cut");
    }

    fn split_text(&mut self, node: &Handle, at: u32) -> Handle {
        let units: Vec<u16> = node.text.borrow().encode_utf16().collect();
        let (first, second) = units.split_at(at as usize);
        let second = FakeNode::text(&String::from_utf16(second).expect("no character is cut"));
        *node.text.borrow_mut() = String::from_utf16(first).expect("no character is cut");
        let parent = node
            .parent
            .borrow()
            .upgrade()
            .expect("it is in the document");
        let next = self.next(node);
        parent.add(&second, next.as_ref());
        second
    }

    fn shaping_break(&mut self, before: &Handle) {
        let parent = before
            .parent
            .borrow()
            .upgrade()
            .expect("it is in the document");
        parent.add(&FakeNode::shaping_break(), Some(before));
    }

    fn remove_shaping_breaks(&mut self, outer: &Handle) {
        outer
            .children
            .borrow_mut()
            .retain(|child| !child.is_shaping_break);
        for child in outer.children.borrow().iter() {
            self.remove_shaping_breaks(child);
        }
    }

    fn set_attributes(&mut self, outer: &Handle, kind: &Kind) {
        let (new, _) = FakeDom::default().create(kind);
        *outer.attrs.borrow_mut() = new.attrs.take();
    }

    fn next(&self, node: &Handle) -> Option<Handle> {
        let parent = node.parent.borrow().upgrade()?;
        let children = parent.children.borrow();
        let at = children.iter().position(|child| Rc::ptr_eq(child, node))?;
        children.get(at + 1).cloned()
    }

    fn joined_children(&mut self, node: &Handle) -> Vec<Handle> {
        let mut joined: Vec<Handle> = Vec::new();
        for child in node.children.take() {
            if child.is_shaping_break {
                continue;
            }
            match joined.last() {
                Some(last) if last.tag.is_none() && child.tag.is_none() => {
                    last.text.borrow_mut().push_str(&child.text.borrow());
                }
                _ => joined.push(child),
            }
        }
        *node.children.borrow_mut() = joined.clone();
        joined
    }

    fn text_of(&self, node: &Handle) -> Option<String> {
        node.tag.is_none().then(|| node.text.borrow().clone())
    }

    fn inner_of(&self, outer: &Handle, kind: &Kind) -> Option<Handle> {
        let (mut like, inner) = FakeDom::default().create(kind);
        let mut at = Rc::clone(outer);
        loop {
            let is_same = at.tag == like.tag
                && at.class() == like.class()
                && at.attribute(Attr::DataLanguage) == like.attribute(Attr::DataLanguage);
            if !is_same {
                return None;
            }
            if Rc::ptr_eq(&like, &inner) {
                return Some(at);
            }
            let next = at.children.borrow().last().cloned()?;
            at = next;
            let next = like.children.borrow().last().cloned()?;
            like = next;
        }
    }
}

impl FakeNode {
    fn class(&self) -> Option<String> {
        // Whether a list is loose is an attribute, not a shape.
        self.attribute(Attr::Class).filter(|class| class != "loose")
    }

    fn attribute(&self, name: Attr) -> Option<String> {
        let attrs = self.attrs.borrow();
        let found = attrs.iter().find(|(found, _)| *found == name);
        found.map(|(_, value)| value.clone())
    }
}
