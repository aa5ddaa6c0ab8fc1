//! The store in SQL, the same for both databases, through sqlx's `Any` driver.
//!
//! One connection writes to SQLite, so that writers wait for each other here and not for the
//! database's lock; others read beside it. Each method is one transaction (`transaction`).

mod begin;
mod edit;
#[cfg(test)]
pub(super) mod faults;
#[cfg(test)]
mod full_disk;
mod import;
mod pages;
mod path;
mod read;
mod remove;
mod rows;
mod slices;
mod transaction;

use std::fs::File;
use std::time::Duration;

use app::protocol::saved::{
    ConversationDetail, ConversationList, ConversationSummary, SavedMessage, SearchHit,
};
use async_trait::async_trait;
use sqlx::AnyPool;
use tokio::sync::Mutex;

use self::remove::Doomed;
use self::slices::SLICE;
use super::{
    Begun, ConversationHead, ConversationKey, Finished, ImportCursor, ImportPart, MessageKey,
    MessagePage, NewReply, PathEnd, PathLimit, Result, Store, StoreError, StoredReply, TitledBy,
    failure, postgres, sqlite, words,
};
use crate::replies::log::Piece;

pub(super) use self::transaction::Connection;
use self::transaction::{WRITE_LIMIT, WRITE_TOTAL};

/// A database with conversations.
pub struct Sql {
    pub(super) write: AnyPool,
    pub(super) read: AnyPool,
    pub(super) dialect: Dialect,
    /// Whether the database is lost with its one connection.
    pub(super) is_memory: bool,
    /// How long a transaction that writes may wait for its owner, and be open in all: [`WRITE_LIMIT`]
    /// and [`WRITE_TOTAL`], except in tests.
    pub(super) write_limit: Duration,
    pub(super) write_total: Duration,
    #[cfg(test)]
    pub(super) faults: std::sync::Arc<faults::Faults>,
    /// Held for one slice of long work (`slices`).
    pub(super) long_work: Mutex<()>,
    /// How long such a slice is: [`SLICE`], except in tests.
    pub(super) slice: Duration,
    /// Says to other processes that this one works with the file.
    pub(super) _lock: Option<File>,
}

impl Sql {
    pub(super) fn new(write: AnyPool, read: AnyPool, dialect: Dialect) -> Self {
        Self {
            write,
            read,
            dialect,
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
}

/// Which SQL is spoken, where it differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Sqlite,
    Postgres,
}

impl Dialect {
    /// The words of a text as they are put into the index. To be made before a transaction begins, for
    /// others wait for that, and away from the runtime's threads where there are many.
    async fn words_of(self, text: &str) -> String {
        /// As many bytes are done in about a millisecond.
        const FEW: usize = 16 * 1024;
        if text.len() <= FEW {
            return self.words(text);
        }
        let text = text.to_owned();
        tokio::task::spawn_blocking(move || self.words(&text))
            .await
            .expect("it does not panic")
    }

    /// Puts the words of a message into the index, in the place of what was there of it.
    async fn index_words(
        self,
        connection: &mut Connection,
        owner: &str,
        key: i64,
        words: String,
    ) -> Result<()> {
        match self {
            Self::Sqlite => sqlite::index_message(connection, owner, key, words).await,
            Self::Postgres => postgres::index_message(connection, key, words).await,
        }
    }

    /// The same for a title.
    async fn index_title(
        self,
        connection: &mut Connection,
        owner: &str,
        key: i64,
        title: &str,
    ) -> Result<()> {
        match self {
            Self::Sqlite => sqlite::index_title(connection, owner, key, title).await,
            Self::Postgres => postgres::index_title(connection, key, title).await,
        }
    }

    /// The words of a text, as they are put into the index.
    fn words(self, text: &str) -> String {
        match self {
            Self::Sqlite => words::index(text),
            Self::Postgres => postgres::vector(text),
        }
    }

    /// A text as the database can hold it: PostgreSQL has no room for the character zero.
    fn text(self, text: &str) -> String {
        match self {
            Self::Postgres if text.contains('\0') => text.replace('\0', "\u{fffd}"),
            _ => text.to_owned(),
        }
    }

    /// The same for a piece of a reply, so that its events keep their numbers.
    fn piece(self, piece: &Piece) -> Piece {
        match self {
            Self::Postgres => piece.replaced('\0', "\u{fffd}"),
            Self::Sqlite => piece.clone(),
        }
    }
}

#[async_trait]
impl Store for Sql {
    async fn begin(&self, owner: &str, reply: &NewReply) -> Result<Begun> {
        match self.begin_reply(owner, reply).await {
            // Another server was faster with the same request or the same new conversation.
            Err(StoreError::Failed(_)) if self.dialect == Dialect::Postgres => {
                self.begin_reply(owner, reply).await
            }
            other => other,
        }
    }

