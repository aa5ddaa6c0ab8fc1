//! One event of a Messages stream, or a whole message.

use serde::Deserialize;

use crate::providers::api::lenient::{IsPresent, List, Number, Object, Text};

/// The relevant fields of an event. Strings without escapes are borrowed from the event. Each field accepts any
/// value.
#[derive(Deserialize)]
pub(super) struct MessagesEvent<'a> {
    #[serde(borrow, rename = "type", default)]
    pub(super) kind: Text<'a>,
    #[serde(default)]
    pub(super) index: Number,
    #[serde(borrow, default)]
    pub(super) delta: Object<ContentPiece<'a>>,
    #[serde(borrow, default)]
    pub(super) content_block: Object<ContentPiece<'a>>,
    #[serde(borrow, default)]
    pub(super) message: Object<WholeMessage<'a>>,
    #[serde(default)]
    pub(super) usage: Object<MessagesUsage>,
    /// Only its presence matters. The slow path reads it.
    #[serde(default)]
    pub(super) error: IsPresent,
}

impl MessagesEvent<'_> {
    pub(super) fn is_plain(&self) -> bool {
        !self.error.0 && !self.delta.is_other() && self.kind.get() != Some("error")
    }
}

/// A block, or an addition to a block or to the message.
#[derive(Deserialize)]
pub(super) struct ContentPiece<'a> {
    #[serde(borrow, rename = "type", default)]
    pub(super) kind: Text<'a>,
    #[serde(borrow, default)]
    pub(super) text: Text<'a>,
    #[serde(borrow, default)]
    pub(super) thinking: Text<'a>,
    #[serde(borrow, default)]
    pub(super) stop_reason: Text<'a>,
}

#[derive(Deserialize)]
pub(super) struct WholeMessage<'a> {
    #[serde(borrow, default)]
    pub(super) content: List<ContentPiece<'a>>,
    #[serde(borrow, default)]
    pub(super) stop_reason: Text<'a>,
    #[serde(default)]
    pub(super) usage: Object<MessagesUsage>,
}

#[derive(Deserialize)]
pub(super) struct MessagesUsage {
    #[serde(default)]
    pub(super) input_tokens: Number,
    #[serde(default)]
    pub(super) output_tokens: Number,
    #[serde(default)]
    pub(super) cache_read_input_tokens: Number,
    #[serde(default)]
    pub(super) cache_creation_input_tokens: Number,
    /// The same count by lifetime.
    #[serde(default)]
    pub(super) cache_creation: Object<CacheWrites>,
}

#[derive(Deserialize)]
pub(super) struct CacheWrites {
    #[serde(default)]
    ephemeral_5m_input_tokens: Number,
    #[serde(default)]
    ephemeral_1h_input_tokens: Number,
}

impl MessagesUsage {
    /// The tokens that were written to the provider's cache.
    pub(super) fn written(&self) -> Option<u64> {
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
