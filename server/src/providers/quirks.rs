//! The differences of a server from the API that it offers, learnt from its errors.
//!
//! A server refuses a field of a request with one of many error messages. The request is then repeated without
//! that field, or with another form of it. Only fields that were sent are left out, each once, so the process
//! ends.

use app::protocol::{ChatRequest, ErrorKind, Role};

use crate::providers::api::Api;
use crate::providers::error::body::ProviderError;

/// An optional field of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Optional {
    /// The request for a stream. Without it the answer comes in one piece.
    Stream,
    /// Chat Completions: the request for token counts at the end of a stream.
    StreamOptions,
    /// The temperature.
    Temperature,
    /// The effort for reasoning.
    ReasoningEffort,
    /// The token limit.
    Limit,
    /// The system role. Without it the instructions precede the first question.
    SystemRole,
    /// Responses: the request for a summary of the reasoning.
    ReasoningSummary,
    /// Responses: the request to store nothing.
    Store,
    /// The cache marks. Without them each message is a plain text.
    CacheMarks,
    /// A lifetime of cache marks other than the default.
    CacheLifetime,
    /// The cache key of a conversation.
    CacheKey,
}

/// The differences of a server or model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quirks {
    /// The fields that are left out, one bit each.
    pub(super) left_out: u16,
    /// Chat Completions: whether the token limit is called `max_completion_tokens`, as newer models of OpenAI
    /// require.
    pub max_completion_tokens: bool,
    /// Messages: the form of the request for thinking.
    pub thinking: Thinking,
    /// The largest token limit that the model allows, if its error said so.
    pub most_tokens: Option<u32>,
}

/// The form of the request for thinking in the Messages API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thinking {
    /// By an effort: newer models decide themselves how long they think.
    Adaptive,
    /// By a number of tokens.
    Budget,
    /// No thinking.
    Never,
}

impl Default for Quirks {
    fn default() -> Self {
        Self {
            left_out: 0,
            max_completion_tokens: false,
            thinking: Thinking::Adaptive,
            most_tokens: None,
        }
    }
}

impl Quirks {
    /// Whether a field may be sent.
    #[must_use]
    pub fn sends(self, field: Optional) -> bool {
        self.left_out & (1 << field as u16) == 0
    }

    /// The same quirks without a field.
    #[must_use]
    pub fn without(self, field: Optional) -> Self {
        Self {
            left_out: self.left_out | (1 << field as u16),
            ..self
        }
    }

    /// The token limit to send.
    #[must_use]
    pub fn limit(self, requested: Option<u32>) -> Option<u32> {
        requested
            .filter(|_| self.sends(Optional::Limit))
            .map(|requested| requested.min(self.most_tokens.unwrap_or(u32::MAX)))
    }

