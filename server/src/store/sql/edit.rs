//! What a person changes in the list: titles, pins, deletions, what is shown and what was read.

use sqlx::{Row, query};

use super::rows;
use super::transaction::Connection;
use super::{Dialect, Result, Sql, StoreError};
use crate::store::TitledBy;

impl Sql {
    pub(super) async fn set_title(
        &self,
        owner: &str,
        id: &str,
        title: &str,
        by: TitledBy,
    ) -> Result<()> {
        let title = self.dialect.text(title);
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
        self.dialect
            .index_title(&mut tx, owner, row.try_get(0)?, &title)
            .await?;
        tx.commit().await
    }

    pub(super) async fn set_pinned(&self, owner: &str, id: &str, pinned: bool) -> Result<()> {
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

    pub(super) async fn set_deleted(&self, owner: &str, id: &str, now: i64) -> Result<Vec<String>> {
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

    pub(super) async fn set_restored(&self, owner: &str, id: &str) -> Result<()> {
        let mut tx = self.transaction().await?;
        let changed =
            query("update conversations set deleted_at = null where owner = $1 and id = $2")
                .bind(owner)
                .bind(id)
                .execute(&mut *tx)
                .await?;
        one(changed.rows_affected())?;
        tx.commit().await
    }

    pub(super) async fn set_leaf(&self, owner: &str, id: &str, leaf: &str) -> Result<()> {
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

    pub(super) async fn set_read(&self, owner: &str, id: &str, now: i64) -> Result<()> {
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

    pub(super) async fn remove_deleted(&self, deleted_before: i64) -> Result<u64> {
        let mut tx = self.transaction().await?;
        let found = query("select key from conversations where deleted_at < $1")
            .bind(deleted_before)
            .fetch_all(&mut *tx)
            .await?;
        for row in &found {
            remove(self.dialect, &mut tx, row.try_get(0)?).await?;
        }
        tx.commit().await?;
        Ok(found.len() as u64)
    }
}

/// Removes a conversation with all that belongs to it.
pub(super) async fn remove(dialect: Dialect, tx: &mut Connection, conversation: i64) -> Result<()> {
    let of_sqlite: &[&'static str] = &[
        "delete from message_words where rowid in (select key from messages where conversation = $1)",
        "delete from title_words where rowid = $1",
    ];
    let of_both: &[&'static str] = &[
        "delete from pieces where generation in (select id from generations where conversation = $1)",
        "delete from generations where conversation = $1",
        "delete from messages where conversation = $1",
        "delete from conversations where key = $1",
    ];
    let of_index = match dialect {
        Dialect::Sqlite => of_sqlite,
        Dialect::Postgres => &[],
    };
    for sql in of_index.iter().chain(of_both) {
        query(*sql).bind(conversation).execute(&mut *tx).await?;
    }
    Ok(())
}

fn one(changed: u64) -> Result<()> {
    if changed == 0 {
        Err(StoreError::NotFound)
    } else {
        Ok(())
    }
}
