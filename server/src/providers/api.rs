//! The APIs of providers: the path below the base URL, the body of a request, and the meaning of the events of
//! an answer.
//!
//! `chat_completions`, `responses` and `messages` are one API each, and the other files are shared by them.
//! Callers use [`Api`] and [`Mapper`] and do not depend on the API.

pub mod chat_completions;
pub mod messages;
pub mod responses;
pub mod think_tags;

pub(super) mod ending;
mod finish;
pub(super) mod json;
mod lenient;
#[cfg(test)]
mod mapped;
mod parts;
mod prompt;
mod repetition;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use app::protocol::{ChatEvent, ChatRequest, Finish, Usage};
use app::sse;
use reqwest::Url;
use serde::Deserialize;

use self::ending::{EndCertainty, Ending};
use self::prompt::in_order;
use self::think_tags::{Habit, ThinkTags};
use crate::providers::caching::Caching;
use crate::providers::error::Failure;
use crate::providers::quirks::{Optional, Quirks};

/// The API of an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Api {
    /// OpenAI's Chat Completions, which most other providers offer too.
    #[serde(alias = "openai", alias = "chat")]
    ChatCompletions,
    /// OpenAI's Responses.
    #[serde(alias = "openai-responses")]
    Responses,
    /// Anthropic's Messages.
    #[serde(alias = "anthropic")]
    Messages,
}

impl Api {
    /// The path of the endpoint below the base URL.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::ChatCompletions => chat_completions::PATH,
            Self::Responses => responses::PATH,
            Self::Messages => messages::PATH,
        }
    }

    /// The base URL of the provider that defined the API.
    #[must_use]
    pub fn usual_base_url(self) -> Url {
        let url = match self {
            Self::ChatCompletions | Self::Responses => "https://api.openai.com/v1",
            Self::Messages => "https://api.anthropic.com",
        };
        url.parse().expect("a URL")
    }

    /// The JSON body of a streaming request.
    #[must_use]
    pub fn request(
        self,
        prompt: &ChatRequest,
        model: &str,
        quirks: Quirks,
        caching: Caching<'_>,
    ) -> Vec<u8> {
        let prompt = &*in_order(prompt, quirks.sends(Optional::SystemRole));
        match self {
            Self::ChatCompletions => chat_completions::request(prompt, model, quirks, caching),
            Self::Responses => responses::request(prompt, model, quirks, caching),
            Self::Messages => messages::request(prompt, model, quirks, caching),
        }
    }

    /// A mapper for the events of one answer.
    #[must_use]
    pub fn mapper(self) -> Mapper {
        let api = match self {
            Self::ChatCompletions => {
                ApiMapper::ChatCompletions(chat_completions::ChatCompletionsMapper::default())
            }
            Self::Responses => ApiMapper::Responses(responses::ResponsesMapper::default()),
            Self::Messages => ApiMapper::Messages(messages::MessagesMapper::default()),
        };
        Mapper {
            api,
            think_tags: None,
        }
    }
}

/// Maps the events of one answer to chat events, for any API.
#[derive(Debug)]
pub struct Mapper {
    api: ApiMapper,
    /// Set if the model writes its reasoning into its text.
    think_tags: Option<ThinkTags>,
}

#[derive(Debug)]
enum ApiMapper {
    ChatCompletions(chat_completions::ChatCompletionsMapper),
    Responses(responses::ResponsesMapper),
    Messages(messages::MessagesMapper),
}

impl Mapper {
    /// Separates reasoning in `<think>` tags from the text. `habit` is shared by the answers of a model.
    #[must_use]
    pub fn with_think_tags(mut self, habit: Arc<Habit>) -> Self {
        self.think_tags = Some(ThinkTags::new(habit));
        self
    }

    /// Sets the requested token limit. The Responses mapper uses it to recognise an answer that was cut off at
    /// the limit but is reported as complete.
    #[must_use]
    pub fn with_limit(mut self, limit: Option<u32>) -> Self {
        if let ApiMapper::Responses(mapper) = &mut self.api {
            mapper.limit = limit.map(u64::from);
        }
        self
    }

    /// Maps one event and passes the resulting chat events to `out`.
    ///
    /// # Errors
    /// When the event is an error of the provider, or cannot be read at all.
    pub fn map(
        &mut self,
        event: sse::Event<'_>,
        out: &mut impl FnMut(ChatEvent<'_>),
    ) -> Result<(), Failure> {
        let Self { api, think_tags } = self;
        match think_tags {
            None => api.map(event, out),
            Some(tags) => api.map(event, &mut |event| tags.map(event, out)),
        }
    }

    /// Maps an answer without a stream, which some servers send although a stream was requested.
    ///
    /// # Errors
    /// As [`Mapper::map`].
    pub fn map_completion(
        &mut self,
        body: &[u8],
        out: &mut impl FnMut(ChatEvent<'_>),
    ) -> Result<(), Failure> {
        let Self { api, think_tags } = self;
        match think_tags {
            None => api.map_completion(body, out),
            Some(tags) => api.map_completion(body, &mut |event| tags.map(event, out)),
        }
    }

    /// Passes on text that was held back. Must be called when the answer has ended. `is_whole` is false after a
    /// failure.
    pub fn flush(&mut self, is_whole: bool, out: &mut impl FnMut(ChatEvent<'_>)) {
        if let Some(tags) = &mut self.think_tags {
            tags.flush(is_whole, out);
        }
    }

    /// Whether the answer is over.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.ending().done
    }

    /// How the answer ended, if it has.
    #[must_use]
    pub fn verdict(&self) -> Option<Result<Finish, Failure>> {
        self.ending().verdict()
    }

    /// How certain the end of the answer is.
    pub(super) fn end_certainty(&self) -> EndCertainty {
        self.ending().end_certainty()
    }

    /// How often the answer went on after a finish reason.
    pub(super) fn resumed(&self) -> u32 {
        self.ending().resumed()
    }

    /// An event that looked like an error and was followed by nothing.
    pub(super) fn suspicion(&self) -> Option<&Failure> {
        self.ending().suspicion()
    }

    /// The token counts so far.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        self.ending().usage
    }

    fn ending(&self) -> &Ending {
        match &self.api {
            ApiMapper::ChatCompletions(mapper) => mapper.ending(),
            ApiMapper::Responses(mapper) => mapper.ending(),
            ApiMapper::Messages(mapper) => mapper.ending(),
        }
    }
}

impl ApiMapper {
    fn map(
        &mut self,
        event: sse::Event<'_>,
        out: &mut impl FnMut(ChatEvent<'_>),
    ) -> Result<(), Failure> {
        match self {
            Self::ChatCompletions(mapper) => mapper.map(event, out),
            Self::Responses(mapper) => mapper.map(event, out),
            Self::Messages(mapper) => mapper.map(event, out),
        }
    }

    fn map_completion(
        &mut self,
        body: &[u8],
        out: &mut impl FnMut(ChatEvent<'_>),
    ) -> Result<(), Failure> {
        match self {
            Self::ChatCompletions(mapper) => mapper.map_completion(body, out),
            Self::Responses(mapper) => mapper.map_completion(body, out),
            Self::Messages(mapper) => mapper.map_completion(body, out),
        }
    }
}
