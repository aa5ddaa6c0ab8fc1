//! The OpenAI-compatible surface: programs that speak to OpenAI speak to this server instead, without
//! a key of their own.
//!
//! Bodies and streamed bytes pass through as they are, but for the compression of a request's body, and
//! so do statuses and errors; what is exchanged are the credentials. Of a request no more is read than which model it is for. Nothing is retried
//! here: the libraries of those programs do that themselves.

mod error;
mod headers;
mod mask;
pub(super) mod models;
mod relay;
mod request;

use app::protocol::ErrorKind;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use tokio::time::{Instant, timeout_at};

use self::error::ApiError;
use self::mask::Mask;
pub(crate) use self::models::choose as choose_model;
use self::relay::{Note, Relay};
use crate::http::body;
use crate::http::limits::Client;
use crate::http::state::AppState;
use crate::providers::api::Api;
use crate::providers::{Route, Upstream};

/// The largest body of a request, in bytes: pictures travel in it.
const MAX_BODY_BYTES: u64 = 32 * 1024 * 1024;
/// The least bytes a second of a request's body, on the average.
const LEAST_PACE: u64 = 128 * 1024;

/// `POST /v1/chat/completions`
pub(super) async fn chat_completions(
    state: State<AppState>,
    client: Client,
    request: Request,
) -> Result<Response, ApiError> {
    pass(state, client, "chat/completions", request).await
}

/// `POST /v1/responses`
pub(super) async fn responses(
    state: State<AppState>,
    client: Client,
    request: Request,
) -> Result<Response, ApiError> {
    pass(state, client, "responses", request).await
}

/// Passes a request on to the upstream that has its model, and the answer back.
async fn pass(
    State(state): State<AppState>,
    client: Client,
    path: &'static str,
    request: Request,
) -> Result<Response, ApiError> {
    if state.drain.is_cancelled() {
        return Err(ErrorKind::Shutdown.into());
    }
    let started = Instant::now();
    let (parts, body) = request.into_parts();
    check_headers(&parts.headers)?;
    let places = state.limits.reply_with_stream(&client)?;
    let body_limits = body::Limits {
        bytes: MAX_BODY_BYTES,
        pace: LEAST_PACE,
        grace: state.config.body_grace,
    };
    let body = body::read_decoded(&parts.headers, body, body_limits).await?;
    let head = request::Head::read(&body)?;
    let asked = match &head.model {
        Some(model) => model.name.clone(),
        None => state.upstreams.default_model(),
    };
    let Route { upstream, model } = state
        .upstreams
        .route(&asked)
        .await
        .ok_or(ErrorKind::ModelNotFound)?;
    if upstream.settings().api == Api::Messages {
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
    let (parts, body) = answer.into_parts();
    let is_compressed = parts.headers.contains_key(CONTENT_ENCODING);
    let mut passing = Response::new(());
    *passing.status_mut() = status;
    *passing.headers_mut() = headers::of_answer(&parts.headers, upstream.secrets());
    if !status.is_success() && !upstream.secrets().is_empty() {
        return clean_error(passing, body, is_compressed, &upstream, total, note).await;
    }
    let mask = upstream.key().and_then(Mask::new);
    let relay = Relay::new(
        body,
        mask,
        limits,
        total,
        &state,
        places,
        note.answered(status),
    );
    Ok(passing.map(|()| Body::new(relay)))
}

/// The most bytes of an error that passes.
const MAX_ERROR_BYTES: usize = 64 * 1024;

/// An error of the upstream without our key in it. Where that cannot be seen to, since the error is
/// compressed, endless or cut, it is told in our words with its status.
async fn clean_error(
    mut passing: Response<()>,
    body: reqwest::Body,
    is_compressed: bool,
    upstream: &Upstream,
    total: Instant,
    note: Note,
) -> Result<Response, ApiError> {
    let status = passing.status();
    let own_words = |note: Note| Err(note.failed(ErrorKind::UpstreamError).with_status(status));
    if is_compressed {
        return own_words(note);
    }
    let deadline = (Instant::now() + upstream.limits().idle).min(total);
    let body = to_bytes(Body::new(body), MAX_ERROR_BYTES);
    let Ok(Ok(body)) = timeout_at(deadline, body).await else {
        return own_words(note);
    };
    let mut note = note.answered(status);
    note.passed(body.len());
    let body = Bytes::from(upstream.secrets().clean(&body).into_owned());
    // It may be shorter now.
    passing.headers_mut().remove(CONTENT_LENGTH);
    Ok(passing.map(|()| Body::from(body)))
}

/// All that can be refused before the body is read.
fn check_headers(headers: &HeaderMap) -> Result<(), ApiError> {
    if !body::is_json(headers) {
        return Err(ErrorKind::UnsupportedMediaType.into());
    }
    if body::is_too_long(headers, MAX_BODY_BYTES) {
        return Err(ErrorKind::TooLarge.into());
    }
    Ok(())
}
