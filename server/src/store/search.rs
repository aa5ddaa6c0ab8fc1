//! Full-text search in titles and messages.

pub mod tokenizer;

use app::protocol::saved::SearchHit;
use sqlx::any::AnyRow;
use sqlx::{Row, query};

use self::tokenizer::Query;
use super::database::Database;
use super::{Result, Store, postgres, sqlite};

/// The most hits that are given.
const MAX_HITS: u32 = 100;

/// Where words are looked for.
#[derive(Clone, Copy)]
enum Place {
    Titles,
    Messages,
}

impl Store {
    /// Looks for words in titles and messages.
    pub async fn search(&self, owner: &str, text: &str, limit: u32) -> Result<Vec<SearchHit>> {
        let Some(wanted) = Query::parse(text) else {
            return Ok(Vec::new());
        };
        let limit = i64::from(limit.clamp(1, MAX_HITS));
        let mut hits = Vec::new();
        for place in [Place::Titles, Place::Messages] {
            let left = limit - hits.len() as i64;
            if left <= 0 {
                break;
            }
            let found = self.find_in(place, owner, &wanted, left).await?;
            for row in found {
                let message: Option<String> = row.try_get(2)?;
                let text: String = row.try_get(3)?;
                hits.push(SearchHit {
                    conversation: row.try_get(0)?,
                    title: row.try_get(1)?,
                    message,
                    snippet: wanted.snippet(&text),
                });
            }
        }
        Ok(hits)
    }

    /// What holds the words there, the newest first.
    async fn find_in(
        &self,
        place: Place,
        owner: &str,
        wanted: &Query,
        limit: i64,
    ) -> Result<Vec<AnyRow>> {
        let mut tx = self.snapshot().await?;
        match self.database {
            Database::Sqlite => {
                let sql = match place {
                    Place::Titles => sqlite::SEARCH_TITLES,
                    Place::Messages => sqlite::SEARCH_MESSAGES,
                };
                let words = sqlite::match_words(owner, wanted);
                let found = query(sql).bind(words).bind(owner).bind(limit);
                Ok(found.fetch_all(&mut *tx).await?)
            }
            Database::Postgres => {
                let search = match place {
                    Place::Titles => postgres::IN_TITLES,
                    Place::Messages => postgres::IN_MESSAGES,
                };
                let words = wanted.for_tsquery();
                postgres::search(&mut tx, search, &words, owner, limit).await
            }
        }
    }
}
