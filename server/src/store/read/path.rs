//! Reads a path through a conversation in parts, each part before the one read last.
//!
//! Messages are chosen by their sizes before their texts are read, so a part takes the same memory
//! whatever the length of the conversation. A message is always stored after its parent, so keys fall
//! towards the root and rise towards the leaves. Each recursive query demands that, and therefore ends
//! even if the rows form a cycle.
//!
//! A message is found by its id. The `+ 0` behind another column keeps PostgreSQL from finding it by that
//! column, which it does where its statistics are old: for each message it then reads the conversation.

use app::protocol::ChatSettings;
use app::protocol::saved::{ConversationDetail, MessageVersion};
use sqlx::any::AnyRow;
use sqlx::{FromRow, Row, query_as, query_scalar};

use super::conversation::conversation;
use super::message::{MessageRow, message_columns};
use crate::store::database::rows::row;
use crate::store::database::transaction::TransactionConnection;
use crate::store::{PathEnd, PathLimit, Result, Store, StoreError};

impl Store {
    /// A part of a path through a conversation, up to `end`.
    ///
    /// # Errors
    /// `NotFound` for the conversation, or for a message that is not in it.
    pub async fn path(
        &self,
        owner: &str,
        id: &str,
        end: &PathEnd,
        limit: PathLimit,
    ) -> Result<ConversationDetail> {
        let mut tx = self.snapshot().await?;
        let row = conversation(&mut tx, owner, id).await?;
        let mut detail = ConversationDetail {
            id: row.id,
            title: row.title,
            pinned: row.pinned != 0,
            ..ConversationDetail::default()
        };
        let from = start_of(&mut tx, row.key, end, row.leaf).await?;
        if matches!(end, PathEnd::Through(..)) {
            detail.through.clone_from(&from);
        }
        if let Some(from) = from {
            let last = match end {
                PathEnd::At(_) => from,
                _ => newest_leaf_below(&mut tx, row.key, &from).await?,
            };
            let (count, earlier) = choose(&mut tx, row.key, &last, limit).await?;
            read_up(&mut tx, row.key, &last, count, &mut detail).await?;
            detail.earlier = earlier;
            detail.later = matches!(end, PathEnd::At(_))
                && newest_child(&mut tx, row.key, Some(&last)).await?.is_some();
            detail.settings = settings(&mut tx, row.key, &last).await?;
            if !detail.later {
                detail.leaf = Some(last);
            }
        }
        tx.commit().await?;
        Ok(detail)
    }
}

/// The message at or below which the part ends; `None` in a conversation without messages.
async fn start_of(
    tx: &mut TransactionConnection,
    conversation: i64,
    end: &PathEnd,
    leaf: Option<String>,
) -> Result<Option<String>> {
    match end {
        PathEnd::Shown => match leaf {
            Some(leaf) if exists(tx, conversation, &leaf).await? => Ok(Some(leaf)),
            _ => newest_child(tx, conversation, None).await,
        },
        PathEnd::At(message) | PathEnd::Through(message, None) => {
            if exists(tx, conversation, message).await? {
                Ok(Some(message.clone()))
            } else {
                Err(StoreError::NotFound)
            }
        }
        PathEnd::Through(message, Some(version)) => {
            let found = version_of(tx, conversation, message, *version).await?;
            Ok(Some(found))
        }
    }
}

/// The settings of the reply with which a path ends, or of the reply before its last question.
pub(in crate::store) async fn settings(
    tx: &mut TransactionConnection,
    conversation: i64,
    last: &str,
) -> Result<Option<ChatSettings>> {
    let found: Option<String> = query_scalar(
        "select parameters from messages
         where conversation + 0 = $2 and parameters is not null
             and id in ($1, (select parent from messages where id = $1))
         order by key desc limit 1",
    )
    .bind(last)
    .bind(conversation)
    .fetch_optional(tx)
    .await?;
    Ok(found.and_then(|json| serde_json::from_str(&json).ok()))
}

/// Whether a conversation has this message.
async fn exists(tx: &mut TransactionConnection, conversation: i64, message: &str) -> Result<bool> {
    let found: Option<i64> =
        query_scalar("select key from messages where id = $1 and conversation + 0 = $2")
            .bind(message)
            .bind(conversation)
            .fetch_optional(tx)
            .await?;
    Ok(found.is_some())
}

/// The newest of the messages with this parent; without one, of the messages that have none.
pub(in crate::store) async fn newest_child(
    tx: &mut TransactionConnection,
    conversation: i64,
    parent: Option<&str>,
) -> Result<Option<String>> {
    // Two statements, because no comparison with null and non-null values uses the index in both
    // databases.
    let found = match parent {
        Some(parent) => query_scalar(
            "select id from messages where conversation = $1 and parent = $2 order by key desc limit 1",
        )
        .bind(conversation)
        .bind(parent),
        None => query_scalar(
            "select id from messages where conversation = $1 and parent is null order by key desc limit 1",
        )
        .bind(conversation),
    };
    Ok(found.fetch_optional(tx).await?)
}

