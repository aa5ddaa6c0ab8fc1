//! Where conversations are kept: what can be done with them, and what can go wrong.
//!
//! `sql` does it, the same for SQLite, which is embedded and the default, and for PostgreSQL; what
//! differs between the two stands in `sqlite` and `postgres`. Rows do not leave those files. Every
//! row has an owner, and every question asks for it: what is somebody else's is not found.
//!
//! It knows nothing of HTTP and nothing of who is asking it when.

mod failure;
mod migrations;
mod open;
mod postgres;
mod sql;
mod sqlite;
mod transfer;
pub mod words;

use std::sync::Arc;

use async_trait::async_trait;

use app::protocol::saved::{
    ConversationDetail, ConversationList, ConversationSummary, SavedMessage, SearchHit, Timing,
};
use app::protocol::{ChatMessage, ErrorKind, ReplyError, Start, Usage};
use app::wording::error_sentence;

pub use self::open::{Opened, backup, check, open};
pub use self::sql::Sql;
pub use self::transfer::{
    ConversationHead, ConversationKey, ImportCursor, ImportPart, MessageKey, MessagePage,
};
use crate::replies::log::{End, Log, Piece};

/// The one owner, until there are accounts.
pub const LOCAL_OWNER: &str = "local";

/// What a [`Store`] answers.
pub type Result<T> = std::result::Result<T, StoreError>;

/// Why something could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such thing, or it is somebody else's.
    #[error("there is no such thing")]
    NotFound,
    /// It makes no sense: a sentence for a person.
    #[error("{0}")]
    Invalid(&'static str),
    /// The database failed. The sentence is for the log and names no content.
    #[error("{0}")]
    Failed(String),
}

/// What somebody wants to happen in a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// A new question and the reply to it.
    Question {
        /// The message that it follows; without one it begins the conversation.
        parent: Option<String>,
        /// What is asked.
        text: String,
    },
    /// Another reply in the place of this one.
    Again(String),
    /// The rest of this reply.
    Continue(String),
}

/// A reply that is to be made.
#[derive(Debug, Clone)]
pub struct NewReply {
    /// The conversation, which a question may begin.
    pub conversation: String,
    /// Made by the client; the same one never begins a second reply.
    pub request_id: String,
    /// The id of the generation, if it is begun.
    pub generation: String,
    /// What is wanted.
    pub ask: Ask,
    /// The model that will be asked.
    pub model: String,
    /// What else was asked for, as JSON.
    pub parameters: String,
    /// What a conversation that begins with this is called at first.
    pub title: String,
    /// The time, in milliseconds since 1970.
    pub now: i64,
}

/// A reply that may be made, or that had been begun before.
#[derive(Debug, Clone, Default)]
pub struct Begun {
    /// The id of its generation. Another than was given where the request had been there before.
    pub generation: String,
    /// The question.
    pub user_message: Option<String>,
    /// The reply.
    pub message: String,
    /// Whether the conversation began with it.
    pub is_first: bool,
    /// What had been said, as the model is to see it: up to the question, and where a reply is to go
    /// on, what there is of it.
    pub history: Vec<ChatMessage>,
    /// What there is of the reply.
    pub base: Piece,
}

/// The end of a reply, and all of it.
#[derive(Debug, Clone)]
pub struct Finished {
    /// What was said.
    pub whole: Piece,
    /// How it ended.
    pub end: End,
    /// The model that answered.
    pub model: String,
    /// What it cost.
    pub usage: Option<Usage>,
    /// How long it took.
    pub timing: Timing,
    /// The time, in milliseconds since 1970.
    pub now: i64,
}

/// A reply as one generation made it and as it was stored. What a later generation added to it is not
/// part of it: the events of a generation never change once it has ended.
#[derive(Debug, Clone)]
pub struct StoredReply {
    /// The id of the generation.
    pub generation: String,
    /// Its conversation.
    pub conversation: String,
    /// The question.
    pub user_message: Option<String>,
    /// The message that it is.
    pub message: String,
    /// The model that was asked.
    pub model: String,
    /// What there is of it.
    pub piece: Piece,
    /// What it cost.
    pub usage: Option<Usage>,
    /// How it ended; without, it is being made.
    pub end: Option<End>,
}

impl StoredReply {
    /// The log with all of its events. A reply without an end counts as interrupted: the caller knows
    /// that no server makes it any more.
    #[must_use]
    pub fn into_log(self) -> Arc<Log> {
        let start = Start {
            generation: self.generation,
            model: self.model,
            conversation: Some(self.conversation),
            user_message: self.user_message,
            message: Some(self.message),
        };
        let end = self.end.unwrap_or_else(|| {
            End::Failed(ReplyError {
                kind: ErrorKind::Interrupted,
                message: error_sentence(ErrorKind::Interrupted).to_owned(),
                retryable: true,
                retry_after_ms: None,
            })
        });
        Log::restored(start, self.piece, self.usage, Some(end))
    }
}

/// Where a part of a path ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathEnd {
    /// With the path that is shown.
    Shown,
    /// With the path through this message, or through the version of it with this number, counted
    /// from 1. Below that it goes on with the newest version each time.
    Through(String, Option<u32>),
    /// With this message, whatever follows it.
    At(String),
}

