//! `POST /api/chat`: validates the request, starts the reply, and responds with its event stream or in the
//! requested format. `GET /api/chat?q=…` does the same for a browser's `EventSource`.

use app::protocol::{ChatMessage, ChatRequest, ErrorKind, MAX_REQUEST_BYTES, Role};
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::formats::{self as forms, ReplyEvents};
use super::negotiate::{self as accept, ReplyFormat};

use crate::access::Caller;
use crate::http::body;
use crate::http::error::AppError;
use crate::http::limits::{Client, ReplyPasses};
use crate::http::state::AppState;
use crate::http::streamed::event_stream;
use crate::replies::stateless::start;

/// Responds to one request with one reply.
pub(crate) async fn chat(
    State(state): State<AppState>,
    client: Client,
    caller: Caller,
    request: Request,
) -> Result<Response, AppError> {
    if state.drain.is_cancelled() {
        return Err(ErrorKind::Shutdown.into());
    }
    let format = check_headers(request.headers())?;
    let ReplyPasses { stream, reply } = state.limits.reply_with_stream(&client)?;
    let request = parse(&body::read(request, &state.config).await?)?;
    state.check_model(&caller, request.model.as_deref()).await?;
    let bytes = start(&state.replies, request, stream, reply);
    Ok(match format {
        ReplyFormat::Events => event_stream(bytes),
        ReplyFormat::Text => forms::text(ReplyEvents::read(bytes)).await,
        ReplyFormat::Chunks => forms::chunks(ReplyEvents::read(bytes)).await,
        ReplyFormat::Whole => forms::whole(ReplyEvents::read(bytes)).await,
    })
}

/// The query of a question in the URL.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    q: String,
    model: Option<String>,
}

/// Answers a question in the URL.
///
/// A browser's `EventSource` reconnects by itself when a stream has ended, and sends the id of the last event.
/// That question was answered already, so the response is 204, which stops the browser.
pub(crate) async fn chat_by_address(
    State(state): State<AppState>,
    client: Client,
    caller: Caller,
    request: Request,
) -> Result<Response, AppError> {
    if state.drain.is_cancelled() {
        return Err(ErrorKind::Shutdown.into());
    }
    if !accept::names_event_stream(request.headers()) {
        return Err(ErrorKind::NotAcceptable.into());
    }
    if request.headers().contains_key("last-event-id") {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let Query(question) = Query::<Question>::try_from_uri(request.uri()).map_err(|_| {
        AppError::invalid("Ask with ?q= and, if need be, &model=, and nothing else.")
    })?;
    if question.q.trim().is_empty() {
        return Err(AppError::invalid("q must hold the question."));
    }
    let mut request = ChatRequest::new(vec![ChatMessage {
        role: Role::User,
        content: question.q,
    }]);
    request.model = question.model;
    check(&request)?;
    state.check_model(&caller, request.model.as_deref()).await?;
    let ReplyPasses { stream, reply } = state.limits.reply_with_stream(&client)?;
    Ok(event_stream(start(&state.replies, request, stream, reply)))
}

/// Checks that can be made before the body is read.
fn check_headers(headers: &HeaderMap) -> Result<ReplyFormat, AppError> {
    body::check_type(headers)?;
    let format = ReplyFormat::requested(headers).ok_or(ErrorKind::NotAcceptable)?;
    body::check_length(headers, MAX_REQUEST_BYTES as u64)?;
    Ok(format)
}

fn parse(body: &[u8]) -> Result<ChatRequest, AppError> {
    let request: ChatRequest = serde_json::from_slice(body)
        .map_err(|cause| AppError::invalid(format!("This is no chat request: {cause}.")))?;
    check(&request)?;
    Ok(request)
}

/// Whether a request is valid, as far as that can be seen without a provider.
pub(crate) fn check(request: &ChatRequest) -> Result<(), AppError> {
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
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

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
