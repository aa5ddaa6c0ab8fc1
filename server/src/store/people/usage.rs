//! How much people use, by the conversations that they keep. What was said is not read.

use sqlx::query_as;

use crate::store::database::Database;
use crate::store::database::rows::row;
use crate::store::{Result, Store};

row! {
    /// What somebody has used.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct UsageRow {
        replies: i64,
        input: i64,
        output: i64,
    }
}

impl UsageRow {
    /// How many replies were made.
    #[must_use]
    pub fn replies(&self) -> i64 {
        self.replies
    }

    /// The tokens of requests and of replies, as far as providers have counted them.
    #[must_use]
    pub fn tokens(&self) -> (i64, i64) {
        (self.input, self.output)
    }
}

/// A query with this expression for a number of `usage`.
macro_rules! sums {
    ($number:literal, $end:literal) => {
        concat!(
            "select count(*) as replies, cast(coalesce(sum(cast(usage",
            $number,
            "prompt_tokens",
            $end,
            " as bigint)), 0) as bigint) as input, cast(coalesce(sum(cast(usage",
            $number,
            "completion_tokens",
            $end,
            " as bigint)), 0) as bigint) as output
             from conversations join messages on messages.conversation = conversations.key
             where conversations.owner = $1 and deleted_at is null and import is null
                 and role = 'assistant' and generation is not null"
        )
    };
}

impl Store {
    /// What an owner has used, by the conversations that are kept.
    ///
    /// # Errors
    /// `Failed`.
    pub async fn usage_of(&self, owner: &str) -> Result<UsageRow> {
        let sql = match self.database {
            Database::Sqlite => sums!(" ->> '", "'"),
            Database::Postgres => sums!("::json ->> '", "'"),
        };
        Ok(query_as(sql)
            .bind(owner)
            .fetch_one(self.single_read())
            .await?)
    }
}
