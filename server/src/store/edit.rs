//! What a person changes in the list: titles, pins, deletions, what is shown and what was read.

use sqlx::{Row, query};

use super::{Result, Store, StoreError, TitledBy, rows};

impl Store {
    /// Gives a conversation a title. One by a person is not replaced by one by the model.
    pub async fn rename(&self, owner: &str, id: &str, title: &str, by: TitledBy) -> Result<()> {
        let title = self.database.text(title);
        let mut tx = self.transaction().await?;
        // What a person has said stands above what the model says.
        let row = query(
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
            .index_title(&mut tx, owner, row.try_get(0)?, &title)
            .await?;
        tx.commit().await
    }

    /// Puts a conversation above the others, or back.
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
        one(changed.rows_affected())?;
        tx.commit().await
    }

    /// Deletes a conversation, so that it can be restored. Gives the generations that run in it.
    pub async fn delete(&self, owner: &str, id: &str, now: i64) -> Result<Vec<String>> {
        let mut tx = self.transaction().await?;
        let row = query(
            "update conversations set deleted_at = $3
             where owner = $1 and id = $2 and deleted_at is null and import is null returning key",
        )
        .bind(owner)
        .bind(id)
        .bind(now)
        .fetch_one(&mut *tx)
        .await?;
        let running = query(
            "select generation from messages
             where conversation = $1 and state = 'streaming' and generation is not null",
        )
        .bind(row.try_get::<i64, _>(0)?)
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        let running = running.iter().map(|row| row.try_get(0));
        Ok(running.collect::<std::result::Result<_, _>>()?)
    }

    /// Takes a deletion back.
    pub async fn restore(&self, owner: &str, id: &str) -> Result<()> {
        let mut tx = self.transaction().await?;
        // One that a purge has begun to remove is no longer whole.
        let changed = query(
            "update conversations set deleted_at = null
             where owner = $1 and id = $2 and import is null",
        )
        .bind(owner)
        .bind(id)
        .execute(&mut *tx)
        .await?;
        one(changed.rows_affected())?;
        tx.commit().await
    }

    /// Notes the end of the path that is shown.
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
        one(changed.rows_affected())?;
        tx.commit().await
    }

    /// Notes that a conversation was read.
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
        one(changed.rows_affected())?;
        tx.commit().await
    }
}

fn one(changed: u64) -> Result<()> {
    if changed == 0 {
        Err(StoreError::NotFound)
    } else {
        Ok(())
    }
}
