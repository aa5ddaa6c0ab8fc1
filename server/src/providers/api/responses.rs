//! OpenAI's Responses API as two pure parts: the body of a request, and a mapper from the events of
//! its stream to ours.
//!
//! An event says what it is in its data; its name says the same or nothing. Events of kinds that are
//! of no interest or not known are passed over. No I/O happens here, and nothing is stored at the
//! provider: each request brings the whole conversation.
//!
//! Source: <https://platform.openai.com/docs/api-reference/responses-streaming> and the replies in
//! `server/tests/conformance`.

use app::protocol::{
    ChatEvent, ChatMessage, ChatRequest, ErrorKind, Finish, ReasoningEffort, Usage,
};
use app::sse;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::providers::api::ending::Ending;
use crate::providers::api::finish::{Meaning, meaning};
use crate::providers::api::json::{can_be_plain, read_unusual};
use crate::providers::api::lenient::{Number, Text};
use crate::providers::api::parts::Parts;
use crate::providers::caching::Caching;
use crate::providers::error::Failure;
use crate::providers::error::body::{ErrorSearch, error_frame, error_in, is_nothing};
use crate::providers::quirks::{Optional, Quirks};

/// Where the request goes, below the base URL.
pub(in crate::providers) const PATH: &str = "responses";

/// The JSON body of a streaming request.
#[must_use]
pub fn request(prompt: &ChatRequest, model: &str, quirks: Quirks, caching: Caching<'_>) -> Vec<u8> {
    #[derive(Serialize)]
    struct Reasoning {
        #[serde(skip_serializing_if = "Option::is_none")]
        effort: Option<ReasoningEffort>,
        #[serde(skip_serializing_if = "Option::is_none")]
        summary: Option<&'static str>,
    }
    #[derive(Serialize)]
    struct ResponsesBody<'a> {
        model: &'a str,
        input: &'a [ChatMessage],
        stream: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        store: Option<bool>,
        #[serde(skip_serializing_if = "Option::is_none")]
        temperature: Option<f64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        max_output_tokens: Option<u32>,
        #[serde(skip_serializing_if = "Option::is_none")]
        reasoning: Option<Reasoning>,
        #[serde(skip_serializing_if = "Option::is_none")]
        prompt_cache_key: Option<&'a str>,
    }
    let effort = prompt
        .reasoning_effort
        .filter(|_| quirks.sends(Optional::ReasoningEffort));
    let has_summary = quirks.sends(Optional::ReasoningSummary);
    let body = ResponsesBody {
        model,
        input: &prompt.messages,
        stream: quirks.sends(Optional::Stream),
        store: quirks.sends(Optional::Store).then_some(false),
        temperature: prompt
            .temperature
            .filter(|_| quirks.sends(Optional::Temperature)),
        max_output_tokens: quirks.limit(prompt.max_tokens),
        reasoning: (effort.is_some() || has_summary).then_some(Reasoning {
            effort,
            summary: has_summary.then_some("auto"),
        }),
        prompt_cache_key: caching.key(quirks),
    };
    serde_json::to_vec(&body).expect("strings and finite numbers always become JSON")
}

/// Maps the events of one stream to ours.
#[derive(Debug, Default)]
pub struct ResponsesMapper {
    ending: Ending,
    text: Parts,
    reasoning: Parts,
    /// Text came in pieces, so that whole texts are all the same again.
    has_pieces: bool,
    /// A whole text came, which its item will bring again.
    has_whole_text: bool,
    /// The most tokens that were asked for.
    pub(super) limit: Option<u64>,
}

