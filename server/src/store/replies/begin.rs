//! Begins a reply: stores the message and the reply that will grow, once for each request.

use app::protocol::Role;
use sqlx::{query, query_as, query_scalar};

use super::history::History;
use crate::store::database::rows::{self, row};
use crate::store::database::transaction::TransactionConnection;
use crate::store::{
    Begun, Database, NewReply, Piece, Result, Store, StoreError, TitledBy, Turn, new_id,
};

row! {
    /// The reply that an earlier call with the same request began.
    struct KnownRow {
        generation: String,
        message: String,
        user_message: Option<String>,
        conversation: i64,
        text: String,
        reasoning: String,
        spans: Vec<u8>,
    }
}

row! {
    /// The conversation with the id of the request, of any owner.
    struct OwnedRow {
        key: i64,
        owner: String,
        deleted_at: Option<i64>,
        import: Option<String>,
    }
}

row! {
    /// A message that has ended.
    struct EndedRow {
        id: String,
        parent: Option<String>,
        role: String,
        text: String,
        reasoning: String,
        spans: Vec<u8>,
        state: String,
    }
}

impl EndedRow {
    fn piece(self) -> Piece {
        Piece {
            text: self.text,
            reasoning: self.reasoning,
            spans: self.spans,
        }
    }
}

impl Store {
    /// Stores the message and begins the reply to it. A request that was there before begins nothing and
    /// gets the ids of the reply that it began then.
    ///
    /// # Errors
    /// `NotFound` for the conversation or a message; `Invalid` for a message that cannot be answered.
    pub async fn begin(&self, owner: &str, reply: &NewReply) -> Result<Begun> {
        match self.begin_once(owner, reply).await {
            // Another server may have stored the same request, or the same new conversation, first.
            Err(StoreError::Failed(_)) if self.database == Database::Postgres => {
                self.begin_once(owner, reply).await
            }
            other => other,
        }
    }

    async fn begin_once(&self, owner: &str, reply: &NewReply) -> Result<Begun> {
        let terms = match &reply.turn {
            Turn::Question { text, .. } => self.database.search_terms_of(text).await,
            Turn::Regenerate(_) | Turn::Continue(_) => String::new(),
        };
        let history = self.history_of(owner, reply).await?;
        let mut tx = self.transaction().await?;
        if let Some(known) = known(&mut tx, owner, &reply.request_id).await? {
            return begun_before(&mut tx, known, reply, history).await;
        }
        let (conversation, is_first) = self.conversation_for(&mut tx, owner, reply).await?;
        let mut begun = match &reply.turn {
            Turn::Question { parent, text } => {
                let place = (conversation, parent.as_deref());
                let question = self
                    .insert_question(&mut tx, owner, place, text, terms, reply.now)
                    .await?;
                insert_reply(&mut tx, owner, conversation, reply, Some(question)).await?
            }
            Turn::Regenerate(earlier) => {
                let earlier = ended_reply(&mut tx, conversation, earlier).await?;
                insert_reply(&mut tx, owner, conversation, reply, earlier.parent).await?
            }
            Turn::Continue(cut) => continue_reply(&mut tx, conversation, reply, cut).await?,
        };
        begun.is_first = is_first;
        query(
            "insert into generations (id, owner, request_id, message, conversation)
             values ($1, $2, $3, $4, $5)",
        )
        .bind(&reply.generation)
        .bind(owner)
        .bind(&reply.request_id)
        .bind(&begun.message)
        .bind(conversation)
        .execute(&mut *tx)
        .await?;
        query("update conversations set leaf = $1, updated_at = $2 where key = $3")
            .bind(&begun.message)
            .bind(reply.now)
            .bind(conversation)
            .execute(&mut *tx)
            .await?;
        if let Some(question) = &begun.user_message {
            begun.history = history.up_to(&mut tx, conversation, question).await?;
        }
        tx.commit().await?;
        Ok(begun)
    }

