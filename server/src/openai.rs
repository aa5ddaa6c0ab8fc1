//! The OpenAI-compatible surface: programs that speak to OpenAI speak to this server instead, without
//! a key of their own.
//!
//! Bodies and streamed bytes pass through as they are, and so do statuses and errors; what is exchanged
//! are the credentials. Of a request no more is read than which model it is for. Nothing is retried
//! here: the libraries of those programs do that themselves.

mod body;
mod error;
mod headers;
mod models;
mod relay;

use std::time::Duration;

use app::protocol::ErrorKind;
use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::time::{Instant, timeout, timeout_at};

use self::error::ApiError;
pub(crate) use self::models::choose as choose_model;
use self::relay::{Note, Relay};
use crate::state::AppState;
use crate::upstream::Route;
use crate::upstream::kind::Kind;

/// The largest body of a request, in bytes: pictures travel in it.
const MAX_BODY_BYTES: usize = 32 * 1024 * 1024;
/// How long a request's body may take to arrive.
const BODY_DEADLINE: Duration = Duration::from_secs(60);

/// The paths below `/v1`.
pub(crate) fn router() -> Router<AppState> {
    Router::new()
        .route(
            "/v1/chat/completions",
            post(async |state, request| pass(state, "chat/completions", request).await),
        )
        .route(
            "/v1/responses",
            post(async |state, request| pass(state, "responses", request).await),
        )
        .route("/v1/models", get(models::list))
        .route("/v1/models/{*id}", get(models::show))
}

/// Passes a request on to the upstream that has its model, and the answer back.
async fn pass(
    State(state): State<AppState>,
    path: &'static str,
    request: Request,
) -> Result<Response, ApiError> {
    if state.drain.is_cancelled() {
        return Err(ErrorKind::Shutdown.into());
    }
    let started = Instant::now();
    let (parts, body) = request.into_parts();
    check_headers(&parts.headers)?;
    let body = match timeout(BODY_DEADLINE, to_bytes(body, MAX_BODY_BYTES)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return Err(ErrorKind::TooLarge.into()),
        Err(_) => return Err(ErrorKind::RequestTimeout.into()),
    };
    let head = body::Head::read(&body)?;
    let asked = match &head.model {
        Some(model) => model.name.clone(),
        None => state.upstreams.default_model(),
    };
    let Route { upstream, model } = state
        .upstreams
        .route(&asked)
        .await
        .ok_or(ErrorKind::ModelNotFound)?;
    if upstream.settings().kind == Kind::Messages {
        return Err(ApiError::speaks_another_api(&asked));
    }
    let body = head.with_model(body, &model);
    let note = Note::new(path, upstream.settings().name.clone(), model, started);

    let limits = upstream.limits();
    let total = started + limits.total;
    // An answer that is no stream begins when it is complete.
    let first_byte = if head.is_stream {
        (Instant::now() + limits.first_byte).min(total)
    } else {
        total
    };
    let sent = upstream.pass(path, headers::of_request(&parts.headers), body);
    let answer = tokio::select! {
        biased;
        () = state.shutdown.cancelled() => return Err(note.failed(ErrorKind::Shutdown)),
        answer = timeout_at(first_byte, sent) => answer,
    };
    let answer = match answer {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) if error.is_connect() => {
            return Err(note.failed(ErrorKind::UpstreamUnreachable));
        }
        Ok(Err(_)) => return Err(note.failed(ErrorKind::UpstreamCut)),
        Err(_) => return Err(note.failed(ErrorKind::UpstreamTimeoutFirstByte)),
    };
    let answer: axum::http::Response<reqwest::Body> = answer.into();
    let status = answer.status();
    if status.is_redirection() {
        return Err(note.failed(ErrorKind::UpstreamRedirect));
    }
    if status == StatusCode::UNAUTHORIZED {
        // It is our key that was refused, and providers like to repeat parts of it.
        return Err(note.failed(ErrorKind::Auth));
    }
    let (mut parts, body) = answer.into_parts();
    parts.headers = headers::of_answer(&parts.headers);
    parts.extensions = axum::http::Extensions::new();
    let relay = Relay::new(body, limits, total, &state, note.answered(status));
    Ok(Response::from_parts(parts, axum::body::Body::new(relay)).into_response())
}

/// All that can be refused before the body is read.
fn check_headers(headers: &HeaderMap) -> Result<(), ApiError> {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value: &axum::http::HeaderValue| value.to_str().ok())
    };
    let media_type = text(CONTENT_TYPE)
        .and_then(|value| value.split(';').next())
        .map(str::trim);
    if !media_type.is_some_and(|value| value.eq_ignore_ascii_case("application/json")) {
        return Err(ErrorKind::UnsupportedMediaType.into());
    }
    match text(CONTENT_LENGTH).map(str::parse::<usize>) {
        Some(Ok(length)) if length > MAX_BODY_BYTES => Err(ErrorKind::TooLarge.into()),
        _ => Ok(()),
    }
}
