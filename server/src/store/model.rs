//! The model types of the store: the parameters and results of its methods.

pub mod piece;
pub mod spans;
mod transfer;

use app::protocol::saved::Timing;
use app::protocol::{ChatMessage, Finish, ReplyError, Usage};

pub use self::piece::{NewPiece, Piece};
pub use self::transfer::{
    ConversationHead, ConversationKey, ImportCursor, ImportPart, MessageKey, MessagePage,
};

/// The request of a person in a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// Store a question and reply to it.
    Question {
        /// The id of the message that the question follows. `None` for a question that begins a conversation
        /// or a new version of its first question.
        parent: Option<String>,
        /// The text of the question.
        text: String,
    },
    /// Make another version of the reply with this id.
    Regenerate(String),
    /// Continue the reply with this id, which was cut off.
    Continue(String),
}

/// The request to begin a reply.
#[derive(Debug, Clone)]
pub struct NewReply {
    /// The id of the conversation, which a question may begin.
    pub conversation: String,
    /// The id of the request, made by the client. The same request never begins a second reply.
    pub request_id: String,
    /// The id of the generation, unless the request has begun one before.
    pub generation: String,
    /// What the person asks for.
    pub turn: Turn,
    /// The model that makes the reply.
    pub model: String,
    /// The options of the request, as JSON.
    pub parameters: String,
    /// The first title of a conversation that this request begins.
    pub title: String,
    /// The current time, in milliseconds since 1970.
    pub now: i64,
}

/// A reply that has begun, now or by an earlier call with the same request.
#[derive(Debug, Clone, Default)]
pub struct Begun {
    /// The id of its generation. It differs from the id in the request if an earlier call began the reply;
    /// then `is_first`, `history` and `base` are empty.
    pub generation: String,
    /// The id of the question.
    pub user_message: Option<String>,
    /// The id of the reply's message.
    pub message: String,
    /// Whether the request began the conversation.
    pub is_first: bool,
    /// The messages up to the question, as the model is to see them.
    pub history: Vec<ChatMessage>,
    /// The text of the reply that is continued.
    pub base: Piece,
}

/// The whole text of a reply, and its end.
#[derive(Debug, Clone)]
pub struct Finished {
    /// The text, the reasoning, and their spans.
    pub whole: Piece,
    /// How it ended.
    pub end: GenerationEnd,
    /// The model that made the reply.
    pub model: String,
    /// The tokens that the reply took, as the provider counted them.
    pub usage: Option<Usage>,
    /// How long the reply took.
    pub timing: Timing,
    /// The current time, in milliseconds since 1970.
    pub now: i64,
}

/// A reply as one generation made it. Text that a later generation added is not part of it, because the
/// events of a generation never change once it has ended.
#[derive(Debug, Clone)]
pub struct StoredReply {
    /// The id of the generation.
    pub generation: String,
    /// The id of the conversation.
    pub conversation: String,
    /// The id of the question.
    pub user_message: Option<String>,
    /// The id of the reply's message.
    pub message: String,
    /// The model that made the reply.
    pub model: String,
    /// The text so far.
    pub piece: Piece,
    /// The tokens that the reply took, as the provider counted them.
    pub usage: Option<Usage>,
    /// How the generation ended; `None` while the reply is being made.
    pub end: Option<GenerationEnd>,
}

/// The message with which a part of a path ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathEnd {
    /// The leaf of the shown path.
    Shown,
    /// The leaf of the path through this message, or through the version of it with this number, counted
    /// from 1. Below that message, the path goes through the newest version each time.
    Through(String, Option<u32>),
    /// This message, which other messages may follow.
    At(String),
}

/// The most that is read of a path at once, but at least one message.
#[derive(Debug, Clone, Copy)]
pub struct PathLimit {
    /// The most messages.
    pub messages: u32,
    /// The most bytes of text and reasoning of several messages.
    pub bytes: i64,
}

/// The origin of a title, in order of rank: a title replaces only those of the same or a lower rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TitledBy {
    /// The title is the first words of the question.
    FirstWords,
    /// The model made the title.
    Model,
    /// A person chose the title.
    Person,
}

/// How a reply ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GenerationEnd {
    /// The reply ended without an error.
    Done(Finish),
    /// The reply ended with an error. Text that came before stays valid.
    Failed(ReplyError),
}
