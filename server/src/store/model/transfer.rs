//! What is imported and exported: conversations in parts.

use app::protocol::saved::SavedMessage;
use serde::Serialize;

/// A conversation without its messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConversationHead {
    /// Its id.
    pub id: String,
    /// What it is called.
    pub title: String,
    /// When it began, in milliseconds since 1970.
    pub created_at: i64,
    /// When something was last said in it.
    pub updated_at: i64,
    /// Whether it stands above the others.
    pub pinned: bool,
    /// The message at the end of the path that is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaf: Option<String>,
}

/// Names a conversation within one store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConversationKey(pub(in crate::store) i64);

/// Names a message within one store, with the size of its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageKey {
    pub(in crate::store) key: i64,
    pub(in crate::store) size: u32,
}

/// Some messages of a conversation.
#[derive(Debug, Clone, Default)]
pub struct MessagePage {
    /// The messages.
    pub messages: Vec<SavedMessage>,
    /// The last of them. Without one there are no more.
    pub last: Option<MessageKey>,
}

/// What comes next in an import. Messages belong to the conversation that has begun.
#[derive(Debug, Clone, PartialEq)]
pub enum ImportPart {
    /// A conversation begins. Its id, where it is known before its messages.
    Begin(Option<String>),
    /// A message, after its parent. Ids are new ones.
    Message(Box<SavedMessage>),
    /// The conversation is complete. The leaf is one of the new ids.
    End(ConversationHead),
    /// Something is wrong with the conversation: none of it is kept.
    Drop,
}

/// The conversation that an import is adding to.
#[derive(Debug, Default)]
pub enum ImportCursor {
    /// None.
    #[default]
    Between,
    /// The one with this key.
    Within {
        /// Its key.
        key: i64,
        /// Whether its id was known at its beginning.
        has_id: bool,
    },
    /// A conversation that the owner has already. Its messages are skipped.
    Duplicate,
}
