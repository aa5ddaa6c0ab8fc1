//! What crosses the wire about saved conversations: what is asked, what is listed, what is kept of a
//! message.
//!
//! Ids are UUIDs as text. Those of conversations and requests are made by the client, so that a
//! conversation needs no round trip to exist and a request that is sent again is recognised; those of
//! messages are made by the server. Times are milliseconds since 1970.

use serde::{Deserialize, Serialize};

use super::{Finish, ReasoningEffort, ReplyError, Role, Usage};

/// Where everything about saved conversations begins.
pub const CONVERSATIONS_PATH: &str = "/api/conversations";
/// Where the changes of all conversations are told, as an event stream of [`Change`]s.
pub const CHANGES_PATH: &str = "/api/conversations/events";
/// Where all conversations are exported.
pub const EXPORT_PATH: &str = "/api/export";
/// Where conversations are imported.
pub const IMPORT_PATH: &str = "/api/import";

/// Where a message of a conversation is sent.
#[must_use]
pub fn messages_path(conversation: &str) -> String {
    format!("{CONVERSATIONS_PATH}/{conversation}/messages")
}

/// Where one conversation is exported, in this format: `markdown` or `json`.
#[must_use]
pub fn export_path(conversation: &str, format: &str) -> String {
    format!("{CONVERSATIONS_PATH}/{conversation}/export?format={format}")
}

/// Where a generation is stopped.
#[must_use]
pub fn generation_path(generation: &str) -> String {
    format!("/api/generations/{generation}")
}

/// Where the events of a generation are read.
#[must_use]
pub fn events_path(generation: &str) -> String {
    format!("/api/generations/{generation}/events")
}

/// A message for a saved conversation, or the wish for another reply: exactly one of `content`,
/// `regenerate` and `continue`. Unknown fields are refused.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SendMessage {
    /// Made by the client: the same id never starts a second reply.
    pub request_id: String,
    /// A new message of the person, that follows `parent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// The message that `content` follows; without it the message begins the conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// A reply that is wanted once more, as its sibling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regenerate: Option<String>,
    /// A reply that was cut off and is to go on, in its place.
    #[serde(default, rename = "continue", skip_serializing_if = "Option::is_none")]
    pub continue_reply: Option<String>,
    /// The model to ask; without it the server's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Sampling temperature, 0 to 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// The most tokens that the reply may have, at least 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// How long a reasoning model may think.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<ReasoningEffort>,
    /// Instructions that go before the conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
}

/// A conversation as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConversationSummary {
    /// Its id.
    pub id: String,
    /// What it is called.
    pub title: String,
    /// When it began.
    pub created_at: i64,
    /// When something was last said in it.
    pub updated_at: i64,
    /// Whether it stands above the others.
    pub pinned: bool,
    /// Whether a reply is being made in it.
    pub running: bool,
    /// Whether a reply ended in it since it was last read.
    pub unread: bool,
}

/// A part of the list of conversations: pinned ones first, then the newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConversationList {
    /// The conversations of this part.
    pub conversations: Vec<ConversationSummary>,
    /// Where the next part begins, if there is one: to be given as `before`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A conversation: all its messages as a tree, or a part of one path through it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ConversationDetail {
    /// Its id.
    pub id: String,
    /// What it is called.
    pub title: String,
    /// Whether it stands above the others.
    pub pinned: bool,
    /// The message at the end of the path that is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaf: Option<String>,
    /// The messages, each after its parent, siblings in the order in which they were made.
    pub messages: Vec<SavedMessage>,
    /// In a part of a path: the message before the first one, with which the part before ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earlier: Option<String>,
    /// In a part of a path: whether messages follow the last one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub later: bool,
    /// In a part of a path that leads through a message: that message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through: Option<String>,
    /// In a part of a path: which of its versions a message is, where it has several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<MessageVersion>,
}

/// Which of its versions a message is: siblings are versions of one message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageVersion {
    /// The id of the message.
    pub message: String,
    /// Counted from 1, the oldest first.
    pub number: u32,
    /// How many there are.
    pub of: u32,
}

