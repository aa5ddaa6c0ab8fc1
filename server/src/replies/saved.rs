//! A saved reply: a task makes it, whether or not a client reads it.
//!
//! The reply ends by itself, by a stop, by its time limit, or when the server shuts down. While it runs, new
//! pieces are stored about once a second. The whole reply is stored before its end is sent, so a client that
//! has seen the end can rely on it. A failure of the store does not stop the reply: readers get a notice, and
//! storing the whole reply is retried for some minutes.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use app::protocol::{ChatRequest, ErrorKind, Finish, ReplyError, Start};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::log::Log;
use super::relay::{Outcome, Report, relay, shutting_down};
use super::running::RunningReply;
use super::{Guard, Replies};
use crate::metrics::ReplyKind;
use crate::providers::Reuse;
use crate::store::{Begun, Finished, GenerationEnd, NewPiece, Piece, StoreError, now};
use crate::traces::CurrentSpan;

/// The least time between two stored pieces of a running reply.
const SNAPSHOT: Duration = Duration::from_secs(1);
/// The time limit for storing a reply before its end is sent.
const SAVE_LIMIT: Duration = Duration::from_secs(5);
/// The pauses before further attempts to store a reply, in seconds.
const RETRIES: [u64; 7] = [1, 2, 5, 15, 60, 120, 300];
/// How long a reply that the store did not accept can be read after its end.
const UNSAVED_KEPT: Duration = Duration::from_secs(600);

/// The owner, the conversation and the request of a reply.
pub(crate) struct ReplyContext {
    pub(crate) owner: String,
    pub(crate) conversation: String,
    pub(crate) request_id: String,
    /// Dropped when the reply has ended.
    pub(crate) guard: Guard,
}

/// Starts the task of a reply that was begun in the store. If the store did not accept it (`is_stored` is
/// false), its readers get a notice, and no pieces are stored.
pub(crate) fn run(
    replies: &Replies,
    context: ReplyContext,
    begun: &Begun,
    request: ChatRequest,
    model: String,
    is_stored: bool,
) -> Arc<RunningReply> {
    let start = Start {
        generation: begun.generation.clone(),
        model: model.clone(),
        conversation: Some(context.conversation.clone()),
        user_message: begun.user_message.clone(),
        message: Some(begun.message.clone()),
    };
    // The log of a continued reply begins with the existing content.
    let log = Log::restored(start, begun.base.clone(), None, None);
    let running = Arc::new(RunningReply {
        id: begun.generation.clone(),
        log,
        owner: context.owner,
        conversation: context.conversation,
        request_id: context.request_id,
        stop: CancellationToken::new(),
        over: CancellationToken::new(),
        is_reported: AtomicBool::new(false),
    });
    // A store in memory accepts the reply but loses it when the server ends.
    if !is_stored || !replies.settings.keeps {
        running.log.note_not_saved();
    }
    replies.running.add(&running);
    let report = Report::new("reply");
    let span = report.span();
    let made = make(
        replies.clone(),
        Arc::clone(&running),
        request,
        model,
        is_stored,
        report,
        context.guard,
    );
    replies.tasks.spawn(CurrentSpan::carried(span, made));
    running
}

async fn make(
    replies: Replies,
    running: Arc<RunningReply>,
    request: ChatRequest,
    mut model: String,
    is_stored: bool,
    mut report: Report,
    _guard: Guard,
) {
    let outcome = relay_into_log(
        &replies,
        &running,
        &request,
        &mut model,
        is_stored,
        &mut report,
    )
    .await;
    report.log(&running.id, &model, &outcome);
    report.measure(&replies.metrics, ReplyKind::Saved, &outcome);
    let end = match outcome {
        Outcome::Done(finish) => GenerationEnd::Done(finish),
        Outcome::Failed(error) => GenerationEnd::Failed(error),
        // A log accepts every event.
        Outcome::Left => GenerationEnd::Failed(ReplyError::of(ErrorKind::Internal)),
    };
    if let Some(usage) = report.usage {
        running.log.note_usage(usage);
    }
    let finished = Finished {
        whole: running.log.whole().0,
        end,
        model,
        usage: report.usage,
        timing: report.timing(),
        now: now(),
    };
    if is_stored {
        finish(replies, running, finished).await;
    } else {
        replies.metrics.unsaved.inc();
        running.log.end(finished.end.clone());
        running.over.cancel();
        tokio::spawn(keep_for_a_while(replies, running, finished));
    }
}

