//! Refusals: what a client did wrong, as HTTP status and JSON, logged once where it is answered.
//!
//! What an upstream does wrong is no refusal: it is an event of the reply. What follows
//! from its kind stands in [`app::protocol::ErrorKind`].

use std::borrow::Cow;
use std::time::Duration;

use app::protocol::{ErrorBody, ErrorKind, Refusal};
use axum::Json;
use axum::http::StatusCode;
use axum::http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONNECTION, HeaderValue, RETRY_AFTER};
use axum::response::{IntoResponse, Response};

use super::content_coding::ACCEPTED;
use super::limits::Full;
use crate::store::StoreError;

/// A refused request.
#[derive(Debug, Clone)]
pub(crate) struct AppError {
    kind: ErrorKind,
    message: Cow<'static, str>,
    retry_after: Option<Duration>,
    /// Whether it is told how a body may be compressed.
    tells_codings: bool,
}

impl From<Full> for AppError {
    fn from(full: Full) -> Self {
        Self {
            retry_after: Some(full.retry_after),
            ..full.kind.into()
        }
    }
}

impl From<ErrorKind> for AppError {
    fn from(kind: ErrorKind) -> Self {
        Self {
            kind,
            message: kind.sentence().into(),
            retry_after: None,
            tells_codings: false,
        }
    }
}

impl AppError {
    /// A refusal in words of its own.
    pub(crate) fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            message: message.into(),
            ..kind.into()
        }
    }

    /// The same, and how a body may be compressed.
    pub(crate) fn with_accepted_codings(self) -> Self {
        Self {
            tells_codings: true,
            ..self
        }
    }

    /// What the client is told.
    pub(crate) fn body(&self) -> ErrorBody {
        ErrorBody {
            error: Refusal {
                kind: self.kind,
                message: self.message.clone().into_owned(),
            },
        }
    }

    /// 400 with what is wrong with the request, and what would be right.
    pub(crate) fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::BadRequest, message)
    }

    fn status(&self) -> StatusCode {
        status_of(self.kind)
    }
}

impl From<StoreError> for AppError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound => ErrorKind::NotFound.into(),
            StoreError::Invalid(sentence) => Self::invalid(sentence),
            StoreError::Failed(cause) => {
                tracing::error!(cause, "the database failed");
                ErrorKind::NotSaved.into()
            }
        }
    }
}

/// The HTTP status of a kind.
pub(crate) fn status_of(kind: ErrorKind) -> StatusCode {
    StatusCode::from_u16(kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// The value of `Retry-After` for a wait.
pub(crate) fn in_seconds(wait: Duration) -> HeaderValue {
    let is_more = u64::from(wait.subsec_nanos() > 0);
    HeaderValue::from((wait.as_secs() + is_more).max(1))
}

/// Whether a refusal ends its connection: the rest of the body is still on its way and not worth reading,
/// or the connection is one of too many.
pub(crate) fn closes_connection(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::TooLarge | ErrorKind::RequestTimeout | ErrorKind::TooMany | ErrorKind::Busy
    )
}

impl IntoResponse for AppError {
    fn into_response(self) -> Response {
        let status = self.status();
        tracing::info!(
            status = status.as_u16(),
            kind = self.kind.as_str(),
            "refused"
        );
        let body = self.body();
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(wait) = self.retry_after {
            headers.insert(RETRY_AFTER, in_seconds(wait));
        }
        if self.tells_codings {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(ACCEPTED));
        }
        if closes_connection(self.kind) {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
