//! Reads a provider's answer to its end and pushes its events into a sink.
//!
//! Events that arrived together are flushed together, so that a burst costs few writes. One that comes alone is flushed
//! at once. Dropping the future
//! closes the provider's connection.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use app::protocol::saved::Timing;
use app::protocol::{ChatEvent, ChatRequest, ErrorKind, Finish, ReplyError, Retrying, Usage};
use futures::FutureExt;
use tokio::task::yield_now;
use tokio::time::Instant;

use crate::metrics::{Metrics, ReplyKind};
use crate::providers::Reuse;
use crate::providers::error::Failure;
use crate::providers::{DispatchStep, Progress, Registry, UpstreamAnswer};
use crate::reference::{Reference, with_reference};
use crate::traces::{CurrentSpan, Span, SpanKind};

/// The most bytes that are gathered before a flush.
const FRAME_BYTES: usize = 16 * 1024;
/// The most pieces of the provider's stream that are gathered before a flush. A piece may hold no text.
const FRAME_PIECES: usize = 256;

/// Pieces that come further apart are not gathered: looking for another one costs as much as reading it.
const APART: Duration = Duration::from_millis(2);

/// Takes the events of a reply.
pub(crate) trait EventSink {
    /// Adds an event.
    fn push(&mut self, event: &ChatEvent<'_>);
    /// The approximate number of bytes since the last flush.
    fn size(&self) -> usize;
    /// Sends all added events. An error means that the receiver is gone.
    fn flush(&mut self) -> impl Future<Output = std::io::Result<()>> + Send;
}

/// The way in which a reply ended.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    Done(Finish),
    Failed(ReplyError),
    /// The reader disconnected, or stopped reading.
    Left,
}

/// The outcome when the server shuts down.
pub(crate) fn shutting_down() -> Outcome {
    Outcome::Failed(ReplyError::of(ErrorKind::Shutdown))
}

/// Relays text and reasoning. The caller emits `usage` and the terminal event. After a fallback, `model` is the
/// model that answered.
pub(crate) async fn relay(
    providers: &Arc<Registry>,
    request: &ChatRequest,
    reuse: &Reuse,
    model: &mut String,
    sink: &mut (impl EventSink + Send),
    report: &mut Report,
) -> Outcome {
    if sink.flush().await.is_err() {
        return Outcome::Left;
    }
    let mut dispatch = providers.dispatch(request, reuse, model);
    // On the heap only until the answer begins: it is most of the memory of the task, which a reply keeps to its end.
    let mut step = Box::pin(dispatch.next(&mut report.attempts)).await;
    loop {
        match step {
            Ok(DispatchStep::Answer(answer)) => match relay_answer(answer, sink, report).await {
                Ok(outcome) => return outcome,
                // A reader has seen part of this answer, so no other model may begin a new one.
                Err(failure) if report.first_token.is_some() => return report.fail(&failure),
                Err(failure) => {
                    step = dispatch.fall_back(failure);
                    continue;
                }
            },
            Ok(DispatchStep::Pause(pause)) => {
                let in_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
                sink.push(&ChatEvent::Retrying(Retrying { in_ms }));
            }
            Ok(DispatchStep::OtherModel) => {
                dispatch.model().clone_into(model);
                sink.push(&ChatEvent::Model(dispatch.model().into()));
            }
            Err(failure) => return report.fail(&failure),
        }
        if sink.flush().await.is_err() {
            return Outcome::Left;
        }
        step = Box::pin(dispatch.next(&mut report.attempts)).await;
    }
}

/// Relays one answer to its end.
async fn relay_answer(
    mut answer: Box<UpstreamAnswer>,
    sink: &mut (impl EventSink + Send),
    report: &mut Report,
) -> Result<Outcome, Failure> {
    let mut flushed_at = None;
    loop {
        match read(&mut answer, sink, report, flushed_at).await? {
            Progress::More => {
                if sink.flush().await.is_err() {
                    return Ok(Outcome::Left);
                }
                flushed_at = Some(Instant::now());
            }
            Progress::Complete { finish, usage } => {
                report.usage = usage;
                return Ok(Outcome::Done(finish));
            }
        }
    }
}

/// Waits for the provider, then takes everything that has already arrived, unless the pieces come apart.
async fn read(
    answer: &mut UpstreamAnswer,
    sink: &mut impl EventSink,
    report: &mut Report,
    flushed_at: Option<Instant>,
) -> Result<Progress, Failure> {
    let mut out = |sink: &mut _, event: ChatEvent<'_>| {
        report.count(&event);
        EventSink::push(sink, &event);
    };
    let mut progress = answer.next(&mut |event| out(sink, event)).await?;
    if flushed_at.is_none_or(|flushed_at| flushed_at.elapsed() >= APART) {
        return Ok(progress);
    }
    let mut pieces = 1;
    while progress == Progress::More && sink.size() < FRAME_BYTES && pieces < FRAME_PIECES {
        // The task that reads the socket holds what has arrived; yielding lets it run. A write for
        // each piece would cost far more than reading the piece.
        yield_now().await;
        match answer.next(&mut |event| out(sink, event)).now_or_never() {
            Some(next) => progress = next?,
            None => break,
        }
        pieces += 1;
    }
    Ok(progress)
}