/// A conversation as it is exported and imported: a whole one, with its times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExportedConversation {
    /// Its id.
    pub id: String,
    /// What it is called.
    pub title: String,
    /// When it began.
    pub created_at: i64,
    /// When something was last said in it.
    pub updated_at: i64,
    /// Whether it stands above the others.
    #[serde(default)]
    pub pinned: bool,
    /// The message at the end of the path that is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaf: Option<String>,
    /// All messages, each after its parent.
    pub messages: Vec<SavedMessage>,
}

/// A message as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SavedMessage {
    /// Its id.
    pub id: String,
    /// The message that it follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Who said it.
    pub role: Role,
    /// What was said.
    pub text: String,
    /// The reasoning before it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reasoning: String,
    /// The model that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// When it was sent or asked for.
    pub created_at: i64,
    /// What it cost, when the provider told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// How long it took, once it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timing: Option<Timing>,
    /// How far it has come. A question is always done.
    pub state: MessageState,
    /// Whether the end of it exists only in the server's memory, since it could not be saved.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub could_not_be_saved: bool,
}

/// How far a message has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageState {
    /// It is being made.
    Streaming {
        /// The id by which it is followed and stopped.
        generation: String,
        /// The number of the last event that is part of the text here.
        last_seq: u64,
    },
    /// It ended without an error.
    Done {
        /// Why it ended.
        finish: Finish,
    },
    /// It failed; what is there of it is valid.
    Error(ReplyError),
    /// The server stopped in the middle of it.
    Interrupted,
}

/// How long a reply took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// From the question to the first piece of reasoning or text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_token_ms: Option<u64>,
    /// From the question to the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// From the first piece of reasoning to the first piece of text, or to the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thinking_ms: Option<u64>,
}

/// What a search found, the newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchHits {
    /// The places that were found.
    pub hits: Vec<SearchHit>,
}

/// A place that a search found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchHit {
    /// The id of the conversation.
    pub conversation: String,
    /// Its title.
    pub title: String,
    /// The message that holds the words; without it the title does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The words with what is around them.
    pub snippet: Vec<SnippetPart>,
}

/// A piece of a snippet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnippetPart {
    /// The text of it.
    pub text: String,
    /// Whether it is what was looked for.
    pub marked: bool,
}

/// An event of the stream at [`CHANGES_PATH`], named `changed`, `removed` or `reload`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A conversation is new, or something in its summary is.
    Changed(ConversationSummary),
    /// A conversation was deleted.
    Removed(String),
    /// Changes were missed: the list is to be read again.
    Reload,
}

/// Data of a `removed` event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// The id of the conversation.
    pub id: String,
}

impl Change {
    /// Reads a change from the name and the data of a Server-Sent Event. `None` for a name that this
    /// version does not know.
    ///
    /// # Errors
    /// When the data is not the JSON that the name promises.
    pub fn from_sse(name: &str, data: &str) -> Result<Option<Self>, serde_json::Error> {
        Ok(Some(match name {
            "changed" => Self::Changed(serde_json::from_str(data)?),
            "removed" => Self::Removed(serde_json::from_str::<Removed>(data)?.id),
            "reload" => Self::Reload,
            _ => return Ok(None),
        }))
    }
}

/// What the server puts into a page that it renders, so that the first picture is whole.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct InitialData {
    /// The head of the list.
    pub list: ConversationList,
    /// The conversation at this address; none at `/`, or where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<ConversationDetail>,
}

/// What an import did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportReport {
    /// Conversations that were added.
    pub conversations: u64,
    /// Messages in them.
    pub messages: u64,
    /// Conversations and parts of them that were left out, and why.
    pub skipped: Vec<Skipped>,
    /// How many more were left out than `skipped` names.
    #[serde(default)]
    pub more_skipped: u64,
}

/// Something that an import left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// The title of the conversation, or its place in the file.
    pub what: String,
    /// A sentence for a person.
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
