//! Reads one reply to its end, over as many connections as it takes.
//!
//! A saved reply continues without its readers, and its events are numbered. So a lost connection loses nothing: the
//! next one resumes after the last event that was read. Repeated events are skipped, and an event that was cut off
//! arrives again as a whole. A [`ReplyReader`] is a state machine over its inputs: a transport, a clock, and the
//! events of the page lifecycle.
//!
//! The reader passes events on as they arrive, and does not know their content.

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

/// The connection counts as dead after this time without bytes. The server sends something at least every 15 s; a
/// browser on a laptop that slept does not notice a dead connection.
const SILENCE: Duration = Duration::from_secs(40);

/// When the page is shown again, the connection counts as dead after this shorter time without bytes.
const SUSPICIOUS: Duration = Duration::from_secs(16);

/// How long a hidden page keeps its connection. A browser allows six connections to one server over HTTP/1.1, and the
/// visible tab needs some.
const HIDDEN_PATIENCE: Duration = Duration::from_secs(10);

/// How often a message that was not accepted is sent again, before it goes back into the composer.
const SENDS_AGAIN: u32 = 3;

/// The longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// A connection that lasted this long resets the count of failures.
const GOOD_CONNECTION: Duration = Duration::from_secs(10);

/// The longest time from the headers to the first event, which the server sends with the headers. After that, a proxy
/// buffers the stream.
const HELD_BACK: Duration = Duration::from_secs(2);

/// An item of a [`ReplyReader`].
#[derive(Debug, Clone, PartialEq)]
pub enum ReaderEvent {
    /// The next event. No event is repeated or left out.
    Event(ChatEvent<'static>),
    /// The connection is lost, and the first attempt to resume it failed. The reader keeps trying.
    Lost,
    /// The reply is connected again.
    Resumed,
    /// A proxy buffers the stream and releases it in bursts.
    HeldBack,
    /// The server rejected the request, or could not be reached with it. The reader has ended.
    Rejected(ReplyError),
}

/// Reads a reply to its end. The stream ends after the terminal event or a rejection. A reply that cannot be resumed
/// may end without either; then it was cut off.
pub struct ReplyReader {
    transport: Arc<dyn ChatTransport>,
    clock: Arc<dyn Clock>,
    lifecycle_events: LocalBoxStream<'static, LifecycleEvent>,
    request: ReplyRequest,
    /// The seq of the last event that was passed on.
    seq: Option<u64>,
    state: ReaderState,
    has_opened: bool,
    was_resumed: bool,
    /// Consecutive failed attempts.
    failures: u32,
    has_reported_loss: bool,
    has_reported_buffering: bool,
    hidden_since: Option<Duration>,
    /// The timer for silence and for hiding. It is started again when it fires too early.
    watchdog: Option<LocalBoxFuture<'static, ()>>,
}

enum ReaderState {
    /// Connects at once.
    Ready,
    Connected(OpenConnection),
    /// Connects after a timer.
    Waiting(LocalBoxFuture<'static, ()>),
    /// Connects when the page is shown.
    Resting,
    Over,
}

/// A connection and its times.
struct OpenConnection {
    connection: Connection,
    opened_at: Duration,
    /// When the server accepted the request.
    accepted_at: Option<Duration>,
    /// When the last bytes arrived, or else when the connection was opened.
    alive_at: Duration,
    has_bytes: bool,
}

impl ReplyReader {
    /// A reader of the reply to a request. A resumed reply continues after the event that the request names.
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
            has_reported_loss: false,
            has_reported_buffering: false,
            watchdog: None,
        }
    }

    /// Whether the reply was resumed over another connection. Its events are those of one generation; they do not show
    /// that another page has continued the reply meanwhile.
    #[must_use]
    pub fn was_resumed(&self) -> bool {
        self.was_resumed
    }

    /// Whether a new connection can resume where this one ends.
    fn can_resume(&self) -> bool {
        matches!(self.request, ReplyRequest::Resume { .. })
    }

