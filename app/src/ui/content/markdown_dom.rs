//! The browser's document as the [`Dom`] of the Markdown renderer. The document may contain shaping breaks, which are
//! not part of the text: lookups of text skip them. It never contains the cursor during a render.

use leptos::prelude::document;
use leptos::task::spawn_local;
use wasm_bindgen::JsCast;
use web_sys::{Element, Node, Text};

use crate::markdown::formula::{Step, formula};
use crate::markdown::node::{Attr, Kind, Sink, Tag};
use crate::markdown::patch::Dom;
use crate::page::lazy::lazy_part;
use crate::platform::clock::{BrowserClock, after_picture, next_frame};
use crate::ui::content::highlighter::load_highlighter;
use crate::ui::dom::{append, create, set};

/// The attribute of a shaping break. Its style makes the browser shape the text after the break separately, so that the
/// glyphs before it are kept; otherwise the browser would shape the whole paragraph for each new word.
const SHAPING_BREAK: &str = "data-shaping-break";

const MATHML: &str = "http://www.w3.org/1998/Math/MathML";

/// The browser's document.
#[derive(Debug, Clone, Copy)]
pub(in crate::ui) struct PageDom;

/// Creates nested elements.
#[derive(Default)]
struct ElementBuilder {
    outer: Option<Element>,
    open: Vec<Element>,
}

impl Sink for ElementBuilder {
    fn open(&mut self, tag: Tag) {
        let element = create(tag.name());
        if let Some(parent) = self.open.last() {
            append(parent, &element);
        }
        self.outer.get_or_insert_with(|| element.clone());
        self.open.push(element);
    }

    fn attr(&mut self, name: Attr, value: &str) {
        if let Some(element) = self.open.last() {
            set(element, name.name(), value);
        }
    }

    fn text(&mut self, text: &str) {
        if let Some(element) = self.open.last() {
            append(element, &document().create_text_node(text));
        }
    }

    fn close(&mut self) {
        self.open.pop();
    }

    fn formula(&mut self, tex: &str, is_display: bool) {
        self.text(tex);
        if let Some(element) = self.open.last() {
            draw_formula(element.clone(), tex.to_owned(), is_display);
        }
    }
}

/// Replaces the source of a formula by MathML, once the lazy part that converts it is loaded.
fn draw_formula(place: Element, tex: String, is_display: bool) {
    spawn_local(async move {
        // The source stays if the part cannot be loaded or the formula is invalid.
        let Ok(Some(steps)) = steps_of(tex, is_display).await else {
            return;
        };
        let mut open: Vec<Element> = Vec::new();
        for step in steps {
            match step {
                Step::Open(name) => {
                    let element = document()
                        .create_element_ns(Some(MATHML), name)
                        .expect("the name of the tag is valid");
                    match open.last() {
                        Some(parent) => append(parent, &element),
                        None => {
                            place.set_text_content(None);
                            append(&place, &element);
                        }
                    }
                    open.push(element);
                }
                Step::Attr(name, value) => {
                    if let Some(element) = open.last() {
                        set(element, name, &value);
                    }
                }
                Step::Text(text) => {
                    if let Some(element) = open.last() {
                        append(element, &document().create_text_node(&text));
                    }
                }
                Step::Close => {
                    open.pop();
                }
            }
        }
    });
}

lazy_part! {
    /// The converter of formulas, loaded with the first one.
    fn steps_of(tex: String, is_display: bool) -> Option<Vec<Step>> {
        formula(&tex, is_display)
    }
}

impl Dom for PageDom {
    type Node = Node;

    fn create(&mut self, kind: &Kind) -> (Node, Node) {
        if matches!(kind, Kind::CodeBlock { .. }) {
            load_highlighter();
        }
        let mut builder = ElementBuilder::default();
        kind.open(&mut builder);
        let inner = builder.open.pop();
        let outer = builder.outer.expect("only texts open no element");
        let inner = inner.unwrap_or_else(|| outer.clone());
        (outer.into(), inner.into())
    }

