//! The life of a reply: it is begun, grows by pieces, and is finished or interrupted.

mod begin;
mod history;
mod interrupt;
pub(super) mod stored;

use sqlx::AssertSqlSafe;

use super::database::batch::{Batch, BoundStatement};
use super::database::rows;
use super::database::transaction::TransactionConnection;
use super::{Database, Finished, GenerationEnd, NewPiece, Result, Store, StoreError};

/// The statements for at most so many pieces are kept. Those for each larger number are a text of their own.
const KEPT_PIECES: usize = 4;

impl Store {
    /// Adds pieces to replies that are being made, all of them or none. No generation may have two of them.
    /// `pieces` is called right before the transaction begins. So the caller can add pieces that came while other
    /// transactions ran, and leave out those of replies that have been finished. A piece of a reply that is stored
    /// as ended, or is not stored any more, is left out in any case: nothing would remove it.
    pub async fn append(&self, pieces: impl FnOnce() -> Vec<NewPiece> + Send) -> Result<()> {
        let tx = self.writer().await?;
        let mut pieces = pieces();
        if pieces.is_empty() {
            return Ok(());
        }
        let running = hold_running(self.database, &tx, &pieces).await?;
        pieces.retain(|new| running.contains(&new.generation));
        if pieces.is_empty() {
            return Ok(());
        }
        let rows: Vec<String> = (0..pieces.len())
            .map(|row| {
                let [a, b, c, d, e, f] = std::array::from_fn(|column| 6 * row + column + 1);
                format!("(${a}, ${b}, ${c}, ${d}, ${e}, ${f})")
            })
            .collect();
        // A write that reported an error may have been committed. The caller then adds the same piece
        // again, with more text.
        let sql = format!(
            "insert into pieces (generation, number, owner, text, reasoning, marks) values {}
             on conflict (generation, number) do update
                 set text = excluded.text, reasoning = excluded.reasoning, marks = excluded.marks",
            rows.join(", ")
        );
        let mut insert = BoundStatement::new(AssertSqlSafe(sql)).kept(pieces.len() <= KEPT_PIECES);
        for new in &pieces {
            let piece = self.database.piece(&new.piece);
            insert = insert
                .bind(&new.generation)
                .bind(new.index)
                .bind(&new.owner)
                .bind(piece.text)
                .bind(piece.reasoning)
                .bind(piece.spans);
        }
        let mut batch = Batch::default();
        batch.add(insert);
        tx.commit_with(batch).await.map(drop)
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
        // The condition on the generation protects a message that another generation continues. Then none of the
        // statements finds a row.
        let mut batch = Batch::default();
        let changed = batch.add(
            BoundStatement::new(
                "update messages set text = $3, reasoning = $4, marks = $5, state = $6, finish = $7, error = $8,
                     usage = $9, first_token_ms = $10, duration_ms = $11, thinking_ms = $12, model = $13
                 where id = (select message from generations where id = $1 and owner = $2)
                     and generation = $1
                 returning key",
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
            .bind(&finished.model),
        );
        batch.add(self.database.index_of_reply(owner, generation, terms));
        batch.add(
            BoundStatement::new(
                "update conversations set updated_at = $1, ended_at = $1
                 where key = (select m.conversation from generations g join messages m on m.id = g.message
                     where g.id = $2 and g.owner = $3 and m.generation = $2)",
            )
            .bind(finished.now)
            .bind(generation)
            .bind(owner),
        );
        batch.add(
            BoundStatement::new("delete from pieces where generation = $1 and owner = $2")
                .bind(generation)
                .bind(owner),
        );
        let tx = self.writer().await?;
        let mut results = tx.commit_with(batch).await?;
        let found: Option<(i64,)> = results.first(changed)?;
        found.map(drop).ok_or(StoreError::NotFound)
    }
}

/// Which of the generations of these pieces are being made. None of them ends or is removed before the transaction does:
/// with PostgreSQL other transactions write at the same time, so their messages are locked. All are locked in the same
/// order, so that two transactions do not wait for each other.
async fn hold_running(
    database: Database,
    tx: &TransactionConnection,
    pieces: &[NewPiece],
) -> Result<Vec<String>> {
    let ids: Vec<String> = (1..=pieces.len()).map(|id| format!("${id}")).collect();
    let lock = match database {
        Database::Sqlite => "",
        Database::Postgres => "order by m.key for share of m",
    };
    let sql = format!(
        "select g.id from generations g join messages m on m.id = g.message and m.generation = g.id
         where g.id in ({}) and m.state = 'streaming' {lock}",
        ids.join(", ")
    );
    let mut select = BoundStatement::new(AssertSqlSafe(sql)).kept(pieces.len() <= KEPT_PIECES);
    for new in pieces {
        select = select.bind(&new.generation);
    }
    let mut batch = Batch::default();
    let running = batch.add(select);
    let running: Vec<(String,)> = tx.batch(batch).await?.rows(running)?;
    Ok(running
        .into_iter()
        .map(|(generation,)| generation)
        .collect())
}

#[cfg(test)]
mod tests;
