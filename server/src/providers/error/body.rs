//! What a provider says of a failure, read out of JSON of any shape, out of text and out of HTML: the
//! one place where statuses, codes and messages of providers are read.

use app::protocol::{ErrorKind, FILTERED_REQUEST};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::providers::error::Failure;
use crate::providers::error::wordings::{self, About};

/// The most bytes of a message that are looked at.
const MOST_WORDS: usize = 8 * 1024;
/// The most bytes of a body that is no JSON: what stands further down is a page, not its reason.
const MOST_TEXT: usize = 1024;
/// How deep an error may lie in other objects.
const DEEPEST: usize = 8;

/// The error of a provider.
#[derive(Debug, Default, Clone)]
pub struct ProviderError {
    /// The code, for the log.
    code: String,
    /// All codes, in small letters and digits, with a space between two.
    codes: String,
    /// All that is said in words, in small letters.
    message: String,
    /// The field of the request that it is about.
    param: String,
    /// A status of HTTP that is written into the body.
    status: Option<u16>,
}

impl ProviderError {
    /// Reads the body of a refused request, which may be JSON, text or HTML.
    pub fn from_body(body: &[u8]) -> Option<Self> {
        match serde_json::from_slice(body) {
            Ok(value) => Self::from_json(&value),
            Err(_) => Self::from_text(&String::from_utf8_lossy(body)),
        }
    }

    /// Reads text or HTML that is shown in the place of an answer.
    pub fn from_text(text: &str) -> Option<Self> {
        let mut error = Self::default();
        error.say(&visible(text));
        (!error.message.is_empty()).then_some(error)
    }

    /// Reads the error out of JSON that has one, or is one.
    pub fn from_json(value: &Value) -> Option<Self> {
        let mut error = Self::default();
        match value {
            Value::String(text) => error.say(text),
            other => error.gather(other, 0),
        }
        let is_empty = error.message.is_empty() && error.codes.is_empty() && error.param.is_empty();
        (!is_empty).then_some(error)
    }

    /// Takes what an object or a list of objects says, and what the objects in it say.
    fn gather(&mut self, value: &Value, depth: usize) {
        if depth > DEEPEST {
            return;
        }
        match value {
            Value::Array(list) => list.iter().for_each(|one| self.gather(one, depth + 1)),
            Value::Object(fields) => {
                for (name, value) in fields {
                    self.take(&plain(name), value, depth);
                }
            }
            Value::String(text) => self.say_or_read(text, depth),
            _ => {}
        }
    }

    /// Takes a field by its name, in small letters and digits. Fields that may repeat what was asked
    /// are not among them.
    fn take(&mut self, name: &str, value: &Value, depth: usize) {
        match name {
            "code" | "errorcode" | "errcode" | "statuscode" | "httpcode" | "httpstatus"
            | "status" | "type" | "errortype" | "reason" | "kind" => match value {
                Value::String(text) => self.take_code(name, text),
                Value::Number(number) => self.take_code(name, &number.to_string()),
                _ => {}
            },
            "param" | "loc" | "field" | "parameter" | "argument" => match value {
                Value::String(text) => self.take_param(text),
                Value::Array(path) => {
                    let path: Vec<&str> = path.iter().filter_map(Value::as_str).collect();
                    self.take_param(path.join(".").trim_start_matches("body."));
                }
                _ => {}
            },
            "error" | "errors" | "message" | "msg" | "detail" | "details" | "errormessage"
            | "errormsg" | "errmsg" | "statusmsg" | "statusmessage" | "description"
            | "errordescription" | "title" | "raw" | "metadata" | "innererror" | "baseresp"
            | "response" | "cause" => {
                self.gather(value, depth + 1);
            }
            _ => {}
        }
    }

