//! Anthropic's Messages API as two pure parts: the body of a request, and a mapper from the events of
//! its stream to ours.
//!
//! An answer comes in blocks: text, thinking, calls of tools. Signatures and the input of tools are
//! passed over, as are pings and events that are not known. No I/O happens here.
//!
//! Source: <https://docs.claude.com/en/api/messages-streaming> and the replies in
//! `server/tests/conformance`.

use std::borrow::Cow;

use app::protocol::{ChatEvent, ChatRequest, ErrorKind, Finish, ReasoningEffort, Role};
use app::sse;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::dialect::{Dialect, Thinking};
use super::ending::Ending;
use super::failure::Failure;
use super::json::{error_frame, read_unusual, text};
use super::parts::Parts;

/// Where the request goes, below the base URL that ends in `/v1`.
pub(super) const PATH: &str = "messages";

/// The version of the API that this file speaks, as a header tells it.
pub(super) const VERSION: &str = "2023-06-01";

/// The limit that is sent where none was set: this API wants one. A model that allows less says how
/// much, which is learnt.
const MOST_TOKENS: u32 = 32_000;

/// The least room for the answer beside a budget for thinking, which counts against the limit too.
const LEAST_ANSWER: u32 = 1024;

/// The JSON body of a streaming request.
#[must_use]
pub fn request(prompt: &ChatRequest, model: &str, dialect: Dialect) -> Vec<u8> {
    #[derive(Serialize)]
    struct Message<'a> {
        role: Role,
        content: &'a str,
    }
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
    struct Body<'a> {
        model: &'a str,
        max_tokens: u32,
        #[serde(skip_serializing_if = "String::is_empty")]
        system: String,
        messages: Vec<Message<'a>>,
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
    let messages = prompt.messages.iter().filter(|message| {
        // This API refuses a conversation with an empty message in it.
        message.role != Role::System && !message.content.trim().is_empty()
    });
    let max_tokens = prompt
        .max_tokens
        .unwrap_or(MOST_TOKENS)
        .min(dialect.most_tokens.unwrap_or(u32::MAX));
    let (thinking, effort) = match (prompt.reasoning_effort, dialect.thinking) {
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
    let body = Body {
        model,
        max_tokens,
        system: system.join("\n\n"),
        messages: messages
            .map(|message| Message {
                role: message.role,
                content: &message.content,
            })
            .collect(),
        stream: true,
        // Here it goes up to 1, and a model that thinks wants it left alone.
        temperature: prompt
            .temperature
            .filter(|_| thinking.is_none())
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
pub struct Mapper {
    ending: Ending,
    text: Parts,
    reasoning: Parts,
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
        if self.ending.done {
            return Ok(());
        }
        if event.data.trim() == "[DONE]" {
            self.ending.done = true;
            return Ok(());
        }
        match serde_json::from_str::<Event<'_>>(event.data) {
            Ok(plain) if plain.error.is_none() && plain.kind != "error" => {
                self.take(&plain, out);
                Ok(())
            }
            _ => self.map_unusual(event, out),
        }
    }

    /// Maps a whole message, which some servers send although a stream was asked for.
    ///
    /// # Errors
    /// As [`Mapper::map`].
    pub fn map_completion(
        &mut self,
        body: &[u8],
        out: &mut impl FnMut(ChatEvent<'_>),
    ) -> Result<(), Failure> {
        let value = read_unusual(sse::Event {
            name: "message",
            data: &String::from_utf8_lossy(body),
            id: "",
        })?;
        if value.get("error").is_some_and(|error| !error.is_null()) {
            return Err(error_frame(&value));
        }
        let message = Message::deserialize(&value)
            .map_err(|_| Failure::stream(ErrorKind::UpstreamMalformed, "not a message"))?;
        let Some(blocks) = &message.content else {
            return Err(Failure::stream(
                ErrorKind::UpstreamMalformed,
                "not a message",
            ));
        };
        for (index, block) in (0..).zip(blocks) {
            self.take_piece(index, block, out);
        }
        self.note_usage(message.usage.as_ref());
        self.note_finish(message.stop_reason.as_deref());
        self.ending.done = true;
        Ok(())
    }

    pub(super) fn ending(&self) -> &Ending {
        &self.ending
    }

    fn take(&mut self, event: &Event<'_>, out: &mut impl FnMut(ChatEvent<'_>)) {
        match event.kind.as_ref() {
            "content_block_delta" => {
                if let Some(delta) = &event.delta {
                    self.take_piece(event.index, delta, out);
                }
            }
            // A block begins empty, but need not.
            "content_block_start" => {
                if let Some(block) = &event.content_block {
                    self.take_piece(event.index, block, out);
                }
            }
            "message_start" => {
                self.note_usage(event.message.as_ref().and_then(|m| m.usage.as_ref()));
            }
            "message_delta" => {
                self.note_usage(event.usage.as_ref());
                self.note_finish(event.delta.as_ref().and_then(|d| d.stop_reason.as_deref()));
            }
            "message_stop" => self.ending.done = true,
            _ => {}
        }
    }

    fn take_piece(&mut self, index: u64, piece: &Piece<'_>, out: &mut impl FnMut(ChatEvent<'_>)) {
        match piece.kind.as_deref() {
            Some("text_delta" | "text") => {
                let text = piece.text.as_deref().unwrap_or_default();
                self.text
                    .emit((index, 0), text, |text| out(ChatEvent::Text(text)));
            }
            Some("thinking_delta" | "thinking") => {
                let text = piece.thinking.as_deref().unwrap_or_default();
                self.reasoning
                    .emit((index, 0), text, |text| out(ChatEvent::Reasoning(text)));
            }
            _ => {}
        }
    }

    /// Errors, and JSON that is odd in itself.
    fn map_unusual(
        &mut self,
        event: sse::Event<'_>,
        out: &mut impl FnMut(ChatEvent<'_>),
    ) -> Result<(), Failure> {
        let value = read_unusual(event)?;
        let kind = value.get("type").and_then(Value::as_str);
        let is_error = event.name == "error"
            || kind == Some("error")
            || value.get("error").is_some_and(|error| !error.is_null());
        if is_error {
            return Err(error_frame(&value));
        }
        match Event::deserialize(&value) {
            Ok(event) => self.take(&event, out),
            // An event of a kind that is not known may be of any form.
            Err(_) if value.is_object() && !kind.is_some_and(is_known) => {}
            Err(_) => {
                return Err(Failure::stream(
                    ErrorKind::UpstreamMalformed,
                    "not an event",
                ));
            }
        }
        Ok(())
    }

    /// The counts grow while the answer does: what came later holds, what did not come again stays.
    fn note_usage(&mut self, usage: Option<&RawUsage>) {
        let Some(usage) = usage else { return };
        let known = self.ending.usage.get_or_insert_default();
        if let Some(input) = usage.input_tokens {
            // What was read from the provider's cache or written to it is counted apart.
            let cached = usage.cache_read_input_tokens;
            let written = usage.cache_creation_input_tokens.unwrap_or(0);
            known.prompt_tokens = Some(input + cached.unwrap_or(0) + written);
            known.cached_tokens = cached.or(known.cached_tokens);
        }
        known.completion_tokens = usage.output_tokens.or(known.completion_tokens);
    }

    fn note_finish(&mut self, stop_reason: Option<&str>) {
        let Some(reason) = stop_reason else { return };
        self.ending.finish = Some(match reason {
            "max_tokens" | "model_context_window_exceeded" => Finish::Length,
            "tool_use" => Finish::ToolCalls,
            "refusal" => Finish::Refusal,
            // `end_turn`, `stop_sequence`, `pause_turn`: whatever the word, the answer ended.
            _ => Finish::Stop,
        });
    }
}

