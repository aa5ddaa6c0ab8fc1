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

use super::dialect::Dialect;
use super::ending::Ending;
use super::failure::Failure;
use super::json::{emit, error_frame, read_unusual, text};

/// Where the request goes, below the base URL.
pub(super) const PATH: &str = "chat/completions";

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
    ending: Ending,
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
        if self.ending.done || !matches!(event.name, "message" | "error") {
            return Ok(());
        }
        if event.data.trim() == "[DONE]" {
            self.ending.done = true;
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
                id: "",
            },
            out,
        )?;
        self.ending.done = true;
        Ok(())
    }

    pub(super) fn ending(&self) -> &Ending {
        &self.ending
    }

    fn take(&mut self, chunk: &Chunk<'_>, out: &mut impl FnMut(ChatEvent<'_>)) {
        if let Some(usage) = &chunk.usage {
            self.ending.usage = Some(usage.to_usage());
        }
        // Only one choice was asked for; an index is a number of the provider's, nothing to count by.
        let choices = chunk
            .choices
            .iter()
            .flatten()
            .filter(|choice| choice.index.unwrap_or(0) == 0);
        for choice in choices {
            if let Some(delta) = choice.delta.as_ref().or(choice.message.as_ref()) {
                // Some servers send the same reasoning under two names.
                let reasoning = [
                    &delta.reasoning_content,
                    &delta.reasoning,
                    &delta.reasoning_text,
                    &delta.thinking,
                ]
                .into_iter()
                .find_map(Option::as_ref);
                emit(reasoning, |text| out(ChatEvent::Reasoning(text)));
                emit(delta.content.as_ref(), |text| out(ChatEvent::Text(text)));
                emit(delta.refusal.as_ref(), |text| {
                    self.ending.refused = true;
                    out(ChatEvent::Text(text));
                });
            }
            if let Some(reason) = &choice.finish_reason {
                self.ending.finish = Some(match reason.as_ref() {
                    "length" | "max_tokens" => Finish::Length,
                    "content_filter" => Finish::ContentFilter,
                    "tool_calls" | "function_call" => Finish::ToolCalls,
                    // Whatever word a server has for it, it says that the answer ended.
                    _ => Finish::Stop,
                });
            }
        }
    }

    /// The slow way for what does not have the usual form: errors, lists of parts as content, and
    /// JSON that is odd in itself.
    fn map_unusual(
        &mut self,
        event: sse::Event<'_>,
        out: &mut impl FnMut(ChatEvent<'_>),
    ) -> Result<(), Failure> {
        let mut value = read_unusual(event)?;
        let is_error = event.name == "error"
            || value.get("error").is_some_and(|error| !error.is_null())
            // vLLM's older form, an error without anything around it.
            || value.get("object").is_some_and(|object| object == "error");
        if is_error || first_finish_reason(&value) == Some("error") {
            return Err(error_frame(&value));
        }
        flatten_parts(&mut value);
        // The text is moved out of a copy that owns it, so the plain way can take it from here.
        let chunk = Chunk::deserialize(&value)
            .map_err(|_| Failure::stream(ErrorKind::UpstreamMalformed, "not a chunk"))?;
        self.take(&chunk, out);
        Ok(())
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
            for field in [
                "content",
                "reasoning",
                "reasoning_content",
                "reasoning_text",
                "thinking",
                "refusal",
            ] {
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
        // Without choices it is a keep-alive, a count of tokens, or an error of some form.
        let has_failed = |choices: &Vec<Choice<'_>>| choices.iter().any(failed);
        self.error.is_none() && self.choices.as_ref().is_some_and(|all| !has_failed(all))
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
    reasoning_text: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "text")]
    thinking: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "text")]
    refusal: Option<Cow<'a, str>>,
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
            let result = mapper.map(
                sse::Event { name, data, id: "" },
                &mut |event| match event {
                    ChatEvent::Text(piece) => text.push_str(&piece),
                    ChatEvent::Reasoning(piece) => reasoning.push_str(&piece),
                    other => panic!("{other:?}"),
                },
            );
            if let Err(failure) = result {
                return (text, reasoning, Err(failure.kind));
            }
        }
        (text, reasoning, Ok(mapper.ending().finish()))
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
        for name in ["reasoning_content", "reasoning_text", "thinking"] {
            let data = format!(r#"{{"choices":[{{"delta":{{"{name}":"r","content":""}}}}]}}"#);
            check(&[&data], "", "r", Ok(None));
        }
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
            &[
                r#"{"object":"error","message":"maximum context length is 9","type":"BadRequestError","code":400}"#,
            ],
            "",
            "",
            Err(ErrorKind::ContextLength),
        );
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
        assert_eq!(
            (text.as_str(), mapper.ending().finish()),
            ("Hi", Some(Finish::Stop))
        );
        assert_eq!(
            mapper.ending().usage.and_then(|usage| usage.prompt_tokens),
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
    fn the_request_is_written_as_the_server_wants_it() {
        let mut prompt = ChatRequest::new(vec![ChatMessage {
            role: Role::User,
            content: "Hi".into(),
        }]);
        prompt.max_tokens = Some(9);
        let body = |dialect| {
            serde_json::from_slice::<Value>(&request(&prompt, "m", dialect)).expect("JSON")
        };
        let first = body(Dialect::default());
        assert_eq!(first["stream_options"]["include_usage"], true);
        assert_eq!(first["max_tokens"], 9);
        let other = body(Dialect {
            stream_options: false,
            max_completion_tokens: true,
            ..Dialect::default()
        });
        assert_eq!(other.get("stream_options"), None);
        assert_eq!(
            (
                other["max_completion_tokens"].as_u64(),
                other.get("max_tokens")
            ),
            (Some(9), None)
        );
    }
}