/// Relays the reply into its log until it ends, is stopped, or the server shuts down, and stores new pieces
/// meanwhile.
async fn relay_into_log(
    replies: &Replies,
    running: &RunningReply,
    request: &ChatRequest,
    model: &mut String,
    is_stored: bool,
    report: &mut Report,
) -> Outcome {
    let mut writer = running.log.writer();
    let reuse = Reuse::of_conversation(&running.conversation);
    // What is polled here is made here: a future in a variable has room twice.
    let outcome = tokio::select! {
        biased;
        () = running.stop.cancelled() => Outcome::Done(Finish::Stopped),
        () = replies.shutdown.cancelled() => shutting_down(),
        never = store_while_it_grows(replies, running, is_stored) => match never {},
        outcome = relay(
            &replies.providers,
            request,
            &reuse,
            model,
            &mut writer,
            report,
        ) => outcome,
    };
    // Events that were added but not flushed are part of the reply, also after a stop.
    writer.publish();
    outcome
}

/// Stores the whole reply and then ends its log.
async fn finish(replies: Replies, running: Arc<RunningReply>, finished: Finished) {
    let is_saved = match timeout(SAVE_LIMIT, save(&replies, &running, &finished)).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            report_failure(&running, &error.to_string());
            false
        }
        Err(_) => {
            report_failure(&running, "the database does not answer");
            false
        }
    };
    if is_saved {
        running.log.end(finished.end.clone());
        replies.running.remove(&running);
    } else {
        replies.metrics.unsaved.inc();
        running.log.end_unsaved(finished.end.clone());
    }
    running.over.cancel();
    replies
        .changes
        .announce_conversation(&running.owner, &running.conversation)
        .await;
    if !is_saved {
        // No reader waits for this, and the server may shut down meanwhile.
        tokio::spawn(save_later(replies.clone(), running, finished));
    }
}

async fn save(
    replies: &Replies,
    running: &RunningReply,
    finished: &Finished,
) -> Result<(), StoreError> {
    replies
        .store
        .finish(&running.owner, &running.id, finished)
        .await
}

/// Stores new pieces about once a second. A piece that could not be stored is stored together with the next.
async fn store_while_it_grows(
    replies: &Replies,
    running: &RunningReply,
    is_stored: bool,
) -> Infallible {
    if !is_stored {
        return std::future::pending().await;
    }
    let last = running.log.last_seq();
    let mut reader = running
        .log
        .read_after(Some(last))
        .expect("its last event is there");
    let mut unsaved = Piece::default();
    let mut index = 0;
    loop {
        if unsaved.is_empty() {
            reader.grows().await;
        }
        sleep(SNAPSHOT).await;
        unsaved.append(&reader.next_piece());
        let stored = replies
            .pieces
            .append(NewPiece::new(&running.owner, &running.id, index, &unsaved))
            .await;
        match stored {
            Ok(()) => {
                index += 1;
                unsaved = Piece::default();
            }
            Err(error) => {
                report_failure(running, &error.to_string());
                running.log.note_not_saved();
            }
        }
    }
}

async fn save_later(replies: Replies, running: Arc<RunningReply>, finished: Finished) {
    for pause in RETRIES {
        sleep(Duration::from_secs(pause)).await;
        if save(&replies, &running, &finished).await.is_ok() {
            let generation = &running.id[..8];
            tracing::info!(generation, "the reply was saved after all");
            replies
                .changes
                .announce_conversation(&running.owner, &running.conversation)
                .await;
            break;
        }
    }
    replies.running.remove(&running);
}

/// Keeps a reply that the store did not accept readable for [`UNSAVED_KEPT`]. The store may have committed it
/// although its answer was lost, so storing the end is attempted too.
async fn keep_for_a_while(replies: Replies, running: Arc<RunningReply>, finished: Finished) {
    let ended = Instant::now();
    for pause in RETRIES {
        sleep(Duration::from_secs(pause)).await;
        match save(&replies, &running, &finished).await {
            Ok(()) => return replies.running.remove(&running),
            Err(StoreError::Failed(_)) => {}
            Err(_) => break,
        }
    }
    sleep_until(ended + UNSAVED_KEPT).await;
    replies.running.remove(&running);
}

/// Logs that the store failed, once for each reply.
fn report_failure(running: &RunningReply, cause: &str) {
    if running.is_reported.swap(true, Ordering::Relaxed) {
        return;
    }
    let generation = &running.id[..8];
    tracing::error!(generation, cause, "the reply could not be saved");
}
