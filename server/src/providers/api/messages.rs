//! Anthropic's Messages API as two pure parts: the body of a request, and a mapper from the events of
//! its stream to ours.
//!
//! An answer comes in blocks: text, thinking, calls of tools. Signatures and the input of tools are
//! passed over, as are pings and events that are not known. No I/O happens here.
//!
//! Source: <https://docs.claude.com/en/api/messages-streaming> and the replies in
//! `server/tests/conformance`.

use app::protocol::{ChatEvent, ChatRequest, ErrorKind, ReasoningEffort, Role, Usage};
use app::sse;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::providers::api::ending::Ending;
use crate::providers::api::json::{can_be_plain, read_unusual};
use crate::providers::api::lenient::{List, Number, Object, Presence, Text};
use crate::providers::api::parts::Parts;
use crate::providers::caching::{self, Caching};
use crate::providers::error::Failure;
use crate::providers::error::body::{ErrorSearch, error_frame, error_in, is_nothing};
use crate::providers::quirks::{Optional, Quirks, Thinking};

/// Where the request goes, below the base URL that ends in `/v1`.
pub(in crate::providers) const PATH: &str = "messages";

/// The version of the API that this file speaks, as a header tells it.
pub(in crate::providers) const VERSION: &str = "2023-06-01";

/// The limit that is sent where none was set: this API wants one. A model that allows less says how
/// much, which is learnt.
const MOST_TOKENS: u32 = 32_000;

/// The least room for the answer beside a budget for thinking, which counts against the limit too.
const LEAST_ANSWER: u32 = 1024;

/// The JSON body of a streaming request.
#[must_use]
pub fn request(prompt: &ChatRequest, model: &str, quirks: Quirks, caching: Caching<'_>) -> Vec<u8> {
    #[derive(Serialize)]
    #[serde(tag = "type", rename_all = "snake_case")]
    enum Think {
        Adaptive { display: &'static str },
        Enabled { budget_tokens: u32 },
    }
    #[derive(Serialize)]
    struct OutputConfig {
        effort: ReasoningEffort,
    }
    #[derive(Serialize)]
    struct MessagesBody<'a> {
        model: &'a str,
        max_tokens: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        system: Option<caching::CachedContent<'a>>,
        messages: Vec<caching::CachedMessage<'a>>,
        stream: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        temperature: Option<f64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        thinking: Option<Think>,
        #[serde(skip_serializing_if = "Option::is_none")]
        output_config: Option<OutputConfig>,
    }
    let system: Vec<&str> = prompt
        .messages
        .iter()
        .filter(|message| message.role == Role::System)
        .map(|message| message.content.as_str())
        .collect();
    let turns = prompt.messages.iter().filter(|message| {
        // This API refuses a conversation with an empty message in it.
        message.role != Role::System && !message.content.trim().is_empty()
    });
    // And one that does not begin with a question. A greeting before it is no loss.
    let has_question = turns.clone().any(|message| message.role == Role::User);
    let messages: Vec<_> = turns
        .skip_while(|message| has_question && message.role != Role::User)
        .collect();
    let system = system.join("\n\n");
    let instructions = (!system.is_empty()).then_some(system.as_str());
    let (system, messages) = caching::mark(instructions, &messages, caching, quirks);
    let max_tokens = prompt
        .max_tokens
        .unwrap_or(MOST_TOKENS)
        .min(quirks.most_tokens.unwrap_or(u32::MAX));
    let (thinking, effort) = match (prompt.reasoning_effort, quirks.thinking) {
        (None, _) | (_, Thinking::Never) => (None, None),
        (effort, Thinking::Adaptive) => (
            Some(Think::Adaptive {
                display: "summarized",
            }),
            effort,
        ),
        (Some(effort), Thinking::Budget) => (
            budget(effort, max_tokens).map(|budget_tokens| Think::Enabled { budget_tokens }),
            None,
        ),
    };
    let body = MessagesBody {
        model,
        max_tokens,
        system,
        messages,
        stream: quirks.sends(Optional::Stream),
        // Here it goes up to 1, and a model that thinks wants it left alone.
        temperature: prompt
            .temperature
            .filter(|_| thinking.is_none() && quirks.sends(Optional::Temperature))
            .map(|temperature| temperature.min(1.0)),
        thinking,
        output_config: effort.map(|effort| OutputConfig { effort }),
    };
    serde_json::to_vec(&body).expect("strings and finite numbers always become JSON")
}

