//! `POST /api/chat`: checks the request, starts the reply, answers with its event stream.

use std::time::Duration;

use app::protocol::{ChatRequest, EVENT_STREAM, ErrorKind, MAX_REQUEST_BYTES};
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use tokio::time::timeout;

use crate::error::AppError;
use crate::generation;
use crate::state::AppState;

/// How long a request's body may take to arrive.
const BODY_DEADLINE: Duration = Duration::from_secs(20);

/// Answers one request with one reply.
pub(crate) async fn chat(
    State(state): State<AppState>,
    request: Request,
) -> Result<Response, AppError> {
    if state.drain.is_cancelled() {
        return Err(ErrorKind::Shutdown.into());
    }
    check_headers(request.headers())?;
    let request = parse(&read_body(request.into_body()).await?)?;
    let events = Body::from_stream(generation::start(&state, request));
    let headers = [
        (CONTENT_TYPE.as_str(), EVENT_STREAM),
        (CACHE_CONTROL.as_str(), "no-store, no-transform"),
        ("x-accel-buffering", "no"),
    ];
    Ok((headers, events).into_response())
}

/// All that can be refused before the body is read.
fn check_headers(headers: &HeaderMap) -> Result<(), AppError> {
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
    let accept: Vec<_> = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    if !accepts_event_stream(&accept.join(",")) {
        return Err(ErrorKind::NotAcceptable.into());
    }
    match text(CONTENT_LENGTH).map(str::parse::<usize>) {
        Some(Ok(length)) if length > MAX_REQUEST_BYTES => Err(ErrorKind::TooLarge.into()),
        _ => Ok(()),
    }
}

/// Whether an `Accept` header takes an event stream: it names it or a wildcard, with a weight above
/// nothing, or says nothing at all (RFC 9110, 12.5.1).
fn accepts_event_stream(accept: &str) -> bool {
    if accept.trim().is_empty() {
        return true;
    }
    // The most specific range decides, whatever its place.
    let mut best: Option<(u8, bool)> = None;
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let specificity = match parts
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase()
            .as_str()
        {
            EVENT_STREAM => 2,
            "text/*" => 1,
            "*/*" => 0,
            _ => continue,
        };
        let weight = parts
            .find_map(|part| part.strip_prefix("q="))
            .map_or(Ok(1.0), str::parse::<f32>);
        if best.is_none_or(|(so_far, _)| specificity >= so_far) {
            best = Some((specificity, weight.is_ok_and(|weight| weight > 0.0)));
        }
    }
    best.is_some_and(|(_, accepted)| accepted)
}

async fn read_body(body: Body) -> Result<Bytes, AppError> {
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

fn parse(body: &[u8]) -> Result<ChatRequest, AppError> {
    let request: ChatRequest = serde_json::from_slice(body)
        .map_err(|cause| AppError::invalid(format!("This is no chat request: {cause}.")))?;
    if request.messages.is_empty() {
        return Err(AppError::invalid(
            "messages must hold at least one message.",
        ));
    }
    if request
        .model
        .as_ref()
        .is_some_and(|model| model.trim().is_empty() || model.len() > 256)
    {
        return Err(AppError::invalid(
            "model must be the name of a model, or be left out.",
        ));
    }
    if request
        .temperature
        .is_some_and(|temperature| !(0.0..=2.0).contains(&temperature))
    {
        return Err(AppError::invalid("temperature must be between 0 and 2."));
    }
    if request.max_tokens == Some(0) {
        return Err(AppError::invalid("max_tokens must be at least 1."));
    }
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_stream_is_given_to_who_takes_one() {
        let check =
            |accept: &str, expect| assert_eq!(accepts_event_stream(accept), expect, "{accept}");
        for yes in [
            "",
            "*/*",
            "text/event-stream",
            "Text/Event-Stream",
            "text/*",
            "application/json, text/event-stream;q=0.1",
            "text/html,application/xml;q=0.9,*/*;q=0.8",
            "text/event-stream; charset=utf-8",
        ] {
            check(yes, true);
        }
        for no in [
            "application/json",
            "text/plain",
            "text/event-stream;q=0",
            "text/event-stream;q=0, */*",
            "*/*;q=0",
            "application/x-ndjson",
            "image/*",
            "text/event-stream;q=x",
        ] {
            check(no, false);
        }
    }

    #[test]
    fn a_request_that_makes_no_sense_is_refused_before_it_costs_anything() {
        let check =
            |body: &str, expect: bool| assert_eq!(parse(body.as_bytes()).is_ok(), expect, "{body}");
        let with =
            |fields: &str| format!(r#"{{"messages":[{{"role":"user","content":"Hi"}}]{fields}}}"#);
        check(&with(""), true);
        check(
            &with(r#","model":"m","temperature":2,"max_tokens":1,"reasoning_effort":"low""#),
            true,
        );
        for fields in [
            r#","temperature":2.1"#,
            r#","temperature":-1"#,
            r#","max_tokens":0"#,
            r#","max_tokens":-1"#,
            r#","model":" ""#,
            r#","reasoning_effort":"max""#,
            r#","stream":true"#,
            r#","base_url":"http://evil.test""#,
        ] {
            check(&with(fields), false);
        }
        for body in [
            "",
            "null",
            "[]",
            "{}",
            r#"{"messages":[]}"#,
            r#"{"messages":[{"role":"tool","content":""}]}"#,
            r#"{"messages":[{"role":"user","content":1}]}"#,
        ] {
            check(body, false);
        }
        check(&"[".repeat(200_000), false);
    }
}
