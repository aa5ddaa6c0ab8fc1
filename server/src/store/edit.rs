//! Changes of a conversation as a whole: title, pin, deletion, shown path and time of reading.

mod branch;
mod expire;
mod purge;
mod scrub;

use sqlx::{query, query_scalar};

pub use self::branch::CutMessages;
pub(super) use self::expire::UNUSED;
pub(super) use self::purge::{PurgeTarget, REMOVED};
use super::database::rows;
use super::{Result, Store, StoreError, TitledBy};

impl Store {
    /// Gives a conversation a title. A title by a person is not replaced by one of the model.
    ///
    /// # Errors
    /// `NotFound`, also where the present title ranks higher.
    pub async fn rename(&self, owner: &str, id: &str, title: &str, by: TitledBy) -> Result<()> {
        let title = self.database.text(title);
        let mut tx = self.transaction().await?;
        let key = query_scalar(
            "update conversations set title = $3, titled_by = $4
             where owner = $1 and id = $2 and deleted_at is null and import is null and titled_by <= $4
             returning key",
        )
        .bind(owner)
        .bind(id)
        .bind(&title)
        .bind(rows::titled_by(by))
        .fetch_one(&mut *tx)
        .await?;
        self.database
            .index_title(&mut tx, owner, key, &title)
            .await?;
        tx.commit().await
    }

    /// Pins a conversation to the top of the list, or unpins it.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn pin(&self, owner: &str, id: &str, pinned: bool) -> Result<()> {
        let mut tx = self.transaction().await?;
        let changed = query(
            "update conversations set pinned = $3
             where owner = $1 and id = $2 and deleted_at is null and import is null",
        )
        .bind(owner)
        .bind(id)
        .bind(i64::from(pinned))
        .execute(&mut *tx)
        .await?;
        found(changed.rows_affected())?;
        tx.commit().await
    }

    /// Deletes a conversation, which can be restored until it is purged. Returns the generations that
    /// run in it.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete(&self, owner: &str, id: &str, now: i64) -> Result<Vec<String>> {
        let mut tx = self.transaction().await?;
        let key: i64 = query_scalar(
            "update conversations set deleted_at = $3
             where owner = $1 and id = $2 and deleted_at is null and import is null returning key",
        )
        .bind(owner)
        .bind(id)
        .bind(now)
        .fetch_one(&mut *tx)
        .await?;
        let running = query_scalar(
            "select generation from messages
             where conversation = $1 and state = 'streaming' and generation is not null",
        )
        .bind(key)
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(running)
    }

    /// Restores a deleted conversation, or messages that [`Store::cut`] has deleted. Returns the id of the
    /// conversation.
    ///
    /// # Errors
    /// `NotFound`, also where a purge has begun to remove it.
    pub async fn restore(&self, owner: &str, id: &str) -> Result<String> {
        if let Some(conversation) = self.restore_cut(owner, id).await? {
            return Ok(conversation);
        }
        let mut tx = self.transaction().await?;
        // A conversation that is partly purged has the import `REMOVED`.
        let changed = query(
            "update conversations set deleted_at = null
             where owner = $1 and id = $2 and import is null and cut_from is null",
        )
        .bind(owner)
        .bind(id)
        .execute(&mut *tx)
        .await?;
        found(changed.rows_affected())?;
        tx.commit().await?;
        Ok(id.to_owned())
    }

    /// Shows the path that ends with this message.
    ///
    /// # Errors
    /// `NotFound`, also for a message of another conversation.
    pub async fn show(&self, owner: &str, id: &str, leaf: &str) -> Result<()> {
        let mut tx = self.transaction().await?;
        let changed = query(
            "update conversations set leaf = $3
             where owner = $1 and id = $2 and deleted_at is null and import is null
                 and key = (select conversation from messages where id = $3)",
        )
        .bind(owner)
        .bind(id)
        .bind(leaf)
        .execute(&mut *tx)
        .await?;
        found(changed.rows_affected())?;
        tx.commit().await
    }

    /// Stores when a conversation was last read, in milliseconds since 1970.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn mark_read(&self, owner: &str, id: &str, now: i64) -> Result<()> {
        let mut tx = self.transaction().await?;
        let changed = query(
            "update conversations set read_at = $3
             where owner = $1 and id = $2 and deleted_at is null and import is null",
        )
        .bind(owner)
        .bind(id)
        .bind(now)
        .execute(&mut *tx)
        .await?;
        found(changed.rows_affected())?;
        tx.commit().await
    }
}

/// `NotFound` where a statement changed no row.
fn found(changed: u64) -> Result<()> {
    if changed == 0 {
        Err(StoreError::NotFound)
    } else {
        Ok(())
    }
}
