//! The body of an upstream's answer on its way to a client. Each piece is passed on when it arrives.
//!
//! Nothing is read ahead of the client or copied, and pieces are searched only for our key. The body ends with
//! the upstream's body, at a time limit, at a shutdown, or with the client's connection. In each case the
//! upstream's connection is released. The outcome is logged.

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
use crate::metrics::OperationTimer;
use crate::providers::UpstreamLimits;
use crate::reference::Reference;

/// A body that passes through.
pub(super) struct Relay {
    body: reqwest::Body,
    mask: Option<Mask>,
    limits: UpstreamLimits,
    total: Instant,
    last_byte: Instant,
    /// One timer for both limits. It is reset when it fires too early, not for each piece.
    timer: Pin<Box<Sleep>>,
    shutdown: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Woken by the timer or a shutdown. Polling them takes locks that all relays share and costs more than the
    /// rest of the work for a piece, so they are polled only after a wake-up.
    limit_waker: Arc<LimitWaker>,
    report: PassReport,
    /// Whether the body is about to end with an error.
    is_broken: bool,
    /// A shutdown waits for running answers.
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

    /// Ends the body with an error, after the pieces that were returned before have been sent. They are sent
    /// while the body is pending, and an error at once would discard them.
    fn end_with_error<T>(&mut self, kind: ErrorKind, context: &mut Context<'_>) -> Poll<T> {
        self.report.end = Some(PassEnd::Failed(kind));
        self.is_broken = true;
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Checks the time limits. Called when the upstream has no data.
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

/// Records a wake-up and wakes the task of the body.
struct LimitWaker {
    woken: AtomicBool,
    task: AtomicWaker,
}

impl LimitWaker {
    /// Whether a wake-up came since the last call. If not, the next one wakes this task.
    fn was_woken(&self, context: &Context<'_>) -> bool {
        // The waker is registered before the flag is read, so no wake-up is missed.
        self.task.register(context.waker());
        self.woken.swap(false, Ordering::AcqRel)
    }
}

impl Default for LimitWaker {
    /// Begins as woken, because nothing was polled yet.
    fn default() -> Self {
        Self {
            woken: AtomicBool::new(true),
            task: AtomicWaker::new(),
        }
    }
}

impl Wake for LimitWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.task.wake();
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
            // The fragment that the mask holds is lost.
            return Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into())));
        }
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                let now = Instant::now();
                self.last_byte = now;
                self.report.chunk(now);
                let Ok(data) = frame.into_data() else {
                    // Trailers are headers that are not on the list.
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
            Poll::Ready(Some(Err(_))) => self.end_with_error(ErrorKind::UpstreamCut, context),
            Poll::Ready(None) => {
                self.report.end = Some(PassEnd::Complete);
                let held = self.mask.as_mut().map(Mask::finish);
                let last = held.filter(|held| !held.is_empty());
                Poll::Ready(last.map(|held| Ok(Frame::data(held))))
            }
            Poll::Pending => match self.poll_limits(context) {
                Poll::Ready(kind) => self.end_with_error(kind, context),
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

/// The known outcome of a passed answer.
#[derive(Clone, Copy)]
enum PassEnd {
    Complete,
    Failed(ErrorKind),
}

/// The log line of a passed request, written when it is over. It never holds text of the question or answer.
pub(super) struct PassReport {
    path: &'static str,
    upstream: String,
    model: String,
    started: Instant,
    status: Option<StatusCode>,
    first_byte_ms: Option<u128>,
    bytes: usize,
    end: Option<PassEnd>,
    operation: Option<OperationTimer>,
    is_stream: bool,
    reference: Option<Reference>,
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
            operation: None,
            is_stream: false,
            reference: Reference::current(),
        }
    }

    /// Measures the request in this operation too.
    pub(super) fn measured(mut self, operation: OperationTimer, is_stream: bool) -> Self {
        self.operation = Some(operation);
        self.is_stream = is_stream;
        self
    }

    /// Counts a chunk of the answer, which came at this time.
    fn chunk(&mut self, now: Instant) {
        if self.is_stream
            && let Some(operation) = &mut self.operation
        {
            operation.chunk(now);
        }
    }

    /// Ends the operation. Without an end it was cancelled.
    fn measure_end(&mut self) {
        let Some(operation) = self.operation.take() else {
            return;
        };
        match self.end {
            Some(PassEnd::Failed(kind)) => operation.fail(kind.as_str()),
            Some(PassEnd::Complete) => match self.status {
                Some(status) if status.is_client_error() => operation.fail("status_4xx"),
                Some(status) if status.is_server_error() => operation.fail("status_5xx"),
                _ => operation.complete(),
            },
            None => {}
        }
    }

    /// Records that the upstream began to answer with this status.
    pub(super) fn answered(mut self, status: StatusCode) -> Self {
        self.status = Some(status);
        self.first_byte_ms = Some(self.started.elapsed().as_millis());
        self
    }

    /// Records that the whole answer, with this many bytes, was read.
    pub(super) fn passed(&mut self, bytes: usize) {
        self.bytes = bytes;
        self.end = Some(PassEnd::Complete);
    }

    /// Records that no answer could be passed on. The returned error is not logged a second time.
    pub(super) fn failed(mut self, kind: ErrorKind) -> OpenAiError {
        self.end = Some(PassEnd::Failed(kind));
        AppError::logged(kind).into()
    }
}

impl Drop for PassReport {
    fn drop(&mut self) {
        self.measure_end();
        let Self {
            path,
            upstream,
            model,
            first_byte_ms,
            bytes,
            ..
        } = &*self;
        // The client wrote the name. It is cut to the length of a plausible name.
        let model = model.get(..100).unwrap_or(model);
        let status = self.status.map(|status| status.as_u16());
        let reference = self.reference.as_ref().map(Reference::as_str);
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
                    reference,
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
            reference,
            end,
            "passed"
        );
    }
}
