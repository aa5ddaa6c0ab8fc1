//! Reads a provider's answer to its end and hands its events on. It does not know to whom.
//!
//! What has arrived together is handed on together, so that a burst costs few writes. When the future
//! is dropped, so is the provider's connection.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use app::protocol::saved::Timing;
use app::protocol::{ChatEvent, ChatRequest, ErrorKind, Finish, ReplyError, Retrying, Usage};
use futures::FutureExt;
use tokio::task::yield_now;
use tokio::time::Instant;

use crate::providers::Reuse;
use crate::providers::error::Failure;
use crate::providers::{Answer, Progress, Registry, Step};

/// As many bytes are gathered before they are handed on, if they are there already.
const FRAME_BYTES: usize = 16 * 1024;
/// And as many pieces of what the provider sends, which need not hold any text.
const FRAME_PIECES: usize = 256;

/// Takes the events of a reply.
pub(crate) trait Sink {
    /// Adds an event.
    fn push(&mut self, event: &ChatEvent<'_>);
    /// About how many bytes have been added since they were last handed on.
    fn size(&self) -> usize;
    /// Hands on all that has been added. An error: nobody takes it any more.
    fn flush(&mut self) -> impl Future<Output = std::io::Result<()>> + Send;
}

/// How a reply ended.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    Done(Finish),
    Failed(ReplyError),
    /// The reader left, or did not read.
    Left,
}

/// The server is about to end.
pub(crate) fn shutting_down() -> Outcome {
    Outcome::Failed(ReplyError::of(ErrorKind::Shutdown))
}

/// Relays the reply up to its end, but not the end itself: neither that nor its cost. Where another
/// model stands in, `model` is that one in the end.
pub(crate) async fn relay(
    providers: &Arc<Registry>,
    request: &ChatRequest,
    reuse: &Reuse,
    model: &mut String,
    sink: &mut (impl Sink + Send),
    report: &mut Report,
) -> Outcome {
    if sink.flush().await.is_err() {
        return Outcome::Left;
    }
    let mut dispatch = providers.dispatch(request, reuse, model);
    let mut step = dispatch.next(&mut report.attempts).await;
    loop {
        match step {
            Ok(Step::Answer(answer)) => match relay_answer(*answer, sink, report).await {
                Ok(outcome) => return outcome,
                // What a reader has seen cannot be taken back, so nobody may begin again.
                Err(failure) if report.first_token.is_some() => return report.fail(&failure),
                Err(failure) => {
                    step = dispatch.turn_from(failure);
                    continue;
                }
            },
            Ok(Step::Pause(pause)) => {
                let in_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
                sink.push(&ChatEvent::Retrying(Retrying { in_ms }));
            }
            Ok(Step::OtherModel) => {
                dispatch.model().clone_into(model);
                sink.push(&ChatEvent::Model(dispatch.model().into()));
            }
            Err(failure) => return report.fail(&failure),
        }
        if sink.flush().await.is_err() {
            return Outcome::Left;
        }
        step = dispatch.next(&mut report.attempts).await;
    }
}

/// Relays one answer up to its end.
async fn relay_answer(
    mut answer: Answer,
    sink: &mut (impl Sink + Send),
    report: &mut Report,
) -> Result<Outcome, Failure> {
    loop {
        match read(&mut answer, sink, report).await? {
            Progress::More => {
                if sink.flush().await.is_err() {
                    return Ok(Outcome::Left);
                }
            }
            Progress::Complete { finish, usage } => {
                report.usage = usage;
                return Ok(Outcome::Done(finish));
            }
        }
    }
}

/// Waits for the provider, then takes all that it has sent by now.
async fn read(
    answer: &mut Answer,
    sink: &mut impl Sink,
    report: &mut Report,
) -> Result<Progress, Failure> {
    let mut out = |sink: &mut _, event: ChatEvent<'_>| {
        report.count(&event);
        Sink::push(sink, &event);
    };
    let mut progress = answer.next(&mut |event| out(sink, event)).await?;
    let mut pieces = 1;
    while progress == Progress::More && sink.size() < FRAME_BYTES && pieces < FRAME_PIECES {
        // What has arrived lies with the task that reads the socket; this is its turn. A write
        // for each piece it hands over would cost far more than reading the piece.
        yield_now().await;
        match answer.next(&mut |event| out(sink, event)).now_or_never() {
            Some(next) => progress = next?,
            None => break,
        }
        pieces += 1;
    }
    Ok(progress)
}

/// What is told of a reply beside its text, in the log and to the store: never what was asked or
/// answered.
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
}

impl Report {
    /// Of a reply that begins now.
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            attempts: 0,
            first_token: None,
            first_reasoning: None,
            first_text: None,
            deltas: 0,
            bytes: 0,
            usage: None,
            cause: Cow::Borrowed(""),
        }
    }

    /// When the reply began.
    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// How long it took, as of now.
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
        Outcome::Failed(failure.to_error())
    }

    /// Writes the reply's one line into the log.
    pub(crate) fn log(&self, generation: &str, model: &str, outcome: &Outcome) {
        // Only the head of the id, which is enough to find a line: whoever knows the whole id may read the reply.
        let generation = &generation[..8];
        let attempts = self.attempts;
        let ttft_ms = self.first_token.map(|time| time.as_millis());
        let duration_ms = self.started.elapsed().as_millis();
        let tokens = self.usage.and_then(|usage| usage.completion_tokens);
        let (deltas, bytes) = (self.deltas, self.bytes);
        // The level of an event is fixed where it is written, so a macro repeats the fields.
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
