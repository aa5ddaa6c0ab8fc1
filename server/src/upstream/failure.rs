//! What went wrong at a provider, and what kind of error that is: the one place where statuses,
//! codes and messages of providers are read.
//!
//! Nothing of a provider's words leaves this module: they can hold parts of keys, addresses and
//! prompts. What goes on is a kind, and for the log a code of few letters.

use std::borrow::Cow;
use std::time::Duration;

use app::protocol::{ErrorKind, ReplyError};
use app::wording;
use serde::Deserialize;

/// A request or a stream that failed.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// What it is for programs and people.
    pub kind: ErrorKind,
    /// Where it happened, which decides whether asking again can help.
    pub stage: Stage,
    /// Whether the relay may send the request again by itself.
    pub may_retry: bool,
    /// How long the provider asks to wait.
    pub retry_after: Option<Duration>,
    /// What explains the failure better than its kind, when the provider said so out of form.
    pub explanation: Option<ErrorKind>,
    /// For the log: a status, a code, an error of the network. Never words of a provider.
    pub cause: Cow<'static, str>,
}

/// How far a request had come when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The provider answered with an HTTP error, or not at all.
    Request,
    /// The provider had accepted the request.
    Stream,
}

impl Failure {
    /// A failure of the request that nobody should repeat unseen.
    pub fn request(kind: ErrorKind, cause: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            stage: Stage::Request,
            may_retry: false,
            retry_after: None,
            explanation: None,
            cause: cause.into(),
        }
    }

    /// A failure after the provider had accepted the request.
    pub fn stream(kind: ErrorKind, cause: impl Into<Cow<'static, str>>) -> Self {
        Self {
            stage: Stage::Stream,
            ..Self::request(kind, cause)
        }
    }

    /// The words for the person.
    pub fn to_error(&self) -> ReplyError {
        ReplyError {
            kind: self.kind,
            message: wording::error_sentence(self.explanation.unwrap_or(self.kind)).to_owned(),
            retryable: self.is_retryable(),
            retry_after_ms: self
                .retry_after
                .map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
        }
    }

    /// Whether a person who asks again can expect something else. What the provider refused at once
    /// only when the reason passes by itself; what fails in a stream may well pass the next time,
    /// unless somebody has to do something about the account first.
    fn is_retryable(&self) -> bool {
        match self.kind {
            ErrorKind::Auth | ErrorKind::Quota | ErrorKind::ModelNotFound => false,
            ErrorKind::BadRequest | ErrorKind::ContextLength | ErrorKind::UpstreamRedirect => {
                self.stage == Stage::Stream
            }
            _ => true,
        }
    }
}

/// The error object of a provider, in any of the forms in use: `{"error":{…}}`, `{"error":"text"}`,
/// `{"message":…,"code":…}`.
#[derive(Debug, Default, Clone)]
pub struct ProviderError {
    code: String,
    kind: String,
    message: String,
    param: String,
    status: Option<u16>,
}

