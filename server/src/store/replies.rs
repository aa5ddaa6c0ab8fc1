//! The life of a reply: begun, added to, finished, or interrupted.

use app::protocol::{ChatMessage, Role};
use sqlx::{Row, query};

use super::rows::{self, ReplyRow};
use super::transaction::Connection;
use super::{
    Ask, Begun, Database, End, Finished, NewReply, Piece, Result, Store, StoreError, StoredReply,
    TitledBy, new_id,
};

impl Store {
    /// Stores the message and begins the reply to it. A request that was there before gives what it gave
    /// then.
    pub async fn begin(&self, owner: &str, reply: &NewReply) -> Result<Begun> {
        match self.begin_once(owner, reply).await {
            // Another server was faster with the same request or the same new conversation.
            Err(StoreError::Failed(_)) if self.database == Database::Postgres => {
                self.begin_once(owner, reply).await
            }
            other => other,
        }
    }

    async fn begin_once(&self, owner: &str, reply: &NewReply) -> Result<Begun> {
        let words = match &reply.ask {
            Ask::Question { text, .. } => self.database.words_of(text).await,
            Ask::Again(_) | Ask::Continue(_) => String::new(),
        };
        let mut tx = self.transaction().await?;
        let known = query(
            "select g.id, g.message, m.parent, m.conversation, m.text, m.reasoning, m.marks
             from generations g join messages m on m.id = g.message
             where g.owner = $1 and g.request_id = $2",
        )
        .bind(owner)
        .bind(&reply.request_id)
        .fetch_optional(&mut *tx)
        .await?;
        if let Some(row) = known {
            let mut begun = Begun {
                generation: row.try_get(0)?,
                message: row.try_get(1)?,
                user_message: row.try_get(2)?,
                ..Begun::default()
            };
            // It was this very call: it was committed, but the answer was lost, and it is tried again.
            if begun.generation == reply.generation {
                let conversation = row.try_get(3)?;
                begun.is_first = is_first(&mut tx, conversation, reply).await?;
                begun.base = Piece {
                    text: row.try_get(4)?,
                    reasoning: row.try_get(5)?,
                    spans: row.try_get(6)?,
                };
                if let Some(question) = &begun.user_message {
                    begun.history = line_to(&mut tx, conversation, question).await?;
                }
            }
            return Ok(begun);
        }
        let (conversation, is_first) = self.conversation_for(&mut tx, owner, reply).await?;
        let mut begun = Begun {
            generation: reply.generation.clone(),
            is_first,
            ..Begun::default()
        };
        match &reply.ask {
            Ask::Question { parent, text } => {
                if let Some(parent) = parent {
                    message(&mut tx, conversation, parent).await?;
                }
                let question = new_id();
                let row = query(
                    "insert into messages (id, conversation, owner, parent, role, text, state, finish, created_at)
                     values ($1, $2, $3, $4, 'user', $5, 'done', 'stop', $6) returning key",
                )
                .bind(&question)
                .bind(conversation)
                .bind(owner)
                .bind(parent.as_deref())
                .bind(self.database.text(text))
                .bind(reply.now)
                .fetch_one(&mut *tx)
                .await?;
                let key = row.try_get(0)?;
                self.database
                    .index_words(&mut tx, owner, key, words)
                    .await?;
                begun.message = new_id();
                self.insert_reply(
                    &mut tx,
                    owner,
                    conversation,
                    reply,
                    &begun.message,
                    Some(&question),
                )
                .await?;
                begun.user_message = Some(question);
            }
            Ask::Again(earlier) => {
                let earlier = reply_row(&mut tx, conversation, earlier).await?;
                begun.message = new_id();
                let parent = earlier.parent.as_deref();
                self.insert_reply(&mut tx, owner, conversation, reply, &begun.message, parent)
                    .await?;
                begun.user_message = earlier.parent;
            }
            Ask::Continue(cut) => {
                let cut = reply_row(&mut tx, conversation, cut).await?;
                note_end_of_generation(&mut tx, &cut).await?;
                // The new generation counts its events anew: what there is of the reply is the first. The
                // store counts as its log does, for the case that a crash makes a log of what is stored.
                let base = cut.piece.joined();
                query(
                    "update messages set state = 'streaming', finish = null, error = null, usage = null,
                         marks = $3, generation = $2
                     where id = $1",
                )
                .bind(&cut.id)
                .bind(&reply.generation)
                .bind(base.spans.clone())
                .execute(&mut *tx)
                .await?;
                begun.message = cut.id;
                begun.user_message = cut.parent;
                begun.base = base;
            }
        }
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
            begun.history = line_to(&mut tx, conversation, question).await?;
        }
        tx.commit().await?;
        Ok(begun)
    }

    /// The conversation of a reply, and whether it was made for it.
    async fn conversation_for(
        &self,
        tx: &mut Connection,
        owner: &str,
        reply: &NewReply,
    ) -> Result<(i64, bool)> {
        let row = query("select key, owner, deleted_at, import from conversations where id = $1")
            .bind(&reply.conversation)
            .fetch_optional(&mut *tx)
            .await?;
        if let Some(row) = row {
            let is_there = row.try_get::<String, _>(1)? == owner
                && row.try_get::<Option<i64>, _>(2)?.is_none()
                && row.try_get::<Option<String>, _>(3)?.is_none();
            return if is_there {
                Ok((row.try_get(0)?, false))
            } else {
                Err(StoreError::NotFound)
            };
        }
        if !matches!(reply.ask, Ask::Question { parent: None, .. }) {
            return Err(StoreError::NotFound);
        }
        let title = self.database.text(&reply.title);
        let row = query(
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
        let key = row.try_get(0)?;
        self.database.index_title(tx, owner, key, &title).await?;
        Ok((key, true))
    }

    async fn insert_reply(
        &self,
        tx: &mut Connection,
        owner: &str,
        conversation: i64,
        reply: &NewReply,
        id: &str,
        parent: Option<&str>,
    ) -> Result<()> {
        query(
            "insert into messages (id, conversation, owner, parent, role, text, model, parameters, state, generation, created_at)
             values ($1, $2, $3, $4, 'assistant', '', $5, $6, 'streaming', $7, $8)",
        )
        .bind(id)
        .bind(conversation)
        .bind(owner)
        .bind(parent)
        .bind(&reply.model)
        .bind(&reply.parameters)
        .bind(&reply.generation)
        .bind(reply.now)
        .execute(&mut *tx)
        .await?;
        Ok(())
    }

    /// Adds to a reply that is being made.
    pub async fn append(
        &self,
        owner: &str,
        generation: &str,
        number: i64,
        piece: &Piece,
    ) -> Result<()> {
        let piece = self.database.piece(piece);
        let mut tx = self.transaction().await?;
        // What was said to have failed may be there all the same, and is then tried again with more.
        query(
            "insert into pieces (generation, number, owner, text, reasoning, marks)
             values ($1, $2, $3, $4, $5, $6)
             on conflict (generation, number) do update
                 set text = excluded.text, reasoning = excluded.reasoning, marks = excluded.marks",
        )
        .bind(generation)
        .bind(number)
        .bind(owner)
        .bind(piece.text)
        .bind(piece.reasoning)
        .bind(piece.spans)
        .execute(&mut *tx)
        .await?;
        tx.commit().await
    }

    /// Writes down the whole of a reply and its end.
    pub async fn finish(&self, owner: &str, generation: &str, finished: &Finished) -> Result<()> {
        let (state, finish, error) = match &finished.end {
            End::Done(finish) => ("done", Some(finish.as_str()), None),
            End::Failed(error) => ("error", None, Some(rows::to_json(error))),
        };
        let ms = |time: Option<u64>| time.and_then(|time| i64::try_from(time).ok());
        let whole = self.database.piece(&finished.whole);
        let words = self.database.words_of(&finished.whole.text).await;
        let mut tx = self.transaction().await?;
        // By the message and by the generation: what goes on under another one is not ended by this.
        let row = query(
            "update messages set text = $3, reasoning = $4, marks = $5, state = $6, finish = $7, error = $8,
                 usage = $9, first_token_ms = $10, duration_ms = $11, thinking_ms = $12, model = $13
             where id = (select message from generations where id = $1 and owner = $2)
                 and generation = $1
             returning key, conversation",
        )
        .bind(generation)
        .bind(owner)
        .bind(whole.text)
        .bind(whole.reasoning)
        .bind(whole.spans)
        .bind(state)
        .bind(finish)
        .bind(error)
        .bind(finished.usage.as_ref().map(rows::to_json))
        .bind(ms(finished.timing.first_token_ms))
        .bind(ms(finished.timing.duration_ms))
        .bind(ms(finished.timing.thinking_ms))
        .bind(&finished.model)
        .fetch_one(&mut *tx)
        .await?;
        self.database
            .index_words(&mut tx, owner, row.try_get(0)?, words)
            .await?;
        query("update conversations set updated_at = $1, ended_at = $1 where key = $2")
            .bind(finished.now)
            .bind(row.try_get::<i64, _>(1)?)
            .execute(&mut *tx)
            .await?;
        query("delete from pieces where generation = $1")
            .bind(generation)
            .execute(&mut *tx)
            .await?;
        tx.commit().await
    }

    /// Marks as interrupted what is said to be running, whoever's it is, and gives how many there
    /// were. To be done before anything runs.
    pub async fn interrupt_all(&self) -> Result<u64> {
        let mut tx = self.snapshot().await?;
        let running = query("select key from messages where state = 'streaming'")
            .fetch_all(&mut *tx)
            .await?;
        drop(tx);
        for row in &running {
            self.interrupt_reply(row.try_get(0)?).await?;
        }
        Ok(running.len() as u64)
    }

    async fn interrupt_reply(&self, key: i64) -> Result<()> {
        let mut tx = self.snapshot().await?;
        let row = query(
            "select owner, generation, text, reasoning, marks from messages
             where key = $1 and state = 'streaming'",
        )
        .bind(key)
        .fetch_optional(&mut *tx)
        .await?;
        let Some(row) = row else {
            // It was removed meanwhile.
            return Ok(());
        };
        let owner: String = row.try_get(0)?;
        let generation: Option<String> = row.try_get(1)?;
        let mut piece = Piece {
            text: row.try_get(2)?,
            reasoning: row.try_get(3)?,
            spans: row.try_get(4)?,
        };
        if let Some(generation) = &generation {
            for more in pieces(&mut tx, generation).await? {
                piece.append(&more);
            }
        }
        drop(tx);
        let words = self.database.words_of(&piece.text).await;
        let mut tx = self.transaction().await?;
        query("delete from pieces where generation = $1")
            .bind(generation)
            .execute(&mut *tx)
            .await?;
        self.database
            .index_words(&mut tx, &owner, key, words)
            .await?;
        query(
            "update messages set text = $2, reasoning = $3, marks = $4, state = 'interrupted' where key = $1",
        )
        .bind(key)
        .bind(piece.text)
        .bind(piece.reasoning)
        .bind(piece.spans)
        .execute(&mut *tx)
        .await?;
        tx.commit().await
    }

    /// A reply by the id of a generation: what that generation made of it, and its own end, whether or
    /// not the reply was continued by another one.
    pub async fn reply(&self, owner: &str, generation: &str) -> Result<StoredReply> {
        let mut tx = self.snapshot().await?;
        let row = query(
            "select c.id, m.id, m.parent, m.text, m.reasoning, m.marks, m.state, m.finish, m.error, m.usage,
                 m.model, m.generation
             from generations g join messages m on m.id = g.message
             join conversations c on c.key = g.conversation
             where g.id = $1 and g.owner = $2 and c.deleted_at is null",
        )
        .bind(generation)
        .bind(owner)
        .fetch_one(&mut *tx)
        .await?;
        let mut piece = Piece {
            text: row.try_get(3)?,
            reasoning: row.try_get(4)?,
            spans: row.try_get(5)?,
        };
        let current: Option<String> = row.try_get(11)?;
        let mut end = rows::end(row.try_get(6)?, row.try_get(7)?, row.try_get(8)?);
        let (mut usage, mut model) = (row.try_get(9)?, row.try_get(10)?);
        if current.as_deref() == Some(generation) {
            if end.is_none() {
                for more in pieces(&mut tx, generation).await? {
                    piece.append(&more);
                }
            }
        } else {
            let continued = continued(&mut tx, generation, piece).await?;
            (piece, end) = (continued.piece, Some(continued.end));
            (usage, model) = (continued.usage, continued.model);
        }
        Ok(StoredReply {
            generation: generation.to_owned(),
            conversation: row.try_get(0)?,
            message: row.try_get(1)?,
            user_message: row.try_get(2)?,
            model: model.unwrap_or_default(),
            piece,
            usage: rows::from_json(usage),
            end,
        })
    }
}

