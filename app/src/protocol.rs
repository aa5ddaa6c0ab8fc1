//! All that crosses the wire between browser and server: the chat request, the events of a reply,
//! errors, paths.
//!
//! A type is serializable here, and only here, because it crosses that wire. What an upstream
//! provider sends and wants is not described here: those types stay private to its file in the
//! server. The contract itself, with its prose, is `docs/protocol.md`.

mod error;
mod id;
pub mod saved;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

pub use self::error::{
    ErrorBody, ErrorKind, FILTERED_REQUEST, NOT_AN_IMAGE_ADDRESS, NOT_THE_SERVER, Refusal,
    ReplyError, Retry, UNREADABLE_STREAM,
};
pub use self::id::Id;

/// Where a chat request is posted.
pub const CHAT_PATH: &str = "/api/chat";

/// Where the models are listed that can be chosen.
pub const MODELS_PATH: &str = "/api/models";

/// The document that shows the picture at the address `src`, for a frame of the page.
pub const IMAGE_PATH: &str = "/image";

/// The document that draws a diagram, for a frame of the page.
pub const DIAGRAM_PAGE: &str = "/diagram/page.html";

/// The largest request body that the server reads, in bytes.
pub const MAX_REQUEST_BYTES: usize = 1024 * 1024;

/// The media type of a Server-Sent Events stream.
pub const EVENT_STREAM: &str = "text/event-stream";

/// One question to the model: the whole conversation so far, the newest message last.
///
/// Unknown fields are refused, so that none reaches an upstream unnoticed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChatRequest {
    /// The conversation, oldest message first. Never empty.
    pub messages: Vec<ChatMessage>,
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
}

impl ChatRequest {
    /// A request with the server's defaults for everything but the messages.
    #[must_use]
    pub fn new(messages: Vec<ChatMessage>) -> Self {
        Self {
            messages,
            model: None,
            temperature: None,
            max_tokens: None,
            reasoning_effort: None,
        }
    }
}

/// One message of the conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChatMessage {
    /// Who said it.
    pub role: Role,
    /// What was said, as plain text or Markdown source.
    pub content: String,
}

/// Who said a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Instructions that frame the conversation.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
}

/// How long a reasoning model may think before it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasoningEffort {
    /// Briefly.
    Low,
    /// As long as the model's default.
    Medium,
    /// Long.
    High,
}

/// One event of a reply.
///
/// A reply is `Start`, then any number of `Text`, `Reasoning`, `Usage` and `Notice`, then exactly one
/// terminal event, `Done` or `Error`. A stream that ends without one was cut. A second `Start` means
/// that the reply is told again from its beginning.
#[derive(Debug, Clone, PartialEq)]
pub enum ChatEvent<'a> {
    /// The request was accepted; the upstream has not answered yet.
    Start(Start),
    /// A piece of the answer, to append.
    Text(Cow<'a, str>),
    /// A piece of the model's reasoning, shown apart from the answer.
    Reasoning(Cow<'a, str>),
    /// What the reply cost, when the upstream tells.
    Usage(Usage),
    /// The upstream could not answer yet and is asked again after a pause. It is told in passing, as
    /// a comment of the stream, and is no part of the reply.
    Retrying(Retrying),
    /// Another model answers than the start said, since that one's upstream is down or overloaded. It
    /// is told as a comment at once, and by `done` in the end.
    Model(Cow<'a, str>),
    /// Something that the person should know while the reply goes on.
    Notice(Notice),
    /// Terminal: the reply ended by itself or by a stop.
    Done(Finish),
    /// Terminal: the reply failed. Text that came before stays valid.
    Error(ReplyError),
}

impl ChatEvent<'_> {
    /// Whether this event ends the reply.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Done(_) | Self::Error(_))
    }

    /// Reads an event from the name and the data of a Server-Sent Event. `None` for a name that
    /// this version does not know, which a reader ignores.
    ///
    /// # Errors
    /// When the data is not the JSON that the name promises.
    pub fn from_sse(
        name: &str,
        data: &str,
    ) -> Result<Option<ChatEvent<'static>>, serde_json::Error> {
        Ok(Some(match name {
            "message" => ChatEvent::Text(Cow::Owned(serde_json::from_str(data)?)),
            "reasoning" => ChatEvent::Reasoning(Cow::Owned(serde_json::from_str(data)?)),
            "start" => ChatEvent::Start(serde_json::from_str(data)?),
            "usage" => ChatEvent::Usage(serde_json::from_str(data)?),
            "notice" => ChatEvent::Notice(serde_json::from_str(data)?),
            "done" => ChatEvent::Done(serde_json::from_str::<Done>(data)?.finish),
            "error" => ChatEvent::Error(serde_json::from_str(data)?),
            _ => return Ok(None),
        }))
    }

    /// Reads what our stream tells in a comment, which readers of plain Server-Sent Events pass over.
    #[must_use]
    pub fn from_comment(comment: &str) -> Option<ChatEvent<'static>> {
        let (name, data) = comment.split_once(' ')?;
        match name {
            "retry" => serde_json::from_str(data).ok().map(ChatEvent::Retrying),
            "model" => serde_json::from_str(data)
                .ok()
                .map(|model| ChatEvent::Model(Cow::Owned(model))),
            _ => None,
        }
    }
}

/// Data of the comment `retry`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retrying {
    /// How long until the upstream is asked again, in milliseconds.
    pub in_ms: u64,
}

