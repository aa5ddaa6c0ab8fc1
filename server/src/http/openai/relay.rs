//! An upstream's body on its way to a client: each piece goes on as it is, when it is there.
//!
//! Nothing is read ahead of the client, nothing is copied, and nothing is looked at but for our key. The body ends with the
//! upstream's, when a limit is passed, when the server stops, or with the client's connection; in each
//! case the upstream's connection is free. It notes its outcome in the log.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use app::protocol::ErrorKind;
use axum::body::Bytes;
use axum::http::StatusCode;
use futures::task::AtomicWaker;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::WaitForCancellationFutureOwned;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::error::OpenAiError;
use super::mask::Mask;
use crate::http::error::AppError;
use crate::http::limits::ReplyPasses;
use crate::http::state::AppState;
use crate::providers::UpstreamLimits;

/// A body that passes through.
pub(super) struct Relay {
    body: reqwest::Body,
    mask: Option<Mask>,
    limits: UpstreamLimits,
    total: Instant,
    last_byte: Instant,
    /// One timer for both limits: it is set anew when it rings too early, not for each piece.
    timer: Pin<Box<Sleep>>,
    shutdown: Pin<Box<WaitForCancellationFutureOwned>>,
    /// What these two ring. Asking them takes locks that all passages share, which cost more than the
    /// rest of a piece's way; so they are asked only when it woken.
    limit_waker: Arc<LimitWaker>,
    report: PassReport,
    /// It is about to end with an error.
    is_broken: bool,
    /// The server waits for what is being answered before it stops.
    _running: TaskTrackerToken,
    _passes: ReplyPasses,
}

impl Relay {
    pub(super) fn new(
        body: reqwest::Body,
        mask: Option<Mask>,
        limits: UpstreamLimits,
        total: Instant,
        state: &AppState,
        passes: ReplyPasses,
        report: PassReport,
    ) -> Self {
        let now = Instant::now();
        Self {
            body,
            mask,
            limits,
            total,
            last_byte: now,
            timer: Box::pin(sleep_until(total.min(now + limits.idle))),
            shutdown: Box::pin(state.shutdown.clone().cancelled_owned()),
            limit_waker: Arc::default(),
            report,
            is_broken: false,
            _running: state.tasks.token(),
            _passes: passes,
        }
    }

    /// Ends it with an error, but not before what it has given has left: that happens when it has
    /// nothing for a moment, and an error would take it along.
    fn break_off<T>(&mut self, kind: ErrorKind, context: &mut Context<'_>) -> Poll<T> {
        self.report.end = Some(PassEnd::Failed(kind));
        self.is_broken = true;
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Whether time is up, asked when the upstream has nothing.
    fn poll_limits(&mut self, context: &mut Context<'_>) -> Poll<ErrorKind> {
        if !self.limit_waker.was_woken(context) {
            return Poll::Pending;
        }
        let waker = Waker::from(Arc::clone(&self.limit_waker));
        let context = &mut Context::from_waker(&waker);
        if self.shutdown.as_mut().poll(context).is_ready() {
            return Poll::Ready(ErrorKind::Shutdown);
        }
        while self.timer.as_mut().poll(context).is_ready() {
            let now = Instant::now();
            let silence = self.last_byte + self.limits.idle;
            if now >= self.total {
                return Poll::Ready(ErrorKind::UpstreamTimeoutTotal);
            }
            if now >= silence {
                return Poll::Ready(ErrorKind::UpstreamTimeoutIdle);
            }
            self.timer.as_mut().reset(self.total.min(silence));
        }
        Poll::Pending
    }
}

/// Remembers that something was woken, and wakes the passage.
struct LimitWaker {
    woken: AtomicBool,
    passage: AtomicWaker,
}

impl LimitWaker {
    /// Whether it woken since it was asked last. If not, it wakes this task when it does.
    fn was_woken(&self, context: &Context<'_>) -> bool {
        // In this order nothing is missed: what rings after the look finds the waker.
        self.passage.register(context.waker());
        self.woken.swap(false, Ordering::AcqRel)
    }
}

impl Default for LimitWaker {
    /// It has rung: at first nothing waits yet that could ring it.
    fn default() -> Self {
        Self {
            woken: AtomicBool::new(true),
            passage: AtomicWaker::new(),
        }
    }
}

impl Wake for LimitWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.passage.wake();
    }
}

impl Body for Relay {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.is_broken {
            // What the mask holds is lost with the rest.
            return Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into())));
        }
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                self.last_byte = Instant::now();
                let Ok(data) = frame.into_data() else {
                    // Trailers are headers, of which none is on the list.
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                };
                self.report.bytes += data.len();
                let data = match &mut self.mask {
                    Some(mask) => mask.pass(data),
                    None => data,
                };
                Poll::Ready(Some(Ok(Frame::data(data))))
            }
            Poll::Ready(Some(Err(_))) => self.break_off(ErrorKind::UpstreamCut, context),
            Poll::Ready(None) => {
                self.report.end = Some(PassEnd::Complete);
                let held = self.mask.as_mut().map(Mask::finish);
                let last = held.filter(|held| !held.is_empty());
                Poll::Ready(last.map(|held| Ok(Frame::data(held))))
            }
            Poll::Pending => match self.poll_limits(context) {
                Poll::Ready(kind) => self.break_off(kind, context),
                Poll::Pending => Poll::Pending,
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream() && !self.mask.as_ref().is_some_and(Mask::holds)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// How a passage ended, as far as we know.
#[derive(Clone, Copy)]
enum PassEnd {
    Complete,
    Failed(ErrorKind),
}

/// The one line of the log that a passage makes, when it is over. Never what was asked or answered.
pub(super) struct PassReport {
    path: &'static str,
    upstream: String,
    model: String,
    started: Instant,
    status: Option<StatusCode>,
    first_byte_ms: Option<u128>,
    bytes: usize,
    end: Option<PassEnd>,
}

impl PassReport {
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

    /// All of the answer, so many bytes, has been read.
    pub(super) fn passed(&mut self, bytes: usize) {
        self.bytes = bytes;
        self.end = Some(PassEnd::Complete);
    }

    /// Nothing could be passed through. The error that says so needs no line of its own.
    pub(super) fn failed(mut self, kind: ErrorKind) -> OpenAiError {
        self.end = Some(PassEnd::Failed(kind));
        AppError::logged(kind).into()
    }
}

impl Drop for PassReport {
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
            Some(PassEnd::Complete) => "complete",
            Some(PassEnd::Failed(kind)) => {
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
