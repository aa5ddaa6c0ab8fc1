//! Reads conversations in pages, for exports: one page of messages is in memory at a time.
//!
//! Each page is read in a snapshot of its own, so a slow download holds neither a connection nor an
//! old version of the database. Messages that are added meanwhile may be part of the export.

use app::protocol::saved::SavedMessage;
use sqlx::{AssertSqlSafe, query_as, query_scalar};

use super::message::{complete, message_columns};
use crate::store::database::rows::row;
use crate::store::database::transaction::TransactionConnection;
use crate::store::{ConversationHead, ConversationKey, MessageKey, MessagePage, Result, Store};

/// The most messages of a page, and the most bytes of text and reasoning of a page with more than one.
const PAGE: usize = 128;
const PAGE_BYTES: u64 = 256 * 1024;
/// The most messages that one query follows along a path.
const STEPS: i64 = 500;

row! {
    struct HeadRow {
        id: String,
        title: String,
        created_at: i64,
        updated_at: i64,
        pinned: i64,
        leaf: Option<String>,
    }
}

row! {
    struct KeyRow {
        key: i64,
        size: i64,
    }
}

impl From<KeyRow> for MessageKey {
    fn from(row: KeyRow) -> Self {
        Self {
            key: row.key,
            size: u32::try_from(row.size).unwrap_or(u32::MAX),
        }
    }
}

impl Store {
    /// The keys of all conversations, the oldest first.
    pub async fn keys(&self, owner: &str) -> Result<Vec<ConversationKey>> {
        let keys: Vec<i64> = query_scalar(
            "select key from conversations
             where owner = $1 and deleted_at is null and import is null order by created_at, key",
        )
        .bind(owner)
        .fetch_all(self.single_read())
        .await?;
        Ok(keys.into_iter().map(ConversationKey).collect())
    }

