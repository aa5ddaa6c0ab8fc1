//! Overwrites what is left of removed rows in a SQLite file: their words in the search index, the pages that are free,
//! and the write-ahead log. PostgreSQL does this by itself (autovacuum).
//!
//! The cells of removed rows are overwritten when they are removed (`pragma secure_delete = fast`), where that costs no
//! further write. A text that fills pages of its own leaves them as they are, and so do the words of a message in a part
//! of the index until that part is merged.

use sqlx::{AssertSqlSafe, query, query_scalar};

use crate::store::database::slice::Slice;
use crate::store::{Database, Result, Store};

/// The tables of the search index.
const INDEXES: [&str; 2] = ["message_words", "title_words"];
/// How many pages of an index one statement merges.
const MERGED: i64 = 64;
/// How many free pages one statement overwrites.
const OVERWRITTEN: i64 = 64;
/// What an overflow page of SQLite holds beside its text, in bytes.
const PAGE_HEADER: i64 = 4;
/// A generation that no reply has: its pieces are zeros for a moment.
const NO_GENERATION: &str = "";

impl Store {
    /// Overwrites what is left of removed rows, in slices. Returns whether nothing of it is left: a long read can keep
    /// the write-ahead log from ending.
    ///
    /// # Errors
    /// When the database fails. Nothing that is stored is harmed.
    pub async fn scrub(&self) -> Result<bool> {
        if self.database != Database::Sqlite || self.is_memory {
            return Ok(true);
        }
        for index in INDEXES {
            self.merge_index(index).await?;
        }
        self.overwrite_free_pages().await?;
        self.end_write_ahead_log().await
    }

    /// Merges all parts of an index, which leaves removed words out.
    async fn merge_index(&self, index: &'static str) -> Result<()> {
        let merge = format!("insert into {index} ({index}, rank) values ('merge', $1)");
        // A negative number begins to merge all parts into one, and a positive one goes on.
        let mut pages = -MERGED;
        loop {
            let mut slice = self.slice().await?;
            loop {
                let before = changes(&mut slice).await?;
                query(AssertSqlSafe(merge.clone()))
                    .bind(pages)
                    .execute(&mut *slice)
                    .await?;
                // SQLite's documentation says that nothing was merged then.
                if changes(&mut slice).await? - before < 2 {
                    return slice.commit().await;
                }
                pages = MERGED;
                if slice.is_over() {
                    break;
                }
            }
            slice.commit().await?;
        }
    }

    /// Takes the free pages for rows of zeros, and frees them again.
    async fn overwrite_free_pages(&self) -> Result<()> {
        let mut number = 0_i64;
        loop {
            let mut slice = self.slice().await?;
            let free = loop {
                let free: i64 = query_scalar("select freelist_count from pragma_freelist_count")
                    .fetch_one(&mut *slice)
                    .await?;
                if free == 0 || slice.is_over() {
                    break free;
                }
                query(
                    "insert into pieces (generation, number, owner, text, reasoning, marks)
                     select $1, $2, '', '', '', zeroblob($3 * (page_size - $4)) from pragma_page_size",
                )
                .bind(NO_GENERATION)
                .bind(number)
                .bind(free.min(OVERWRITTEN))
                .bind(PAGE_HEADER)
                .execute(&mut *slice)
                .await?;
                number += 1;
            };
            if free == 0 {
                query("delete from pieces where generation = $1")
                    .bind(NO_GENERATION)
                    .execute(&mut *slice)
                    .await?;
                return slice.commit().await;
            }
            slice.commit().await?;
        }
    }

    /// Writes the log into the file and empties it, if no reader needs it. Returns whether it is empty.
    async fn end_write_ahead_log(&self) -> Result<bool> {
        // The first waits for nobody, so that the second has little to do while writers wait for it.
        for checkpoint in [
            "pragma wal_checkpoint(passive)",
            "pragma wal_checkpoint(truncate)",
        ] {
            let (busy, log, written): (i64, i64, i64) = sqlx::query_as(checkpoint)
                .fetch_one(self.single_write())
                .await?;
            if busy != 0 || log != written {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// How many rows the connection has changed so far.
async fn changes(slice: &mut Slice<'_>) -> Result<i64> {
    let changes = query_scalar("select total_changes()");
    Ok(changes.fetch_one(&mut **slice).await?)
}
