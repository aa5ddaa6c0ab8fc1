//! What is particular to SQLite: its full-text index and its settings.

use std::collections::HashMap;

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row, query};

use super::Result;
use super::search::tokenizer::{self as words, Query};
use super::transaction::Connection;

/// The setting of the file, which stays in it. With a log of what is written (WAL), readers and the
/// writer do not wait for each other, and a process that is killed loses nothing that was committed.
pub(super) const JOURNAL: &str = "pragma journal_mode = wal";

/// The settings of every connection. None of them needs the disk, so that a connection can be opened
/// when that is full.
pub(super) const SETTINGS: [&str; 4] = [
    "pragma busy_timeout = 2000",
    "pragma synchronous = normal",
    "pragma foreign_keys = on",
    // In KiB; the system keeps the file's pages anyway.
    "pragma cache_size = -2000",
];

/// Takes words, owner and limit; gives conversation, title, message and the text that holds them.
pub(super) const SEARCH_MESSAGES: &str = "
    select c.id, c.title, m.id, m.text from message_words
    cross join messages m on m.key = message_words.rowid
    cross join conversations c on c.key = m.conversation
    where message_words match $1 and c.owner = $2 and c.deleted_at is null and c.import is null
    order by message_words.rowid desc limit $3";
/// The same for titles, without a message.
pub(super) const SEARCH_TITLES: &str = "
    select c.id, c.title, null, c.title from title_words
    cross join conversations c on c.key = title_words.rowid
    where title_words match $1 and c.owner = $2 and c.deleted_at is null and c.import is null
    order by title_words.rowid desc limit $3";

/// What the full-text index is asked: words of this owner.
pub(super) fn match_words(owner: &str, wanted: &Query) -> String {
    format!(
        "owner : \"{}\" AND words : ({})",
        owner_word(owner),
        wanted.for_fts5()
    )
}

/// An owner as one word of the index.
fn owner_word(owner: &str) -> String {
    use std::fmt::Write;
    owner.bytes().fold(String::from("o"), |mut word, byte| {
        write!(word, "{byte:02x}").expect("a string takes all");
        word
    })
}

pub(super) async fn index_message(
    connection: &mut Connection,
    owner: &str,
    key: i64,
    words: String,
) -> Result<()> {
    query("insert or replace into message_words (rowid, owner, words) values ($1, $2, $3)")
        .bind(key)
        .bind(owner_word(owner))
        .bind(words)
        .execute(connection)
        .await?;
    Ok(())
}

/// Puts the words of several new messages into the index. The rows hold the key and the id of each.
pub(super) async fn index_messages(
    connection: &mut Connection,
    owner: &str,
    added: &[AnyRow],
    words: &[(String, String)],
) -> Result<()> {
    let mut keys = HashMap::with_capacity(added.len());
    for row in added {
        keys.insert(row.try_get::<String, _>(1)?, row.try_get::<i64, _>(0)?);
    }
    let mut sql = String::from("insert into message_words (rowid, owner, words) values ");
    for row in 0..words.len() {
        let comma = if row == 0 { "" } else { ", " };
        sql.push_str(&format!("{comma}(${}, $1, ${})", 2 * row + 2, 2 * row + 3));
    }
    let mut insert = query(AssertSqlSafe(sql)).bind(owner_word(owner));
    for (id, words) in words {
        insert = insert.bind(keys.get(id).copied()).bind(words.clone());
    }
    insert.execute(connection).await?;
    Ok(())
}

pub(super) async fn index_title(
    connection: &mut Connection,
    owner: &str,
    key: i64,
    title: &str,
) -> Result<()> {
    query("insert or replace into title_words (rowid, owner, words) values ($1, $2, $3)")
        .bind(key)
        .bind(owner_word(owner))
        .bind(words::index(title))
        .execute(connection)
        .await?;
    Ok(())
}