/// The version of a message with this number, counted from 1.
async fn version_of(
    tx: &mut TransactionConnection,
    conversation: i64,
    message: &str,
    number: u32,
) -> Result<String> {
    let parent: Option<String> =
        query_scalar("select parent from messages where id = $1 and conversation + 0 = $2")
            .bind(message)
            .bind(conversation)
            .fetch_one(&mut *tx)
            .await?;
    let before = i64::from(number.saturating_sub(1));
    let found = match parent {
        Some(parent) => query_scalar(
            "select id from messages where conversation = $1 and parent = $3
             order by key limit 1 offset $2",
        )
        .bind(conversation)
        .bind(before)
        .bind(parent),
        None => query_scalar(
            "select id from messages where conversation = $1 and parent is null
             order by key limit 1 offset $2",
        )
        .bind(conversation)
        .bind(before),
    };
    Ok(found.fetch_one(tx).await?)
}

/// The leaf of the path that leads from this message to the newest child each time.
pub(in crate::store) async fn newest_leaf_below(
    tx: &mut TransactionConnection,
    conversation: i64,
    message: &str,
) -> Result<String> {
    let leaf = query_scalar(
        "with recursive line (key, depth) as (
             select key, 0 from messages where id = $1 and conversation + 0 = $2
             union all
             select (select max(m.key + 0) from messages m
                     where m.conversation = $2 and m.key + 0 > line.key
                         and m.parent = (select l.id from messages l where l.key = line.key)),
                 line.depth + 1
             from line where line.key is not null
         )
         select m.id from messages m
         where m.key = (select key from line where key is not null order by depth desc limit 1)",
    );
    Ok(leaf.bind(message).bind(conversation).fetch_one(tx).await?)
}

row! {
    struct SizeRow {
        id: String,
        size: i64,
    }
}

/// How many messages the part has, counted from this one towards the root, and the message before
/// them, if there is one.
async fn choose(
    tx: &mut TransactionConnection,
    conversation: i64,
    last: &str,
    limit: PathLimit,
) -> Result<(i64, Option<String>)> {
    let sizes: Vec<SizeRow> = query_as(
        "with recursive line (key, parent, back) as (
             select key, parent, 0 from messages where id = $1 and conversation + 0 = $2
             union all
             select m.key, m.parent, line.back + 1 from line join messages m on m.id = line.parent
             where m.conversation + 0 = $2 and m.key + 0 < line.key and line.back < $3
         )
         select m.id as id, cast(octet_length(m.text) + octet_length(m.reasoning) as bigint) as size
         from line join messages m on m.key = line.key order by line.back",
    )
    .bind(last)
    .bind(conversation)
    .bind(i64::from(limit.messages))
    .fetch_all(tx)
    .await?;
    let total = sizes.len() as i64;
    let mut bytes = 0;
    for (count, row) in sizes.into_iter().enumerate() {
        bytes += row.size;
        let is_enough = count >= limit.messages as usize || bytes > limit.bytes;
        // A part has one message at least, whatever its size.
        if is_enough && count > 0 {
            return Ok((count as i64, Some(row.id)));
        }
    }
    Ok((total, None))
}

/// A message, which of its versions it is, counted from 1, and how many versions there are.
struct VersionRow {
    message: MessageRow,
    version: i64,
    versions: i64,
}

impl<'r> FromRow<'r, AnyRow> for VersionRow {
    fn from_row(row: &'r AnyRow) -> sqlx::Result<Self> {
        Ok(Self {
            message: MessageRow::from_row(row)?,
            version: row.try_get("version")?,
            versions: row.try_get("versions")?,
        })
    }
}

/// Reads `count` messages, from this one towards the root, and adds them with the root first.
async fn read_up(
    tx: &mut TransactionConnection,
    conversation: i64,
    last: &str,
    count: i64,
    detail: &mut ConversationDetail,
) -> Result<()> {
    let found: Vec<VersionRow> = query_as(concat!(
        "with recursive line (key, parent, back) as (
             select key, parent, 0 from messages where id = $1 and conversation + 0 = $2
             union all
             select m.key, m.parent, line.back + 1 from line join messages m on m.id = line.parent
             where m.conversation + 0 = $2 and m.key + 0 < line.key and line.back < $3
         )
         select ",
        message_columns!(),
        ",
             case when m.parent is null
                 then (select count(*) from messages s
                       where s.conversation = $2 and s.parent is null and s.key <= m.key)
                 else (select count(*) from messages s
                       where s.conversation = $2 and s.parent = m.parent and s.key <= m.key)
             end as version,
             case when m.parent is null
                 then (select count(*) from messages s where s.conversation = $2 and s.parent is null)
                 else (select count(*) from messages s
                       where s.conversation = $2 and s.parent = m.parent)
             end as versions
         from line join messages m on m.key = line.key order by line.back desc"
    ))
    .bind(last)
    .bind(conversation)
    .bind(count - 1)
    .fetch_all(&mut *tx)
    .await?;
    let count = |count: i64| u32::try_from(count).unwrap_or(u32::MAX);
    for row in found {
        if row.versions > 1 {
            detail.versions.push(MessageVersion {
                message: row.message.id.clone(),
                number: count(row.version),
                of: count(row.versions),
            });
        }
        detail.messages.push(row.message.complete(tx).await?);
    }
    Ok(())
}
