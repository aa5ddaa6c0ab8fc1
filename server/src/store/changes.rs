//! The feed of changes to conversations, which keeps open lists of conversations up to date.

use std::sync::Arc;

use app::protocol::saved::Change;
use tokio::sync::broadcast;

use super::{Store, StoreError};

/// The most changes that wait for a slow subscriber. A subscriber that falls further behind has to read the
/// list again.
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

    /// Subscribes to the changes from now on, each with its owner.
    pub(crate) fn subscribe(&self) -> broadcast::Receiver<(String, Change)> {
        self.sender.subscribe()
    }

    /// Announces a change to the subscribers.
    pub(crate) fn announce(&self, owner: &str, change: Change) {
        // An error means that there is no subscriber.
        let _ = self.sender.send((owner.to_owned(), change));
    }

    /// Announces the present summary of a conversation.
    pub(crate) async fn announce_conversation(&self, owner: &str, id: &str) {
        // A later subscriber reads the list after it has subscribed.
        if self.sender.receiver_count() == 0 {
            return;
        }
        match self.store.summary(owner, id).await {
            Ok(summary) => self.announce(owner, Change::Changed(summary)),
            // The conversation was deleted meanwhile.
            Err(StoreError::NotFound) => {}
            Err(error) => tracing::debug!(%error, "a change was not announced"),
        }
    }
}
