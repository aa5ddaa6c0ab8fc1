//! Changes of the tree of a conversation: an edited reply as another version, a copy of a path as a new conversation,
//! and deleted messages.

use app::protocol::saved::SavedMessage;
use sqlx::{query, query_as, query_scalar};

use crate::store::database::rows::{self, row};
use crate::store::database::transaction::TransactionConnection;
use crate::store::read::{newest_child, newest_leaf_below};
use crate::store::{
    ConversationHead, ImportCursor, ImportPart, MessageKey, Result, Store, StoreError, TitledBy,
    new_id,
};

/// The most messages that are deleted at once, since other writes wait meanwhile.
const MOST_CUT: i64 = 5_000;

/// Messages that were deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CutMessages {
    /// The id by which [`Store::restore`] restores them. It is that of the conversation if nothing is left of it.
    pub id: String,
    /// The generations that run in them.
    pub running: Vec<String>,
}

row! {
    struct ReplyRow {
        conversation: i64,
        parent: Option<String>,
        role: String,
        state: String,
        model: Option<String>,
        parameters: Option<String>,
    }
}

row! {
    struct CutRow {
        key: i64,
        id: String,
        state: String,
        generation: Option<String>,
    }
}

row! {
    struct PlaceRow {
        key: i64,
        cut_from: Option<String>,
        cut_after: Option<String>,
        leaf: Option<String>,
    }
}

