//! What goes into the store and comes out of it.

pub mod piece;
pub mod spans;
mod transfer;

use app::protocol::saved::Timing;
use app::protocol::{ChatMessage, Finish, ReplyError, Usage};

pub use self::piece::Piece;
pub use self::transfer::{
    ConversationHead, ConversationKey, ImportCursor, ImportPart, MessageKey, MessagePage,
};

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

/// How a reply ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Without an error.
    Done(Finish),
    /// With an error. What came before stays valid.
    Failed(ReplyError),
}
