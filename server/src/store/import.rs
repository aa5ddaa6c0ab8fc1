//! Imports conversations, which stay hidden until all of them are stored. They are written in slices, so
//! that other writers get their turns.

use std::collections::VecDeque;

use app::protocol::ErrorKind;
use app::protocol::saved::{MessageState, SavedMessage};
use sqlx::{AssertSqlSafe, query, query_as, query_scalar};

use super::database::rows::{self, row};
use super::database::sqlite;
use super::database::transaction::TransactionConnection;
use super::edit::{PurgeTarget, REMOVED};
use super::{
    ConversationHead, Database, ImportCursor, ImportPart, Result, Store, StoreError, TitledBy,
    new_id, now,
};

/// The most messages, and the most bytes of text and search terms, that one statement adds. A larger
/// message is added alone.
const ROWS: usize = 16;
const ROWS_BYTES: usize = 64 * 1024;

/// A part of an import with its search terms, ready to be written.
enum PreparedPart {
    Begin(Option<String>),
    Messages(Vec<NewRow>),
    End(ConversationHead),
    Drop,
    ForgetId,
}

/// A message with its search terms.
struct NewRow {
    message: SavedMessage,
    terms: String,
}

impl Store {
    /// Adds the next parts of an import, hidden until [`Store::finish_import`]. Returns for each conversation
    /// that ends in these parts whether it was added: one whose id the owner has already is not.
    pub async fn import(
        &self,
        owner: &str,
        import: &str,
        cursor: &mut ImportCursor,
        parts: Vec<ImportPart>,
    ) -> Result<Vec<bool>> {
        let database = self.database;
        // Making the search terms takes about as long as writing.
        let prepared = tokio::task::spawn_blocking(move || prepare(database, parts)).await;
        let mut parts = prepared.map_err(|error| StoreError::Failed(error.to_string()))?;
        let mut ended = Vec::new();
        while !parts.is_empty() {
            let mut to_remove = None;
            let mut slice = self.slice().await?;
            while let Some(part) = parts.pop_front() {
                match part {
                    PreparedPart::Begin(id) => {
                        *cursor = begin(&mut slice, owner, import, id).await?;
                    }
                    PreparedPart::Messages(rows) => {
                        if let ImportCursor::Within { key, .. } = *cursor {
                            add_messages(database, &mut slice, owner, key, rows).await?;
                        }
                    }
                    PreparedPart::End(head) => {
                        let last = std::mem::take(cursor);
                        let (is_added, duplicate) =
                            end(database, &mut slice, owner, last, &head).await?;
                        ended.push(is_added);
                        to_remove = duplicate;
                    }
                    PreparedPart::Drop => {
                        if let ImportCursor::Within { key, .. } = std::mem::take(cursor) {
                            to_remove = Some(key);
                        }
                    }
                    PreparedPart::ForgetId => forget_id(&mut slice, cursor).await?,
                }
                if to_remove.is_some() || slice.is_over() {
                    break;
                }
            }
            slice.commit().await?;
            if let Some(key) = to_remove {
                self.remove(PurgeTarget::Key(key)).await?;
            }
        }
        Ok(ended)
    }

    /// Shows the conversations of an import.
    pub async fn finish_import(&self, owner: &str, import: &str) -> Result<()> {
        let mut tx = self.transaction().await?;
        query("update conversations set import = null where owner = $1 and import = $2")
            .bind(owner)
            .bind(import)
            .execute(&mut *tx)
            .await?;
        tx.commit().await
    }
}

