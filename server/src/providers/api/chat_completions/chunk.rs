//! One event of a Chat Completions stream, or a whole completion.

use serde::Deserialize;

use super::usage::ChatUsage;
use crate::providers::api::lenient::{IsPresent, List, Number, Object, Text};

/// The relevant fields of an event. Strings without escapes are borrowed from the event. Each field accepts any
/// value.
#[derive(Deserialize)]
pub(super) struct ChatChunk<'a> {
    #[serde(borrow, default)]
    pub(super) choices: List<ChatChoice<'a>>,
    #[serde(default)]
    pub(super) usage: Object<ChatUsage>,
    /// Only its presence matters. The slow path reads it.
    #[serde(default)]
    pub(super) error: IsPresent,
}

impl ChatChunk<'_> {
    /// Whether the fast path can read the chunk. A chunk without choices is a keep-alive, a token count or an
    /// error.
    pub(super) fn is_plain(&self) -> bool {
        !self.error.0
            && !self.choices.0.is_empty()
            && self.choices.0.iter().all(ChatChoice::is_plain)
    }
}

#[derive(Deserialize)]
pub(super) struct ChatChoice<'a> {
    #[serde(default)]
    pub(super) index: Number,
    #[serde(borrow, default)]
    pub(super) delta: Object<ChatDelta<'a>>,
    /// A whole message, in an answer without a stream.
    #[serde(borrow, default)]
    pub(super) message: Object<ChatDelta<'a>>,
    /// The text in the older completions API.
    #[serde(borrow, default)]
    pub(super) text: Text<'a>,
    #[serde(borrow, default)]
    pub(super) finish_reason: Text<'a>,
    /// Moonshot sends the token counts here. The slow path reads them.
    #[serde(default)]
    pub(super) usage: IsPresent,
    #[serde(default)]
    pub(super) error: IsPresent,
}

impl ChatChoice<'_> {
    pub(super) fn is_plain(&self) -> bool {
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
pub(super) struct ChatDelta<'a> {
    #[serde(borrow, default)]
    pub(super) content: Text<'a>,
    #[serde(borrow, default)]
    pub(super) reasoning_content: Text<'a>,
    #[serde(borrow, default)]
    pub(super) reasoning: Text<'a>,
    #[serde(borrow, default)]
    pub(super) reasoning_text: Text<'a>,
    #[serde(borrow, default)]
    pub(super) thinking: Text<'a>,
    #[serde(borrow, default)]
    pub(super) refusal: Text<'a>,
    #[serde(default)]
    pub(super) reasoning_details: IsPresent,
    #[serde(default)]
    pub(super) tool_calls: IsPresent,
    #[serde(default)]
    pub(super) function_call: IsPresent,
}

impl ChatDelta<'_> {
    /// The reasoning, in the first field that is not empty: some servers use two.
    pub(super) fn thought(&self) -> Option<&str> {
        [
            &self.reasoning_content,
            &self.reasoning,
            &self.reasoning_text,
            &self.thinking,
        ]
        .into_iter()
        .find_map(Text::get)
    }

    pub(super) fn calls_tool(&self) -> bool {
        self.tool_calls.0 || self.function_call.0
    }

    pub(super) fn is_plain(&self) -> bool {
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
