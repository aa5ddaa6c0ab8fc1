//! Refusals: what a client did wrong, as HTTP status and JSON, logged once where it is answered.
//!
//! What an upstream does wrong is no refusal: it is an event of the reply. The words stand in
//! [`app::wording`].

use std::borrow::Cow;

use app::protocol::{ErrorBody, ErrorKind, Refusal};
use app::wording::error_sentence;
use axum::Json;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONNECTION, HeaderValue};
use axum::response::{IntoResponse, Response};

/// A refused request.
#[derive(Debug, Clone)]
pub(crate) struct AppError {
    kind: ErrorKind,
    message: Cow<'static, str>,
}

impl From<ErrorKind> for AppError {
    fn from(kind: ErrorKind) -> Self {
        Self {
            kind,
            message: error_sentence(kind).into(),
        }
    }
}

impl AppError {
    /// A refusal in words of its own.
    pub(crate) fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            message: message.into(),
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
        Self {
            kind: ErrorKind::BadRequest,
            message: message.into(),
        }
    }

    fn status(&self) -> StatusCode {
        match self.kind {
            ErrorKind::BadRequest => StatusCode::BAD_REQUEST,
            ErrorKind::NotAllowed => StatusCode::FORBIDDEN,
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            ErrorKind::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
            ErrorKind::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ErrorKind::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ErrorKind::WrongHost => StatusCode::MISDIRECTED_REQUEST,
            ErrorKind::Shutdown | ErrorKind::NotSaved => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
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
        if matches!(self.kind, ErrorKind::TooLarge | ErrorKind::RequestTimeout) {
            // The rest of the body is still on its way; it is not worth reading.
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