    /// The same quirks, without the fields that the other leaves out.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            left_out: self.left_out | other.left_out,
            ..self
        }
    }

    /// The quirks that hold for all models of a server: fields that the server itself refuses.
    #[must_use]
    pub fn of_server(self) -> Self {
        let mut of_server = Self::default();
        for field in [Optional::StreamOptions, Optional::Store, Optional::CacheKey] {
            if !self.sends(field) {
                of_server = of_server.without(field);
            }
        }
        of_server
    }

    /// The quirks for the next attempt after this error, if it was about a field that can be left out or sent
    /// in another form.
    #[must_use]
    pub fn learn(
        self,
        api: Api,
        prompt: &ChatRequest,
        status: u16,
        error: &ProviderError,
    ) -> Option<Self> {
        // Some servers fail on an unknown field with 500.
        let is_refusal = match status {
            400 | 406 | 415 | 422 => true,
            500 | 501 => REFUSING.iter().any(|words| error.mentions(words)),
            _ => false,
        };
        if !is_refusal {
            return None;
        }
        if let Some(learnt) = self.learn_limit(api, prompt, error) {
            return Some(learnt);
        }
        let class = error.classify(Some(status));
        if !matches!(class, ErrorKind::BadRequest | ErrorKind::UpstreamError) {
            return None;
        }
        let refused = self
            .sent(api, prompt)
            .find(|field| field.is_refused_by(api, error));
        if let Some(field) = refused {
            return Some(self.without(field));
        }
        if api != Api::Messages || prompt.reasoning_effort.is_none() {
            return None;
        }
        let about_thinking = ["thinking", "effort", "output_config"]
            .into_iter()
            .any(|word| error.refuses(word));
        let thinking = match self.thinking {
            Thinking::Adaptive => Thinking::Budget,
            Thinking::Budget | Thinking::Never => Thinking::Never,
        };
        (about_thinking && thinking != self.thinking).then_some(Self { thinking, ..self })
    }

    /// The optional fields in a request, longer names first.
    fn sent(self, api: Api, prompt: &ChatRequest) -> impl Iterator<Item = Optional> {
        let has_effort = prompt.reasoning_effort.is_some();
        let has_system = prompt
            .messages
            .iter()
            .any(|message| message.role == Role::System);
        let is = |wanted| api == wanted;
        [
            (Optional::StreamOptions, is(Api::ChatCompletions)),
            (Optional::ReasoningSummary, is(Api::Responses)),
            (Optional::ReasoningEffort, has_effort && !is(Api::Messages)),
            (Optional::Temperature, prompt.temperature.is_some()),
            (Optional::SystemRole, has_system && !is(Api::Messages)),
            (Optional::Store, is(Api::Responses)),
            // Leaving these out changes nothing if they were not sent, and the error is returned.
            (Optional::CacheKey, !is(Api::Messages)),
            (Optional::CacheLifetime, !is(Api::Responses)),
            (Optional::CacheMarks, !is(Api::Responses)),
            (Optional::Stream, true),
        ]
        .into_iter()
        .filter(move |(field, is_sent)| *is_sent && self.sends(*field))
        .map(|(field, _)| field)
    }

    /// The quirks after a refused token limit: another name for it, a lower limit, or none.
    fn learn_limit(self, api: Api, prompt: &ChatRequest, error: &ProviderError) -> Option<Self> {
        let names = ["max_tokens", "max_completion_tokens", "max_output_tokens"];
        if !names.iter().any(|name| error.refuses(name)) {
            return None;
        }
        if let Some(most) = error.most_tokens()
            && self.most_tokens.is_none_or(|known| most < known)
        {
            return Some(Self {
                most_tokens: Some(most),
                ..self
            });
        }
        // Only Messages always has a limit and requires one.
        if api == Api::Messages || self.limit(prompt.max_tokens).is_none() {
            return None;
        }
        if api == Api::ChatCompletions
            && !self.max_completion_tokens
            && error.mentions("max_completion_tokens")
            && !error.mentions("too large")
        {
            return Some(Self {
                max_completion_tokens: true,
                ..self
            });
        }
        Some(self.without(Optional::Limit))
    }
}

/// Words of servers that do not know a field, in lower case.
const REFUSING: &[&str] = &[
    "unexpected",
    "unknown",
    "unrecognized",
    "unsupported",
    "not supported",
    "not support",
    "not permitted",
    "not allowed",
    "invalid",
];

