//! The routes of saved conversations: messages and the replies to them, and beside these the list,
//! export and import, each in a file of its own.
//!
//! A reply that is asked for here is made whether anybody reads it or not. What the store cannot take
//! is answered all the same, as far as the question can be known without it.

use std::sync::Arc;
use std::time::Duration;

use app::protocol::saved::{
    CHANGES_PATH, EXPORT_PATH, IMPORT_PATH, SendMessage, events_path, generation_path,
};
use app::protocol::{ChatMessage, ChatRequest, ErrorKind, Id, Role};
use axum::Router;
use axum::extract::{Path, Query, Request, State};
use axum::http::header::HeaderMap;
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use futures::stream::{self, Stream};
use serde::Deserialize;
use tokio::time::Instant;

use super::body;
use super::{changes, export, functions, import};
use crate::http::chat::{self, event_stream};
use crate::http::error::AppError;
use crate::http::limits::{Client, Pass};
use crate::http::state::AppState;
use crate::replies::log::{Log, Piece, Reader};
use crate::replies::saved::{self, Place, Running};
use crate::replies::{new_id, title, with_pings};
use crate::store::{self, Ask, Begun, LOCAL_OWNER, NewReply, StoreError};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Every route of saved conversations.
pub(crate) fn router() -> Router<AppState> {
    Router::new()
        .route("/api/conversations/{id}/messages", post(send))
        .route("/api/conversations/{id}/export", get(export::one))
        .route(CHANGES_PATH, get(changes::events))
        .route(&events_path("{id}"), get(events))
        .route(&generation_path("{id}"), axum::routing::delete(stop))
        .route(EXPORT_PATH, get(export::all))
        .route(IMPORT_PATH, post(import::import))
        .merge(functions::router())
}

/// `POST …/messages`: saves the message, starts the reply, answers with its events.
async fn send(
    State(state): State<AppState>,
    Path(conversation): Path<Id>,
    client: Client,
    request: Request,
) -> Result<Response, AppError> {
    if state.drain.is_cancelled() {
        return Err(ErrorKind::Shutdown.into());
    }
    let place = state.limits.streams.enter(&client)?;
    let message: SendMessage = body::json(request, &state.config).await?;
    let conversation = uuid(&conversation, "The conversation's id in the address")?;
    // Who leaves now does not leave a reply that is said to run and does not.
    let begun = tokio::spawn(begin(state, client, conversation, message));
    let log = begun
        .await
        .map_err(|_| AppError::from(ErrorKind::Internal))??;
    let reader = log.read_after(None).expect("every log has a start");
    Ok(event_stream(events_of(reader, place)))
}

/// Begins a reply, or finds the one that the same request began before.
async fn begin(
    state: AppState,
    client: Client,
    conversation: String,
    message: SendMessage,
) -> Result<Arc<Log>, AppError> {
    let owner = LOCAL_OWNER;
    let request_id = uuid(&message.request_id, "request_id")?;
    let ask = check(&message)?;
    let cell = state.generations.of_request(owner, &request_id);
    let begun = cell
        .get_or_try_init(|| async {
            let pass = state.limits.saved_reply(&client).map_err(AppError::from)?;
            let request = Requested {
                conversation,
                request_id: request_id.clone(),
                ask,
                message,
                pass,
            };
            match request.begin(&state, owner).await? {
                Beginning::Running(running) => Ok(running),
                Beginning::Known(log) => Err(Interlude::Known(log)),
            }
        })
        .await
        .map(|running| Arc::clone(&running.log));
    drop(cell);
    match begun {
        Ok(log) => Ok(log),
        Err(interlude) => {
            state.generations.forget_request(owner, &request_id);
            match interlude {
                Interlude::Known(log) => Ok(log),
                Interlude::Refused(error) => Err(error),
            }
        }
    }
}

/// Why nothing was begun.
enum Interlude {
    /// It had been before, and is no longer running here.
    Known(Arc<Log>),
    Refused(AppError),
}

impl From<AppError> for Interlude {
    fn from(error: AppError) -> Self {
        Self::Refused(error)
    }
}

enum Beginning {
    Running(Arc<Running>),
    Known(Arc<Log>),
}

/// A message that was checked.
struct Requested {
    conversation: String,
    request_id: String,
    ask: Ask,
    message: SendMessage,
    pass: Pass,
}

