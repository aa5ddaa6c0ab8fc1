//! Conversations in pages, for exports: no more of one is in memory than a page.
//!
//! Each page is a short read of its own, so a slow download holds neither a connection nor an old
//! state of the database. What is added meanwhile may be part of the export.

use app::protocol::saved::SavedMessage;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row, query};

use super::path::complete_message;
use super::transaction::Connection;
use super::{ConversationHead, ConversationKey, MessageKey, MessagePage, Result, Store};

/// How many messages a page has at most, and how many bytes of text if it has more than one.
const PAGE: usize = 128;
const PAGE_BYTES: u64 = 256 * 1024;
/// How many messages are looked at in one go while a path is followed.
const STEPS: i64 = 500;

/// Selects messages as `rows::message` reads them, with the key behind. `where` follows.
macro_rules! select_messages {
    () => {
        "select id, parent, role, text, reasoning, marks, state, finish, error, generation, model,
             created_at, usage, first_token_ms, duration_ms, thinking_ms, key from messages "
    };
}

impl Store {
    /// All conversations, the oldest first.
    pub async fn keys(&self, owner: &str) -> Result<Vec<ConversationKey>> {
        let mut tx = self.snapshot().await?;
        let found = query(
            "select key from conversations
             where owner = $1 and deleted_at is null and import is null order by created_at, key",
        )
        .bind(owner)
        .fetch_all(&mut *tx)
        .await?;
        let keys = found.iter().map(|row| row.try_get(0).map(ConversationKey));
        Ok(keys.collect::<std::result::Result<_, _>>()?)
    }

    /// A conversation by its id.
    pub async fn key(&self, owner: &str, id: &str) -> Result<ConversationKey> {
        let mut tx = self.snapshot().await?;
        let row = query(
            "select key from conversations
             where owner = $1 and id = $2 and deleted_at is null and import is null",
        )
        .bind(owner)
        .bind(id)
        .fetch_one(&mut *tx)
        .await?;
        Ok(ConversationKey(row.try_get(0)?))
    }

    /// A conversation without its messages.
    pub async fn head(
        &self,
        owner: &str,
        conversation: ConversationKey,
    ) -> Result<ConversationHead> {
        let mut tx = self.snapshot().await?;
        let row = query(
            "select id, title, created_at, updated_at, pinned, leaf from conversations
             where owner = $1 and key = $2 and deleted_at is null and import is null",
        )
        .bind(owner)
        .bind(conversation.0)
        .fetch_one(&mut *tx)
        .await?;
        Ok(ConversationHead {
            id: row.try_get(0)?,
            title: row.try_get(1)?,
            created_at: row.try_get(2)?,
            updated_at: row.try_get(3)?,
            pinned: row.try_get::<i64, _>(4)? != 0,
            leaf: row.try_get(5)?,
        })
    }

    /// The next messages of a conversation in the order in which they were added, about 256 KiB.
    pub async fn messages_after(
        &self,
        owner: &str,
        conversation: ConversationKey,
        after: Option<MessageKey>,
    ) -> Result<MessagePage> {
        let after = after.map_or(-1, |key| key.key);
        let mut tx = self.snapshot().await?;
        let sizes = query(
            "select key, cast(octet_length(text) + octet_length(reasoning) as bigint) from messages
             where conversation = $1 and owner = $2 and key > $3 order by key limit $4",
        )
        .bind(conversation.0)
        .bind(owner)
        .bind(after)
        .bind(PAGE as i64)
        .fetch_all(&mut *tx)
        .await?;
        let keys = sizes.iter().map(message_key).collect::<Result<Vec<_>>>()?;
        let Some(last) = keys[..of_one_page(&keys)].last() else {
            return Ok(MessagePage::default());
        };
        let found = query(concat!(
            select_messages!(),
            "where conversation = $1 and owner = $2 and key > $3 and key <= $4 order by key"
        ))
        .bind(conversation.0)
        .bind(owner)
        .bind(after)
        .bind(last.key)
        .fetch_all(&mut *tx)
        .await?;
        let messages = read_messages(&mut tx, &found).await?;
        tx.commit().await?;
        Ok(MessagePage {
            messages,
            last: Some(*last),
        })
    }

