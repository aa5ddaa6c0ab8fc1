//! A failed request or stream, and what it means for the reply.
//!
//! It holds no words of the provider, which can contain parts of keys, addresses and prompts, but only a kind
//! and a short code for the log.

pub mod body;
mod classify;
pub(super) mod in_answer;
mod page;
pub(super) mod wordings;

use std::borrow::Cow;
use std::time::Duration;

use app::protocol::{ErrorKind, ReplyError, Retry};

/// A failed request or stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// The kind for programs and people.
    pub kind: ErrorKind,
    /// The stage of the failure, which decides whether a retry can help.
    pub stage: FailureStage,
    /// Whether the request may be repeated automatically.
    pub may_retry: bool,
    /// The wait that the provider asks for.
    pub retry_after: Option<Duration>,
    /// The sentence for the person, if it explains more than that of the kind.
    pub sentence: Option<&'static str>,
    /// For the log: a status, a code or a network error. Never words of a provider.
    pub cause: Cow<'static, str>,
}

/// The stage of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureStage {
    /// The provider refused the request or did not answer.
    Request,
    /// The provider had accepted the request.
    Stream,
}

impl Failure {
    /// A failure of a request that must not be repeated automatically.
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

    /// The error for the person.
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

    /// Whether repeating the request by hand can help.
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
