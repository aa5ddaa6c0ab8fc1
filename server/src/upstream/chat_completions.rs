//! OpenAI's Chat Completions API as two pure parts: the body of a request, and a mapper from the
//! events of its stream to ours.
//!
//! Many servers speak this API, each a little differently; what they differ in is accepted here, so
//! that nobody downstream can tell which one it was. No I/O happens here.
//!
//! Source: <https://platform.openai.com/docs/api-reference/chat/create> and the replies of the
//! compatible servers in `server/tests/conformance`.

use std::borrow::Cow;

use app::protocol::{
    ChatEvent, ChatMessage, ChatRequest, ErrorKind, Finish, ReasoningEffort, Usage,
};
use app::sse;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::failure::{Failure, ProviderError};

/// Where the request goes, below the base URL.
pub const PATH: &str = "chat/completions";

/// In what a server differs from OpenAI. It is learnt from what the server refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    /// Whether it may be asked for token counts at the end of a stream.
    pub stream_options: bool,
    /// Whether the limit is called `max_completion_tokens`, as OpenAI's newer models want it.
    pub max_completion_tokens: bool,
}

impl Default for Dialect {
    fn default() -> Self {
        Self {
            stream_options: true,
            max_completion_tokens: false,
        }
    }
}

impl Dialect {
    /// The dialect to try next after this error, if the error was about the dialect.
    pub fn learn(self, status: u16, error: &ProviderError) -> Option<Self> {
        if !matches!(status, 400 | 422) {
            return None;
        }
        if self.stream_options && error.refuses("stream_options") {
            return Some(Self {
                stream_options: false,
                ..self
            });
        }
        if !self.max_completion_tokens
            && error.refuses("max_tokens")
            && error.mentions("max_completion_tokens")
        {
            return Some(Self {
                max_completion_tokens: true,
                ..self
            });
        }
        None
    }
}

/// The JSON body of a streaming request.
#[must_use]
pub fn request(prompt: &ChatRequest, model: &str, dialect: Dialect) -> Vec<u8> {
    #[derive(Serialize)]
    struct StreamOptions {
        include_usage: bool,
    }
    #[derive(Serialize)]
    struct Body<'a> {
        model: &'a str,
        messages: &'a [ChatMessage],
        stream: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        stream_options: Option<StreamOptions>,
        #[serde(skip_serializing_if = "Option::is_none")]
        temperature: Option<f64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        max_tokens: Option<u32>,
        #[serde(skip_serializing_if = "Option::is_none")]
        max_completion_tokens: Option<u32>,
        #[serde(skip_serializing_if = "Option::is_none")]
        reasoning_effort: Option<ReasoningEffort>,
    }
    let body = Body {
        model,
        messages: &prompt.messages,
        stream: true,
        stream_options: dialect.stream_options.then_some(StreamOptions {
            include_usage: true,
        }),
        temperature: prompt.temperature,
        max_tokens: prompt.max_tokens.filter(|_| !dialect.max_completion_tokens),
        max_completion_tokens: prompt.max_tokens.filter(|_| dialect.max_completion_tokens),
        reasoning_effort: prompt.reasoning_effort,
    };
    serde_json::to_vec(&body).expect("strings and finite numbers always become JSON")
}

/// Maps the events of one stream to ours.
#[derive(Debug, Default)]
pub struct Mapper {
    finish: Option<Finish>,
    usage: Option<Usage>,
    refused: bool,
    done: bool,
}

