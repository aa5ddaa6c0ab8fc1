//! The body of a Messages request.

use app::protocol::{ChatMessage, ChatRequest, ReasoningEffort, Role};
use serde::Serialize;

use crate::providers::caching::{self, Caching};
use crate::providers::quirks::{Optional, Quirks, Thinking};

/// The token limit if the request has none, because this API requires one. If a model allows less, its error
/// says how much, and that is learnt.
pub(super) const MOST_TOKENS: u32 = 32_000;

/// The least tokens for the answer beside a budget for thinking, which counts against the limit too.
pub(super) const LEAST_ANSWER: u32 = 1024;

/// The JSON body of a streaming request.
#[must_use]
pub fn request(prompt: &ChatRequest, model: &str, quirks: Quirks, caching: Caching<'_>) -> Vec<u8> {
    #[derive(Serialize)]
    struct OutputConfig {
        effort: ReasoningEffort,
    }
    #[derive(Serialize)]
    struct MessagesBody<'a> {
        model: &'a str,
        max_tokens: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        system: Option<caching::CachedContent<'a>>,
        messages: Vec<caching::CachedMessage<'a>>,
        stream: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        temperature: Option<f64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        thinking: Option<Think>,
        #[serde(skip_serializing_if = "Option::is_none")]
        output_config: Option<OutputConfig>,
    }
    let system = instructions(prompt);
    let instructions = (!system.is_empty()).then_some(system.as_str());
    let (system, messages) = caching::mark(instructions, &turns(prompt), caching, quirks);
    let max_tokens = prompt
        .max_tokens
        .unwrap_or(MOST_TOKENS)
        .min(quirks.most_tokens.unwrap_or(u32::MAX));
    let (thinking, effort) = thinking(prompt.reasoning_effort, quirks.thinking, max_tokens);
    let body = MessagesBody {
        model,
        max_tokens,
        system,
        messages,
        stream: quirks.sends(Optional::Stream),
        // The maximum is 1 in this API. A model that thinks accepts only the default.
        temperature: prompt
            .temperature
            .filter(|_| thinking.is_none() && quirks.sends(Optional::Temperature))
            .map(|temperature| temperature.min(1.0)),
        thinking,
        output_config: effort.map(|effort| OutputConfig { effort }),
    };
    serde_json::to_vec(&body).expect("strings and finite numbers always become JSON")
}

/// The system messages, joined: this API has one field for them.
fn instructions(prompt: &ChatRequest) -> String {
    let system = prompt
        .messages
        .iter()
        .filter(|message| message.role == Role::System)
        .map(|message| message.content.as_str());
    system.collect::<Vec<_>>().join("\n\n")
}

/// The messages of the conversation that this API accepts.
fn turns(prompt: &ChatRequest) -> Vec<&ChatMessage> {
    let turns = prompt.messages.iter().filter(|message| {
        // The API refuses a conversation with an empty message.
        message.role != Role::System && !message.content.trim().is_empty()
    });
    // It also refuses a conversation that does not begin with a question. A greeting before it is left out.
    let has_question = turns.clone().any(|message| message.role == Role::User);
    turns
        .skip_while(|message| has_question && message.role != Role::User)
        .collect()
}

/// How the model is asked to think.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Think {
    Adaptive { display: &'static str },
    Enabled { budget_tokens: u32 },
}

/// The two fields for thinking: newer models take an effort, older ones a budget of tokens.
fn thinking(
    effort: Option<ReasoningEffort>,
    quirk: Thinking,
    max_tokens: u32,
) -> (Option<Think>, Option<ReasoningEffort>) {
    match (effort, quirk) {
        (None, _) | (_, Thinking::Never) => (None, None),
        (effort, Thinking::Adaptive) => (
            Some(Think::Adaptive {
                display: "summarized",
            }),
            effort,
        ),
        (Some(effort), Thinking::Budget) => (
            budget(effort, max_tokens).map(|budget_tokens| Think::Enabled { budget_tokens }),
            None,
        ),
    }
}

/// The budget for thinking, if the limit allows it: the API requires at least 1024 tokens.
fn budget(effort: ReasoningEffort, max_tokens: u32) -> Option<u32> {
    let budget = match effort {
        ReasoningEffort::Low => 2048,
        ReasoningEffort::Medium => 8192,
        ReasoningEffort::High => 16_384,
    };
    let room = max_tokens.saturating_sub(LEAST_ANSWER);
    (room >= 1024).then_some(budget.min(room))
}
