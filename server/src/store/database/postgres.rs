//! PostgreSQL: settings and full-text index.
//!
//! The search terms come from our tokenizer, as for SQLite, so that a search finds the same in both.
//! PostgreSQL's own parser does not split scripts without spaces into characters.

use std::collections::BTreeMap;
use std::fmt::Write;

use sqlx::{query, query_as, query_scalar};

use super::batch::BoundStatement;
use super::transaction::TransactionConnection;
use crate::store::Result;
use crate::store::search::{HitRow, tokenizer};

/// The setting of every connection: the server ends a transaction in which no statement runs for this
/// long, for example because the network broke.
pub(in crate::store) const SETTING: &str = "set idle_in_transaction_session_timeout = '10s'";

/// The two statements of a search in one place.
pub(in crate::store) struct Search {
    /// Reads hits, the newest first. Parameters: the query, the owner, the limit.
    hits: &'static str,
    /// Counts the texts that match, up to a limit. Parameters: the query, the limit.
    count: &'static str,
}

/// Searches the texts of messages.
pub(in crate::store) const IN_MESSAGES: Search = Search {
    // The planner cannot flatten these subqueries, so it cannot begin with the conversations.
    hits: "
    select c.id as conversation, c.title as title, found.id as message, found.text as text from (
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
/// Searches the titles.
pub(in crate::store) const IN_TITLES: Search = Search {
    hits: "
    select c.id as conversation, c.title as title, cast(null as text) as message, c.title as text
    from conversations c
    where c.title_words @@ $1::tsquery and c.owner = $2 and c.deleted_at is null and c.import is null
    order by c.key desc limit $3",
    count: "
    select count(*) from (select from conversations where title_words @@ $1::tsquery limit $2) found",
};

/// The most texts that are read from the full-text index and sorted. If more match, reading texts from
/// the newest on until enough match is faster.
const FEW: i64 = 1000;

/// Each of these settings leaves the planner one plan. It cannot know how many texts match a prefix: it
/// would read all texts for a term that is in none, or sort nearly all of them for a common one.
/// Compiling (JIT) takes longer than these queries run.
const BY_TERMS: &str = "
    select set_config('jit', 'off', true), set_config('enable_seqscan', 'off', true),
        set_config('enable_indexscan', 'off', true)";
const FROM_THE_NEWEST: &str = "
    select set_config('enable_bitmapscan', 'off', true), set_config('enable_indexscan', 'on', true)";

/// The newest hits of this query, a `tsquery`.
pub(in crate::store) async fn search(
    tx: &mut TransactionConnection,
    search: Search,
    tsquery: &str,
    owner: &str,
    limit: i64,
) -> Result<Vec<HitRow>> {
    query(BY_TERMS).execute(&mut *tx).await?;
    // Not prepared for later: a stored plan would not follow the settings.
    let count: i64 = query_scalar(search.count)
        .persistent(false)
        .bind(tsquery)
        .bind(FEW + 1)
        .fetch_one(&mut *tx)
        .await?;
    if count > FEW {
        query(FROM_THE_NEWEST).execute(&mut *tx).await?;
    }
    let found = query_as(search.hits)
        .persistent(false)
        .bind(tsquery)
        .bind(owner)
        .bind(limit)
        .fetch_all(tx)
        .await?;
    Ok(found)
}

/// The most bytes of terms that are indexed of a text; a `tsvector` may have 1 MiB. A search does not find
/// the terms after them.
const MAX_VECTOR_BYTES: usize = 512 * 1024;
/// The highest position of a term in a `tsvector`.
const MAX_POSITION: usize = 16_383;
/// The most positions of one term in a `tsvector`.
const MAX_POSITIONS: usize = 255;

pub(super) async fn index_message(
    connection: &mut TransactionConnection,
    key: i64,
    terms: String,
) -> Result<()> {
    query("update messages set words = $1::tsvector where key = $2")
        .bind(terms)
        .bind(key)
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn index_title(
    connection: &mut TransactionConnection,
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

/// Puts the terms of the message with this id into the index.
pub(super) fn index_of_message(owner: &str, id: &str, terms: String) -> BoundStatement {
    BoundStatement::new("update messages set words = $1::tsvector where id = $2 and owner = $3")
        .bind(terms)
        .bind(id)
        .bind(owner)
}

/// Puts the terms of the reply that this generation makes into the index.
pub(super) fn index_of_reply(owner: &str, generation: &str, terms: String) -> BoundStatement {
    BoundStatement::new(
        "update messages set words = $1::tsvector
         where id = (select message from generations where id = $2 and owner = $3) and generation = $2",
    )
    .bind(terms)
    .bind(generation)
    .bind(owner)
}

/// Puts the title of the conversation with this id into the index.
pub(super) fn index_of_title(owner: &str, id: &str, title: &str) -> BoundStatement {
    BoundStatement::new(
        "update conversations set title_words = $1::tsvector where id = $2 and owner = $3",
    )
    .bind(vector(title))
    .bind(id)
    .bind(owner)
}

/// The terms of a text with their positions, as the input format of `tsvector`.
pub(super) fn vector(text: &str) -> String {
    let terms = tokenizer::terms(text);
    let mut positions: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    let mut bytes = 0;
    for (at, term) in terms.split(' ').filter(|term| !term.is_empty()).enumerate() {
        bytes += term.len() + 8;
        if bytes > MAX_VECTOR_BYTES {
            break;
        }
        let of_term = positions.entry(term).or_default();
        if of_term.len() < MAX_POSITIONS {
            of_term.push((at + 1).min(MAX_POSITION));
        }
    }
    let mut out = String::new();
    for (term, of_term) in positions {
        let of_term: Vec<String> = of_term.iter().map(usize::to_string).collect();
        write!(out, "'{term}':{} ", of_term.join(",")).expect("writing to a string cannot fail");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_holds_each_term_once_with_its_positions() {
        assert_eq!(vector("b a, b 東京"), "'a':2 'b':1,3 '京':5 '東':4 ");
        assert_eq!(vector("…"), "");
        assert!(vector(&"word ".repeat(300_000)).len() < 16 * 1024);
    }
}
