//! The history of a new message: the messages from the root of the conversation to it.
//!
//! The history is read before the write transaction begins, because a long one takes long to read and
//! other writers wait for that transaction. A stored message changes only while a reply streams into it.
//! So the history that was read before is the one that the transaction would read, unless a message of
//! it was streaming, or something was not found. In those cases it is read again in the transaction.

use app::protocol::{ChatMessage, Role};
use sqlx::{query_as, query_scalar};

use crate::store::database::rows::{self, row};
use crate::store::database::transaction::TransactionConnection;
use crate::store::{NewReply, Result, Store, Turn};

/// The part of a history that is read before the write transaction.
#[derive(Default)]
pub(super) struct History {
    /// The messages from the root. `None`: they have to be read in the transaction.
    pub(super) messages: Option<Vec<ChatMessage>>,
    /// The text of the new question that follows them, as it will be stored.
    question: Option<String>,
}

row! {
    struct LineRow {
        role: String,
        text: String,
        state: String,
    }
}

impl Store {
    /// Reads the history of a request before its write transaction begins.
    pub(super) async fn history_of(&self, owner: &str, reply: &NewReply) -> Result<History> {
        let mut history = History::default();
        let message = match &reply.turn {
            Turn::Question { parent, text } => {
                history.question = Some(self.database.text(text));
                match parent {
                    Some(parent) => parent,
                    None => {
                        history.messages = Some(Vec::new());
                        return Ok(history);
                    }
                }
            }
            Turn::Regenerate(reply) | Turn::Continue(reply) => reply,
        };
        let mut tx = self.snapshot().await?;
        let conversation: Option<i64> = query_scalar(
            "select key from conversations
             where owner = $1 and id = $2 and deleted_at is null and import is null",
        )
        .bind(owner)
        .bind(&reply.conversation)
        .fetch_optional(&mut *tx)
        .await?;
        let Some(conversation) = conversation else {
            return Ok(history);
        };
        let last = match &reply.turn {
            Turn::Question { .. } => Some(message.clone()),
            Turn::Regenerate(_) | Turn::Continue(_) => {
                let parent: Option<Option<String>> = query_scalar(
                    "select parent from messages where id = $1 and conversation + 0 = $2",
                )
                .bind(message)
                .bind(conversation)
                .fetch_optional(&mut *tx)
                .await?;
                parent.flatten()
            }
        };
        let Some(last) = last else {
            return Ok(history);
        };
        let line = line_to(&mut tx, conversation, &last).await?;
        let is_settled = !line.is_empty() && line.iter().all(|row| row.state != "streaming");
        history.messages = is_settled.then(|| messages(line));
        Ok(history)
    }
}

impl History {
    /// The history up to the question with this id, as the model is to see it.
    pub(super) async fn up_to(
        self,
        tx: &mut TransactionConnection,
        conversation: i64,
        question: &str,
    ) -> Result<Vec<ChatMessage>> {
        let Some(mut history) = self.messages else {
            return Ok(messages(line_to(tx, conversation, question).await?));
        };
        if let Some(content) = self.question.filter(|text| !text.trim().is_empty()) {
            history.push(ChatMessage {
                role: Role::User,
                content,
            });
        }
        Ok(history)
    }
}

/// The messages from the root to this one.
/// For `+ 0` see `read::path`.
async fn line_to(
    tx: &mut TransactionConnection,
    conversation: i64,
    id: &str,
) -> Result<Vec<LineRow>> {
    let found = query_as(
        "with recursive line (parent, role, text, state, back) as (
             select parent, role, text, state, 0 from messages where id = $1 and conversation + 0 = $2
             union all
             select m.parent, m.role, m.text, m.state, line.back + 1 from messages m
             join line on m.id = line.parent where m.conversation + 0 = $2
         )
         select role, text, state from line order by back desc",
    )
    .bind(id)
    .bind(conversation)
    .fetch_all(tx)
    .await?;
    Ok(found)
}

/// The messages as the model is to see them. A message without text is left out.
fn messages(line: Vec<LineRow>) -> Vec<ChatMessage> {
    line.into_iter()
        .filter(|row| !row.text.trim().is_empty())
        .map(|row| ChatMessage {
            role: rows::role(&row.role),
            content: row.text,
        })
        .collect()
}