    fn take_code(&mut self, name: &str, text: &str) {
        let text = text.to_lowercase();
        // A word of the envelope, which says nothing.
        if matches!(text.as_str(), "error" | "failed" | "fail" | "0" | "") {
            return;
        }
        let status = text
            .parse()
            .ok()
            .filter(|status| (400..600).contains(status));
        self.status = self.status.or(status);
        if name == "code" || self.code.is_empty() {
            self.code.clone_from(&text);
        }
        self.add_code(&text);
    }

    fn add_code(&mut self, text: &str) {
        if self.codes.len() + text.len() < MOST_WORDS {
            self.codes.push(' ');
            self.codes.extend(plain_letters(text));
        }
    }

    fn take_param(&mut self, text: &str) {
        if self.param.len() + text.len() < MOST_TEXT {
            self.param.push(' ');
            self.param.push_str(&text.to_lowercase());
        }
    }

    /// Takes a text that may be JSON again, as gateways wrap what their provider said.
    fn say_or_read(&mut self, text: &str, depth: usize) {
        if text.trim_start().starts_with(['{', '['])
            && let Ok(value @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str(text)
        {
            return self.gather(&value, depth + 1);
        }
        self.say(text);
    }

    fn say(&mut self, text: &str) {
        let room = MOST_WORDS.saturating_sub(self.message.len());
        let text: String = text
            .chars()
            .take(room)
            .flat_map(char::to_lowercase)
            .collect();
        // Codes stand in messages too, where a gateway made one text of an error.
        for word in text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
            if word.contains('_') && word.len() <= 64 {
                self.add_code(word);
            }
        }
        if !self.message.is_empty() {
            self.message.push('\n');
        }
        self.message.push_str(&text);
    }

    /// Whether the provider refuses this field of the request.
    pub fn refuses(&self, field: &str) -> bool {
        self.param.split(' ').any(|param| param.starts_with(field)) || self.message.contains(field)
    }

    /// Whether the message names this.
    pub fn mentions(&self, words: &str) -> bool {
        self.message.contains(words)
    }

    /// Whether the error names exactly this field as its parameter.
    pub fn is_about(&self, field: &str) -> bool {
        self.param.split(' ').any(|param| param == field)
    }

    /// The most tokens that a model can be allowed, where the provider refuses more and says so.
    pub fn most_tokens(&self) -> Option<u32> {
        // Anthropic: `max_tokens: 32000 > 8192, which is the maximum allowed number of output tokens`;
        // OpenAI: `supports at most 4096 completion tokens`; Groq: `less than or equal to `8192``;
        // DeepSeek and DashScope: `range of max_tokens is [1, 8192]`.
        const BEFORE: &[(&str, &str)] = &[
            ("maximum allowed number of output tokens", " > "),
            ("completion tokens", "at most "),
            ("max_tokens", "less than or equal to "),
            ("max_tokens", "<= "),
            ("range of max_tokens", ", "),
        ];
        if self.message.contains("context length") {
            return None;
        }
        BEFORE.iter().find_map(|(about, before)| {
            let rest = self
                .message
                .contains(about)
                .then_some(self.message.as_str())?;
            let rest = match *before {
                // The upper end of a range, behind its bracket.
                ", " => rest.split_once('[')?.1,
                _ => rest,
            };
            let number = rest
                .split_once(before)?
                .1
                .trim_start_matches(['`', '\'', '"', ' ']);
            let end = number
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(number.len());
            number[..end].parse().ok()
        })
    }

    /// The code for the log: only what cannot be anything but a code.
    pub fn code(&self) -> &str {
        let plain = self
            .code
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_')
            && self.code.len() <= 48;
        if plain && !self.code.starts_with("sk") {
            &self.code
        } else {
            ""
        }
    }

