//! What is read: the list, whole conversations, what a search finds.

use app::protocol::saved::{
    ConversationDetail, ConversationList, ConversationSummary, ExportedConversation,
};
use sqlx::{Row, query};

use super::path::complete_message;
use super::rows::{self, summary_columns};
use super::{Result, Store, StoreError};

/// The most conversations that are given at once.
const MAX_LIST: u32 = 500;

impl Store {
    /// A part of the list, from the cursor on.
    pub async fn list(
        &self,
        owner: &str,
        before: Option<&str>,
        limit: u32,
    ) -> Result<ConversationList> {
        // Before the first part lies nothing.
        let (pinned, updated_at, key) = match before {
            None => (2, i64::MAX, i64::MAX),
            Some(cursor) => parse_cursor(cursor).ok_or(StoreError::Invalid(
                "before must be the value of next in a list, or be left out.",
            ))?,
        };
        let limit = i64::from(limit.clamp(1, MAX_LIST));
        let mut tx = self.snapshot().await?;
        let found = query(concat!(
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
        .fetch_all(&mut *tx)
        .await?;
        let shown = &found[..found.len().min(limit as usize)];
        let conversations = shown
            .iter()
            .map(rows::summary)
            .collect::<Result<Vec<_>>>()?;
        let next = match (shown.last(), shown.len() < found.len()) {
            (Some(last), true) => {
                let part = |at: usize| last.try_get::<i64, _>(at);
                Some(format!("{}.{}.{}", part(5)?, part(4)?, part(0)?))
            }
            _ => None,
        };
        Ok(ConversationList {
            conversations,
            next,
        })
    }

    /// What a list shows of one conversation.
    pub async fn summary(&self, owner: &str, id: &str) -> Result<ConversationSummary> {
        let mut tx = self.snapshot().await?;
        let row = query(concat!(
            "select ",
            summary_columns!(),
            " from conversations c
              where c.owner = $1 and c.id = $2 and c.deleted_at is null and c.import is null"
        ))
        .bind(owner)
        .bind(id)
        .fetch_one(&mut *tx)
        .await?;
        rows::summary(&row)
    }

    /// A whole conversation.
    pub async fn get(&self, owner: &str, id: &str) -> Result<ConversationDetail> {
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

    pub(super) async fn whole(&self, owner: &str, id: &str) -> Result<ExportedConversation> {
        let mut tx = self.snapshot().await?;
        let row = query(
            "select key, id, title, created_at, updated_at, pinned, leaf from conversations
             where owner = $1 and id = $2 and deleted_at is null and import is null",
        )
        .bind(owner)
        .bind(id)
        .fetch_one(&mut *tx)
        .await?;
        let found = query(
            "select id, parent, role, text, reasoning, marks, state, finish, error, generation, model,
                 created_at, usage, first_token_ms, duration_ms, thinking_ms
             from messages where conversation = $1 order by key",
        )
        .bind(row.try_get::<i64, _>(0)?)
        .fetch_all(&mut *tx)
        .await?;
        let mut messages = Vec::with_capacity(found.len());
        for row in &found {
            messages.push(complete_message(&mut tx, row).await?);
        }
        Ok(ExportedConversation {
            id: row.try_get(1)?,
            title: row.try_get(2)?,
            created_at: row.try_get(3)?,
            updated_at: row.try_get(4)?,
            pinned: row.try_get::<i64, _>(5)? != 0,
            leaf: row.try_get(6)?,
            messages,
        })
    }
}

/// `pinned.updated_at.key`
fn parse_cursor(cursor: &str) -> Option<(i64, i64, i64)> {
    let mut parts = cursor.split('.').map(str::parse);
    let cursor = (
        parts.next()?.ok()?,
        parts.next()?.ok()?,
        parts.next()?.ok()?,
    );
    parts.next().is_none().then_some(cursor)
}
