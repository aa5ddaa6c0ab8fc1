//! The history of a new message: the messages from the root of the conversation to it.
//!
//! The history is read before the write transaction begins, because a long one takes long to read and
//! other writers wait for that transaction. A stored message changes only while a reply streams into it.
//! So the history that was read before is the one that the transaction would read, unless a message of
//! it was streaming, or something was not found. In those cases it is read again in the transaction.

use app::protocol::{ChatMessage, Role};

use crate::store::database::batch::BoundStatement;
use crate::store::database::rows::{self, row};
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
    pub(super) struct LineRow {
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
        // One statement sees one state of the database, and costs less than a snapshot.
        let end = match &reply.turn {
            Turn::Question { .. } => LineEnd::At(message),
            Turn::Regenerate(_) | Turn::Continue(_) => LineEnd::Before(message),
        };
        let line = line_to(owner, &reply.conversation, &end);
        let line: Vec<LineRow> = self.single_rows(&line).await?;
        let is_settled = !line.is_empty() && line.iter().all(|row| row.state != "streaming");
        history.messages = is_settled.then(|| messages(line));
        Ok(history)
    }
}

impl History {
    /// The history up to the new question, as the model is to see it. `line` is what the transaction read, where
    /// the history has no messages.
    pub(super) fn with(self, line: Option<Vec<LineRow>>) -> Vec<ChatMessage> {
        if let Some(line) = line {
            return messages(line);
        }
        let mut history = self.messages.unwrap_or_default();
        if let Some(content) = self.question.filter(|text| !text.trim().is_empty()) {
            history.push(ChatMessage {
                role: Role::User,
                content,
            });
        }
        history
    }
}

/// Where a line of messages ends.
pub(super) enum LineEnd<'a> {
    /// With this message.
    At(&'a str),
    /// With the message that this one follows.
    Before(&'a str),
}

/// Reads the messages of a conversation from the root to this end. For `+ 0` see `read::path`.
pub(super) fn line_to(owner: &str, conversation: &str, end: &LineEnd<'_>) -> BoundStatement {
    macro_rules! line {
        ($last:literal) => {
            concat!(
                "with recursive line (parent, role, text, state, conversation, back) as (
                     select m.parent, m.role, m.text, m.state, m.conversation, 0 from messages m
                     where m.id = ",
                $last,
                " and m.conversation + 0 = (select c.key from conversations c
                         where c.id = $2 and c.owner = $3 and c.deleted_at is null and c.import is null)
                     union all
                     select m.parent, m.role, m.text, m.state, m.conversation, line.back + 1 from messages m
                     join line on m.id = line.parent where m.conversation + 0 = line.conversation
                 )
                 select role, text, state from line order by back desc"
            )
        };
    }
    let (sql, id) = match end {
        LineEnd::At(id) => (line!("$1"), id),
        LineEnd::Before(id) => (
            line!("(select r.parent from messages r where r.id = $1)"),
            id,
        ),
    };
    BoundStatement::new(sql)
        .bind(*id)
        .bind(conversation)
        .bind(owner)
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
