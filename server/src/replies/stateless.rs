//! The stateless reply: it has one reader and ends when that reader disconnects.
//!
//! A bounded pipe connects the task to the reader. If the reader stops reading, the task waits and stops
//! reading the provider. Events that arrive while the reader is busy are sent in one write.

use std::time::Duration;

use app::protocol::{ChatEvent, ChatRequest, Start};
use bytes::Bytes;
use futures::stream::{self, Stream};
use tokio::sync::mpsc;
use tokio::time::{timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::frame::Frame;
use super::relay::{EventSink, Outcome, Report, relay, shutting_down};
use super::stream::with_pings;
use super::{Replies, new_id};
use crate::metrics::ReplyKind;
use crate::providers::Reuse;
use crate::traces::CurrentSpan;

/// How many frames wait for a reader. A frame has about 16 KiB of events, or one that is larger.
const PIPE_FRAMES: usize = 4;
/// The time limit for sending the terminal event to a reader that does not read.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Starts a reply and returns the bytes of its event stream. Dropping the stream ends the reply.
/// `stream_guard` is dropped with the stream, and `reply_guard` when the reply has ended.
pub(crate) fn start<S: Send + 'static, R: Send + 'static>(
    replies: &Replies,
    request: ChatRequest,
    stream_guard: S,
    reply_guard: R,
) -> impl Stream<Item = std::io::Result<Bytes>> + use<S, R> {
    // The task drops the writer however it ends, and so ends the stream.
    let (writer, mut frames) = mpsc::channel(PIPE_FRAMES);
    let gone = CancellationToken::new();
    let pipe = Pipe {
        writer,
        frame: Frame::default(),
    };
    let report = Report::new("reply");
    let span = report.span();
    let made = run(
        replies.clone(),
        request,
        pipe,
        gone.clone(),
        report,
        reply_guard,
    );
    replies.tasks.spawn(CurrentSpan::carried(span, made));
    with_pings(
        stream::poll_fn(move |context| frames.poll_recv(context).map(|frame| frame.map(Ok))),
        (gone.drop_guard(), stream_guard),
    )
}

async fn run<R: Send>(
    replies: Replies,
    request: ChatRequest,
    mut pipe: Pipe,
    gone: CancellationToken,
    mut report: Report,
    _guard: R,
) {
    let id = new_id();
    let mut model = request
        .model
        .clone()
        .unwrap_or_else(|| replies.providers.default_model());
    pipe.push(&ChatEvent::Start(Start {
        generation: id.clone(),
        model: model.clone(),
        ..Start::default()
    }));
    let total = report.started() + replies.settings.total_timeout + LAST_WORDS;
    let outcome = tokio::select! {
        biased;
        () = gone.cancelled() => Outcome::Left,
        () = replies.shutdown.cancelled() => shutting_down(),
        // `Answer` applies the limit to the provider; this applies it to the reader.
        done = timeout_at(total, relay(
            &replies.providers,
            &request,
            &Reuse::Probable,
            &mut model,
            &mut pipe,
            &mut report,
        )) => done.unwrap_or(Outcome::Left),
    };
    if let Some(usage) = report.usage {
        pipe.push(&ChatEvent::Usage(usage));
    }
    match &outcome {
        Outcome::Done(finish) => pipe.push(&ChatEvent::Done(*finish)),
        Outcome::Failed(error) => pipe.push(&ChatEvent::Error(error.clone())),
        Outcome::Left => {}
    }
    if !matches!(outcome, Outcome::Left) {
        // A reader that has stopped reading must not keep the reply alive.
        let _ = timeout(LAST_WORDS, pipe.flush()).await;
    }
    report.log(&id, &model, &outcome);
    report.measure(&replies.metrics, ReplyKind::Stateless, &outcome);
}

/// The writing end of the pipe, and the frame that grows.
struct Pipe {
    writer: mpsc::Sender<Bytes>,
    frame: Frame,
}

impl EventSink for Pipe {
    fn push(&mut self, event: &ChatEvent<'_>) {
        self.frame.push(event);
    }

    fn size(&self) -> usize {
        self.frame.size()
    }

    /// Waits while the pipe is full. The frame stays if this is cancelled.
    async fn flush(&mut self) -> std::io::Result<()> {
        if self.frame.finish().is_empty() {
            return Ok(());
        }
        let place = self.writer.reserve().await;
        place
            .map_err(|_| std::io::ErrorKind::BrokenPipe)?
            .send(self.frame.take());
        Ok(())
    }
}
