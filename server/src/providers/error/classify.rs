//! The kind of a provider's error.

use app::protocol::ErrorKind;

use super::body::ProviderError;
use super::wordings::{self, About};

impl ProviderError {
    /// The kind of this error, with its HTTP status if it had one.
    ///
    /// The message counts more than the status: several providers use a misleading status for a long
    /// conversation, a wrong key or an account without money.
    pub fn classify(&self, status: Option<u16>) -> ErrorKind {
        let status = self.status_of(status);
        match wordings::find(&self.codes, &self.message) {
            Some(About::ContextLength) => ErrorKind::ContextLength,
            Some(About::Quota) => ErrorKind::Quota,
            Some(About::Overloaded) => ErrorKind::Overloaded,
            Some(About::RateLimited) => ErrorKind::RateLimited,
            Some(About::Model) => ErrorKind::ModelNotFound,
            Some(About::Auth) => ErrorKind::Auth,
            Some(About::TooLarge) => ErrorKind::TooLarge,
            Some(About::Filter) => match status {
                Some(400..=499) => ErrorKind::BadRequest,
                _ => ErrorKind::UpstreamError,
            },
            None => self.kind_of_status(status),
        }
    }

    /// The HTTP status, unless a gateway hides a 4xx in the body behind a 5xx.
    fn status_of(&self, status: Option<u16>) -> Option<u16> {
        match (status.filter(|status| *status >= 400), self.status) {
            (Some(500..), Some(in_body @ 400..=499)) => Some(in_body),
            (status, in_body) => status.or(in_body),
        }
    }

    fn kind_of_status(&self, status: Option<u16>) -> ErrorKind {
        match status {
            Some(401 | 403) => ErrorKind::Auth,
            Some(402) => ErrorKind::Quota,
            Some(404) if self.message.contains("model") => ErrorKind::ModelNotFound,
            Some(413) => ErrorKind::TooLarge,
            Some(429) => ErrorKind::RateLimited,
            Some(503 | 529) => ErrorKind::Overloaded,
            Some(408 | 409) => ErrorKind::UpstreamError,
            Some(400..=499) => ErrorKind::BadRequest,
            _ if self.codes.contains("invalidrequest") || self.codes.contains("invalidprompt") => {
                ErrorKind::BadRequest
            }
            _ => ErrorKind::UpstreamError,
        }
    }
}
