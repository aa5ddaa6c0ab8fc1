//! The life of a reply: it is begun, grows by pieces, and is finished or interrupted.

mod begin;
mod history;
mod interrupt;
pub(super) mod stored;

use sqlx::{query, query_as};

use super::database::rows::{self, row};
use super::{Finished, GenerationEnd, Piece, Result, Store};

row! {
    struct FinishedRow {
        key: i64,
        conversation: i64,
    }
}

impl Store {
    /// Adds a piece to a reply that is being made. `index` counts the pieces of the generation from 0.
    pub async fn append(
        &self,
        owner: &str,
        generation: &str,
        index: i64,
        piece: &Piece,
    ) -> Result<()> {
        let piece = self.database.piece(piece);
        let mut tx = self.transaction().await?;
        // A write that reported an error may have been committed. The caller then adds the same piece
        // again, with more text.
        query(
            "insert into pieces (generation, number, owner, text, reasoning, marks)
             values ($1, $2, $3, $4, $5, $6)
             on conflict (generation, number) do update
                 set text = excluded.text, reasoning = excluded.reasoning, marks = excluded.marks",
        )
        .bind(generation)
        .bind(index)
        .bind(owner)
        .bind(piece.text)
        .bind(piece.reasoning)
        .bind(piece.spans)
        .execute(&mut *tx)
        .await?;
        tx.commit().await
    }

    /// Stores the whole text of a reply and how it ended.
    ///
    /// # Errors
    /// `NotFound` where another generation continues the message.
    pub async fn finish(&self, owner: &str, generation: &str, finished: &Finished) -> Result<()> {
        let (state, finish, error) = match &finished.end {
            GenerationEnd::Done(finish) => ("done", Some(finish.as_str()), None),
            GenerationEnd::Failed(error) => ("error", None, Some(rows::to_json(error))),
        };
        let whole = self.database.piece(&finished.whole);
        let terms = self.database.search_terms_of(&finished.whole.text).await;
        let mut tx = self.transaction().await?;
        // The condition on the generation protects a message that another generation continues.
        let row: FinishedRow = query_as(
            "update messages set text = $3, reasoning = $4, marks = $5, state = $6, finish = $7, error = $8,
                 usage = $9, first_token_ms = $10, duration_ms = $11, thinking_ms = $12, model = $13
             where id = (select message from generations where id = $1 and owner = $2)
                 and generation = $1
             returning key, conversation",
        )
        .bind(generation)
        .bind(owner)
        .bind(whole.text)
        .bind(whole.reasoning)
        .bind(whole.spans)
        .bind(state)
        .bind(finish)
        .bind(error)
        .bind(finished.usage.as_ref().map(rows::to_json))
        .bind(rows::ms(finished.timing.first_token_ms))
        .bind(rows::ms(finished.timing.duration_ms))
        .bind(rows::ms(finished.timing.thinking_ms))
        .bind(&finished.model)
        .fetch_one(&mut *tx)
        .await?;
        self.database
            .index_message(&mut tx, owner, row.key, terms)
            .await?;
        query("update conversations set updated_at = $1, ended_at = $1 where key = $2")
            .bind(finished.now)
            .bind(row.conversation)
            .execute(&mut *tx)
            .await?;
        query("delete from pieces where generation = $1")
            .bind(generation)
            .execute(&mut *tx)
            .await?;
        tx.commit().await
    }
}

#[cfg(test)]
mod tests;
