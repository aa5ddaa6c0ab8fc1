//! Imports: conversations that nobody sees until all of them are there. They are written in slices, so
//! that others write meanwhile.

use std::collections::VecDeque;

use app::protocol::ErrorKind;
use app::protocol::saved::{MessageState, SavedMessage};
use sqlx::{AssertSqlSafe, Row, query};

use super::remove::{Doomed, REMOVED};
use super::transaction::Connection;
use super::{
    ConversationHead, Database, ImportCursor, ImportPart, Result, Store, StoreError, TitledBy,
    new_id, now, rows, sqlite,
};

/// How many messages one statement adds at most, and how many bytes of text.
const ROWS: usize = 16;
const ROWS_BYTES: usize = 64 * 1024;

/// A part that is ready to be written.
enum Prepared {
    Begin(Option<String>),
    Messages(Vec<NewRow>),
    End(ConversationHead),
    Drop,
}

/// A message with its words, as the index of the database takes them.
struct NewRow {
    message: SavedMessage,
    words: String,
}

impl Store {
    /// Adds what comes next in an import. Nobody sees it yet. Gives for each conversation that ends in
    /// these parts whether it was added: a conversation that is there already is not.
    pub async fn import(
        &self,
        owner: &str,
        import: &str,
        cursor: &mut ImportCursor,
        parts: Vec<ImportPart>,
    ) -> Result<Vec<bool>> {
        let database = self.database;
        // Finding the words takes about as long as writing.
        let prepared = tokio::task::spawn_blocking(move || prepare(database, parts)).await;
        let mut parts = prepared.map_err(|error| StoreError::Failed(error.to_string()))?;
        let mut ended = Vec::new();
        while !parts.is_empty() {
            let mut doomed = None;
            let mut slice = self.slice().await?;
            while let Some(part) = parts.pop_front() {
                match part {
                    Prepared::Begin(id) => {
                        *cursor = begin(&mut slice, owner, import, id).await?;
                    }
                    Prepared::Messages(rows) => {
                        if let ImportCursor::Within { key, .. } = *cursor {
                            add_messages(database, &mut slice, owner, key, rows).await?;
                        }
                    }
                    Prepared::End(head) => {
                        let last = std::mem::take(cursor);
                        let (is_added, left) =
                            end(database, &mut slice, owner, last, &head).await?;
                        ended.push(is_added);
                        doomed = left;
                    }
                    Prepared::Drop => {
                        if let ImportCursor::Within { key, .. } = std::mem::take(cursor) {
                            doomed = Some(key);
                        }
                    }
                }
                if doomed.is_some() || slice.is_over() {
                    break;
                }
            }
            slice.commit().await?;
            if let Some(key) = doomed {
                self.remove(Doomed::Key(key)).await?;
            }
        }
        Ok(ended)
    }