    /// Whether the request can be repeated: for a saved reply it is idempotent.
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
        self.watchdog = None;
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
        self.watchdog = None;
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
            // A connection over another network is dead, even if the browser has not noticed.
            ReaderState::Connected(_) if lifecycle_event == LifecycleEvent::Online => can_retry,
            ReaderState::Connected(open) => {
                can_retry && now.saturating_sub(open.alive_at) > SUSPICIOUS
            }
            ReaderState::Ready | ReaderState::Over => false,
        };
        if is_in_vain {
            self.state = ReaderState::Ready;
        }
    }

    fn on_received(&mut self, received: Received) -> Option<ReaderEvent> {
        let now = self.clock.now();
        let ReaderState::Connected(open) = &mut self.state else {
            return None;
        };
        match received {
            Received::Accepted => {
                open.accepted_at = Some(now);
                open.alive_at = now;
                std::mem::take(&mut self.has_reported_loss).then_some(ReaderEvent::Resumed)
            }
            Received::Bytes => {
                open.alive_at = now;
                let is_first = !std::mem::replace(&mut open.has_bytes, true);
                let waited = now.saturating_sub(open.accepted_at.unwrap_or(now));
                let is_held_back = is_first && waited > HELD_BACK && self.hidden_since.is_none();
                (is_held_back && !std::mem::replace(&mut self.has_reported_buffering, true))
                    .then_some(ReaderEvent::HeldBack)
            }
            Received::Event(NumberedEvent { seq, event }) => {
                // A repeated start means that the reply restarts: a server that was killed has saved less than it had
                // sent, and the saved state counts. An end is never a repetition, because the reader stops after one.
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
                    // From now on the reply can be resumed.
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
            ReaderState::Connected(open) => (
                open.accepted_at.is_some() && now.saturating_sub(open.opened_at) > GOOD_CONNECTION,
                open.accepted_at.is_some(),
            ),
            _ => (false, false),
        };
        self.state = ReaderState::Over;
        self.watchdog = None;
        if was_good {
            self.failures = 0;
        }
        self.failures += 1;
        let mut wait = backoff(self.failures, self.clock.random());
        match why {
            ConnectionError::Rejected(error) => return Some(ReaderEvent::Rejected(error)),
            ConnectionError::Transient(error) => {
                // An overloaded server says how long to wait.
                let retry_after = error.retry_after_ms.map(Duration::from_millis);
                wait = wait.max(retry_after.unwrap_or_default().min(LONGEST_WAIT));
                match &self.request {
                    // An accepted request cannot be repeated: the reply is cut off.
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
        let is_lost = self.failures > 1 && self.can_resume();
        (is_lost && !std::mem::replace(&mut self.has_reported_loss, true))
            .then_some(ReaderEvent::Lost)
    }

    /// Handles the watchdog: releases the connection of a hidden page, or ends a dead one.
    fn on_watchdog(&mut self) -> Option<ReaderEvent> {
        let now = self.clock.now();
        if now >= self.rest_at() {
            self.state = ReaderState::Resting;
        } else if now >= self.dead_at() {
            return self.on_end(ConnectionError::unreachable());
        }
        None
    }

    /// When the connection of a hidden page is released.
    fn rest_at(&self) -> Duration {
        match self.hidden_since {
            Some(since) if self.can_resume() => since + HIDDEN_PATIENCE,
            _ => Duration::MAX,
        }
    }

    /// When the connection counts as dead, unless bytes arrive before.
    fn dead_at(&self) -> Duration {
        match &self.state {
            ReaderState::Connected(open) if self.can_retry() => open.alive_at + SILENCE,
            _ => Duration::MAX,
        }
    }

    /// Polls the watchdog. It is started only while nothing else happens, so an event costs no timer.
    fn poll_watchdog(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let due = self.rest_at().min(self.dead_at());
        if due == Duration::MAX {
            return Poll::Pending;
        }
        let clock = &self.clock;
        let watchdog = self
            .watchdog
            .get_or_insert_with(|| clock.wait(due.saturating_sub(clock.now())));
        watchdog.poll_unpin(context).map(|()| self.watchdog = None)
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
                ReaderState::Connected(open) => match open.connection.poll_next_unpin(context) {
                    Poll::Ready(Some(Ok(received))) => this.on_received(received),
                    Poll::Ready(Some(Err(why))) => this.on_end(why),
                    Poll::Ready(None) => this.on_end(ConnectionError::unreachable()),
                    Poll::Pending => {
                        if this.poll_watchdog(context).is_pending() {
                            return Poll::Pending;
                        }
                        this.on_watchdog()
                    }
                },
            };
            if update.is_some() {
                return Poll::Ready(update);
            }
        }
    }
}

/// The wait before the next attempt. The first attempt follows almost at once, because most losses are short; later waits
/// double. `random`, from 0 to 1, keeps all the tabs of a restarted server from connecting at the same moment.
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
