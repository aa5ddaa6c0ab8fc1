//! A request or a stream that failed, and what that means for the reply.
//!
//! Nothing of a provider's words is kept here: they can hold parts of keys, addresses and prompts.
//! What goes on is a kind, and for the log a code of few letters.

pub mod body;
mod classify;
pub(super) mod in_answer;
mod page;
pub(super) mod wordings;

use std::borrow::Cow;
use std::time::Duration;

use app::protocol::{ErrorKind, ReplyError, Retry};

/// A request or a stream that failed.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// What it is for programs and people.
    pub kind: ErrorKind,
    /// Where it happened, which decides whether asking again can help.
    pub stage: FailureStage,
    /// Whether the relay may send the request again by itself.
    pub may_retry: bool,
    /// How long the provider asks to wait.
    pub retry_after: Option<Duration>,
    /// The sentence for the person, where one explains the failure better than that of its kind.
    pub sentence: Option<&'static str>,
    /// For the log: a status, a code, an error of the network. Never words of a provider.
    pub cause: Cow<'static, str>,
}

/// How far a request had come when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureStage {
    /// The provider answered with an HTTP error, or not at all.
    Request,
    /// The provider had accepted the request.
    Stream,
}

impl Failure {
    /// A failure of the request that nobody should repeat unseen.
    pub fn request(kind: ErrorKind, cause: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            stage: FailureStage::Request,
            may_retry: false,
            retry_after: None,
            sentence: None,
            cause: cause.into(),
        }
    }

    /// A failure after the provider had accepted the request.
    pub fn stream(kind: ErrorKind, cause: impl Into<Cow<'static, str>>) -> Self {
        Self {
            stage: FailureStage::Stream,
            ..Self::request(kind, cause)
        }
    }

    /// The words for the person.
    pub fn to_error(&self) -> ReplyError {
        ReplyError {
            kind: self.kind,
            message: self
                .sentence
                .unwrap_or_else(|| self.kind.sentence())
                .to_owned(),
            retryable: self.is_retryable(),
            retry_after_ms: self
                .retry_after
                .map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
        }
    }

    /// Whether a person who asks again can expect another outcome.
    fn is_retryable(&self) -> bool {
        match self.kind.retry() {
            Retry::Never => false,
            Retry::InStream => self.stage == FailureStage::Stream,
            Retry::Always => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_offered_a_retry_where_it_can_help() {
        let check = |failure: Failure, expect| {
            assert_eq!(failure.to_error().retryable, expect, "{failure:?}");
        };
        check(Failure::request(ErrorKind::Auth, "401"), false);
        check(Failure::request(ErrorKind::ContextLength, "400"), false);
        check(Failure::stream(ErrorKind::ContextLength, "frame"), true);
        check(Failure::stream(ErrorKind::Quota, "frame"), false);
        check(Failure::stream(ErrorKind::Auth, "frame"), false);
        check(
            Failure::request(ErrorKind::UpstreamUnreachable, "refused"),
            true,
        );
        check(Failure::request(ErrorKind::RateLimited, "429"), true);
    }
}