/// Measurements of a reply for the log line and the store. It never holds text of the question or answer.
pub(crate) struct Report {
    started: Instant,
    attempts: u32,
    first_token: Option<Duration>,
    first_reasoning: Option<Duration>,
    first_text: Option<Duration>,
    deltas: u64,
    bytes: usize,
    pub(crate) usage: Option<Usage>,
    cause: Cow<'static, str>,
    /// The request that began the reply.
    reference: Option<Reference>,
    /// Ends with the report.
    span: Span,
}

impl Report {
    /// The report of a reply that begins now, by the request that is handled. Its span has this name.
    pub(crate) fn new(name: &'static str) -> Self {
        let reference = Reference::current();
        let mut span = Span::child(SpanKind::Internal, || name);
        if let Some(reference) = &reference {
            span.set("rill.reference", || reference.to_string());
        }
        Self {
            span,
            started: Instant::now(),
            attempts: 0,
            first_token: None,
            first_reasoning: None,
            first_text: None,
            deltas: 0,
            bytes: 0,
            usage: None,
            cause: Cow::Borrowed(""),
            reference,
        }
    }

    /// The span of the reply, as the current one of the task that makes it.
    pub(crate) fn span(&self) -> Option<CurrentSpan> {
        self.span.as_current()
    }

    /// The time at which the reply began.
    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// The durations so far, in milliseconds.
    pub(crate) fn timing(&self) -> Timing {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let thinking = self.first_reasoning.map(|began| {
            let until = self.first_text.unwrap_or_else(|| self.started.elapsed());
            until.saturating_sub(began)
        });
        Timing {
            first_token_ms: self.first_token.map(ms),
            duration_ms: Some(ms(self.started.elapsed())),
            thinking_ms: thinking.map(ms),
        }
    }

    fn count(&mut self, event: &ChatEvent<'_>) {
        let (text, first) = match event {
            ChatEvent::Text(text) => (text, &mut self.first_text),
            ChatEvent::Reasoning(text) => (text, &mut self.first_reasoning),
            _ => return,
        };
        if first.is_none() {
            let now = self.started.elapsed();
            *first = Some(now);
            self.first_token.get_or_insert(now);
        }
        self.deltas += 1;
        self.bytes += text.len();
    }

    fn fail(&mut self, failure: &Failure) -> Outcome {
        self.cause = failure.cause.clone();
        let mut error = failure.to_error();
        error.message = with_reference(&error.message, self.reference.as_ref());
        Outcome::Failed(error)
    }

    /// Counts the reply.
    pub(crate) fn measure(&mut self, metrics: &Metrics, kind: ReplyKind, outcome: &Outcome) {
        let (outcome, error_type) = match outcome {
            Outcome::Done(finish) => (finish.as_str(), None),
            Outcome::Left => ("left", None),
            Outcome::Failed(error) => ("error", Some(error.kind.as_str())),
        };
        let time = self.started.elapsed();
        metrics.reply(kind, outcome, error_type, time, self.first_token);
        self.span.set("rill.outcome", || outcome);
        self.span.set("rill.attempts", || u64::from(self.attempts));
        if let Some(error_type) = error_type {
            self.span.fail(error_type);
        }
    }

    /// Writes the one log line of the reply.
    pub(crate) fn log(&self, generation: &str, model: &str, outcome: &Outcome) {
        // Only the first characters of the id: whoever knows the whole id may read the reply.
        let generation = &generation[..8];
        let attempts = self.attempts;
        let ttft_ms = self.first_token.map(|time| time.as_millis());
        let duration_ms = self.started.elapsed().as_millis();
        let tokens = self.usage.and_then(|usage| usage.completion_tokens);
        let (deltas, bytes) = (self.deltas, self.bytes);
        let reference = self.reference.as_ref().map(Reference::as_str);
        // The level of a tracing event is static, so a macro repeats the fields.
        macro_rules! line {
            ($level:ident, $($field:tt)*) => {
                tracing::$level!(
                    generation,
                    model,
                    attempts,
                    ttft_ms,
                    duration_ms,
                    tokens,
                    deltas,
                    bytes,
                    reference,
                    $($field)*,
                    "reply"
                )
            };
        }
        match outcome {
            Outcome::Done(finish) => line!(info, finish = finish.as_str()),
            Outcome::Left => line!(info, finish = "left"),
            Outcome::Failed(error) => {
                line!(warn, kind = error.kind.as_str(), cause = self.cause.trim());
            }
        }
    }
}
