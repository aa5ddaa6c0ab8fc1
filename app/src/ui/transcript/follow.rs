//! Following: the view stays at the end of the conversation while the user is there.
//!
//! Scrolling up in any way pauses it at once, scrolling back to the end resumes it, and nothing else ever moves the
//! view: when content above changes its height, the browser's scroll anchoring keeps the position. Growth is noticed by a
//! resize observer, after layout and before painting, so following costs no layout of its own. A scroll position above
//! the one that was set here was chosen by the user, whatever moved it.

use leptos::html::Div;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::Closure;
use web_sys::{AddEventListenerOptions, Element, KeyboardEvent, ResizeObserver, WheelEvent};

/// A distance of at most this many pixels counts as the end, because positions are rounded.
const AT_END_PX: i32 = 2;

/// The scroll position of the conversation, and whether the view follows the end.
#[derive(Clone, Copy)]
pub struct Follow {
    /// The element that scrolls.
    pub scroller: NodeRef<Div>,
    /// The content of the scroller, which grows.
    pub content: NodeRef<Div>,
    is_following: RwSignal<bool>,
    /// Whether there is content below the view.
    is_away: RwSignal<bool>,
    /// The last scroll position that was read or set, in pixels.
    last_top: StoredValue<i32>,
}

impl Follow {
    /// A view that follows the end.
    pub fn new() -> Self {
        Self {
            scroller: NodeRef::new(),
            content: NodeRef::new(),
            is_following: RwSignal::new(true),
            is_away: RwSignal::new(false),
            last_top: StoredValue::new(0),
        }
    }

    /// Whether the view follows the end.
    pub fn is_following(self) -> bool {
        self.is_following.get_untracked()
    }

    /// Whether there is content below the view, and the view does not follow.
    pub fn is_away(self) -> bool {
        self.is_away.get() && !self.is_following.get()
    }

    /// Scrolls to the end and follows it from now on.
    pub fn resume(self) {
        self.is_following.set(true);
        if let Some(scroller) = self.scroller.get_untracked() {
            self.go_to_end(&scroller);
        }
    }

    /// Stops following, because the user is about to change something in the view.
    pub fn pause(self) {
        self.is_following.set(false);
    }

    /// Records the position of the first visible message, before messages are inserted above it. `None` if the browser
    /// keeps the position by itself, which it does except at the very top.
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

    /// Scrolls a message into view, by its index on the path, and highlights it.
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

    /// Starts to observe the elements once they are mounted.
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

    /// Scrolls to the end after the content or the view was resized.
    fn on_resize(self, scroller: &Element) {
        if self.is_following.get_untracked() {
            // The position is above the last one, and not because the content shrank: the user scrolled up, and the
            // scroll event is still to come.
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

    /// Stops following when the user scrolls up, if there is content above.
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

/// The position of a message, to be restored after messages are inserted above it.
pub struct Held {
    scroller: Element,
    first: Element,
    place: f64,
}

impl Held {
    /// Scrolls by as much as the message has moved.
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

/// The height of the content below the view, in pixels.
fn below(scroller: &Element) -> i32 {
    scroller.scroll_height() - scroller.client_height() - scroller.scroll_top()
}

/// Adds a passive event listener, which never delays scrolling. It lives as long as the page.
fn listen<E: JsCast + wasm_bindgen::convert::FromWasmAbi + 'static>(
    element: &Element,
    event: &str,
    handle: impl Fn(&Element, E) + 'static,
) {
    let options = AddEventListenerOptions::new();
    options.set_passive(true);
    let target = element.clone();
    let closure = Closure::<dyn FnMut(E)>::new(move |event| handle(&target, event)).into_js_value();
    // Adding a listener fails only for an invalid target.
    let _ = element.add_event_listener_with_callback_and_add_event_listener_options(
        event,
        closure.unchecked_ref(),
        &options,
    );
}
