//! OpenAI's Chat Completions API as two pure parts: the body of a request, and a mapper from the
//! events of its stream to ours.
//!
//! Many servers speak this API, each a little differently; what they differ in is accepted here, so
//! that nobody downstream can tell which one it was. No I/O happens here.
//!
//! Source: <https://platform.openai.com/docs/api-reference/chat/create> and the replies of the
//! compatible servers in `server/tests/conformance`.

use app::protocol::{ChatEvent, ChatMessage, ChatRequest, ErrorKind, ReasoningEffort, Usage};
use app::sse;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::providers::api::ending::Ending;
use crate::providers::api::json::{can_be_plain, read_unusual};
use crate::providers::api::lenient::{List, Number, Object, Presence, Text};
use crate::providers::api::said::{CumulativeText, EmittedText};
use crate::providers::caching::{self, Caching};
use crate::providers::error::Failure;
use crate::providers::error::body::{ErrorSearch, error_frame, error_in, is_nothing};
use crate::providers::quirks::{Optional, Quirks};

/// Where the request goes, below the base URL.
pub(in crate::providers) const PATH: &str = "chat/completions";

/// The JSON body of a streaming request.
#[must_use]
pub fn request(prompt: &ChatRequest, model: &str, quirks: Quirks, caching: Caching<'_>) -> Vec<u8> {
    #[derive(Serialize)]
    struct StreamOptions {
        include_usage: bool,
    }
    #[derive(Serialize)]
    struct ChatCompletionsBody<'a> {
        model: &'a str,
        messages: Vec<caching::CachedMessage<'a>>,
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
        #[serde(skip_serializing_if = "Option::is_none")]
        prompt_cache_key: Option<&'a str>,
    }
    let limit = quirks.limit(prompt.max_tokens);
    let is_stream = quirks.sends(Optional::Stream);
    let messages: Vec<&ChatMessage> = prompt.messages.iter().collect();
    let (_, messages) = caching::mark(None, &messages, caching, quirks);
    let body = ChatCompletionsBody {
        model,
        messages,
        stream: is_stream,
        stream_options: (is_stream && quirks.sends(Optional::StreamOptions)).then_some(
            StreamOptions {
                include_usage: true,
            },
        ),
        temperature: prompt
            .temperature
            .filter(|_| quirks.sends(Optional::Temperature)),
        max_tokens: limit.filter(|_| !quirks.max_completion_tokens),
        max_completion_tokens: limit.filter(|_| quirks.max_completion_tokens),
        reasoning_effort: prompt
            .reasoning_effort
            .filter(|_| quirks.sends(Optional::ReasoningEffort)),
        prompt_cache_key: caching.key(quirks),
    };
    serde_json::to_vec(&body).expect("strings and finite numbers always become JSON")
}

/// Maps the events of one stream to ours.
#[derive(Debug, Default)]
pub struct ChatCompletionsMapper {
    ending: Ending,
    /// The number of the choice that is read: only one was asked for.
    choice: Option<u64>,
    /// The text that came in pieces.
    said: EmittedText,
    has_thought_pieces: bool,
    /// Text and reasoning that come in whole messages instead of pieces.
    messages: CumulativeText,
    message_thoughts: CumulativeText,
    /// Reasoning that comes in lists of details, which may hold all that came before.
    details: CumulativeText,
}