impl Store {
    /// Adds a text of the person as another version of a reply, and shows it. Returns its id. If there is such a version
    /// already, it is only shown: a repeated request adds nothing.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` for a question and for a reply that is being written.
    pub async fn edit_reply(
        &self,
        owner: &str,
        conversation: &str,
        message: &str,
        text: &str,
        now: i64,
    ) -> Result<String> {
        let terms = self.database.search_terms_of(text).await;
        let text = self.database.text(text);
        let id = new_id();
        let mut tx = self.transaction().await?;
        let reply: ReplyRow = query_as(
            "select m.conversation as conversation, m.parent as parent, m.role as role, m.state as state,
                 m.model as model, m.parameters as parameters
             from messages m join conversations c on c.key = m.conversation
             where m.id = $3 and c.owner = $1 and c.id = $2 and c.deleted_at is null and c.import is null",
        )
        .bind(owner)
        .bind(conversation)
        .bind(message)
        .fetch_one(&mut *tx)
        .await?;
        if reply.role != "assistant" {
            return Err(StoreError::Invalid("Only an answer can be edited."));
        }
        if reply.state == "streaming" {
            return Err(StoreError::Invalid(
                "This answer is still being written. Stop it first.",
            ));
        }
        if let Some(known) = edited_version(&mut tx, &reply, &text).await? {
            show(&mut tx, reply.conversation, &known, now).await?;
            tx.commit().await?;
            return Ok(known);
        }
        let key: i64 = query_scalar(
            "insert into messages (id, conversation, owner, parent, role, text, model, parameters, edited,
                 state, finish, created_at)
             values ($1, $2, $3, $4, 'assistant', $5, $6, $7, 1, 'done', 'stop', $8) returning key",
        )
        .bind(&id)
        .bind(reply.conversation)
        .bind(owner)
        .bind(reply.parent.clone())
        .bind(&text)
        .bind(reply.model)
        .bind(reply.parameters)
        .bind(now)
        .fetch_one(&mut *tx)
        .await?;
        self.database
            .index_message(&mut tx, owner, key, terms)
            .await?;
        show(&mut tx, reply.conversation, &id, now).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Copies the path up to a message as a new conversation, with the id `into` if that is free. Returns its id. If the
    /// owner has a conversation with this id already, it is left as it is: a repeated request makes no second copy.
    /// The copy is written in slices and hidden until it is complete.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn fork(
        &self,
        owner: &str,
        conversation: &str,
        message: &str,
        into: &str,
        now: i64,
    ) -> Result<String> {
        let from = self.key(owner, conversation).await?;
        let path = self.path_to(owner, from, message).await?;
        if self.key(owner, into).await.is_ok() {
            return Ok(into.to_owned());
        }
        // A repeated request removes what an attempt that failed has left.
        let import = format!("copy {owner} {into}");
        self.abandon_import(&import).await?;
        let head = ConversationHead {
            id: new_id(),
            created_at: now,
            updated_at: now,
            pinned: false,
            ..self.head(owner, from).await?
        };
        let copied = match self.copy(owner, &import, &path, head).await {
            Ok(id) => self.show_copy(owner, &id, into, message).await,
            Err(error) => Err(error),
        };
        if copied.is_err() {
            // If this fails, too, the purge after the next start removes what is left.
            let _ = self.abandon_import(&import).await;
        }
        copied
    }

    /// Copies messages, each the parent of the next, as a hidden conversation. Returns its id.
    async fn copy(
        &self,
        owner: &str,
        import: &str,
        mut path: &[MessageKey],
        head: ConversationHead,
    ) -> Result<String> {
        let mut cursor = ImportCursor::default();
        let mut leaf: Option<String> = None;
        let mut parts = vec![ImportPart::Begin(None)];
        while !path.is_empty() {
            let (messages, count) = self.messages(owner, path).await?;
            path = &path[count..];
            parts.extend(messages.into_iter().map(|message| {
                let id = new_id();
                let parent = leaf.replace(id.clone());
                ImportPart::Message(Box::new(SavedMessage {
                    id,
                    parent,
                    ..message
                }))
            }));
            let parts = std::mem::take(&mut parts);
            self.import(owner, import, &mut cursor, parts).await?;
        }
        let id = head.id.clone();
        let end = ImportPart::End(ConversationHead { leaf, ..head });
        self.import(owner, import, &mut cursor, vec![end]).await?;
        Ok(id)
    }

    /// Shows a hidden copy, under the id `into` unless another owner or a deleted conversation has it. Returns its id.
    /// The copy has the settings of the reply that `message` is or follows.
    async fn show_copy(
        &self,
        owner: &str,
        copy: &str,
        into: &str,
        message: &str,
    ) -> Result<String> {
        let mut tx = self.transaction().await?;
        let taken: Option<i64> = query_scalar("select key from conversations where id = $1")
            .bind(into)
            .fetch_optional(&mut *tx)
            .await?;
        let id = if taken.is_some() { copy } else { into };
        let shown =
            query("update conversations set import = null, id = $3 where owner = $1 and id = $2")
                .bind(owner)
                .bind(copy)
                .bind(id)
                .execute(&mut *tx)
                .await?;
        if shown.rows_affected() == 0 {
            return Err(StoreError::NotFound);
        }
        query(
            "update messages set parameters = (
                 select parameters from messages
                 where parameters is not null
                     and id in ($2, (select parent from messages where id = $2))
                 order by key desc limit 1)
             where id = (select leaf from conversations where id = $1)",
        )
        .bind(id)
        .bind(message)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(id.to_owned())
    }

    /// Deletes a message with all that follows it. They can be restored until they are purged. If nothing is left, the
    /// conversation is deleted.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` if more than 5,000 messages would go.
    pub async fn cut(
        &self,
        owner: &str,
        conversation: &str,
        message: &str,
        now: i64,
    ) -> Result<CutMessages> {
        let mut tx = self.transaction().await?;
        let (key, leaf): (i64, Option<String>) = query_as(
            "select key, leaf from conversations
             where owner = $1 and id = $2 and deleted_at is null and import is null",
        )
        .bind(owner)
        .bind(conversation)
        .fetch_one(&mut *tx)
        .await?;
        let parent: Option<String> =
            query_scalar("select parent from messages where id = $1 and conversation + 0 = $2")
                .bind(message)
                .bind(key)
                .fetch_one(&mut *tx)
                .await?;
        let cut = with_followers(&mut tx, key, message).await?;
        let running = cut.iter().filter(|one| one.state == "streaming");
        let running = running.filter_map(|one| one.generation.clone()).collect();
        let total: i64 = query_scalar("select count(*) from messages where conversation = $1")
            .bind(key)
            .fetch_one(&mut *tx)
            .await?;
        if cut.len() as i64 == total {
            query("update conversations set deleted_at = $2 where key = $1")
                .bind(key)
                .bind(now)
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
            let id = conversation.to_owned();
            return Ok(CutMessages { id, running });
        }
        let id = new_id();
        let was_shown = leaf.filter(|leaf| cut.iter().any(|one| one.id == *leaf));
        let place: i64 = query_scalar(
            "insert into conversations (id, owner, title, titled_by, created_at, updated_at, deleted_at, leaf,
                 cut_from, cut_after)
             values ($1, $2, '', $3, $4, $4, $4, $5, $6, $7) returning key",
        )
        .bind(&id)
        .bind(owner)
        .bind(rows::titled_by(TitledBy::Person))
        .bind(now)
        .bind(was_shown.clone())
        .bind(conversation)
        .bind(parent.clone())
        .fetch_one(&mut *tx)
        .await?;
        for one in &cut {
            move_message(&mut tx, one.key, &one.id, place).await?;
        }
        set_parent(&mut tx, cut[0].key, None).await?;
        if was_shown.is_some() {
            // Another version of the message, or else the message before it.
            let shown = newest_child(&mut tx, key, parent.as_deref())
                .await?
                .or(parent);
            let leaf = match shown {
                Some(shown) => Some(newest_leaf_below(&mut tx, key, &shown).await?),
                None => None,
            };
            query("update conversations set leaf = $2 where key = $1")
                .bind(key)
                .bind(leaf)
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        Ok(CutMessages { id, running })
    }

    /// Restores messages that [`Store::cut`] has deleted, if the id is that of such messages. Returns the id of their
    /// conversation.
    ///
    /// # Errors
    /// `NotFound` if the conversation or the message before them is not there any more.
    pub(super) async fn restore_cut(&self, owner: &str, id: &str) -> Result<Option<String>> {
        let mut tx = self.transaction().await?;
        let place: PlaceRow = query_as(
            "select key, cut_from, cut_after, leaf from conversations
             where owner = $1 and id = $2 and import is null",
        )
        .bind(owner)
        .bind(id)
        .fetch_one(&mut *tx)
        .await?;
        let Some(cut_from) = place.cut_from else {
            tx.commit().await?;
            return Ok(None);
        };
        let key: i64 = query_scalar(
            "select key from conversations
             where owner = $1 and id = $2 and deleted_at is null and import is null",
        )
        .bind(owner)
        .bind(&cut_from)
        .fetch_one(&mut *tx)
        .await?;
        if let Some(before) = &place.cut_after {
            let _: i64 =
                query_scalar("select key from messages where id = $1 and conversation + 0 = $2")
                    .bind(before)
                    .bind(key)
                    .fetch_one(&mut *tx)
                    .await?;
        }
        let cut: Vec<CutRow> = query_as(
            "select key, id, state, generation from messages where conversation = $1 order by key",
        )
        .bind(place.key)
        .fetch_all(&mut *tx)
        .await?;
        if let Some(first) = cut.first() {
            set_parent(&mut tx, first.key, place.cut_after).await?;
        }
        for one in &cut {
            move_message(&mut tx, one.key, &one.id, key).await?;
        }
        if let Some(leaf) = place.leaf {
            query("update conversations set leaf = $2 where key = $1")
                .bind(key)
                .bind(leaf)
                .execute(&mut *tx)
                .await?;
        }
        query("delete from conversations where key = $1")
            .bind(place.key)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(Some(cut_from))
    }
}

