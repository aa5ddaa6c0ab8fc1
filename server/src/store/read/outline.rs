//! Reads the questions of the shown path, as the list to jump to.

use app::protocol::saved::OutlineQuestion;
use sqlx::{AssertSqlSafe, query_as};

use crate::store::database::rows::row;
use crate::store::{Result, Store};

/// The most questions of an outline, the newest.
const MOST: usize = 2_000;
/// The most messages that one query reads.
const STEP: usize = 500;

row! {
    struct QuestionRow {
        id: String,
        beginning: String,
    }
}

impl Store {
    /// The questions of the shown path, the first one first, each with the beginning of its text. Of more than 2,000 only
    /// the newest.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn outline(&self, owner: &str, conversation: &str) -> Result<Vec<OutlineQuestion>> {
        let key = self.key(owner, conversation).await?;
        let path = self.shown(owner, key).await?;
        let newest = &path[path.len().saturating_sub(2 * MOST)..];
        let mut questions = Vec::new();
        for keys in newest.chunks(STEP) {
            let parameters: Vec<String> =
                (0..keys.len()).map(|at| format!("${}", at + 2)).collect();
            let sql = format!(
                "select id, substr(text, 1, 160) as beginning from messages
                 where owner = $1 and role = 'user' and key in ({}) order by key",
                parameters.join(", ")
            );
            let mut select = query_as(AssertSqlSafe(sql)).bind(owner);
            for key in keys {
                select = select.bind(key.key);
            }
            let found: Vec<QuestionRow> = select.fetch_all(self.single_read()).await?;
            questions.extend(found.into_iter().map(|row| OutlineQuestion {
                message: row.id,
                text: row.beginning,
            }));
        }
        Ok(questions)
    }
}
