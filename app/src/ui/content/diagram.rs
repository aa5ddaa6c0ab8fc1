//! Diagrams: code blocks that are drawn in place of their code when the user clicks their button.
//!
//! Mermaid has several megabytes and needs inline styles, which the page's policy forbids. So it runs in a sandboxed
//! iframe (`server/src/http/frames.rs`, `frontend/diagram`), loaded at the first drawing; this module has the button and
//! the messages to the frame. The page sends the theme and the code. The frame sends that it is ready, the height of
//! the drawing, or the line of an error. The frame is not trusted: only numbers within limits are accepted from it.
//!
//! A drawing shows the code at the time of the click. While a block still grows, the style sheet hides the button.

use std::cell::Cell;
use std::time::Duration;

use js_sys::Array;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::{Closure, JsValue};
use web_sys::{
    Element, HtmlIFrameElement, MessageEvent, MutationObserver, MutationObserverInit, Window,
};

use crate::markdown::node::DRAW;
use crate::page::base::below;
use crate::protocol::DIAGRAM_PAGE;
use crate::ui::dom::{append, create, create_frame, set};
use crate::ui::text;
use crate::ui::transcript::follow::Follow;

/// The label of the button while a diagram is being drawn. A click cancels it.
const DRAWING: &str = "Drawing…";
/// The label of the button once the diagram is drawn.
const SHOW_CODE: &str = "Show code";

/// The selector of the frames of diagrams.
const FRAMES: &str = "iframe.diagram";
/// The attribute of a frame that is ready.
const IS_READY: &str = "data-ready";
/// The class of a block whose drawing is shown.
const IS_DRAWN: &str = "drawn";

/// The longest time from the load of a frame to its first message. A silent frame contains something else.
const READY_WITHIN: Duration = Duration::from_secs(2);
/// The longest time of a drawing.
const DRAWN_WITHIN: Duration = Duration::from_secs(20);

/// The least height of a drawing, in pixels.
const LOWEST: u32 = 24;
/// The largest height of a drawing, in pixels. A higher one scrolls within its frame.
const HIGHEST: u32 = 4000;

/// Draws the diagram of a code block, or shows its code again.
pub(in crate::ui) fn toggle_diagram(block: &Element, follow: Follow) {
    if let Ok(Some(frame)) = block.query_selector(FRAMES) {
        end(block, &frame);
        return;
    }
    let Ok(Some(code)) = block.query_selector("pre") else {
        return;
    };
    if let Ok(Some(note)) = block.query_selector(".note") {
        note.remove();
    }
    listen();
    // Following would scroll the opened diagram up.
    follow.pause();
    let frame = create_frame("Diagram");
    set(&frame, "class", "diagram");
    // Drawing needs the width of the frame; the height is set when the drawing is complete.
    set(&frame, "height", "0");
    set(&frame, "sandbox", "allow-scripts");
    set(&frame, "src", &below(DIAGRAM_PAGE));
    name_button(block, DRAWING);
    let loaded = {
        let (block, frame) = (block.clone(), frame.clone());
        move || {
            let late = move || {
                if !frame.has_attribute(IS_READY) {
                    fail(&block, &frame, text::DRAWING_NOT_LOADED);
                }
            };
            set_timeout(late, READY_WITHIN);
        }
    };
    let loaded = Closure::once_into_js(loaded);
    let _ = frame.add_event_listener_with_callback("load", loaded.unchecked_ref());
    // The code stays the last element of its block.
    let _ = block.insert_before(&frame, Some(&code));
}

/// Listens to messages of frames and to changes of the theme, from the first drawing on.
fn listen() {
    thread_local! {
        static IS_LISTENING: Cell<bool> = const { Cell::new(false) };
    }
    if IS_LISTENING.replace(true) {
        return;
    }
    let _ = window_event_listener_untyped("message", |event| {
        if let Some(message) = event.dyn_ref::<MessageEvent>() {
            on_message(message);
        }
    });
    let changed = Closure::<dyn FnMut()>::new(|| {
        for frame in frames() {
            if frame.has_attribute(IS_READY) {
                request_drawing(&frame);
            }
        }
    })
    .into_js_value();
    let what = MutationObserverInit::new();
    what.set_attributes(true);
    what.set_attribute_filter(&Array::of1(&"data-theme".into()));
    if let Ok(observer) = MutationObserver::new(changed.unchecked_ref())
        && let Some(root) = document().document_element()
    {
        let _ = observer.observe_with_options(&root, &what);
    }
}

/// A message from a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FrameMessage {
    Ready,
    /// The height of the drawing in pixels.
    Drawn(u32),
    /// The line of an error in the code, if it is known.
    Mistake(Option<u32>),
}

