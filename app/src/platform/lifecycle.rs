//! Whether the person can see the page and the browser has a network, as far as it says so.
//!
//! The trait stands here and its real implementation in `frontend`. On the server there is none.

use std::sync::Arc;

use futures::stream::LocalBoxStream;
use leptos::prelude::{provide_context, use_context};

/// Something changed around the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LifecycleEvent {
    /// The page can be seen again, or the machine woke up.
    Shown,
    /// The page cannot be seen: another tab is in front, or the phone is locked.
    Hidden,
    /// The browser has a network again, perhaps another one than before.
    Online,
}

/// What tells of such changes.
pub trait Lifecycle: Send + Sync {
    /// Whether the page is hidden now.
    fn is_hidden(&self) -> bool;

    /// The changes from now on. It ends with the page.
    fn events(&self) -> LocalBoxStream<'static, LifecycleEvent>;
}

/// Makes the lifecycle known to the page.
pub fn provide_lifecycle(lifecycle: impl Lifecycle + 'static) {
    provide_context::<Arc<dyn Lifecycle>>(Arc::new(lifecycle));
}

/// The lifecycle, if there is one here.
#[must_use]
pub fn use_lifecycle() -> Option<Arc<dyn Lifecycle>> {
    use_context()
}
