//! What watches over the server asks: is it alive, is it ready, and does a stream arrive piece by piece?

use std::time::Duration;

use app::protocol::ErrorKind;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use super::error::AppError;
use super::limits::Client;
use super::state::AppState;
use super::streamed::event_stream;

/// How long a look at the store counts. Anybody may ask, and each look writes to the disk.
const FRESH: Duration = Duration::from_secs(5);
/// The pieces of the stream that [`stream()`] sends, and the pause between them.
const PIECES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(250);

/// The last look at the store: when it was, and whether the store could be written.
#[derive(Debug, Default)]
pub struct Readiness(Mutex<Option<(Instant, bool)>>);

/// `GET /healthz`: the process answers, also while it shuts down.
pub(super) async fn alive() -> Response {
    plain("ok\n")
}

/// `GET /readyz`: the server takes new messages and can save them.
pub(super) async fn ready(State(state): State<AppState>) -> Response {
    if state.drain.is_cancelled() {
        return AppError::from(ErrorKind::Shutdown).into_response();
    }
    if is_writable(&state).await {
        return plain("ready\n");
    }
    let error = AppError::new(
        ErrorKind::NotSaved,
        "Conversations cannot be saved: run `rill doctor`, and look at the server's log.",
    );
    error.respond(StatusCode::SERVICE_UNAVAILABLE, &error.body())
}

async fn is_writable(state: &AppState) -> bool {
    // Those that ask meanwhile wait for the same look.
    let mut last = state.readiness.0.lock().await;
    if let Some((at, is_writable)) = *last
        && at.elapsed() < FRESH
    {
        return is_writable;
    }
    let looked = state.store.probe().await;
    if let Err(error) = &looked {
        tracing::error!(%error, "the store cannot be written");
    }
    *last = Some((Instant::now(), looked.is_ok()));
    looked.is_ok()
}

/// `GET /healthz/stream`: some events with pauses between them, so that a program can see whether a proxy holds
/// them back.
pub(super) async fn stream(
    State(state): State<AppState>,
    client: Client,
) -> Result<Response, AppError> {
    let pass = state.limits.streams.enter(&client)?;
    let pieces = stream::unfold((0, pass), |(sent, pass)| async move {
        if sent == PIECES {
            return None;
        }
        if sent > 0 {
            sleep(PAUSE).await;
        }
        let piece = Bytes::from(format!("data: {sent}\n\n"));
        Some((Ok(piece), (sent + 1, pass)))
    });
    Ok(event_stream(pieces))
}

fn plain(text: &'static str) -> Response {
    ([(CACHE_CONTROL, "no-store")], text).into_response()
}