    /// The kind of this error, with the HTTP status that it came with, if it came with one.
    ///
    /// What is said decides before the status: several providers give a long conversation, a wrong key
    /// or an account without money a status that means something else.
    pub fn classify(&self, status: Option<u16>) -> ErrorKind {
        let status = self.status_of(status);
        match wordings::find(&self.codes, &self.message) {
            Some(About::ContextLength) => ErrorKind::ContextLength,
            Some(About::Quota) => ErrorKind::Quota,
            Some(About::Overloaded) => ErrorKind::Overloaded,
            Some(About::RateLimited) => ErrorKind::RateLimited,
            Some(About::Model) => ErrorKind::ModelNotFound,
            Some(About::Auth) => ErrorKind::Auth,
            Some(About::TooLarge) => ErrorKind::TooLarge,
            Some(About::Filter) => match status {
                Some(400..=499) => ErrorKind::BadRequest,
                _ => ErrorKind::UpstreamError,
            },
            None => self.kind_of_status(status),
        }
    }

    /// The status that tells most: that of HTTP, unless a gateway hides another one behind a 5xx.
    fn status_of(&self, status: Option<u16>) -> Option<u16> {
        match (status.filter(|status| *status >= 400), self.status) {
            (Some(500..), Some(told @ 400..=499)) => Some(told),
            (status, told) => status.or(told),
        }
    }

    fn kind_of_status(&self, status: Option<u16>) -> ErrorKind {
        match status {
            Some(401 | 403) => ErrorKind::Auth,
            Some(402) => ErrorKind::Quota,
            Some(404) if self.message.contains("model") => ErrorKind::ModelNotFound,
            Some(413) => ErrorKind::TooLarge,
            Some(429) => ErrorKind::RateLimited,
            Some(503 | 529) => ErrorKind::Overloaded,
            Some(408 | 409) => ErrorKind::UpstreamError,
            Some(400..=499) => ErrorKind::BadRequest,
            _ if self.codes.contains("invalidrequest") || self.codes.contains("invalidprompt") => {
                ErrorKind::BadRequest
            }
            _ => ErrorKind::UpstreamError,
        }
    }

    /// The sentence for the person, where that of the kind would say too little.
    pub fn sentence(&self) -> Option<&'static str> {
        let about = wordings::find(&self.codes, &self.message);
        (about == Some(About::Filter)).then_some(FILTERED_REQUEST)
    }

    /// The failure that this error within a stream or a body of status 200 is.
    pub(in crate::providers) fn in_answer(&self) -> Failure {
        Failure {
            sentence: self.sentence(),
            ..Failure::stream(self.classify(None), format!("error frame {}", self.code()))
        }
    }

    /// The same of an error without the usual envelope. The provider failed to say it as it should, and
    /// that is its kind; only what passes by itself or by a shorter conversation is told as such. The
    /// sentence tells the person what it is about.
    fn in_odd_answer(&self) -> Failure {
        let failure = self.in_answer();
        match failure.kind {
            ErrorKind::ContextLength | ErrorKind::RateLimited | ErrorKind::Overloaded => failure,
            kind => Failure {
                kind: ErrorKind::UpstreamError,
                sentence: failure.sentence.or_else(|| Some(kind.sentence())),
                ..failure
            },
        }
    }
}

/// What JSON in the place of a piece of an answer says of a failure.
#[derive(Debug)]
pub(in crate::providers) enum ErrorSearch {
    /// Nothing.
    Nothing,
    /// Perhaps a failure: it is one if nothing of an answer follows.
    Suspected(Failure),
    /// A failure.
    Failed(Failure),
}

/// Looks for an error in JSON in the place of a piece of an answer.
pub(in crate::providers) fn error_in(value: &Value) -> ErrorSearch {
    let Value::Object(fields) = value else {
        return ErrorSearch::Nothing;
    };
    let read = || ProviderError::from_json(value).unwrap_or_default();
    let names_itself = |name: &str| fields.get(name).is_some_and(|value| value == "error");
    if fields.get("error").is_some_and(|error| !is_nothing(error))
        || names_itself("object")
        || names_itself("type")
    {
        return ErrorSearch::Failed(read().in_answer());
    }
    match odd_error(fields) {
        Some(true) => ErrorSearch::Failed(read().in_odd_answer()),
        Some(false) => ErrorSearch::Suspected(read().in_odd_answer()),
        None => ErrorSearch::Nothing,
    }
}

