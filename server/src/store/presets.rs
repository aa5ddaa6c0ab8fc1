//! The presets of an owner.

use app::protocol::Preset;
use sqlx::{query, query_scalar};

use super::database::rows;
use super::{Result, Store, StoreError};

/// The most presets of an owner.
const MOST: i64 = 200;

impl Store {
    /// The presets of an owner, by name.
    pub async fn presets(&self, owner: &str) -> Result<Vec<Preset>> {
        let found: Vec<String> =
            query_scalar("select content from presets where owner = $1 order by folded")
                .bind(owner)
                .fetch_all(self.single_read())
                .await?;
        // What another version wrote and this one cannot read is left out.
        Ok(found
            .iter()
            .filter_map(|content| serde_json::from_str(content).ok())
            .collect())
    }

    /// Stores a preset, in the place of one with the same name and of the one named `replaces`.
    ///
    /// # Errors
    /// `Invalid` if the owner has too many.
    pub async fn save_preset(
        &self,
        owner: &str,
        preset: &Preset,
        replaces: Option<&str>,
    ) -> Result<()> {
        let mut tx = self.transaction().await?;
        for name in [Some(preset.name.as_str()), replaces].into_iter().flatten() {
            query("delete from presets where owner = $1 and folded = $2")
                .bind(owner)
                .bind(folded(name))
                .execute(&mut *tx)
                .await?;
        }
        let count: i64 = query_scalar("select count(*) from presets where owner = $1")
            .bind(owner)
            .fetch_one(&mut *tx)
            .await?;
        if count >= MOST {
            return Err(StoreError::Invalid(
                "There are 200 presets already. Delete one first.",
            ));
        }
        query("insert into presets (owner, folded, content) values ($1, $2, $3)")
            .bind(owner)
            .bind(folded(&preset.name))
            .bind(self.database.text(&rows::to_json(preset)))
            .execute(&mut *tx)
            .await?;
        tx.commit().await
    }

    /// Deletes a preset. One that is not there is deleted already.
    pub async fn delete_preset(&self, owner: &str, name: &str) -> Result<()> {
        let mut tx = self.transaction().await?;
        query("delete from presets where owner = $1 and folded = $2")
            .bind(owner)
            .bind(folded(name))
            .execute(&mut *tx)
            .await?;
        tx.commit().await
    }
}

/// The form of a name by which it is found.
fn folded(name: &str) -> String {
    name.trim().to_lowercase()
}
