//! Following: the view stays at the end of the conversation while the person is there.
//!
//! Scrolling up in any way stops it at once, scrolling back to the end resumes it, and nothing else
//! ever moves what one looks at: where something above it gets another height, the browser's scroll
//! anchoring holds it in its place. What grew is noticed by the browser's resize observer, after
//! layout and before the picture, so following costs no layout of its own. A position above the one
//! that was set here was chosen by the person, whatever moved it, so there is nothing to fight about.

use leptos::html::Div;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::Closure;
use web_sys::{AddEventListenerOptions, Element, KeyboardEvent, ResizeObserver, WheelEvent};

/// Nearer to the end than this is at the end: positions are rounded.
const AT_END_PX: i32 = 2;

/// Where the view of the conversation stands, and whether it follows.
#[derive(Clone, Copy)]
pub struct Follow {
    /// The element that scrolls.
    pub scroller: NodeRef<Div>,
    /// What grows in it.
    pub content: NodeRef<Div>,
    is_following: RwSignal<bool>,
    /// Whether something is hidden below.
    is_away: RwSignal<bool>,
    /// Where the view was when we last looked.
    last_top: StoredValue<i32>,
}

impl Follow {
    /// A view at the end.
    pub fn new() -> Self {
        Self {
            scroller: NodeRef::new(),
            content: NodeRef::new(),
            is_following: RwSignal::new(true),
            is_away: RwSignal::new(false),
            last_top: StoredValue::new(0),
        }
    }

    /// Whether the view follows now.
    pub fn is_following(self) -> bool {
        self.is_following.get_untracked()
    }

    /// Whether there is something below that the view will not come to by itself.
    pub fn is_away(self) -> bool {
        self.is_away.get() && !self.is_following.get()
    }

    /// Goes to the end and follows from now on.
    pub fn resume(self) {
        self.is_following.set(true);
        if let Some(scroller) = self.scroller.get_untracked() {
            self.go_to_end(&scroller);
        }
    }

    /// Leaves the view where it is: the person is about to change something in it.
    pub fn pause(self) {
        self.is_following.set(false);
    }

    /// Notes where the first message in view is, before something comes above it. Gives nothing where the
    /// browser holds it by itself, which it does except at the very top.
    pub fn hold(self) -> Option<Held> {
        let scroller = self.scroller.get_untracked()?;
        if scroller.scroll_top() > 0 {
            return None;
        }
        let top = scroller.get_bounding_client_rect().top();
        let articles = scroller.query_selector_all("article").ok()?;
        let first = (0..articles.length())
            .filter_map(|at| articles.get(at)?.dyn_into::<Element>().ok())
            .find(|article| article.get_bounding_client_rect().bottom() > top)?;
        let place = first.get_bounding_client_rect().top();
        Some(Held {
            scroller: scroller.unchecked_into(),
            first,
            place,
        })
    }

    /// Brings a message into view, by its place on the path, and marks it as the one that was sought.
    pub fn bring_into_view(self, place: usize) {
        const MARK: &str = "sought";
        self.pause();
        let Some(scroller) = self.scroller.get_untracked() else {
            return;
        };
        let find = |what: &str, at: u32| scroller.query_selector_all(what).ok()?.get(at);
        let element = |node: web_sys::Node| node.dyn_into::<Element>().ok();
        if let Some(before) = find("article.sought", 0).and_then(element) {
            let _ = before.class_list().remove_1(MARK);
        }
        let place = u32::try_from(place).unwrap_or(u32::MAX);
        if let Some(article) = find("article", place).and_then(element) {
            let _ = article.class_list().add_1(MARK);
            article.scroll_into_view();
        }
    }