impl Mapper {
    /// Maps one event; what it holds of the answer is handed to `out`.
    ///
    /// # Errors
    /// When the event is an error of the provider, or not readable at all.
    pub fn map(
        &mut self,
        event: sse::Event<'_>,
        out: &mut impl FnMut(ChatEvent<'_>),
    ) -> Result<(), Failure> {
        // Names that this API does not have are not ours to interpret, least of all our own.
        if self.done || !matches!(event.name, "message" | "error") {
            return Ok(());
        }
        if event.data.trim() == "[DONE]" {
            self.done = true;
            return Ok(());
        }
        if event.name == "message"
            && let Ok(chunk) = serde_json::from_str::<Chunk<'_>>(event.data)
            && chunk.is_plain()
        {
            self.take(&chunk, out);
            return Ok(());
        }
        self.map_unusual(event, out)
    }

    /// Maps a whole completion, which some servers send although a stream was asked for.
    ///
    /// # Errors
    /// As [`Mapper::map`].
    pub fn map_completion(
        &mut self,
        body: &[u8],
        out: &mut impl FnMut(ChatEvent<'_>),
    ) -> Result<(), Failure> {
        let text = String::from_utf8_lossy(body);
        self.map_unusual(
            sse::Event {
                name: "message",
                data: &text,
            },
            out,
        )?;
        self.done = true;
        Ok(())
    }

    /// Whether nothing more will come.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// Why the answer ended, once that is known: with it the reply is complete, whatever happens to
    /// the connection.
    pub fn finish(&self) -> Option<Finish> {
        match self.finish.or(self.done.then_some(Finish::Stop)) {
            Some(Finish::Stop) if self.refused => Some(Finish::Refusal),
            finish => finish,
        }
    }

    /// The token counts that came last: some servers send them with every chunk.
    pub fn usage(&self) -> Option<Usage> {
        self.usage
    }

    fn take(&mut self, chunk: &Chunk<'_>, out: &mut impl FnMut(ChatEvent<'_>)) {
        if let Some(usage) = &chunk.usage {
            self.usage = Some(usage.to_usage());
        }
        // Only one choice was asked for; an index is a number of the provider's, nothing to count by.
        let choices = chunk
            .choices
            .iter()
            .flatten()
            .filter(|choice| choice.index.unwrap_or(0) == 0);
        for choice in choices {
            if let Some(delta) = choice.delta.as_ref().or(choice.message.as_ref()) {
                // Some servers send the same reasoning under both names.
                let reasoning = delta
                    .reasoning_content
                    .as_ref()
                    .or(delta.reasoning.as_ref());
                emit(reasoning, |text| out(ChatEvent::Reasoning(text)));
                emit(delta.content.as_ref(), |text| out(ChatEvent::Text(text)));
                emit(delta.refusal.as_ref(), |text| {
                    self.refused = true;
                    out(ChatEvent::Text(text));
                });
            }
            if let Some(reason) = &choice.finish_reason {
                self.finish = Some(match reason.as_ref() {
                    "length" | "max_tokens" => Finish::Length,
                    "content_filter" => Finish::ContentFilter,
                    "tool_calls" | "function_call" => Finish::ToolCalls,
                    // Whatever word a server has for it, it says that the answer ended.
                    _ => Finish::Stop,
                });
            }
        }
    }

    /// The slow way for what does not have the usual form: errors, lists of parts as content,
    /// repeated keys, escapes that are no characters.
    fn map_unusual(
        &mut self,
        event: sse::Event<'_>,
        out: &mut impl FnMut(ChatEvent<'_>),
    ) -> Result<(), Failure> {
        let mut value: Value = serde_json::from_str(event.data)
            .or_else(|_| serde_json::from_str(&without_lone_surrogates(event.data)))
            .map_err(|_| match event.name {
                "error" => Failure::stream(ErrorKind::UpstreamError, "error frame"),
                _ => Failure::stream(ErrorKind::UpstreamMalformed, "not JSON"),
            })?;
        let is_error =
            event.name == "error" || value.get("error").is_some_and(|error| !error.is_null());
        if is_error || first_finish_reason(&value) == Some("error") {
            let error = ProviderError::from_json(&value).unwrap_or_default();
            return Err(Failure::stream(
                error.classify(None),
                format!("error frame {}", error.code()),
            ));
        }
        flatten_parts(&mut value);
        // The text is moved out of a copy that owns it, so the plain way can take it from here.
        let chunk = Chunk::deserialize(&value)
            .map_err(|_| Failure::stream(ErrorKind::UpstreamMalformed, "not a chunk"))?;
        self.take(&chunk, out);
        Ok(())
    }
}

fn emit<'a>(text: Option<&'a Cow<'_, str>>, mut out: impl FnMut(Cow<'a, str>)) {
    if let Some(text) = text
        && !text.is_empty()
    {
        out(Cow::Borrowed(text));
    }
}

fn first_finish_reason(value: &Value) -> Option<&str> {
    value.get("choices")?.get(0)?.get("finish_reason")?.as_str()
}