    fn create_text(&mut self, text: &str) -> Node {
        document().create_text_node(text).into()
    }

    fn insert(&mut self, parent: &Node, node: &Node, before: Option<&Node>) {
        parent
            .insert_before(node, before)
            .expect("an element takes any node before one of its children");
    }

    fn remove(&mut self, node: &Node) {
        if let Some(parent) = node.parent_node() {
            let _ = parent.remove_child(node);
        }
    }

    fn replace_text(&mut self, node: &Node, at: u32, count: u32, with: &str) {
        let text: &Text = node.unchecked_ref();
        // Replacing only the changed part keeps a selection in the text before it.
        let _ = text.replace_data(at, count, with);
    }

    fn split_text(&mut self, node: &Node, at: u32) -> Node {
        let text: &Text = node.unchecked_ref();
        text.split_text(at)
            .expect("the offset is within the text")
            .into()
    }

    fn shaping_break(&mut self, before: &Node) {
        let shaping_break = create("span");
        set(&shaping_break, SHAPING_BREAK, "");
        if let Some(parent) = before.parent_node() {
            self.insert(&parent, &shaping_break, Some(before));
        }
    }

    fn remove_shaping_breaks(&mut self, outer: &Node) {
        let outer = outer.clone();
        spawn_local(async move {
            // Without breaks the browser shapes a long paragraph as a whole again, in a frame of its own.
            next_frame(&BrowserClock).await;
            after_picture(&BrowserClock).await;
            remove_shaping_breaks(&outer);
        });
    }

    fn set_attributes(&mut self, outer: &Node, kind: &Kind) {
        let element: &Element = outer.unchecked_ref();
        let mut set_names = Vec::new();
        kind.attributes(&mut |name, value| {
            set_names.push(name);
            if element.get_attribute(name.name()).as_deref() != Some(value) {
                set(element, name.name(), value);
            }
        });
        for name in kind.changing() {
            if !set_names.contains(name) {
                let _ = element.remove_attribute(name.name());
            }
        }
    }

    fn next(&self, node: &Node) -> Option<Node> {
        node.next_sibling()
    }

    fn joined_children(&mut self, node: &Node) -> Vec<Node> {
        remove_shaping_breaks(node);
        node.normalize();
        let mut children = Vec::new();
        let mut next = node.first_child();
        while let Some(child) = next {
            next = child.next_sibling();
            children.push(child);
        }
        children
    }

    fn text_of(&self, node: &Node) -> Option<String> {
        node.dyn_ref::<Text>().map(|text| text.data())
    }

    fn inner_of(&self, outer: &Node, kind: &Kind) -> Option<Node> {
        let mut like = ElementBuilder::default();
        let depth = kind.open(&mut like);
        let mut at: Element = outer.dyn_ref::<Element>()?.clone();
        let made = like.open.first()?;
        let language = |element: &Element| element.get_attribute(Attr::DataLanguage.name());
        if class(&at) != class(made) || language(&at) != language(made) {
            return None;
        }
        for (level, element) in like.open.iter().enumerate() {
            if !at.tag_name().eq_ignore_ascii_case(&element.tag_name()) {
                return None;
            }
            if level + 1 < depth {
                at = at.last_element_child()?;
            }
        }
        Some(at.into())
    }
}

/// The class that marks the kind of an element: the first one, unless it is `loose`, which can change. The page appends
/// further classes.
fn class(element: &Element) -> Option<String> {
    let classes = element.get_attribute(Attr::Class.name())?;
    let class = classes.split_ascii_whitespace().next()?;
    (class != "loose").then(|| class.to_owned())
}

fn remove_shaping_breaks(outer: &Node) {
    let outer: &Element = outer.unchecked_ref();
    let Ok(breaks) = outer.query_selector_all(&format!("[{SHAPING_BREAK}]")) else {
        return;
    };
    for index in 0..breaks.length() {
        if let Some(found) = breaks.get(index) {
            PageDom.remove(&found);
        }
    }
}
