//! What the page remembers in this browser: the draft, the theme, what was chosen.
//!
//! The trait stands here and its real implementation in `frontend`, so that this crate does no I/O.
//! On the server there is none, and a browser may refuse: forgetting is always allowed.

use std::sync::Arc;

use leptos::prelude::{provide_context, use_context};

/// What is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageKey {
    /// The message that is being written.
    Draft,
    /// Light or dark, if the person chose. `public/theme.js` reads it too, under this name.
    Theme,
    /// The model, and how it shall answer.
    Preferences,
    /// Whether Enter sends, if the person chose.
    EnterSends,
}

impl StorageKey {
    /// The name under which a browser keeps it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Draft => "rill.draft",
            Self::Theme => "rill.theme",
            Self::Preferences => "rill.preferences",
            Self::EnterSends => "rill.enter",
        }
    }
}

/// A small storage that outlives the page.
pub trait Storage: Send + Sync {
    /// What was remembered, if anything was and it can be read.
    fn get(&self, key: StorageKey) -> Option<String>;

    /// Remembers a value in the place of the older one; an empty one is forgotten.
    fn set(&self, key: StorageKey, value: &str);
}

/// Makes the storage available to the page.
pub fn provide_storage(storage: impl Storage + 'static) {
    provide_context::<Arc<dyn Storage>>(Arc::new(storage));
}

/// The storage, if there is one here.
#[must_use]
pub fn use_storage() -> Option<Arc<dyn Storage>> {
    use_context()
}
