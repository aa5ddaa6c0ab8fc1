//! A whole response: at the end of a stream, where it repeats everything, or as an answer without a stream.

use app::protocol::{ChatEvent, ErrorKind, Finish, Usage};
use serde_json::Value;

use super::{ResponsesMapper, number, text_of};
use crate::providers::api::finish::{Meaning, meaning};
use crate::providers::error::Failure;
use crate::providers::error::in_answer::{error_frame, is_nothing};

impl ResponsesMapper {
    /// Takes the whole response at the end of a stream, which repeats everything. `kind` is the type of its
    /// event, if it came in one.
    pub(super) fn end(
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
        // The status in the response counts before the type of its event.
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
        // Some servers, such as llama.cpp, report a response as completed although the limit cut it off.
        let written = self.ending.usage.and_then(|usage| usage.completion_tokens);
        let is_at_limit = self.limit.is_some_and(|limit| written >= Some(limit));
        match reason.or(status) {
            Some(Meaning::Ended(Finish::Stop)) if is_at_limit && !self.ending.called_tool => {
                self.ending.note(Meaning::Ended(Finish::Length));
            }
            Some(Meaning::Ended(Finish::Stop)) if self.ending.called_tool => {
                self.ending.note(Meaning::Ended(Finish::ToolCalls));
            }
            // An object without any content is no answer.
            Some(Meaning::Ended(Finish::Stop)) if is_empty && response.get("status").is_none() => {}
            Some(known) => self.ending.note(known),
            None => {}
        }
        self.ending.done = true;
        Ok(())
    }

    /// Records whether an item is a call of a tool.
    pub(super) fn note_item(&mut self, item: Option<&Value>) {
        let kind = item.and_then(|item| item.get("type")?.as_str());
        self.ending.called_tool |= matches!(kind, Some("function_call" | "custom_tool_call"));
    }

    /// Takes an item of an answer that came in one piece.
    pub(super) fn take_item(
        &mut self,
        index: Option<u64>,
        item: &Value,
        out: &mut impl FnMut(ChatEvent<'_>),
    ) {
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
