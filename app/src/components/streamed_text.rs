//! A text of a reply on the screen, as Markdown: while it streams, and when it has ended.
//!
//! It is given the whole text again and again, each time longer, and shows what is new; the work is
//! that of [`crate::markdown::stream`]. What is on the screen and final is never touched again, so a
//! selection in it stays and the cost of a piece does not grow with the text before it.
//!
//! A text that had ended when the server rendered the page is there already and stays as it is.

use leptos::html::Div;
use leptos::prelude::*;
use leptos::tachys::html::InertElement;
use wasm_bindgen::JsCast;
use web_sys::Element;

use super::code_block::{act_on_code, load_highlighter, on_code_click};
use super::markdown_dom::{CURSOR, PageDom, append, create, set};
use super::passed_over::PassedOver;
use crate::markdown::html::html;
use crate::markdown::parse::parse_whole;
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
    // A reply that is told again is shown anew, by another one of these in the same place: here it must
    // only grow.
    let telling = reply.with_untracked(Reply::tellings);
    Effect::new(move |flow: Option<Option<Flow>>| {
        let place = place.get()?;
        reply.with(|reply| {
            let transcript = reply.transcript();
            let is_streaming = transcript.is_streaming();
            let mut flow = flow
                .flatten()
                .unwrap_or_else(|| Flow::new(&place, source, is_streaming, telling > 0));
            if reply.tellings() == telling {
                flow.show(source.of(transcript), is_streaming);
            }
            Some(flow)
        })
    });
    // Tests, and whoever else asks what was said, find the answer by `data-text`.
    view! {
        <div
            class="text prose"
            node_ref=place
            data-text=(source == Source::Answer).then_some("")
            on:click=move |click| on_code_click(&click, act_on_code)
        >
            {PassedOver::new(move || {
                let text = reply.with_untracked(|reply| source.of(reply.transcript()).to_owned());
                InertElement::new(html(&parse_whole(&text)))
            })}
        </div>
    }
}

/// A text on the screen: what renders it, where it ends, and whether it has.
struct Flow {
    stream: Stream<PageDom>,
    cursor: Option<Element>,
    has_ended: bool,
}

impl Flow {
    fn new(place: &Element, source: Source, is_streaming: bool, is_told_again: bool) -> Self {
        // What stands there of an earlier telling is another text.
        let is_shown = !is_told_again && place.first_element_child().is_some();
        if is_shown && matches!(place.query_selector("figure.code"), Ok(Some(_))) {
            load_highlighter();
        }
        let has_ended = is_shown && !is_streaming;
        if !has_ended {
            // What the server showed of a reply that still streams is shown anew.
            place.set_text_content(None);
        }
        let cursor = (source == Source::Answer && is_streaming).then(|| {
            let cursor = create("span");
            set(&cursor, CURSOR, "");
            set(&cursor, "aria-hidden", "true");
            append(place, &cursor);
            cursor
        });
        Self {
            stream: Stream::new(PageDom, place.clone().into()),
            cursor,
            has_ended,
        }
    }

    /// Shows what is new in a text that has only grown.
    fn show(&mut self, text: &str, is_streaming: bool) {
        if self.has_ended {
            return;
        }
        if is_streaming {
            self.stream.show(text);
            self.put_cursor();
            return;
        }
        if let Some(cursor) = self.cursor.take() {
            cursor.remove();
        }
        self.stream.end(text);
        self.has_ended = true;
    }

    /// Puts the cursor behind the last character, wherever that is.
    fn put_cursor(&self) {
        let Some(cursor) = &self.cursor else { return };
        let place = self.stream.last_element();
        let is_there = place
            .last_child()
            .is_some_and(|last| last.is_same_node(Some(cursor.unchecked_ref())));
        if !is_there {
            append(place, cursor);
        }
    }
}
