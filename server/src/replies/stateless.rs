//! The stateless reply: one reader, who has it for themselves and ends it by leaving.
//!
//! Between task and reader stands a pipe of bounded size: a reader who does not read stops the task,
//! and the task stops reading the provider. Events that arrive while the reader is busy leave in one
//! write.

use std::time::Duration;

use app::protocol::{ChatEvent, ChatRequest, Start};
use bytes::Bytes;
use futures::stream::Stream;
use tokio::io::{AsyncWriteExt, DuplexStream, duplex};
use tokio::time::{timeout, timeout_at};
use tokio_util::io::ReaderStream;
use tokio_util::sync::CancellationToken;

use super::frame::Frame;
use super::relay::{Outcome, Report, Sink, relay, shutting_down};
use super::stream::with_pings;
use super::{Replies, new_id};
use crate::providers::Reuse;

/// The most bytes that wait for a reader.
const PIPE_BYTES: usize = 64 * 1024;
/// How long the last words may take to reach a reader who does not read.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Starts a reply and gives the bytes of its event stream. Dropping the stream ends the reply. The first
/// guard is dropped with the stream, the second with the reply.
pub(crate) fn start<S: Send + 'static, R: Send + 'static>(
    replies: &Replies,
    request: ChatRequest,
    stream_guard: S,
    reply_guard: R,
) -> impl Stream<Item = std::io::Result<Bytes>> + use<S, R> {
    // Of the two directions only one is used. Unlike the halves of a `simplex`, each end of a
    // `duplex` closes its direction when it is dropped, so the stream ends however the task does.
    let (reader, writer) = duplex(PIPE_BYTES);
    let gone = CancellationToken::new();
    let pipe = Pipe {
        writer,
        frame: Frame::default(),
        written: 0,
    };
    replies.tasks.spawn(run(
        replies.clone(),
        request,
        pipe,
        gone.clone(),
        reply_guard,
    ));
    with_pings(
        ReaderStream::with_capacity(reader, PIPE_BYTES),
        (gone.drop_guard(), stream_guard),
    )
}

async fn run<R: Send>(
    replies: Replies,
    request: ChatRequest,
    mut pipe: Pipe,
    gone: CancellationToken,
    _guard: R,
) {
    let id = new_id();
    let mut model = request
        .model
        .clone()
        .unwrap_or_else(|| replies.providers.default_model());
    let mut report = Report::new();
    pipe.push(&ChatEvent::Start(Start {
        generation: id.clone(),
        model: model.clone(),
        ..Start::default()
    }));
    let total = report.started() + replies.settings.total_timeout + LAST_WORDS;
    let made = relay(
        &replies.providers,
        &request,
        &Reuse::Probable,
        &mut model,
        &mut pipe,
        &mut report,
    );
    let outcome = tokio::select! {
        biased;
        () = gone.cancelled() => Outcome::Left,
        () = replies.shutdown.cancelled() => shutting_down(),
        // A provider is held to the limit where it is read; this holds the reader to it.
        done = timeout_at(total, made) => done.unwrap_or(Outcome::Left),
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
        // A reader who has stopped reading does not keep the reply alive for its last words.
        let _ = timeout(LAST_WORDS, pipe.flush()).await;
    }
    report.log(&id, &model, &outcome);
}

/// The writer's end of the pipe, and what is about to go into it.
struct Pipe {
    writer: DuplexStream,
    frame: Frame,
    /// How much of the frame is in the pipe already. A write that is given up is not begun again.
    written: usize,
}

impl Sink for Pipe {
    fn push(&mut self, event: &ChatEvent<'_>) {
        self.frame.push(event);
    }

    fn size(&self) -> usize {
        self.frame.size()
    }

    /// Waits while the pipe is full.
    async fn flush(&mut self) -> std::io::Result<()> {
        while let Some(bytes @ [_, ..]) = self.frame.finish().get(self.written..) {
            self.written += self.writer.write(bytes).await?;
        }
        self.frame.clear();
        self.written = 0;
        Ok(())
    }
}
