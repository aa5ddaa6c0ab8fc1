//! Begins a reply: stores the message and the reply that will grow, once for each request.

use app::protocol::Role;
use sqlx::query_scalar;

use super::history::{History, LineEnd, line_to};
use crate::store::database::batch::{Batch, BoundStatement};
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

/// What a request depends on, as its transaction finds it.
struct Found {
    known: Option<KnownRow>,
    conversation: Option<OwnedRow>,
    /// The reply that the request regenerates or continues.
    reply: Option<EndedRow>,
    /// The state of the message below which the question is put.
    parent: Option<(String,)>,
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

    /// Reads all that it depends on in one batch, and writes in another.
    async fn begin_once(&self, owner: &str, reply: &NewReply) -> Result<Begun> {
        let terms = match &reply.turn {
            Turn::Question { text, .. } => self.database.search_terms_of(text).await,
            Turn::Regenerate(_) | Turn::Continue(_) => String::new(),
        };
        let history = self.history_of(owner, reply).await?;
        let mut tx = self.writer().await?;
        let found = find(&tx, owner, reply).await?;
        if let Some(known) = found.known {
            return begun_before(&mut tx, owner, known, reply, history).await;
        }
        let mut batch = Batch::default();
        // Ids sort by the time of their creation.
        let (question_id, reply_id) = (new_id(), new_id());
        let is_first = match &found.conversation {
            Some(row) => {
                let is_there =
                    row.owner == owner && row.deleted_at.is_none() && row.import.is_none();
                is_there.then_some(false).ok_or(StoreError::NotFound)?
            }
            None if matches!(reply.turn, Turn::Question { parent: None, .. }) => {
                self.add_conversation(&mut batch, owner, reply, &reply_id);
                true
            }
            None => return Err(StoreError::NotFound),
        };
        let mut begun = match &reply.turn {
            Turn::Question { parent, text } => {
                if parent.is_some() {
                    let (state,) = found.parent.ok_or(StoreError::NotFound)?;
                    check_ended(&state)?;
                }
                let question = (&*question_id, parent.as_deref(), text.as_str());
                self.add_question(&mut batch, owner, reply, question, terms);
                add_reply(&mut batch, owner, reply, reply_id, Some(question_id))
            }
            Turn::Regenerate(_) => {
                let earlier = ended_reply(found.reply)?;
                add_reply(&mut batch, owner, reply, reply_id, earlier.parent)
            }
            Turn::Continue(_) => {
                continue_reply(&mut batch, owner, reply, ended_reply(found.reply)?)
            }
        };
        begun.is_first = is_first;
        add_generation(&mut batch, owner, reply, &begun.message);
        if !is_first {
            add_leaf(&mut batch, owner, reply, &begun.message);
        }
        let question = begun.user_message.as_deref();
        let conversation = &reply.conversation;
        let line = question
            .filter(|_| history.messages.is_none())
            .map(|question| batch.add(line_to(owner, conversation, &LineEnd::At(question))));
        let mut results = tx.commit_with(batch).await?;
        if question.is_some() {
            let line = line.map(|line| results.rows(line)).transpose()?;
            begun.history = history.with(line);
        }
        Ok(begun)
    }

    /// Stores the conversation of a request, which shows the reply with this id.
    fn add_conversation(&self, batch: &mut Batch, owner: &str, reply: &NewReply, leaf: &str) {
        let title = self.database.text(&reply.title);
        batch.add(
            BoundStatement::new(
                "insert into conversations (id, owner, title, titled_by, created_at, updated_at, leaf)
                 values ($1, $2, $3, $4, $5, $5, $6)",
            )
            .bind(&reply.conversation)
            .bind(owner)
            .bind(&title)
            .bind(rows::titled_by(TitledBy::FirstWords))
            .bind(reply.now)
            .bind(leaf),
        );
        batch.add(
            self.database
                .index_of_title(owner, &reply.conversation, &title),
        );
    }

    /// Stores a question, which has an id, a parent and a text, and its search terms.
    fn add_question(
        &self,
        batch: &mut Batch,
        owner: &str,
        reply: &NewReply,
        (id, parent, text): (&str, Option<&str>, &str),
        terms: String,
    ) {
        batch.add(
            BoundStatement::new(
                "insert into messages (id, conversation, owner, parent, role, text, state, finish, created_at)
                 values ($1, (select key from conversations where id = $2 and owner = $3), $3, $4, 'user',
                     $5, 'done', 'stop', $6)",
            )
            .bind(id)
            .bind(&reply.conversation)
            .bind(owner)
            .bind(parent)
            .bind(self.database.text(text))
            .bind(reply.now),
        );
        batch.add(self.database.index_of_message(owner, id, terms));
    }
}

/// Reads what a request depends on.
async fn find(tx: &TransactionConnection, owner: &str, reply: &NewReply) -> Result<Found> {
    let mut batch = Batch::default();
    let known = batch.add(
        BoundStatement::new(
            "select g.id as generation, g.message as message, m.parent as user_message,
                 m.conversation as conversation, m.text as text, m.reasoning as reasoning,
                 m.marks as spans
             from generations g join messages m on m.id = g.message
             where g.owner = $1 and g.request_id = $2",
        )
        .bind(owner)
        .bind(&reply.request_id),
    );
    let conversation = batch.add(
        BoundStatement::new("select owner, deleted_at, import from conversations where id = $1")
            .bind(&reply.conversation),
    );
    // A message of this conversation, found by its id. For `+ 0` see `read::path`.
    macro_rules! message {
        ($columns:literal, $id:expr) => {
            batch.add(
                BoundStatement::new(concat!(
                    "select ",
                    $columns,
                    " from messages where id = $1
                      and conversation + 0 = (select key from conversations where id = $2 and owner = $3)"
                ))
                .bind($id)
                .bind(&reply.conversation)
                .bind(owner),
            )
        };
    }
    let (mut parent, mut earlier) = (None, None);
    match &reply.turn {
        Turn::Question { parent: None, .. } => {}
        Turn::Question {
            parent: Some(id), ..
        } => parent = Some(message!("state", id)),
        Turn::Regenerate(id) | Turn::Continue(id) => {
            earlier = Some(message!(
                "id, parent, role, text, reasoning, marks as spans, state",
                id
            ));
        }
    }
    let mut results = tx.batch(batch).await?;
    let parent = parent.map(|place| results.first(place)).transpose()?;
    let earlier = earlier.map(|place| results.first(place)).transpose()?;
    Ok(Found {
        known: results.first(known)?,
        conversation: results.first(conversation)?,
        reply: earlier.flatten(),
        parent: parent.flatten(),
    })
}

