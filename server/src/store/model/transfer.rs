//! The types of imports and exports, which take conversations in parts.

use app::protocol::saved::SavedMessage;
use serde::Serialize;

/// A conversation without its messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConversationHead {
    /// The id of the conversation.
    pub id: String,
    /// The title.
    pub title: String,
    /// The time of the first message, in milliseconds since 1970.
    pub created_at: i64,
    /// The time of the last message, in milliseconds since 1970.
    pub updated_at: i64,
    /// Whether the conversation is pinned to the top of the list.
    pub pinned: bool,
    /// The id of the message with which the shown path ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaf: Option<String>,
}

/// The key of a conversation in one database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConversationKey(pub(in crate::store) i64);

/// The key of a message in one database, with the size of its text in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageKey {
    pub(in crate::store) key: i64,
    pub(in crate::store) size: u32,
}

/// A page of the messages of a conversation.
#[derive(Debug, Clone, Default)]
pub struct MessagePage {
    /// The messages.
    pub messages: Vec<SavedMessage>,
    /// The last of the messages; `None` if there are no more.
    pub last: Option<MessageKey>,
}

/// A part of an import. Messages belong to the conversation that has begun.
#[derive(Debug, Clone, PartialEq)]
pub enum ImportPart {
    /// A conversation begins. The id is given if the file has it before the messages.
    Begin(Option<String>),
    /// A message, after its parent. The reader of the file has given new ids to both.
    Message(Box<SavedMessage>),
    /// The conversation is complete. The leaf is one of the new ids.
    End(ConversationHead),
    /// The conversation is invalid, and is removed.
    Drop,
    /// Only a part of the conversation is there, so it must not keep the id with which it began. `End` gives
    /// another.
    ForgetId,
}

/// The conversation that an import is adding to.
#[derive(Debug, Default)]
pub enum ImportCursor {
    /// No conversation has begun.
    #[default]
    Between,
    /// The conversation with this key.
    Within {
        /// The key of the conversation.
        key: i64,
        /// Whether the id was given at the beginning.
        has_id: bool,
    },
    /// A conversation that the owner has already. Its messages are skipped.
    Duplicate,
}
