//! One reply being made: a task that reads the provider, writes events for its reader, and notes the
//! outcome.
//!
//! The task ends when the reply does, when its reader leaves, or when the server shuts down; in each
//! case the provider's connection is closed with it. Between task and reader stands a pipe of
//! bounded size: a reader who does not read stops the task, and the task stops reading the provider.
//! Events that arrive while the reader is busy leave in one write.
//!
//! It keeps no log and has one reader. It knows nothing of HTTP.

pub mod frame;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use app::protocol::{
    ChatEvent, ChatRequest, ErrorKind, Finish, ReplyError, Retrying, Start, Usage,
};
use app::wording;
use bytes::Bytes;
use futures::FutureExt;
use futures::stream::{self, Stream, StreamExt};
use tokio::io::{AsyncWriteExt, DuplexStream, duplex};
use tokio::task::yield_now;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::io::ReaderStream;
use tokio_util::sync::CancellationToken;

use self::frame::Frame;
use crate::state::AppState;
use crate::upstream::failure::Failure;
use crate::upstream::{Answer, Progress, Step};

/// The most bytes that wait for a reader.
const PIPE_BYTES: usize = 64 * 1024;
/// As many are gathered for one write, if they are there already.
const FRAME_BYTES: usize = 16 * 1024;
/// And as many pieces of what the provider sends, which need not hold any text.
const FRAME_PIECES: usize = 256;
/// The first sign of life when the provider is silent; proxies and people want one early.
const FIRST_PING: Duration = Duration::from_secs(1);
/// The further ones. Proxies commonly give up after 30 s or 60 s of silence.
const PING: Duration = Duration::from_secs(15);
const PING_COMMENT: &[u8] = b": ping\n\n";
/// How long the last words may take to reach a reader who does not read.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Starts a reply and gives the bytes of its event stream. Dropping them ends the reply.
pub(crate) fn start(
    state: &AppState,
    request: ChatRequest,
) -> impl Stream<Item = std::io::Result<Bytes>> + use<> {
    // Of the two directions only one is used. Unlike the halves of a `simplex`, each end of a
    // `duplex` closes its direction when it is dropped, so the stream ends however the task does.
    let (reader, writer) = duplex(PIPE_BYTES);
    let gone = CancellationToken::new();
    let generation = Generation {
        id: new_id(),
        model: request
            .model
            .clone()
            .unwrap_or_else(|| state.upstreams.default_model()),
        writer,
        frame: Frame::default(),
        report: Report::default(),
        state: state.clone(),
    };
    state.replies.spawn(generation.run(request, gone.clone()));
    with_pings(
        ReaderStream::with_capacity(reader, PIPE_BYTES),
        gone.drop_guard(),
    )
}

/// 128 random bits: who knows the id of a reply may read it.
fn new_id() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// Adds a comment to a stream whenever it was silent for a while; the first silence is the shortest,
/// also when it follows the start of the reply. The guard is dropped with the stream.
fn with_pings<S, G>(events: S, guard: G) -> impl Stream<Item = std::io::Result<Bytes>> + use<S, G>
where
    S: Stream<Item = std::io::Result<Bytes>>,
{
    stream::unfold(
        (Box::pin(events), FIRST_PING, guard),
        |(mut events, wait, guard)| async move {
            match timeout(wait, events.next()).await {
                Ok(bytes) => bytes.map(|bytes| (bytes, (events, wait, guard))),
                Err(_) => Some((Ok(Bytes::from_static(PING_COMMENT)), (events, PING, guard))),
            }
        },
    )
}

struct Generation {
    id: String,
    model: String,
    writer: DuplexStream,
    frame: Frame,
    report: Report,
    state: AppState,
}

impl Generation {
    async fn run(mut self, request: ChatRequest, gone: CancellationToken) {
        let started = Instant::now();
        let shutdown = self.state.shutdown.clone();
        let total = started + self.state.config.total_timeout + LAST_WORDS;
        let outcome = tokio::select! {
            biased;
            () = gone.cancelled() => Outcome::Left,
            () = shutdown.cancelled() => Outcome::Failed(shutting_down()),
            // A provider is held to the limit where it is read; this holds the reader to it.
            done = timeout_at(total, self.relay(&request, started)) => done.unwrap_or(Outcome::Left),
        };
        self.end(outcome, started).await;
    }

    /// Relays the whole reply up to its end, but not the end itself.
    async fn relay(&mut self, request: &ChatRequest, started: Instant) -> Outcome {
        self.frame.push(&ChatEvent::Start(Start {
            generation: self.id.clone(),
            model: self.model.clone(),
        }));
        if self.write().await.is_err() {
            return Outcome::Left;
        }
        let upstreams = Arc::clone(&self.state.upstreams);
        let mut asking = upstreams.ask(request, &self.model);
        let mut step = asking.next(&mut self.report.attempts).await;
        loop {
            match step {
                Ok(Step::Answer(answer)) => match self.relay_answer(*answer, started).await {
                    Ok(outcome) => return outcome,
                    // What a reader has seen cannot be taken back, so nobody may begin again.
                    Err(failure) if self.report.first_token.is_some() => {
                        return self.fail(&failure);
                    }
                    Err(failure) => {
                        step = asking.turn_from(failure);
                        continue;
                    }
                },
                Ok(Step::Pause(pause)) => {
                    let in_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
                    self.frame.push(&ChatEvent::Retrying(Retrying { in_ms }));
                }
                Ok(Step::OtherModel) => {
                    asking.model().clone_into(&mut self.model);
                    self.frame.push(&ChatEvent::Model(asking.model().into()));
                }
                Err(failure) => return self.fail(&failure),
            }
            if self.write().await.is_err() {
                return Outcome::Left;
            }
            step = asking.next(&mut self.report.attempts).await;
        }
    }

