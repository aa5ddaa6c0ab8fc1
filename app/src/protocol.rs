//! The types of the wire between browser and server: the chat request, the events of a reply, errors, paths.
//!
//! A type is serializable here, and only here, because it crosses that wire. The types of upstream providers are
//! private to their modules in the server. The contract itself is in `docs/protocol.md`.

mod error;
mod id;
mod preset;
pub mod saved;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

pub use self::error::{
    ErrorBody, ErrorKind, FILTERED_REQUEST, NOT_AN_IMAGE_ADDRESS, NOT_THE_SERVER, Refusal,
    ReplyError, Retry, UNREADABLE_STREAM,
};
pub use self::id::Id;
pub use self::preset::{ChatSettings, LONGEST_PRESET_NAME, Preset};

/// The path to which a chat request is posted.
pub const CHAT_PATH: &str = "/api/chat";

/// The path of the list of models.
pub const MODELS_PATH: &str = "/api/models";

/// The path of a document that shows the image at the URL `src`, for an iframe of the page.
pub const IMAGE_PATH: &str = "/image";

/// The path of a document that draws a diagram, for an iframe of the page.
pub const DIAGRAM_PAGE: &str = "/diagram/page.html";

/// The largest request body that the server reads, in bytes.
pub const MAX_REQUEST_BYTES: usize = 1024 * 1024;

/// The media type of a Server-Sent Events stream.
pub const EVENT_STREAM: &str = "text/event-stream";

/// A chat request: the whole conversation so far, the newest message last.
///
/// Unknown fields are rejected, so that none reaches an upstream unnoticed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChatRequest {
    /// The conversation, oldest message first. Never empty.
    pub messages: Vec<ChatMessage>,
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
    /// The role of the message.
    pub role: Role,
    /// The text, plain or Markdown.
    pub content: String,
}

/// The role of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The system prompt.
    System,
    /// The user.
    User,
    /// The model.
    Assistant,
}

/// How long a reasoning model may think before it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasoningEffort {
    /// Low.
    Low,
    /// The model's default.
    Medium,
    /// High.
    High,
}

/// One event of a reply.
///
/// A reply is `Start`, then any number of `Text`, `Reasoning`, `Usage` and `Notice`, then exactly one
/// terminal event, `Done` or `Error`. A stream that ends without one was cut off. A second `Start` means
/// that the reply restarts from its beginning.
#[derive(Debug, Clone, PartialEq)]
pub enum ChatEvent<'a> {
    /// The request was accepted; the upstream has not answered yet.
    Start(Start),
    /// A piece of the answer, to be appended.
    Text(Cow<'a, str>),
    /// A piece of the model's reasoning, separate from the answer.
    Reasoning(Cow<'a, str>),
    /// The token counts, if the upstream reports them.
    Usage(Usage),
    /// The upstream could not answer yet, and the request is repeated after a pause. The event is transient: it is a
    /// comment of the stream and not part of the reply.
    Retrying(Retrying),
    /// Another model than `Start` named answers, because that model's upstream is down or overloaded. It is sent as a
    /// comment at once, and by `done` at the end.
    Model(Cow<'a, str>),
    /// A problem beside the reply, which continues.
    Notice(Notice),
    /// Terminal: the reply is complete, or was stopped.
    Done(Finish),
    /// Terminal: the reply failed. Text before it stays valid.
    Error(ReplyError),
}

impl ChatEvent<'_> {
    /// Whether this event ends the reply.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Done(_) | Self::Error(_))
    }

    /// Parses an event from the name and the data of a Server-Sent Event. `None` for a name that
    /// this version does not know, which a reader ignores.
    ///
    /// # Errors
    /// If the data is not the JSON that belongs to the name.
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

    /// Parses a comment of our stream. Other readers of Server-Sent Events ignore comments.
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
    /// The time until the request is repeated, in milliseconds.
    pub in_ms: u64,
}

/// Data of the `start` event.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// The id of the generation. It cannot be guessed.
    pub generation: String,
    /// The requested model.
    pub model: String,
    /// The id of the conversation, if it is saved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<String>,
    /// The id of the saved message that the reply answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_message: Option<String>,
    /// The id of the saved message that the reply is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Data of the `notice` event: a problem beside the reply, which continues.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// The kind of problem, for programs: [`ErrorKind::NotSaved`].
    pub kind: ErrorKind,
    /// A sentence of ours for the user.
    pub message: String,
}

/// Data of the `usage` event: token counts. Those that the upstream does not report are left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_tokens: Option<u64>,
    /// Tokens of the reply, including reasoning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_tokens: Option<u64>,
    /// Reasoning tokens of the reply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_tokens: Option<u64>,
    /// Tokens of the request that the provider read from its cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_tokens: Option<u64>,
    /// Tokens of the request that the provider wrote to its cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_tokens: Option<u64>,
}

/// Data of the `done` event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Why the reply ended.
    pub finish: Finish,
    /// The model that answered, if it is not the one that `start` named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

/// Why a reply ended without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// The model finished.
    Stop,
    /// The limit of tokens was reached.
    Length,
    /// The provider's content filter ended the reply.
    ContentFilter,
    /// The model refused to answer; the text is the refusal.
    Refusal,
    /// The model requested a tool.
    ToolCalls,
    /// The user stopped the reply.
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

/// The models that can be chosen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelList {
    /// The default model.
    pub default: String,
    /// All models, upstream by upstream.
    pub models: Vec<ModelChoice>,
}

/// A model that can be chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelChoice {
    /// The name of the model in a request.
    pub id: String,
    /// The upstream that serves the model.
    pub upstream: String,
    /// The number of tokens that the model can read, if the upstream says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<u64>,
    /// Whether the upstream says that the model sees images.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub images: bool,
}

/// A suggestion for a first message.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suggestion {
    /// A few words.
    pub title: String,
    /// What it does, in a line.
    #[serde(default)]
    pub detail: String,
    /// The message that is sent.
    pub prompt: String,
}

/// Facts about the server that the page needs, rendered into it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PageInfo {
    /// The default model.
    pub model: String,
    /// Whether the built-in demo answers, because no upstream is configured.
    pub demo: bool,
    /// Whether conversations are kept in memory only, because no folder for them could be created.
    pub unsaved: bool,
    /// The path below which the server is, as `/chat`; empty where it has the whole host.
    pub base: String,
    /// Who is signed in: the name, or else the email. Empty where nobody signs in.
    pub person: String,
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
    fn transient_events_are_read_from_comments() {
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