/// How many tokens to think with, if the limit leaves room for that: at least 1024, says the API.
fn budget(effort: ReasoningEffort, max_tokens: u32) -> Option<u32> {
    let wanted = match effort {
        ReasoningEffort::Low => 2048,
        ReasoningEffort::Medium => 8192,
        ReasoningEffort::High => 16_384,
    };
    let room = max_tokens.saturating_sub(LEAST_ANSWER);
    (room >= 1024).then_some(wanted.min(room))
}

/// Maps the events of one stream to ours.
#[derive(Debug, Default)]
pub struct MessagesMapper {
    ending: Ending,
    text: Parts,
    reasoning: Parts,
    /// The tokens of the question that were counted apart: what was read from the provider's cache,
    /// and what was written to it.
    cached: Option<u64>,
    written: Option<u64>,
    /// The other tokens of the question.
    input: Option<u64>,
}

impl MessagesMapper {
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
            && let Ok(plain) = serde_json::from_str::<MessagesEvent<'_>>(event.data)
            && plain.is_plain()
            && self.take(&plain, event.name, out)
        {
            return Ok(());
        }
        self.map_unusual(event, out)
    }

    /// Maps a whole message, which some servers send although a stream was asked for.
    ///
    /// # Errors
    /// As [`MessagesMapper::map`].
    pub fn map_completion(
        &mut self,
        body: &[u8],
        out: &mut impl FnMut(ChatEvent<'_>),
    ) -> Result<(), Failure> {
        let value = read_unusual(sse::Event {
            name: "message",
            data: &String::from_utf8_lossy(body),
            id: "",
        })?
        .unwrap_or_default();
        let value = match &value {
            Value::Array(list) => list.first().unwrap_or(&Value::Null),
            value => value,
        };
        let has_error = value.get("error").is_some_and(|error| !is_nothing(error));
        if (value.get("content").is_none() || has_error)
            && let ErrorSearch::Failed(failure) | ErrorSearch::Suspected(failure) = error_in(value)
        {
            return Err(failure);
        }
        let not_a_message = || Failure::stream(ErrorKind::UpstreamMalformed, "not a message");
        let message = WholeMessage::deserialize(value).map_err(|_| not_a_message())?;
        let text = value.get("content").and_then(Value::as_str);
        if text.is_none() && !value.get("content").is_some_and(Value::is_array) {
            return Err(not_a_message());
        }
        self.emit_text(None, text.unwrap_or_default(), out);
        for (index, block) in (0..).zip(&message.content.0) {
            self.take_piece(Some(index), block, out);
        }
        self.note_usage(message.usage.get());
        self.note_finish(message.stop_reason.get());
        self.ending.done = true;
        Ok(())
    }

    pub(in crate::providers) fn ending(&self) -> &Ending {
        &self.ending
    }

    /// Takes an event of a kind that is known. Its data tells the kind, or else its name.
    fn take(
        &mut self,
        event: &MessagesEvent<'_>,
        name: &str,
        out: &mut impl FnMut(ChatEvent<'_>),
    ) -> bool {
        let told = event.kind.get().filter(|kind| is_known(kind));
        match told.unwrap_or(name) {
            "content_block_delta" => {
                if let Some(delta) = event.delta.get() {
                    self.take_piece(event.index.0, delta, out);
                }
            }
            // A block begins empty, but need not.
            "content_block_start" => {
                if let Some(block) = event.content_block.get() {
                    self.take_piece(event.index.0, block, out);
                }
            }
            "message_start" => {
                self.note_usage(event.message.get().and_then(|m| m.usage.get()));
            }
            "message_delta" => {
                self.note_usage(event.usage.get());
                self.note_finish(event.delta.get().and_then(|d| d.stop_reason.get()));
            }
            "message_stop" => self.ending.done = true,
            "content_block_stop" | "ping" => {}
            _ => return false,
        }
        true
    }

    fn take_piece(
        &mut self,
        index: Option<u64>,
        piece: &ContentPiece<'_>,
        out: &mut impl FnMut(ChatEvent<'_>),
    ) {
        let part = index.map(|index| (index, 0));
        let kind = piece.kind.get().unwrap_or_default();
        self.ending.called_tool |= kind == "tool_use";
        // What a piece is, its fields tell too, should its type be odd.
        let is_text = matches!(kind, "text_delta" | "text");
        if let Some(thought) = piece.thinking.get()
            && !is_text
        {
            self.ending.note_reasoning();
            self.reasoning
                .emit(part, thought, |text| out(ChatEvent::Reasoning(text)));
        } else if let Some(text) = piece.text.get() {
            self.emit_text(part, text, out);
        }
    }

    fn emit_text(
        &mut self,
        part: Option<(u64, u64)>,
        text: &str,
        out: &mut impl FnMut(ChatEvent<'_>),
    ) {
        if !text.is_empty() {
            self.ending.note_text();
            self.text
                .emit(part, text, |text| out(ChatEvent::Text(text)));
        }
    }

    /// Errors, events of other kinds, and JSON that is odd in itself.
    fn map_unusual(
        &mut self,
        event: sse::Event<'_>,
        out: &mut impl FnMut(ChatEvent<'_>),
    ) -> Result<(), Failure> {
        let Some(mut value) = read_unusual(event)? else {
            return Ok(());
        };
        if event.name == "error" {
            return Err(error_frame(&value));
        }
        if !value.is_object() {
            return match value {
                Value::Array(_) => Err(Failure::stream(
                    ErrorKind::UpstreamMalformed,
                    "not an event",
                )),
                _ => Ok(()),
            };
        }
        flatten(&mut value);
        let read = MessagesEvent::deserialize(&value)
            .map_err(|_| Failure::stream(ErrorKind::UpstreamMalformed, "not an event"))?;
        let is_known = self.take(&read, event.name, out);
        match error_in(&value) {
            ErrorSearch::Failed(failure) if !is_known || read.error.0 => {
                if event.name == "message" || read.error.0 || value["type"] == "error" {
                    return Err(failure);
                }
                self.ending.suspect(failure);
            }
            ErrorSearch::Suspected(failure) if !is_known => self.ending.suspect(failure),
            _ => {}
        }
        Ok(())
    }

    fn note_usage(&mut self, usage: Option<&MessagesUsage>) {
        let Some(usage) = usage else { return };
        // The counts grow while the answer does; a later event need not repeat them.
        let later = |new: Option<u64>, known: Option<u64>| new.filter(|n| *n > 0).or(known).or(new);
        self.cached = later(usage.cache_read_input_tokens.0, self.cached);
        self.written = later(usage.written(), self.written);
        self.input = later(usage.input_tokens.0, self.input);
        let input = self.input.map(|input| {
            input
                .saturating_add(self.cached.unwrap_or(0))
                .saturating_add(self.written.unwrap_or(0))
        });
        self.ending.note_usage(Usage {
            prompt_tokens: input,
            completion_tokens: usage.output_tokens.0,
            reasoning_tokens: None,
            cached_tokens: self.cached.filter(|_| input.is_some()),
            cache_write_tokens: self.written.filter(|_| input.is_some()),
        });
    }

    fn note_finish(&mut self, stop_reason: Option<&str>) {
        if let Some(reason) = stop_reason {
            self.ending.note_word(reason);
        }
    }
}

/// Turns a text in the place of a piece into one.
fn flatten(value: &mut Value) {
    let is_text = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
    if let Some(delta) = value.get_mut("delta")
        && is_text(delta)
    {
        *delta = serde_json::json!({ "type": "text_delta", "text": delta.take() });
    }
}

fn is_known(kind: &str) -> bool {
    matches!(
        kind,
        "content_block_delta"
            | "content_block_start"
            | "content_block_stop"
            | "message_start"
            | "message_delta"
            | "message_stop"
            | "ping"
    )
}

/// One event of the stream, as far as it is of interest. Text is borrowed from the event where it
/// has no escapes. Each field may hold anything.
#[derive(Deserialize)]
struct MessagesEvent<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Text<'a>,
    #[serde(default)]
    index: Number,
    #[serde(borrow, default)]
    delta: Object<ContentPiece<'a>>,
    #[serde(borrow, default)]
    content_block: Object<ContentPiece<'a>>,
    #[serde(borrow, default)]
    message: Object<WholeMessage<'a>>,
    #[serde(default)]
    usage: Object<MessagesUsage>,
    /// Only looked at for being there; the slow way reads it.
    #[serde(default)]
    error: Presence,
}

impl MessagesEvent<'_> {
    fn is_plain(&self) -> bool {
        !self.error.0 && !self.delta.is_other() && self.kind.get() != Some("error")
    }
}

/// A block, or what is added to one, or to the message.
#[derive(Deserialize)]
struct ContentPiece<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Text<'a>,
    #[serde(borrow, default)]
    text: Text<'a>,
    #[serde(borrow, default)]
    thinking: Text<'a>,
    #[serde(borrow, default)]
    stop_reason: Text<'a>,
}

#[derive(Deserialize)]
struct WholeMessage<'a> {
    #[serde(borrow, default)]
    content: List<ContentPiece<'a>>,
    #[serde(borrow, default)]
    stop_reason: Text<'a>,
    #[serde(default)]
    usage: Object<MessagesUsage>,
}

