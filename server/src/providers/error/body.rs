//! Reads the error of a provider out of JSON of any shape, out of text and out of HTML. Only this folder reads the
//! statuses, codes and messages of providers.

use app::protocol::{ErrorKind, FILTERED_REQUEST};
use serde_json::Value;

use super::Failure;
use super::page::visible;
use super::wordings::{self, About};

/// The most bytes of a message that are read.
const MOST_WORDS: usize = 8 * 1024;
/// The most bytes of a body that is not JSON. The reason is at its beginning.
pub(super) const MOST_TEXT: usize = 1024;
/// The deepest nesting of an error in other objects.
const DEEPEST: usize = 8;

/// The error of a provider.
#[derive(Debug, Default, Clone)]
pub struct ProviderError {
    /// The code, for the log.
    code: String,
    /// All codes in lower-case letters and digits, separated by spaces.
    pub(super) codes: String,
    /// All messages in lower case.
    pub(super) message: String,
    /// The field of the request that the error is about.
    param: String,
    /// The HTTP status in the body.
    pub(super) status: Option<u16>,
}

impl ProviderError {
    /// Reads the body of a refused request, which may be JSON, text or HTML.
    pub fn from_body(body: &[u8]) -> Option<Self> {
        match serde_json::from_slice(body) {
            Ok(value) => Self::from_json(&value),
            Err(_) => Self::from_text(&String::from_utf8_lossy(body)),
        }
    }

    /// Reads text or HTML that came in place of an answer.
    pub fn from_text(text: &str) -> Option<Self> {
        let mut error = Self::default();
        error.say(&visible(text));
        (!error.message.is_empty()).then_some(error)
    }

    /// Reads the error from JSON that contains one or is one.
    pub fn from_json(value: &Value) -> Option<Self> {
        let mut error = Self::default();
        match value {
            Value::String(text) => error.say(text),
            other => error.gather(other, 0),
        }
        let is_empty = error.message.is_empty() && error.codes.is_empty() && error.param.is_empty();
        (!is_empty).then_some(error)
    }

    /// Collects the fields of an object or a list, with nested objects.
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

    /// Takes a field by its name in lower-case letters and digits. Fields that may repeat the question are
    /// ignored.
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
        // A word without information.
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

    /// Takes a text that may be JSON, because gateways wrap the error of their provider.
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
        // Messages contain codes if a gateway made a text of an error.
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

    /// Whether the message contains this text.
    pub fn mentions(&self, words: &str) -> bool {
        self.message.contains(words)
    }

    /// Whether the error names exactly this field as its parameter.
    pub fn is_about(&self, field: &str) -> bool {
        self.param.split(' ').any(|param| param == field)
    }

    /// The most tokens that a model allows, if the provider refuses more and says so.
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
                // The upper end of a range, after its bracket.
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

    /// The code for the log, if it is only a code.
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

    /// The sentence for the person, if that of the kind says too little.
    pub fn sentence(&self) -> Option<&'static str> {
        let about = wordings::find(&self.codes, &self.message);
        (about == Some(About::Filter)).then_some(FILTERED_REQUEST)
    }

    /// The failure for this error in a stream or in a body with status 200.
    pub(in crate::providers) fn in_answer(&self) -> Failure {
        Failure {
            sentence: self.sentence(),
            ..Failure::stream(self.classify(None), format!("error frame {}", self.code()))
        }
    }

    /// The failure for an error without the usual envelope. Its kind is an upstream error, unless a later
    /// attempt or a shorter conversation can succeed. The sentence still says what it is about.
    pub(super) fn without_envelope(&self) -> Failure {
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

/// A name or a code, reduced to lower-case letters and digits.
pub(super) fn plain(text: &str) -> String {
    plain_letters(text).collect()
}

fn plain_letters(text: &str) -> impl Iterator<Item = char> {
    text.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
}

#[cfg(test)]
mod tests;
