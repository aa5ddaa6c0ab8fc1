//! The body of a Responses request.

use app::protocol::{ChatMessage, ChatRequest, ReasoningEffort};
use serde::Serialize;

use crate::providers::caching::Caching;
use crate::providers::quirks::{Optional, Quirks};

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