fn is_known(kind: &str) -> bool {
    matches!(
        kind,
        "content_block_delta"
            | "content_block_start"
            | "message_start"
            | "message_delta"
            | "message_stop"
    )
}

/// One event of the stream, as far as it is of interest. Text is borrowed from the event where it
/// has no escapes.
#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Cow<'a, str>,
    #[serde(default)]
    index: u64,
    #[serde(borrow, default)]
    delta: Option<Piece<'a>>,
    #[serde(borrow, default)]
    content_block: Option<Piece<'a>>,
    #[serde(borrow, default)]
    message: Option<Message<'a>>,
    #[serde(default)]
    usage: Option<RawUsage>,
    /// Only looked at for being there; the slow way reads it.
    #[serde(default)]
    error: Option<serde::de::IgnoredAny>,
}

/// A block, or what is added to one, or to the message.
#[derive(Deserialize)]
struct Piece<'a> {
    #[serde(borrow, rename = "type", default, deserialize_with = "text")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "text")]
    text: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "text")]
    thinking: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "text")]
    stop_reason: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    content: Option<Vec<Piece<'a>>>,
    #[serde(borrow, default, deserialize_with = "text")]
    stop_reason: Option<Cow<'a, str>>,
    #[serde(default)]
    usage: Option<RawUsage>,
}

