//! Interrupts the replies that were being made when the last process ended.

use sqlx::{query, query_as, query_scalar};

use super::stored::pieces;
use crate::store::database::rows::row;
use crate::store::{Piece, Result, Store};

row! {
    struct RunningRow {
        owner: String,
        generation: Option<String>,
        text: String,
        reasoning: String,
        spans: Vec<u8>,
    }
}

impl Store {
    /// Marks the replies of all owners that are stored as being made as interrupted, and returns how
    /// many there were. Call it before any reply is begun.
    pub async fn interrupt_all(&self) -> Result<u64> {
        let running: Vec<i64> = query_scalar("select key from messages where state = 'streaming'")
            .fetch_all(self.single_read())
            .await?;
        for key in &running {
            self.interrupt_reply(*key).await?;
        }
        Ok(running.len() as u64)
    }

    async fn interrupt_reply(&self, key: i64) -> Result<()> {
        let mut tx = self.snapshot().await?;
        let row: Option<RunningRow> = query_as(
            "select owner, generation, text, reasoning, marks as spans from messages
             where key = $1 and state = 'streaming'",
        )
        .bind(key)
        .fetch_optional(&mut *tx)
        .await?;
        let Some(row) = row else {
            // The message was removed meanwhile.
            return Ok(());
        };
        let mut piece = Piece {
            text: row.text,
            reasoning: row.reasoning,
            spans: row.spans,
        };
        if let Some(generation) = &row.generation {
            for more in pieces(&mut tx, generation).await? {
                piece.append(&more);
            }
        }
        drop(tx);
        let terms = self.database.search_terms_of(&piece.text).await;
        let mut tx = self.transaction().await?;
        query("delete from pieces where generation = $1")
            .bind(row.generation)
            .execute(&mut *tx)
            .await?;
        self.database
            .index_message(&mut tx, &row.owner, key, terms)
            .await?;
        query(
            "update messages set text = $2, reasoning = $3, marks = $4, state = 'interrupted' where key = $1",
        )
        .bind(key)
        .bind(piece.text)
        .bind(piece.reasoning)
        .bind(piece.spans)
        .execute(&mut *tx)
        .await?;
        tx.commit().await
    }
}
