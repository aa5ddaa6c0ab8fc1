//! Bodies of requests: JSON only, of a bounded size, in a bounded time.

use std::time::Duration;

use app::protocol::{ErrorKind, MAX_REQUEST_BYTES};
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::error::AppError;

/// How long a request's body may take to arrive.
const BODY_DEADLINE: Duration = Duration::from_secs(20);

/// Reads a request's JSON.
pub(crate) async fn json<T: DeserializeOwned>(request: Request) -> Result<T, AppError> {
    check_headers(request.headers())?;
    let body = read(request.into_body()).await?;
    serde_json::from_slice(&body)
        .map_err(|cause| AppError::invalid(format!("This is no such request: {cause}.")))
}

/// What can be refused before the body is read. A form of another site can send no JSON.
pub(crate) fn check_headers(headers: &HeaderMap) -> Result<(), AppError> {
    check_type(headers)?;
    check_length(headers)
}

/// The body must be JSON.
pub(crate) fn check_type(headers: &HeaderMap) -> Result<(), AppError> {
    if is_json(headers) {
        Ok(())
    } else {
        Err(ErrorKind::UnsupportedMediaType.into())
    }
}

/// The body must not say that it is too large.
pub(crate) fn check_length(headers: &HeaderMap) -> Result<(), AppError> {
    let length = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok());
    match length.map(str::parse::<usize>) {
        Some(Ok(length)) if length > MAX_REQUEST_BYTES => Err(ErrorKind::TooLarge.into()),
        _ => Ok(()),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|value| value.trim().eq_ignore_ascii_case("application/json"))
}

/// Reads a body to its end.
pub(crate) async fn read(body: Body) -> Result<Bytes, AppError> {
    match timeout(BODY_DEADLINE, to_bytes(body, MAX_REQUEST_BYTES)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(cause)) if is_length_limit(&cause) => Err(ErrorKind::TooLarge.into()),
        Ok(Err(_)) => Err(AppError::invalid("The request's body broke off.")),
        Err(_) => Err(ErrorKind::RequestTimeout.into()),
    }
}

fn is_length_limit(error: &axum::Error) -> bool {
    std::error::Error::source(error)
        .is_some_and(<dyn std::error::Error>::is::<http_body_util::LengthLimitError>)
}