    /// The conversation of a request, and whether the request made it.
    async fn conversation_for(
        &self,
        tx: &mut TransactionConnection,
        owner: &str,
        reply: &NewReply,
    ) -> Result<(i64, bool)> {
        let found: Option<OwnedRow> =
            query_as("select key, owner, deleted_at, import from conversations where id = $1")
                .bind(&reply.conversation)
                .fetch_optional(&mut *tx)
                .await?;
        if let Some(row) = found {
            let is_found = row.owner == owner && row.deleted_at.is_none() && row.import.is_none();
            return if is_found {
                Ok((row.key, false))
            } else {
                Err(StoreError::NotFound)
            };
        }
        if !matches!(reply.turn, Turn::Question { parent: None, .. }) {
            return Err(StoreError::NotFound);
        }
        let title = self.database.text(&reply.title);
        let key = query_scalar(
            "insert into conversations (id, owner, title, titled_by, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $5) returning key",
        )
        .bind(&reply.conversation)
        .bind(owner)
        .bind(&title)
        .bind(rows::titled_by(TitledBy::FirstWords))
        .bind(reply.now)
        .fetch_one(&mut *tx)
        .await?;
        self.database.index_title(tx, owner, key, &title).await?;
        Ok((key, true))
    }

    /// Stores a question below its parent in a conversation, and returns its id.
    async fn insert_question(
        &self,
        tx: &mut TransactionConnection,
        owner: &str,
        (conversation, parent): (i64, Option<&str>),
        text: &str,
        terms: String,
        now: i64,
    ) -> Result<String> {
        if let Some(parent) = parent {
            ended_message(tx, conversation, parent).await?;
        }
        let id = new_id();
        let key = query_scalar(
            "insert into messages (id, conversation, owner, parent, role, text, state, finish, created_at)
             values ($1, $2, $3, $4, 'user', $5, 'done', 'stop', $6) returning key",
        )
        .bind(&id)
        .bind(conversation)
        .bind(owner)
        .bind(parent)
        .bind(self.database.text(text))
        .bind(now)
        .fetch_one(&mut *tx)
        .await?;
        self.database.index_message(tx, owner, key, terms).await?;
        Ok(id)
    }
}

/// The reply that this request began before, if there is one.
async fn known(
    tx: &mut TransactionConnection,
    owner: &str,
    request_id: &str,
) -> Result<Option<KnownRow>> {
    let found = query_as(
        "select g.id as generation, g.message as message, m.parent as user_message,
             m.conversation as conversation, m.text as text, m.reasoning as reasoning,
             m.marks as spans
         from generations g join messages m on m.id = g.message
         where g.owner = $1 and g.request_id = $2",
    )
    .bind(owner)
    .bind(request_id)
    .fetch_optional(tx)
    .await?;
    Ok(found)
}

/// The result of a request that was there before.
async fn begun_before(
    tx: &mut TransactionConnection,
    known: KnownRow,
    reply: &NewReply,
    history: History,
) -> Result<Begun> {
    let mut begun = Begun {
        generation: known.generation,
        message: known.message,
        user_message: known.user_message,
        ..Begun::default()
    };
    // The same generation: this call was committed before, the database's answer was lost, and the
    // call is made again. It gets what it would have got then.
    if begun.generation == reply.generation {
        begun.is_first = is_first(tx, known.conversation, reply).await?;
        begun.base = Piece {
            text: known.text,
            reasoning: known.reasoning,
            spans: known.spans,
        };
        if let Some(question) = &begun.user_message {
            begun.history = history.up_to(tx, known.conversation, question).await?;
        }
    }
    Ok(begun)
}

/// Whether a conversation holds only the question that began it and the reply to it.
async fn is_first(
    tx: &mut TransactionConnection,
    conversation: i64,
    reply: &NewReply,
) -> Result<bool> {
    if !matches!(reply.turn, Turn::Question { parent: None, .. }) {
        return Ok(false);
    }
    let count: i64 = query_scalar("select count(*) from messages where conversation = $1")
        .bind(conversation)
        .fetch_one(tx)
        .await?;
    Ok(count == 2)
}

