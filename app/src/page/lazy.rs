//! Lazy parts of the page: wasm files of their own, loaded when they are needed.
//!
//! With the feature `split` (and `cargo leptos build --split`, which splits the wasm) a part is fetched at its first
//! call. Without it, as during development, everything is one file and the call is an ordinary one. A file that cannot
//! be loaded is an error, never a panic, and the next call tries again.

use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::platform::clock::{BrowserClock, Clock};

/// The file of a lazy part could not be loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a part of the page could not be loaded")]
pub struct NotLoaded;

#[cfg(feature = "split")]
impl From<leptos::wasm_split::SplitLoaderError> for NotLoaded {
    fn from(_: leptos::wasm_split::SplitLoaderError) -> Self {
        Self
    }
}

/// Makes a function the entry point of a lazy part of the same name. Calling it returns a future of its result, or
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

/// The window events of the first interaction, and the return of the network, without which a part could not be
/// loaded.
pub(crate) const FIRST_INTERACTION: &[&str] = &["keydown", "pointerdown", "online"];

/// Calls `load` at each of these window events. In the browser only.
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

/// The state of a lazy part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LoadState {
    NotLoaded,
    Loading,
    Live,
    Failed,
}

/// A lazy part that is loaded once. The handle is `Copy`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LazyPart(RwSignal<LoadState>);

impl LazyPart {
    /// A part that is not loaded.
    pub(crate) fn new() -> Self {
        Self(RwSignal::new(LoadState::NotLoaded))
    }

    /// Whether the part is loaded.
    pub(crate) fn is_live(self) -> bool {
        self.0.get() == LoadState::Live
    }

    /// Whether loading failed. [`LazyPart::load`] tries again.
    pub(crate) fn has_failed(self) -> bool {
        self.0.get() == LoadState::Failed
    }

    /// Loads the part with this future, unless it is loaded or being loaded.
    pub(crate) fn load(self, loading: impl Future<Output = Result<(), NotLoaded>> + 'static) {
        let can_load = |state: LoadState| matches!(state, LoadState::NotLoaded | LoadState::Failed);
        // The owner of the signal may be gone, now or when the file arrives.
        if self.0.try_get_untracked().is_some_and(can_load) {
            self.0.set(LoadState::Loading);
            spawn_local(async move {
                // The browser handles the key that triggered the load before it requests files.
                BrowserClock.wait(Duration::ZERO).await;
                let state = match loading.await {
                    Ok(()) => LoadState::Live,
                    Err(NotLoaded) => LoadState::Failed,
                };
                let _ = self.0.try_set(state);
            });
        }
    }
}
