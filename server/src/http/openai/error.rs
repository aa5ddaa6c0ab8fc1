//! Errors of this server in the format that OpenAI's libraries read:
//! `{"error":{"message","type","param","code"}}`.

use app::protocol::ErrorKind;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::http::error::{AppError, status_of};

/// An error that is answered in OpenAI's format.
#[derive(Debug, Clone)]
pub(in crate::http) struct OpenAiError {
    error: AppError,
    /// The upstream's status, if it replaces the status of the error.
    status: Option<StatusCode>,
}

impl<E: Into<AppError>> From<E> for OpenAiError {
    fn from(error: E) -> Self {
        Self {
            error: error.into(),
            status: None,
        }
    }
}

impl OpenAiError {
    /// 400 with a sentence that says what is wrong with the request.
    pub(super) fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> Self {
        AppError::invalid(message).into()
    }

    /// 400 for a model whose upstream does not speak this API. The sentence names the request that works.
    pub(super) fn speaks_another_api(model: &str) -> Self {
        // The client wrote the name. It is cut to the length of a plausible name.
        let model: String = model.chars().take(100).collect();
        Self::invalid(format!(
            "The model {model} is Anthropic's, which does not speak this API: ask it by POST /api/chat, \
             with \"accept: application/x-ndjson\" for Chat Completions chunks."
        ))
    }

    /// The same error with the upstream's status.
    pub(super) fn with_status(self, status: StatusCode) -> Self {
        Self {
            status: Some(status),
            ..self
        }
    }

    fn status(&self) -> StatusCode {
        if let Some(status) = self.status {
            return status;
        }
        match self.error.kind() {
            // OpenAI answers with these statuses.
            ErrorKind::Auth => StatusCode::UNAUTHORIZED,
            ErrorKind::ModelNotFound => StatusCode::NOT_FOUND,
            kind => status_of(kind),
        }
    }
}

impl IntoResponse for OpenAiError {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct OpenAiBody<'a> {
            error: OpenAiFields<'a>,
        }
        #[derive(Serialize)]
        struct OpenAiFields<'a> {
            message: &'a str,
            r#type: &'static str,
            param: Option<&'static str>,
            code: &'static str,
        }
        let status = self.status();
        let code = match self.error.kind() {
            // OpenAI's own codes, where it has one.
            ErrorKind::Auth => "invalid_api_key",
            ErrorKind::TooMany => "rate_limit_exceeded",
            kind => kind.as_str(),
        };
        let error = OpenAiFields {
            message: self.error.message(),
            r#type: if self.error.kind() == ErrorKind::TooMany {
                "rate_limit_error"
            } else if status.is_client_error() {
                "invalid_request_error"
            } else {
                "upstream_error"
            },
            param: None,
            code,
        };
        self.error.respond(status, &OpenAiBody { error })
    }
}