/// Makes the search terms, and joins consecutive messages into groups of one statement.
fn prepare(database: Database, parts: Vec<ImportPart>) -> VecDeque<PreparedPart> {
    let mut prepared = VecDeque::with_capacity(parts.len());
    let mut bytes = 0;
    for part in parts {
        let part = match part {
            ImportPart::Begin(id) => PreparedPart::Begin(id),
            ImportPart::End(head) => PreparedPart::End(head),
            ImportPart::Drop => PreparedPart::Drop,
            ImportPart::ForgetId => PreparedPart::ForgetId,
            ImportPart::Message(message) => {
                let row = NewRow {
                    terms: database.search_terms(&message.text),
                    message: *message,
                };
                let size = row.message.text.len() + row.message.reasoning.len() + row.terms.len();
                bytes += size;
                match prepared.back_mut() {
                    Some(PreparedPart::Messages(rows))
                        if rows.len() < ROWS && bytes <= ROWS_BYTES =>
                    {
                        rows.push(row);
                        continue;
                    }
                    _ => {
                        bytes = size;
                        PreparedPart::Messages(vec![row])
                    }
                }
            }
        };
        prepared.push_back(part);
    }
    prepared
}

/// Whether a conversation can be added under this id.
enum ImportedId {
    Free,
    /// The owner has a conversation with this id.
    Duplicate,
    /// The id belongs to a deleted conversation, or to another owner. The import uses a new id, which
    /// does not reveal that.
    Taken,
}

row! {
    struct KnownMessageRow {
        key: i64,
        owner: String,
        deleted_at: Option<i64>,
        import: Option<String>,
    }
}

async fn look_up(tx: &mut TransactionConnection, owner: &str, id: &str) -> Result<ImportedId> {
    let known: Option<KnownMessageRow> =
        query_as("select key, owner, deleted_at, import from conversations where id = $1")
            .bind(id)
            .fetch_optional(&mut *tx)
            .await?;
    let Some(row) = known else {
        return Ok(ImportedId::Free);
    };
    if row.import.as_deref() == Some(REMOVED) {
        // A conversation that only waits to be removed gives its id away.
        query("update conversations set id = $2 where key = $1")
            .bind(row.key)
            .bind(new_id())
            .execute(&mut *tx)
            .await?;
        return Ok(ImportedId::Free);
    }
    Ok(if row.owner == owner && row.deleted_at.is_none() {
        ImportedId::Duplicate
    } else {
        ImportedId::Taken
    })
}

/// Begins a conversation, unless the owner has it already.
async fn begin(
    tx: &mut TransactionConnection,
    owner: &str,
    import: &str,
    id: Option<String>,
) -> Result<ImportCursor> {
    let has_id = id.is_some();
    let id = match id {
        None => new_id(),
        Some(id) => match look_up(tx, owner, &id).await? {
            ImportedId::Free => id,
            ImportedId::Duplicate => return Ok(ImportCursor::Duplicate),
            ImportedId::Taken => new_id(),
        },
    };
    let key = query_scalar(
        "insert into conversations
             (id, owner, title, titled_by, created_at, updated_at, ended_at, read_at, import)
         values ($1, $2, '', $3, 0, 0, 0, $4, $5) returning key",
    )
    .bind(id)
    .bind(owner)
    .bind(rows::titled_by(TitledBy::Person))
    .bind(now())
    .bind(import)
    .fetch_one(&mut *tx)
    .await?;
    Ok(ImportCursor::Within { key, has_id })
}

/// Gives the conversation that is being added a new id, until its end gives the final one.
async fn forget_id(tx: &mut TransactionConnection, cursor: &mut ImportCursor) -> Result<()> {
    if let ImportCursor::Within { key, has_id } = cursor
        && std::mem::take(has_id)
    {
        query("update conversations set id = $2 where key = $1")
            .bind(*key)
            .bind(new_id())
            .execute(&mut *tx)
            .await?;
    }
    Ok(())
}

/// Completes a conversation. Returns whether it was added, and otherwise the key of the stored duplicate
/// that is to be removed.
async fn end(
    database: Database,
    tx: &mut TransactionConnection,
    owner: &str,
    cursor: ImportCursor,
    head: &ConversationHead,
) -> Result<(bool, Option<i64>)> {
    let ImportCursor::Within { key, has_id } = cursor else {
        return Ok((false, None));
    };
    if !has_id {
        // The id follows the messages in this file.
        match look_up(tx, owner, &head.id).await? {
            ImportedId::Duplicate => return Ok((false, Some(key))),
            ImportedId::Taken => {}
            ImportedId::Free => {
                query("update conversations set id = $2 where key = $1")
                    .bind(key)
                    .bind(&head.id)
                    .execute(&mut *tx)
                    .await?;
            }
        }
    }
    let title = database.text(&head.title);
    query(
        "update conversations
         set title = $2, pinned = $3, leaf = $4, created_at = $5, updated_at = $6 where key = $1",
    )
    .bind(key)
    .bind(&title)
    .bind(i64::from(head.pinned))
    .bind(head.leaf.clone())
    .bind(head.created_at)
    .bind(head.updated_at)
    .execute(&mut *tx)
    .await?;
    database.index_title(tx, owner, key, &title).await?;
    Ok((true, None))
}