#[derive(Deserialize)]
struct MessagesUsage {
    #[serde(default)]
    input_tokens: Number,
    #[serde(default)]
    output_tokens: Number,
    #[serde(default)]
    cache_read_input_tokens: Number,
    #[serde(default)]
    cache_creation_input_tokens: Number,
    /// The same by its lifetime.
    #[serde(default)]
    cache_creation: Object<CacheWrites>,
}

#[derive(Deserialize)]
struct CacheWrites {
    #[serde(default)]
    ephemeral_5m_input_tokens: Number,
    #[serde(default)]
    ephemeral_1h_input_tokens: Number,
}

impl MessagesUsage {
    /// The tokens that were written to the provider's cache.
    fn written(&self) -> Option<u64> {
        self.cache_creation_input_tokens.0.or_else(|| {
            let parts = self.cache_creation.get()?;
            let (short, long) = (
                parts.ephemeral_5m_input_tokens.0,
                parts.ephemeral_1h_input_tokens.0,
            );
            let sum = short.unwrap_or(0).saturating_add(long.unwrap_or(0));
            short.or(long).map(|_| sum)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::api::Api;
    use crate::providers::api::mapped::mapped;
    use app::protocol::{ChatMessage, Finish, Usage};
    use serde_json::json;

    /// Checks what the events of a stream become: text, reasoning, and the finish or the kind of the error.
    #[track_caller]
    fn check(
        events: &[Value],
        text: &str,
        reasoning: &str,
        end: Result<Option<Finish>, ErrorKind>,
    ) {
        let events: Vec<_> = events.iter().map(Value::to_string).collect();
        let events: Vec<_> = events
            .iter()
            .map(|data| ("message", data.as_str()))
            .collect();
        let expect = (text.to_owned(), reasoning.to_owned(), end);
        assert_eq!(mapped(Api::Messages, &events), expect);
    }

    fn delta(index: u64, delta: Value) -> Value {
        json!({"type": "content_block_delta", "index": index, "delta": delta})
    }

    fn text(index: u64, text: &str) -> Value {
        delta(index, json!({"type": "text_delta", "text": text}))
    }

    fn stopped(reason: &str) -> Value {
        json!({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": null}, "usage": {"output_tokens": 6}})
    }

    #[test]
    fn text_and_thinking_come_out_of_their_blocks() {
        check(
            &[
                json!({"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}}),
                delta(0, json!({"type": "thinking_delta", "thinking": "Hm"})),
                delta(0, json!({"type": "signature_delta", "signature": "c2ln"})),
                json!({"type": "content_block_stop", "index": 0}),
                json!({"type": "content_block_start", "index": 1, "content_block": {"type": "redacted_thinking", "data": "x"}}),
                json!({"type": "content_block_start", "index": 2, "content_block": {"type": "text", "text": "O"}}),
                text(2, "ne\n"),
                delta(
                    2,
                    json!({"type": "citations_delta", "citation": {"type": "page_location"}}),
                ),
                text(3, "Two"),
                stopped("end_turn"),
                json!({"type": "message_stop"}),
                text(3, "late"),
            ],
            "One\n\n\nTwo",
            "Hm",
            Ok(Some(Finish::Stop)),
        );
    }

    #[test]
    fn pings_tools_and_what_is_not_known_change_nothing() {
        check(
            &[
                json!({"type": "ping"}),
                json!({"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": "t", "name": "f", "input": {}}}),
                delta(
                    0,
                    json!({"type": "input_json_delta", "partial_json": "{\"a\""}),
                ),
                json!({"type": "brand_new", "delta": 5, "usage": []}),
                json!({}),
            ],
            "",
            "",
            Ok(None),
        );
    }

    #[test]
    fn the_finish_is_read_whatever_its_word() {
        let check = |word: &str, finish| check(&[stopped(word)], "", "", Ok(Some(finish)));
        check("end_turn", Finish::Stop);
        check("stop_sequence", Finish::Stop);
        check("pause_turn", Finish::Stop);
        check("max_tokens", Finish::Length);
        check("model_context_window_exceeded", Finish::Length);
        check("tool_use", Finish::ToolCalls);
        check("refusal", Finish::Refusal);
    }

    #[test]
    fn errors_are_errors_whatever_their_form() {
        let check = |event: Value, kind| check(&[text(0, "a"), event], "a", "", Err(kind));
        let error = |kind: &str| json!({"type": "error", "error": {"type": kind, "message": "m"}});
        check(error("overloaded_error"), ErrorKind::Overloaded);
        check(error("rate_limit_error"), ErrorKind::RateLimited);
        check(error("authentication_error"), ErrorKind::Auth);
        check(error("api_error"), ErrorKind::UpstreamError);
        check(json!({"error": {"message": "x"}}), ErrorKind::UpstreamError);
        check(json!([1]), ErrorKind::UpstreamMalformed);
    }

    #[test]
    fn the_input_is_the_sum_of_what_was_told() {
        let check = |told: &[Value], prompt, cached, written| {
            let mut mapper = MessagesMapper::default();
            let (first, later) = told.split_first().expect("counts");
            let started = json!({"type": "message_start", "message": {"usage": first}});
            let later = later.iter().map(|usage| {
                json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage})
            });
            for event in std::iter::once(started).chain(later) {
                let data = event.to_string();
                let event = sse::Event {
                    name: "message",
                    data: &data,
                    id: "",
                };
                mapper.map(event, &mut |_| ()).expect("an event");
            }
            let expect = Usage {
                prompt_tokens: prompt,
                completion_tokens: Some(6),
                reasoning_tokens: None,
                cached_tokens: cached,
                cache_write_tokens: written,
            };
            assert_eq!(mapper.ending().usage, Some(expect), "{told:?}");
        };
        let all = json!({"input_tokens": 11, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 7, "output_tokens": 1});
        let end = json!({"output_tokens": 6});
        check(&[all.clone(), end.clone()], Some(118), Some(100), Some(7));
        // A gateway that knows the cache only in the end.
        check(
            &[
                json!({"input_tokens": 11}),
                json!({"cache_read_input_tokens": 100, "output_tokens": 6}),
            ],
            Some(111),
            Some(100),
            None,
        );
        let zeros = json!({"input_tokens": 0, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0, "output_tokens": 6});
        check(&[all, zeros], Some(118), Some(100), Some(7));
        check(
            &[
                json!({"input_tokens": 11, "cache_creation": {"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 3}}),
                end,
            ],
            Some(18),
            None,
            Some(7),
        );
    }

    #[test]
    fn a_whole_message_is_an_answer_too() {
        let mut mapper = MessagesMapper::default();
        let mut text = String::new();
        let body = json!({
            "type": "message", "role": "assistant", "stop_reason": "max_tokens",
            "content": [{"type": "thinking", "thinking": "Hm", "signature": "x"}, {"type": "text", "text": "Hi"}],
            "usage": {"input_tokens": 5, "output_tokens": 2},
        });
        mapper
            .map_completion(body.to_string().as_bytes(), &mut |event| {
                if let ChatEvent::Text(piece) = event {
                    text.push_str(&piece);
                }
            })
            .expect("a message");
        assert_eq!(
            (text.as_str(), mapper.ending().verdict()),
            ("Hi", Some(Ok(Finish::Length)))
        );
        let failure = MessagesMapper::default()
            .map_completion(
                br#"{"type":"error","error":{"type":"overloaded_error"}}"#,
                &mut |_| (),
            )
            .expect_err("an error");
        assert_eq!(failure.kind, ErrorKind::Overloaded);
        assert!(
            MessagesMapper::default()
                .map_completion(b"{}", &mut |_| ())
                .is_err()
        );
    }

    fn body(prompt: &ChatRequest, quirks: Quirks) -> Value {
        serde_json::from_slice(&request(prompt, "m", quirks, Caching::default())).expect("JSON")
    }

    fn prompt(messages: &[(Role, &str)]) -> ChatRequest {
        let messages = messages.iter().map(|(role, content)| ChatMessage {
            role: *role,
            content: (*content).to_owned(),
        });
        ChatRequest::new(messages.collect())
    }

    #[test]
    fn the_system_prompt_is_a_field_of_its_own() {
        let prompt = prompt(&[
            (Role::System, "Be brief."),
            (Role::User, "Hi"),
            (Role::Assistant, " "),
            (Role::System, "In French."),
        ]);
        assert_eq!(
            body(&prompt, Quirks::default()),
            json!({
                "model": "m",
                "max_tokens": MOST_TOKENS,
                "system": "Be brief.\n\nIn French.",
                "messages": [{"role": "user", "content": "Hi"}],
                "stream": true,
            })
        );
        let plain = ChatRequest::new(prompt.messages[1..2].to_vec());
        assert_eq!(body(&plain, Quirks::default()).get("system"), None);
    }

    #[test]
    fn an_effort_is_written_as_the_model_wants_it() {
        let mut prompt = prompt(&[(Role::User, "Hi")]);
        prompt.temperature = Some(1.5);
        assert_eq!(body(&prompt, Quirks::default())["temperature"], 1.0);
        prompt.reasoning_effort = Some(ReasoningEffort::High);
        let adaptive = body(&prompt, Quirks::default());
        assert_eq!(adaptive["thinking"]["type"], "adaptive");
        assert_eq!(adaptive["output_config"], json!({"effort": "high"}));
        assert_eq!(adaptive.get("temperature"), None);

        let of = |thinking| Quirks {
            thinking,
            ..Quirks::default()
        };
        let budget = body(&prompt, of(Thinking::Budget));
        assert_eq!(
            budget["thinking"],
            json!({"type": "enabled", "budget_tokens": 16_384})
        );
        assert_eq!(budget.get("output_config"), None);
        assert_eq!(body(&prompt, of(Thinking::Never)).get("thinking"), None);

        prompt.max_tokens = Some(4000);
        let little = body(&prompt, of(Thinking::Budget));
        assert_eq!(little["thinking"]["budget_tokens"], 4000 - LEAST_ANSWER);
        prompt.max_tokens = Some(100);
        assert_eq!(body(&prompt, of(Thinking::Budget)).get("thinking"), None);
    }
}
