//! The OpenAI-compatible API: programs that use OpenAI's API use this server instead, without a key of their
//! own.
//!
//! Bodies, statuses and errors pass through unchanged, except that a compressed request body is decompressed
//! and our key is masked. The credentials are replaced. Of a request only its model and `stream` are read.
//! Requests are not retried here, because OpenAI's libraries retry themselves.

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
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};

pub(in crate::http) use self::error::OpenAiError;
use self::mask::Mask;
pub(crate) use self::models::choose as choose_model;
use self::relay::{PassReport, Relay};
use crate::access::Caller;
use crate::http::body;
use crate::http::limits::{Client, ReplyPasses};
use crate::http::state::AppState;
use crate::providers::api::Api;
use crate::providers::{Route, Upstream};

/// The largest body of a request, in bytes. Bodies can hold pictures.
const MAX_BODY_BYTES: u64 = 32 * 1024 * 1024;
/// The least average speed of a request's body, in bytes a second.
const LEAST_PACE: u64 = 128 * 1024;

/// `POST /v1/chat/completions`
pub(super) async fn chat_completions(
    state: State<AppState>,
    client: Client,
    caller: Caller,
    request: Request,
) -> Result<Response, OpenAiError> {
    pass(state, (client, caller), "chat/completions", request).await
}

/// `POST /v1/responses`
pub(super) async fn responses(
    state: State<AppState>,
    client: Client,
    caller: Caller,
    request: Request,
) -> Result<Response, OpenAiError> {
    pass(state, (client, caller), "responses", request).await
}

/// Passes a request to the upstream that has its model, and the answer back to the client.
async fn pass(
    State(state): State<AppState>,
    (client, caller): (Client, Caller),
    path: &'static str,
    request: Request,
) -> Result<Response, OpenAiError> {
    if state.drain.is_cancelled() {
        return Err(ErrorKind::Shutdown.into());
    }
    let started = Instant::now();
    let (parts, body) = request.into_parts();
    check_headers(&parts.headers)?;
    let passes = state.limits.reply_with_stream(&client)?;
    let body_limits = body::BodyLimits {
        bytes: MAX_BODY_BYTES,
        pace: LEAST_PACE,
        grace: state.config.body_grace,
    };
    let body = body::read_decoded(&parts.headers, body, body_limits).await?;
    let head = request::RequestHead::read(&body)?;
    let asked = match &head.model {
        Some(model) => model.name.clone(),
        None => state.upstreams.default_model(),
    };
    let route = state.upstreams.route(&asked).await;
    let route = route.ok_or(ErrorKind::ModelNotFound)?;
    state.check_route(&caller, &route)?;
    let Route { upstream, model } = route;
    if upstream.settings().api == Api::Messages {
        return Err(OpenAiError::speaks_another_api(&asked));
    }
    let body = head.with_model(body, &model);
    let operation = upstream.operation(&model);
    let mut headers = headers::of_request(&parts.headers);
    let traceparent = operation.traceparent();
    if let Some(traceparent) = traceparent.and_then(|text| HeaderValue::try_from(text).ok()) {
        headers.insert("traceparent", traceparent);
    }
    let report = PassReport::new(path, upstream.settings().name.clone(), model, started)
        .measured(operation, head.is_stream);

    let total = started + upstream.limits().total;
    // An answer without a stream begins when it is complete.
    let first_byte = if head.is_stream {
        (Instant::now() + upstream.limits().first_byte).min(total)
    } else {
        total
    };
    let sent = upstream.pass(path, headers, body);
    let answer = tokio::select! {
        biased;
        () = state.shutdown.cancelled() => return Err(report.failed(ErrorKind::Shutdown)),
        answer = timeout_at(first_byte, sent) => answer,
    };
    let answer = match check_answer(answer) {
        Ok(answer) => answer,
        Err(kind) => return Err(report.failed(kind)),
    };
    relay_answer(answer, &state, &upstream, total, passes, report).await
}

/// Checks that a request got an answer which may be passed on.
fn check_answer(
    answer: Result<Result<reqwest::Response, reqwest::Error>, Elapsed>,
) -> Result<axum::http::Response<reqwest::Body>, ErrorKind> {
    let answer = match answer {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) if error.is_connect() => return Err(ErrorKind::UpstreamUnreachable),
        Ok(Err(_)) => return Err(ErrorKind::UpstreamCut),
        Err(_) => return Err(ErrorKind::UpstreamTimeoutFirstByte),
    };
    match answer.status() {
        status if status.is_redirection() => Err(ErrorKind::UpstreamRedirect),
        // The provider refused our key. Such errors often repeat parts of the key.
        StatusCode::UNAUTHORIZED => Err(ErrorKind::Auth),
        _ => Ok(answer.into()),
    }
}

/// Builds the response to the client: the upstream's status, the listed headers and the body as it arrives.
async fn relay_answer(
    answer: axum::http::Response<reqwest::Body>,
    state: &AppState,
    upstream: &Upstream,
    total: Instant,
    passes: ReplyPasses,
    report: PassReport,
) -> Result<Response, OpenAiError> {
    let status = answer.status();
    let (parts, body) = answer.into_parts();
    let is_compressed = parts.headers.contains_key(CONTENT_ENCODING);
    let mut response = Response::new(());
    *response.status_mut() = status;
    *response.headers_mut() = headers::of_answer(&parts.headers, upstream.secrets());
    if !status.is_success() && !upstream.secrets().is_empty() {
        return clean_error(response, body, is_compressed, upstream, total, report).await;
    }
    let relay = Relay::new(
        body,
        upstream.key().and_then(Mask::new),
        upstream.limits(),
        total,
        state,
        passes,
        report.answered(status),
    );
    Ok(response.map(|()| Body::new(relay)))
}

/// The largest error body that is passed on, in bytes.
const MAX_ERROR_BYTES: usize = 64 * 1024;

/// Passes an upstream's error on without our key in it. If the body cannot be searched, because it is compressed,
/// too large or incomplete, the response has our own sentence with the upstream's status.
async fn clean_error(
    mut response: Response<()>,
    body: reqwest::Body,
    is_compressed: bool,
    upstream: &Upstream,
    total: Instant,
    report: PassReport,
) -> Result<Response, OpenAiError> {
    let status = response.status();
    let own_words =
        |report: PassReport| Err(report.failed(ErrorKind::UpstreamError).with_status(status));
    if is_compressed {
        return own_words(report);
    }
    let deadline = (Instant::now() + upstream.limits().idle).min(total);
    let body = to_bytes(Body::new(body), MAX_ERROR_BYTES);
    let Ok(Ok(body)) = timeout_at(deadline, body).await else {
        return own_words(report);
    };
    let mut report = report.answered(status);
    report.passed(body.len());
    let body = Bytes::from(upstream.secrets().clean(&body).into_owned());
    // The cleaned body may be shorter.
    response.headers_mut().remove(CONTENT_LENGTH);
    Ok(response.map(|()| Body::from(body)))
}

/// Checks that can be made before the body is read.
fn check_headers(headers: &HeaderMap) -> Result<(), OpenAiError> {
    if !body::is_json(headers) {
        return Err(ErrorKind::UnsupportedMediaType.into());
    }
    if body::is_too_long(headers, MAX_BODY_BYTES) {
        return Err(ErrorKind::TooLarge.into());
    }
    Ok(())
}