impl ResponsesMapper {
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
            && let Ok(delta) = serde_json::from_str::<ResponsesDelta<'_>>(event.data)
            && self.take(&delta, event.name, out)
        {
            return Ok(());
        }
        self.map_unusual(event, out)
    }

    /// Maps a whole response, which some servers send although a stream was asked for.
    ///
    /// # Errors
    /// As [`ResponsesMapper::map`].
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
        if value.get("output").is_none()
            && let ErrorSearch::Failed(failure) | ErrorSearch::Suspected(failure) = error_in(value)
        {
            return Err(failure);
        }
        self.end(value, None, out)
    }

    pub(in crate::providers) fn ending(&self) -> &Ending {
        &self.ending
    }

    /// Takes a piece of text, if the event is one. It is of the kind that its data tells, or else its
    /// name.
    fn take(
        &mut self,
        delta: &ResponsesDelta<'_>,
        name: &str,
        out: &mut impl FnMut(ChatEvent<'_>),
    ) -> bool {
        let Text::Plain(text) = &delta.delta else {
            return false;
        };
        let told = delta.kind.get().filter(|kind| is_piece(kind));
        let kind = told.unwrap_or(if is_piece(name) { name } else { "" });
        // The content's own index is not looked at: within one item some servers count each piece.
        let item = delta.output_index.0;
        self.take_text(
            kind,
            item.map(|item| (item, 0)),
            delta.summary_index.0,
            text,
            out,
        )
    }

    fn take_text(
        &mut self,
        kind: &str,
        part: Option<(u64, u64)>,
        summary: Option<u64>,
        text: &str,
        out: &mut impl FnMut(ChatEvent<'_>),
    ) -> bool {
        match kind {
            "response.output_text.delta" | "response.refusal.delta" => {
                self.ending.refused |= kind == "response.refusal.delta" && !text.is_empty();
                self.emit_text(part, text, out);
            }
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                let part = match (kind, part) {
                    ("response.reasoning_summary_text.delta", Some((item, _))) => {
                        Some((item, summary.unwrap_or(0)))
                    }
                    _ => part,
                };
                self.emit_reasoning(part, text, out);
            }
            _ => return false,
        }
        self.has_pieces |= !text.is_empty();
        true
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

    fn emit_reasoning(
        &mut self,
        part: Option<(u64, u64)>,
        text: &str,
        out: &mut impl FnMut(ChatEvent<'_>),
    ) {
        if !text.is_empty() {
            self.ending.note_reasoning();
            self.reasoning
                .emit(part, text, |text| out(ChatEvent::Reasoning(text)));
        }
    }

    /// All that is no piece of text, and text in JSON that is odd in itself.
    fn map_unusual(
        &mut self,
        event: sse::Event<'_>,
        out: &mut impl FnMut(ChatEvent<'_>),
    ) -> Result<(), Failure> {
        let Some(value) = read_unusual(event)? else {
            return Ok(());
        };
        if !value.is_object() {
            return match (&value, event.name) {
                (_, "error") => Err(error_frame(&value)),
                (Value::Array(_), "message") => {
                    Err(Failure::stream(ErrorKind::UpstreamMalformed, "no event"))
                }
                _ => Ok(()),
            };
        }
        let told = value
            .get("type")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let kind = if is_known(told) || !is_known(event.name) {
            told
        } else {
            event.name
        };
        match kind {
            _ if event.name == "error" => Err(error_frame(&value)),
            "error" | "response.error" => Err(error_frame(&value)),
            "response.completed"
            | "response.done"
            | "response.incomplete"
            | "response.failed"
            | "response.cancelled" => {
                let response = value
                    .get("response")
                    .filter(|response| response.is_object());
                self.end(response.unwrap_or(&value), Some(kind), out)
            }
            "response.output_item.added" => {
                self.note_item(value.get("item"));
                Ok(())
            }
            "response.output_item.done" => {
                self.note_item(value.get("item"));
                let is_known = std::mem::take(&mut self.has_whole_text);
                if let Some(item) = value.get("item")
                    && !self.has_pieces
                    && !is_known
                {
                    self.take_item(number(&value, "output_index"), item, out);
                }
                Ok(())
            }
            "response.output_text.done" | "response.refusal.done" => {
                if !self.has_pieces {
                    self.has_whole_text = true;
                    let name = if kind == "response.refusal.done" {
                        "refusal"
                    } else {
                        "text"
                    };
                    let part = number(&value, "output_index").map(|item| (item, 0));
                    self.ending.refused |= name == "refusal" && !text_of(&value, name).is_empty();
                    self.emit_text(part, text_of(&value, name), out);
                }
                Ok(())
            }
            _ if kind.starts_with("response.") => {
                self.take_odd_piece(kind, &value, out);
                Ok(())
            }
            // Events about something else may have any name, and fields of any name.
            _ => {
                match error_in(&value) {
                    ErrorSearch::Failed(failure) if event.name == "message" => return Err(failure),
                    ErrorSearch::Failed(failure) | ErrorSearch::Suspected(failure) => {
                        self.ending.suspect(failure);
                    }
                    ErrorSearch::Nothing => {}
                }
                Ok(())
            }
        }
    }

    /// Takes what the plain way could not read: a text with half a character in it, or an object with
    /// the text.
    fn take_odd_piece(&mut self, kind: &str, value: &Value, out: &mut impl FnMut(ChatEvent<'_>)) {
        let text = match value.get("delta") {
            Some(Value::String(text)) => text,
            Some(part @ Value::Object(_)) => text_of(part, "text"),
            _ => return,
        };
        let part = number(value, "output_index").map(|item| (item, 0));
        self.take_text(kind, part, number(value, "summary_index"), text, out);
    }

    /// Takes the response itself, which comes at the end and holds everything again. `kind` is that of
    /// the event, if it came in one.
    fn end(
        &mut self,
        response: &Value,
        kind: Option<&str>,
        out: &mut impl FnMut(ChatEvent<'_>),
    ) -> Result<(), Failure> {
        if response
            .get("error")
            .is_some_and(|error| !is_nothing(error))
        {
            return Err(error_frame(response));
        }
        // What the response says of itself counts before what its event is called.
        let named = kind.and_then(|kind| kind.strip_prefix("response."));
        let status = response
            .get("status")
            .and_then(Value::as_str)
            .map(meaning)
            .filter(|status| !matches!(status, Meaning::Open | Meaning::Unknown))
            .or(named.map(meaning));
        let items = response.get("output").and_then(Value::as_array);
        if status.is_none() && items.is_none() {
            return Err(Failure::stream(
                ErrorKind::UpstreamMalformed,
                "not a response",
            ));
        }
        let is_new = self.text.is_empty() && self.reasoning.is_empty();
        for (index, item) in (0..).zip(items.into_iter().flatten()) {
            self.note_item(Some(item));
            if is_new {
                self.take_item(Some(index), item, out);
            }
        }
        // A field of the official libraries that some servers send instead.
        if self.text.is_empty() {
            self.emit_text(None, text_of(response, "output_text"), out);
        }
        if let Some(usage) = response.get("usage").filter(|usage| usage.is_object()) {
            self.ending.note_usage(to_usage(usage));
        }
        let reason = response
            .pointer("/incomplete_details/reason")
            .and_then(Value::as_str)
            .map(meaning)
            .filter(|reason| !matches!(reason, Meaning::Open | Meaning::Unknown));
        let is_empty = self.text.is_empty() && self.reasoning.is_empty();
        // Some servers, llama.cpp among them, call a response completed that the limit cut off.
        let written = self.ending.usage.and_then(|usage| usage.completion_tokens);
        let is_at_limit = self.limit.is_some_and(|limit| written >= Some(limit));
        match reason.or(status) {
            Some(Meaning::Ended(Finish::Stop)) if is_at_limit && !self.ending.called_tool => {
                self.ending.note(Meaning::Ended(Finish::Length));
            }
            Some(Meaning::Ended(Finish::Stop)) if self.ending.called_tool => {
                self.ending.note(Meaning::Ended(Finish::ToolCalls));
            }
            // An object in which nothing is said at all is no answer.
            Some(Meaning::Ended(Finish::Stop)) if is_empty && response.get("status").is_none() => {}
            Some(known) => self.ending.note(known),
            None => {}
        }
        self.ending.done = true;
        Ok(())
    }

    /// Whether an item of the answer is a tool's call and no text.
    fn note_item(&mut self, item: Option<&Value>) {
        let kind = item.and_then(|item| item.get("type")?.as_str());
        self.ending.called_tool |= matches!(kind, Some("function_call" | "custom_tool_call"));
    }

    /// Takes an item of an answer that came in one piece.
    fn take_item(&mut self, index: Option<u64>, item: &Value, out: &mut impl FnMut(ChatEvent<'_>)) {
        let parts = |name: &str| {
            let list = item.get(name).and_then(Value::as_array);
            (0_u64..).zip(list.into_iter().flatten())
        };
        match item.get("type").and_then(Value::as_str) {
            Some("reasoning") => {
                for (number, part) in parts("summary").chain(parts("content")) {
                    let part_number = index.map(|index| (index, number));
                    self.emit_reasoning(part_number, text_of(part, "text"), out);
                }
            }
            Some("message") | None => {
                let part = index.map(|index| (index, 0));
                self.emit_text(part, text_of(item, "content"), out);
                for (_, content) in parts("content") {
                    let refusal = text_of(content, "refusal");
                    self.ending.refused |= !refusal.is_empty();
                    for text in [text_of(content, "text"), refusal] {
                        self.emit_text(part, text, out);
                    }
                }
            }
            Some(_) => {}
        }
    }
}

/// Whether events of this kind bring text or reasoning.
fn is_piece(kind: &str) -> bool {
    matches!(
        kind,
        "response.output_text.delta"
            | "response.refusal.delta"
            | "response.reasoning_summary_text.delta"
            | "response.reasoning_text.delta"
    )
}

/// Whether a kind of event is one of this API.
fn is_known(kind: &str) -> bool {
    kind == "error" || kind.starts_with("response.")
}

fn text_of<'v>(part: &'v Value, name: &str) -> &'v str {
    part.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The number in a field of any form, if it is one.
fn number(value: &Value, name: &str) -> Option<u64> {
    Number::deserialize(value.get(name)?).ok()?.0
}

fn to_usage(usage: &Value) -> Usage {
    let of = |name| number(usage, name);
    let detail = |details: &str, name| number(usage.get(details)?, name);
    Usage {
        prompt_tokens: of("input_tokens").or(of("prompt_tokens")),
        completion_tokens: of("output_tokens").or(of("completion_tokens")),
        reasoning_tokens: detail("output_tokens_details", "reasoning_tokens"),
        cached_tokens: detail("input_tokens_details", "cached_tokens")
            .or(detail("prompt_tokens_details", "cached_tokens")),
        cache_write_tokens: detail("input_tokens_details", "cache_write_tokens"),
    }
}

/// A piece of text, as almost all events are. Text is borrowed from the event where it has no escapes.
/// Each field may hold anything.
#[derive(Deserialize)]
struct ResponsesDelta<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Text<'a>,
    #[serde(borrow, default)]
    delta: Text<'a>,
    #[serde(default)]
    output_index: Number,
    #[serde(default)]
    summary_index: Number,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::api::Api;
    use crate::providers::api::mapped::mapped;
    use app::protocol::Role;
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
        assert_eq!(mapped(Api::Responses, &events), expect);
    }

    fn delta(kind: &str, item: u64, text: &str) -> Value {
        json!({"type": format!("response.{kind}.delta"), "output_index": item, "delta": text})
    }

    fn ended(kind: &str, response: Value) -> Value {
        json!({"type": format!("response.{kind}"), "response": response})
    }

    fn completed() -> Value {
        ended("completed", json!({"status": "completed", "output": []}))
    }

    #[test]
    fn text_and_reasoning_come_out_of_their_events() {
        check(
            &[
                json!({"type": "response.created", "response": {"status": "in_progress", "error": null}}),
                delta("reasoning_summary_text", 0, "Hm"),
                json!({"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": 1, "delta": "Ah"}),
                delta("output_text", 1, "a\n"),
                delta("output_text", 1, "\"b"),
                delta("output_text", 2, "c"),
                completed(),
            ],
            "a\n\"b\n\nc",
            "Hm\n\nAh",
            Ok(Some(Finish::Stop)),
        );
        check(&[delta("reasoning_text", 0, "r")], "", "r", Ok(None));
        // Some servers count each piece as content of its own.
        let counted = |kind: &str, number: u64, text: &str| json!({"type": format!("response.{kind}.delta"), "output_index": 0, "content_index": number, "delta": text});
        check(
            &[
                counted("reasoning_text", 0, "H"),
                counted("reasoning_text", 1, "m"),
                counted("output_text", 2, "A"),
                counted("output_text", 3, "B"),
            ],
            "AB",
            "Hm",
            Ok(None),
        );
    }

    #[test]
    fn events_that_are_of_no_interest_or_unknown_change_nothing() {
        check(
            &[
                json!({"type": "response.queued"}),
                delta("output_text", 0, "once"),
                json!({"type": "response.output_text.done", "text": "once"}),
                json!({"type": "response.function_call_arguments.delta", "delta": "{\"a\""}),
                json!({"type": "response.image_generation_call.partial_image", "delta": {"b": 1}}),
                json!({"type": "keepalive", "sequence_number": 3}),
                json!({"type": "response.brand_new.delta", "delta": "x"}),
                json!({}),
            ],
            "once",
            "",
            Ok(None),
        );
    }

    #[test]
    fn the_end_says_why() {
        let incomplete = |reason: Value| {
            ended(
                "incomplete",
                json!({"status": "incomplete", "incomplete_details": reason}),
            )
        };
        let call = json!({"type": "response.output_item.added", "item": {"type": "function_call"}});
        check(&[completed()], "", "", Ok(Some(Finish::Stop)));
        check(
            &[incomplete(json!({"reason": "max_output_tokens"}))],
            "",
            "",
            Ok(Some(Finish::Length)),
        );
        check(
            &[incomplete(json!({"reason": "content_filter"}))],
            "",
            "",
            Ok(Some(Finish::ContentFilter)),
        );
        check(&[incomplete(json!(null))], "", "", Ok(Some(Finish::Length)));
        check(&[call, completed()], "", "", Ok(Some(Finish::ToolCalls)));
        check(
            &[delta("refusal", 0, "No."), completed()],
            "No.",
            "",
            Ok(Some(Finish::Refusal)),
        );
    }

    #[test]
    fn errors_are_errors_whatever_their_form() {
        let check = |event: Value, kind| check(&[event], "", "", Err(kind));
        check(
            json!({"type": "error", "code": "rate_limit_exceeded", "message": "slow"}),
            ErrorKind::RateLimited,
        );
        check(
            json!({"type": "error", "error": {"code": "insufficient_quota", "message": "m"}}),
            ErrorKind::Quota,
        );
        check(
            json!({"error": {"code": "server_error"}}),
            ErrorKind::UpstreamError,
        );
        check(
            ended(
                "failed",
                json!({"status": "failed", "error": {"code": "context_length_exceeded", "message": "m"}}),
            ),
            ErrorKind::ContextLength,
        );
        check(
            ended("failed", json!({"status": "failed", "error": null})),
            ErrorKind::UpstreamError,
        );
        check(ended("completed", json!({})), ErrorKind::UpstreamEmpty);
        check(json!([1, 2]), ErrorKind::UpstreamMalformed);
    }

    #[test]
    fn text_that_comes_only_at_the_end_is_not_lost() {
        let response = json!({
            "status": "completed",
            "output": [
                {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm"}]},
                {"type": "message", "content": [{"type": "output_text", "text": "Hi"}]},
            ],
            "usage": {"input_tokens": 5, "output_tokens": 2, "output_tokens_details": {"reasoning_tokens": 1}},
        });
        check(
            &[ended("completed", response.clone())],
            "Hi",
            "Hm",
            Ok(Some(Finish::Stop)),
        );
        let mut mapper = ResponsesMapper::default();
        let mut text = String::new();
        mapper
            .map_completion(response.to_string().as_bytes(), &mut |event| {
                if let ChatEvent::Text(piece) = event {
                    text.push_str(&piece);
                }
            })
            .expect("a response");
        assert_eq!(text, "Hi");
        let usage = mapper.ending().usage.expect("usage");
        assert_eq!(
            (
                usage.prompt_tokens,
                usage.completion_tokens,
                usage.reasoning_tokens
            ),
            (Some(5), Some(2), Some(1))
        );
    }

    #[test]
    fn half_a_character_does_not_cost_the_rest() {
        let mut mapper = ResponsesMapper::default();
        let mut text = String::new();
        let event = sse::Event {
            name: "response.output_text.delta",
            data: r#"{"type":"response.output_text.delta","delta":"a\ud83d"}"#,
            id: "",
        };
        mapper
            .map(event, &mut |event| {
                if let ChatEvent::Text(piece) = event {
                    text.push_str(&piece);
                }
            })
            .expect("text");
        assert_eq!(text, "a\u{fffd}");
    }

    #[test]
    fn the_request_stores_nothing_and_sends_only_what_was_set() {
        let mut prompt = ChatRequest::new(vec![ChatMessage {
            role: Role::User,
            content: "Hi".into(),
        }]);
        let body = |prompt: &ChatRequest, quirks| {
            serde_json::from_slice::<Value>(&request(prompt, "m", quirks, Caching::default()))
                .expect("JSON")
        };
        let plain = json!({"model": "m", "input": [{"role": "user", "content": "Hi"}], "stream": true, "store": false});
        let without_summary = Quirks::default().without(Optional::ReasoningSummary);
        assert_eq!(body(&prompt, without_summary), plain);
        assert_eq!(
            body(&prompt, Quirks::default())["reasoning"],
            json!({"summary": "auto"})
        );
        prompt.max_tokens = Some(99);
        prompt.reasoning_effort = Some(ReasoningEffort::Low);
        let full = body(&prompt, without_summary);
        assert_eq!(full["max_output_tokens"], 99);
        assert_eq!(full["reasoning"], json!({"effort": "low"}));
    }

    #[test]
    fn an_answer_that_has_as_many_tokens_as_it_may_was_cut_off() {
        let check = |limit: Option<u64>, tokens: u64, status: &str, expect: Finish| {
            let mut mapper = ResponsesMapper {
                limit,
                ..ResponsesMapper::default()
            };
            let body = json!({
                "status": status, "usage": {"output_tokens": tokens},
                "output": [{"type": "message", "content": [{"type": "output_text", "text": "Hi"}]}],
            });
            let body = body.to_string();
            mapper
                .map_completion(body.as_bytes(), &mut |_| ())
                .expect("a response");
            let got = mapper.ending().verdict();
            assert_eq!(got, Some(Ok(expect)), "{limit:?} {tokens} {status}");
        };
        check(Some(8), 8, "completed", Finish::Length);
        check(Some(8), 9, "completed", Finish::Length);
        check(Some(8), 7, "completed", Finish::Stop);
        check(None, 8, "completed", Finish::Stop);
        check(Some(8), 3, "incomplete", Finish::Length);
    }
}