    async fn append(
        &self,
        owner: &str,
        generation: &str,
        number: i64,
        piece: &Piece,
    ) -> Result<()> {
        self.append_piece(owner, generation, number, piece).await
    }

    async fn finish(&self, owner: &str, generation: &str, finished: &Finished) -> Result<()> {
        self.finish_reply(owner, generation, finished).await
    }

    async fn interrupt_all(&self) -> Result<u64> {
        self.interrupt_replies().await
    }

    async fn reply(&self, owner: &str, generation: &str) -> Result<StoredReply> {
        self.stored_reply(owner, generation).await
    }

    async fn list(
        &self,
        owner: &str,
        before: Option<&str>,
        limit: u32,
    ) -> Result<ConversationList> {
        self.list_part(owner, before, limit).await
    }

    async fn summary(&self, owner: &str, id: &str) -> Result<ConversationSummary> {
        self.summary_of(owner, id).await
    }

    async fn get(&self, owner: &str, id: &str) -> Result<ConversationDetail> {
        let whole = self.whole(owner, id).await?;
        Ok(ConversationDetail {
            id: whole.id,
            title: whole.title,
            pinned: whole.pinned,
            leaf: whole.leaf,
            messages: whole.messages,
            ..ConversationDetail::default()
        })
    }

    async fn path(
        &self,
        owner: &str,
        id: &str,
        end: &PathEnd,
        limit: PathLimit,
    ) -> Result<ConversationDetail> {
        self.part_of_path(owner, id, end, limit).await
    }

    async fn keys(&self, owner: &str) -> Result<Vec<ConversationKey>> {
        self.keys_of(owner).await
    }

    async fn key(&self, owner: &str, id: &str) -> Result<ConversationKey> {
        self.key_of(owner, id).await
    }

    async fn head(&self, owner: &str, conversation: ConversationKey) -> Result<ConversationHead> {
        self.head_of(owner, conversation).await
    }

    async fn messages_after(
        &self,
        owner: &str,
        conversation: ConversationKey,
        after: Option<MessageKey>,
    ) -> Result<MessagePage> {
        self.page_after(owner, conversation, after).await
    }

    async fn shown(&self, owner: &str, conversation: ConversationKey) -> Result<Vec<MessageKey>> {
        self.shown_path(owner, conversation).await
    }

    async fn messages(
        &self,
        owner: &str,
        keys: &[MessageKey],
    ) -> Result<(Vec<SavedMessage>, usize)> {
        self.page_of(owner, keys).await
    }

    async fn rename(&self, owner: &str, id: &str, title: &str, by: TitledBy) -> Result<()> {
        self.set_title(owner, id, title, by).await
    }

    async fn pin(&self, owner: &str, id: &str, pinned: bool) -> Result<()> {
        self.set_pinned(owner, id, pinned).await
    }

    async fn delete(&self, owner: &str, id: &str, now: i64) -> Result<Vec<String>> {
        self.set_deleted(owner, id, now).await
    }

    async fn restore(&self, owner: &str, id: &str) -> Result<()> {
        self.set_restored(owner, id).await
    }

    async fn show(&self, owner: &str, id: &str, leaf: &str) -> Result<()> {
        self.set_leaf(owner, id, leaf).await
    }

    async fn read(&self, owner: &str, id: &str, now: i64) -> Result<()> {
        self.set_read(owner, id, now).await
    }

    async fn search(&self, owner: &str, query: &str, limit: u32) -> Result<Vec<SearchHit>> {
        self.find(owner, query, limit).await
    }

    async fn purge(&self, deleted_before: i64) -> Result<u64> {
        self.remove(Doomed::Of(remove::REMOVED)).await?;
        self.remove(Doomed::DeletedBefore(deleted_before)).await
    }

    async fn import(
        &self,
        owner: &str,
        import: &str,
        cursor: &mut ImportCursor,
        parts: Vec<ImportPart>,
    ) -> Result<Vec<bool>> {
        self.add_parts(owner, import, cursor, parts).await
    }

    async fn finish_import(&self, owner: &str, import: &str) -> Result<()> {
        self.show_imported(owner, import).await
    }

    async fn abandon_import(&self, import: &str) -> Result<()> {
        self.remove(Doomed::Of(import)).await?;
        Ok(())
    }

    async fn close(&self) {
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
