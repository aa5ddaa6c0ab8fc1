//! Imports: conversations that nobody sees until all of them are there.

use std::collections::HashMap;

use app::protocol::ErrorKind;
use app::protocol::saved::{ExportedConversation, MessageState, SavedMessage};
use sqlx::{Row, query};

use super::edit::remove;
use super::rows;
use super::transaction::Connection;
use super::{Result, Sql};
use crate::store::{TitledBy, new_id, now};

impl Sql {
    pub(super) async fn add_hidden(
        &self,
        owner: &str,
        import: &str,
        conversations: &[ExportedConversation],
    ) -> Result<Vec<usize>> {
        let mut there = Vec::new();
        let mut tx = self.transaction().await?;
        for (place, conversation) in conversations.iter().enumerate() {
            let known = query("select owner, deleted_at from conversations where id = $1")
                .bind(&conversation.id)
                .fetch_optional(&mut *tx)
                .await?;
            let id = match known {
                None => conversation.id.clone(),
                Some(row)
                    if row.try_get::<String, _>(0)? == owner
                        && row.try_get::<Option<i64>, _>(1)?.is_none() =>
                {
                    there.push(place);
                    continue;
                }
                // A deleted one, or somebody else's, which is nobody's business.
                Some(_) => new_id(),
            };
            self.add_conversation(&mut tx, owner, import, &id, conversation)
                .await?;
        }
        tx.commit().await?;
        Ok(there)
    }

    async fn add_conversation(
        &self,
        tx: &mut Connection,
        owner: &str,
        import: &str,
        id: &str,
        conversation: &ExportedConversation,
    ) -> Result<()> {
        // Messages get new ids: those of the file may be in use.
        let ids: HashMap<&str, String> = conversation
            .messages
            .iter()
            .map(|message| (message.id.as_str(), new_id()))
            .collect();
        let leaf = conversation.leaf.as_deref().and_then(|leaf| ids.get(leaf));
        let title = self.dialect.text(&conversation.title);
        let row = query(
            "insert into conversations
                 (id, owner, title, titled_by, pinned, leaf, created_at, updated_at, ended_at, read_at, import)
             values ($1, $2, $3, $4, $5, $6, $7, $8, 0, $9, $10) returning key",
        )
        .bind(id)
        .bind(owner)
        .bind(&title)
        .bind(rows::titled_by(TitledBy::Person))
        .bind(i64::from(conversation.pinned))
        .bind(leaf.cloned())
        .bind(conversation.created_at)
        .bind(conversation.updated_at)
        .bind(now())
        .bind(import)
        .fetch_one(&mut *tx)
        .await?;
        let key = row.try_get(0)?;
        self.dialect.index_title(tx, owner, key, &title).await?;
        for message in &conversation.messages {
            self.add_message(tx, owner, key, &ids, message).await?;
        }
        Ok(())
    }

    async fn add_message(
        &self,
        tx: &mut Connection,
        owner: &str,
        conversation: i64,
        ids: &HashMap<&str, String>,
        message: &SavedMessage,
    ) -> Result<()> {
        let (state, finish, error) = match &message.state {
            MessageState::Done { finish } => ("done", Some(finish.as_str()), None),
            MessageState::Error(error) if error.kind != ErrorKind::Interrupted => {
                ("error", None, Some(rows::to_json(error)))
            }
            MessageState::Error(_) | MessageState::Interrupted | MessageState::Streaming { .. } => {
                ("interrupted", None, None)
            }
        };
        let timing = message.timing.unwrap_or_default();
        let ms = |time: Option<u64>| time.and_then(|time| i64::try_from(time).ok());
        let parent = message.parent.as_deref().and_then(|parent| ids.get(parent));
        let row = query(
            "insert into messages (id, conversation, owner, parent, role, text, reasoning, model, usage,
                 first_token_ms, duration_ms, thinking_ms, state, finish, error, created_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) returning key",
        )
        .bind(&ids[message.id.as_str()])
        .bind(conversation)
        .bind(owner)
        .bind(parent.cloned())
        .bind(rows::role_name(message.role))
        .bind(self.dialect.text(&message.text))
        .bind(self.dialect.text(&message.reasoning))
        .bind(message.model.clone())
        .bind(message.usage.as_ref().map(rows::to_json))
        .bind(ms(timing.first_token_ms))
        .bind(ms(timing.duration_ms))
        .bind(ms(timing.thinking_ms))
        .bind(state)
        .bind(finish)
        .bind(error)
        .bind(message.created_at)
        .fetch_one(&mut *tx)
        .await?;
        self.dialect
            .index_message(tx, owner, row.try_get(0)?, &message.text)
            .await
    }

    pub(super) async fn show_imported(&self, owner: &str, import: &str) -> Result<()> {
        let mut tx = self.transaction().await?;
        query("update conversations set import = null where owner = $1 and import = $2")
            .bind(owner)
            .bind(import)
            .execute(&mut *tx)
            .await?;
        tx.commit().await
    }

    pub(super) async fn remove_imported(&self, import: Option<&str>) -> Result<()> {
        let mut tx = self.transaction().await?;
        let found = match import {
            Some(import) => {
                query("select key from conversations where import = $1")
                    .bind(import)
                    .fetch_all(&mut *tx)
                    .await?
            }
            None => {
                query("select key from conversations where import is not null")
                    .fetch_all(&mut *tx)
                    .await?
            }
        };
        for row in &found {
            remove(self.dialect, &mut tx, row.try_get(0)?).await?;
        }
        tx.commit().await
    }
}