/// What a generation had made of a message when another one continued it.
struct Continued {
    piece: Piece,
    end: End,
    usage: Option<String>,
    model: Option<String>,
}

/// Reads that, given the message as it is now. A generation that was continued before this was noted is
/// not found: how it ended is not known, and a page that follows it loads the conversation again.
async fn continued(
    connection: &mut Connection,
    generation: &str,
    message: Piece,
) -> Result<Continued> {
    let row = query(
        "select text_bytes, reasoning_bytes, marks, state, finish, error, usage, model
         from generations where id = $1 and state is not null",
    )
    .bind(generation)
    .fetch_one(&mut *connection)
    .await?;
    let bytes = |at: usize| -> Result<usize> {
        let bytes: i64 = row.try_get(at)?;
        usize::try_from(bytes).map_err(|_| StoreError::NotFound)
    };
    let piece = message.beginning(bytes(0)?, bytes(1)?, row.try_get(2)?);
    let end = rows::end(row.try_get(3)?, row.try_get(4)?, row.try_get(5)?);
    Ok(Continued {
        piece: piece.ok_or(StoreError::NotFound)?,
        end: end.ok_or(StoreError::NotFound)?,
        usage: row.try_get(6)?,
        model: row.try_get(7)?,
    })
}

/// Notes what the last generation of a reply made of it, before another one continues it.
async fn note_end_of_generation(tx: &mut Connection, reply: &ReplyRow) -> Result<()> {
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
    .bind(bytes(&reply.piece.text))
    .bind(bytes(&reply.piece.reasoning))
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// The pieces of a reply that is being made, in order.
pub(super) async fn pieces(connection: &mut Connection, generation: &str) -> Result<Vec<Piece>> {
    let rows =
        query("select text, reasoning, marks from pieces where generation = $1 order by number")
            .bind(generation)
            .fetch_all(&mut *connection)
            .await?;
    let mut pieces = Vec::with_capacity(rows.len());
    for row in rows {
        pieces.push(Piece {
            text: row.try_get(0)?,
            reasoning: row.try_get(1)?,
            spans: row.try_get(2)?,
        });
    }
    Ok(pieces)
}

/// A message of this conversation that is complete.
async fn message(tx: &mut Connection, conversation: i64, id: &str) -> Result<ReplyRow> {
    let row = query(
        "select id, parent, role, text, reasoning, marks, state from messages where id = $1 and conversation = $2",
    )
    .bind(id)
    .bind(conversation)
    .fetch_one(&mut *tx)
    .await?;
    if row.try_get::<String, _>(6)? == "streaming" {
        return Err(StoreError::Invalid(
            "That message is still being written: wait for its end, or stop it.",
        ));
    }
    ReplyRow::read(&row)
}

/// A reply of this conversation that is complete.
async fn reply_row(tx: &mut Connection, conversation: i64, id: &str) -> Result<ReplyRow> {
    let row = message(tx, conversation, id).await?;
    if row.role == Role::Assistant {
        Ok(row)
    } else {
        Err(StoreError::Invalid(
            "Only a reply can be regenerated or continued, and this is a question.",
        ))
    }
}

/// Whether a conversation holds nothing but the question that began it and the reply to it.
async fn is_first(tx: &mut Connection, conversation: i64, reply: &NewReply) -> Result<bool> {
    if !matches!(reply.ask, Ask::Question { parent: None, .. }) {
        return Ok(false);
    }
    let row = query("select count(*) from messages where conversation = $1")
        .bind(conversation)
        .fetch_one(&mut *tx)
        .await?;
    Ok(row.try_get::<i64, _>(0)? == 2)
}

/// What was said up to a message. Replies without text say nothing.
async fn line_to(tx: &mut Connection, conversation: i64, id: &str) -> Result<Vec<ChatMessage>> {
    let rows = query(
        "with recursive line (parent, role, text, back) as (
             select parent, role, text, 0 from messages where id = $1 and conversation = $2
             union all
             select m.parent, m.role, m.text, line.back + 1 from messages m
             join line on m.id = line.parent where m.conversation = $2
         )
         select role, text from line order by back desc",
    )
    .bind(id)
    .bind(conversation)
    .fetch_all(&mut *tx)
    .await?;
    let mut messages = Vec::with_capacity(rows.len());
    for row in rows {
        let content: String = row.try_get(1)?;
        if !content.trim().is_empty() {
            messages.push(ChatMessage {
                role: rows::role(&row.try_get::<String, _>(0)?),
                content,
            });
        }
    }
    Ok(messages)
}