/// The failure that an event named `error` is, or what an error is said to be.
pub(in crate::providers) fn error_frame(value: &Value) -> Failure {
    ProviderError::from_json(value)
        .unwrap_or_default()
        .in_answer()
}

/// Whether an object is an error without the usual envelope; `false`: it may be one.
fn odd_error(fields: &Map<String, Value>) -> Option<bool> {
    let (mut code, mut message, mut certain) = (false, false, false);
    for (name, value) in fields {
        match plain(name).as_str() {
            "code" | "errorcode" | "errcode" | "statuscode" => code |= !is_success(value),
            "status" => code |= !is_success(value) && value.is_number(),
            "message" | "msg" | "errormsg" | "errmsg" | "errormessage" => {
                let says_ok = value.as_str().is_some_and(says_success);
                message |= !is_nothing(value) && !says_ok;
            }
            "detail" | "errors" => certain |= !is_nothing(value),
            "success" => certain |= *value == Value::Bool(false),
            "baseresp" => {
                let code = value.get("status_code").or_else(|| value.get("statusCode"));
                certain |= code.is_some_and(|code| !is_success(code));
            }
            _ => {}
        }
    }
    match (certain || (code && message), message) {
        (true, _) => Some(true),
        (false, true) => Some(false),
        (false, false) => None,
    }
}

/// Whether a code means that all is well.
fn is_success(code: &Value) -> bool {
    match code {
        Value::Number(number) => number
            .as_u64()
            .is_some_and(|number| matches!(number, 0 | 200..=299 | 20_000)),
        Value::String(text) => says_success(text),
        _ => true,
    }
}

fn says_success(text: &str) -> bool {
    let text = text.trim().to_ascii_lowercase();
    matches!(
        text.as_str(),
        "" | "0" | "200" | "20000" | "ok" | "success" | "succeeded" | "none" | "null"
    )
}

/// Whether a value says nothing: null, false, 0, an empty text, or a list or an object of such.
pub(in crate::providers) fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.iter().all(is_nothing),
        Value::Object(fields) => fields.values().all(is_nothing),
    }
}

/// A name or a code in small letters and digits alone.
fn plain(text: &str) -> String {
    plain_letters(text).collect()
}

fn plain_letters(text: &str) -> impl Iterator<Item = char> {
    text.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
}

/// What a reader sees at the head of a text that may be HTML: its words without tags.
fn visible(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, tag)) = rest.split_once('<') {
        out.push_str(before);
        out.push(' ');
        let name = tag.trim_start_matches('/').to_ascii_lowercase();
        // What a program reads and nobody else.
        let end = ["style", "script"]
            .iter()
            .find(|unseen| name.starts_with(**unseen) && !tag.starts_with('/'))
            .map_or(">", |unseen| {
                if *unseen == "style" {
                    "</style"
                } else {
                    "</script"
                }
            });
        let Some((_, after)) = tag.split_once(end) else {
            rest = "";
            break;
        };
        rest = after.strip_prefix('>').unwrap_or(after);
        if out.len() >= MOST_TEXT {
            break;
        }
    }
    out.push_str(rest);
    let words: Vec<&str> = out.split_whitespace().collect();
    words.join(" ").chars().take(MOST_TEXT).collect()
}

/// The sentence for a body without any event, by what its head says: a plain `error: {…}` line, as
/// llama.cpp and others send it, or words.
pub(in crate::providers) fn explain(head: &[u8]) -> Option<&'static str> {
    let error = error_in_raw_text(head)
        .or_else(|| ProviderError::from_text(&String::from_utf8_lossy(head)))?;
    error.sentence().or_else(|| {
        let kind = error.classify(None);
        (kind != ErrorKind::UpstreamError).then(|| kind.sentence())
    })
}

