//! Full-text search in titles and messages.

pub(in crate::store) mod tokenizer;

use app::protocol::saved::SearchHit;
use sqlx::query_as;

use self::tokenizer::Query;
use super::database::rows::row;
use super::database::{Database, postgres, sqlite};
use super::{Result, Store};

/// The most hits of one search.
const MAX_HITS: u32 = 100;

/// Where a search looks.
#[derive(Clone, Copy)]
enum MatchedField {
    Titles,
    Messages,
}

row! {
    /// A text that matches, and where it is. A title has no message.
    pub(in crate::store) struct HitRow {
        conversation: String,
        title: String,
        message: Option<String>,
        text: String,
    }
}

impl Store {
    /// Searches titles and messages, the newest hits of each first. `limit` is at most 100.
    pub async fn search(&self, owner: &str, text: &str, limit: u32) -> Result<Vec<SearchHit>> {
        let Some(query) = Query::parse(text) else {
            return Ok(Vec::new());
        };
        let limit = i64::from(limit.clamp(1, MAX_HITS));
        let mut hits = Vec::new();
        for place in [MatchedField::Titles, MatchedField::Messages] {
            let left = limit - hits.len() as i64;
            if left <= 0 {
                break;
            }
            let found = self.search_in(place, owner, &query, left).await?;
            hits.extend(found.into_iter().map(|row| SearchHit {
                snippet: query.snippet(&row.text),
                conversation: row.conversation,
                title: row.title,
                message: row.message,
            }));
        }
        Ok(hits)
    }

    /// The newest texts in one place that match.
    async fn search_in(
        &self,
        place: MatchedField,
        owner: &str,
        query: &Query,
        limit: i64,
    ) -> Result<Vec<HitRow>> {
        match self.database {
            Database::Sqlite => {
                let sql = match place {
                    MatchedField::Titles => sqlite::SEARCH_TITLES,
                    MatchedField::Messages => sqlite::SEARCH_MESSAGES,
                };
                let fts5 = sqlite::match_query(owner, query);
                let found = query_as(sql).bind(fts5).bind(owner).bind(limit);
                Ok(found.fetch_all(self.single_read()).await?)
            }
            Database::Postgres => {
                let search = match place {
                    MatchedField::Titles => postgres::IN_TITLES,
                    MatchedField::Messages => postgres::IN_MESSAGES,
                };
                let tsquery = query.for_tsquery();
                let mut tx = self.snapshot().await?;
                postgres::search(&mut tx, search, &tsquery, owner, limit).await
            }
        }
    }
}
