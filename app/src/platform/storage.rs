//! The browser's storage for this page: the draft, the theme, the preferences.
//!
//! The trait is here and its implementation in `frontend`, because this crate does no I/O. There is no storage on
//! the server, and a browser may refuse access; the page works without it.

use std::sync::Arc;

use leptos::prelude::{provide_context, use_context};

/// The keys under which values are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageKey {
    /// The message that is being written.
    Draft,
    /// The theme, if one was chosen. `public/theme.js` reads it, too.
    Theme,
    /// The model and the parameters of requests.
    Preferences,
    /// When Enter sends, if that was chosen.
    EnterSends,
    /// The favourite models.
    FavouriteModels,
    /// Whether the sidebar is hidden. `public/theme.js` reads it, too.
    Sidebar,
    /// Whether the person wants to be notified of answers.
    Notices,
}

impl StorageKey {
    /// The name of the key in the browser's storage.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Draft => "rill.draft",
            Self::Theme => "rill.theme",
            Self::Preferences => "rill.preferences",
            Self::EnterSends => "rill.enter",
            Self::FavouriteModels => "rill.favourites",
            Self::Sidebar => "rill.sidebar",
            Self::Notices => "rill.notices",
        }
    }
}

/// A small storage that outlives the page.
pub trait Storage: Send + Sync {
    /// The value under a key; `None` if there is none or the storage cannot be read.
    fn get(&self, key: StorageKey) -> Option<String>;

    /// Stores a value under a key. An empty value removes the key. Failures are ignored.
    fn set(&self, key: StorageKey, value: &str);
}

/// Provides the storage as a context.
pub fn provide_storage(storage: impl Storage + 'static) {
    provide_context::<Arc<dyn Storage>>(Arc::new(storage));
}

/// The storage; `None` on the server.
#[must_use]
pub fn use_storage() -> Option<Arc<dyn Storage>> {
    use_context()
}
