//! The APIs that providers speak: the path below the base URL, the body of a request, and what the
//! events of an answer mean.
//!
//! `chat_completions`, `responses` and `messages` are one API each; the other files are what these share.
//! Callers use [`Api`] and [`Mapper`] and do not depend on which API it is.

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
mod said;
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

/// Which API an upstream speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Api {
    /// OpenAI's Chat Completions, which most others speak too.
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
    /// Where a question goes, below the base URL.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::ChatCompletions => chat_completions::PATH,
            Self::Responses => responses::PATH,
            Self::Messages => messages::PATH,
        }
    }

    /// The address of the provider whose API it is.
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

/// Maps the events of one answer to ours, whatever the API of its upstream.
#[derive(Debug)]
pub struct Mapper {
    api: ApiMapper,
    /// Set where the model writes its reasoning into its text.
    think_tags: Option<ThinkTags>,
}

#[derive(Debug)]
enum ApiMapper {
    ChatCompletions(chat_completions::ChatCompletionsMapper),
    Responses(responses::ResponsesMapper),
    Messages(messages::MessagesMapper),
}

impl Mapper {
    /// Takes what stands in `<think>` tags at the head of the text for reasoning. The habit is that of
    /// the model.
    #[must_use]
    pub fn with_think_tags(mut self, habit: Arc<Habit>) -> Self {
        self.think_tags = Some(ThinkTags::new(habit));
        self
    }

    /// The most tokens that were asked for, by which an API that does not say so is found to have cut
    /// the answer off.
    #[must_use]
    pub fn with_limit(mut self, limit: Option<u32>) -> Self {
        if let ApiMapper::Responses(mapper) = &mut self.api {
            mapper.limit = limit.map(u64::from);
        }
        self
    }

    /// Maps one event; what it holds of the answer is handed to `out`.
    ///
    /// # Errors
    /// When the event is an error of the provider, or not readable at all.
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

    /// Maps an answer that is no stream, which some servers send although one was asked for.
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

    /// Hands on what was held back until it was clear what it is. To be called when the answer has
    /// ended; `is_whole`: not by a failure.
    pub fn flush(&mut self, is_whole: bool, out: &mut impl FnMut(ChatEvent<'_>)) {
        if let Some(tags) = &mut self.think_tags {
            tags.flush(is_whole, out);
        }
    }

    /// Whether nothing more will come.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.ending().done
    }

    /// How the answer ended, once that is known.
    #[must_use]
    pub fn verdict(&self) -> Option<Result<Finish, Failure>> {
        self.ending().verdict()
    }

    /// How sure it is that the answer has ended.
    pub(super) fn end_certainty(&self) -> EndCertainty {
        self.ending().end_certainty()
    }

    /// How often the answer has gone on after a word on its end.
    pub(super) fn resumed(&self) -> u32 {
        self.ending().resumed()
    }

    /// What looked like an error and was followed by nothing.
    pub(super) fn suspicion(&self) -> Option<&Failure> {
        self.ending().suspicion()
    }

    /// What the answer cost, as far as the provider has told.
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