/// The version of a reply that a person wrote with this text.
async fn edited_version(
    tx: &mut TransactionConnection,
    reply: &ReplyRow,
    text: &str,
) -> Result<Option<String>> {
    let found = query_scalar(
        "select id from messages
         where conversation = $1 and parent = $2 and edited = 1 and text = $3 limit 1",
    )
    .bind(reply.conversation)
    .bind(reply.parent.clone())
    .bind(text)
    .fetch_optional(tx)
    .await?;
    Ok(found)
}

/// Shows a message that was just written.
async fn show(
    tx: &mut TransactionConnection,
    conversation: i64,
    leaf: &str,
    now: i64,
) -> Result<()> {
    query("update conversations set leaf = $2, updated_at = $3 where key = $1")
        .bind(conversation)
        .bind(leaf)
        .bind(now)
        .execute(tx)
        .await?;
    Ok(())
}

/// A message and all that follow it, in the order in which they were added.
async fn with_followers(
    tx: &mut TransactionConnection,
    conversation: i64,
    message: &str,
) -> Result<Vec<CutRow>> {
    // A message is stored after its parent, so keys rise and the recursion ends even if the rows form a cycle.
    let cut: Vec<CutRow> = query_as(
        "with recursive cut (key, id) as (
             select key, id from messages where id = $1 and conversation + 0 = $2
             union all
             select m.key, m.id from cut join messages m on m.conversation = $2 and m.parent = cut.id
             where m.key > cut.key
         )
         select m.key as key, m.id as id, m.state as state, m.generation as generation
         from cut join messages m on m.key = cut.key order by m.key limit $3",
    )
    .bind(message)
    .bind(conversation)
    .bind(MOST_CUT + 1)
    .fetch_all(tx)
    .await?;
    if cut.len() as i64 > MOST_CUT {
        return Err(StoreError::Invalid(
            "More than 5,000 messages follow this one. Delete the conversation instead.",
        ));
    }
    Ok(cut)
}

/// Moves a message, with the generations that made it, to another conversation.
async fn move_message(
    tx: &mut TransactionConnection,
    message: i64,
    id: &str,
    conversation: i64,
) -> Result<()> {
    query("update messages set conversation = $2 where key = $1")
        .bind(message)
        .bind(conversation)
        .execute(&mut *tx)
        .await?;
    query("update generations set conversation = $2 where message = $1")
        .bind(id)
        .bind(conversation)
        .execute(tx)
        .await?;
    Ok(())
}

async fn set_parent(
    tx: &mut TransactionConnection,
    message: i64,
    parent: Option<String>,
) -> Result<()> {
    query("update messages set parent = $2 where key = $1")
        .bind(message)
        .bind(parent)
        .execute(tx)
        .await?;
    Ok(())
}
