//! `POST …/messages`: validates a message and responds with the events of the reply to it.

use app::protocol::saved::SendMessage;
use app::protocol::{ChatMessage, ChatRequest, ErrorKind, Id, Role};
use axum::extract::{Path, Request, State};
use axum::response::Response;

use super::error::AppError;
use super::limits::{Client, LimitReached};
use super::state::AppState;
use super::streamed::{OpenReader, event_stream};
use super::{body, chat};
use crate::access::Caller;
use crate::replies::Guard;
use crate::replies::begin::{BeginError, NewMessage};
use crate::replies::stream::events_of;
use crate::store::Turn;

/// Saves the message, starts the reply, and responds with its events.
pub(super) async fn send(
    State(state): State<AppState>,
    Path(conversation): Path<Id>,
    client: Client,
    caller: Caller,
    request: Request,
) -> Result<Response, AppError> {
    if state.drain.is_cancelled() {
        return Err(ErrorKind::Shutdown.into());
    }
    let stream_pass = state.limits.streams.enter(&client)?;
    let message: SendMessage = body::json(request, &state.config).await?;
    state.check_model(&caller, message.model.as_deref()).await?;
    let new = NewMessage {
        owner: caller.owner().to_owned(),
        conversation: uuid(&conversation, "The conversation's id in the address")?,
        request_id: uuid(&message.request_id, "request_id")?,
        turn: check(&message)?,
        message,
    };
    let limits = state.limits.clone();
    let admit =
        move || -> Result<Guard, LimitReached> { Ok(Box::new(limits.saved_reply(&client)?)) };
    let log = state.replies.begin(new, admit).await?;
    let reader = log.read_after(None).expect("every log has a start");
    let open = OpenReader::count(&state.metrics);
    Ok(event_stream(events_of(reader, (stream_pass, open))))
}

impl From<BeginError<LimitReached>> for AppError {
    fn from(error: BeginError<LimitReached>) -> Self {
        match error {
            BeginError::NotAdmitted(full) => full.into(),
            BeginError::Store(error) => error.into(),
            BeginError::NotSaved => ErrorKind::NotSaved.into(),
            BeginError::Panicked => ErrorKind::Internal.into(),
        }
    }
}

/// Validates the message and returns what it asks for.
fn check(message: &SendMessage) -> Result<Turn, AppError> {
    let fields = (
        &message.content,
        &message.regenerate,
        &message.continue_reply,
    );
    let turn = match fields {
        (Some(text), None, None) if !text.trim().is_empty() => Turn::Question {
            parent: message
                .parent
                .as_deref()
                .map(|parent| uuid(parent, "parent"))
                .transpose()?,
            text: text.clone(),
        },
        (Some(_), None, None) => return Err(AppError::invalid("content must not be empty.")),
        (None, Some(reply), None) => Turn::Regenerate(uuid(reply, "regenerate")?),
        (None, None, Some(reply)) => Turn::Continue(uuid(reply, "continue")?),
        _ => {
            return Err(AppError::invalid(
                "Exactly one of content, regenerate and continue must be given.",
            ));
        }
    };
    if message.parent.is_some() && message.content.is_none() {
        return Err(AppError::invalid("parent belongs to content only."));
    }
    // The same parameters are allowed as in a stateless request.
    let as_request = ChatRequest {
        model: message.model.clone(),
        temperature: message.temperature,
        max_tokens: message.max_tokens,
        ..ChatRequest::new(vec![ChatMessage {
            role: Role::User,
            content: String::new(),
        }])
    };
    chat::check(&as_request)?;
    Ok(turn)
}

/// Parses an id that must be a UUID in its canonical form.
fn uuid(text: &str, what: &str) -> Result<String, AppError> {
    Id::parse(text)
        .map(String::from)
        .ok_or_else(|| AppError::invalid(format!("{what} must be a UUID.")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_exactly_one_wish() {
        let id = crate::store::new_id();
        let check = |fields: &str, expect: bool| {
            let json = format!(r#"{{"request_id":"{id}",{fields}}}"#).replace("ID", &id);
            let message: SendMessage = serde_json::from_str(&json).expect("JSON");
            assert_eq!(super::check(&message).is_ok(), expect, "{json}");
        };
        check(r#""content":"Hi""#, true);
        check(r#""content":"Hi","parent":"ID""#, true);
        check(r#""content":"Hi","parent":null"#, true);
        check(r#""regenerate":"ID""#, true);
        check(r#""continue":"ID""#, true);
        check(
            r#""content":"Hi","model":"m","temperature":2,"max_tokens":1"#,
            true,
        );
        for fields in [
            r#""content":" ""#,
            r#""parent":"ID""#,
            r#""regenerate":"ID","parent":"ID""#,
            r#""content":"Hi","regenerate":"ID""#,
            r#""regenerate":"ID","continue":"ID""#,
            r#""regenerate":"1""#,
            r#""content":"Hi","parent":"x""#,
            r#""content":"Hi","temperature":3"#,
            r#""content":"Hi","max_tokens":0"#,
            r#""content":"Hi","model":"""#,
        ] {
            check(fields, false);
        }
    }
}
