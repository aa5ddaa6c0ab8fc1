//! The types of the wire about saved conversations: requests, lists, messages.
//!
//! Ids are UUIDs as text. The client makes those of conversations and requests, so that a conversation needs no round
//! trip to exist and a repeated request is recognised; the server makes those of messages. Times are milliseconds
//! since 1970.

use serde::{Deserialize, Serialize};

use super::{ChatSettings, Finish, ReasoningEffort, ReplyError, Role, Usage};

/// The prefix of all paths about saved conversations.
pub const CONVERSATIONS_PATH: &str = "/api/conversations";
/// The path of the event stream of [`Change`]s.
pub const CHANGES_PATH: &str = "/api/conversations/events";
/// The path of the export of all conversations.
pub const EXPORT_PATH: &str = "/api/export";
/// The path of the import.
pub const IMPORT_PATH: &str = "/api/import";

/// The path to which a message of a conversation is posted.
#[must_use]
pub fn messages_path(conversation: &str) -> String {
    format!("{CONVERSATIONS_PATH}/{conversation}/messages")
}

/// The path of the export of one conversation in a format: `markdown` or `json`.
#[must_use]
pub fn export_path(conversation: &str, format: &str) -> String {
    format!("{CONVERSATIONS_PATH}/{conversation}/export?format={format}")
}

/// The path of a generation; `DELETE` stops it.
#[must_use]
pub fn generation_path(generation: &str) -> String {
    format!("/api/generations/{generation}")
}

/// The path of the events of a generation.
#[must_use]
pub fn events_path(generation: &str) -> String {
    format!("/api/generations/{generation}/events")
}

/// A message of a saved conversation, or a request for another reply: exactly one of `content`,
/// `regenerate` and `continue`. Unknown fields are rejected.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SendMessage {
    /// The id of the request, made by the client. The same id never starts a second reply.
    pub request_id: String,
    /// A new message of the user, which follows `parent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// The message before `content`; without it, `content` is the first message of the conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// A reply to regenerate, as its sibling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regenerate: Option<String>,
    /// A reply to continue where it was cut off.
    #[serde(default, rename = "continue", skip_serializing_if = "Option::is_none")]
    pub continue_reply: Option<String>,
    /// The model; by default the server's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Sampling temperature, 0 to 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// The most tokens that the reply may have, at least 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// The reasoning effort.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<ReasoningEffort>,
    /// The system prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// The name of the preset that the options were taken from. It is shown; the options count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<String>,
}

/// The entry of a conversation in the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConversationSummary {
    /// The id of the conversation.
    pub id: String,
    /// The title.
    pub title: String,
    /// When the conversation was created.
    pub created_at: i64,
    /// The time of the last message.
    pub updated_at: i64,
    /// Whether the conversation is pinned to the top of the list.
    pub pinned: bool,
    /// Whether a reply streams in it.
    pub running: bool,
    /// Whether a reply ended in it since it was last read.
    pub unread: bool,
}

/// A page of the list of conversations: pinned ones first, then the newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConversationList {
    /// The conversations of this page.
    pub conversations: Vec<ConversationSummary>,
    /// The cursor of the next page, if there is one; to be sent as `before`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A conversation: all its messages as a tree, or a part of one path.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ConversationDetail {
    /// The id of the conversation.
    pub id: String,
    /// The title.
    pub title: String,
    /// Whether the conversation is pinned.
    pub pinned: bool,
    /// The last message of the path that is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaf: Option<String>,
    /// The settings of the last reply of the shown path; `None` if they are not known, as after an import.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<ChatSettings>,
    /// The messages, each after its parent, siblings in the order of their creation.
    pub messages: Vec<SavedMessage>,
    /// In a part of a path: the message before the first one, which is the last one of the previous part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earlier: Option<String>,
    /// In a part of a path: whether there are messages after the last one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub later: bool,
    /// In a part of a path through a message: that message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through: Option<String>,
    /// In a part of a path: the version numbers of messages with siblings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<MessageVersion>,
}

/// The version number of a message: siblings are versions of one message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageVersion {
    /// The id of the message.
    pub message: String,
    /// The number, from 1, the oldest first.
    pub number: u32,
    /// The number of versions.
    pub of: u32,
}

/// A conversation as it is exported and imported: complete, with its times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExportedConversation {
    /// The id of the conversation.
    pub id: String,
    /// The title.
    pub title: String,
    /// When the conversation was created.
    pub created_at: i64,
    /// The time of the last message.
    pub updated_at: i64,
    /// Whether the conversation is pinned.
    #[serde(default)]
    pub pinned: bool,
    /// The last message of the path that is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaf: Option<String>,
    /// All messages, each after its parent.
    pub messages: Vec<SavedMessage>,
}

/// A saved message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SavedMessage {
    /// The id of the message.
    pub id: String,
    /// The message before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// The role of the message.
    pub role: Role,
    /// The text.
    pub text: String,
    /// The reasoning before the text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reasoning: String,
    /// The requested model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// When the message was sent, or the reply requested.
    pub created_at: i64,
    /// The token counts, if the provider reported them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// The duration, once the reply has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timing: Option<Timing>,
    /// The state of the message. A question is always done.
    pub state: MessageState,
    /// Whether the end of the reply is only in the server's memory, because it could not be saved.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub could_not_be_saved: bool,
    /// Whether a person wrote or changed the text of this reply.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub edited: bool,
}

