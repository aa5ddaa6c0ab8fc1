//! The events of a saved reply from any position, and the end of it by a person.

use app::protocol::Id;
use axum::extract::{Path, Query, State};
use axum::http::header::HeaderMap;
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::error::AppError;
use super::event_stream::event_stream;
use super::limits::Client;
use super::state::AppState;
use crate::replies::stream::events_of;
use crate::store::LOCAL_OWNER;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The query of [`events`].
#[derive(Deserialize)]
pub(super) struct AfterQuery {
    after: Option<String>,
}

/// `GET …/events`: the events after a number, and what follows live.
pub(super) async fn events(
    State(state): State<AppState>,
    Path(id): Path<Id>,
    Query(AfterQuery { after }): Query<AfterQuery>,
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
    let pass = state.limits.streams.enter(&client)?;
    let log = state.replies.log_of(LOCAL_OWNER, &id).await?;
    Ok(match log.resume(after) {
        Some(reader) => event_stream(events_of(reader, pass)),
        // Nothing will follow, which keeps a browser from asking again and again.
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

/// `DELETE …`: stops a reply. One that has ended stays as it is.
pub(super) async fn stop(
    State(state): State<AppState>,
    Path(id): Path<Id>,
) -> Result<StatusCode, AppError> {
    state.replies.stop(LOCAL_OWNER, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
