//! Reads the error of a provider out of JSON of any shape, out of text and out of HTML. Only this folder reads the
//! statuses, codes and messages of providers.

use app::protocol::{ErrorKind, FILTERED_REQUEST};
use serde_json::Value;

use super::Failure;
use super::page::visible;
use super::wordings::{self, About};

/// The most bytes of a message that are looked at.
const MOST_WORDS: usize = 8 * 1024;
/// The most bytes of a body that is no JSON: what stands further down is a page, not its reason.
pub(super) const MOST_TEXT: usize = 1024;
/// How deep an error may lie in other objects.
const DEEPEST: usize = 8;

/// The error of a provider.
#[derive(Debug, Default, Clone)]
pub struct ProviderError {
    /// The code, for the log.
    code: String,
    /// All codes, in small letters and digits, with a space between two.
    pub(super) codes: String,
    /// All that is said in words, in small letters.
    pub(super) message: String,
    /// The field of the request that it is about.
    param: String,
    /// A status of HTTP that is written into the body.
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
    pub(super) fn in_odd_answer(&self) -> Failure {
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
