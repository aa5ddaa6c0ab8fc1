//! Anthropic's Messages API as pure functions: the body of a request, and a mapper of the events of its stream.
//!
//! An answer consists of blocks: text, thinking, calls of tools. Signatures, the input of tools, pings and
//! unknown events are ignored. No I/O happens here.
//!
//! Source: <https://docs.claude.com/en/api/messages-streaming> and the replies in
//! `server/tests/conformance`.

mod event;
mod request;

use app::protocol::{ChatEvent, ErrorKind, Usage};
use app::sse;
use serde::Deserialize;
use serde_json::Value;

use self::event::{ContentPiece, MessagesEvent, MessagesUsage, WholeMessage};
pub use self::request::request;
use crate::providers::api::ending::Ending;
use crate::providers::api::json::{can_be_plain, read_unusual};
use crate::providers::api::parts::Parts;
use crate::providers::error::Failure;
use crate::providers::error::in_answer::{ErrorSearch, error_frame, error_in, is_nothing};

/// The path of the endpoint, below a base URL that ends in `/v1`.
pub(in crate::providers) const PATH: &str = "messages";

/// The version of the API, for its header.
pub(in crate::providers) const VERSION: &str = "2023-06-01";

/// Maps the events of one stream to chat events.
#[derive(Debug, Default)]
pub struct MessagesMapper {
    ending: Ending,
    text: Parts,
    reasoning: Parts,
    /// The input tokens that were read from the provider's cache, and those that were written to it.
    cached: Option<u64>,
    written: Option<u64>,
    /// The other input tokens.
    input: Option<u64>,
}

impl MessagesMapper {
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
            && let Ok(plain) = serde_json::from_str::<MessagesEvent<'_>>(event.data)
            && plain.is_plain()
            && self.take(&plain, event.name, out)
        {
            return Ok(());
        }
        self.map_unusual(event, out)
    }

    /// Maps a whole message, which some servers send although a stream was requested.
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

    /// Takes an event of a known type. The type is in the data, or else the name of the event.
    fn take(
        &mut self,
        event: &MessagesEvent<'_>,
        name: &str,
        out: &mut impl FnMut(ChatEvent<'_>),
    ) -> bool {
        let known_type = event.kind.get().filter(|kind| is_known(kind));
        match known_type.unwrap_or(name) {
            "content_block_delta" => {
                if let Some(delta) = event.delta.get() {
                    self.take_piece(event.index.0, delta, out);
                }
            }
            // A block usually begins empty, but need not.
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
        // If the type of a piece is unknown, its fields decide.
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

    /// The slow path: errors, other events, and invalid JSON.
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
        // The counts grow during the answer, and a later event may omit them.
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

/// Turns a string in place of a delta into a text delta.
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

#[cfg(test)]
mod tests;
