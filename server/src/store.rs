//! The store: conversations in a SQLite or PostgreSQL database.
//!
//! SQLite is embedded and the default. The SQL is the same for both; `database` has what differs. Each
//! method of [`Store`] is one transaction, or several short ones for long work. Rows do not leave the
//! store. Every row has an owner, and every query names it: a row of another owner is not found.
//!
//! One connection writes to SQLite, so that writers wait for each other in the pool and not for the lock of
//! the file. Other connections read at the same time.

pub mod model;

mod changes;
mod database;
mod edit;
mod import;
mod maintenance;
mod migrations;
mod open;
pub mod people;
mod presets;
mod probe;
mod read;
mod replies;
mod search;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::time::Duration;

use tokio::sync::Mutex;

use crate::metrics::{Metrics, PoolMetrics};

pub use self::changes::ChangeFeed;
use self::database::connections::Connections;
use self::database::slice::SLICE;
use self::database::transaction::{WRITE_LIMIT, WRITE_TOTAL};
use self::database::{Database, failure};
pub use self::edit::CutMessages;
pub use self::maintenance::{backup, check, count_unused, examine, running_process};
pub use self::model::{
    Begun, ConversationHead, ConversationKey, Finished, GenerationEnd, ImportCursor, ImportPart,
    MessageKey, MessagePage, NewPiece, NewReply, PathEnd, PathLimit, Piece, StoredReply, TitledBy,
    Turn,
};
pub use self::open::{OpenedStore, StoreSettings, open, open_beside};

/// The owner of the rows of a server without accounts.
pub const LOCAL_OWNER: &str = "local";

/// The result of the methods of [`Store`].
pub type Result<T> = std::result::Result<T, StoreError>;

/// Why a method of [`Store`] failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The row does not exist, or has another owner.
    #[error("there is no such thing")]
    NotFound,
    /// The request is invalid. The sentence is for a person.
    #[error("{0}")]
    Invalid(&'static str),
    /// The database failed. The sentence is for the log and contains no data.
    #[error("{0}")]
    Failed(String),
}

/// A database with conversations.
pub struct Store {
    write: Connections,
    read: Connections,
    database: Database,
    /// Whether the database exists only in its one connection.
    is_memory: bool,
    /// The time limits of a write transaction: [`WRITE_LIMIT`] and [`WRITE_TOTAL`], except in tests.
    write_limit: Duration,
    write_total: Duration,
    #[cfg(test)]
    faults: std::sync::Arc<tests::faults::Faults>,
    /// The metrics of the connections that write and of those that read.
    write_metrics: PoolMetrics,
    read_metrics: PoolMetrics,
    /// Locked for one slice of long work, see `database::slice`.
    long_work: Mutex<()>,
    /// The length of a slice: [`SLICE`], except in tests.
    slice: Duration,
    /// The lock of the folder, held by this process.
    _lock: Option<File>,
}

impl Store {
    fn new(write: Connections, read: Connections, database: Database) -> Self {
        Self {
            write,
            read,
            database,
            is_memory: false,
            write_limit: WRITE_LIMIT,
            write_total: WRITE_TOTAL,
            #[cfg(test)]
            faults: std::sync::Arc::default(),
            write_metrics: PoolMetrics::default(),
            read_metrics: PoolMetrics::default(),
            long_work: Mutex::new(()),
            slice: SLICE,
            _lock: None,
        }
    }

    /// The same store, counted in these metrics.
    #[must_use]
    pub fn counted_in(self, metrics: &Metrics) -> Self {
        Self {
            write_metrics: metrics.pool("write"),
            read_metrics: metrics.pool("read"),
            ..self
        }
    }

    /// Closes the connections. SQLite then moves the write-ahead log into the file.
    pub async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::RowNotFound => Self::NotFound,
            sqlx::Error::Database(error) => Self::Failed(failure::describe(error.as_ref())),
            // The sentence of a refused statement, without sqlx's words around it.
            sqlx::Error::AnyDriverError(error) => Self::Failed(error.to_string()),
            error => Self::Failed(error.to_string()),
        }
    }
}

/// The current time, in milliseconds since 1970.
#[must_use]
pub fn now() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |time| {
            i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
        })
}

/// A new id. Ids sort by the time of their creation.
#[must_use]
pub fn new_id() -> String {
    uuid::Uuid::now_v7().to_string()
}