    /// Begins to watch the elements, once they are there.
    pub fn watch(self) {
        Effect::new(move |_| {
            let (Some(scroller), Some(content)) = (self.scroller.get(), self.content.get()) else {
                return;
            };
            let resized = {
                let scroller = scroller.clone();
                Closure::<dyn FnMut()>::new(move || self.on_resize(&scroller))
            };
            let Ok(observer) = ResizeObserver::new(resized.as_ref().unchecked_ref()) else {
                return;
            };
            observer.observe(&scroller);
            observer.observe(&content);

            listen(
                &scroller,
                "scroll",
                move |scroller: &Element, _: web_sys::Event| self.on_scroll(scroller),
            );
            listen(&scroller, "wheel", move |scroller, wheel: WheelEvent| {
                if wheel.delta_y() < 0.0 {
                    self.on_upwards(scroller);
                }
            });
            listen(&scroller, "keydown", move |scroller, key: KeyboardEvent| {
                if matches!(key.key().as_str(), "ArrowUp" | "PageUp" | "Home") {
                    self.on_upwards(scroller);
                }
            });
            let kept = StoredValue::new_local((observer, resized));
            on_cleanup(move || kept.with_value(|(observer, _)| observer.disconnect()));
        });
    }

    /// Something grew or shrank.
    fn on_resize(self, scroller: &Element) {
        if self.is_following.get_untracked() {
            // Higher than we left it, and not because the end itself moved up: the person was faster
            // than the event that tells of it.
            if scroller.scroll_top() < self.last_top.get_value() && below(scroller) > AT_END_PX {
                self.is_following.set(false);
            } else {
                self.go_to_end(scroller);
            }
        }
        self.note(scroller);
    }

    fn on_scroll(self, scroller: &Element) {
        let (top, last) = (scroller.scroll_top(), self.last_top.get_value());
        let is_at_end = below(scroller) <= AT_END_PX;
        if top < last && !is_at_end {
            self.is_following.set(false);
        } else if top > last && is_at_end {
            self.is_following.set(true);
        }
        self.note(scroller);
    }

    /// The person turns to what is above, if there is anything.
    fn on_upwards(self, scroller: &Element) {
        if scroller.scroll_top() > 0 {
            self.is_following.set(false);
        }
    }

    fn go_to_end(self, scroller: &Element) {
        scroller.set_scroll_top(scroller.scroll_height());
        self.note(scroller);
    }

    fn note(self, scroller: &Element) {
        self.last_top.set_value(scroller.scroll_top());
        let is_away = below(scroller) > AT_END_PX;
        if self.is_away.get_untracked() != is_away {
            self.is_away.set(is_away);
        }
    }
}

/// A message that stays where it is while something comes above it. The browser holds one only where
/// the view is not at its very top.
pub struct Held {
    scroller: Element,
    first: Element,
    place: f64,
}

impl Held {
    /// Moves the view by as much as the message was moved.
    pub fn restore(self) {
        let moved = self.first.get_bounding_client_rect().top() - self.place;
        if moved.abs() >= 1.0 {
            let top = self.scroller.scroll_top() + moved.round() as i32;
            self.scroller.set_scroll_top(top);
        }
    }
}

impl Default for Follow {
    fn default() -> Self {
        Self::new()
    }
}

/// How much is hidden below the view.
fn below(scroller: &Element) -> i32 {
    scroller.scroll_height() - scroller.client_height() - scroller.scroll_top()
}

/// Listens without ever holding the scrolling up, for as long as the page lives.
fn listen<E: JsCast + wasm_bindgen::convert::FromWasmAbi + 'static>(
    element: &Element,
    event: &str,
    handle: impl Fn(&Element, E) + 'static,
) {
    let options = AddEventListenerOptions::new();
    options.set_passive(true);
    let target = element.clone();
    let closure = Closure::<dyn FnMut(E)>::new(move |event| handle(&target, event)).into_js_value();
    // Only an invalid target could make it fail.
    let _ = element.add_event_listener_with_callback_and_add_event_listener_options(
        event,
        closure.unchecked_ref(),
        &options,
    );
}
