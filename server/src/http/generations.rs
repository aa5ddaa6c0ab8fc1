//! The events of a saved reply after any seq, and the request that stops it.

use app::protocol::Id;
use axum::extract::{Path, Query, State};
use axum::http::header::HeaderMap;
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::error::AppError;
use super::limits::Client;
use super::state::AppState;
use super::streamed::{OpenReader, event_stream};
use crate::access::Caller;
use crate::replies::stream::events_of;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The query of [`events`].
#[derive(Deserialize)]
pub(super) struct AfterQuery {
    after: Option<String>,
}

/// `GET …/events`: the events after a seq, then the live events.
pub(super) async fn events(
    State(state): State<AppState>,
    Path(id): Path<Id>,
    Query(AfterQuery { after }): Query<AfterQuery>,
    client: Client,
    caller: Caller,
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
    let log = state.replies.log_of(caller.owner(), &id).await?;
    Ok(match log.resume(after) {
        Some(reader) => {
            if after.is_some() {
                state.metrics.resumes.inc();
            }
            let open = OpenReader::count(&state.metrics);
            event_stream(events_of(reader, (pass, open)))
        }
        // No event will follow. 204 keeps a browser from reconnecting.
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

/// `DELETE …`: stops a reply. A reply that has ended is not changed.
pub(super) async fn stop(
    State(state): State<AppState>,
    Path(id): Path<Id>,
    caller: Caller,
) -> Result<StatusCode, AppError> {
    state.replies.stop(caller.owner(), &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
