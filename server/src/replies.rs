//! The engine: makes replies, each in a task that reads a provider and emits events.
//!
//! `relay` reads the provider's answer and writes one log line for each reply. `stateless` writes the events
//! of a reply that is not saved into a pipe with one reader. `begin` stores a message and starts the reply to
//! it, `saved` makes that reply whether or not a client reads it, `pieces` stores what has come of it, and `log`
//! keeps its events for any number of readers. `running` lists the saved replies that are being made.

pub mod frame;
pub mod log;
mod relay;

pub(crate) mod begin;
pub(crate) mod pieces;
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
use self::pieces::PieceWriter;
use self::running::RunningReplies;
use crate::metrics::Metrics;
use crate::providers::Registry;
use crate::store::{ChangeFeed, Store, StoreError};

/// The engine with its dependencies. It is cheap to clone.
#[derive(Clone)]
pub struct Replies {
    /// The models of the configured providers.
    pub providers: Arc<Registry>,
    /// Where saved replies are kept.
    pub store: Arc<Store>,
    /// Stores pieces of running replies.
    pub(crate) pieces: PieceWriter,
    /// The feed on which changes of conversations are announced.
    pub changes: ChangeFeed,
    /// The metrics of replies.
    pub metrics: Arc<Metrics>,
    /// The saved replies that are being made.
    pub running: Arc<RunningReplies>,
    /// The tasks of all replies, saved or not.
    pub tasks: TaskTracker,
    /// Cancelled when no new reply may begin.
    pub drain: CancellationToken,
    /// Cancelled when the running replies must end.
    pub shutdown: CancellationToken,
    /// The configuration of replies.
    pub settings: ReplySettings,
}

/// The configuration of replies.
#[derive(Debug, Clone, Copy)]
pub struct ReplySettings {
    /// The time limit of a whole reply.
    pub total_timeout: Duration,
    /// Whether a model writes the titles of new conversations.
    pub titles_by_model: bool,
    /// Whether the store outlives the process. A store in memory does not.
    pub keeps: bool,
}

/// A value that is held while a reply is being made and dropped when it has ended, such as a pass.
pub(crate) type Guard = Box<dyn Any + Send>;

impl Replies {
    /// The log of a saved reply that is being made or has been stored.
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
        // The reply may have begun during the query.
        if let Some(running) = self.running.get(owner, generation) {
            return Ok(Arc::clone(&running.log));
        }
        Ok(Log::of_stored(stored))
    }

    /// Stops a reply. A reply that has ended is not changed.
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

/// A random id of 128 bits, formatted as a UUID. Whoever knows the id of a reply may read it.
pub(crate) fn new_id() -> String {
    uuid::Uuid::from_u128(rand::random()).to_string()
}
