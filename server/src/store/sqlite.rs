//! What is particular to SQLite: its full-text index, its settings, its words for what went wrong.

use sqlx::error::DatabaseError;
use sqlx::query;

use super::Result;
use super::sql::Connection;
use super::words::{self, Query};

/// The settings of every connection.
///
/// With a log of what is written (WAL), readers and the writer do not wait for each other, and a
/// process that is killed loses nothing that was committed.
pub(super) const SETTINGS: [&str; 5] = [
    "pragma busy_timeout = 2000",
    "pragma journal_mode = wal",
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
    text: &str,
) -> Result<()> {
    query("insert or replace into message_words (rowid, owner, words) values ($1, $2, $3)")
        .bind(key)
        .bind(owner_word(owner))
        .bind(words::index(text))
        .execute(connection)
        .await?;
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

/// Whether another program or connection holds the database.
pub(super) fn is_busy(error: &sqlx::Error) -> bool {
    matches!(primary_code(error), Some(5 | 6))
}

/// Whether a connection is to be opened anew after this. The others of SQLite's errors say nothing
/// about the connection, and opening one needs room on the disk, which may be full.
pub(super) fn needs_reopening(error: &sqlx::Error) -> bool {
    match error {
        // Read-only (also: the file was moved away), I/O, damaged, cannot be opened, no database.
        sqlx::Error::Database(_) => {
            matches!(primary_code(error), None | Some(8 | 10 | 11 | 14 | 26))
        }
        // It does not answer, or its thread has ended.
        _ => true,
    }
}

/// The lowest byte of a code is the primary one. PostgreSQL's codes have five characters.
fn primary_code(error: &sqlx::Error) -> Option<u32> {
    let code = error.as_database_error()?.code()?;
    let code = code.parse::<u32>().ok().filter(|_| code.len() < 5)?;
    Some(code & 0xff)
}

/// What a database says went wrong, in words for the log. It holds none of the data.
pub(super) fn describe(error: &dyn DatabaseError) -> String {
    // PostgreSQL's codes have five characters, of which some are numbers; SQLite's have less, and the
    // lowest byte is the primary one.
    let code = error.code().unwrap_or_default();
    let number = code.parse::<u32>().ok().filter(|_| code.len() < 5);
    let what = match number.map(|number| number & 0xff) {
        Some(5 | 6) => "another program holds the database",
        Some(8) => {
            "the database is read-only: let Rill write its file and its folder, or name another folder with --data-dir"
        }
        Some(10) => "the disk failed",
        Some(11 | 26) => "the database is damaged: see `rill check`, and restore a backup",
        Some(13) => "the disk is full",
        Some(14) => {
            "the database cannot be opened: let Rill read and write its file and its folder, or name another folder with --data-dir"
        }
        _ => return format!("{} ({code})", error.message()),
    };
    format!("{what} ({code})")
}
