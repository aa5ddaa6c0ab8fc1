//! The view of a text of a reply as Markdown, streaming or complete.
//!
//! Each render gets the whole text so far and shows what is new, by [`crate::markdown::stream`]. Committed elements never
//! change, so a selection in them stays, and the cost of a render does not grow with the text before it.
//!
//! A burst is rendered over several frames, so that keys are handled meanwhile.
//!
//! A text that was complete when the server rendered the page stays as it is. If it was beyond the server's budget (see
//! [`crate::page::render_budget`]), it is in the page as plain text and rendered here.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use leptos::html::Div;
use leptos::prelude::*;
use leptos::tachys::html::InertElement;
use leptos::task::spawn_local;
use web_sys::Element;

use crate::markdown::stream::Stream;
use crate::page::render_budget::RenderBudget;
use crate::platform::clock::{BrowserClock, Clock, cost_of, next_frame};
use crate::reply::Reply;
use crate::reply::transcript::Transcript;
use crate::ui::content::code_block::on_text_click;
use crate::ui::content::highlighter::load_highlighter;
use crate::ui::content::markdown_dom::PageDom;
use crate::ui::dom::{append, create, set};
use crate::ui::server_rendered::ServerRendered;
use crate::ui::transcript::follow::Follow;

/// The attribute of the cursor.
const CURSOR: &str = "data-cursor";

/// The most bytes of a text that replaces a visible one and is rendered at once. A longer one is divided over frames like
/// a burst.
const AT_ONCE: usize = 32 * 1024;

/// The number of bytes between two looks at the clock.
const PIECE: usize = 2048;
/// The longest time of a frame that is spent on rendering, without layout and painting.
const FRAME_BUDGET: Duration = Duration::from_millis(8);
/// The target duration of a frame of a burst, with layout and painting. Their cost is known only afterwards, so the share
/// of the next frame is adjusted by it.
const FRAME_TARGET: Duration = Duration::from_millis(20);
/// The share of the first frame of a burst, in bytes. Less than this is not a burst: a fast stream has as much per frame.
const FIRST_SHARE: usize = 2048;
/// The most frames over which a complete text is rendered.
const MOST_FRAMES: usize = 32;
/// The least share of a frame of a burst, in bytes.
const LEAST_SHARE: usize = 512;

/// A text of a reply.
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

/// The view of a text of a reply.
#[component]
pub fn StreamedText(
    /// The reply, which may be streaming.
    reply: RwSignal<Reply>,
    /// Which of its texts to show.
    source: Source,
) -> impl IntoView {
    let place = NodeRef::<Div>::new();
    let follow = expect_context::<Follow>();
    // A reply that restarts gets another view in the same place, because in this one the text must only grow.
    let restarts = reply.with_untracked(Reply::restarts);
    let next_frame = NextFrame::new();
    Effect::new(move |flow: Option<Option<Flow>>| {
        next_frame.came.track();
        let place = place.get()?;
        reply.with(|reply| {
            let transcript = reply.transcript();
            let is_streaming = transcript.is_streaming();
            let mut flow = flow
                .flatten()
                .unwrap_or_else(|| Flow::new(&place, source, is_streaming, restarts > 0));
            if reply.restarts() == restarts && !next_frame.is_awaited() {
                let share = next_frame.share.get();
                let is_all = flow.show(source.of(transcript), is_streaming, share);
                if !is_all {
                    next_frame.await_it();
                }
            }
            Some(flow)
        })
    });
    // `data-text` marks the answer for tests and scripts.
    view! {
        <div
            class="text prose"
            node_ref=place
            data-text=(source == Source::Answer).then_some("")
            on:click=move |click| on_text_click(&click, follow)
        >
            {ServerRendered::new(move || {
                let text = reply.with_untracked(|reply| source.of(reply.transcript()).to_owned());
                InertElement::new(RenderBudget::of_page().html_of(&text))
            })}
        </div>
    }
}

/// Triggers the next frame of a burst, and adjusts its share.
#[derive(Clone)]
struct NextFrame {
    came: ArcTrigger,
    is_awaited: Rc<Cell<bool>>,
    /// The bytes that a frame renders.
    share: Rc<Cell<usize>>,
}

impl NextFrame {
    fn new() -> Self {
        Self {
            came: ArcTrigger::new(),
            is_awaited: Rc::default(),
            share: Rc::new(Cell::new(FIRST_SHARE)),
        }
    }

    fn is_awaited(&self) -> bool {
        self.is_awaited.get()
    }

    fn await_it(&self) {
        self.is_awaited.set(true);
        let this = self.clone();
        spawn_local(async move {
            next_frame(&BrowserClock).await;
            this.is_awaited.set(false);
            let cost = cost_of(&BrowserClock, || this.came.notify()).await;
            this.share.set(next_share(this.share.get(), cost));
        });
    }
}

