//! What is particular to PostgreSQL: its full-text index.
//!
//! The words are ours, as they are for SQLite, so that both find the same; PostgreSQL's own parser
//! would not find single letters of scripts without spaces.

use std::collections::BTreeMap;
use std::fmt::Write;

use sqlx::any::AnyRow;
use sqlx::{query, query_scalar};

use super::Result;
use super::search::tokenizer as words;
use super::transaction::Connection;

/// The setting of every connection.
pub(super) const SETTING: &str = "set idle_in_transaction_session_timeout = '10s'";

/// How words are looked for in one place.
pub(super) struct Search {
    /// Takes words, owner and limit; gives conversation, title, message and the text that holds them.
    hits: &'static str,
    /// Takes words and a limit; counts what holds them, up to that.
    count: &'static str,
}

/// In the texts of messages.
pub(super) const IN_MESSAGES: Search = Search {
    // Each subquery stays what it is, so the planner cannot begin with the conversations.
    hits: "
    select c.id, c.title, found.id, found.text from (
        select m.key, m.conversation, m.id, m.text from messages m
        where m.words @@ $1::tsquery and (
            select c.owner = $2 and c.deleted_at is null and c.import is null
            from conversations c where c.key = m.conversation)
        order by m.key desc limit $3) found
    join conversations c on c.key = found.conversation
    order by found.key desc",
    count: "
    select count(*) from (select from messages where words @@ $1::tsquery limit $2) found",
};
/// In titles: without a message.
pub(super) const IN_TITLES: Search = Search {
    hits: "
    select c.id, c.title, cast(null as text), c.title from conversations c
    where c.title_words @@ $1::tsquery and c.owner = $2 and c.deleted_at is null and c.import is null
    order by c.key desc limit $3",
    count: "
    select count(*) from (select from conversations where title_words @@ $1::tsquery limit $2) found",
};

/// Up to so many are taken from the index of words and sorted. Where there are more, the newest are soon
/// found by looking at all from the newest on.
const FEW: i64 = 1000;

/// Each of the two ways leaves the planner no other. It cannot know how many texts hold words of these
/// beginnings, and would look at all texts for a word that is in none, or sort nearly all of them. Nor
/// is it worth a tenth of a second to compile a query that is soon answered.
const BY_WORDS: &str = "
    select set_config('jit', 'off', true), set_config('enable_seqscan', 'off', true),
        set_config('enable_indexscan', 'off', true)";
const FROM_THE_NEWEST: &str = "
    select set_config('enable_bitmapscan', 'off', true), set_config('enable_indexscan', 'on', true)";

/// The newest that hold these words.
pub(super) async fn search(
    tx: &mut Connection,
    search: Search,
    words: &str,
    owner: &str,
    limit: i64,
) -> Result<Vec<AnyRow>> {
    query(BY_WORDS).execute(&mut *tx).await?;
    // Plans that are kept for later would not know of the settings.
    let count: i64 = query_scalar(search.count)
        .persistent(false)
        .bind(words)
        .bind(FEW + 1)
        .fetch_one(&mut *tx)
        .await?;
    if count > FEW {
        query(FROM_THE_NEWEST).execute(&mut *tx).await?;
    }
    let found = query(search.hits)
        .persistent(false)
        .bind(words)
        .bind(owner)
        .bind(limit)
        .fetch_all(&mut *tx)
        .await?;
    Ok(found)
}

/// A `tsvector` may have 1 MiB. What is beyond this much of a message is not found.
const MAX_VECTOR_BYTES: usize = 512 * 1024;
/// Positions end here, by the limits of a `tsvector`.
const MAX_POSITION: usize = 16_383;
/// And a word may have so many of them.
const MAX_POSITIONS: usize = 255;

pub(super) async fn index_message(
    connection: &mut Connection,
    key: i64,
    words: String,
) -> Result<()> {
    query("update messages set words = $1::tsvector where key = $2")
        .bind(words)
        .bind(key)
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn index_title(connection: &mut Connection, key: i64, title: &str) -> Result<()> {
    query("update conversations set title_words = $1::tsvector where key = $2")
        .bind(vector(title))
        .bind(key)
        .execute(connection)
        .await?;
    Ok(())
}

/// The words of a text with their places, as a `tsvector` is written.
pub(super) fn vector(text: &str) -> String {
    let index = words::index(text);
    let mut places: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    let mut bytes = 0;
    for (at, word) in index.split(' ').filter(|word| !word.is_empty()).enumerate() {
        bytes += word.len() + 8;
        if bytes > MAX_VECTOR_BYTES {
            break;
        }
        let of_word = places.entry(word).or_default();
        if of_word.len() < MAX_POSITIONS {
            of_word.push((at + 1).min(MAX_POSITION));
        }
    }
    let mut out = String::new();
    for (word, of_word) in places {
        let of_word: Vec<String> = of_word.iter().map(usize::to_string).collect();
        write!(out, "'{word}':{} ", of_word.join(",")).expect("a string takes all");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_holds_each_word_once_with_its_places() {
        assert_eq!(vector("b a, b 東京"), "'a':2 'b':1,3 '京':5 '東':4 ");
        assert_eq!(vector("…"), "");
        assert!(vector(&"word ".repeat(300_000)).len() < 16 * 1024);
    }
}
