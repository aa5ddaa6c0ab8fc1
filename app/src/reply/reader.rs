//! Reading one reply to its end, over as many connections as it takes.
//!
//! A saved reply goes on without its readers, and every event of it has a number. So a connection that
//! breaks is no loss: the next one asks for what comes after the last event that was read. What comes
//! twice is passed over, and what was cut in the middle comes again as a whole. A [`ReplyReader`] is a pure
//! state machine over what it is given: a transport, the time, and the lifecycle_events of the surroundings.
//!
//! It does not know what a reply is: events are passed on as they come. It opens no connection itself.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt;
use futures::StreamExt;
use futures::future::LocalBoxFuture;
use futures::stream::{LocalBoxStream, Stream, empty};

use crate::platform::clock::Clock;
use crate::platform::lifecycle::{Lifecycle, LifecycleEvent};
use crate::protocol::{ChatEvent, ReplyError};
use crate::reply::decode::NumberedEvent;
use crate::reply::transport::{ChatTransport, Connection, ConnectionError, Received, ReplyRequest};

/// The server gives a sign of life at least every 15 s. After a longer silence the connection is dead,
/// whatever the browser believes: a laptop that slept is never told.
const SILENCE: Duration = Duration::from_secs(40);

/// When the page is shown again, a shorter silence than that is already suspicious.
const SUSPICIOUS: Duration = Duration::from_secs(16);

/// How long a hidden page holds on to its connection. A browser allows six to one server over HTTP/1.1,
/// and the tab that the person looks at needs some.
const HIDDEN_PATIENCE: Duration = Duration::from_secs(10);

/// A message that was not accepted is sent again this many times; then the person has it back.
const SENDS_AGAIN: u32 = 3;

/// The longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// A connection that lived so long was a good one: its end begins a new series of attempts.
const GOOD_CONNECTION: Duration = Duration::from_secs(10);

/// The server sends its first event with the headers. What comes so much later was held back.
const HELD_BACK: Duration = Duration::from_secs(2);

/// What a reader tells of its reply.
#[derive(Debug, Clone, PartialEq)]
pub enum ReaderEvent {
    /// The next event. None comes twice, and none is left out.
    Event(ChatEvent<'static>),
    /// The connection is lost, and the first attempt to resume it failed. The reader goes on trying.
    Lost,
    /// There is a connection again.
    Resumed,
    /// Something on the way to the server holds the stream back and lets it go in bursts.
    HeldBack,
    /// The server does not give the reply, or could not be reached to ask for it. It is over.
    Rejected(ReplyError),
}

/// Reads a reply to its end. As a stream it ends after the terminal event or a refusal; a reply that
/// cannot be resumed may end without either, and then it was cut.
pub struct ReplyReader {
    transport: Arc<dyn ChatTransport>,
    clock: Arc<dyn Clock>,
    lifecycle_events: LocalBoxStream<'static, LifecycleEvent>,
    request: ReplyRequest,
    /// The number of the last event that was passed on.
    seq: Option<u64>,
    state: ReaderState,
    has_opened: bool,
    was_resumed: bool,
    /// Attempts that came to nothing, in a row.
    failures: u32,
    is_told_lost: bool,
    is_told_held_back: bool,
    hidden_since: Option<Duration>,
    /// Rings when silence or hiding has lasted too long; it is set anew when it rings too early.
    watch: Option<LocalBoxFuture<'static, ()>>,
}

enum ReaderState {
    /// To be connected at once.
    Ready,
    Connected(OpenConnection),
    /// To be connected later.
    Waiting(LocalBoxFuture<'static, ()>),
    /// To be connected when the page is shown.
    Resting,
    Over,
}

/// A connection and what is known of it.
struct OpenConnection {
    connection: Connection,
    opened_at: Duration,
    /// When the server accepted the request.
    accepted_at: Option<Duration>,
    /// When the last bytes came, or else the connection was opened.
    alive_at: Duration,
    has_bytes: bool,
}

impl ReplyReader {
    /// A reader of the reply that `request` asks for. `seq` is the number of the last event that is
    /// already known.
    #[must_use]
    pub fn new(
        transport: Arc<dyn ChatTransport>,
        clock: Arc<dyn Clock>,
        lifecycle: Option<&dyn Lifecycle>,
        request: ReplyRequest,
    ) -> Self {
        let is_hidden = lifecycle.is_some_and(Lifecycle::is_hidden);
        Self {
            hidden_since: is_hidden.then(|| clock.now()),
            lifecycle_events: lifecycle.map_or_else(|| empty().boxed_local(), Lifecycle::events),
            seq: match &request {
                ReplyRequest::Resume { after, .. } => *after,
                ReplyRequest::Ephemeral(_) | ReplyRequest::Send { .. } => None,
            },
            transport,
            clock,
            request,
            state: ReaderState::Ready,
            has_opened: false,
            was_resumed: false,
            failures: 0,
            is_told_lost: false,
            is_told_held_back: false,
            watch: None,
        }
    }

