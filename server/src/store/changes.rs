//! The feed of changes: what lists of conversations are told.

use std::sync::Arc;

use app::protocol::saved::Change;
use tokio::sync::broadcast;

use super::{Store, StoreError};

/// How many changes wait for a slow subscriber. One that falls behind further has to read the list again.
const BACKLOG: usize = 256;

/// Announces changes of conversations to the lists that show them; cheap to clone.
#[derive(Clone)]
pub struct ChangeFeed {
    store: Arc<Store>,
    sender: broadcast::Sender<(String, Change)>,
}

impl ChangeFeed {
    /// A feed without subscribers.
    #[must_use]
    pub fn new(store: Arc<Store>) -> Self {
        Self {
            store,
            sender: broadcast::Sender::new(BACKLOG),
        }
    }

    /// The changes from now on, each with its owner.
    pub(crate) fn subscribe(&self) -> broadcast::Receiver<(String, Change)> {
        self.sender.subscribe()
    }

    /// Announces a change.
    pub(crate) fn announce(&self, owner: &str, change: Change) {
        // An error means that nobody listens.
        let _ = self.sender.send((owner.to_owned(), change));
    }

    /// Announces what a conversation looks like now.
    pub(crate) async fn announce_conversation(&self, owner: &str, id: &str) {
        match self.store.summary(owner, id).await {
            Ok(summary) => self.announce(owner, Change::Changed(summary)),
            // It is in no list any more.
            Err(StoreError::NotFound) => {}
            Err(error) => tracing::debug!(%error, "a change was not announced"),
        }
    }
}
