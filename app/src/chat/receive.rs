//! Reading a reply: its events are folded as they come, and who looks is told at a pace of its own.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::{AbortHandle, Abortable, Either, select};
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::send::Rollback;
use super::stop::generation_of;
use super::{Chat, ConnectionState, Deps, StreamingReply};
use crate::chat::announcement::Announcement;
use crate::chat::pacing::pace;
use crate::chat::tree::MessageId;
use crate::platform::clock::Clock;
use crate::protocol::{ChatEvent, ReplyError, Start};
use crate::reply::Reply;
use crate::reply::reader::{ReaderEvent, ReplyReader};
use crate::reply::transport::ReplyRequest;

/// So long after the end of a reply it is announced: the picture of its last words does not wait until they
/// are counted and the number is written as the person's language does.
const ANNOUNCE_AFTER: Duration = Duration::from_millis(50);

/// What to do when the server refuses before the reply has begun.
pub(super) enum OnRejected {
    /// It is as if it had not been asked for.
    RollBack(Box<Rollback>),
    /// The reply is what it was before it was to go on.
    Restore(Box<Reply>),
    /// The server knows better what became of it.
    Resync,
}

impl Chat {
    /// Begins to read a reply into its message.
    pub(super) fn read(
        self,
        message: MessageId,
        reply: ArcRwSignal<Reply>,
        ask: ReplyRequest,
        on_rejected: OnRejected,
    ) {
        let Deps {
            transport,
            clock,
            lifecycle,
        } = self.deps.get_value();
        let Some(transport) = transport else { return };
        let is_saved = !matches!(ask, ReplyRequest::Ephemeral(_));
        let reader = ReplyReader::new(transport, Arc::clone(&clock), lifecycle.as_deref(), ask);
        let (task, registration) = AbortHandle::new_pair();
        self.announcement.set(Announcement::Answering);
        self.running.update(|running| {
            running.push(StreamingReply {
                message,
                reply: reply.clone(),
                is_saved,
                is_stopped: false,
                task,
            });
        });
        let read = async move {
            let refused = self.fold(message, &reply, reader, &clock).await;
            self.running
                .update(|running| running.retain(|one| one.message != message));
            self.link.set(ConnectionState::Fine);
            match refused {
                Ok(was_resumed) => {
                    if was_resumed {
                        // Another page may have continued it while this one was away.
                        self.resyncs.update(|resyncs| *resyncs += 1);
                    }
                    let before = self.epoch.get_untracked();
                    clock.wait(ANNOUNCE_AFTER).await;
                    // Another reply, or another conversation, has its own to say.
                    if self.epoch.get_untracked() == before && !self.is_streaming_untracked() {
                        self.announce_end(&reply);
                    }
                }
                Err(error) => self.on_rejection(&reply, on_rejected, &error, &clock),
            }
        };
        spawn_local(async move {
            // An abort is a stop or another conversation; either has said all there is to say.
            let _ = Abortable::new(read, registration).await;
        });
    }

    /// Folds the events of a reply into it until it ends, and says whether the connection was lost
    /// meanwhile. An error before the server has accepted the request is no part of the reply and comes
    /// back.
    async fn fold(
        self,
        message: MessageId,
        reply: &ArcRwSignal<Reply>,
        mut updates: ReplyReader,
        clock: &Arc<dyn Clock>,
    ) -> Result<bool, ReplyError> {
        let shown = reply.clone();
        let keys = self.keys.get_value();
        let (mut signal, showing) = pace(Arc::clone(clock), keys, move || shown.notify());
        let folding = async {
            while let Some(update) = updates.next().await {
                let event = match update {
                    ReaderEvent::Event(event) => event,
                    ReaderEvent::Lost => {
                        self.set_link(ConnectionState::Lost, Announcement::ConnectionLost);
                        continue;
                    }
                    ReaderEvent::Resumed => {
                        self.set_link(ConnectionState::Fine, Announcement::Answering);
                        continue;
                    }
                    ReaderEvent::HeldBack => {
                        self.link.set(ConnectionState::HeldBack);
                        continue;
                    }
                    ReaderEvent::Rejected(error) => return Err(error),
                };
                if let ChatEvent::Error(error) = &event
                    && reply.with_untracked(|reply| !reply.transcript().was_accepted())
                {
                    return Err(error.clone());
                }
                reply.update_untracked(|reply| reply.apply(&event, clock.now()));
                if event.is_terminal() {
                    break;
                }
                if let ChatEvent::Start(start) = &event {
                    self.on_start(message, start);
                }
                signal.notify();
            }
            Ok(())
        };
        match select(pin!(folding), pin!(showing)).await {
            Either::Left((folded, _)) => folded?,
            Either::Right((never, _)) => match never {},
        }
        // The end does not wait for a frame: in a hidden tab none may come.
        reply.update(|reply| reply.close(clock.now()));
        Ok(updates.was_resumed())
    }

    /// The server has accepted the message: it has names now, and can be stopped.
    fn on_start(self, message: MessageId, start: &Start) {
        // Names are seen by nobody, so nobody is told.
        self.conversation.update_untracked(|conversation| {
            if let (Some(question), Some(name)) =
                (conversation.parent(message), &start.user_message)
            {
                conversation.set_name(question, name.clone());
            }
            if let Some(name) = &start.message {
                conversation.set_name(message, name.clone());
            }
        });
        let is_stopped = self.running.with_untracked(|running| {
            running
                .iter()
                .any(|one| one.message == message && one.is_stopped)
        });
        if is_stopped {
            self.tell_to_stop(start.generation.clone());
        }
    }

    fn on_rejection(
        self,
        reply: &ArcRwSignal<Reply>,
        on_rejected: OnRejected,
        error: &ReplyError,
        clock: &Arc<dyn Clock>,
    ) {
        if generation_of(reply).is_some() {
            // It had begun, and now the server does not know it: what it has saved counts.
            reply.update(|reply| reply.close(clock.now()));
            self.resyncs.update(|resyncs| *resyncs += 1);
            return self.announce_end(reply);
        }
        match on_rejected {
            OnRejected::RollBack(rollback) => self.roll_back(*rollback),
            OnRejected::Restore(before) => reply.set(*before),
            OnRejected::Resync => self.resyncs.update(|resyncs| *resyncs += 1),
        }
        self.show_error(error);
    }

    fn set_link(self, link: ConnectionState, announcement: Announcement) {
        self.link.set(link);
        self.announcement.set(announcement);
    }
}
