//! The two kinds of database, and what has to be done differently for each of them.

use super::search::tokenizer;
use super::transaction::Connection;
use super::{Piece, Result, postgres, sqlite};

/// The kind of database, where their SQL differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Database {
    Sqlite,
    Postgres,
}

impl Database {
    /// The words of a text as they are put into the index. To be made before a transaction begins, for
    /// others wait for that, and away from the runtime's threads where there are many.
    pub(super) async fn words_of(self, text: &str) -> String {
        /// As many bytes are done in about a millisecond.
        const FEW: usize = 16 * 1024;
        if text.len() <= FEW {
            return self.words(text);
        }
        let text = text.to_owned();
        tokio::task::spawn_blocking(move || self.words(&text))
            .await
            .expect("it does not panic")
    }

    /// Puts the words of a message into the index, in the place of what was there of it.
    pub(super) async fn index_words(
        self,
        connection: &mut Connection,
        owner: &str,
        key: i64,
        words: String,
    ) -> Result<()> {
        match self {
            Self::Sqlite => sqlite::index_message(connection, owner, key, words).await,
            Self::Postgres => postgres::index_message(connection, key, words).await,
        }
    }

    /// The same for a title.
    pub(super) async fn index_title(
        self,
        connection: &mut Connection,
        owner: &str,
        key: i64,
        title: &str,
    ) -> Result<()> {
        match self {
            Self::Sqlite => sqlite::index_title(connection, owner, key, title).await,
            Self::Postgres => postgres::index_title(connection, key, title).await,
        }
    }

    /// The words of a text, as they are put into the index.
    pub(super) fn words(self, text: &str) -> String {
        match self {
            Self::Sqlite => tokenizer::index(text),
            Self::Postgres => postgres::vector(text),
        }
    }

    /// A text as the database can hold it: PostgreSQL has no room for the character zero.
    pub(super) fn text(self, text: &str) -> String {
        match self {
            Self::Postgres if text.contains('\0') => text.replace('\0', "\u{fffd}"),
            _ => text.to_owned(),
        }
    }

    /// The same for a piece of a reply, so that its events keep their numbers.
    pub(super) fn piece(self, piece: &Piece) -> Piece {
        match self {
            Self::Postgres => piece.replaced('\0', "\u{fffd}"),
            Self::Sqlite => piece.clone(),
        }
    }
}
