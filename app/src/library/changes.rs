//! What the page needs to hear of changes that other tabs, devices and the model make.
//!
//! The trait stands here and its real implementation in `frontend`. On the server there is none.

use std::sync::Arc;

use futures::stream::LocalBoxStream;
use leptos::prelude::{provide_context, use_context};

use crate::protocol::saved::Change;

/// Tells of changes to saved conversations.
pub trait ChangeFeed: Send + Sync {
    /// The changes from now on, for as long as somebody reads. Where some may have been missed, as at
    /// the beginning of each connection, [`Change::Reload`] says so.
    fn changes(&self) -> LocalBoxStream<'static, Change>;
}

/// Makes the feed available to the page.
pub fn provide_changes(feed: impl ChangeFeed + 'static) {
    provide_context::<Arc<dyn ChangeFeed>>(Arc::new(feed));
}

/// The feed, if there is one here.
#[must_use]
pub fn use_changes() -> Option<Arc<dyn ChangeFeed>> {
    use_context()
}