/// Data of the `start` event.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// The id of this reply, unguessable.
    pub generation: String,
    /// The model that was asked.
    pub model: String,
    /// The saved conversation that it belongs to, if it is saved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<String>,
    /// The saved message that it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_message: Option<String>,
    /// The saved message that it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Data of the `notice` event: something that went wrong beside the reply, which goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// What it is about, for programs: [`ErrorKind::NotSaved`].
    pub kind: ErrorKind,
    /// A sentence of ours for a person.
    pub message: String,
}

/// Data of the `usage` event: token counts, left out where the upstream does not tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the conversation that was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_tokens: Option<u64>,
    /// Tokens of the reply, reasoning included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_tokens: Option<u64>,
    /// Tokens of the reply that were spent on reasoning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_tokens: Option<u64>,
    /// Tokens of the conversation that the provider had in its cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_tokens: Option<u64>,
    /// Tokens of the conversation that the provider put into its cache for the next request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_tokens: Option<u64>,
}

/// Data of the `done` event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Why the reply ended.
    pub finish: Finish,
    /// The model that answered, where it is another one than the start said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

/// Why a reply ended without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// The model had said all.
    Stop,
    /// The limit of tokens was reached.
    Length,
    /// The provider's filter cut it off.
    ContentFilter,
    /// The model refused to answer; the refusal is the text.
    Refusal,
    /// The model asked for a tool.
    ToolCalls,
    /// The person stopped it.
    Stopped,
}

impl Finish {
    /// The name on the wire and in the log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ContentFilter => "content_filter",
            Self::Refusal => "refusal",
            Self::ToolCalls => "tool_calls",
            Self::Stopped => "stopped",
        }
    }
}

/// The models that can be asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelList {
    /// The one that answers when none is chosen.
    pub default: String,
    /// All of them, upstream by upstream.
    pub models: Vec<ModelChoice>,
}

/// A model that can be chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelChoice {
    /// Its name in a request.
    pub id: String,
    /// The upstream that has it.
    pub upstream: String,
}

/// What the server tells the page about itself when it renders it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PageInfo {
    /// The model that answers when none is chosen.
    pub model: String,
    /// Whether the embedded demo answers, since no upstream is configured.
    pub demo: bool,
    /// Whether conversations are kept in memory only, since no folder for them could be made.
    pub unsaved: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn check(name: &str, data: &str, expect: Option<ChatEvent<'static>>) {
        assert_eq!(
            ChatEvent::from_sse(name, data).expect("valid data"),
            expect,
            "{name} {data}"
        );
    }

    #[test]
    fn events_are_read_from_their_name_and_json() {
        check("message", r#""a\nb""#, Some(ChatEvent::Text("a\nb".into())));
        check(
            "reasoning",
            r#""hm""#,
            Some(ChatEvent::Reasoning("hm".into())),
        );
        check(
            "done",
            r#"{"finish":"content_filter"}"#,
            Some(ChatEvent::Done(Finish::ContentFilter)),
        );
        check(
            "usage",
            r#"{"prompt_tokens":3}"#,
            Some(ChatEvent::Usage(Usage {
                prompt_tokens: Some(3),
                ..Usage::default()
            })),
        );
        check(
            "error",
            r#"{"kind":"brand_new","message":"m","retryable":true}"#,
            Some(ChatEvent::Error(ReplyError {
                kind: ErrorKind::Unknown,
                message: "m".into(),
                retryable: true,
                retry_after_ms: None,
            })),
        );
    }

    #[test]
    fn an_unknown_event_is_ignored_and_bad_data_is_an_error() {
        check("execute", "{}", None);
        assert!(ChatEvent::from_sse("message", "not json").is_err());
        let deep = "[".repeat(200_000);
        assert!(ChatEvent::from_sse("start", &deep).is_err());
    }

    #[test]
    fn what_is_told_in_passing_is_read_from_comments() {
        let check = |comment: &str, expect| {
            assert_eq!(ChatEvent::from_comment(comment), expect, "{comment}");
        };
        check(
            r#"retry {"in_ms":500}"#,
            Some(ChatEvent::Retrying(Retrying { in_ms: 500 })),
        );
        check(r#"model "a\"b""#, Some(ChatEvent::Model("a\"b".into())));
        for other in ["ping", "", "retry", "retry soon", "model x", "done {}"] {
            check(other, None);
        }
    }

    #[test]
    fn a_request_with_an_unknown_field_is_refused() {
        let body = r#"{"messages":[],"base_url":"http://evil.test"}"#;
        let error = serde_json::from_str::<ChatRequest>(body)
            .expect_err("unknown field")
            .to_string();
        assert!(error.contains("base_url"), "{error}");
    }

    #[test]
    fn the_name_of_a_kind_is_its_name_on_the_wire() {
        for kind in [
            ErrorKind::UpstreamTimeoutFirstByte,
            ErrorKind::TooLarge,
            ErrorKind::Auth,
        ] {
            assert_eq!(serde_json::to_value(kind).expect("a string"), kind.as_str());
        }
        for finish in [
            Finish::Stop,
            Finish::ContentFilter,
            Finish::ToolCalls,
            Finish::Stopped,
        ] {
            assert_eq!(
                serde_json::to_value(finish).expect("a string"),
                finish.as_str()
            );
        }
    }
}