impl ProviderError {
    /// Reads the body of a refused request, or any JSON that may hold an error.
    pub fn from_body(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body)
            .ok()
            .and_then(|value| Self::from_json(&value))
    }

    /// Reads the error out of a JSON object that has one, or is one.
    pub fn from_json(value: &serde_json::Value) -> Option<Self> {
        let value = match value {
            serde_json::Value::Array(list) => list.first()?,
            other => other,
        };
        match value.get("error") {
            Some(serde_json::Value::String(message)) => Some(Self {
                message: message.clone(),
                ..Self::default()
            }),
            Some(serde_json::Value::Object(_)) => Some(Self::from_object(&value["error"])),
            _ if value
                .get("message")
                .is_some_and(serde_json::Value::is_string) =>
            {
                Some(Self::from_object(value))
            }
            _ => None,
        }
    }

    fn from_object(object: &serde_json::Value) -> Self {
        let text = |name: &str| match object.get(name) {
            Some(serde_json::Value::String(text)) => text.to_ascii_lowercase(),
            Some(serde_json::Value::Number(number)) => number.to_string(),
            _ => String::new(),
        };
        let code = text("code");
        Self {
            status: code.parse().ok(),
            code,
            kind: text("type"),
            message: text("message"),
            param: text("param"),
        }
    }

    /// Whether the provider refuses this field of the request.
    pub fn refuses(&self, field: &str) -> bool {
        self.param.starts_with(field) || self.message.contains(field)
    }

    /// Whether the message names this.
    pub fn mentions(&self, words: &str) -> bool {
        self.message.contains(words)
    }

    /// The most tokens that a model can be allowed, where the provider refuses more and says so:
    /// `max_tokens: 32000 > 8192, which is the maximum allowed number of output tokens for …`.
    pub fn most_tokens(&self) -> Option<u32> {
        if !self
            .message
            .contains("maximum allowed number of output tokens")
        {
            return None;
        }
        let (_, after) = self.message.split_once("max_tokens")?.1.split_once('>')?;
        let number = after.trim_start();
        let end = number
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(number.len());
        number[..end].parse().ok()
    }

    /// The code for the log: only what cannot be anything but a code.
    pub fn code(&self) -> &str {
        let code = if self.code.is_empty() {
            &self.kind
        } else {
            &self.code
        };
        let plain =
            code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && code.len() <= 48;
        if plain && !code.starts_with("sk") {
            code
        } else {
            ""
        }
    }

    /// The kind of this error, with the HTTP status that it came with, if it came with one.
    ///
    /// The code decides before the status, and the words of the message last: several providers
    /// give a long conversation, for instance, a plain 400 that only its message explains.
    pub fn classify(&self, status: Option<u16>) -> ErrorKind {
        let either = |word: &str| self.code.contains(word) || self.kind.contains(word);
        let said = |words: &[&str]| words.iter().any(|w| self.message.contains(w));
        let status = status.filter(|status| *status >= 400).or(self.status);

        if either("context_length") || said(TOO_LONG) {
            ErrorKind::ContextLength
        } else if either("insufficient_quota")
            || either("billing")
            || either("credit")
            || said(&["insufficient credits", "credit balance"])
        {
            ErrorKind::Quota
        } else if either("overloaded") || either("slow_down") {
            ErrorKind::Overloaded
        } else if either("rate_limit") {
            ErrorKind::RateLimited
        } else if either("request_too_large") {
            ErrorKind::TooLarge
        } else if either("model_not_found") || (either("not_found_error") && said(&["model"])) {
            ErrorKind::ModelNotFound
        } else if either("invalid_api_key") || either("authentication") || either("permission") {
            ErrorKind::Auth
        } else {
            match status {
                Some(401 | 403) => ErrorKind::Auth,
                Some(402) => ErrorKind::Quota,
                Some(404) if said(&["model"]) => ErrorKind::ModelNotFound,
                Some(413) => ErrorKind::TooLarge,
                Some(429) => ErrorKind::RateLimited,
                Some(503 | 529) => ErrorKind::Overloaded,
                Some(408 | 409) => ErrorKind::UpstreamError,
                Some(400..=499) => ErrorKind::BadRequest,
                _ if either("invalid_request") || either("invalid_prompt") => ErrorKind::BadRequest,
                _ => ErrorKind::UpstreamError,
            }
        }
    }
}

/// What providers say of a conversation that is too long for the model, in lower case.
const TOO_LONG: &[&str] = &[
    "context length",
    "context_length",
    "context size",
    "context window",
    "maximum context",
    "prompt is too long",
    "too many tokens",
    "input is too long",
    "exceed context limit",
];

