//! Text that streams, as live text nodes: what is on the screen is never touched again, so a selection
//! in it stays and the cost of a piece does not grow with the text before it.
//!
//! For now it shows plain text in paragraphs. This is the one seam where another way to show a reply
//! fits in: it is given the whole text again and again, each time longer, and shows what is new.

use leptos::html::Div;
use leptos::prelude::*;
use web_sys::{Element, Text};

use crate::paragraphs::{Bit, Paragraphs};
use crate::reply::Reply;

/// A text node is closed when it is longer than this, so that no long paragraph makes appending slow.
const NODE_UNITS: u32 = 4096;

/// Which text of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The answer, with the typing cursor at its end while it streams.
    Answer,
    /// The reasoning before it.
    Reasoning,
}

/// A text of a reply, as it comes.
#[component]
pub fn StreamedText(
    /// The reply that grows.
    reply: RwSignal<Reply>,
    /// Which of its texts.
    source: Source,
) -> impl IntoView {
    let place = NodeRef::<Div>::new();
    Effect::new(move |flow: Option<Option<Flow>>| {
        let mut flow = flow
            .flatten()
            .or_else(|| Some(Flow::new(place.get()?.into(), source)))?;
        reply.with(|reply| {
            let transcript = reply.transcript();
            flow.show(match source {
                Source::Answer => &transcript.text,
                Source::Reasoning => &transcript.reasoning,
            });
            if !transcript.is_streaming() {
                flow.end();
            }
        });
        Some(flow)
    });
    // Tests, and whoever else asks what was said, find the answer by `data-text`.
    view! { <div class="text" node_ref=place data-text=(source == Source::Answer).then_some("")></div> }
}

/// The text that is on the screen, and where the next piece goes.
struct Flow {
    place: Element,
    paragraphs: Paragraphs,
    /// How much of the text is on the screen, in bytes.
    shown: usize,
    open: Option<Open>,
    cursor: Option<Element>,
}

/// The paragraph that grows.
struct Open {
    paragraph: Element,
    node: Text,
}

impl Flow {
    fn new(place: Element, source: Source) -> Self {
        let cursor = (source == Source::Answer).then(|| {
            let cursor = create("span");
            set(&cursor, "data-cursor", "");
            set(&cursor, "aria-hidden", "true");
            append(&place, &cursor);
            cursor
        });
        Self {
            place,
            paragraphs: Paragraphs::default(),
            shown: 0,
            open: None,
            cursor,
        }
    }

    /// Shows what is new in a text that has only grown.
    fn show(&mut self, text: &str) {
        let new = &text[self.shown..];
        self.shown = text.len();
        let Self {
            place,
            paragraphs,
            open,
            cursor,
            ..
        } = self;
        // Collected first, so that the DOM is touched once for all that goes into one paragraph.
        let mut piece = String::new();
        paragraphs.feed(new, |bit| match bit {
            Bit::Text(text) => piece.push_str(text),
            Bit::Paragraph => {
                write(open.as_mut(), &mut piece);
                *open = Some(Open::new(place, cursor.as_ref()));
            }
        });
        write(open.as_mut(), &mut piece);
    }

    /// Nothing more will come.
    fn end(&mut self) {
        if let Some(cursor) = self.cursor.take() {
            cursor.remove();
        }
    }
}

impl Open {
    /// Opens a paragraph at the end of the place and takes the cursor into it.
    fn new(place: &Element, cursor: Option<&Element>) -> Self {
        let paragraph = create("p");
        set(&paragraph, "dir", "auto");
        let node = document().create_text_node("");
        append(&paragraph, &node);
        if let Some(cursor) = cursor {
            append(&paragraph, cursor);
        }
        append(place, &paragraph);
        Self { paragraph, node }
    }

    fn append(&mut self, piece: &str) {
        if self.node.length() > NODE_UNITS {
            let node = document().create_text_node("");
            // Before the cursor, which comes last.
            let _ = self
                .paragraph
                .insert_before(&node, self.node.next_sibling().as_ref());
            self.node = node;
        }
        // Appending leaves the node, and a selection in it, as they are.
        let _ = self.node.append_data(piece);
    }
}

fn write(open: Option<&mut Open>, piece: &mut String) {
    if let Some(open) = open
        && !piece.is_empty()
    {
        open.append(piece);
    }
    piece.clear();
}

fn create(tag: &str) -> Element {
    document()
        .create_element(tag)
        .expect("the name of the tag is valid")
}

fn set(element: &Element, name: &str, value: &str) {
    element
        .set_attribute(name, value)
        .expect("the name of the attribute is valid");
}

fn append(parent: &Element, child: &web_sys::Node) {
    parent
        .append_child(child)
        .expect("an element takes any text or element that is not around it");
}
