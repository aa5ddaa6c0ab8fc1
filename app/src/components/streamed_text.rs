//! A text of a reply on the screen, as Markdown: while it streams, and when it has ended.
//!
//! It is given the whole text again and again, each time longer, and shows what is new; the work is
//! that of [`crate::markdown::stream`]. What is on the screen and final is never touched again, so a
//! selection in it stays and the cost of a piece does not grow with the text before it.
//!
//! A text that had ended when the server rendered the page is there already and stays as it is.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use leptos::html::Div;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::JsCast;
use web_sys::{Element, Node};

use super::code_block::{act_on_code, load_highlighter, on_code_click};
use super::markdown_dom::{CURSOR, PageDom, append, create, set};
use super::markdown_text::ServerText;
use crate::markdown::stream::Stream;
use crate::reply::Reply;
use crate::transcript::Transcript;

/// Which text of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The answer, with the typing cursor at its end while it streams.
    Answer,
    /// The reasoning before it.
    Reasoning,
}

impl Source {
    fn of(self, transcript: &Transcript) -> &str {
        match self {
            Self::Answer => &transcript.text,
            Self::Reasoning => &transcript.reasoning,
        }
    }
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
    let renderer = RwSignal::new_local(None::<Loaded>);
    Effect::new(move |_| {
        let Some(place) = place.get() else { return };
        // What the server showed of a reply that has ended is there already, and stays as it is.
        let is_streaming = reply.with_untracked(|reply| reply.transcript().is_streaming());
        if place
            .query_selector("figure.code")
            .is_ok_and(|code| code.is_some())
        {
            load_highlighter();
        }
        if is_streaming || !place.has_child_nodes() {
            let flow = (!place.has_child_nodes()).then(|| Flow::new(&place, source, is_streaming));
            spawn_local(async move {
                let loaded = load_renderer(place.clone().into()).await;
                // What the server showed of a reply that still streams stays until it can be shown anew.
                let flow = flow.unwrap_or_else(|| {
                    place.set_text_content(None);
                    Flow::new(&place, source, is_streaming)
                });
                // The reply may be gone by now.
                let _ = renderer.try_set(Some(Rc::new(RefCell::new((flow, loaded)))));
            });
        }
    });
    Effect::new(move |_| {
        let Some(loaded) = renderer.get() else { return };
        let mut loaded = loaded.borrow_mut();
        let (flow, renderer) = &mut *loaded;
        reply.with(|reply| {
            let transcript = reply.transcript();
            flow.show(
                renderer.as_mut(),
                source.of(transcript),
                transcript.is_streaming(),
            );
        });
    });
    let text = reply.with_untracked(|reply| {
        // Only the server has anything to show here at once.
        if is_server() {
            source.of(reply.transcript()).to_owned()
        } else {
            String::new()
        }
    });
    // Tests, and whoever else asks what was said, find the answer by `data-text`.
    view! {
        <div
            class="text prose"
            node_ref=place
            data-text=(source == Source::Answer).then_some("")
            on:click=move |click| on_code_click(&click, act_on_code)
        >
            {ServerText(text)}
        </div>
    }
}

/// A text on the screen with what renders it, once that is loaded.
type Loaded = Rc<RefCell<(Flow, Box<dyn Renderer>)>>;

/// What shows a text that grows.
trait Renderer {
    /// Shows a text that has only grown.
    fn show(&mut self, text: &str);
    /// Shows the whole text; nothing more will come.
    fn end(&mut self, text: &str);
    /// The element in which the text ends.
    fn last_element(&self) -> &Node;
}

impl Renderer for Stream<PageDom> {
    fn show(&mut self, text: &str) {
        Stream::show(self, text);
    }

    fn end(&mut self, text: &str) {
        Stream::end(self, text);
    }

    fn last_element(&self) -> &Node {
        Stream::last_element(self)
    }
}

/// The way to all that reads Markdown. It is a file of its own, loaded with the first reply: whoever
/// opens the page does not wait for it.
#[lazy]
fn load_renderer(place: Node) -> Box<dyn Renderer> {
    Box::new(Stream::new(PageDom, place))
}

/// Loads what renders replies as soon as the person does something: by the time a reply comes it is there,
/// and who only opens the page does not pay for it.
pub(super) fn prepare_renderer() {
    Effect::new(move |_| {
        let is_asked = Rc::new(Cell::new(false));
        let listener = window_event_listener(leptos::ev::keydown, move |_| {
            if !is_asked.replace(true) {
                let _ = lazy_preload!(load_renderer);
            }
        });
        on_cleanup(move || listener.remove());
    });
}

/// Where a text ends, and whether it has.
struct Flow {
    cursor: Option<Element>,
    has_ended: bool,
}

impl Flow {
    fn new(place: &Element, source: Source, is_streaming: bool) -> Self {
        let cursor = (source == Source::Answer && is_streaming).then(|| {
            let cursor = create("span");
            set(&cursor, CURSOR, "");
            set(&cursor, "aria-hidden", "true");
            append(place, &cursor);
            cursor
        });
        Self {
            cursor,
            has_ended: false,
        }
    }

    /// Shows what is new in a text that has only grown.
    fn show(&mut self, renderer: &mut dyn Renderer, text: &str, is_streaming: bool) {
        if self.has_ended {
            return;
        }
        if is_streaming {
            renderer.show(text);
            self.put_cursor(renderer.last_element());
            return;
        }
        if let Some(cursor) = self.cursor.take() {
            cursor.remove();
        }
        renderer.end(text);
        self.has_ended = true;
    }

    /// Puts the cursor behind the last character, wherever that is.
    fn put_cursor(&self, place: &Node) {
        let Some(cursor) = &self.cursor else { return };
        let is_there = place
            .last_child()
            .is_some_and(|last| last.is_same_node(Some(cursor.unchecked_ref())));
        if !is_there {
            append(place, cursor);
        }
    }
}