    /// The messages from the first to the leaf that is shown; without one, to the newest.
    pub async fn shown(
        &self,
        owner: &str,
        conversation: ConversationKey,
    ) -> Result<Vec<MessageKey>> {
        let mut tx = self.snapshot().await?;
        let leaf = query(
            "select coalesce(
                 (select m.key from messages m join conversations c on c.leaf = m.id
                  where c.key = $1 and m.conversation = $1),
                 (select max(key) from messages where conversation = $1 and owner = $2))",
        )
        .bind(conversation.0)
        .bind(owner)
        .fetch_one(&mut *tx)
        .await?;
        let mut next: Option<i64> = leaf.try_get(0)?;
        let mut path = Vec::new();
        while let Some(key) = next {
            let found = query(
                "with recursive line (key, parent, size, step) as (
                     select key, parent, octet_length(text) + octet_length(reasoning), 1 from messages
                     where key = $1 and conversation = $2 and owner = $3
                     union all
                     select m.key, m.parent, octet_length(m.text) + octet_length(m.reasoning),
                         line.step + 1
                     from line join messages m on m.id = line.parent
                     where m.conversation = $2 and m.key < line.key and line.step <= $4
                 )
                 select key, cast(size as bigint) from line order by key desc",
            )
            .bind(key)
            .bind(conversation.0)
            .bind(owner)
            .bind(STEPS)
            .fetch_all(&mut *tx)
            .await?;
            let found = found.iter().map(message_key).collect::<Result<Vec<_>>>()?;
            // The last one begins the next part.
            let is_whole = (found.len() as i64) <= STEPS;
            let taken = if is_whole {
                found.len()
            } else {
                found.len() - 1
            };
            path.extend_from_slice(&found[..taken]);
            next = found.get(taken).map(|last| last.key);
        }
        path.reverse();
        Ok(path)
    }

    /// The first of these messages, about 256 KiB, and how many of the keys they are.
    pub async fn messages(
        &self,
        owner: &str,
        keys: &[MessageKey],
    ) -> Result<(Vec<SavedMessage>, usize)> {
        let taken = of_one_page(keys);
        let places: Vec<String> = (0..taken).map(|at| format!("${}", at + 2)).collect();
        let sql = format!(
            "{} where owner = $1 and key in ({}) order by key",
            select_messages!(),
            places.join(", ")
        );
        let mut tx = self.snapshot().await?;
        let mut select = query(AssertSqlSafe(sql)).bind(owner);
        for key in &keys[..taken] {
            select = select.bind(key.key);
        }
        let found = select.fetch_all(&mut *tx).await?;
        let messages = read_messages(&mut tx, &found).await?;
        tx.commit().await?;
        Ok((messages, taken))
    }
}

fn message_key(row: &AnyRow) -> Result<MessageKey> {
    let size: i64 = row.try_get(1)?;
    Ok(MessageKey {
        key: row.try_get(0)?,
        size: u32::try_from(size).unwrap_or(u32::MAX),
    })
}

/// How many of these messages make a page: at least one, if there is one.
fn of_one_page(keys: &[MessageKey]) -> usize {
    let mut bytes = 0;
    let fits = |key: &&MessageKey| {
        bytes += u64::from(key.size);
        bytes <= PAGE_BYTES
    };
    let count = keys.iter().take(PAGE).take_while(fits).count();
    count.max(keys.len().min(1))
}

/// Messages with what has come so far of those that are being made.
async fn read_messages(tx: &mut Connection, found: &[AnyRow]) -> Result<Vec<SavedMessage>> {
    let mut messages = Vec::with_capacity(found.len());
    for row in found {
        messages.push(complete_message(tx, row).await?);
    }
    Ok(messages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_ends_at_its_size_and_has_at_least_one_message() {
        let check = |sizes: &[u32], expect: usize| {
            let keys: Vec<_> = sizes
                .iter()
                .map(|size| MessageKey {
                    key: 1,
                    size: *size,
                })
                .collect();
            assert_eq!(of_one_page(&keys), expect, "{sizes:?}");
        };
        check(&[], 0);
        check(&[u32::MAX, 1], 1);
        check(&[1, u32::MAX, 1], 1);
        check(&[100_000, 100_000, 100_000], 2);
        check(&[0; 1000], PAGE);
    }
}
