//! OpenAI's Chat Completions API as pure functions: the body of a request, and a mapper of the events of its
//! stream.
//!
//! Many servers offer this API with small differences. All of them are handled here, so that callers cannot
//! tell the servers apart. No I/O happens here.
//!
//! Source: <https://platform.openai.com/docs/api-reference/chat/create> and the replies of the
//! compatible servers in `server/tests/conformance`.

mod chunk;
mod request;
mod unusual;
mod usage;

use app::protocol::{ChatEvent, ErrorKind};
use app::sse;
use serde::Deserialize;
use serde_json::Value;

use self::chunk::{ChatChunk, ChatDelta};
pub use self::request::request;
use self::unusual::{error_of_choice, normalize};
use self::usage::ChatUsage;
use crate::providers::api::ending::Ending;
use crate::providers::api::json::{can_be_plain, read_unusual};
use crate::providers::api::lenient::Object;
use crate::providers::api::repetition::{CumulativeText, EmittedText};
use crate::providers::error::Failure;
use crate::providers::error::in_answer::{ErrorSearch, error_frame, error_in};

/// The path of the endpoint, below the base URL.
pub(in crate::providers) const PATH: &str = "chat/completions";

/// Maps the events of one stream to chat events.
#[derive(Debug, Default)]
pub struct ChatCompletionsMapper {
    ending: Ending,
    /// The index of the choice that is read. Only one choice is requested.
    choice: Option<u64>,
    /// The text that came in pieces.
    emitted: EmittedText,
    has_thought_pieces: bool,
    /// Text and reasoning that come in whole messages instead of pieces.
    messages: CumulativeText,
    message_thoughts: CumulativeText,
    /// Reasoning in lists of details, each of which may repeat all details before it.
    details: CumulativeText,
}

impl ChatCompletionsMapper {
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
            && let Ok(chunk) = serde_json::from_str::<ChatChunk<'_>>(event.data)
            && chunk.is_plain()
        {
            self.take(&chunk, out);
            return Ok(());
        }
        self.map_unusual(event, out)
    }

    /// Maps a whole completion, which some servers send although a stream was requested.
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

    /// Takes a piece of the answer. Returns whether it had text or reasoning.
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
        if is_last && self.emitted.is_repeated_by(text) {
            return true;
        }
        self.emitted.add(text);
        self.ending.note_text();
        out(ChatEvent::Text(text.into()));
        true
    }

    /// Takes a whole message: the answer of a server without streams, the text so far, or a repetition of
    /// everything at the end of a stream.
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
        if self.emitted.is_any() {
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

    /// The slow path for unusual events: errors, lists of parts as content, and invalid JSON.
    fn map_unusual(
        &mut self,
        event: sse::Event<'_>,
        out: &mut impl FnMut(ChatEvent<'_>),
    ) -> Result<(), Failure> {
        match read_unusual(event)? {
            None | Some(Value::String(_)) if event.name != "error" => Ok(()),
            // Several events in one.
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
        normalize(value, &mut self.details);
        // The value owns the text, so the fast path can continue with it.
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
        // Events with another name are about something else, unless they hold a part of the answer.
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
}

#[cfg(test)]
mod tests;
