//! Reads: the list of conversations and whole conversations. Paths and pages have files of their own.

mod conversation;
mod message;
mod outline;
mod pages;
mod path;

pub(super) use self::path::{newest_child, newest_leaf_below};

use app::protocol::saved::{ConversationDetail, ConversationList, ConversationSummary};
use sqlx::query_as;

use self::conversation::{SummaryRow, conversation, summary_columns};
use self::message::message_columns;
use super::{Result, Store, StoreError};

/// The most conversations in one part of the list.
const MAX_LIST: u32 = 500;

impl Store {
    /// A part of the list of conversations: pinned ones first, then by the time of the last message,
    /// the newest first. `before` is the `next` of the part before it. `limit` is at most 500.
    ///
    /// # Errors
    /// `Invalid` where `before` is not a cursor.
    pub async fn list(
        &self,
        owner: &str,
        before: Option<&str>,
        limit: u32,
    ) -> Result<ConversationList> {
        // Every conversation comes after this cursor.
        let (pinned, updated_at, key) = match before {
            None => (2, i64::MAX, i64::MAX),
            Some(cursor) => parse_cursor(cursor).ok_or(StoreError::Invalid(
                "before must be the value of next in a list, or be left out.",
            ))?,
        };
        let limit = i64::from(limit.clamp(1, MAX_LIST));
        let mut found: Vec<SummaryRow> = query_as(concat!(
            "select ",
            summary_columns!(),
            " from conversations c
              where c.owner = $1 and c.deleted_at is null and c.import is null
                  and (c.pinned, c.updated_at, c.key) < ($2, $3, $4)
              order by c.pinned desc, c.updated_at desc, c.key desc limit $5"
        ))
        .bind(owner)
        .bind(pinned)
        .bind(updated_at)
        .bind(key)
        .bind(limit + 1)
        .fetch_all(self.single_read())
        .await?;
        let has_more = found.len() > limit as usize;
        found.truncate(limit as usize);
        let last = found.last().filter(|_| has_more);
        Ok(ConversationList {
            next: last.map(|row| format!("{}.{}.{}", row.pinned, row.updated_at, row.key)),
            conversations: found.into_iter().map(Into::into).collect(),
        })
    }

    /// The summary of one conversation, as the list shows it.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn summary(&self, owner: &str, id: &str) -> Result<ConversationSummary> {
        let row: SummaryRow = query_as(concat!(
            "select ",
            summary_columns!(),
            " from conversations c
              where c.owner = $1 and c.id = $2 and c.deleted_at is null and c.import is null"
        ))
        .bind(owner)
        .bind(id)
        .fetch_one(self.single_read())
        .await?;
        Ok(row.into())
    }

    /// A conversation with all of its messages, which are all in memory: use [`Store::path`] or
    /// [`Store::messages_after`] where the length of the conversation matters.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn get(&self, owner: &str, id: &str) -> Result<ConversationDetail> {
        let mut tx = self.snapshot().await?;
        let row = conversation(&mut tx, owner, id).await?;
        let found = query_as(concat!(
            "select ",
            message_columns!(),
            " from messages m where m.conversation = $1 order by m.key"
        ))
        .bind(row.key)
        .fetch_all(&mut *tx)
        .await?;
        Ok(ConversationDetail {
            id: row.id,
            title: row.title,
            pinned: row.pinned != 0,
            leaf: row.leaf,
            messages: message::complete(&mut tx, found).await?,
            ..ConversationDetail::default()
        })
    }
}

/// Reads the cursor `pinned.updated_at.key`.
fn parse_cursor(cursor: &str) -> Option<(i64, i64, i64)> {
    let mut parts = cursor.split('.').map(str::parse);
    let cursor = (
        parts.next()?.ok()?,
        parts.next()?.ok()?,
        parts.next()?.ok()?,
    );
    parts.next().is_none().then_some(cursor)
}