    /// Shows all that was imported.
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

/// Joins messages that follow each other, and finds their words.
fn prepare(database: Database, parts: Vec<ImportPart>) -> VecDeque<Prepared> {
    let mut prepared = VecDeque::with_capacity(parts.len());
    let mut bytes = 0;
    for part in parts {
        let part = match part {
            ImportPart::Begin(id) => Prepared::Begin(id),
            ImportPart::End(head) => Prepared::End(head),
            ImportPart::Drop => Prepared::Drop,
            ImportPart::Message(message) => {
                let row = NewRow {
                    words: database.words(&message.text),
                    message: *message,
                };
                let size = row.message.text.len() + row.message.reasoning.len() + row.words.len();
                bytes += size;
                match prepared.back_mut() {
                    Some(Prepared::Messages(rows)) if rows.len() < ROWS && bytes <= ROWS_BYTES => {
                        rows.push(row);
                        continue;
                    }
                    _ => {
                        bytes = size;
                        Prepared::Messages(vec![row])
                    }
                }
            }
        };
        prepared.push_back(part);
    }
    prepared
}

/// Whether a conversation can be added under this id.
enum Id {
    Free,
    /// Its owner has it already.
    There,
    /// It is a deleted one's, or somebody else's, which is nobody's business.
    Taken,
}

async fn look_up(tx: &mut Connection, owner: &str, id: &str) -> Result<Id> {
    let known = query("select owner, deleted_at, import, key from conversations where id = $1")
        .bind(id)
        .fetch_optional(&mut *tx)
        .await?;
    let Some(row) = known else {
        return Ok(Id::Free);
    };
    if row.try_get::<Option<String>, _>(2)?.as_deref() == Some(REMOVED) {
        // It is only to be removed, and does not need it.
        query("update conversations set id = $2 where key = $1")
            .bind(row.try_get::<i64, _>(3)?)
            .bind(new_id())
            .execute(&mut *tx)
            .await?;
        return Ok(Id::Free);
    }
    let is_theirs = row.try_get::<String, _>(0)? == owner;
    let is_deleted = row.try_get::<Option<i64>, _>(1)?.is_some();
    Ok(if is_theirs && !is_deleted {
        Id::There
    } else {
        Id::Taken
    })
}

async fn begin(
    tx: &mut Connection,
    owner: &str,
    import: &str,
    id: Option<String>,
) -> Result<ImportCursor> {
    let has_id = id.is_some();
    let id = match id {
        None => new_id(),
        Some(id) => match look_up(tx, owner, &id).await? {
            Id::Free => id,
            Id::There => return Ok(ImportCursor::There),
            Id::Taken => new_id(),
        },
    };
    let row = query(
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
    Ok(ImportCursor::Within {
        key: row.try_get(0)?,
        has_id,
    })
}

/// Completes a conversation, and says whether it was added and which one is to be removed.
async fn end(
    database: Database,
    tx: &mut Connection,
    owner: &str,
    cursor: ImportCursor,
    head: &ConversationHead,
) -> Result<(bool, Option<i64>)> {
    let ImportCursor::Within { key, has_id } = cursor else {
        return Ok((false, None));
    };
    if !has_id {
        // Its id came after its messages.
        match look_up(tx, owner, &head.id).await? {
            Id::There => return Ok((false, Some(key))),
            Id::Taken => {}
            Id::Free => {
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

/// The columns of one message in the statement that adds several, without `conversation` and `owner`.
const COLUMNS: usize = 15;

/// The statement that adds this many messages.
fn insert_messages(database: Database, count: usize) -> String {
    let mut sql = String::from(
        "insert into messages (conversation, owner, id, parent, role, text, reasoning, model, usage,
             first_token_ms, duration_ms, thinking_ms, state, finish, error, created_at",
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
            // PostgreSQL has no parameters of this type here.
            if column == COLUMNS - 1 {
                sql.push_str("::tsvector");
            }
        }
        sql.push(')');
    }
    sql.push_str(end);
    sql
}

async fn add_messages(
    database: Database,
    tx: &mut Connection,
    owner: &str,
    conversation: i64,
    rows: Vec<NewRow>,
) -> Result<()> {
    let insert = insert_messages(database, rows.len());
    let mut insert = query(AssertSqlSafe(insert)).bind(conversation).bind(owner);
    let mut words = Vec::with_capacity(rows.len());
    for NewRow {
        message,
        words: of_message,
    } in rows
    {
        let (state, finish, error) = match &message.state {
            MessageState::Done { finish } => ("done", Some(finish.as_str()), None),
            MessageState::Error(error) if error.kind != ErrorKind::Interrupted => {
                ("error", None, Some(rows::to_json(error)))
            }
            MessageState::Error(_) | MessageState::Interrupted | MessageState::Streaming { .. } => {
                ("interrupted", None, None)
            }
        };
        let timing = message.timing.unwrap_or_default();
        let ms = |time: Option<u64>| time.and_then(|time| i64::try_from(time).ok());
        insert = insert
            .bind(message.id.clone())
            .bind(message.parent)
            .bind(rows::role_name(message.role))
            .bind(database.text(&message.text))
            .bind(database.text(&message.reasoning))
            .bind(message.model)
            .bind(message.usage.as_ref().map(rows::to_json))
            .bind(ms(timing.first_token_ms))
            .bind(ms(timing.duration_ms))
            .bind(ms(timing.thinking_ms))
            .bind(state)
            .bind(finish)
            .bind(error)
            .bind(message.created_at);
        match database {
            Database::Sqlite => words.push((message.id, of_message)),
            Database::Postgres => insert = insert.bind(of_message),
        }
    }
    match database {
        Database::Sqlite => {
            let added = insert.fetch_all(&mut *tx).await?;
            sqlite::index_messages(tx, owner, &added, &words).await
        }
        Database::Postgres => {
            insert.execute(&mut *tx).await?;
            Ok(())
        }
    }
}