    /// Whether a reply that had begun was asked for more than once. What happened in between, such as
    /// another page that continued the reply, is not told here: the events are those of one generation.
    #[must_use]
    pub fn was_resumed(&self) -> bool {
        self.was_resumed
    }

    /// Whether a new connection could go on where this one ends.
    fn can_resume(&self) -> bool {
        matches!(self.request, ReplyRequest::Resume { .. })
    }

    /// Whether it does no harm to ask again: for a saved reply it is the same request.
    fn can_retry(&self) -> bool {
        !matches!(self.request, ReplyRequest::Ephemeral(_))
    }

    fn open(&mut self) {
        let now = self.clock.now();
        if let ReplyRequest::Resume { after, .. } = &mut self.request {
            *after = self.seq;
            self.was_resumed |= self.has_opened;
        }
        self.has_opened = true;
        self.watch = None;
        self.state = ReaderState::Connected(OpenConnection {
            connection: self.transport.open(self.request.clone()),
            opened_at: now,
            accepted_at: None,
            alive_at: now,
            has_bytes: false,
        });
    }

    fn on_lifecycle_event(&mut self, lifecycle_event: LifecycleEvent) {
        let now = self.clock.now();
        self.watch = None;
        let can_retry = self.can_retry();
        match (lifecycle_event, &self.state) {
            (LifecycleEvent::Hidden, _) => {
                self.hidden_since.get_or_insert(now);
                return;
            }
            (LifecycleEvent::Shown, _) => self.hidden_since = None,
            (LifecycleEvent::Online, _) => {}
        }
        let is_in_vain = match &self.state {
            ReaderState::Resting => lifecycle_event == LifecycleEvent::Shown,
            ReaderState::Waiting(_) => true,
            // Another network: what was connected over the last one is dead, even if nobody said so.
            ReaderState::Connected(_) if lifecycle_event == LifecycleEvent::Online => can_retry,
            ReaderState::Connected(line) => {
                can_retry && now.saturating_sub(line.alive_at) > SUSPICIOUS
            }
            ReaderState::Ready | ReaderState::Over => false,
        };
        if is_in_vain {
            self.state = ReaderState::Ready;
        }
    }

    fn on_received(&mut self, received: Received) -> Option<ReaderEvent> {
        let now = self.clock.now();
        let ReaderState::Connected(line) = &mut self.state else {
            return None;
        };
        match received {
            Received::Accepted => {
                line.accepted_at = Some(now);
                line.alive_at = now;
                std::mem::take(&mut self.is_told_lost).then_some(ReaderEvent::Resumed)
            }
            Received::Bytes => {
                line.alive_at = now;
                let is_first = !std::mem::replace(&mut line.has_bytes, true);
                let waited = now.saturating_sub(line.accepted_at.unwrap_or(now));
                let is_held_back = is_first && waited > HELD_BACK && self.hidden_since.is_none();
                (is_held_back && !std::mem::replace(&mut self.is_told_held_back, true))
                    .then_some(ReaderEvent::HeldBack)
            }
            Received::Event(NumberedEvent { seq, event }) => {
                // A start that comes again tells the reply from its beginning: a server that was killed
                // has saved less than it had sent, and what it saved is what counts.
                // An end is never a repetition: a reader that has read one asks for nothing more.
                let is_known = matches!((seq, self.seq), (Some(new), Some(last)) if new <= last);
                if is_known && !matches!(event, ChatEvent::Start(_)) && !event.is_terminal() {
                    return None;
                }
                self.seq = seq.or(self.seq);
                self.failures = 0;
                if event.is_terminal() {
                    self.state = ReaderState::Over;
                } else if let ChatEvent::Start(start) = &event
                    && matches!(self.request, ReplyRequest::Send { .. })
                {
                    // From now on it can be read without being asked for again.
                    self.request = ReplyRequest::Resume {
                        generation: start.generation.clone(),
                        after: None,
                    };
                }
                Some(ReaderEvent::Event(event))
            }
        }
    }