impl Requested {
    async fn begin(self, state: &AppState, owner: &str) -> Result<Beginning, AppError> {
        let model = self
            .message
            .model
            .clone()
            .unwrap_or_else(|| state.upstreams.default_model());
        let question = match &self.ask {
            Ask::Question { text, .. } => text.clone(),
            Ask::Again(_) | Ask::Continue(_) => String::new(),
        };
        let new = NewReply {
            conversation: self.conversation.clone(),
            request_id: self.request_id.clone(),
            generation: new_id(),
            ask: self.ask.clone(),
            model: model.clone(),
            parameters: parameters(&self.message),
            title: title::from_question(&question),
            now: store::now(),
        };
        let (begun, is_stored) = match state.store.begin(owner, &new).await {
            Ok(begun) if begun.generation != new.generation => {
                return known(state, owner, &begun.generation)
                    .await
                    .map(Beginning::Known);
            }
            Ok(begun) => (begun, true),
            Err(StoreError::Failed(cause)) => {
                tracing::error!(cause, "a message could not be saved");
                (unstored(state, owner, &new).await?, false)
            }
            Err(error) => return Err(error.into()),
        };
        let request = chat_request(&self.message, &begun);
        let place = Place {
            owner: owner.to_owned(),
            conversation: self.conversation,
            request_id: self.request_id,
            pass: self.pass,
        };
        let running = saved::run(state, place, &begun, request, model.clone(), is_stored);
        if is_stored {
            if begun.is_first {
                title::ask_beside(state, &running, &question, &model);
            }
            state.tell_changed(owner, &running.conversation).await;
        }
        Ok(Beginning::Running(running))
    }
}

/// A reply that the store cannot take: it is made all the same if all that the model has to see can
/// be known.
async fn unstored(state: &AppState, owner: &str, new: &NewReply) -> Result<Begun, AppError> {
    let refused = || AppError::from(ErrorKind::NotSaved);
    let Ask::Question { parent, text } = &new.ask else {
        return Err(refused());
    };
    let mut history = match parent {
        None => Vec::new(),
        Some(parent) => {
            let conversation = state.store.get(owner, &new.conversation).await;
            let messages = conversation.map_err(|_| refused())?.messages;
            let mut line = Vec::new();
            let mut next = Some(parent.as_str());
            while let Some(message) =
                next.and_then(|id| messages.iter().find(|message| message.id == id))
            {
                line.push(ChatMessage {
                    role: message.role,
                    content: message.text.clone(),
                });
                next = message.parent.as_deref();
            }
            line.reverse();
            line.retain(|message| !message.content.trim().is_empty());
            line
        }
    };
    history.push(ChatMessage {
        role: Role::User,
        content: text.clone(),
    });
    Ok(Begun {
        generation: new.generation.clone(),
        user_message: Some(store::new_id()),
        message: store::new_id(),
        is_first: parent.is_none(),
        history,
        base: Piece::default(),
    })
}

/// What makes a reply that was cut off go on.
const GO_ON: &str = "Your last answer was cut off. Continue exactly where it ended, without repeating \
    anything and without any word about it.";

/// What the model is sent.
fn chat_request(message: &SendMessage, begun: &Begun) -> ChatRequest {
    let mut messages = Vec::with_capacity(begun.history.len() + 3);
    let say = |role, content: &str| ChatMessage {
        role,
        content: content.to_owned(),
    };
    if let Some(system) = message
        .system
        .as_deref()
        .filter(|text| !text.trim().is_empty())
    {
        messages.push(say(Role::System, system));
    }
    messages.extend(begun.history.iter().cloned());
    if !begun.base.text.trim().is_empty() {
        messages.push(say(Role::Assistant, &begun.base.text));
        messages.push(say(Role::User, GO_ON));
    }
    ChatRequest {
        model: message.model.clone(),
        temperature: message.temperature,
        max_tokens: message.max_tokens,
        reasoning_effort: message.reasoning_effort,
        ..ChatRequest::new(messages)
    }
}

/// What was asked for beside the message, as it is kept.
fn parameters(message: &SendMessage) -> String {
    let kept = SendMessage {
        request_id: String::new(),
        content: None,
        parent: None,
        regenerate: None,
        continue_reply: None,
        ..message.clone()
    };
    let mut json = serde_json::to_value(kept).expect("our wire types are JSON");
    if let Some(fields) = json.as_object_mut() {
        fields.remove("request_id");
    }
    json.to_string()
}

