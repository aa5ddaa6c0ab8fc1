//! Removes conversations for good, in slices: conversations that were deleted long ago, and those of an
//! import that did not finish.
//!
//! A conversation that is partly removed gets the import [`REMOVED`]. So it is hidden, cannot be
//! restored, and is removed further by the next purge.

use sqlx::{query, query_scalar};

use crate::store::database::transaction::TransactionConnection;
use crate::store::{Database, Result, Store};

/// The import of conversations that only wait to be removed.
pub(in crate::store) const REMOVED: &str = "";
/// The most messages, or other rows, that one statement removes.
const ROWS: i64 = 32;
/// The most messages of a slice. SQLite's search index merges its parts when the slice is committed, the more
/// the more messages were removed.
const ROWS_OF_SLICE: usize = 64;

/// The conversations to remove.
#[derive(Clone, Copy)]
pub(in crate::store) enum PurgeTarget<'a> {
    /// Those that were deleted before this time, in milliseconds since 1970.
    DeletedBefore(i64),
    /// Those of this import.
    Import(&'a str),
    /// The one with this key.
    Key(i64),
}

impl Store {
    /// Removes for good the conversations that were deleted before this time, in milliseconds since 1970,
    /// and those of imports that had not finished when the store was opened. Returns how many of the
    /// former there were.
    pub async fn purge(&self, deleted_before: i64) -> Result<u64> {
        self.remove(PurgeTarget::Import(REMOVED)).await?;
        self.remove(PurgeTarget::DeletedBefore(deleted_before))
            .await
    }

    /// Removes all conversations of an import.
    pub async fn abandon_import(&self, import: &str) -> Result<()> {
        self.remove(PurgeTarget::Import(import)).await?;
        Ok(())
    }

    /// Removes conversations, and returns how many.
    pub(in crate::store) async fn remove(&self, target: PurgeTarget<'_>) -> Result<u64> {
        let mut removed = 0;
        loop {
            let mut slice = self.slice().await?;
            let mut messages = 0;
            loop {
                let Some(conversation) = target.next(&mut slice).await? else {
                    slice.commit().await?;
                    return Ok(removed);
                };
                let part = remove_part(self.database, &mut slice, conversation).await?;
                removed += u64::from(part.is_last);
                messages += part.messages;
                if slice.is_over() || messages >= ROWS_OF_SLICE {
                    break;
                }
            }
            slice.commit().await?;
        }
    }

    /// Leaves the conversations of unfinished imports to the next purge. Call it before any import
    /// begins.
    pub(in crate::store) async fn forget_imports(&self) -> Result<()> {
        let mut tx = self.transaction().await?;
        query("update conversations set import = $1 where import is not null and import <> $1")
            .bind(REMOVED)
            .execute(&mut *tx)
            .await?;
        tx.commit().await
    }
}

impl PurgeTarget<'_> {
    /// The key of the next conversation to remove.
    async fn next(self, tx: &mut TransactionConnection) -> Result<Option<i64>> {
        let found = match self {
            Self::DeletedBefore(time) => {
                query_scalar(
                    "select key from conversations where deleted_at < $1
                     order by deleted_at limit 1",
                )
                .bind(time)
                .fetch_optional(tx)
                .await?
            }
            Self::Import(import) => {
                query_scalar("select key from conversations where import = $1 limit 1")
                    .bind(import)
                    .fetch_optional(tx)
                    .await?
            }
            Self::Key(key) => {
                query_scalar("select key from conversations where key = $1")
                    .bind(key)
                    .fetch_optional(tx)
                    .await?
            }
        };
        Ok(found)
    }
}

/// A part of a conversation that was removed.
struct RemovedPart {
    messages: usize,
    /// Whether nothing of the conversation is left.
    is_last: bool,
}

/// Removes a part of a conversation.
async fn remove_part(
    database: Database,
    tx: &mut TransactionConnection,
    conversation: i64,
) -> Result<RemovedPart> {
    let messages = remove_messages(database, tx, conversation).await?;
    let part = |is_last| RemovedPart { messages, is_last };
    if messages == ROWS as usize || remove_generations(tx, conversation).await? {
        query("update conversations set import = $2 where key = $1 and import is null")
            .bind(conversation)
            .bind(REMOVED)
            .execute(&mut *tx)
            .await?;
        return Ok(part(false));
    }
    if database == Database::Sqlite {
        query("delete from title_words where rowid = $1")
            .bind(conversation)
            .execute(&mut *tx)
            .await?;
    }
    query("delete from conversations where key = $1")
        .bind(conversation)
        .execute(&mut *tx)
        .await?;
    Ok(part(true))
}

/// Removes some messages, and returns how many. With [`ROWS`] of them there may be more.
async fn remove_messages(
    database: Database,
    tx: &mut TransactionConnection,
    conversation: i64,
) -> Result<usize> {
    let keys: Vec<i64> =
        query_scalar("select key from messages where conversation = $1 order by key limit $2")
            .bind(conversation)
            .bind(ROWS)
            .fetch_all(&mut *tx)
            .await?;
    let Some(last) = keys.last().copied() else {
        return Ok(0);
    };
    if database == Database::Sqlite {
        query(
            "delete from message_words
             where rowid in (select key from messages where conversation = $1 and key <= $2)",
        )
        .bind(conversation)
        .bind(last)
        .execute(&mut *tx)
        .await?;
    }
    query("delete from messages where conversation = $1 and key <= $2")
        .bind(conversation)
        .bind(last)
        .execute(&mut *tx)
        .await?;
    Ok(keys.len())
}

/// Removes some generations with their pieces, and returns whether there may be more.
async fn remove_generations(tx: &mut TransactionConnection, conversation: i64) -> Result<bool> {
    let ids: Vec<String> =
        query_scalar("select id from generations where conversation = $1 limit $2")
            .bind(conversation)
            .bind(ROWS)
            .fetch_all(&mut *tx)
            .await?;
    for id in &ids {
        for sql in [
            "delete from pieces where generation = $1",
            "delete from generations where id = $1",
        ] {
            query(sql).bind(id).execute(&mut *tx).await?;
        }
    }
    Ok(ids.len() as i64 == ROWS)
}
