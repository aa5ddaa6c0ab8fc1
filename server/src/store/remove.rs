//! Removes conversations for good, in slices: what was deleted long ago, and what is left of an import
//! that did not finish.
//!
//! A conversation that is removed only in part counts as part of an import that did not finish, so
//! nobody sees it, nobody can restore it, and the next purge goes on with it.

use sqlx::{Row, query, query_scalar};

use super::transaction::Connection;
use super::{Database, Result, Store};

/// The name of the import to which belongs what is only to be removed.
pub(super) const REMOVED: &str = "";
/// How many messages, or other rows, one statement removes at most.
const ROWS: i64 = 32;

/// Which conversations are removed.
#[derive(Clone, Copy)]
pub(super) enum Doomed<'a> {
    /// Those that were deleted before this time.
    DeletedBefore(i64),
    /// Those of this import.
    Of(&'a str),
    /// The one with this key.
    Key(i64),
}

impl Store {
    /// Removes for good what was deleted before this time, and what is left of imports that did not finish
    /// before the store was opened. Gives how many conversations had been deleted.
    pub async fn purge(&self, deleted_before: i64) -> Result<u64> {
        self.remove(Doomed::Of(REMOVED)).await?;
        self.remove(Doomed::DeletedBefore(deleted_before)).await
    }

    /// Removes all that was imported.
    pub async fn abandon_import(&self, import: &str) -> Result<()> {
        self.remove(Doomed::Of(import)).await?;
        Ok(())
    }

    /// Removes conversations, and gives how many.
    pub(super) async fn remove(&self, doomed: Doomed<'_>) -> Result<u64> {
        let mut removed = 0;
        loop {
            let mut slice = self.slice().await?;
            loop {
                let Some(conversation) = doomed.next(&mut slice).await? else {
                    slice.commit().await?;
                    return Ok(removed);
                };
                removed += u64::from(remove_part(self.database, &mut slice, conversation).await?);
                if slice.is_over() {
                    break;
                }
            }
            slice.commit().await?;
        }
    }

    /// Gives what is left of unfinished imports to the next purge. To be done before any import
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

impl Doomed<'_> {
    /// The next conversation to be removed.
    async fn next(self, tx: &mut Connection) -> Result<Option<i64>> {
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
            Self::Of(import) => {
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

/// Removes some of a conversation, and says whether nothing of it is left.
async fn remove_part(database: Database, tx: &mut Connection, conversation: i64) -> Result<bool> {
    if remove_messages(database, tx, conversation).await?
        || remove_generations(tx, conversation).await?
    {
        query("update conversations set import = $2 where key = $1 and import is null")
            .bind(conversation)
            .bind(REMOVED)
            .execute(&mut *tx)
            .await?;
        return Ok(false);
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
    Ok(true)
}

/// Removes some messages, and says whether there may be more.
async fn remove_messages(
    database: Database,
    tx: &mut Connection,
    conversation: i64,
) -> Result<bool> {
    let found = query("select key from messages where conversation = $1 order by key limit $2")
        .bind(conversation)
        .bind(ROWS)
        .fetch_all(&mut *tx)
        .await?;
    let Some(last) = found.last() else {
        return Ok(false);
    };
    let last: i64 = last.try_get(0)?;
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
    Ok(found.len() as i64 == ROWS)
}

/// Removes some generations with their pieces, and says whether there may be more.
async fn remove_generations(tx: &mut Connection, conversation: i64) -> Result<bool> {
    let found = query("select id from generations where conversation = $1 limit $2")
        .bind(conversation)
        .bind(ROWS)
        .fetch_all(&mut *tx)
        .await?;
    for row in &found {
        let id: String = row.try_get(0)?;
        for sql in [
            "delete from pieces where generation = $1",
            "delete from generations where id = $1",
        ] {
            query(sql).bind(&id).execute(&mut *tx).await?;
        }
    }
    Ok(found.len() as i64 == ROWS)
}
