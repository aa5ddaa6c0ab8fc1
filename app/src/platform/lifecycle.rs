//! Whether the person can see the page and the browser has a network, as far as it says so.
//!
//! The trait stands here and its real implementation in `frontend`. On the server there is none.

use std::sync::Arc;

use futures::stream::LocalBoxStream;
use leptos::prelude::{provide_context, use_context};

/// Something changed around the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// The page can be seen again, or the machine woke up.
    Shown,
    /// The page cannot be seen: another tab is in front, or the phone is locked.
    Hidden,
    /// The browser has a network again, perhaps another one than before.
    Online,
}

/// What tells of such changes.
pub trait Presence: Send + Sync {
    /// Whether the page is hidden now.
    fn is_hidden(&self) -> bool;

    /// The changes from now on. It ends with the page.
    fn signs(&self) -> LocalBoxStream<'static, Sign>;
}

/// Makes the presence known to the page.
pub fn provide_presence(presence: impl Presence + 'static) {
    provide_context::<Arc<dyn Presence>>(Arc::new(presence));
}

/// The presence, if there is one here.
#[must_use]
pub fn use_presence() -> Option<Arc<dyn Presence>> {
    use_context()
}