/// Turns content that is a list of parts into text and reasoning, as Mistral sends it.
fn flatten_parts(value: &mut Value) {
    let Some(choices) = value.get_mut("choices").and_then(Value::as_array_mut) else {
        return;
    };
    for choice in choices {
        for name in ["delta", "message"] {
            let Some(delta) = choice.get_mut(name).and_then(Value::as_object_mut) else {
                continue;
            };
            if let Some(Value::Array(parts)) = delta.get("content") {
                let mut text = String::new();
                let mut reasoning = String::new();
                for part in parts {
                    collect_text(part.get("text"), &mut text);
                    collect_text(part.get("thinking"), &mut reasoning);
                }
                delta.insert("content".into(), text.into());
                if !reasoning.is_empty() {
                    delta.insert("reasoning_content".into(), reasoning.into());
                }
            }
            // Fields that we read as text but that are none are no reason to lose the rest.
            for field in ["content", "reasoning", "reasoning_content", "refusal"] {
                if delta.get(field).is_some_and(|value| !value.is_string()) {
                    delta.remove(field);
                }
            }
        }
    }
}

fn collect_text(value: Option<&Value>, into: &mut String) {
    match value {
        Some(Value::String(text)) => into.push_str(text),
        Some(Value::Array(parts)) => parts
            .iter()
            .for_each(|part| collect_text(part.get("text"), into)),
        _ => {}
    }
}

/// Replaces `\uD800` to `\uDFFF` escapes that are no pair by U+FFFD. JSON allows them, Rust strings
/// cannot hold them, and a server that cuts a text between the halves of a pair sends them.
fn without_lone_surrogates(json: &str) -> String {
    let escape_at = |at: usize| -> Option<u16> {
        let hex = json.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(hex, 16).ok()
    };
    let mut out = String::with_capacity(json.len());
    let mut rest = 0;
    while let Some(found) = json[rest..].find('\\') {
        let at = rest + found;
        out.push_str(&json[rest..at]);
        let is_pair =
            |high, low| (0xD800..0xDC00).contains(&high) && (0xDC00..0xE000).contains(&low);
        let length = match (escape_at(at), escape_at(at + 6)) {
            (Some(high), Some(low)) if is_pair(high, low) => 12,
            (Some(0xD800..0xE000), _) => {
                out.push_str("\\ufffd");
                rest = at + 6;
                continue;
            }
            (Some(_), _) => 6,
            // Any other escape is two characters, of which the second may be a backslash.
            (None, _) => 1 + json[at + 1..].chars().next().map_or(0, char::len_utf8),
        };
        out.push_str(&json[at..at + length]);
        rest = at + length;
    }
    out.push_str(&json[rest..]);
    out
}

/// One event of the stream, as far as it is of interest. Text is borrowed from the event where it
/// has no escapes.
#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow, default)]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(default)]
    usage: Option<RawUsage>,
    /// Only looked at for being there; the slow way reads it.
    #[serde(default)]
    error: Option<serde::de::IgnoredAny>,
}

impl Chunk<'_> {
    fn is_plain(&self) -> bool {
        let failed = |choice: &Choice<'_>| choice.finish_reason.as_deref() == Some("error");
        self.error.is_none() && !self.choices.iter().flatten().any(failed)
    }
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(default)]
    index: Option<i64>,
    #[serde(borrow, default)]
    delta: Option<Delta<'a>>,
    /// A whole message, in an answer that is no stream.
    #[serde(borrow, default)]
    message: Option<Delta<'a>>,
    #[serde(borrow, default)]
    finish_reason: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow, default, deserialize_with = "text")]
    content: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "text")]
    reasoning_content: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "text")]
    reasoning: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "text")]
    refusal: Option<Cow<'a, str>>,
}

/// Reads text without copying where it can be borrowed. serde copies every string inside an
/// `Option<Cow<str>>`; a type of its own that asks for a borrowed string does not.
fn text<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Cow<'de, str>>, D::Error> {
    #[derive(Deserialize)]
    struct Borrowed<'a>(#[serde(borrow)] Cow<'a, str>);
    Ok(Option::<Borrowed<'de>>::deserialize(deserializer)?.map(|text| text.0))
}

#[derive(Deserialize)]
struct RawUsage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    completion_tokens_details: Option<CompletionDetails>,
    prompt_tokens_details: Option<PromptDetails>,
}

