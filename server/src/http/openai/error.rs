//! Errors of ours in the form that OpenAI's libraries read: `{"error":{"message","type","param","code"}}`.

use std::borrow::Cow;
use std::time::Duration;

use app::protocol::ErrorKind;
use axum::Json;
use axum::http::StatusCode;
use axum::http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONNECTION, HeaderValue, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::http::body::Broken;
use crate::http::content_coding::ACCEPTED;
use crate::http::error::{closes_connection, in_seconds, status_of};
use crate::http::limits::Full;

/// What is answered where nothing could be passed through.
#[derive(Debug, Clone)]
pub(in crate::http) struct ApiError {
    kind: ErrorKind,
    message: Cow<'static, str>,
    /// What the client got wrong was not logged yet; what failed at the upstream was.
    is_logged: bool,
    /// The upstream's status, where that passes without its words.
    status: Option<StatusCode>,
    retry_after: Option<Duration>,
    /// Whether it is told how a body may be compressed.
    tells_codings: bool,
}

impl From<ErrorKind> for ApiError {
    fn from(kind: ErrorKind) -> Self {
        Self {
            kind,
            message: kind.sentence().into(),
            is_logged: false,
            status: None,
            retry_after: None,
            tells_codings: false,
        }
    }
}

impl From<Full> for ApiError {
    fn from(full: Full) -> Self {
        Self {
            retry_after: Some(full.retry_after),
            ..full.kind.into()
        }
    }
}

impl From<Broken> for ApiError {
    fn from(broken: Broken) -> Self {
        let (kind, message) = broken.refusal();
        Self {
            message,
            tells_codings: broken == Broken::UnknownCoding,
            ..kind.into()
        }
    }
}

impl ApiError {
    /// 400 with what is wrong with the request.
    pub(in crate::http) fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            message: message.into(),
            ..ErrorKind::BadRequest.into()
        }
    }

    /// 400 for a model whose upstream does not speak this API, with what does.
    pub(in crate::http) fn speaks_another_api(model: &str) -> Self {
        // The name is the client's own; more of it than can be a name is not repeated.
        let model: String = model.chars().take(100).collect();
        Self::invalid(format!(
            "The model {model} is Anthropic's, which does not speak this API: ask it by POST /api/chat, \
             with \"accept: application/x-ndjson\" for Chat Completions chunks."
        ))
    }

    /// An error that stands in the log already.
    pub(in crate::http) fn logged(kind: ErrorKind) -> Self {
        Self {
            is_logged: true,
            ..kind.into()
        }
    }

    /// The same with the upstream's status.
    pub(in crate::http) fn with_status(self, status: StatusCode) -> Self {
        Self {
            status: Some(status),
            ..self
        }
    }

    fn status(&self) -> StatusCode {
        if let Some(status) = self.status {
            return status;
        }
        match self.kind {
            // As OpenAI has them.
            ErrorKind::Auth => StatusCode::UNAUTHORIZED,
            ErrorKind::ModelNotFound => StatusCode::NOT_FOUND,
            kind => status_of(kind),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Body<'a> {
            error: Error<'a>,
        }
        #[derive(Serialize)]
        struct Error<'a> {
            message: &'a str,
            r#type: &'static str,
            param: Option<&'static str>,
            code: &'static str,
        }
        let status = self.status();
        let code = match self.kind {
            // The words of OpenAI, where it has one.
            ErrorKind::Auth => "invalid_api_key",
            ErrorKind::TooMany => "rate_limit_exceeded",
            kind => kind.as_str(),
        };
        if !self.is_logged {
            tracing::info!(
                status = status.as_u16(),
                kind = self.kind.as_str(),
                "refused"
            );
        }
        let error = Error {
            message: &self.message,
            r#type: if self.kind == ErrorKind::TooMany {
                "rate_limit_error"
            } else if status.is_client_error() {
                "invalid_request_error"
            } else {
                "upstream_error"
            },
            param: None,
            code,
        };
        let mut response = (status, Json(Body { error })).into_response();
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