#[derive(Deserialize)]
struct RawUsage {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use app::protocol::{ChatMessage, Usage};
    use serde_json::json;

    /// What the events of a stream become: text, reasoning, and the finish or the kind of the error.
    #[track_caller]
    fn check(
        events: &[Value],
        text: &str,
        reasoning: &str,
        end: Result<Option<Finish>, ErrorKind>,
    ) {
        let mut mapper = Mapper::default();
        let (mut got_text, mut got_reasoning) = (String::new(), String::new());
        let mut got = Ok(());
        for event in events {
            let data = event.to_string();
            let event = sse::Event {
                name: "message",
                data: &data,
                id: "",
            };
            got = mapper.map(event, &mut |event| match event {
                ChatEvent::Text(piece) => got_text.push_str(&piece),
                ChatEvent::Reasoning(piece) => got_reasoning.push_str(&piece),
                other => panic!("{other:?}"),
            });
            if got.is_err() {
                break;
            }
        }
        let got = got
            .map(|()| mapper.ending().finish())
            .map_err(|failure| failure.kind);
        assert_eq!(
            (got_text.as_str(), got_reasoning.as_str(), got),
            (text, reasoning, end)
        );
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
        check("brand_new", Finish::Stop);
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
        check(
            json!({"type": "content_block_delta", "delta": 5}),
            ErrorKind::UpstreamMalformed,
        );
        check(json!([1]), ErrorKind::UpstreamMalformed);
    }

    #[test]
    fn usage_is_the_sum_of_what_was_told() {
        let mut mapper = Mapper::default();
        for event in [
            json!({"type": "message_start", "message": {"usage": {"input_tokens": 11, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 7, "output_tokens": 1}}}),
            stopped("end_turn"),
        ] {
            let data = event.to_string();
            let event = sse::Event {
                name: "message",
                data: &data,
                id: "",
            };
            mapper.map(event, &mut |_| ()).expect("an event");
        }
        let expect = Usage {
            prompt_tokens: Some(118),
            completion_tokens: Some(6),
            reasoning_tokens: None,
            cached_tokens: Some(100),
        };
        assert_eq!(mapper.ending().usage, Some(expect));
    }

    #[test]
    fn a_whole_message_is_an_answer_too() {
        let mut mapper = Mapper::default();
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
            (text.as_str(), mapper.ending().finish()),
            ("Hi", Some(Finish::Length))
        );
        let failure = Mapper::default()
            .map_completion(
                br#"{"type":"error","error":{"type":"overloaded_error"}}"#,
                &mut |_| (),
            )
            .expect_err("an error");
        assert_eq!(failure.kind, ErrorKind::Overloaded);
        assert!(
            Mapper::default()
                .map_completion(b"{}", &mut |_| ())
                .is_err()
        );
    }

    fn body(prompt: &ChatRequest, dialect: Dialect) -> Value {
        serde_json::from_slice(&request(prompt, "m", dialect)).expect("JSON")
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
            body(&prompt, Dialect::default()),
            json!({
                "model": "m",
                "max_tokens": MOST_TOKENS,
                "system": "Be brief.\n\nIn French.",
                "messages": [{"role": "user", "content": "Hi"}],
                "stream": true,
            })
        );
        let plain = ChatRequest::new(prompt.messages[1..2].to_vec());
        assert_eq!(body(&plain, Dialect::default()).get("system"), None);
    }

    #[test]
    fn an_effort_is_written_as_the_model_wants_it() {
        let mut prompt = prompt(&[(Role::User, "Hi")]);
        prompt.temperature = Some(1.5);
        assert_eq!(body(&prompt, Dialect::default())["temperature"], 1.0);
        prompt.reasoning_effort = Some(ReasoningEffort::High);
        let adaptive = body(&prompt, Dialect::default());
        assert_eq!(adaptive["thinking"]["type"], "adaptive");
        assert_eq!(adaptive["output_config"], json!({"effort": "high"}));
        assert_eq!(adaptive.get("temperature"), None);

        let of = |thinking| Dialect {
            thinking,
            ..Dialect::default()
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
