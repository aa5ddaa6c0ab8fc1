//! The body of a Chat Completions request.

use app::protocol::{ChatMessage, ChatRequest, ReasoningEffort};
use serde::Serialize;

use crate::providers::caching::{self, Caching};
use crate::providers::quirks::{Optional, Quirks};

/// The JSON body of a streaming request.
#[must_use]
pub fn request(prompt: &ChatRequest, model: &str, quirks: Quirks, caching: Caching<'_>) -> Vec<u8> {
    #[derive(Serialize)]
    struct StreamOptions {
        include_usage: bool,
    }
    #[derive(Serialize)]
    struct ChatCompletionsBody<'a> {
        model: &'a str,
        messages: Vec<caching::CachedMessage<'a>>,
        stream: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        stream_options: Option<StreamOptions>,
        #[serde(skip_serializing_if = "Option::is_none")]
        temperature: Option<f64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        max_tokens: Option<u32>,
        #[serde(skip_serializing_if = "Option::is_none")]
        max_completion_tokens: Option<u32>,
        #[serde(skip_serializing_if = "Option::is_none")]
        reasoning_effort: Option<ReasoningEffort>,
        #[serde(skip_serializing_if = "Option::is_none")]
        prompt_cache_key: Option<&'a str>,
    }
    let limit = quirks.limit(prompt.max_tokens);
    let is_stream = quirks.sends(Optional::Stream);
    let messages: Vec<&ChatMessage> = prompt.messages.iter().collect();
    let (_, messages) = caching::mark(None, &messages, caching, quirks);
    let body = ChatCompletionsBody {
        model,
        messages,
        stream: is_stream,
        stream_options: (is_stream && quirks.sends(Optional::StreamOptions)).then_some(
            StreamOptions {
                include_usage: true,
            },
        ),
        temperature: prompt
            .temperature
            .filter(|_| quirks.sends(Optional::Temperature)),
        max_tokens: limit.filter(|_| !quirks.max_completion_tokens),
        max_completion_tokens: limit.filter(|_| quirks.max_completion_tokens),
        reasoning_effort: prompt
            .reasoning_effort
            .filter(|_| quirks.sends(Optional::ReasoningEffort)),
        prompt_cache_key: caching.key(quirks),
    };
    serde_json::to_vec(&body).expect("strings and finite numbers always become JSON")
}
