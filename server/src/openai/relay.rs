//! An upstream's body on its way to a client: its bytes go on as they are, when they are there.
//!
//! What has arrived together goes on together, since a write for each small piece would cost more than
//! all else; a piece that is alone is not copied, and nothing waits for what is not there. Nothing is
//! read further ahead of the client, and nothing is looked at. The body ends with the
//! upstream's, when a limit is passed, when the server stops, or with the client's connection; in each
//! case the upstream's connection is free. It notes its outcome in the log.

use std::io;
use std::pin::Pin;

use app::protocol::ErrorKind;
use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use bytes::BytesMut;
use futures::{FutureExt, stream};
use http_body_util::BodyExt;
use hyper::body::Frame;
use tokio::task::yield_now;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::WaitForCancellationFutureOwned;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::error::ApiError;
use crate::state::AppState;
use crate::upstream::Limits;

/// As many bytes are gathered for one write, if they are there already.
const GATHERED_BYTES: usize = 16 * 1024;

/// A body that passes through.
pub(super) struct Relay {
    body: reqwest::Body,
    limits: Limits,
    total: Instant,
    last_byte: Instant,
    /// One timer for both limits: it is set anew when it rings too early, not for each piece.
    timer: Pin<Box<Sleep>>,
    shutdown: Pin<Box<WaitForCancellationFutureOwned>>,
    note: Note,
    /// The server waits for what is being answered before it stops.
    _running: TaskTrackerToken,
}

impl Relay {
    pub(super) fn new(
        body: reqwest::Body,
        limits: Limits,
        total: Instant,
        state: &AppState,
        note: Note,
    ) -> Self {
        let now = Instant::now();
        Self {
            body,
            limits,
            total,
            last_byte: now,
            timer: Box::pin(sleep_until(total.min(now + limits.idle))),
            shutdown: Box::pin(state.shutdown.clone().cancelled_owned()),
            note,
            _running: state.replies.token(),
        }
    }

    /// The body for the client.
    pub(super) fn into_body(self) -> Body {
        Body::from_stream(stream::unfold(self, async |mut relay| {
            let item = relay.next().await?;
            Some((item, relay))
        }))
    }

