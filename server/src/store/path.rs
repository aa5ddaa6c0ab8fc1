//! A path through a conversation in parts, from its end upwards.
//!
//! Rows are chosen by their sizes before their texts are read, so a part takes the same memory
//! whatever the length of the conversation. A parent was always stored before what follows it, so
//! keys fall on the way up and rise on the way down: each walk ends, whatever the rows say.

use app::protocol::saved::{ConversationDetail, MessageState, MessageVersion, SavedMessage};
use sqlx::any::AnyRow;
use sqlx::{Row, query};

use super::replies::pieces;
use super::transaction::Connection;
use super::{PathEnd, PathLimit, Piece, Result, Store, StoreError, rows};

impl Store {
    /// A part of a path through a conversation, up to its end.
    pub async fn path(
        &self,
        owner: &str,
        id: &str,
        end: &PathEnd,
        limit: PathLimit,
    ) -> Result<ConversationDetail> {
        let mut tx = self.snapshot().await?;
        let row = query(
            "select key, id, title, pinned, leaf from conversations
             where owner = $1 and id = $2 and deleted_at is null and import is null",
        )
        .bind(owner)
        .bind(id)
        .fetch_one(&mut *tx)
        .await?;
        let conversation: i64 = row.try_get(0)?;
        let leaf: Option<String> = row.try_get(4)?;
        let mut detail = ConversationDetail {
            id: row.try_get(1)?,
            title: row.try_get(2)?,
            pinned: row.try_get::<i64, _>(3)? != 0,
            ..ConversationDetail::default()
        };
        let from = start_of(&mut tx, conversation, end, leaf).await?;
        if matches!(end, PathEnd::Through(..)) {
            detail.through.clone_from(&from);
        }
        if let Some(from) = from {
            let last = match end {
                PathEnd::At(_) => from,
                _ => newest_leaf_below(&mut tx, conversation, &from).await?,
            };
            let (count, earlier) = choose(&mut tx, conversation, &last, limit).await?;
            read_up(&mut tx, conversation, &last, count, &mut detail).await?;
            detail.earlier = earlier;
            detail.later = matches!(end, PathEnd::At(_))
                && newest_after(&mut tx, conversation, Some(&last))
                    .await?
                    .is_some();
            if !detail.later {
                detail.leaf = Some(last);
            }
        }
        tx.commit().await?;
        Ok(detail)
    }
}

/// The message with which, or below which, the part ends; none in a conversation without messages.
async fn start_of(
    tx: &mut Connection,
    conversation: i64,
    end: &PathEnd,
    leaf: Option<String>,
) -> Result<Option<String>> {
    match end {
        PathEnd::Shown => match leaf {
            Some(leaf) if is_there(tx, conversation, &leaf).await? => Ok(Some(leaf)),
            _ => newest_after(tx, conversation, None).await,
        },
        PathEnd::At(message) | PathEnd::Through(message, None) => {
            if is_there(tx, conversation, message).await? {
                Ok(Some(message.clone()))
            } else {
                Err(StoreError::NotFound)
            }
        }
        PathEnd::Through(message, Some(number)) => version_of(tx, conversation, message, *number)
            .await
            .map(Some),
    }
}

async fn is_there(tx: &mut Connection, conversation: i64, message: &str) -> Result<bool> {
    let row = query("select 1 from messages where id = $1 and conversation = $2")
        .bind(message)
        .bind(conversation)
        .fetch_optional(&mut *tx)
        .await?;
    Ok(row.is_some())
}

/// The newest of the messages that follow this one; without one, of those that begin.
async fn newest_after(
    tx: &mut Connection,
    conversation: i64,
    parent: Option<&str>,
) -> Result<Option<String>> {
    // Said twice, since neither database finds both by its index in one way.
    let found = match parent {
        Some(parent) => query(
            "select id from messages where conversation = $1 and parent = $2 order by key desc limit 1",
        )
        .bind(conversation)
        .bind(parent),
        None => query(
            "select id from messages where conversation = $1 and parent is null order by key desc limit 1",
        )
        .bind(conversation),
    };
    let row = found.fetch_optional(&mut *tx).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// The version of a message with this number, counted from 1.
async fn version_of(
    tx: &mut Connection,
    conversation: i64,
    message: &str,
    number: u32,
) -> Result<String> {
    let row = query("select parent from messages where id = $1 and conversation = $2")
        .bind(message)
        .bind(conversation)
        .fetch_one(&mut *tx)
        .await?;
    let before = i64::from(number.saturating_sub(1));
    let found = match row.try_get::<Option<String>, _>(0)? {
        Some(parent) => query(
            "select id from messages where conversation = $1 and parent = $3
             order by key limit 1 offset $2",
        )
        .bind(conversation)
        .bind(before)
        .bind(parent),
        None => query(
            "select id from messages where conversation = $1 and parent is null
             order by key limit 1 offset $2",
        )
        .bind(conversation)
        .bind(before),
    };
    Ok(found.fetch_one(&mut *tx).await?.try_get(0)?)
}

/// Where the path ends that goes on from this message with the newest version each time.
async fn newest_leaf_below(
    tx: &mut Connection,
    conversation: i64,
    message: &str,
) -> Result<String> {
    let row = query(
        "with recursive line (key, depth) as (
             select key, 0 from messages where id = $1 and conversation = $2
             union all
             select (select max(m.key) from messages m
                     where m.conversation = $2 and m.key > line.key
                         and m.parent = (select l.id from messages l where l.key = line.key)),
                 line.depth + 1
             from line where line.key is not null
         )
         select m.id from messages m
         where m.key = (select key from line where key is not null order by depth desc limit 1)",
    )
    .bind(message)
    .bind(conversation)
    .fetch_one(&mut *tx)
    .await?;
    Ok(row.try_get(0)?)
}

