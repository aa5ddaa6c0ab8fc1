//! Access to the database: transactions, rows, errors, and what SQLite and PostgreSQL do differently.

pub(super) mod batch;
pub(super) mod connections;
pub(super) mod failure;
pub(super) mod postgres;
pub(super) mod rows;
pub(super) mod slice;
pub(super) mod sqlite;
pub(super) mod transaction;

use self::batch::BoundStatement;
use self::transaction::TransactionConnection;
use super::search::tokenizer;
use super::{Piece, Result};

/// The database system. Its methods do what the two systems do differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Database {
    Sqlite,
    Postgres,
}

impl Database {
    /// The search terms of a text, as [`Self::index_message`] takes them. Callers make them before they
    /// begin a transaction, because other writers wait for it; the terms of a long text are made on a
    /// blocking thread.
    pub(super) async fn search_terms_of(self, text: &str) -> String {
        /// The size in bytes that takes about a millisecond.
        const SHORT: usize = 16 * 1024;
        if text.len() <= SHORT {
            return self.search_terms(text);
        }
        let text = text.to_owned();
        tokio::task::spawn_blocking(move || self.search_terms(&text))
            .await
            .expect("the tokenizer does not panic")
    }

    /// The search terms of a text, as [`Self::index_message`] takes them.
    pub(super) fn search_terms(self, text: &str) -> String {
        match self {
            Self::Sqlite => tokenizer::terms(text),
            Self::Postgres => postgres::vector(text),
        }
    }

    /// Puts the terms of a message into the search index, in place of its earlier terms.
    pub(super) async fn index_message(
        self,
        connection: &mut TransactionConnection,
        owner: &str,
        key: i64,
        terms: String,
    ) -> Result<()> {
        match self {
            Self::Sqlite => sqlite::index_message(connection, owner, key, terms).await,
            Self::Postgres => postgres::index_message(connection, key, terms).await,
        }
    }

    /// The statement that puts the terms of the message with this id into the search index.
    pub(super) fn index_of_message(self, owner: &str, id: &str, terms: String) -> BoundStatement {
        match self {
            Self::Sqlite => sqlite::index_of_message(owner, id, terms),
            Self::Postgres => postgres::index_of_message(owner, id, terms),
        }
    }

    /// The statement that puts the terms of the reply that this generation makes into the search index.
    pub(super) fn index_of_reply(
        self,
        owner: &str,
        generation: &str,
        terms: String,
    ) -> BoundStatement {
        match self {
            Self::Sqlite => sqlite::index_of_reply(owner, generation, terms),
            Self::Postgres => postgres::index_of_reply(owner, generation, terms),
        }
    }

    /// The statement that puts the title of the conversation with this id into the search index.
    pub(super) fn index_of_title(self, owner: &str, id: &str, title: &str) -> BoundStatement {
        match self {
            Self::Sqlite => sqlite::index_of_title(owner, id, title),
            Self::Postgres => postgres::index_of_title(owner, id, title),
        }
    }

    /// Puts a title into the search index, in place of the earlier one.
    pub(super) async fn index_title(
        self,
        connection: &mut TransactionConnection,
        owner: &str,
        key: i64,
        title: &str,
    ) -> Result<()> {
        match self {
            Self::Sqlite => sqlite::index_title(connection, owner, key, title).await,
            Self::Postgres => postgres::index_title(connection, key, title).await,
        }
    }

    /// The text as the database can store it. PostgreSQL stores no NUL character, so each becomes
    /// U+FFFD.
    pub(super) fn text(self, text: &str) -> String {
        match self {
            Self::Postgres if text.contains('\0') => text.replace('\0', "\u{fffd}"),
            _ => text.to_owned(),
        }
    }

    /// The piece as the database can store it, see [`Self::text`]. Its events keep their numbers.
    pub(super) fn piece(self, piece: &Piece) -> Piece {
        match self {
            Self::Postgres => piece.replaced('\0', "\u{fffd}"),
            Self::Sqlite => piece.clone(),
        }
    }
}
