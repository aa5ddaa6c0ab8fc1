//! Deletes conversations that were not used for a long time. Like others that are deleted, they can be restored for
//! a day.

use sqlx::{Row, query};

use crate::store::{Result, Store, StoreError};

/// The most conversations that one statement deletes.
const CONVERSATIONS: i64 = 100;

/// Conversations whose last message is older than a time: not the pinned ones, and none that is written to.
pub(in crate::store) const UNUSED: &str = "updated_at < $1 and pinned = 0 and deleted_at is null and import is null
    and not exists (select 1 from messages m where m.conversation = conversations.key and m.state = 'streaming')";

impl Store {
    /// Deletes conversations whose last message is older than this time, in milliseconds since 1970, unless they are
    /// pinned. Returns their owners and ids.
    pub async fn expire(&self, unused_since: i64, now: i64) -> Result<Vec<(String, String)>> {
        let delete = format!(
            "update conversations set deleted_at = $2 where key in
                 (select key from conversations where {UNUSED} order by updated_at limit {CONVERSATIONS})
             returning owner, id"
        );
        let mut deleted = Vec::new();
        loop {
            let mut slice = self.slice().await?;
            let rows = query(sqlx::AssertSqlSafe(delete.clone()))
                .bind(unused_since)
                .bind(now)
                .fetch_all(&mut *slice)
                .await?;
            let read = rows.iter().map(|row| {
                let (owner, id) = (row.try_get("owner")?, row.try_get("id")?);
                Ok((owner, id))
            });
            let read: Vec<_> = read.collect::<std::result::Result<_, StoreError>>()?;
            slice.commit().await?;
            let is_last = (read.len() as i64) < CONVERSATIONS;
            deleted.extend(read);
            if is_last {
                return Ok(deleted);
            }
        }
    }
}
