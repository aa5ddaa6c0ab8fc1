//! A text of a reply on the screen, as Markdown: while it streams, and when it has ended.
//!
//! It is given the whole text again and again, each time longer, and shows what is new; the work is
//! that of [`crate::markdown::stream`]. What is on the screen and final is never touched again, so a
//! selection in it stays and the cost of a piece does not grow with the text before it.
//!
//! A burst is shown over several frames, so that keys are answered meanwhile.
//!
//! A text that had ended when the server rendered the page is there already and stays as it is. Where the
//! server left it to the browser (see [`crate::page::render_budget`]), it is there without elements.

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

/// What the cursor is known by.
const CURSOR: &str = "data-cursor";

/// What takes the place of what stood there already is shown at once, up to this many bytes. A longer text is
/// divided over frames like a burst.
const AT_ONCE: usize = 32 * 1024;

/// After so many bytes it is looked at the clock.
const PIECE: usize = 2048;
/// How long a frame may be held up by what is shown in it, beside what the browser does with it.
const FRAME_BUDGET: Duration = Duration::from_millis(8);
/// How long a frame of a burst should take in all. What the browser needs for its layout is known only
/// afterwards, so the next frame shows more or less by that.
const FRAME_TARGET: Duration = Duration::from_millis(20);
/// What the first frame of a burst shows, in bytes. What is less than this is no burst: a fast stream brings
/// as much from one picture to the next.
const FIRST_SHARE: usize = 2048;
/// The most frames over which a text that has ended is shown.
const MOST_FRAMES: usize = 32;
/// The least that a frame of a burst shows, in bytes.
const LEAST_SHARE: usize = 512;

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
    let follow = expect_context::<Follow>();
    // A reply that is told again is shown anew, by another one of these in the same place: here it must
    // only grow.
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
    // Tests, and whoever else asks what was said, find the answer by `data-text`.
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

/// Wakes who shows a burst in the frame after this one, and says how much of it that can be.
#[derive(Clone)]
struct NextFrame {
    came: ArcTrigger,
    is_awaited: Rc<Cell<bool>>,
    /// How many bytes a frame shows.
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

/// How many bytes the next frame shows, where so many have taken so long.
fn next_share(share: usize, cost: Duration) -> usize {
    let factor = FRAME_TARGET.as_secs_f64() / cost.as_secs_f64().max(0.001);
    // One frame that is slow or fast by chance does not count for much.
    let next = share as f64 * factor.clamp(0.5, 2.0);
    (next as usize).clamp(LEAST_SHARE, 1024 * PIECE)
}

/// A text on the screen: what renders it, where it ends, and whether it has.
struct Flow {
    stream: Stream<PageDom>,
    cursor: Option<Element>,
    /// Which of its two names the cursor's blinking has.
    is_again: bool,
    /// How much of the text has been shown, in bytes.
    shown: usize,
    /// Whether it takes the place of what stood there already, so that it must be there at once.
    is_replacing: bool,
    has_ended: bool,
}

impl Flow {
    fn new(place: &Element, source: Source, is_streaming: bool, is_told_again: bool) -> Self {
        // What stands there of an earlier restarts is another text.
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
            is_again: false,
            shown: 0,
            // A reply that has ended before it is shown here is read, not followed.
            is_replacing: is_shown || is_told_again || !is_streaming,
            has_ended,
        }
    }

    /// Shows what is new in a text that has only grown, as far as that is done soon enough and about so
    /// many bytes; says whether it was all.
    fn show(&mut self, text: &str, is_streaming: bool, share: usize) -> bool {
        if self.has_ended {
            return true;
        }
        // What comes must not come behind the cursor: where that then goes from between two elements, the
        // browser looks at the style of all that is beside and within them.
        if let Some(cursor) = &self.cursor {
            cursor.remove();
        }
        let is_replacing = std::mem::take(&mut self.is_replacing) && text.len() <= AT_ONCE;
        // Each frame lays out the whole of a long reply, so the number of frames is bounded.
        let share = if is_streaming {
            share
        } else {
            share.max(text.len() / MOST_FRAMES)
        };
        // A hidden page has no frames, and nobody waits for it.
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

    /// Shows a text piece by piece, all but the last one, until the time of the frame or its share is
    /// over; says whether it was not.
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

    /// Puts the cursor behind the last character, wherever that is. It blinks only while nothing comes.
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
