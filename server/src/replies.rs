//! The engine: makes replies, each a task that reads a provider and emits events.
//!
//! `relay` reads the provider's answer, with its limits and its line in the log. `stateless` writes the
//! events into a pipe for the one reader of a reply that is not saved. `begin` stores a message and starts
//! the reply to it; `saved` makes that reply whether anybody reads it or not, and `log` keeps its events for
//! any number of readers. `running` knows which replies are being made.

pub mod frame;
pub mod log;
mod relay;

pub(crate) mod begin;
mod prompt;
pub mod running;
mod saved;
pub(crate) mod stateless;
pub(crate) mod stream;
mod title;
mod title_text;

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::log::Log;
use self::running::RunningReplies;
use crate::providers::Registry;
use crate::store::{ChangeFeed, Store, StoreError};

/// What makes replies; cheap to clone.
#[derive(Clone)]
pub struct Replies {
    /// The models that can be asked.
    pub providers: Arc<Registry>,
    /// Where saved replies are kept.
    pub store: Arc<Store>,
    /// Where changes of conversations are announced.
    pub changes: ChangeFeed,
    /// The saved replies that are being made.
    pub running: Arc<RunningReplies>,
    /// All tasks that make replies, saved or not.
    pub tasks: TaskTracker,
    /// Cancelled when no new replies are to begin.
    pub drain: CancellationToken,
    /// Cancelled when the running replies are to end.
    pub shutdown: CancellationToken,
    /// What is configured.
    pub settings: Settings,
}

/// What is configured of replies.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How long a whole reply may take.
    pub total_timeout: Duration,
    /// Whether the model is asked for titles of new conversations.
    pub titles_by_model: bool,
    /// Whether the store outlives the server.
    pub keeps: bool,
}

/// Something that is held while a reply is being made, and dropped when it has ended.
pub(crate) type Guard = Box<dyn Any + Send>;

impl Replies {
    /// The log of a saved reply, whether it is being made or has been stored.
    ///
    /// # Errors
    /// When the owner has no such reply, or the store fails.
    pub(crate) async fn log_of(
        &self,
        owner: &str,
        generation: &str,
    ) -> Result<Arc<Log>, StoreError> {
        if let Some(running) = self.running.get(owner, generation) {
            return Ok(Arc::clone(&running.log));
        }
        let stored = self.store.reply(owner, generation).await?;
        // It began to run while the store was asked.
        if let Some(running) = self.running.get(owner, generation) {
            return Ok(Arc::clone(&running.log));
        }
        Ok(Log::of_stored(stored))
    }

    /// Stops a reply. One that has ended stays as it is.
    ///
    /// # Errors
    /// When the owner has no such reply, or the store fails.
    pub(crate) async fn stop(&self, owner: &str, generation: &str) -> Result<(), StoreError> {
        match self.running.get(owner, generation) {
            Some(running) => running.stop().await,
            None => {
                self.store.reply(owner, generation).await?;
            }
        }
        Ok(())
    }
}

/// 128 random bits in the form of all ids: who knows the id of a reply may read it.
pub(crate) fn new_id() -> String {
    uuid::Uuid::from_u128(rand::random()).to_string()
}