#[derive(Deserialize)]
struct CompletionDetails {
    reasoning_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct PromptDetails {
    cached_tokens: Option<u64>,
}

impl RawUsage {
    fn to_usage(&self) -> Usage {
        Usage {
            prompt_tokens: self.prompt_tokens,
            completion_tokens: self.completion_tokens,
            reasoning_tokens: self
                .completion_tokens_details
                .as_ref()
                .and_then(|d| d.reasoning_tokens),
            cached_tokens: self
                .prompt_tokens_details
                .as_ref()
                .and_then(|d| d.cached_tokens),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use app::protocol::Role;

    /// What the events of a stream become: text, reasoning, and the finish or the kind of the error.
    fn map(events: &[(&str, &str)]) -> (String, String, Result<Option<Finish>, ErrorKind>) {
        let mut mapper = Mapper::default();
        let (mut text, mut reasoning) = (String::new(), String::new());
        for (name, data) in events {
            let result = mapper.map(sse::Event { name, data }, &mut |event| match event {
                ChatEvent::Text(piece) => text.push_str(&piece),
                ChatEvent::Reasoning(piece) => reasoning.push_str(&piece),
                other => panic!("{other:?}"),
            });
            if let Err(failure) = result {
                return (text, reasoning, Err(failure.kind));
            }
        }
        (text, reasoning, Ok(mapper.finish()))
    }

    fn check(data: &[&str], text: &str, reasoning: &str, end: Result<Option<Finish>, ErrorKind>) {
        let events: Vec<_> = data.iter().map(|data| ("message", *data)).collect();
        assert_eq!(
            map(&events),
            (text.to_owned(), reasoning.to_owned(), end),
            "{data:?}"
        );
    }

    const STOP: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;

    #[test]
    fn text_and_reasoning_come_out_of_their_fields() {
        check(
            &[r#"{"choices":[{"delta":{"content":"a\n\"b"}}]}"#, STOP],
            "a\n\"b",
            "",
            Ok(Some(Finish::Stop)),
        );
        check(
            &[r#"{"choices":[{"delta":{"reasoning":"r","content":null}}]}"#],
            "",
            "r",
            Ok(None),
        );
        check(
            &[r#"{"choices":[{"delta":{"reasoning":"r","reasoning_content":"r"}}]}"#],
            "",
            "r",
            Ok(None),
        );
        check(
            &[
                r#"{"choices":[{"delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"t"}]},{"type":"text","text":"x"}]}}]}"#,
            ],
            "x",
            "t",
            Ok(None),
        );
        check(
            &[r#"{"choices":[{"delta":{"content":"x","reasoning":{"odd":1}}}]}"#],
            "x",
            "",
            Ok(None),
        );
    }

    #[test]
    fn keep_alives_of_any_shape_change_nothing() {
        check(
            &[
                r#"{"choices":null}"#,
                "{}",
                r#"{"choices":[]}"#,
                r#"{"choices":[{}]}"#,
            ],
            "",
            "",
            Ok(None),
        );
    }

    #[test]
    fn the_finish_is_read_whatever_its_word() {
        let finish = |word: &str| {
            let data = format!(r#"{{"choices":[{{"delta":{{}},"finish_reason":"{word}"}}]}}"#);
            map(&[("message", &data)]).2
        };
        assert_eq!(finish("stop"), Ok(Some(Finish::Stop)));
        assert_eq!(finish("eos"), Ok(Some(Finish::Stop)));
        assert_eq!(finish("length"), Ok(Some(Finish::Length)));
        assert_eq!(finish("content_filter"), Ok(Some(Finish::ContentFilter)));
        assert_eq!(finish("tool_calls"), Ok(Some(Finish::ToolCalls)));
        assert_eq!(finish("error"), Err(ErrorKind::UpstreamError));
        check(&["[DONE]"], "", "", Ok(Some(Finish::Stop)));
    }

    #[test]
    fn a_refusal_is_text_and_a_finish_of_its_own() {
        check(
            &[r#"{"choices":[{"delta":{"refusal":"No."}}]}"#, STOP],
            "No.",
            "",
            Ok(Some(Finish::Refusal)),
        );
    }

    #[test]
    fn other_choices_and_events_after_the_end_are_ignored() {
        check(
            &[
                r#"{"choices":[{"index":2147483647,"delta":{"content":"B"}}]}"#,
                "[DONE]",
                r#"{"choices":[{"delta":{"content":"late"}}]}"#,
            ],
            "",
            "",
            Ok(Some(Finish::Stop)),
        );
        let (text, _, end) = map(&[
            ("execute", r#"{"code":"x"}"#),
            ("done", "{}"),
            ("message", STOP),
        ]);
        assert_eq!((text.as_str(), end), ("", Ok(Some(Finish::Stop))));
    }

    #[test]
    fn errors_in_the_stream_are_errors_whatever_their_form() {
        check(
            &[r#"{"error":{"message":"x","type":"server_error"}}"#],
            "",
            "",
            Err(ErrorKind::UpstreamError),
        );
        check(
            &[r#"{"error":"out of memory","choices":[]}"#],
            "",
            "",
            Err(ErrorKind::UpstreamError),
        );
        check(&["{unparsable}"], "", "", Err(ErrorKind::UpstreamMalformed));
        check(&["[1,2]"], "", "", Err(ErrorKind::UpstreamMalformed));
        let (.., end) = map(&[(
            "error",
            r#"{"message":"boom","code":"rate_limit_exceeded"}"#,
        )]);
        assert_eq!(end, Err(ErrorKind::RateLimited));
        check(
            &[r#"{"error":null,"choices":[{"delta":{"content":"fine"}}]}"#],
            "fine",
            "",
            Ok(None),
        );
    }

    #[test]
    fn json_that_rust_refuses_is_still_read() {
        check(
            &[r#"{"choices":[{"delta":{"content":"a","content":"b"}}]}"#],
            "b",
            "",
            Ok(None),
        );
        check(
            &[
                r#"{"choices":[{"delta":{"content":"a\ud83d"}}]}"#,
                r#"{"choices":[{"delta":{"content":"\ude00b"}}]}"#,
            ],
            "a\u{fffd}\u{fffd}b",
            "",
            Ok(None),
        );
        assert_eq!(
            without_lone_surrogates(r"\\ud83d \ud83d\ude00 \ud83dé \u0041 \"),
            r"\\ud83d \ud83d\ude00 \ufffdé \u0041 \"
        );
    }

    #[test]
    fn a_whole_completion_is_an_answer_too() {
        let mut mapper = Mapper::default();
        let mut text = String::new();
        let body = br#"{"choices":[{"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":2}}"#;
        mapper
            .map_completion(body, &mut |event| {
                if let ChatEvent::Text(piece) = event {
                    text.push_str(&piece);
                }
            })
            .expect("a completion");
        assert_eq!((text.as_str(), mapper.finish()), ("Hi", Some(Finish::Stop)));
        assert_eq!(
            mapper.usage().and_then(|usage| usage.prompt_tokens),
            Some(5)
        );
    }

    #[test]
    fn text_without_escapes_is_borrowed() {
        let chunk: Chunk<'_> =
            serde_json::from_str(r#"{"choices":[{"delta":{"content":"plain"}}]}"#).expect("valid");
        let content = chunk
            .choices
            .as_ref()
            .and_then(|c| c[0].delta.as_ref())
            .and_then(|d| d.content.as_ref());
        assert!(matches!(content, Some(Cow::Borrowed("plain"))));
    }

    #[test]
    fn the_request_is_learnt_to_be_what_the_server_accepts() {
        let mut prompt = ChatRequest::new(vec![ChatMessage {
            role: Role::User,
            content: "Hi".into(),
        }]);
        prompt.max_tokens = Some(9);
        let body = |dialect| {
            serde_json::from_slice::<Value>(&request(&prompt, "m", dialect)).expect("JSON")
        };
        let first = Dialect::default();
        assert_eq!(body(first)["stream_options"]["include_usage"], true);
        assert_eq!(body(first)["max_tokens"], 9);

        let error = |text: &str| ProviderError::from_body(text.as_bytes()).expect("an error");
        let unknown = error(r#"{"error":{"message":"Unknown field: stream_options"}}"#);
        let second = first.learn(400, &unknown).expect("about the dialect");
        assert_eq!(body(second).get("stream_options"), None);
        assert_eq!(second.learn(400, &unknown), None, "asked once only");

        let renamed = error(
            r#"{"error":{"param":"max_tokens","message":"Use 'max_completion_tokens' instead."}}"#,
        );
        let third = second.learn(400, &renamed).expect("about the dialect");
        assert_eq!(
            (
                body(third)["max_completion_tokens"].as_u64(),
                body(third).get("max_tokens")
            ),
            (Some(9), None)
        );
        assert_eq!(first.learn(500, &unknown), None);
    }
}