impl Optional {
    /// Whether an error is about this field, in any form of its name.
    fn is_refused_by(self, api: Api, error: &ProviderError) -> bool {
        let any = |names: &[&str]| names.iter().any(|name| error.refuses(name));
        match self {
            Self::StreamOptions => any(&["stream_options", "include_usage"]),
            Self::ReasoningSummary => {
                any(&["reasoning.summary", "reasoning summar"])
                    || (api == Api::Responses && any(&["'reasoning'", "\"reasoning\""]))
                    || error.is_about("reasoning")
            }
            Self::ReasoningEffort => {
                any(&["reasoning_effort", "reasoning.effort", "reasoning effort"])
            }
            Self::Temperature => any(&["temperature"]),
            Self::Store => error.is_about("store") || any(&["'store'", "\"store\"", "`store`"]),
            Self::SystemRole => {
                let names_role =
                    error.mentions("role") && any(&["'system'", "\"system\"", "`system`"]);
                names_role || any(&["system role", "system message", "developer instruction"])
            }
            Self::CacheKey => any(&["prompt_cache_key"]),
            Self::CacheLifetime => {
                any(&["ephemeral.ttl", "'ttl'", "\"ttl\"", "`ttl`", "cache-ttl"])
            }
            Self::CacheMarks => {
                // A server without support for blocks requires a string.
                let wants_text = [
                    "valid string",
                    "a string",
                    "expected string",
                    "of type string",
                    "type: sequence",
                ];
                let names_text = error.mentions("content") || error.mentions("system");
                any(&["cache_control"]) || (names_text && any(&wants_text))
            }
            Self::Stream => {
                error.is_about("stream")
                    || any(&[
                        "'stream'",
                        "\"stream\"",
                        "verified to stream",
                        "streaming is not",
                        "not support stream",
                        "stream is not supported",
                    ])
            }
            Self::Limit => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use app::protocol::{ChatMessage, ReasoningEffort};

    fn error(text: &str) -> ProviderError {
        ProviderError::from_body(text.as_bytes()).expect("an error")
    }

    fn saying(message: &str) -> ProviderError {
        error(&serde_json::json!({ "error": { "message": message } }).to_string())
    }

    /// A request in which everything is set.
    fn full() -> ChatRequest {
        let say = |role, content: &str| ChatMessage {
            role,
            content: content.into(),
        };
        ChatRequest {
            temperature: Some(0.5),
            max_tokens: Some(9000),
            reasoning_effort: Some(ReasoningEffort::Low),
            ..ChatRequest::new(vec![say(Role::System, "s"), say(Role::User, "q")])
        }
    }

    const CHAT: Api = Api::ChatCompletions;

    #[test]
    fn each_step_is_taken_once() {
        let check = |api, error: &ProviderError, steps: &[Quirks]| {
            let mut quirks = Quirks::default();
            for step in steps {
                quirks = quirks.learn(api, &full(), 400, error).expect("a step");
                assert_eq!(quirks, *step, "{error:?}");
            }
            assert_eq!(quirks.learn(api, &full(), 400, error), None, "{error:?}");
            assert_eq!(Quirks::default().learn(api, &full(), 503, error), None);
        };
        let first = Quirks::default();
        check(
            CHAT,
            &saying("Unknown field: stream_options"),
            &[first.without(Optional::StreamOptions)],
        );
        let renamed = Quirks {
            max_completion_tokens: true,
            ..first
        };
        check(
            CHAT,
            &error(
                r#"{"error":{"param":"max_tokens","message":"Use 'max_completion_tokens' instead."}}"#,
            ),
            &[renamed, renamed.without(Optional::Limit)],
        );
        for message in [
            "Unsupported parameter: 'reasoning.summary' is not supported with this model.",
            "Your organization must be verified to generate reasoning summaries.",
        ] {
            check(
                Api::Responses,
                &saying(message),
                &[first.without(Optional::ReasoningSummary)],
            );
        }
        check(
            Api::Messages,
            &saying(
                "max_tokens: 32000 > 8192, which is the maximum allowed number of output tokens for m",
            ),
            &[Quirks {
                most_tokens: Some(8192),
                ..first
            }],
        );
        check(
            Api::Messages,
            &saying("adaptive thinking is not supported on this model"),
            &[
                Quirks {
                    thinking: Thinking::Budget,
                    ..first
                },
                Quirks {
                    thinking: Thinking::Never,
                    ..first
                },
            ],
        );
        check(
            CHAT,
            &saying("messages: at least one message is required"),
            &[],
        );
    }

    /// How servers refuse a field, and the field.
    const REFUSALS: &[(&str, Optional)] = &[
        // OpenAI.
        (
            r#"{"error":{"message":"Unsupported value: 'temperature' does not support 0.5 with this model. Only the default (1) value is supported.","param":"temperature","code":"unsupported_value"}}"#,
            Optional::Temperature,
        ),
        (
            r#"{"error":{"message":"Unrecognized request argument supplied: reasoning_effort","type":"invalid_request_error"}}"#,
            Optional::ReasoningEffort,
        ),
        (
            r#"{"error":{"message":"Your organization must be verified to stream this model.","param":"stream","code":"unsupported_value"}}"#,
            Optional::Stream,
        ),
        (
            r#"{"error":{"message":"Unsupported value: 'messages[0].role' does not support 'system' with this model."}}"#,
            Optional::SystemRole,
        ),
        // Gemini.
        (
            r#"[{"error":{"code":400,"message":"Invalid JSON payload received. Unknown name \"reasoning_effort\": Cannot find field.","status":"INVALID_ARGUMENT"}}]"#,
            Optional::ReasoningEffort,
        ),
        (
            r#"[{"error":{"code":400,"message":"Developer instruction is not enabled for models/gemma-3-27b-it"}}]"#,
            Optional::SystemRole,
        ),
        // Groq, Go, FastAPI, pydantic as text, Jinja.
        (
            r#"{"error":{"message":"property 'stream_options' is unsupported"}}"#,
            Optional::StreamOptions,
        ),
        (
            r#"{"error":"json: unknown field \"temperature\""}"#,
            Optional::Temperature,
        ),
        (
            r#"{"detail":[{"loc":["body","reasoning_effort"],"msg":"extra fields not permitted","type":"value_error.extra"}]}"#,
            Optional::ReasoningEffort,
        ),
        (
            r#"{"detail":"1 validation error: stream_options Extra inputs are not permitted"}"#,
            Optional::StreamOptions,
        ),
        (
            r#"{"error":{"message":"System role not supported","type":"BadRequestError"}}"#,
            Optional::SystemRole,
        ),
        (
            "Additional properties are not allowed ('stream_options' was unexpected)",
            Optional::StreamOptions,
        ),
        // The limit, refused by its name or its size.
        (
            r#"{"error":{"message":"Unknown parameter: 'max_tokens'"}}"#,
            Optional::Limit,
        ),
        (
            r#"{"object":"error","message":"'max_tokens' or 'max_completion_tokens' is too large: 9000. This model's maximum context length is 8192 tokens and your request has 10 input tokens","code":400}"#,
            Optional::Limit,
        ),
    ];

    #[test]
    fn a_field_is_left_out_however_a_server_refuses_it() {
        let check = |api, status, body: &str, field| {
            let learnt = Quirks::default().learn(api, &full(), status, &error(body));
            assert_eq!(learnt, Some(Quirks::default().without(field)), "{body}");
        };
        for (body, field) in REFUSALS {
            check(CHAT, 400, body, *field);
            check(CHAT, 422, body, *field);
        }
        check(
            CHAT,
            500,
            r#"{"error":"create() got an unexpected keyword argument 'stream_options'"}"#,
            Optional::StreamOptions,
        );
        check(
            Api::Responses,
            400,
            r#"{"error":{"param":"reasoning","message":"Reasoning is not supported"}}"#,
            Optional::ReasoningSummary,
        );
    }

    #[test]
    fn a_limit_that_is_too_high_is_lowered_to_what_the_model_allows() {
        let check = |message: &str, most| {
            let learnt = Quirks::default().learn(CHAT, &full(), 400, &saying(message));
            assert_eq!(
                learnt.and_then(|learnt| learnt.limit(Some(9000))),
                most,
                "{message}"
            );
        };
        check(
            "max_tokens is too large: 9000. This model supports at most 4096 completion tokens, whereas you provided 9000.",
            Some(4096),
        );
        check(
            "Invalid max_tokens value, the valid range of max_tokens is [1, 8192]",
            Some(8192),
        );
        check("Range of max_tokens should be [1, 2048]", Some(2048));
        check(
            "`max_tokens` must be less than or equal to `1024`, the maximum value for `max_tokens` is less than the `context_window` for this model",
            Some(1024),
        );
    }

    #[test]
    fn what_is_about_something_else_changes_nothing() {
        let check = |status, message: &str| {
            let learnt = Quirks::default().learn(CHAT, &full(), status, &saying(message));
            assert_eq!(learnt, None, "{message}");
        };
        check(401, "temperature");
        check(429, "Rate limit reached: stream_options");
        check(500, "The server had an error at temperature 80 °C");
        check(
            400,
            "This model's maximum context length is 8 tokens; temperature was 0.5",
        );
        check(400, "insufficient balance for stream_options");
        let plain = ChatRequest::new(vec![ChatMessage {
            role: Role::User,
            content: "q".into(),
        }]);
        // Not in this request at all.
        let error = saying("Unsupported parameter: 'temperature'");
        assert_eq!(Quirks::default().learn(CHAT, &plain, 400, &error), None);
    }
}