/// The result of a request that was there before.
async fn begun_before(
    tx: &mut TransactionConnection,
    owner: &str,
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
            let line = if history.messages.is_some() {
                None
            } else {
                let mut batch = Batch::default();
                let end = LineEnd::At(question);
                let line = batch.add(line_to(owner, &reply.conversation, &end));
                Some(tx.batch(batch).await?.rows(line)?)
            };
            begun.history = history.with(line);
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
fn add_reply(
    batch: &mut Batch,
    owner: &str,
    reply: &NewReply,
    message: String,
    question: Option<String>,
) -> Begun {
    batch.add(
        BoundStatement::new(
            "insert into messages (id, conversation, owner, parent, role, text, model, parameters, state,
                 generation, created_at)
             values ($1, (select key from conversations where id = $2 and owner = $3), $3, $4, 'assistant', '',
                 $5, $6, 'streaming', $7, $8)",
        )
        .bind(&message)
        .bind(&reply.conversation)
        .bind(owner)
        .bind(question.as_deref())
        .bind(&reply.model)
        .bind(&reply.parameters)
        .bind(&reply.generation)
        .bind(reply.now),
    );
    Begun {
        generation: reply.generation.clone(),
        message,
        user_message: question,
        ..Begun::default()
    }
}

/// Lets the new generation continue a reply.
fn continue_reply(batch: &mut Batch, owner: &str, reply: &NewReply, mut cut: EndedRow) -> Begun {
    add_end_of_generation(batch, owner, &cut);
    let (message, user_message) = (cut.id.clone(), cut.parent.take());
    // The new generation numbers its events from the beginning: the text that it continues is one event.
    // The stored spans must agree with its log, because a log may be restored from them after a crash.
    let base = cut.piece().joined();
    batch.add(
        BoundStatement::new(
            "update messages set state = 'streaming', finish = null, error = null, usage = null,
                 marks = $3, generation = $2
             where id = $1 and owner = $4",
        )
        .bind(&message)
        .bind(&reply.generation)
        .bind(base.spans.clone())
        .bind(owner),
    );
    Begun {
        generation: reply.generation.clone(),
        message,
        user_message,
        base,
        ..Begun::default()
    }
}

/// Stores how far the last generation of a reply came and how it ended, before another one continues it.
fn add_end_of_generation(batch: &mut Batch, owner: &str, reply: &EndedRow) {
    let bytes = |text: &str| i64::try_from(text.len()).unwrap_or(i64::MAX);
    batch.add(
        BoundStatement::new(
            "update generations set text_bytes = $2, reasoning_bytes = $3,
                 marks = (select m.marks from messages m where m.id = $1),
                 state = (select m.state from messages m where m.id = $1),
                 finish = (select m.finish from messages m where m.id = $1),
                 error = (select m.error from messages m where m.id = $1),
                 usage = (select m.usage from messages m where m.id = $1),
                 model = (select m.model from messages m where m.id = $1)
             where id = (select m.generation from messages m where m.id = $1) and owner = $4",
        )
        .bind(&reply.id)
        .bind(bytes(&reply.text))
        .bind(bytes(&reply.reasoning))
        .bind(owner),
    );
}

/// Stores the generation of a request.
fn add_generation(batch: &mut Batch, owner: &str, reply: &NewReply, message: &str) {
    batch.add(
        BoundStatement::new(
            "insert into generations (id, owner, request_id, message, conversation)
             values ($1, $2, $3, $4, (select key from conversations where id = $5 and owner = $2))",
        )
        .bind(&reply.generation)
        .bind(owner)
        .bind(&reply.request_id)
        .bind(message)
        .bind(&reply.conversation),
    );
}

/// Shows the path to this message.
fn add_leaf(batch: &mut Batch, owner: &str, reply: &NewReply, message: &str) {
    batch.add(
        BoundStatement::new(
            "update conversations set leaf = $1, updated_at = $2 where id = $3 and owner = $4",
        )
        .bind(message)
        .bind(reply.now)
        .bind(&reply.conversation)
        .bind(owner),
    );
}

/// # Errors
/// For a message that is being written.
fn check_ended(state: &str) -> Result<()> {
    if state == "streaming" {
        return Err(StoreError::Invalid(
            "That message is still being written: wait for its end, or stop it.",
        ));
    }
    Ok(())
}

/// The message, if it is a reply that is not being written.
fn ended_reply(found: Option<EndedRow>) -> Result<EndedRow> {
    let row = found.ok_or(StoreError::NotFound)?;
    check_ended(&row.state)?;
    if rows::role(&row.role) == Role::Assistant {
        Ok(row)
    } else {
        Err(StoreError::Invalid(
            "Only a reply can be regenerated or continued, and this is a question.",
        ))
    }
}
