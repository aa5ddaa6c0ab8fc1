//! Refused requests: an HTTP status and JSON, logged once where the response is made.
//!
//! The failure of an upstream is an event of the reply and not a refusal. [`app::protocol::ErrorKind`] has the
//! status and the sentence of each kind.

use std::borrow::Cow;
use std::time::Duration;

use app::protocol::{ErrorBody, ErrorKind, Refusal};
use axum::Json;
use axum::http::StatusCode;
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONNECTION, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::content_coding::ACCEPTED;
use super::limits::LimitReached;
use crate::reference::{Reference, with_reference};
use crate::store::StoreError;

/// The error of a refused request.
#[derive(Debug, Clone)]
pub(crate) struct AppError {
    kind: ErrorKind,
    message: Cow<'static, str>,
    retry_after: Option<Duration>,
    /// Whether the response lists the accepted content codings.
    lists_codings: bool,
    /// Whether the failure was logged already.
    is_logged: bool,
}

impl From<LimitReached> for AppError {
    fn from(reached: LimitReached) -> Self {
        Self {
            retry_after: Some(reached.retry_after),
            ..reached.kind.into()
        }
    }
}

impl From<ErrorKind> for AppError {
    fn from(kind: ErrorKind) -> Self {
        Self {
            kind,
            message: kind.sentence().into(),
            retry_after: None,
            lists_codings: false,
            is_logged: false,
        }
    }
}

impl AppError {
    /// An error with a sentence of its own.
    pub(crate) fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            message: message.into(),
            ..kind.into()
        }
    }

    /// The same error, with the accepted content codings in the response.
    pub(crate) fn with_accepted_codings(self) -> Self {
        Self {
            lists_codings: true,
            ..self
        }
    }

    /// An error that was logged already.
    pub(crate) fn logged(kind: ErrorKind) -> Self {
        Self {
            is_logged: true,
            ..kind.into()
        }
    }

    /// The body of the response.
    pub(crate) fn body(&self) -> ErrorBody {
        ErrorBody {
            error: Refusal {
                kind: self.kind,
                // What is wrong here can be found in the log.
                message: match Reference::current() {
                    Some(reference) if status_of(self.kind).is_server_error() => {
                        with_reference(&self.message, Some(&reference))
                    }
                    _ => self.message.clone().into_owned(),
                },
            },
        }
    }

    /// 400 with a sentence that says what is wrong with the request and what would be right.
    pub(crate) fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::BadRequest, message)
    }

    pub(crate) fn kind(&self) -> ErrorKind {
        self.kind
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The response with this status and body. Logs the error unless it was logged already.
    pub(crate) fn respond(&self, status: StatusCode, body: &impl Serialize) -> Response {
        if !self.is_logged {
            tracing::info!(
                status = status.as_u16(),
                kind = self.kind.as_str(),
                reference = Reference::current().as_ref().map(Reference::as_str),
                "refused"
            );
        }
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(wait) = self.retry_after {
            headers.insert(RETRY_AFTER, in_seconds(wait));
        }
        if self.lists_codings {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(ACCEPTED));
        }
        if self.kind == ErrorKind::NotSignedIn {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if closes_connection(self.kind) {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

impl From<StoreError> for AppError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound => ErrorKind::NotFound.into(),
            StoreError::Invalid(sentence) => Self::invalid(sentence),
            StoreError::Failed(cause) => {
                let reference = Reference::current();
                let reference = reference.as_ref().map(Reference::as_str);
                tracing::error!(cause, reference, "the database failed");
                ErrorKind::NotSaved.into()
            }
        }
    }
}

/// The HTTP status of a kind of error.
pub(crate) fn status_of(kind: ErrorKind) -> StatusCode {
    StatusCode::from_u16(kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// The value of `Retry-After`, in seconds, at least 1.
pub(crate) fn in_seconds(wait: Duration) -> HeaderValue {
    let is_more = u64::from(wait.subsec_nanos() > 0);
    HeaderValue::from((wait.as_secs() + is_more).max(1))
}

/// Whether an error closes its connection: the rest of the body will not be read, or there are too many
/// connections.
fn closes_connection(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::TooLarge | ErrorKind::RequestTimeout | ErrorKind::TooMany | ErrorKind::Busy
    )
}

impl IntoResponse for AppError {
    fn into_response(self) -> Response {
        self.respond(status_of(self.kind), &self.body())
    }
}
