//! Whether the store can be written.

use sqlx::query;

use super::{Database, Result, Store};

impl Store {
    /// Writes what changes nothing, and commits it.
    ///
    /// # Errors
    /// When the database cannot be reached or written, such as on a full disk.
    pub async fn probe(&self) -> Result<()> {
        let nothing = match self.database {
            // It writes a page, although the number stays the same. Rill does not use it.
            Database::Sqlite => "pragma user_version = 0",
            Database::Postgres => "update conversations set title = title where key = -1",
        };
        let mut tx = self.transaction().await?;
        query(nothing).execute(&mut *tx).await?;
        tx.commit().await
    }
}