/// Stores an empty reply to this question.
async fn insert_reply(
    tx: &mut TransactionConnection,
    owner: &str,
    conversation: i64,
    reply: &NewReply,
    question: Option<String>,
) -> Result<Begun> {
    let message = new_id();
    query(
        "insert into messages (id, conversation, owner, parent, role, text, model, parameters, state, generation, created_at)
         values ($1, $2, $3, $4, 'assistant', '', $5, $6, 'streaming', $7, $8)",
    )
    .bind(&message)
    .bind(conversation)
    .bind(owner)
    .bind(question.as_deref())
    .bind(&reply.model)
    .bind(&reply.parameters)
    .bind(&reply.generation)
    .bind(reply.now)
    .execute(tx)
    .await?;
    Ok(Begun {
        generation: reply.generation.clone(),
        message,
        user_message: question,
        ..Begun::default()
    })
}

/// Lets the new generation continue a reply.
async fn continue_reply(
    tx: &mut TransactionConnection,
    conversation: i64,
    reply: &NewReply,
    cut: &str,
) -> Result<Begun> {
    let mut cut = ended_reply(tx, conversation, cut).await?;
    store_end_of_generation(tx, &cut).await?;
    let (message, user_message) = (cut.id.clone(), cut.parent.take());
    // The new generation numbers its events from the beginning: the text that it continues is one event.
    // The stored spans must agree with its log, because a log may be restored from them after a crash.
    let base = cut.piece().joined();
    query(
        "update messages set state = 'streaming', finish = null, error = null, usage = null,
             marks = $3, generation = $2
         where id = $1",
    )
    .bind(&message)
    .bind(&reply.generation)
    .bind(base.spans.clone())
    .execute(tx)
    .await?;
    Ok(Begun {
        generation: reply.generation.clone(),
        message,
        user_message,
        base,
        ..Begun::default()
    })
}

/// Stores how far the last generation of a reply came and how it ended, before another one continues it.
async fn store_end_of_generation(tx: &mut TransactionConnection, reply: &EndedRow) -> Result<()> {
    let bytes = |text: &str| i64::try_from(text.len()).unwrap_or(i64::MAX);
    query(
        "update generations set text_bytes = $2, reasoning_bytes = $3,
             marks = (select m.marks from messages m where m.id = $1),
             state = (select m.state from messages m where m.id = $1),
             finish = (select m.finish from messages m where m.id = $1),
             error = (select m.error from messages m where m.id = $1),
             usage = (select m.usage from messages m where m.id = $1),
             model = (select m.model from messages m where m.id = $1)
         where id = (select m.generation from messages m where m.id = $1)",
    )
    .bind(&reply.id)
    .bind(bytes(&reply.text))
    .bind(bytes(&reply.reasoning))
    .execute(tx)
    .await?;
    Ok(())
}

/// A message of this conversation that is not being written.
async fn ended_message(
    tx: &mut TransactionConnection,
    conversation: i64,
    id: &str,
) -> Result<EndedRow> {
    let row: EndedRow = query_as(
        "select id, parent, role, text, reasoning, marks as spans, state from messages
         where id = $1 and conversation + 0 = $2",
    )
    .bind(id)
    .bind(conversation)
    .fetch_one(tx)
    .await?;
    if row.state == "streaming" {
        return Err(StoreError::Invalid(
            "That message is still being written: wait for its end, or stop it.",
        ));
    }
    Ok(row)
}

/// A reply of this conversation that is not being written.
async fn ended_reply(
    tx: &mut TransactionConnection,
    conversation: i64,
    id: &str,
) -> Result<EndedRow> {
    let row = ended_message(tx, conversation, id).await?;
    if rows::role(&row.role) == Role::Assistant {
        Ok(row)
    } else {
        Err(StoreError::Invalid(
            "Only a reply can be regenerated or continued, and this is a question.",
        ))
    }
}