/// JSON after a field name that no parser of event streams knows.
fn error_in_raw_text(head: &[u8]) -> Option<ProviderError> {
    let text = String::from_utf8_lossy(head);
    let at = text.find("error").filter(|at| {
        text[..*at]
            .trim_matches(|c: char| "{\" \n\r".contains(c))
            .is_empty()
    })?;
    let json = &text[text[at..].find('{').map(|brace| at + brace)?..];
    let mut stream = serde_json::Deserializer::from_str(json);
    let value = Value::deserialize(&mut stream).ok()?;
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
        check(
            404,
            json!({"detail":"Not ErrorSearch"}),
            ErrorKind::BadRequest,
        );
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
    fn what_providers_say_is_understood_whatever_status_it_has() {
        use ErrorKind::{
            Auth, BadRequest, ContextLength, ModelNotFound, Overloaded, Quota, RateLimited,
            TooLarge, UpstreamError,
        };
        let check = |kind: ErrorKind, message: &str| {
            for body in [
                json!({"error": {"message": message, "type": "invalid_request_error", "code": null}}),
                json!({"error": message}),
                json!({"detail": message}),
                json!({"detail": [{"loc": ["body"], "msg": message, "input": "billing"}]}),
                json!({"message": [{"text": "x", "message": message}]}),
                json!({"error": {"metadata": {"raw": json!({"message": message}).to_string()}}}),
                json!([{"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}}]),
                json!({"code": "E", "msg": message, "data": null}),
            ] {
                let error = ProviderError::from_json(&body).expect("an error");
                for status in [400, 403, 422, 500] {
                    assert_eq!(error.classify(Some(status)), kind, "{status} {body}");
                }
            }
            let html =
                format!("<html><head><title>Error</title></head><body>{message}</body></html>");
            for text in [message, html.as_str()] {
                let error = ProviderError::from_body(text.as_bytes()).expect("an error");
                assert_eq!(error.classify(Some(500)), kind, "{text}");
            }
        };
        for message in [
            "This model's maximum context length is 8192 tokens. However, your messages resulted in 8545 tokens.",
            "Your input exceeds the context window of this model. Please adjust your input and try again.",
            "Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in 300000 tokens.",
            "prompt is too long: 213462 tokens > 200000 maximum",
            "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000",
            "The input token count (1196265) exceeds the maximum number of tokens allowed (1048575).",
            "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
            "Invalid request: Your request exceeded model token limit: 262144 (requested: 291351)",
            "Input token length too long",
            "Range of input length should be [1, 129024]",
            "`inputs` must have less than 1024 tokens. Given: 2000",
            "The decoder prompt (length 5000) is longer than the maximum model length of 4096.",
            "the request exceeds the available context size, try increasing it",
            "Requested tokens (5000) exceed context window of 2048",
            "prompt too long; exceeded max context length by 123 tokens",
            "The number of tokens to keep from the initial prompt is greater than the context length",
            "Trying to keep the first 5000 tokens when context the overflows.",
            "This endpoint's maximum context length is 32768 tokens. However, you requested about 40000 tokens",
            "Input is too long for requested model.",
            "Too many input tokens. Max input tokens: 300000, request input token count: 400000",
            "too many tokens: total number of tokens (prompt and prediction) cannot exceed 4081 - received 5000.",
            "Please reduce the length of the messages or completion.",
            "prompt token count of 70000 exceeds the limit of 64000",
            "invalid params, context window exceeds limit (2013)",
            "Prompt 超长",
            "Prompt length 5000 is greater than max_seq_len 4096",
            "The total length of all messages is too long",
        ] {
            check(ContextLength, message);
        }
        for message in [
            "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing.",
            "You have reached your specified API usage limits. You will regain access on 2026-01-01.",
            "Insufficient Balance",
            "Insufficient credits. Add more using the settings page",
            "This request requires more credits, or fewer max_tokens. You requested up to 64000 tokens, but can only afford 100.",
            "You have exceeded your monthly included credits for Inference Providers.",
            "Access denied, please make sure your account is in good standing.",
            "The free tier of the model has been exhausted.",
            "Your account is not active, please check your billing details on our website.",
            "Billing hard limit has been reached",
            "您的账户已欠费，请充值后重试",
            "用户额度不足, 剩余额度: $0.00",
            "Budget has been exceeded! Current cost: 10.0, Max budget: 5.0",
            "Your newly created team doesn't have any credits yet.",
            "402 Payment Required",
            "litellm.RateLimitError: RateLimitError: OpenAIException - You exceeded your current quota, please check your plan and billing details.",
        ] {
            check(Quota, message);
        }
        for message in [
            "Rate limit reached for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, Used 29000. Visit the billing page to add a payment method.",
            "Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 free model requests per day",
            "Too many requests",
            "You exceeded your current quota, please check your plan and billing details. Please retry in 36.5s.",
            "Too many tokens, please wait before trying again.",
            "Requests rate limit exceeded, please try again later",
            "Resource exhausted. Please try again later.",
            "request reached organization max RPM: 3, please try again after 1 seconds",
            "您当前使用该API的频率过高，请降低频率",
        ] {
            check(RateLimited, message);
        }
        for message in [
            "The engine is currently overloaded, please try again later",
            "The model is overloaded. Please try again later.",
            "Model too busy, unable to get response in less than 60 second(s)",
            "no healthy upstream",
            "该模型当前访问量过大，请您稍后再试",
        ] {
            check(Overloaded, message);
        }
        for message in [
            "The model `x` does not exist or you do not have access to it.",
            "model 'x' not found, try pulling it first",
            "Model Not Exist",
            "Not found the model x or Permission denied",
            "models/x is not found for API version v1beta, or is not supported for generateContent.",
            "x/y is not a valid model ID",
            "No endpoints found for x/y.",
            "The provided model identifier is invalid.",
            "The model `x` has been decommissioned and is no longer supported.",
            "模型不存在，请检查模型代码",
        ] {
            check(ModelNotFound, message);
        }
        for message in [
            "Incorrect API key provided: xa***. You can obtain an API key from the console.",
            "API key not valid. Please pass a valid API key.",
            "invalid x-api-key",
            "Authentication Fails, Your api key: ****f is invalid",
            "No auth credentials found",
            "Unauthorized",
            "invalid access token or token expired",
            "Access token invalid or no longer valid",
            "The security token included in the request is invalid.",
            "login fail: Please carry the API secret key in the 'Authorization' field of the request header",
            "无效的令牌",
        ] {
            check(Auth, message);
        }
        check(TooLarge, "413 Request Entity Too Large");
        // What is about nothing of these keeps what its status says.
        for (status, kind, message) in [
            (
                400,
                BadRequest,
                "Unsupported value: 'temperature' does not support 0.5 with this model.",
            ),
            (
                400,
                BadRequest,
                "max_tokens is too large: 9000. This model supports at most 4096 completion tokens",
            ),
            (
                400,
                BadRequest,
                "Invalid 'tools[0].name': string does not match pattern",
            ),
            (500, UpstreamError, "CUDA out of memory"),
            (404, BadRequest, "Not ErrorSearch"),
        ] {
            let error = ProviderError::from_json(&json!({"error": message})).expect("an error");
            assert_eq!(error.classify(Some(status)), kind, "{message}");
        }
    }

    #[test]
    fn what_a_provider_repeats_of_the_question_is_not_its_reason() {
        let echo = json!({"detail": [{"loc": ["body", "messages"], "msg": "field required",
            "input": [{"role": "user", "content": "My credit balance and rate limit"}]}]});
        let error = ProviderError::from_json(&echo).expect("an error");
        assert_eq!(error.classify(Some(422)), ErrorKind::BadRequest);
        let failed =
            json!({"error": {"message": "x"}, "output": [{"content": [{"text": "rate limit"}]}]});
        let error = ProviderError::from_json(&failed).expect("an error");
        assert_eq!(error.classify(None), ErrorKind::UpstreamError);
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
}