    /// The next bytes: all that have arrived by now.
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        match self.note.end {
            None => {}
            Some(End::Complete) => return None,
            Some(End::Failed(_)) => {
                // What was given before leaves when there is nothing for a moment; an error would take
                // it along.
                yield_now().await;
                return Some(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
        let mut gathered = Gathered::default();
        let frame = self.wait().await;
        self.take(frame, &mut gathered);
        while self.note.end.is_none() && gathered.len() < GATHERED_BYTES {
            // What has arrived lies with the task that reads the socket; this is its turn.
            yield_now().await;
            match self.body.frame().now_or_never() {
                Some(frame) => self.take(Ok(frame), &mut gathered),
                None if gathered.len() > 0 => break,
                None => {
                    let frame = self.wait().await;
                    self.take(frame, &mut gathered);
                }
            }
        }
        match gathered.take() {
            Some(bytes) => Some(Ok(bytes)),
            None => Box::pin(self.next()).await,
        }
    }

    /// Waits for the upstream, but not longer than it may take.
    async fn wait(&mut self) -> Result<Option<Result<Frame<Bytes>, reqwest::Error>>, ErrorKind> {
        loop {
            tokio::select! {
                biased;
                () = self.shutdown.as_mut() => return Err(ErrorKind::Shutdown),
                () = self.timer.as_mut() => {
                    let now = Instant::now();
                    let silence = self.last_byte + self.limits.idle;
                    if now >= self.total {
                        return Err(ErrorKind::UpstreamTimeoutTotal);
                    }
                    if now >= silence {
                        return Err(ErrorKind::UpstreamTimeoutIdle);
                    }
                    self.timer.as_mut().reset(self.total.min(silence));
                }
                frame = self.body.frame() => return Ok(frame),
            }
        }
    }

    fn take(
        &mut self,
        frame: Result<Option<Result<Frame<Bytes>, reqwest::Error>>, ErrorKind>,
        gathered: &mut Gathered,
    ) {
        match frame {
            Ok(Some(Ok(frame))) => {
                self.last_byte = Instant::now();
                // Trailers, of which no API here has any, are not passed on.
                if let Ok(data) = frame.into_data() {
                    self.note.bytes += data.len();
                    gathered.add(data);
                }
            }
            Ok(Some(Err(_))) => self.note.end = Some(End::Failed(ErrorKind::UpstreamCut)),
            Ok(None) => self.note.end = Some(End::Complete),
            Err(kind) => self.note.end = Some(End::Failed(kind)),
        }
    }
}

/// Bytes that leave together.
#[derive(Default)]
struct Gathered {
    /// The first piece, as long as it is alone.
    first: Bytes,
    /// All pieces, once there are several.
    all: BytesMut,
}

impl Gathered {
    fn len(&self) -> usize {
        self.first.len() + self.all.len()
    }

    fn add(&mut self, piece: Bytes) {
        if self.len() == 0 {
            self.first = piece;
            return;
        }
        self.all
            .reserve(GATHERED_BYTES.max(self.first.len() + piece.len()));
        self.all.extend_from_slice(&std::mem::take(&mut self.first));
        self.all.extend_from_slice(&piece);
    }

    fn take(&mut self) -> Option<Bytes> {
        if self.all.is_empty() {
            return Some(std::mem::take(&mut self.first)).filter(|first| !first.is_empty());
        }
        Some(self.all.split().freeze())
    }
}

/// How a passage ended, as far as we know.
#[derive(Clone, Copy)]
enum End {
    Complete,
    Failed(ErrorKind),
}

/// The one line of the log that a passage makes, when it is over. Never what was asked or answered.
pub(super) struct Note {
    path: &'static str,
    upstream: String,
    model: String,
    started: Instant,
    status: Option<StatusCode>,
    first_byte_ms: Option<u128>,
    bytes: usize,
    end: Option<End>,
}

impl Note {
    pub(super) fn new(
        path: &'static str,
        upstream: String,
        model: String,
        started: Instant,
    ) -> Self {
        Self {
            path,
            upstream,
            model,
            started,
            status: None,
            first_byte_ms: None,
            bytes: 0,
            end: None,
        }
    }

    /// The upstream has begun to answer with this status.
    pub(super) fn answered(mut self, status: StatusCode) -> Self {
        self.status = Some(status);
        self.first_byte_ms = Some(self.started.elapsed().as_millis());
        self
    }

    /// Nothing could be passed through. The error that says so needs no line of its own.
    pub(super) fn failed(mut self, kind: ErrorKind) -> ApiError {
        self.end = Some(End::Failed(kind));
        ApiError::logged(kind)
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        let Self {
            path,
            upstream,
            model,
            first_byte_ms,
            bytes,
            ..
        } = &*self;
        // The name is the client's; more of it than can be a name is not kept.
        let model = model.get(..100).unwrap_or(model);
        let status = self.status.map(|status| status.as_u16());
        let duration_ms = self.started.elapsed().as_millis();
        let end = match self.end {
            Some(End::Complete) => "complete",
            Some(End::Failed(kind)) => {
                let kind = kind.as_str();
                tracing::warn!(
                    path,
                    upstream,
                    model,
                    status,
                    first_byte_ms,
                    duration_ms,
                    bytes,
                    kind,
                    "passed"
                );
                return;
            }
            None => "left",
        };
        tracing::info!(
            path,
            upstream,
            model,
            status,
            first_byte_ms,
            duration_ms,
            bytes,
            end,
            "passed"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_joined_in_their_order_and_one_alone_is_not_copied() {
        let mut gathered = Gathered::default();
        assert_eq!(gathered.take(), None);
        let piece = Bytes::from_static(b"alone");
        gathered.add(piece.clone());
        let got = gathered.take().expect("a piece");
        assert_eq!((got.as_ptr(), got.len()), (piece.as_ptr(), 5));
        for piece in ["a", "", "bc", "d"] {
            gathered.add(Bytes::from_static(piece.as_bytes()));
        }
        assert_eq!(gathered.len(), 4);
        assert_eq!(gathered.take().expect("pieces"), "abcd");
        assert_eq!((gathered.take(), gathered.len()), (None, 0));
    }
}
