//! SQLite: settings and full-text index.

use std::collections::HashMap;

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, FromRow, query};

use super::batch::BoundStatement;
use super::rows::row;
use super::transaction::TransactionConnection;
use crate::store::Result;
use crate::store::search::tokenizer::{self, Query};

/// The journal mode, which is stored in the file. With a write-ahead log (WAL), readers and the writer do
/// not wait for each other, and a killed process loses nothing that was committed.
pub(in crate::store) const JOURNAL: &str = "pragma journal_mode = wal";

/// The settings of every connection. None of them writes to the disk, so a connection can be opened when
/// the disk is full.
pub(in crate::store) const SETTINGS: [&str; 5] = [
    "pragma busy_timeout = 2000",
    "pragma synchronous = normal",
    "pragma foreign_keys = on",
    // What was removed is overwritten where that costs no further write; the rest by `Store::scrub`.
    "pragma secure_delete = fast",
    // 2,000 KiB. It is small because the operating system caches the file as well.
    "pragma cache_size = -2000",
];

/// Keeps in memory what else is in temporary files: sorted rows, and pages before a statement that may be undone.
pub(in crate::store) const TEMPORARY_IN_MEMORY: &str = "pragma temp_store = memory";

/// Searches the texts of messages, the newest first. Parameters: the query, the owner, the limit.
pub(in crate::store) const SEARCH_MESSAGES: &str = "
    select c.id as conversation, c.title as title, m.id as message, m.text as text from message_words
    cross join messages m on m.key = message_words.rowid
    cross join conversations c on c.key = m.conversation
    where message_words match $1 and c.owner = $2 and c.deleted_at is null and c.import is null
    order by message_words.rowid desc limit $3";
/// Searches the titles, the newest conversations first. Parameters: the query, the owner, the limit.
pub(in crate::store) const SEARCH_TITLES: &str = "
    select c.id as conversation, c.title as title, null as message, c.title as text from title_words
    cross join conversations c on c.key = title_words.rowid
    where title_words match $1 and c.owner = $2 and c.deleted_at is null and c.import is null
    order by title_words.rowid desc limit $3";

/// The query as FTS5 reads it, restricted to the rows of this owner.
pub(in crate::store) fn match_query(owner: &str, query: &Query) -> String {
    format!(
        "owner : \"{}\" AND words : ({})",
        owner_term(owner),
        query.for_fts5()
    )
}

/// The owner as one term of the index.
fn owner_term(owner: &str) -> String {
    use std::fmt::Write;
    owner.bytes().fold(String::from("o"), |mut word, byte| {
        write!(word, "{byte:02x}").expect("writing to a string cannot fail");
        word
    })
}

pub(super) async fn index_message(
    connection: &mut TransactionConnection,
    owner: &str,
    key: i64,
    terms: String,
) -> Result<()> {
    query("insert or replace into message_words (rowid, owner, words) values ($1, $2, $3)")
        .bind(key)
        .bind(owner_term(owner))
        .bind(terms)
        .execute(connection)
        .await?;
    Ok(())
}

/// Puts the terms of the message with this id into the index.
pub(super) fn index_of_message(owner: &str, id: &str, terms: String) -> BoundStatement {
    BoundStatement::new(
        "insert or replace into message_words (rowid, owner, words)
         select key, $1, $2 from messages where id = $3 and owner = $4",
    )
    .bind(owner_term(owner))
    .bind(terms)
    .bind(id)
    .bind(owner)
}

/// Puts the terms of the reply that this generation makes into the index.
pub(super) fn index_of_reply(owner: &str, generation: &str, terms: String) -> BoundStatement {
    BoundStatement::new(
        "insert or replace into message_words (rowid, owner, words)
         select key, $1, $2 from messages
         where id = (select message from generations where id = $3 and owner = $4) and generation = $3",
    )
    .bind(owner_term(owner))
    .bind(terms)
    .bind(generation)
    .bind(owner)
}

/// Puts the title of the conversation with this id into the index.
pub(super) fn index_of_title(owner: &str, id: &str, title: &str) -> BoundStatement {
    BoundStatement::new(
        "insert or replace into title_words (rowid, owner, words)
         select key, $1, $2 from conversations where id = $3 and owner = $4",
    )
    .bind(owner_term(owner))
    .bind(tokenizer::terms(title))
    .bind(id)
    .bind(owner)
}

row! {
    /// A message that was added, as the statement returns it.
    struct AddedRow {
        key: i64,
        id: String,
    }
}

/// Puts the terms of several new messages, each with the message's id, into the index. `added` are the
/// rows of these messages.
pub(in crate::store) async fn index_messages(
    connection: &mut TransactionConnection,
    owner: &str,
    added: &[AnyRow],
    terms: Vec<(String, String)>,
) -> Result<()> {
    let mut keys = HashMap::with_capacity(added.len());
    for row in added {
        let AddedRow { key, id } = AddedRow::from_row(row)?;
        keys.insert(id, key);
    }
    let mut sql = String::from("insert into message_words (rowid, owner, words) values ");
    for row in 0..terms.len() {
        let comma = if row == 0 { "" } else { ", " };
        sql.push_str(&format!("{comma}(${}, $1, ${})", 2 * row + 2, 2 * row + 3));
    }
    let mut insert = query(AssertSqlSafe(sql)).bind(owner_term(owner));
    for (id, terms) in terms {
        insert = insert.bind(keys.get(&id).copied()).bind(terms);
    }
    insert.execute(connection).await?;
    Ok(())
}

pub(super) async fn index_title(
    connection: &mut TransactionConnection,
    owner: &str,
    key: i64,
    title: &str,
) -> Result<()> {
    query("insert or replace into title_words (rowid, owner, words) values ($1, $2, $3)")
        .bind(key)
        .bind(owner_term(owner))
        .bind(tokenizer::terms(title))
        .execute(connection)
        .await?;
    Ok(())
}
