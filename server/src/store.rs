//! Conversations in a database: what can be done with them, and what can go wrong.
//!
//! The SQL is the same for SQLite, which is embedded and the default, and for PostgreSQL; `sqlite` and
//! `postgres` hold what differs. Each method of [`Store`] is one transaction (`transaction`). Rows do not
//! leave this module. Every row has an owner, and every query asks for it: what is somebody else's is not
//! found.
//!
//! One connection writes to SQLite, so that writers wait for each other here and not for the lock of the
//! database; others read beside it.

pub mod model;

mod changes;
mod database;
mod failure;
mod maintenance;
mod migrations;
mod open;
mod postgres;
mod sqlite;

mod edit;
mod import;
mod pages;
mod path;
mod read;
mod remove;
mod replies;
mod rows;
pub mod search;
mod slices;
mod transaction;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::time::Duration;

use sqlx::AnyPool;
use tokio::sync::Mutex;

pub use self::changes::ChangeFeed;
use self::database::Database;
pub use self::maintenance::{backup, check};
pub use self::model::{
    Ask, Begun, ConversationHead, ConversationKey, End, Finished, ImportCursor, ImportPart,
    MessageKey, MessagePage, NewReply, PathEnd, PathLimit, Piece, StoredReply, TitledBy,
};
pub use self::open::{Opened, Settings, open};
use self::slices::SLICE;
use self::transaction::{WRITE_LIMIT, WRITE_TOTAL};

/// The one owner, until there are accounts.
pub const LOCAL_OWNER: &str = "local";

/// What the methods of [`Store`] return.
pub type Result<T> = std::result::Result<T, StoreError>;

/// Why something could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such thing, or it is somebody else's.
    #[error("there is no such thing")]
    NotFound,
    /// It makes no sense: a sentence for a person.
    #[error("{0}")]
    Invalid(&'static str),
    /// The database failed. The sentence is for the log and names no content.
    #[error("{0}")]
    Failed(String),
}

/// A database with conversations.
pub struct Store {
    write: AnyPool,
    read: AnyPool,
    database: Database,
    /// Whether the database is lost with its one connection.
    is_memory: bool,
    /// How long a transaction that writes may wait for its owner, and be open in all: [`WRITE_LIMIT`]
    /// and [`WRITE_TOTAL`], except in tests.
    write_limit: Duration,
    write_total: Duration,
    #[cfg(test)]
    faults: std::sync::Arc<tests::faults::Faults>,
    /// Held for one slice of long work (`slices`).
    long_work: Mutex<()>,
    /// How long such a slice is: [`SLICE`], except in tests.
    slice: Duration,
    /// Says to other processes that this one works with the file.
    _lock: Option<File>,
}

impl Store {
    fn new(write: AnyPool, read: AnyPool, database: Database) -> Self {
        Self {
            write,
            read,
            database,
            is_memory: false,
            write_limit: WRITE_LIMIT,
            write_total: WRITE_TOTAL,
            #[cfg(test)]
            faults: std::sync::Arc::default(),
            long_work: Mutex::new(()),
            slice: SLICE,
            _lock: None,
        }
    }

    /// Closes the connections, which writes everything into the file.
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
            // A sentence of ours.
            sqlx::Error::AnyDriverError(error) => Self::Failed(error.to_string()),
            error => Self::Failed(error.to_string()),
        }
    }
}

/// The time, in milliseconds since 1970.
#[must_use]
pub fn now() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |time| {
            i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
        })
}

/// A new id, that sorts by time.
#[must_use]
pub fn new_id() -> String {
    uuid::Uuid::now_v7().to_string()
}
