//! A message as every read of the store returns it.

use app::protocol::saved::{MessageState, SavedMessage, Timing};

use crate::store::database::rows::{self, row};
use crate::store::database::transaction::TransactionConnection;
use crate::store::replies::stored::pieces;
use crate::store::{GenerationEnd, Piece, Result};

/// The columns of a [`MessageRow`], of the table `messages m`.
macro_rules! message_columns {
    () => {
        "m.id as id, m.parent as parent, m.role as role, m.text as text, m.reasoning as reasoning,
         m.marks as spans, m.state as state, m.finish as finish, m.error as error,
         m.generation as generation, m.model as model, m.created_at as created_at, m.usage as usage,
         m.first_token_ms as first_token_ms, m.duration_ms as duration_ms,
         m.thinking_ms as thinking_ms, m.edited as edited"
    };
}
pub(super) use message_columns;

row! {
    /// A message as it is stored.
    pub(super) struct MessageRow {
        id: String,
        parent: Option<String>,
        role: String,
        text: String,
        reasoning: String,
        spans: Vec<u8>,
        state: String,
        finish: Option<String>,
        error: Option<String>,
        generation: Option<String>,
        model: Option<String>,
        created_at: i64,
        usage: Option<String>,
        first_token_ms: Option<i64>,
        duration_ms: Option<i64>,
        thinking_ms: Option<i64>,
        edited: i64,
    }
}

impl MessageRow {
    /// The message. One that is being written gets the text that was stored of it so far.
    pub(super) async fn complete(mut self, tx: &mut TransactionConnection) -> Result<SavedMessage> {
        let end = rows::end(&self.state, self.finish.take(), self.error.take());
        let state = match end {
            _ if self.state == "interrupted" => MessageState::Interrupted,
            Some(GenerationEnd::Done(finish)) => MessageState::Done { finish },
            Some(GenerationEnd::Failed(error)) => MessageState::Error(error),
            None => {
                let generation = self.generation.take().unwrap_or_default();
                let last_seq = self.append_pieces(tx, &generation).await?;
                MessageState::Streaming {
                    generation,
                    last_seq,
                }
            }
        };
        let ms = |time: Option<i64>| time.and_then(|time| u64::try_from(time).ok());
        let timing = Timing {
            first_token_ms: ms(self.first_token_ms),
            duration_ms: ms(self.duration_ms),
            thinking_ms: ms(self.thinking_ms),
        };
        Ok(SavedMessage {
            role: rows::role(&self.role),
            id: self.id,
            parent: self.parent,
            text: self.text,
            reasoning: self.reasoning,
            model: self.model,
            created_at: self.created_at,
            usage: rows::from_json(self.usage),
            timing: (timing != Timing::default()).then_some(timing),
            state,
            could_not_be_saved: false,
            edited: self.edited != 0,
        })
    }

    /// Appends the stored pieces of a generation, and returns the seq of its last event.
    async fn append_pieces(
        &mut self,
        tx: &mut TransactionConnection,
        generation: &str,
    ) -> Result<u64> {
        let mut piece = Piece {
            text: std::mem::take(&mut self.text),
            reasoning: std::mem::take(&mut self.reasoning),
            spans: std::mem::take(&mut self.spans),
        };
        for more in pieces(tx, generation).await? {
            piece.append(&more);
        }
        let last_seq = piece.last_seq();
        self.text = piece.text;
        self.reasoning = piece.reasoning;
        Ok(last_seq)
    }
}

/// Completes the messages of these rows, in their order.
pub(super) async fn complete(
    tx: &mut TransactionConnection,
    rows: Vec<MessageRow>,
) -> Result<Vec<SavedMessage>> {
    let mut messages = Vec::with_capacity(rows.len());
    for row in rows {
        messages.push(row.complete(tx).await?);
    }
    Ok(messages)
}
