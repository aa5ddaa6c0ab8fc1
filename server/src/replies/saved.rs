//! A saved reply: a task that makes it, whether anybody reads or not.
//!
//! It ends by itself, by a stop, by its time limit, or with the server. While it runs, what has come
//! is stored about every second; the whole is stored before its end is told, so who has seen the end
//! may rely on it. A store that fails stops nothing: the readers are told, and storing the whole is
//! tried again for a while.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use app::protocol::{ChatRequest, ErrorKind, Finish, ReplyError, Start};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::log::Log;
use super::relay::{Outcome, Report, relay, shutting_down};
use super::running::Running;
use super::{Guard, Replies};
use crate::providers::Reuse;
use crate::store::{Begun, End, Finished, Piece, StoreError, now};

/// How much time lies between two of what is stored while a reply runs.
const SNAPSHOT: Duration = Duration::from_secs(1);
/// How long the end of a reply waits for the store.
const SAVE_LIMIT: Duration = Duration::from_secs(5);
/// The pauses between further tries, after which it is given up.
const RETRIES: [u64; 7] = [1, 2, 5, 15, 60, 120, 300];
/// How long a reply that the store never knew can be read, after its end.
const UNSAVED_KEPT: Duration = Duration::from_secs(600);

/// Whose reply it is, and in which conversation.
pub(crate) struct Place {
    pub(crate) owner: String,
    pub(crate) conversation: String,
    pub(crate) request_id: String,
    /// Dropped when the reply has ended.
    pub(crate) guard: Guard,
}

/// Starts the reply that was begun in the store. Where the store failed to take it, that is said to
/// its readers, and nothing more is stored.
pub(crate) fn run(
    replies: &Replies,
    place: Place,
    begun: &Begun,
    request: ChatRequest,
    model: String,
    is_stored: bool,
) -> Arc<Running> {
    let start = Start {
        generation: begun.generation.clone(),
        model: model.clone(),
        conversation: Some(place.conversation.clone()),
        user_message: begun.user_message.clone(),
        message: Some(begun.message.clone()),
    };
    // A reply that goes on begins with what there is of it.
    let log = Log::restored(start, begun.base.clone(), None, None);
    let running = Arc::new(Running {
        id: begun.generation.clone(),
        log,
        owner: place.owner,
        conversation: place.conversation,
        request_id: place.request_id,
        stop: CancellationToken::new(),
        over: CancellationToken::new(),
        is_reported: AtomicBool::new(false),
    });
    // In memory it is stored, and lost with the server.
    if !is_stored || !replies.settings.keeps {
        running.log.note_not_saved();
    }
    replies.running.add(&running);
    replies.tasks.spawn(make(
        replies.clone(),
        Arc::clone(&running),
        request,
        model,
        is_stored,
        place.guard,
    ));
    running
}

async fn make(
    replies: Replies,
    running: Arc<Running>,
    request: ChatRequest,
    mut model: String,
    is_stored: bool,
    _guard: Guard,
) {
    let mut report = Report::new();
    let mut writer = running.log.writer();
    let reuse = Reuse::of_conversation(&running.conversation);
    let outcome = {
        let made = relay(
            &replies.providers,
            &request,
            &reuse,
            &mut model,
            &mut writer,
            &mut report,
        );
        tokio::select! {
            biased;
            () = running.stop.cancelled() => Outcome::Done(Finish::Stopped),
            () = replies.shutdown.cancelled() => shutting_down(),
            never = store_while_it_grows(&replies, &running, is_stored) => match never {},
            outcome = made => outcome,
        }
    };
    // What came last belongs to it, also where it was stopped.
    writer.publish();
    report.log(&running.id, &model, &outcome);
    let end = match outcome {
        Outcome::Done(finish) => End::Done(finish),
        Outcome::Failed(error) => End::Failed(error),
        // A log never refuses.
        Outcome::Left => End::Failed(ReplyError::of(ErrorKind::Internal)),
    };
    if let Some(usage) = report.usage {
        running.log.note_usage(usage);
    }
    let finished = Finished {
        whole: running.log.whole().0,
        end: end.clone(),
        model,
        usage: report.usage,
        timing: report.timing(),
        now: now(),
    };
    if !is_stored {
        running.log.end(end);
        running.over.cancel();
        tokio::spawn(keep_for_a_while(replies, running, finished));
        return;
    }
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
        running.log.end(end);
        replies.running.remove(&running);
    } else {
        running.log.end_unsaved(end);
    }
    running.over.cancel();
    replies
        .changes
        .announce_conversation(&running.owner, &running.conversation)
        .await;
    if !is_saved {
        // Nobody waits for this any more, and the server may end meanwhile.
        tokio::spawn(save_later(replies.clone(), running, finished));
    }
}

async fn save(replies: &Replies, running: &Running, finished: &Finished) -> Result<(), StoreError> {
    replies
        .store
        .finish(&running.owner, &running.id, finished)
        .await
}

/// Stores what is new about every second. What could not be stored is tried again with what follows.
async fn store_while_it_grows(replies: &Replies, running: &Running, is_stored: bool) -> Infallible {
    if !is_stored {
        return std::future::pending().await;
    }
    let last = running.log.last_seq();
    let mut reader = running
        .log
        .read_after(Some(last))
        .expect("its last event is there");
    let mut unsaved = Piece::default();
    let mut number = 0;
    loop {
        if unsaved.is_empty() {
            reader.grows().await;
        }
        sleep(SNAPSHOT).await;
        unsaved.append(&reader.next_piece());
        let stored = replies
            .store
            .append(&running.owner, &running.id, number, &unsaved)
            .await;
        match stored {
            Ok(()) => {
                number += 1;
                unsaved = Piece::default();
            }
            Err(error) => {
                report_failure(running, &error.to_string());
                running.log.note_not_saved();
            }
        }
    }
}

async fn save_later(replies: Replies, running: Arc<Running>, finished: Finished) {
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

/// A reply whose beginning the store did not take can be read for a while. The store may know it all
/// the same, if it committed and its answer was lost: then its end is stored, too.
async fn keep_for_a_while(replies: Replies, running: Arc<Running>, finished: Finished) {
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
fn report_failure(running: &Running, cause: &str) {
    if running.is_reported.swap(true, Ordering::Relaxed) {
        return;
    }
    let generation = &running.id[..8];
    tracing::error!(generation, cause, "the reply could not be saved");
}
