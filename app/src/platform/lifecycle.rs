//! The page lifecycle: whether the page is visible, and whether the browser has a network, as far as it reports it.
//!
//! The trait is here and its implementation in `frontend`. There is no lifecycle on the server.

use std::sync::Arc;

use futures::stream::LocalBoxStream;
use leptos::prelude::{provide_context, use_context};

/// A change of the page lifecycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LifecycleEvent {
    /// The page is visible again, or the machine woke up.
    Shown,
    /// The page is hidden: another tab is in front, or the phone is locked.
    Hidden,
    /// The browser has a network again, perhaps a different one.
    Online,
}

/// The source of lifecycle events.
pub trait Lifecycle: Send + Sync {
    /// Whether the page is hidden now.
    fn is_hidden(&self) -> bool;

    /// The events from now on. The stream does not end while the page lives.
    fn events(&self) -> LocalBoxStream<'static, LifecycleEvent>;
}

/// Provides the lifecycle as a context.
pub fn provide_lifecycle(lifecycle: impl Lifecycle + 'static) {
    provide_context::<Arc<dyn Lifecycle>>(Arc::new(lifecycle));
}

/// The lifecycle; `None` on the server.
#[must_use]
pub fn use_lifecycle() -> Option<Arc<dyn Lifecycle>> {
    use_context()
}
