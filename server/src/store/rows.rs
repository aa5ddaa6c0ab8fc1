//! Rows to values and back. Nobody outside of the store sees a row.

use app::protocol::saved::{ConversationSummary, MessageState, SavedMessage, Timing};
use app::protocol::{ErrorKind, Finish, ReplyError, Role};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::{End, Piece, Result, TitledBy};

/// A message as far as a new reply needs it: `id, parent, role, text, reasoning, marks`.
pub(super) struct ReplyRow {
    pub(super) id: String,
    pub(super) parent: Option<String>,
    pub(super) role: Role,
    pub(super) piece: Piece,
}

impl ReplyRow {
    pub(super) fn read(row: &AnyRow) -> Result<Self> {
        Ok(Self {
            id: row.try_get(0)?,
            parent: row.try_get(1)?,
            role: role(&row.try_get::<String, _>(2)?),
            piece: Piece {
                text: row.try_get(3)?,
                reasoning: row.try_get(4)?,
                spans: row.try_get(5)?,
            },
        })
    }
}

/// The columns of a summary, in the order in which [`summary`] reads them.
macro_rules! summary_columns {
    () => {
        "c.key, c.id, c.title, c.created_at, c.updated_at, c.pinned, c.ended_at, c.read_at,
         (select count(*) from messages m where m.conversation = c.key and m.state = 'streaming')"
    };
}
pub(super) use summary_columns;

pub(super) fn summary(row: &AnyRow) -> Result<ConversationSummary> {
    let (ended_at, read_at): (i64, i64) = (row.try_get(6)?, row.try_get(7)?);
    Ok(ConversationSummary {
        id: row.try_get(1)?,
        title: row.try_get(2)?,
        created_at: row.try_get(3)?,
        updated_at: row.try_get(4)?,
        pinned: row.try_get::<i64, _>(5)? != 0,
        running: row.try_get::<i64, _>(8)? != 0,
        unread: ended_at > read_at,
    })
}

/// A message from `id, parent, role, text, reasoning, marks, state, finish, error, generation, model,
/// created_at, usage, first_token_ms, duration_ms, thinking_ms`.
pub(super) fn message(row: &AnyRow) -> Result<(SavedMessage, Vec<u8>)> {
    let state: String = row.try_get(6)?;
    let generation: Option<String> = row.try_get(9)?;
    let ms = |at: usize| -> Result<Option<u64>> {
        let time: Option<i64> = row.try_get(at)?;
        Ok(time.and_then(|time| u64::try_from(time).ok()))
    };
    let timing = Timing {
        first_token_ms: ms(13)?,
        duration_ms: ms(14)?,
        thinking_ms: ms(15)?,
    };
    let state = if state == "interrupted" {
        MessageState::Interrupted
    } else {
        match end(state, row.try_get(7)?, row.try_get(8)?) {
            Some(End::Done(finish)) => MessageState::Done { finish },
            Some(End::Failed(error)) => MessageState::Error(error),
            None => MessageState::Streaming {
                generation: generation.unwrap_or_default(),
                last_seq: 0,
            },
        }
    };
    let message = SavedMessage {
        id: row.try_get(0)?,
        parent: row.try_get(1)?,
        role: role(&row.try_get::<String, _>(2)?),
        text: row.try_get(3)?,
        reasoning: row.try_get(4)?,
        model: row.try_get(10)?,
        created_at: row.try_get(11)?,
        usage: from_json(row.try_get(12)?),
        timing: (timing != Timing::default()).then_some(timing),
        state,
        could_not_be_saved: false,
    };
    Ok((message, row.try_get(5)?))
}

/// How a reply ended, from `state, finish, error`; nothing while it is being made.
pub(super) fn end(state: String, finish: Option<String>, error: Option<String>) -> Option<End> {
    match state.as_str() {
        "streaming" => None,
        "done" => Some(End::Done(
            finish
                .and_then(|name| serde_json::from_value(name.into()).ok())
                .unwrap_or(Finish::Stop),
        )),
        "error" => Some(End::Failed(
            from_json(error).unwrap_or_else(|| ReplyError::of(ErrorKind::Unknown)),
        )),
        _ => Some(End::Failed(ReplyError::of(ErrorKind::Interrupted))),
    }
}

pub(super) fn role(name: &str) -> Role {
    match name {
        "assistant" => Role::Assistant,
        "system" => Role::System,
        _ => Role::User,
    }
}

pub(super) fn role_name(role: Role) -> &'static str {
    match role {
        Role::Assistant => "assistant",
        Role::System => "system",
        Role::User => "user",
    }
}

pub(super) fn titled_by(by: TitledBy) -> i64 {
    match by {
        TitledBy::FirstWords => 0,
        TitledBy::Model => 1,
        TitledBy::Person => 2,
    }
}

pub(super) fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("our wire types are JSON")
}

/// What is not the JSON that we wrote counts as nothing.
pub(super) fn from_json<T: DeserializeOwned>(text: Option<String>) -> Option<T> {
    serde_json::from_str(&text?).ok()
}