/// The share of the next frame, after a frame with this share and this cost.
fn next_share(share: usize, cost: Duration) -> usize {
    let factor = FRAME_TARGET.as_secs_f64() / cost.as_secs_f64().max(0.001);
    // A single slow or fast frame has a limited effect.
    let next = share as f64 * factor.clamp(0.5, 2.0);
    (next as usize).clamp(LEAST_SHARE, 1024 * PIECE)
}

/// The rendering of a text: its renderer, its cursor, and its progress.
struct Flow {
    stream: Stream<PageDom>,
    cursor: Option<Element>,
    /// Which of the two values the cursor's attribute has. Switching it restarts the blinking.
    is_again: bool,
    /// How many bytes have been rendered.
    shown: usize,
    /// Whether the text replaces a visible one, so that it should be rendered at once.
    is_replacing: bool,
    has_ended: bool,
}

impl Flow {
    fn new(place: &Element, source: Source, is_streaming: bool, has_restarted: bool) -> Self {
        // Elements from before a restart belong to another text.
        let is_shown = !has_restarted && place.first_element_child().is_some();
        if is_shown && matches!(place.query_selector("figure.code"), Ok(Some(_))) {
            load_highlighter();
        }
        let has_ended = is_shown && !is_streaming;
        if !has_ended {
            // The server's rendering of a streaming reply is replaced.
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
            is_again: false,
            shown: 0,
            // A reply that is complete when it is shown first is not streamed.
            is_replacing: is_shown || has_restarted || !is_streaming,
            has_ended,
        }
    }

    /// Renders what is new in a text that has only grown, within the time of a frame and about `share` bytes. Returns
    /// whether that was all.
    fn show(&mut self, text: &str, is_streaming: bool, share: usize) -> bool {
        if self.has_ended {
            return true;
        }
        // New elements must not come after the cursor: moving the cursor from between two elements makes the browser
        // recalculate the styles of all its siblings.
        if let Some(cursor) = &self.cursor {
            cursor.remove();
        }
        let is_replacing = std::mem::take(&mut self.is_replacing) && text.len() <= AT_ONCE;
        // Each frame lays out the whole reply, so the number of frames is bounded.
        let share = if is_streaming {
            share
        } else {
            share.max(text.len() / MOST_FRAMES)
        };
        // A hidden page has no frames.
        let is_at_once = is_replacing || document().hidden();
        if !is_at_once && !self.show_pieces(text, share) {
            self.put_cursor();
            return false;
        }
        self.shown = text.len();
        if is_streaming {
            self.stream.show(text);
            self.put_cursor();
            return true;
        }
        self.cursor = None;
        if is_at_once {
            self.stream.end(text);
        } else if !self.stream.end_in_part(text) {
            return false;
        }
        self.has_ended = true;
        true
    }

    /// Renders a text piece by piece, all but the last piece, until the time or the share of the frame is used up.
    /// Returns `false` in that case.
    fn show_pieces(&mut self, text: &str, share: usize) -> bool {
        let mut began = None;
        let enough = self.shown + share;
        let piece = share.min(PIECE);
        while text.len() - self.shown > piece {
            let began = *began.get_or_insert_with(|| BrowserClock.now());
            let end = self.shown + piece;
            let end = (self.shown..=end)
                .rev()
                .find(|at| text.is_char_boundary(*at));
            self.shown = end.expect("what has been shown ends with a character");
            self.stream.show(&text[..self.shown]);
            if BrowserClock.now() - began > FRAME_BUDGET || self.shown >= enough {
                return false;
            }
        }
        true
    }

    /// Moves the cursor after the last character. Its blinking restarts, so it blinks only while nothing arrives.
    fn put_cursor(&mut self) {
        let Some(cursor) = &self.cursor else { return };
        self.is_again = !self.is_again;
        set(cursor, CURSOR, if self.is_again { "again" } else { "" });
        append(self.stream.last_element(), cursor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_frame_shows_more_or_less_by_how_long_this_one_took() {
        let check = |share: usize, cost: u64, expect: usize| {
            let next = next_share(share, Duration::from_millis(cost));
            assert_eq!(next, expect, "{share} bytes in {cost} ms");
        };
        check(10_000, 20, 10_000);
        check(10_000, 16, 12_500);
        check(10_000, 32, 6_250);
        check(10_000, 1000, 5_000);
        check(10_000, 0, 20_000);
        check(FIRST_SHARE, 1000, FIRST_SHARE / 2);
        check(LEAST_SHARE, 1000, LEAST_SHARE);
        check(usize::MAX / 4, 1, 1024 * PIECE);
    }
}