/// How many messages from this one upwards make a part, and the one before them.
async fn choose(
    tx: &mut Connection,
    conversation: i64,
    last: &str,
    limit: PathLimit,
) -> Result<(i64, Option<String>)> {
    let sizes = query(
        "with recursive line (key, parent, back) as (
             select key, parent, 0 from messages where id = $1 and conversation = $2
             union all
             select m.key, m.parent, line.back + 1 from line join messages m on m.id = line.parent
             where m.conversation = $2 and m.key < line.key and line.back < $3
         )
         select m.id, cast(octet_length(m.text) + octet_length(m.reasoning) as bigint)
         from line join messages m on m.key = line.key order by line.back",
    )
    .bind(last)
    .bind(conversation)
    .bind(i64::from(limit.messages))
    .fetch_all(&mut *tx)
    .await?;
    let mut bytes = 0;
    for (count, row) in sizes.iter().enumerate() {
        bytes += row.try_get::<i64, _>(1)?;
        let is_enough = count >= limit.messages as usize || bytes > limit.bytes;
        // Each part has a message, however long that is.
        if is_enough && count > 0 {
            return Ok((count as i64, Some(row.try_get(0)?)));
        }
    }
    Ok((sizes.len() as i64, None))
}

/// Reads so many messages from this one upwards, in the order in which they were said.
async fn read_up(
    tx: &mut Connection,
    conversation: i64,
    last: &str,
    count: i64,
    detail: &mut ConversationDetail,
) -> Result<()> {
    let found = query(
        "with recursive line (key, parent, back) as (
             select key, parent, 0 from messages where id = $1 and conversation = $2
             union all
             select m.key, m.parent, line.back + 1 from line join messages m on m.id = line.parent
             where m.conversation = $2 and m.key < line.key and line.back < $3
         )
         select m.id, m.parent, m.role, m.text, m.reasoning, m.marks, m.state, m.finish, m.error,
             m.generation, m.model, m.created_at, m.usage, m.first_token_ms, m.duration_ms,
             m.thinking_ms,
             case when m.parent is null
                 then (select count(*) from messages s
                       where s.conversation = $2 and s.parent is null and s.key <= m.key)
                 else (select count(*) from messages s
                       where s.conversation = $2 and s.parent = m.parent and s.key <= m.key)
             end,
             case when m.parent is null
                 then (select count(*) from messages s where s.conversation = $2 and s.parent is null)
                 else (select count(*) from messages s
                       where s.conversation = $2 and s.parent = m.parent)
             end
         from line join messages m on m.key = line.key order by line.back desc",
    )
    .bind(last)
    .bind(conversation)
    .bind(count - 1)
    .fetch_all(&mut *tx)
    .await?;
    for row in &found {
        let message = complete_message(tx, row).await?;
        let count = |at: usize| -> Result<u32> {
            Ok(u32::try_from(row.try_get::<i64, _>(at)?).unwrap_or(u32::MAX))
        };
        let (number, of) = (count(16)?, count(17)?);
        if of > 1 {
            detail.versions.push(MessageVersion {
                message: message.id.clone(),
                number,
                of,
            });
        }
        detail.messages.push(message);
    }
    Ok(())
}

/// A message with what has come so far, where it is being made.
pub(super) async fn complete_message(tx: &mut Connection, row: &AnyRow) -> Result<SavedMessage> {
    let (mut message, marks) = rows::message(row)?;
    if let MessageState::Streaming {
        generation,
        last_seq,
    } = &mut message.state
    {
        let mut piece = Piece {
            text: std::mem::take(&mut message.text),
            reasoning: std::mem::take(&mut message.reasoning),
            spans: marks,
        };
        for more in pieces(tx, generation).await? {
            piece.append(&more);
        }
        *last_seq = piece.last_seq();
        message.text = piece.text;
        message.reasoning = piece.reasoning;
    }
    Ok(message)
}