    fn on_end(&mut self, why: ConnectionError) -> Option<ReaderEvent> {
        let now = self.clock.now();
        let (was_good, was_accepted) = match &self.state {
            ReaderState::Connected(line) => (
                line.accepted_at.is_some() && now.saturating_sub(line.opened_at) > GOOD_CONNECTION,
                line.accepted_at.is_some(),
            ),
            _ => (false, false),
        };
        self.state = ReaderState::Over;
        self.watch = None;
        if was_good {
            self.failures = 0;
        }
        self.failures += 1;
        let mut wait = backoff(self.failures, self.clock.random());
        match why {
            ConnectionError::Rejected(error) => return Some(ReaderEvent::Rejected(error)),
            ConnectionError::Transient(error) => {
                // A server that has too much to do says when it makes sense to come again.
                let asked = error.retry_after_ms.map(Duration::from_millis);
                wait = wait.max(asked.unwrap_or_default().min(LONGEST_WAIT));
                match &self.request {
                    // Asked once: what has come is all there is. Before that, it was never accepted.
                    ReplyRequest::Ephemeral(_) if was_accepted => return None,
                    ReplyRequest::Ephemeral(_) => return Some(ReaderEvent::Rejected(error)),
                    ReplyRequest::Send { .. } if self.failures > SENDS_AGAIN => {
                        return Some(ReaderEvent::Rejected(error));
                    }
                    ReplyRequest::Send { .. } => {}
                    ReplyRequest::Resume { .. } if self.hidden_since.is_some() => {
                        self.state = ReaderState::Resting;
                        return None;
                    }
                    ReplyRequest::Resume { .. } => {}
                }
            }
        }
        self.state = ReaderState::Waiting(self.clock.wait(wait));
        let is_worth_telling = self.failures > 1 && self.can_resume();
        (is_worth_telling && !std::mem::replace(&mut self.is_told_lost, true))
            .then_some(ReaderEvent::Lost)
    }

    /// The watch rang: whether it is too late, and for what.
    fn on_watch(&mut self) -> Option<ReaderEvent> {
        let now = self.clock.now();
        if now >= self.rest_at() {
            self.state = ReaderState::Resting;
        } else if now >= self.dead_at() {
            return self.on_end(ConnectionError::unreachable());
        }
        None
    }

    /// When the page has been hidden for so long that the connection is let go.
    fn rest_at(&self) -> Duration {
        match self.hidden_since {
            Some(since) if self.can_resume() => since + HIDDEN_PATIENCE,
            _ => Duration::MAX,
        }
    }

    /// When the connection counts as dead, unless something comes before.
    fn dead_at(&self) -> Duration {
        match &self.state {
            ReaderState::Connected(line) if self.can_retry() => line.alive_at + SILENCE,
            _ => Duration::MAX,
        }
    }

    /// Waits for the watch; it is set only while nothing else happens, so an event costs no timer.
    fn poll_watch(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let due = self.rest_at().min(self.dead_at());
        if due == Duration::MAX {
            return Poll::Pending;
        }
        let clock = &self.clock;
        let watch = self
            .watch
            .get_or_insert_with(|| clock.wait(due.saturating_sub(clock.now())));
        watch.poll_unpin(context).map(|()| self.watch = None)
    }
}

impl Stream for ReplyReader {
    type Item = ReaderEvent;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<ReaderEvent>> {
        let this = &mut *self;
        loop {
            while let Poll::Ready(Some(lifecycle_event)) =
                this.lifecycle_events.poll_next_unpin(context)
            {
                this.on_lifecycle_event(lifecycle_event);
            }
            let update = match &mut this.state {
                ReaderState::Over => return Poll::Ready(None),
                ReaderState::Ready => {
                    this.open();
                    None
                }
                ReaderState::Resting => return Poll::Pending,
                ReaderState::Waiting(wait) => {
                    if wait.poll_unpin(context).is_pending() {
                        return Poll::Pending;
                    }
                    this.state = ReaderState::Ready;
                    None
                }
                ReaderState::Connected(line) => match line.connection.poll_next_unpin(context) {
                    Poll::Ready(Some(Ok(received))) => this.on_received(received),
                    Poll::Ready(Some(Err(why))) => this.on_end(why),
                    Poll::Ready(None) => this.on_end(ConnectionError::unreachable()),
                    Poll::Pending => {
                        if this.poll_watch(context).is_pending() {
                            return Poll::Pending;
                        }
                        this.on_watch()
                    }
                },
            };
            if update.is_some() {
                return Poll::Ready(update);
            }
        }
    }
}

/// How long to wait before the next attempt. The first follows almost at once, since most losses are
/// short; later ones wait twice as long each. Chance, 0 to 1, keeps the tabs of a server that was
/// restarted from all coming at the same moment.
#[must_use]
pub fn backoff(failures: u32, random: f64) -> Duration {
    let most = match failures {
        0 | 1 => Duration::from_millis(200),
        _ => Duration::from_millis(500) * 2_u32.saturating_pow((failures - 2).min(10)),
    };
    most.min(LONGEST_WAIT)
        .mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests;