/// Parses a message of a frame; `None` if it is unknown.
fn read(message: &str) -> Option<FrameMessage> {
    let (word, number) = match message.split_once(' ') {
        Some((word, number)) => (word, number.parse().ok()),
        None => (message, None),
    };
    match (word, number) {
        ("ready", _) => Some(FrameMessage::Ready),
        ("drawn", Some(height)) => Some(FrameMessage::Drawn(u32::clamp(height, LOWEST, HIGHEST))),
        ("mistake", line) => Some(FrameMessage::Mistake(line.filter(|line| *line > 0))),
        _ => None,
    }
}

fn on_message(message: &MessageEvent) {
    let Some(source) = message.source() else {
        return;
    };
    let source: JsValue = source.into();
    let is_its = |frame: &Element| window_of(frame).is_some_and(|its| JsValue::from(its) == source);
    let Some(frame) = frames().into_iter().find(is_its) else {
        return;
    };
    let Some(block) = frame.closest("figure").ok().flatten() else {
        return;
    };
    match message.data().as_string().as_deref().and_then(read) {
        Some(FrameMessage::Ready) => {
            set(&frame, IS_READY, "");
            request_drawing(&frame);
            let late = move || {
                if !block.class_list().contains(IS_DRAWN) {
                    fail(&block, &frame, text::DRAWING_TOO_LONG);
                }
            };
            set_timeout(late, DRAWN_WITHIN);
        }
        Some(FrameMessage::Drawn(height)) => {
            set(&frame, "height", &height.to_string());
            let _ = block.class_list().add_1(IS_DRAWN);
            name_button(&block, SHOW_CODE);
        }
        Some(FrameMessage::Mistake(line)) => fail(&block, &frame, &text::no_diagram(line)),
        None => {}
    }
}

/// Sends the code of its block to a frame to draw it.
fn request_drawing(frame: &Element) {
    let code = frame
        .closest("figure")
        .ok()
        .flatten()
        .and_then(|block| block.query_selector("code").ok().flatten())
        .and_then(|code| code.text_content());
    if let (Some(its), Some(code)) = (window_of(frame), code) {
        let root = document().document_element();
        let theme = root.and_then(|root| root.get_attribute("data-theme"));
        let what = Array::of2(&theme.unwrap_or_default().into(), &code.into());
        // A sandboxed frame has no origin to name. Our policy keeps the frame from navigating elsewhere.
        let _ = its.post_message(&what, "*");
    }
}

fn frames() -> Vec<Element> {
    let found = document()
        .query_selector_all(FRAMES)
        .expect("the selector is valid");
    let frames = (0..found.length()).filter_map(|index| found.item(index)?.dyn_into().ok());
    frames.collect()
}

fn window_of(frame: &Element) -> Option<Window> {
    frame.dyn_ref::<HtmlIFrameElement>()?.content_window()
}

fn name_button(block: &Element, name: &str) {
    if let Ok(Some(button)) = block.query_selector("[data-act=draw]") {
        set(&button, "aria-label", name);
    }
}

/// Removes a drawing and shows the code again.
fn end(block: &Element, frame: &Element) {
    frame.remove();
    let _ = block.class_list().remove_1(IS_DRAWN);
    name_button(block, DRAW);
}

/// Shows above the code why it is not drawn, unless the drawing was cancelled.
fn fail(block: &Element, frame: &Element, sentence: &str) {
    if !frame.is_connected() {
        return;
    }
    end(block, frame);
    let note = create("p");
    set(&note, "class", "note error");
    set(&note, "role", "alert");
    append(&note, &document().create_text_node(sentence));
    if let Ok(Some(code)) = block.query_selector("pre") {
        let _ = block.insert_before(&note, Some(&code));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_messages_with_numbers_within_limits_are_accepted_from_a_frame() {
        let check =
            |said: &str, expect: Option<FrameMessage>| assert_eq!(read(said), expect, "{said}");
        check("ready", Some(FrameMessage::Ready));
        check("drawn 320", Some(FrameMessage::Drawn(320)));
        check("drawn 0", Some(FrameMessage::Drawn(24)));
        check("drawn 4294967295", Some(FrameMessage::Drawn(4000)));
        check("drawn 4294967296", None);
        check("drawn -1", None);
        check("drawn 1.5", None);
        check("drawn 100%", None);
        check("drawn", None);
        check("mistake", Some(FrameMessage::Mistake(None)));
        check("mistake 3", Some(FrameMessage::Mistake(Some(3))));
        check("mistake 0", Some(FrameMessage::Mistake(None)));
        check("mistake <b>", Some(FrameMessage::Mistake(None)));
        check("", None);
        check("<script>", None);
    }
}
