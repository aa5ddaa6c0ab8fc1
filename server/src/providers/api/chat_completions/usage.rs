//! The token counts of Chat Completions, under the names that servers use for them.

use app::protocol::Usage;
use serde::Deserialize;

use crate::providers::api::lenient::{Number, Object};

#[derive(Default, Deserialize)]
pub(super) struct ChatUsage {
    #[serde(default)]
    prompt_tokens: Number,
    #[serde(default)]
    completion_tokens: Number,
    #[serde(default)]
    completion_tokens_details: Object<CompletionDetails>,
    #[serde(default)]
    prompt_tokens_details: Object<PromptDetails>,
    /// Other names of the first two counts, and of cached tokens.
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
    /// Anthropic's names, which some gateways keep.
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
    pub(super) fn to_usage(&self) -> Usage {
        let completion = self.completion_tokens_details.get();
        let details = [&self.prompt_tokens_details, &self.input_tokens_details];
        let details = || details.into_iter().filter_map(Object::get);
        // The same count may have several names, of which some are 0.
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

/// The total number of input tokens. In this API it includes tokens that were read from and written to the
/// cache. Some gateways to Anthropic's API exclude both, which shows if the sum of them is larger.
fn all_input(total: Option<u64>, cached: Option<u64>, written: Option<u64>) -> Option<u64> {
    let apart = cached.unwrap_or(0).saturating_add(written.unwrap_or(0));
    total.map(|total| {
        if apart > total {
            total.saturating_add(apart)
        } else {
            total
        }
    })
}
