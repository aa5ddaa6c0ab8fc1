//! Parts of the page that are files of their own, loaded when they are needed.
//!
//! With the feature `split` (and `cargo leptos build --split`, which cuts the wasm) a part is fetched at
//! its first call. Without it, as while developing, everything is one file and the call is a call. Both
//! ways it is the same function; a file that cannot be had is an error to show, never a panic, and the
//! next call tries again.

use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::platform::clock::{BrowserClock, Clock};

/// The file of a part could not be loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a part of the page could not be loaded")]
pub struct NotLoaded;

#[cfg(feature = "split")]
impl From<leptos::wasm_split::SplitLoaderError> for NotLoaded {
    fn from(_: leptos::wasm_split::SplitLoaderError) -> Self {
        Self
    }
}

/// Makes a function the way into a part of the same name. Calling it gives a future of its result, or
/// [`NotLoaded`].
#[macro_export]
macro_rules! lazy_part {
    ($(#[$attribute:meta])* $visibility:vis fn $name:ident($($argument:ident: $type:ty),* $(,)?) -> $output:ty $body:block) => {
        $(#[$attribute])*
        #[cfg(feature = "split")]
        #[leptos::wasm_split::wasm_split($name, wasm_split_path = leptos::wasm_split, fallible)]
        $visibility fn $name($($argument: $type),*) -> Result<$output, $crate::page::lazy::NotLoaded> {
            Ok($body)
        }

        $(#[$attribute])*
        #[cfg(not(feature = "split"))]
        $visibility async fn $name($($argument: $type),*) -> Result<$output, $crate::page::lazy::NotLoaded> {
            Ok($body)
        }
    };
}

pub use lazy_part;

/// What happens when a person turns to the page, or the network is back with which the file of a part
/// may have been lost.
pub(crate) const FIRST_INTERACTION: &[&str] = &["keydown", "pointerdown", "online"];

/// Calls this at each of these events of the window. In the browser only.
pub(crate) fn on_each(events: &'static [&'static str], load: impl Fn() + Clone + 'static) {
    Effect::new(move |_| {
        let listen = |event: &&str| {
            let load = load.clone();
            window_event_listener_untyped(event, move |_| load())
        };
        let listeners: Vec<_> = events.iter().map(listen).collect();
        on_cleanup(move || listeners.into_iter().for_each(WindowListenerHandle::remove));
    });
}

/// How far a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LoadState {
    NotLoaded,
    Loading,
    Live,
    Failed,
}

/// A part that comes to life once, when somebody first turns to it: a handle that can be copied.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LazyPart(RwSignal<LoadState>);

impl LazyPart {
    /// One that nobody has turned to.
    pub(crate) fn new() -> Self {
        Self(RwSignal::new(LoadState::NotLoaded))
    }

    /// Whether it works.
    pub(crate) fn is_live(self) -> bool {
        self.0.get() == LoadState::Live
    }

    /// Whether its file could not be had. Waking it tries again.
    pub(crate) fn has_failed(self) -> bool {
        self.0.get() == LoadState::Failed
    }

    /// Brings it to life by this future, unless it is alive or about to be.
    pub(crate) fn load(self, coming: impl Future<Output = Result<(), NotLoaded>> + 'static) {
        let can_load = |state: LoadState| matches!(state, LoadState::NotLoaded | LoadState::Failed);
        // Its place may be gone by now, and by the time that its file is there.
        if self.0.try_get_untracked().is_some_and(can_load) {
            self.0.set(LoadState::Loading);
            spawn_local(async move {
                // The key that woke it is answered before files are asked for.
                BrowserClock.wait(Duration::ZERO).await;
                let state = match coming.await {
                    Ok(()) => LoadState::Live,
                    Err(NotLoaded) => LoadState::Failed,
                };
                let _ = self.0.try_set(state);
            });
        }
    }
}
