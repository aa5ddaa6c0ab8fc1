//! The stream of changes, which keeps lists of conversations current.
//!
//! The stream has no history: a client reads the list after it has connected. A client that falls behind is
//! instructed to read the list again.

use app::protocol::saved::{Change, Removed};
use app::sse;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use futures::stream;
use tokio::sync::broadcast::error::RecvError;

use crate::access::Caller;
use crate::http::error::AppError;
use crate::http::limits::Client;
use crate::http::state::AppState;
use crate::http::streamed::event_stream;
use crate::replies::stream::with_pings;

/// `GET /api/conversations/events`
pub(super) async fn events(
    State(state): State<AppState>,
    client: Client,
    caller: Caller,
) -> Result<Response, AppError> {
    let place = state.limits.streams.enter(&client)?;
    let changes = state.changes.subscribe();
    let drain = state.drain.clone();
    let events = stream::unfold((changes, 0_u64), move |(mut changes, seq)| {
        let (drain, caller) = (drain.clone(), caller.clone());
        async move {
            loop {
                let received = tokio::select! {
                    received = changes.recv() => received,
                    // A server that shuts down does not wait for clients that only listen.
                    () = drain.cancelled() => return None,
                };
                let change = match received {
                    Ok((owner, change)) if owner == caller.owner() => change,
                    Ok(_) => continue,
                    Err(RecvError::Lagged(_)) => Change::Reload,
                    Err(RecvError::Closed) => return None,
                };
                return Some((Ok(to_bytes(seq, &change)), (changes, seq + 1)));
            }
        }
    });
    Ok(event_stream(with_pings(events, place)))
}

fn to_bytes(seq: u64, change: &Change) -> Bytes {
    let (name, json) = match change {
        Change::Changed(summary) => ("changed", serde_json::to_string(summary)),
        Change::Removed(id) => (
            "removed",
            serde_json::to_string(&Removed { id: id.clone() }),
        ),
        Change::MessagesRemoved(messages) => ("messages_removed", serde_json::to_string(messages)),
        Change::Reload => ("reload", Ok("{}".to_owned())),
    };
    let mut out = Vec::new();
    let json = json.expect("our wire types are JSON");
    sse::write_event(&mut out, seq, name, &json);
    out.into()
}