/// The number of columns of each message in [`insert_messages`], without `conversation` and `owner`.
const COLUMNS: usize = 16;

/// The statement that adds this many messages. Its first two parameters are `conversation` and `owner`.
fn insert_messages(database: Database, count: usize) -> String {
    let mut sql = String::from(
        "insert into messages (conversation, owner, id, parent, role, text, reasoning, model, usage,
             first_token_ms, duration_ms, thinking_ms, state, finish, error, created_at, edited",
    );
    let (columns, end) = match database {
        Database::Sqlite => (COLUMNS - 1, " returning key, id"),
        Database::Postgres => (COLUMNS, ""),
    };
    sql.push_str(match database {
        Database::Sqlite => ") values ",
        Database::Postgres => ", words) values ",
    });
    for row in 0..count {
        sql.push_str(if row == 0 { "($1, $2" } else { ", ($1, $2" });
        for column in 0..columns {
            sql.push_str(&format!(", ${}", 3 + row * columns + column));
            // sqlx's `Any` driver has no parameters of this type.
            if column == COLUMNS - 1 {
                sql.push_str("::tsvector");
            }
        }
        sql.push(')');
    }
    sql.push_str(end);
    sql
}

/// Adds messages to a conversation and to the search index.
async fn add_messages(
    database: Database,
    tx: &mut TransactionConnection,
    owner: &str,
    conversation: i64,
    rows: Vec<NewRow>,
) -> Result<()> {
    let insert = insert_messages(database, rows.len());
    let mut insert = query(AssertSqlSafe(insert)).bind(conversation).bind(owner);
    let mut terms = Vec::with_capacity(rows.len());
    for row in rows {
        let message = row.message;
        let (state, finish, error) = state_columns(&message.state);
        let timing = message.timing.unwrap_or_default();
        insert = insert
            .bind(message.id.clone())
            .bind(message.parent)
            .bind(rows::role_name(message.role))
            .bind(database.text(&message.text))
            .bind(database.text(&message.reasoning))
            .bind(message.model)
            .bind(message.usage.as_ref().map(rows::to_json))
            .bind(rows::ms(timing.first_token_ms))
            .bind(rows::ms(timing.duration_ms))
            .bind(rows::ms(timing.thinking_ms))
            .bind(state)
            .bind(finish)
            .bind(error)
            .bind(message.created_at)
            .bind(i64::from(message.edited));
        match database {
            Database::Sqlite => terms.push((message.id, row.terms)),
            Database::Postgres => insert = insert.bind(row.terms),
        }
    }
    match database {
        Database::Sqlite => {
            let added = insert.fetch_all(&mut *tx).await?;
            sqlite::index_messages(tx, owner, &added, terms).await
        }
        Database::Postgres => {
            insert.execute(&mut *tx).await?;
            Ok(())
        }
    }
}

/// The columns `state`, `finish` and `error`. A message that was being written when it was exported is
/// imported as interrupted.
fn state_columns(state: &MessageState) -> (&'static str, Option<&'static str>, Option<String>) {
    match state {
        MessageState::Done { finish } => ("done", Some(finish.as_str()), None),
        MessageState::Error(error) if error.kind != ErrorKind::Interrupted => {
            ("error", None, Some(rows::to_json(error)))
        }
        MessageState::Error(_) | MessageState::Interrupted | MessageState::Streaming { .. } => {
            ("interrupted", None, None)
        }
    }
}