/// A code of llama.cpp's and other servers' plain `error: {…}` lines: JSON after a field name that
/// no parser of event streams knows.
pub fn error_in_raw_text(head: &[u8]) -> Option<ProviderError> {
    let text = String::from_utf8_lossy(head);
    let at = text.find("error").filter(|at| {
        text[..*at]
            .trim_matches(|c: char| "{\" \n\r".contains(c))
            .is_empty()
    })?;
    let json = &text[text[at..].find('{').map(|brace| at + brace)?..];
    let mut stream = serde_json::Deserializer::from_str(json);
    let value = serde_json::Value::deserialize(&mut stream).ok()?;
    ProviderError::from_json(&value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn errors_of_providers_are_told_apart() {
        let check = |status: u16, body: serde_json::Value, expect: ErrorKind| {
            let error = ProviderError::from_json(&body).unwrap_or_default();
            assert_eq!(
                error.classify(Some(status).filter(|s| *s > 0)),
                expect,
                "{status} {body}"
            );
        };
        check(
            401,
            json!({"error":{"code":"invalid_api_key"}}),
            ErrorKind::Auth,
        );
        check(
            403,
            json!({"error":{"type":"request_forbidden"}}),
            ErrorKind::Auth,
        );
        check(
            402,
            json!({"error":{"code":402,"message":"Insufficient credits"}}),
            ErrorKind::Quota,
        );
        check(
            429,
            json!({"error":{"code":"insufficient_quota"}}),
            ErrorKind::Quota,
        );
        check(
            429,
            json!({"error":{"code":"rate_limit_exceeded"}}),
            ErrorKind::RateLimited,
        );
        check(429, json!({}), ErrorKind::RateLimited);
        check(
            404,
            json!({"error":{"code":"model_not_found"}}),
            ErrorKind::ModelNotFound,
        );
        check(
            404,
            json!({"error":{"message":"model 'x' not found, try pulling it first"}}),
            ErrorKind::ModelNotFound,
        );
        check(404, json!({"detail":"Not Found"}), ErrorKind::BadRequest);
        check(
            400,
            json!({"error":{"code":"context_length_exceeded"}}),
            ErrorKind::ContextLength,
        );
        check(
            400,
            json!({"error":{"message":"This model's maximum context length is 9"}}),
            ErrorKind::ContextLength,
        );
        check(
            400,
            json!({"object":"error","message":"maximum context length is 9","code":400}),
            ErrorKind::ContextLength,
        );
        check(
            400,
            json!({"error":{"code":"unsupported_parameter"}}),
            ErrorKind::BadRequest,
        );
        check(
            500,
            json!({"error":{"type":"server_error"}}),
            ErrorKind::UpstreamError,
        );
        check(
            503,
            json!({"error":{"message":"Loading model"}}),
            ErrorKind::Overloaded,
        );
        check(
            529,
            json!({"error":{"type":"overloaded_error"}}),
            ErrorKind::Overloaded,
        );
        check(
            400,
            json!({"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the API"}}),
            ErrorKind::Quota,
        );
        check(
            400,
            json!({"error":{"type":"invalid_request_error","message":"input length and `max_tokens` exceed context limit: 1 + 2 > 2"}}),
            ErrorKind::ContextLength,
        );
        check(
            404,
            json!({"type":"error","error":{"type":"not_found_error","message":"model: claude-x"}}),
            ErrorKind::ModelNotFound,
        );
        check(
            403,
            json!({"error":{"type":"permission_error"}}),
            ErrorKind::Auth,
        );
        check(
            413,
            json!({"error":{"type":"request_too_large"}}),
            ErrorKind::TooLarge,
        );
        // In a stream there is no status, but some write one into the code.
        check(
            0,
            json!({"error":{"code":429,"message":"slow down"}}),
            ErrorKind::RateLimited,
        );
        check(
            0,
            json!({"error":{"code":502,"message":"bad gateway"}}),
            ErrorKind::UpstreamError,
        );
        check(
            0,
            json!({"error":"an error was encountered while running the model"}),
            ErrorKind::UpstreamError,
        );
        check(
            0,
            json!({"message":"boom","code":"rate_limit_exceeded"}),
            ErrorKind::RateLimited,
        );
        check(
            0,
            json!({"error":{"message":"Context length exceeded","code":"CONTEXT_LENGTH_EXCEEDED"}}),
            ErrorKind::ContextLength,
        );
    }

    #[test]
    fn only_a_plain_code_reaches_the_log() {
        let code = |body: serde_json::Value| {
            ProviderError::from_json(&body)
                .expect("an error")
                .code()
                .to_owned()
        };
        assert_eq!(
            code(json!({"error":{"code":"rate_limit_exceeded"}})),
            "rate_limit_exceeded"
        );
        assert_eq!(code(json!({"error":{"code":"see https://evil.test"}})), "");
        assert_eq!(code(json!({"error":{"code":"sk-proj-abcd"}})), "");
        assert_eq!(code(json!({"error":{"code":"sk_live_1"}})), "");
    }

    #[test]
    fn an_error_line_that_is_no_event_is_read() {
        let check = |text: &str, expect| {
            let kind = error_in_raw_text(text.as_bytes()).map(|error| error.classify(None));
            assert_eq!(kind, expect, "{text}");
        };
        let long =
            r#"error: {"code":400,"message":"the request exceeds the available context size"}"#;
        check(long, Some(ErrorKind::ContextLength));
        check(
            r#"{"error":{"code":429,"message":"x"}}"#,
            Some(ErrorKind::RateLimited),
        );
        check("<html>an error {} page</html>", None);
        check("error: {", None);
        check("", None);
    }

    #[test]
    fn a_person_is_offered_a_retry_where_it_can_help() {
        let check = |failure: Failure, expect| {
            assert_eq!(failure.to_error().retryable, expect, "{failure:?}");
        };
        check(Failure::request(ErrorKind::Auth, "401"), false);
        check(Failure::request(ErrorKind::ContextLength, "400"), false);
        check(Failure::stream(ErrorKind::ContextLength, "frame"), true);
        check(Failure::stream(ErrorKind::Quota, "frame"), false);
        check(Failure::stream(ErrorKind::Auth, "frame"), false);
        check(
            Failure::request(ErrorKind::UpstreamUnreachable, "refused"),
            true,
        );
        check(Failure::request(ErrorKind::RateLimited, "429"), true);
    }
}