/// The state of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageState {
    /// The reply streams.
    Streaming {
        /// The id by which the reply is read and stopped.
        generation: String,
        /// The seq of the last event whose text is included.
        last_seq: u64,
    },
    /// The reply ended without an error.
    Done {
        /// Why it ended.
        finish: Finish,
    },
    /// The reply failed; the text before the error is valid.
    Error(ReplyError),
    /// The server stopped before the reply had ended.
    Interrupted,
}

/// The durations of a reply.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// From the request to the first piece of reasoning or text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_token_ms: Option<u64>,
    /// From the request to the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// From the first piece of reasoning to the first piece of text, or to the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thinking_ms: Option<u64>,
}

/// A question of an outline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutlineQuestion {
    /// The id of the message.
    pub message: String,
    /// The first 160 characters of its text.
    pub text: String,
}

/// The result of a search, the newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchHits {
    /// The hits.
    pub hits: Vec<SearchHit>,
}

/// A hit of a search.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchHit {
    /// The id of the conversation.
    pub conversation: String,
    /// The title of the conversation.
    pub title: String,
    /// The message that contains the words; without it, the title contains them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The words with the text around them.
    pub snippet: Vec<SnippetPart>,
}

/// A piece of a snippet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnippetPart {
    /// The text of the piece.
    pub text: String,
    /// Whether the piece matches the query.
    pub marked: bool,
}

/// An event of the stream at [`CHANGES_PATH`], named `changed`, `removed`, `messages_removed` or `reload`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A conversation was added, or its summary changed.
    Changed(ConversationSummary),
    /// A conversation was deleted.
    Removed(String),
    /// A message was deleted, with all that follows it.
    MessagesRemoved(RemovedMessages),
    /// Changes may have been missed: the list must be reloaded.
    Reload,
}

/// Data of a `removed` event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// The id of the conversation.
    pub id: String,
}

/// Data of a `messages_removed` event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemovedMessages {
    /// The id of the conversation.
    pub conversation: String,
    /// The id of the first deleted message.
    pub message: String,
}

impl Change {
    /// Parses a change from the name and the data of a Server-Sent Event. `None` for a name that this
    /// version does not know.
    ///
    /// # Errors
    /// If the data is not the JSON that belongs to the name.
    pub fn from_sse(name: &str, data: &str) -> Result<Option<Self>, serde_json::Error> {
        Ok(Some(match name {
            "changed" => Self::Changed(serde_json::from_str(data)?),
            "removed" => Self::Removed(serde_json::from_str::<Removed>(data)?.id),
            "messages_removed" => Self::MessagesRemoved(serde_json::from_str(data)?),
            "reload" => Self::Reload,
            _ => return Ok(None),
        }))
    }
}

/// The data that the server puts into a rendered page, so that the first paint is complete.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct InitialData {
    /// The first page of the list.
    pub list: ConversationList,
    /// The conversation at this URL; `None` at `/`, or if there is no such conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<ConversationDetail>,
}

/// The result of an import.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportReport {
    /// Conversations that were added.
    pub conversations: u64,
    /// Messages in those conversations.
    pub messages: u64,
    /// Conversations and parts of them that were skipped, with reasons.
    pub skipped: Vec<Skipped>,
    /// How many more were skipped than `skipped` lists.
    #[serde(default)]
    pub more_skipped: u64,
}

/// A part that an import skipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// The title of the conversation, or its position in the file.
    pub what: String,
    /// A sentence for the user.
    pub why: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_message_with_an_unknown_field_is_refused() {
        let check = |json: &str, expect: bool| {
            assert_eq!(
                serde_json::from_str::<SendMessage>(json).is_ok(),
                expect,
                "{json}"
            );
        };
        check(r#"{"request_id":"r","content":"Hi","parent":null}"#, true);
        check(r#"{"request_id":"r","continue":"m"}"#, true);
        check(r#"{"request_id":"r","content":"Hi","base_url":"x"}"#, false);
        check(r#"{"content":"Hi"}"#, false);
    }

    #[test]
    fn the_state_of_a_message_is_a_word_or_a_word_with_its_details() {
        let check = |state: MessageState, expect: &str| {
            let json = serde_json::to_string(&state).expect("JSON");
            assert_eq!(json, expect);
            assert_eq!(
                serde_json::from_str::<MessageState>(&json).expect("JSON"),
                state
            );
        };
        check(MessageState::Interrupted, r#""interrupted""#);
        check(
            MessageState::Done {
                finish: Finish::Length,
            },
            r#"{"done":{"finish":"length"}}"#,
        );
        check(
            MessageState::Streaming {
                generation: "g".into(),
                last_seq: 7,
            },
            r#"{"streaming":{"generation":"g","last_seq":7}}"#,
        );
    }

    #[test]
    fn changes_are_read_from_their_name_and_json() {
        let check = |name, data, expect| {
            assert_eq!(Change::from_sse(name, data).expect("valid data"), expect);
        };
        check(
            "removed",
            r#"{"id":"c"}"#,
            Some(Change::Removed("c".into())),
        );
        check("reload", "{}", Some(Change::Reload));
        check("other", "{}", None);
        assert!(Change::from_sse("changed", "{}").is_err());
    }
}
