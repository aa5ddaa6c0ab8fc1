//! Reads a reply by its generation. A reply has several generations when it was continued; the events of
//! a generation never change once it has ended.

use sqlx::query_as;

use crate::store::database::rows::{self, row};
use crate::store::database::transaction::TransactionConnection;
use crate::store::{GenerationEnd, Piece, Result, Store, StoreError, StoredReply};

row! {
    struct StoredRow {
        conversation: String,
        message: String,
        user_message: Option<String>,
        text: String,
        reasoning: String,
        spans: Vec<u8>,
        state: String,
        finish: Option<String>,
        error: Option<String>,
        usage: Option<String>,
        model: Option<String>,
        generation: Option<String>,
    }
}

impl Store {
    /// A reply as this generation made it, with the end of this generation, also when the reply was
    /// continued by a later one.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn reply(&self, owner: &str, generation: &str) -> Result<StoredReply> {
        let mut tx = self.snapshot().await?;
        let row: StoredRow = query_as(
            "select c.id as conversation, m.id as message, m.parent as user_message, m.text as text,
                 m.reasoning as reasoning, m.marks as spans, m.state as state, m.finish as finish,
                 m.error as error, m.usage as usage, m.model as model, m.generation as generation
             from generations g join messages m on m.id = g.message
             join conversations c on c.key = g.conversation
             where g.id = $1 and g.owner = $2 and c.deleted_at is null",
        )
        .bind(generation)
        .bind(owner)
        .fetch_one(&mut *tx)
        .await?;
        let mut piece = Piece {
            text: row.text,
            reasoning: row.reasoning,
            spans: row.spans,
        };
        let mut end = rows::end(&row.state, row.finish, row.error);
        let (mut usage, mut model) = (row.usage, row.model);
        if row.generation.as_deref() == Some(generation) {
            if end.is_none() {
                for more in pieces(&mut tx, generation).await? {
                    piece.append(&more);
                }
            }
        } else {
            let continued = continued(&mut tx, generation, piece).await?;
            (piece, end) = (continued.piece, Some(continued.end));
            (usage, model) = (continued.usage, continued.model);
        }
        Ok(StoredReply {
            generation: generation.to_owned(),
            conversation: row.conversation,
            message: row.message,
            user_message: row.user_message,
            model: model.unwrap_or_default(),
            piece,
            usage: rows::from_json(usage),
            end,
        })
    }
}

/// A message as a generation left it, before another generation continued it.
struct Continued {
    piece: Piece,
    end: GenerationEnd,
    usage: Option<String>,
    model: Option<String>,
}

row! {
    struct ContinuedRow {
        text_bytes: i64,
        reasoning_bytes: i64,
        spans: Vec<u8>,
        state: String,
        finish: Option<String>,
        error: Option<String>,
        usage: Option<String>,
        model: Option<String>,
    }
}

/// Reads what a continued generation left, given the message as it is now.
///
/// # Errors
/// `NotFound` for a generation that was continued by a version of Rill that did not store how it ended.
/// A page that follows it then loads the conversation again.
async fn continued(
    connection: &mut TransactionConnection,
    generation: &str,
    message: Piece,
) -> Result<Continued> {
    let row: ContinuedRow = query_as(
        "select text_bytes, reasoning_bytes, marks as spans, state, finish, error, usage, model
         from generations where id = $1 and state is not null",
    )
    .bind(generation)
    .fetch_one(connection)
    .await?;
    let bytes = |bytes: i64| usize::try_from(bytes).map_err(|_| StoreError::NotFound);
    let (text, reasoning) = (bytes(row.text_bytes)?, bytes(row.reasoning_bytes)?);
    let piece = message.beginning(text, reasoning, row.spans);
    let end = rows::end(&row.state, row.finish, row.error);
    Ok(Continued {
        piece: piece.ok_or(StoreError::NotFound)?,
        end: end.ok_or(StoreError::NotFound)?,
        usage: row.usage,
        model: row.model,
    })
}

row! {
    struct PieceRow {
        text: String,
        reasoning: String,
        spans: Vec<u8>,
    }
}

/// The pieces that are stored of a reply that is being made, in order.
pub(in crate::store) async fn pieces(
    connection: &mut TransactionConnection,
    generation: &str,
) -> Result<Vec<Piece>> {
    let found: Vec<PieceRow> = query_as(
        "select text, reasoning, marks as spans from pieces where generation = $1 order by number",
    )
    .bind(generation)
    .fetch_all(connection)
    .await?;
    let pieces = found.into_iter().map(|row| Piece {
        text: row.text,
        reasoning: row.reasoning,
        spans: row.spans,
    });
    Ok(pieces.collect())
}
