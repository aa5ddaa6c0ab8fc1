//! OpenAI's Responses API as pure functions: the body of a request, and a mapper of the events of its stream.
//!
//! The type of an event is in its data; its name is the same or empty. Unknown events are ignored. No I/O
//! happens here. Nothing is stored at the provider, because each request has the whole conversation.
//!
//! Source: <https://platform.openai.com/docs/api-reference/responses-streaming> and the replies in
//! `server/tests/conformance`.

mod request;
mod whole;

use app::protocol::{ChatEvent, ErrorKind};
use app::sse;
use serde::Deserialize;
use serde_json::Value;

pub use self::request::request;
use crate::providers::api::ending::Ending;
use crate::providers::api::json::{can_be_plain, read_unusual};
use crate::providers::api::lenient::{Number, Text};
use crate::providers::api::parts::Parts;
use crate::providers::error::Failure;
use crate::providers::error::in_answer::{ErrorSearch, error_frame, error_in};

/// The path of the endpoint, below the base URL.
pub(in crate::providers) const PATH: &str = "responses";

/// Maps the events of one stream to chat events.
#[derive(Debug, Default)]
pub struct ResponsesMapper {
    ending: Ending,
    text: Parts,
    reasoning: Parts,
    /// Whether text came in pieces, so that whole texts are repetitions.
    has_pieces: bool,
    /// Whether a whole text came, which its item repeats.
    has_whole_text: bool,
    /// The requested token limit.
    pub(super) limit: Option<u64>,
}

impl ResponsesMapper {
    /// Maps one event and passes the resulting chat events to `out`.
    ///
    /// # Errors
    /// When the event is an error of the provider, or cannot be read at all.
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

    /// Maps a whole response, which some servers send although a stream was requested.
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

    /// Takes a piece of text, if the event is one. The type is in the data, or else the name of the event.
    fn take(
        &mut self,
        delta: &ResponsesDelta<'_>,
        name: &str,
        out: &mut impl FnMut(ChatEvent<'_>),
    ) -> bool {
        let Text::Plain(text) = &delta.delta else {
            return false;
        };
        let known_type = delta.kind.get().filter(|kind| is_piece(kind));
        let kind = known_type.unwrap_or(if is_piece(name) { name } else { "" });
        // `content_index` is ignored: some servers increase it with each piece of an item.
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

    /// The slow path: all events without text, and text in invalid JSON.
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
        let known_type = value
            .get("type")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let kind = if is_known(known_type) || !is_known(event.name) {
            known_type
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
                self.take_done_item(&value, out);
                Ok(())
            }
            "response.output_text.done" | "response.refusal.done" => {
                self.take_done_text(&value, kind == "response.refusal.done", out);
                Ok(())
            }
            _ if kind.starts_with("response.") => {
                self.take_unusual_piece(kind, &value, out);
                Ok(())
            }
            // Events about something else may have any name and any fields.
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

    /// Takes a complete item, unless its text came before.
    fn take_done_item(&mut self, value: &Value, out: &mut impl FnMut(ChatEvent<'_>)) {
        self.note_item(value.get("item"));
        let is_known = std::mem::take(&mut self.has_whole_text);
        if let Some(item) = value.get("item")
            && !self.has_pieces
            && !is_known
        {
            self.take_item(number(value, "output_index"), item, out);
        }
    }

    /// Takes a complete text, unless it came in pieces before.
    fn take_done_text(
        &mut self,
        value: &Value,
        is_refusal: bool,
        out: &mut impl FnMut(ChatEvent<'_>),
    ) {
        if self.has_pieces {
            return;
        }
        self.has_whole_text = true;
        let text = text_of(value, if is_refusal { "refusal" } else { "text" });
        let part = number(value, "output_index").map(|item| (item, 0));
        self.ending.refused |= is_refusal && !text.is_empty();
        self.emit_text(part, text, out);
    }

    /// Takes a piece that the fast path could not read: with an unpaired surrogate, or with the text in an
    /// object.
    fn take_unusual_piece(
        &mut self,
        kind: &str,
        value: &Value,
        out: &mut impl FnMut(ChatEvent<'_>),
    ) {
        let text = match value.get("delta") {
            Some(Value::String(text)) => text,
            Some(part @ Value::Object(_)) => text_of(part, "text"),
            _ => return,
        };
        let part = number(value, "output_index").map(|item| (item, 0));
        self.take_text(kind, part, number(value, "summary_index"), text, out);
    }
}

/// Whether events of this type hold text or reasoning.
fn is_piece(kind: &str) -> bool {
    matches!(
        kind,
        "response.output_text.delta"
            | "response.refusal.delta"
            | "response.reasoning_summary_text.delta"
            | "response.reasoning_text.delta"
    )
}

/// Whether an event type belongs to this API.
fn is_known(kind: &str) -> bool {
    kind == "error" || kind.starts_with("response.")
}

/// A piece of text, as almost all events are. Strings without escapes are borrowed from the event. Each field
/// accepts any value.
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

fn text_of<'v>(part: &'v Value, name: &str) -> &'v str {
    part.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The number in a field of any form.
fn number(value: &Value, name: &str) -> Option<u64> {
    Number::deserialize(value.get(name)?).ok()?.0
}

#[cfg(test)]
mod tests;
