//! The page lifecycle as the browser reports it.

use app::platform::lifecycle::{Lifecycle, LifecycleEvent};
use futures::channel::mpsc::{UnboundedSender, unbounded};
use futures::stream::{LocalBoxStream, StreamExt};
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::Closure;
use web_sys::{Document, EventTarget, VisibilityState};

/// The browser's page lifecycle.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BrowserLifecycle;

impl Lifecycle for BrowserLifecycle {
    fn is_hidden(&self) -> bool {
        document().is_some_and(|document| is_hidden(&document))
    }

    fn events(&self) -> LocalBoxStream<'static, LifecycleEvent> {
        let (events, stream) = unbounded();
        let listeners = listeners(&events);
        stream
            .map(move |event| {
                // The listeners live as long as the stream.
                let _ = &listeners;
                event
            })
            .boxed_local()
    }
}

/// Listens to every DOM event that can mean a change.
fn listeners(events: &UnboundedSender<LifecycleEvent>) -> Vec<Listener> {
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
    let shown = || LifecycleEvent::Shown;
    [
        Listener::new(&document, "visibilitychange", events, visibility),
        // The page comes out of the back/forward cache, or was frozen.
        Listener::new(&window, "pageshow", events, shown),
        Listener::new(&document, "resume", events, shown),
        Listener::new(&window, "online", events, || LifecycleEvent::Online),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A DOM event listener, removed when it is dropped.
struct Listener {
    target: EventTarget,
    name: &'static str,
    handle: Closure<dyn FnMut()>,
}

impl Listener {
    fn new(
        target: &EventTarget,
        name: &'static str,
        events: &UnboundedSender<LifecycleEvent>,
        read: impl Fn() -> LifecycleEvent + 'static,
    ) -> Option<Self> {
        let events = events.clone();
        let handle = Closure::<dyn FnMut()>::new(move || {
            // Sending fails only if the stream was dropped.
            let _ = events.unbounded_send(read());
        });
        target
            .add_event_listener_with_callback(name, handle.as_ref().unchecked_ref())
            .ok()?;
        Some(Self {
            target: target.clone(),
            name,
            handle,
        })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Removing fails only for a value that is not a listener.
        let _ = self
            .target
            .remove_event_listener_with_callback(self.name, self.handle.as_ref().unchecked_ref());
    }
}

fn document() -> Option<Document> {
    web_sys::window()?.document()
}

fn is_hidden(document: &Document) -> bool {
    document.visibility_state() == VisibilityState::Hidden
}