    /// The key of the conversation with this id.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn key(&self, owner: &str, id: &str) -> Result<ConversationKey> {
        let key = query_scalar(
            "select key from conversations
             where owner = $1 and id = $2 and deleted_at is null and import is null",
        );
        let key = key
            .bind(owner)
            .bind(id)
            .fetch_one(self.single_read())
            .await?;
        Ok(ConversationKey(key))
    }

    /// A conversation without its messages.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn head(
        &self,
        owner: &str,
        conversation: ConversationKey,
    ) -> Result<ConversationHead> {
        let row: HeadRow = query_as(
            "select id, title, created_at, updated_at, pinned, leaf from conversations
             where owner = $1 and key = $2 and deleted_at is null and import is null",
        )
        .bind(owner)
        .bind(conversation.0)
        .fetch_one(self.single_read())
        .await?;
        Ok(ConversationHead {
            id: row.id,
            title: row.title,
            created_at: row.created_at,
            updated_at: row.updated_at,
            pinned: row.pinned != 0,
            leaf: row.leaf,
        })
    }

    /// The next page of a conversation's messages, in the order in which they were added.
    pub async fn messages_after(
        &self,
        owner: &str,
        conversation: ConversationKey,
        after: Option<MessageKey>,
    ) -> Result<MessagePage> {
        let after = after.map_or(-1, |key| key.key);
        let mut tx = self.snapshot().await?;
        let sizes: Vec<KeyRow> = query_as(
            "select key, cast(octet_length(text) + octet_length(reasoning) as bigint) as size
             from messages
             where conversation = $1 and owner = $2 and key > $3 order by key limit $4",
        )
        .bind(conversation.0)
        .bind(owner)
        .bind(after)
        .bind(PAGE as i64)
        .fetch_all(&mut *tx)
        .await?;
        let keys: Vec<MessageKey> = sizes.into_iter().map(Into::into).collect();
        let Some(last) = keys[..of_one_page(&keys)].last() else {
            return Ok(MessagePage::default());
        };
        let found = query_as(concat!(
            "select ",
            message_columns!(),
            " from messages m
              where m.conversation = $1 and m.owner = $2 and m.key > $3 and m.key <= $4
              order by m.key"
        ))
        .bind(conversation.0)
        .bind(owner)
        .bind(after)
        .bind(last.key)
        .fetch_all(&mut *tx)
        .await?;
        let messages = complete(&mut tx, found).await?;
        tx.commit().await?;
        Ok(MessagePage {
            messages,
            last: Some(*last),
        })
    }

    /// The keys of the shown path, the root first. Without a leaf, the path ends with the newest
    /// message.
    pub async fn shown(
        &self,
        owner: &str,
        conversation: ConversationKey,
    ) -> Result<Vec<MessageKey>> {
        let mut tx = self.snapshot().await?;
        let last: Option<i64> = query_scalar(
            "select coalesce(
                 (select m.key from messages m join conversations c on c.leaf = m.id
                  where c.key = $1 and m.conversation = $1),
                 (select max(key) from messages where conversation = $1 and owner = $2))",
        )
        .bind(conversation.0)
        .bind(owner)
        .fetch_one(&mut *tx)
        .await?;
        path_up(&mut tx, owner, conversation, last).await
    }

    /// The keys of the path to a message, the root first.
    ///
    /// # Errors
    /// `NotFound` for a message of another conversation.
    pub async fn path_to(
        &self,
        owner: &str,
        conversation: ConversationKey,
        message: &str,
    ) -> Result<Vec<MessageKey>> {
        let mut tx = self.snapshot().await?;
        let last = query_scalar(
            "select key from messages where id = $1 and conversation + 0 = $2 and owner = $3",
        )
        .bind(message)
        .bind(conversation.0)
        .bind(owner)
        .fetch_one(&mut *tx)
        .await?;
        path_up(&mut tx, owner, conversation, Some(last)).await
    }

    /// The first page of the messages with these keys, and how many of the keys it covers.
    pub async fn messages(
        &self,
        owner: &str,
        keys: &[MessageKey],
    ) -> Result<(Vec<SavedMessage>, usize)> {
        let taken = of_one_page(keys);
        let parameters: Vec<String> = (0..taken).map(|at| format!("${}", at + 2)).collect();
        let sql = format!(
            "select {} from messages m where m.owner = $1 and m.key in ({}) order by m.key",
            message_columns!(),
            parameters.join(", ")
        );
        let mut tx = self.snapshot().await?;
        let mut select = query_as(AssertSqlSafe(sql)).bind(owner);
        for key in &keys[..taken] {
            select = select.bind(key.key);
        }
        let found = select.fetch_all(&mut *tx).await?;
        let messages = complete(&mut tx, found).await?;
        tx.commit().await?;
        Ok((messages, taken))
    }
}

/// The keys of the path that ends with this message, the root first.
async fn path_up(
    tx: &mut TransactionConnection,
    owner: &str,
    conversation: ConversationKey,
    last: Option<i64>,
) -> Result<Vec<MessageKey>> {
    let mut next = last;
    let mut path = Vec::new();
    while let Some(key) = next {
        let found: Vec<KeyRow> = query_as(
                "with recursive line (key, parent, size, step) as (
                     select key, parent, octet_length(text) + octet_length(reasoning), 1 from messages
                     where key = $1 and conversation + 0 = $2 and owner = $3
                     union all
                     select m.key, m.parent, octet_length(m.text) + octet_length(m.reasoning),
                         line.step + 1
                     from line join messages m on m.id = line.parent
                     where m.conversation + 0 = $2 and m.key + 0 < line.key and line.step <= $4
                 )
                 select key, cast(size as bigint) as size from line order by key desc",
            )
            .bind(key)
            .bind(conversation.0)
            .bind(owner)
            .bind(STEPS)
            .fetch_all(&mut *tx)
            .await?;
        let mut found: Vec<MessageKey> = found.into_iter().map(Into::into).collect();
        // One message more than `STEPS` begins the next query.
        next = found.get(STEPS as usize).map(|last| last.key);
        found.truncate(STEPS as usize);
        path.append(&mut found);
    }
    path.reverse();
    Ok(path)
}

/// How many of these messages make a page: at least one, unless there are none.
fn of_one_page(keys: &[MessageKey]) -> usize {
    let mut bytes = 0;
    let fits = |key: &&MessageKey| {
        bytes += u64::from(key.size);
        bytes <= PAGE_BYTES
    };
    let count = keys.iter().take(PAGE).take_while(fits).count();
    count.max(keys.len().min(1))
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