    /// Relays one answer up to its end.
    async fn relay_answer(
        &mut self,
        mut answer: Answer,
        started: Instant,
    ) -> Result<Outcome, Failure> {
        loop {
            match self.read(&mut answer, started).await? {
                Progress::More => {
                    if self.write().await.is_err() {
                        return Ok(Outcome::Left);
                    }
                }
                Progress::Complete { finish, usage } => {
                    self.report.usage = usage;
                    return Ok(Outcome::Done(finish));
                }
            }
        }
    }

    /// Waits for the provider, then takes all that it has sent by now into one frame.
    async fn read(&mut self, answer: &mut Answer, started: Instant) -> Result<Progress, Failure> {
        let Self { frame, report, .. } = self;
        let mut out = |frame: &mut Frame, event: ChatEvent<'_>| {
            report.count(&event, started);
            frame.push(&event);
        };
        let mut progress = answer.next(&mut |event| out(frame, event)).await?;
        let mut pieces = 1;
        while progress == Progress::More && frame.size() < FRAME_BYTES && pieces < FRAME_PIECES {
            // What has arrived lies with the task that reads the socket; this is its turn. A write
            // for each piece it hands over would cost far more than reading the piece.
            yield_now().await;
            match answer.next(&mut |event| out(frame, event)).now_or_never() {
                Some(next) => progress = next?,
                None => break,
            }
            pieces += 1;
        }
        Ok(progress)
    }

    fn fail(&mut self, failure: &Failure) -> Outcome {
        self.report.cause = failure.cause.clone();
        Outcome::Failed(failure.to_error())
    }

    /// Says how the reply ended, to the reader and to the log.
    async fn end(mut self, outcome: Outcome, started: Instant) {
        if let Some(usage) = self.report.usage {
            self.frame.push(&ChatEvent::Usage(usage));
        }
        match &outcome {
            Outcome::Done(finish) => self.frame.push(&ChatEvent::Done(*finish)),
            Outcome::Failed(error) => self.frame.push(&ChatEvent::Error(error.clone())),
            Outcome::Left => {}
        }
        if !matches!(outcome, Outcome::Left) {
            // A reader who has stopped reading does not keep the reply alive for its last words.
            let _ = timeout(LAST_WORDS, self.write()).await;
        }
        self.report.log(&self.id, &self.model, &outcome, started);
    }

    /// Hands all that has been pushed to the reader; waits while the pipe is full.
    async fn write(&mut self) -> std::io::Result<()> {
        let bytes = self.frame.finish();
        if !bytes.is_empty() {
            self.writer.write_all(bytes).await?;
            self.frame.clear();
        }
        Ok(())
    }
}

fn shutting_down() -> ReplyError {
    ReplyError {
        kind: ErrorKind::Shutdown,
        message: wording::error_sentence(ErrorKind::Shutdown).to_owned(),
        retryable: true,
        retry_after_ms: None,
    }
}

/// How a reply ended.
enum Outcome {
    Done(Finish),
    Failed(ReplyError),
    /// The reader left, or did not read.
    Left,
}

/// What the log says of a reply: never what was asked or answered.
#[derive(Default)]
struct Report {
    attempts: u32,
    first_token: Option<Duration>,
    deltas: u64,
    bytes: usize,
    usage: Option<Usage>,
    cause: Cow<'static, str>,
}

impl Report {
    fn count(&mut self, event: &ChatEvent<'_>, started: Instant) {
        if let ChatEvent::Text(text) | ChatEvent::Reasoning(text) = event {
            self.first_token.get_or_insert_with(|| started.elapsed());
            self.deltas += 1;
            self.bytes += text.len();
        }
    }

    fn log(&self, generation: &str, model: &str, outcome: &Outcome, started: Instant) {
        // Only the head of the id, by which a line is found; who knows the whole may read the reply.
        let generation = &generation[..8];
        let attempts = self.attempts;
        let ttft_ms = self.first_token.map(|time| time.as_millis());
        let duration_ms = started.elapsed().as_millis();
        let tokens = self.usage.and_then(|usage| usage.completion_tokens);
        let (deltas, bytes) = (self.deltas, self.bytes);
        match outcome {
            Outcome::Done(finish) => {
                tracing::info!(
                    generation,
                    model,
                    attempts,
                    ttft_ms,
                    duration_ms,
                    tokens,
                    deltas,
                    bytes,
                    finish = finish.as_str(),
                    "reply"
                );
            }
            Outcome::Left => {
                tracing::info!(
                    generation,
                    model,
                    attempts,
                    ttft_ms,
                    duration_ms,
                    tokens,
                    deltas,
                    bytes,
                    finish = "left",
                    "reply"
                );
            }
            Outcome::Failed(error) => {
                let (kind, cause) = (error.kind.as_str(), self.cause.trim());
                tracing::warn!(
                    generation,
                    model,
                    attempts,
                    ttft_ms,
                    duration_ms,
                    tokens,
                    deltas,
                    bytes,
                    kind,
                    cause,
                    "reply"
                );
            }
        }
    }
}
