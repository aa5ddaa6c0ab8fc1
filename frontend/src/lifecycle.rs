//! Whether the page is seen and the browser has a network, by the browser's own events.

use app::platform::lifecycle::{Lifecycle, LifecycleEvent};
use futures::channel::mpsc::{UnboundedSender, unbounded};
use futures::stream::{LocalBoxStream, StreamExt};
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::Closure;
use web_sys::{Document, EventTarget, VisibilityState};

/// What the browser tells.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BrowserLifecycle;

impl Lifecycle for BrowserLifecycle {
    fn is_hidden(&self) -> bool {
        document().is_some_and(|document| is_hidden(&document))
    }

    fn lifecycle_events(&self) -> LocalBoxStream<'static, LifecycleEvent> {
        let (lifecycle_events, stream) = unbounded();
        let listeners = listeners(&lifecycle_events);
        stream
            .map(move |lifecycle_event| {
                // They live as long as somebody reads.
                let _ = &listeners;
                lifecycle_event
            })
            .boxed_local()
    }
}

/// Listens to all that can mean a change.
fn listeners(lifecycle_events: &UnboundedSender<LifecycleEvent>) -> Vec<Listener> {
    let (Some(window), Some(document)) = (web_sys::window(), document()) else {
        return Vec::new();
    };
    let visibility = {
        let document = document.clone();
        move || {
            if is_hidden(&document) {
                LifecycleEvent::Hidden
            } else {
                LifecycleEvent::Shown
            }
        }
    };
    [
        Listener::new(&document, "visibilitychange", lifecycle_events, visibility),
        // A page that comes out of the back/forward cache, and one that was frozen.
        Listener::new(&window, "pageshow", lifecycle_events, || {
            LifecycleEvent::Shown
        }),
        Listener::new(&document, "resume", lifecycle_events, || {
            LifecycleEvent::Shown
        }),
        Listener::new(&window, "online", lifecycle_events, || {
            LifecycleEvent::Online
        }),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Listens until it is dropped.
struct Listener {
    target: EventTarget,
    event: &'static str,
    handle: Closure<dyn FnMut()>,
}

impl Listener {
    fn new(
        target: &EventTarget,
        event: &'static str,
        lifecycle_events: &UnboundedSender<LifecycleEvent>,
        lifecycle_event: impl Fn() -> LifecycleEvent + 'static,
    ) -> Option<Self> {
        let lifecycle_events = lifecycle_events.clone();
        let handle = Closure::<dyn FnMut()>::new(move || {
            // Nobody may be reading any more.
            let _ = lifecycle_events.unbounded_send(lifecycle_event());
        });
        target
            .add_event_listener_with_callback(event, handle.as_ref().unchecked_ref())
            .ok()?;
        Some(Self {
            target: target.clone(),
            event,
            handle,
        })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // It fails only for what is no listener.
        let _ = self
            .target
            .remove_event_listener_with_callback(self.event, self.handle.as_ref().unchecked_ref());
    }
}

fn document() -> Option<Document> {
    web_sys::window()?.document()
}

fn is_hidden(document: &Document) -> bool {
    document.visibility_state() == VisibilityState::Hidden
}