/// What is wanted, if it makes sense.
fn check(message: &SendMessage) -> Result<Ask, AppError> {
    let wishes = (
        &message.content,
        &message.regenerate,
        &message.continue_reply,
    );
    let ask = match wishes {
        (Some(text), None, None) if !text.trim().is_empty() => Ask::Question {
            parent: message
                .parent
                .as_deref()
                .map(|parent| uuid(parent, "parent"))
                .transpose()?,
            text: text.clone(),
        },
        (Some(_), None, None) => return Err(AppError::invalid("content must not be empty.")),
        (None, Some(reply), None) => Ask::Again(uuid(reply, "regenerate")?),
        (None, None, Some(reply)) => Ask::Continue(uuid(reply, "continue")?),
        _ => {
            return Err(AppError::invalid(
                "Exactly one of content, regenerate and continue must be given.",
            ));
        }
    };
    if message.parent.is_some() && message.content.is_none() {
        return Err(AppError::invalid("parent belongs to content only."));
    }
    // What a stateless request may ask for, a message may.
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
    Ok(ask)
}

/// An id in its one form, where it must be one.
fn uuid(text: &str, what: &str) -> Result<String, AppError> {
    Id::parse(text)
        .map(String::from)
        .ok_or_else(|| AppError::invalid(format!("{what} must be a UUID.")))
}

/// Where somebody wants to read on.
#[derive(Deserialize)]
struct After {
    after: Option<String>,
}

/// `GET …/events`: the events after a number, and what follows live.
async fn events(
    State(state): State<AppState>,
    Path(id): Path<Id>,
    Query(After { after }): Query<After>,
    client: Client,
    headers: HeaderMap,
) -> Result<Response, AppError> {
    let after = match headers.get(LAST_EVENT_ID) {
        Some(value) => Some(value.to_str().unwrap_or_default().to_owned()),
        None => after,
    };
    let after = after
        .map(|text| text.parse::<u64>())
        .transpose()
        .map_err(|_| {
            AppError::invalid(
                "Last-Event-ID or after must be the number of an event, or be left out.",
            )
        })?;
    let place = state.limits.streams.enter(&client)?;
    let log = known(&state, LOCAL_OWNER, &id).await?;
    Ok(match log.resume(after) {
        Some(reader) => event_stream(events_of(reader, place)),
        // Nothing will follow, which keeps a browser from asking again and again.
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

/// `DELETE …`: stops a reply. One that has ended stays as it is.
async fn stop(State(state): State<AppState>, Path(id): Path<Id>) -> Result<StatusCode, AppError> {
    match state.generations.get(LOCAL_OWNER, &id) {
        Some(running) => running.stop().await,
        None => {
            state.store.reply(LOCAL_OWNER, &id).await?;
        }
    }
    Ok(StatusCode::NO_CONTENT)
}

/// The log of a reply, whether it runs or was stored.
async fn known(state: &AppState, owner: &str, id: &str) -> Result<Arc<Log>, AppError> {
    if let Some(running) = state.generations.get(owner, id) {
        return Ok(Arc::clone(&running.log));
    }
    let stored = state.store.reply(owner, id).await?;
    // It began to run while the store was asked.
    if let Some(running) = state.generations.get(owner, id) {
        return Ok(Arc::clone(&running.log));
    }
    Ok(stored.into_log())
}

/// What comes so soon after something was sent waits and is sent as one, up to this time. A picture on
/// the screen takes longer, and each piece that arrives alone costs a browser more than the text in it.
const GATHER: Duration = Duration::from_millis(12);

/// The events that a reader gets, with a sign of life while there are none. The reader's place is free
/// again when it leaves.
fn events_of(reader: Reader, place: Pass) -> impl Stream<Item = std::io::Result<Bytes>> + use<> {
    let events = stream::unfold((reader, None), |(mut reader, sent_at)| async move {
        if let Some(sent_at) = sent_at {
            reader.gather(sent_at + GATHER).await;
        }
        let bytes = reader.next().await?;
        Some((Ok(bytes), (reader, Some(Instant::now()))))
    });
    with_pings(events, place)
}

impl From<StoreError> for AppError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound => ErrorKind::NotFound.into(),
            StoreError::Invalid(sentence) => Self::invalid(sentence),
            StoreError::Failed(cause) => {
                tracing::error!(cause, "the database failed");
                ErrorKind::NotSaved.into()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_exactly_one_wish() {
        let id = store::new_id();
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

    #[test]
    fn only_what_was_asked_for_is_kept_beside_a_message() {
        let message = SendMessage {
            request_id: "r".into(),
            content: Some("secret".into()),
            temperature: Some(0.5),
            ..SendMessage::default()
        };
        assert_eq!(parameters(&message), r#"{"temperature":0.5}"#);
    }
}