/// How much of a path is read at once: one message at least.
#[derive(Debug, Clone, Copy)]
pub struct PathLimit {
    /// The most messages.
    pub messages: u32,
    /// The most bytes of text and reasoning, if it is more than one message.
    pub bytes: i64,
}

/// Keeps conversations.
#[async_trait]
pub trait Store: Send + Sync {
    /// Writes down what was asked and that it is being answered. A request that was there before
    /// gives what it gave then.
    async fn begin(&self, owner: &str, reply: &NewReply) -> Result<Begun>;
    /// Adds to a reply that is being made.
    async fn append(&self, owner: &str, generation: &str, number: i64, piece: &Piece)
    -> Result<()>;
    /// Writes down the whole of a reply and its end.
    async fn finish(&self, owner: &str, generation: &str, finished: &Finished) -> Result<()>;
    /// Marks as interrupted what is said to be running, whoever's it is, and gives how many there
    /// were. To be done before anything runs.
    async fn interrupt_all(&self) -> Result<u64>;
    /// A reply by the id of a generation: what that generation made of it, and its own end, whether or
    /// not the reply was continued by another one.
    async fn reply(&self, owner: &str, generation: &str) -> Result<StoredReply>;

    /// A part of the list, from the cursor on.
    async fn list(&self, owner: &str, before: Option<&str>, limit: u32)
    -> Result<ConversationList>;
    /// What a list shows of one conversation.
    async fn summary(&self, owner: &str, id: &str) -> Result<ConversationSummary>;
    /// A whole conversation.
    async fn get(&self, owner: &str, id: &str) -> Result<ConversationDetail>;
    /// A part of a path through a conversation, up to its end.
    async fn path(
        &self,
        owner: &str,
        id: &str,
        end: &PathEnd,
        limit: PathLimit,
    ) -> Result<ConversationDetail>;
    /// All conversations, the oldest first.
    async fn keys(&self, owner: &str) -> Result<Vec<ConversationKey>>;
    /// A conversation by its id.
    async fn key(&self, owner: &str, id: &str) -> Result<ConversationKey>;
    /// A conversation without its messages.
    async fn head(&self, owner: &str, conversation: ConversationKey) -> Result<ConversationHead>;
    /// The next messages of a conversation in the order in which they were added, about 256 KiB.
    async fn messages_after(
        &self,
        owner: &str,
        conversation: ConversationKey,
        after: Option<MessageKey>,
    ) -> Result<MessagePage>;
    /// The messages from the first to the leaf that is shown; without one, to the newest.
    async fn shown(&self, owner: &str, conversation: ConversationKey) -> Result<Vec<MessageKey>>;
    /// The first of these messages, about 256 KiB, and how many of the keys they are.
    async fn messages(
        &self,
        owner: &str,
        keys: &[MessageKey],
    ) -> Result<(Vec<SavedMessage>, usize)>;
    /// Gives a conversation a title. One by a person is not replaced by one by the model.
    async fn rename(&self, owner: &str, id: &str, title: &str, by: TitledBy) -> Result<()>;
    /// Puts a conversation above the others, or back.
    async fn pin(&self, owner: &str, id: &str, pinned: bool) -> Result<()>;
    /// Deletes a conversation, so that it can be restored. Gives the generations that run in it.
    async fn delete(&self, owner: &str, id: &str, now: i64) -> Result<Vec<String>>;
    /// Takes a deletion back.
    async fn restore(&self, owner: &str, id: &str) -> Result<()>;
    /// Notes the end of the path that is shown.
    async fn show(&self, owner: &str, id: &str, leaf: &str) -> Result<()>;
    /// Notes that a conversation was read.
    async fn read(&self, owner: &str, id: &str, now: i64) -> Result<()>;
    /// Looks for words in titles and messages.
    async fn search(&self, owner: &str, query: &str, limit: u32) -> Result<Vec<SearchHit>>;
    /// Removes for good what was deleted before this time, and what is left of imports that did not
    /// finish before the store was opened. Gives how many conversations had been deleted.
    async fn purge(&self, deleted_before: i64) -> Result<u64>;

    /// Adds what comes next in an import. Nobody sees it yet. Gives for each conversation that ends in
    /// these parts whether it was added: a conversation that is there already is not.
    async fn import(
        &self,
        owner: &str,
        import: &str,
        cursor: &mut ImportCursor,
        parts: Vec<ImportPart>,
    ) -> Result<Vec<bool>>;
    /// Shows all that was imported.
    async fn finish_import(&self, owner: &str, import: &str) -> Result<()>;
    /// Removes all that was imported.
    async fn abandon_import(&self, import: &str) -> Result<()>;

    /// Ends the connections, so that everything is in the file.
    async fn close(&self);
}

/// Who gave a title.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TitledBy {
    /// The first words of the question.
    FirstWords,
    /// The model.
    Model,
    /// The person.
    Person,
}

/// The time, in milliseconds since 1970.
#[must_use]
pub fn now() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |time| {
            i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
        })
}

/// A new id, that sorts by time.
#[must_use]
pub fn new_id() -> String {
    uuid::Uuid::now_v7().to_string()
}