impl ChatCompletionsMapper {
    /// Maps one event; what it holds of the answer is handed to `out`.
    ///
    /// # Errors
    /// When the event is an error of the provider, or not readable at all.
    pub fn map(
        &mut self,
        event: sse::Event<'_>,
        out: &mut impl FnMut(ChatEvent<'_>),
    ) -> Result<(), Failure> {
        if self.ending.is_over_at(event.data) {
            return Ok(());
        }
        if can_be_plain(&event)
            && let Ok(chunk) = serde_json::from_str::<ChatChunk<'_>>(event.data)
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
    /// As [`ChatCompletionsMapper::map`].
    pub fn map_completion(
        &mut self,
        body: &[u8],
        out: &mut impl FnMut(ChatEvent<'_>),
    ) -> Result<(), Failure> {
        let text = String::from_utf8_lossy(body);
        let event = sse::Event {
            name: "message",
            data: &text,
            id: "",
        };
        self.map_unusual(event, out)?;
        self.ending.done = true;
        Ok(())
    }

    pub(in crate::providers) fn ending(&self) -> &Ending {
        &self.ending
    }

    fn take(&mut self, chunk: &ChatChunk<'_>, out: &mut impl FnMut(ChatEvent<'_>)) {
        self.note_usage(chunk.usage.get());
        for choice in &chunk.choices.0 {
            if let (Some(index), Some(read)) = (choice.index.0, self.choice)
                && index != read
            {
                continue;
            }
            let word = choice.finish_reason.get();
            let mut brought = false;
            if let Some(delta) = choice.delta.get() {
                brought |= self.take_piece(delta, word.is_some(), out);
            }
            if let Some(text) = choice.text.get() {
                brought |= self.take_text(text, word.is_some(), out);
            }
            if let Some(message) = choice.message.get()
                && !brought
            {
                brought = self.take_message(message, out);
            }
            if self.choice.is_none() && brought {
                self.choice = choice.index.0;
            }
            if let Some(word) = word {
                self.ending.note_word(word);
            }
        }
    }

    /// Takes a piece of the answer. Whether there was any text or reasoning in it.
    fn take_piece(
        &mut self,
        delta: &ChatDelta<'_>,
        is_last: bool,
        out: &mut impl FnMut(ChatEvent<'_>),
    ) -> bool {
        self.ending.called_tool |= delta.calls_tool();
        let mut brought = false;
        if let Some(text) = delta.thought() {
            self.has_thought_pieces = true;
            self.ending.note_reasoning();
            out(ChatEvent::Reasoning(text.into()));
            brought = true;
        }
        if let Some(text) = delta.content.get() {
            brought |= self.take_text(text, is_last, out);
        }
        if let Some(text) = delta.refusal.get() {
            self.ending.refused = true;
            brought |= self.take_text(text, is_last, out);
        }
        brought
    }

    fn take_text(
        &mut self,
        text: &str,
        is_last: bool,
        out: &mut impl FnMut(ChatEvent<'_>),
    ) -> bool {
        if is_last && self.said.is_repeated_by(text) {
            return true;
        }
        self.said.add(text);
        self.ending.note_text();
        out(ChatEvent::Text(text.into()));
        true
    }

    /// Takes a whole message: the answer of a server that does not stream, or all that came so far,
    /// or, at the end of a stream, all that was said in pieces before.
    fn take_message(
        &mut self,
        message: &ChatDelta<'_>,
        out: &mut impl FnMut(ChatEvent<'_>),
    ) -> bool {
        self.ending.called_tool |= message.calls_tool();
        let thought = message.thought().unwrap_or_default();
        if !self.has_thought_pieces {
            let new = self.message_thoughts.rest(thought);
            if !new.is_empty() {
                self.ending.note_reasoning();
                out(ChatEvent::Reasoning(new.into()));
            }
        }
        if self.said.is_any() {
            return false;
        }
        let refusal = message.refusal.get();
        self.ending.refused |= refusal.is_some();
        let mut brought = false;
        for text in [message.content.get(), refusal].into_iter().flatten() {
            let new = self.messages.rest(text);
            if !new.is_empty() {
                self.ending.note_text();
                out(ChatEvent::Text(new.into()));
                brought = true;
            }
        }
        brought
    }

    fn note_usage(&mut self, usage: Option<&ChatUsage>) {
        if let Some(usage) = usage {
            self.ending.note_usage(usage.to_usage());
        }
    }

    /// The slow way for what does not have the usual form: errors, lists of parts as content, and
    /// JSON that is odd in itself.
    fn map_unusual(
        &mut self,
        event: sse::Event<'_>,
        out: &mut impl FnMut(ChatEvent<'_>),
    ) -> Result<(), Failure> {
        match read_unusual(event)? {
            None | Some(Value::String(_)) if event.name != "error" => Ok(()),
            // Several events in the place of one.
            Some(Value::Array(mut events)) if events.iter().any(Value::is_object) => events
                .iter_mut()
                .try_for_each(|value| self.map_value(event.name, value, out)),
            Some(mut value @ Value::Object(_)) => self.map_value(event.name, &mut value, out),
            value if event.name == "error" => Err(error_frame(&value.unwrap_or_default())),
            _ => Err(Failure::stream(ErrorKind::UpstreamMalformed, "not a chunk")),
        }
    }

    fn map_value(
        &mut self,
        name: &str,
        value: &mut Value,
        out: &mut impl FnMut(ChatEvent<'_>),
    ) -> Result<(), Failure> {
        self.flatten(value);
        // The text is moved out of a copy that owns it, so the plain way can take it from here.
        let chunk = ChatChunk::deserialize(&*value)
            .map_err(|_| Failure::stream(ErrorKind::UpstreamMalformed, "not a chunk"))?;
        let has_choices = !chunk.choices.0.is_empty();
        self.take(&chunk, out);
        if chunk.choices.0.iter().any(|choice| choice.usage.0) {
            let usage = value.pointer("/choices/0/usage");
            let usage = usage.and_then(|usage| Object::<ChatUsage>::deserialize(usage).ok());
            self.note_usage(usage.as_ref().and_then(Object::get));
        }
        if name == "error" {
            return Err(error_frame(value));
        }
        if let Some(error) = error_of_choice(value) {
            return Err(error_frame(error));
        }
        // Other names than the usual are for events about something else, which are not ours to
        // interpret; only the answer itself may come under any name.
        let is_ours = name == "message";
        match error_in(value) {
            ErrorSearch::Failed(failure) if is_ours && (!has_choices || chunk.error.0) => {
                Err(failure)
            }
            ErrorSearch::Failed(failure) | ErrorSearch::Suspected(failure) if !has_choices => {
                self.ending.suspect(failure);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Turns what holds text in another form into the usual one: lists of parts, as Mistral sends
    /// them, a text in the place of an object, numbers in the place of a text.
    fn flatten(&mut self, value: &mut Value) {
        match value.get_mut("choices") {
            Some(Value::Array(choices)) => {
                choices
                    .iter_mut()
                    .for_each(|choice| self.flatten_choice(choice));
            }
            Some(choice @ Value::Object(_)) => self.flatten_choice(choice),
            _ => {}
        }
    }

    fn flatten_choice(&mut self, choice: &mut Value) {
        let Some(choice) = choice.as_object_mut() else {
            return;
        };
        if let Some(word) = choice.get("finish_reason").and_then(word_of) {
            let word = word.to_owned();
            choice.insert("finish_reason".into(), word.into());
        }
        for name in ["delta", "message"] {
            if let Some(text @ Value::String(_)) = choice.get(name) {
                let delta = serde_json::json!({ "content": text });
                choice.insert(name.into(), delta);
            }
            let Some(delta) = choice.get_mut(name).and_then(Value::as_object_mut) else {
                continue;
            };
            let (mut text, mut thought) = (String::new(), String::new());
            collect(delta.get("content"), &mut text, &mut thought);
            delta.insert("content".into(), text.into());
            for field in [
                "reasoning_content",
                "reasoning",
                "reasoning_text",
                "thinking",
            ] {
                if thought.is_empty() {
                    let mut of_field = String::new();
                    collect(delta.get(field), &mut of_field, &mut thought);
                    thought.push_str(&of_field);
                }
                delta.remove(field);
            }
            if thought.is_empty() {
                let mut details = String::new();
                collect(delta.get("reasoning_details"), &mut details, &mut thought);
                details.push_str(&thought);
                self.details
                    .rest_of_piece(&details)
                    .clone_into(&mut thought);
            }
            delta.insert("reasoning_content".into(), thought.into());
            let (mut refusal, mut ignored) = (String::new(), String::new());
            collect(delta.get("refusal"), &mut refusal, &mut ignored);
            delta.insert("refusal".into(), refusal.into());
        }
    }
}

/// The word in a finish reason that is no text: `{"type": "stop"}`.
fn word_of(reason: &Value) -> Option<&str> {
    match reason {
        Value::Array(list) => list.iter().find_map(word_of),
        Value::Object(fields) => ["type", "reason", "finish_reason", "value", "name"]
            .iter()
            .find_map(|name| fields.get(*name)?.as_str()),
        Value::String(word) => Some(word),
        _ => None,
    }
}

/// The error of a choice, as OpenRouter sends it.
fn error_of_choice(value: &Value) -> Option<&Value> {
    let choices = value.get("choices")?.as_array()?;
    let mut errors = choices.iter().filter_map(|choice| choice.get("error"));
    errors.find(|error| !is_nothing(error))
}

/// Adds the text and the reasoning in a value of any form.
fn collect(value: Option<&Value>, text: &mut String, thought: &mut String) {
    match value {
        Some(Value::String(piece)) => text.push_str(piece),
        Some(Value::Number(number)) => text.push_str(&number.to_string()),
        Some(Value::Array(parts)) => parts
            .iter()
            .for_each(|part| collect(Some(part), text, thought)),
        Some(Value::Object(part)) => {
            for name in ["thinking", "reasoning"] {
                let mut inner = String::new();
                collect(part.get(name), &mut inner, thought);
                thought.push_str(&inner);
            }
            for name in ["text", "content", "value", "summary", "parts"] {
                collect(part.get(name), text, thought);
            }
        }
        _ => {}
    }
}

/// One event of the stream, as far as it is of interest. Text is borrowed from the event where it
/// has no escapes. Each field may hold anything.
#[derive(Deserialize)]
struct ChatChunk<'a> {
    #[serde(borrow, default)]
    choices: List<ChatChoice<'a>>,
    #[serde(default)]
    usage: Object<ChatUsage>,
    /// Only looked at for being there; the slow way reads it.
    #[serde(default)]
    error: Presence,
}

impl ChatChunk<'_> {
    /// Whether all of it can be read as it is. Without choices it is a keep-alive, a count of tokens,
    /// or an error of some form.
    fn is_plain(&self) -> bool {
        !self.error.0
            && !self.choices.0.is_empty()
            && self.choices.0.iter().all(ChatChoice::is_plain)
    }
}

#[derive(Deserialize)]
struct ChatChoice<'a> {
    #[serde(default)]
    index: Number,
    #[serde(borrow, default)]
    delta: Object<ChatDelta<'a>>,
    /// A whole message, in an answer that is no stream.
    #[serde(borrow, default)]
    message: Object<ChatDelta<'a>>,
    /// The text in the older API for completions.
    #[serde(borrow, default)]
    text: Text<'a>,
    #[serde(borrow, default)]
    finish_reason: Text<'a>,
    /// Moonshot counts here, at the end; the slow way reads it.
    #[serde(default)]
    usage: Presence,
    #[serde(default)]
    error: Presence,
}

impl ChatChoice<'_> {
    fn is_plain(&self) -> bool {
        let is_plain = |piece: &Object<ChatDelta<'_>>| match piece {
            Object::Is(delta) => delta.is_plain(),
            Object::Missing => true,
            Object::Other => false,
        };
        !self.error.0
            && !self.usage.0
            && !self.finish_reason.is_other()
            && is_plain(&self.delta)
            && is_plain(&self.message)
    }
}

#[derive(Deserialize)]
struct ChatDelta<'a> {
    #[serde(borrow, default)]
    content: Text<'a>,
    #[serde(borrow, default)]
    reasoning_content: Text<'a>,
    #[serde(borrow, default)]
    reasoning: Text<'a>,
    #[serde(borrow, default)]
    reasoning_text: Text<'a>,
    #[serde(borrow, default)]
    thinking: Text<'a>,
    #[serde(borrow, default)]
    refusal: Text<'a>,
    #[serde(default)]
    reasoning_details: Presence,
    #[serde(default)]
    tool_calls: Presence,
    #[serde(default)]
    function_call: Presence,
}

impl ChatDelta<'_> {
    /// The reasoning, under the first name that is not empty: some servers use two.
    fn thought(&self) -> Option<&str> {
        [
            &self.reasoning_content,
            &self.reasoning,
            &self.reasoning_text,
            &self.thinking,
        ]
        .into_iter()
        .find_map(Text::get)
    }

    fn calls_tool(&self) -> bool {
        self.tool_calls.0 || self.function_call.0
    }

    fn is_plain(&self) -> bool {
        let has_other_thought = || {
            self.reasoning_details.0
                || self.reasoning_content.is_other()
                || self.reasoning.is_other()
                || self.reasoning_text.is_other()
                || self.thinking.is_other()
        };
        !self.content.is_other()
            && !self.refusal.is_other()
            && (self.thought().is_some() || !has_other_thought())
    }
}

#[derive(Default, Deserialize)]
struct ChatUsage {
    #[serde(default)]
    prompt_tokens: Number,
    #[serde(default)]
    completion_tokens: Number,
    #[serde(default)]
    completion_tokens_details: Object<CompletionDetails>,
    #[serde(default)]
    prompt_tokens_details: Object<PromptDetails>,
    /// Other names for the first two, and for what came from the cache.
    #[serde(default)]
    input_tokens: Number,
    #[serde(default)]
    output_tokens: Number,
    #[serde(default)]
    cached_tokens: Number,
    #[serde(default)]
    prompt_cache_hit_tokens: Number,
    #[serde(default)]
    input_tokens_details: Object<PromptDetails>,
    /// Anthropic's names, which gateways to it keep.
    #[serde(default)]
    cache_read_input_tokens: Number,
    #[serde(default)]
    cache_creation_input_tokens: Number,
}

#[derive(Deserialize)]
struct CompletionDetails {
    #[serde(default)]
    reasoning_tokens: Number,
}

#[derive(Deserialize)]
struct PromptDetails {
    #[serde(default)]
    cached_tokens: Number,
    #[serde(default)]
    cache_write_tokens: Number,
    #[serde(default)]
    cache_creation_tokens: Number,
}

impl ChatUsage {
    fn to_usage(&self) -> Usage {
        let completion = self.completion_tokens_details.get();
        let details = [&self.prompt_tokens_details, &self.input_tokens_details];
        let details = || details.into_iter().filter_map(Object::get);
        // The same count may have several names, of which some say 0.
        let cached = details()
            .map(|details| details.cached_tokens.0)
            .chain([
                self.cached_tokens.0,
                self.prompt_cache_hit_tokens.0,
                self.cache_read_input_tokens.0,
            ])
            .max()
            .flatten();
        let written = details()
            .flat_map(|details| {
                [
                    details.cache_write_tokens.0,
                    details.cache_creation_tokens.0,
                ]
            })
            .chain([self.cache_creation_input_tokens.0])
            .max()
            .flatten();
        Usage {
            prompt_tokens: all_input(
                self.prompt_tokens.0.or(self.input_tokens.0),
                cached,
                written,
            ),
            completion_tokens: self.completion_tokens.0.or(self.output_tokens.0),
            reasoning_tokens: completion.and_then(|details| details.reasoning_tokens.0),
            cached_tokens: cached,
            cache_write_tokens: written,
        }
    }
}

/// All tokens of the input. By this API they include what came from the cache and went into it; some
/// gateways to Anthropic's API leave both out, as that one does, which shows where there are more.
fn all_input(told: Option<u64>, cached: Option<u64>, written: Option<u64>) -> Option<u64> {
    let apart = cached.unwrap_or(0).saturating_add(written.unwrap_or(0));
    told.map(|told| {
        if apart > told {
            told.saturating_add(apart)
        } else {
            told
        }
    })
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::providers::api::Api;
    use crate::providers::api::mapped::{Mapped, mapped};
    use app::protocol::{Finish, Role};

    fn map(events: &[(&str, &str)]) -> Mapped {
        mapped(Api::ChatCompletions, events)
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
        check(&["[DONE]"], "", "", Err(ErrorKind::UpstreamEmpty));
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
                r#"{"choices":[{"index":0,"delta":{"content":"A"}}]}"#,
                r#"{"choices":[{"index":2147483647,"delta":{"content":"B"}}]}"#,
                "[DONE]",
                r#"{"choices":[{"delta":{"content":"late"}}]}"#,
            ],
            "A",
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
    fn counts_of_tokens_are_found_where_servers_write_them() {
        let check = |data: &str, prompt, cached| {
            let mut mapper = ChatCompletionsMapper::default();
            let event = sse::Event {
                name: "message",
                data,
                id: "",
            };
            mapper.map(event, &mut |_| ()).expect("an event");
            let usage = mapper.ending().usage.expect("counts");
            assert_eq!(
                (usage.prompt_tokens, usage.cached_tokens),
                (prompt, cached),
                "{data}"
            );
        };
        check(
            r#"{"choices":[],"usage":{"prompt_tokens":3.0,"cached_tokens":"2"}}"#,
            Some(3),
            Some(2),
        );
        check(
            r#"{"choices":[{"delta":{},"finish_reason":"stop","usage":{"prompt_tokens":3}}]}"#,
            Some(3),
            None,
        );
        check(
            r#"{"usage":{"input_tokens":3,"prompt_cache_hit_tokens":1}}"#,
            Some(3),
            Some(1),
        );
        check(
            r#"{"usage":{"prompt_tokens":9,"prompt_tokens_details":{"cached_tokens":0},"prompt_cache_hit_tokens":4}}"#,
            Some(9),
            Some(4),
        );
        check(
            r#"{"usage":{"prompt_tokens":9,"input_tokens_details":{"cached_tokens":4}}}"#,
            Some(9),
            Some(4),
        );
        // Gateways to Anthropic's API, with and without what came from the cache in the sum.
        check(
            r#"{"usage":{"prompt_tokens":109,"cache_read_input_tokens":90,"cache_creation_input_tokens":10}}"#,
            Some(109),
            Some(90),
        );
        check(
            r#"{"usage":{"prompt_tokens":9,"cache_read_input_tokens":90,"cache_creation_input_tokens":10}}"#,
            Some(109),
            Some(90),
        );
    }

    #[test]
    fn a_whole_completion_is_an_answer_too() {
        let mut mapper = ChatCompletionsMapper::default();
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
            (text.as_str(), mapper.ending().verdict()),
            ("Hi", Some(Ok(Finish::Stop)))
        );
        assert_eq!(
            mapper.ending().usage.and_then(|usage| usage.prompt_tokens),
            Some(5)
        );
    }

    #[test]
    fn text_without_escapes_is_borrowed() {
        let chunk: ChatChunk<'_> =
            serde_json::from_str(r#"{"choices":[{"delta":{"content":"plain"}}]}"#).expect("valid");
        let content = chunk.choices.0[0].delta.get().map(|delta| &delta.content);
        assert!(matches!(content, Some(Text::Plain(Cow::Borrowed("plain")))));
    }

    #[test]
    fn the_request_is_written_as_the_server_wants_it() {
        let mut prompt = ChatRequest::new(vec![ChatMessage {
            role: Role::User,
            content: "Hi".into(),
        }]);
        prompt.max_tokens = Some(9);
        let body = |quirks| {
            serde_json::from_slice::<Value>(&request(&prompt, "m", quirks, Caching::default()))
                .expect("JSON")
        };
        let first = body(Quirks::default());
        assert_eq!(first["stream_options"]["include_usage"], true);
        assert_eq!(first["max_tokens"], 9);
        let renamed = Quirks {
            max_completion_tokens: true,
            ..Quirks::default()
        };
        let other = body(renamed.without(Optional::StreamOptions));
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
