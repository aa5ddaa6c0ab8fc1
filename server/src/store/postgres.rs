//! What is particular to PostgreSQL: its full-text index.
//!
//! The words are ours, as they are for SQLite, so that both find the same; PostgreSQL's own parser
//! would not find single letters of scripts without spaces.

use std::collections::BTreeMap;
use std::fmt::Write;

use sqlx::{AnyConnection, query};

use super::Result;
use super::words;

/// Takes words, owner and limit; gives conversation, title, message and the text that holds them.
pub(super) const SEARCH_MESSAGES: &str = "
    select c.id, c.title, m.id, m.text from messages m
    join conversations c on c.key = m.conversation
    where m.words @@ $1::tsquery and c.owner = $2 and c.deleted_at is null and c.import is null
    order by m.key desc limit $3";
/// The same for titles, without a message.
pub(super) const SEARCH_TITLES: &str = "
    select c.id, c.title, cast(null as text), c.title from conversations c
    where c.title_words @@ $1::tsquery and c.owner = $2 and c.deleted_at is null and c.import is null
    order by c.key desc limit $3";

/// A `tsvector` may have 1 MiB. What is beyond this much of a message is not found.
const MAX_VECTOR_BYTES: usize = 512 * 1024;
/// Positions end here, by the limits of a `tsvector`.
const MAX_POSITION: usize = 16_383;
/// And a word may have so many of them.
const MAX_POSITIONS: usize = 255;

pub(super) async fn index_message(
    connection: &mut AnyConnection,
    key: i64,
    text: &str,
) -> Result<()> {
    query("update messages set words = $1::tsvector where key = $2")
        .bind(vector(text))
        .bind(key)
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn index_title(
    connection: &mut AnyConnection,
    key: i64,
    title: &str,
) -> Result<()> {
    query("update conversations set title_words = $1::tsvector where key = $2")
        .bind(vector(title))
        .bind(key)
        .execute(connection)
        .await?;
    Ok(())
}

/// The words of a text with their places, as a `tsvector` is written.
fn vector(text: &str) -> String {
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
