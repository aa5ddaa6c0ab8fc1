//! Receiving a reply: events are folded as they arrive, and rendered at a pace of their own.

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

/// The delay before the end of a reply is announced. The last words are painted first; counting them and formatting
/// the number takes time.
const ANNOUNCE_AFTER: Duration = Duration::from_millis(50);

/// What to do when the request is rejected before the reply has started.
pub(super) enum OnRejected {
    /// Remove the message and the reply.
    RollBack(Box<Rollback>),
    /// Restore the reply as it was before it was continued.
    Restore(Box<Reply>),
    /// Resynchronise with the server.
    Resync,
}

impl Chat {
    /// Starts to read a reply into its message.
    pub(super) fn read(
        self,
        message: MessageId,
        reply: ArcRwSignal<Reply>,
        request: ReplyRequest,
        on_rejected: OnRejected,
    ) {
        let Deps {
            transport,
            clock,
            lifecycle,
        } = self.deps.get_value();
        let Some(transport) = transport else { return };
        let is_saved = !matches!(request, ReplyRequest::Ephemeral(_));
        let reader = ReplyReader::new(transport, Arc::clone(&clock), lifecycle.as_deref(), request);
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
                        // Another page may have continued the reply while this one was disconnected.
                        self.resyncs.update(|resyncs| *resyncs += 1);
                    }
                    let before = self.epoch.get_untracked();
                    clock.wait(ANNOUNCE_AFTER).await;
                    // Another reply or conversation has its own announcement.
                    if self.epoch.get_untracked() == before && !self.is_streaming_untracked() {
                        self.announce_end(&reply);
                    }
                }
                Err(error) => self.on_rejection(&reply, on_rejected, &error, &clock),
            }
        };
        spawn_local(async move {
            // An abort means a stop or another conversation; both have updated the state already.
            let _ = Abortable::new(read, registration).await;
        });
    }

    /// Folds the events of a reply into it until it ends. Returns whether the connection was lost meanwhile.
    ///
    /// # Errors
    /// An error before the server has accepted the request. It is not part of the reply.
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
        // The end does not wait for a frame, because a hidden tab may get none.
        reply.update(|reply| reply.close(clock.now()));
        Ok(updates.was_resumed())
    }

    /// The server has accepted the message: the messages have server ids now, and the reply can be stopped.
    fn on_start(self, message: MessageId, start: &Start) {
        // The ids are not rendered, so no subscriber is notified.
        self.conversation.update_untracked(|conversation| {
            if let (Some(question), Some(name)) =
                (conversation.parent(message), &start.user_message)
            {
                conversation.set_server_id(question, name.clone());
            }
            if let Some(name) = &start.message {
                conversation.set_server_id(message, name.clone());
            }
        });
        let is_stopped = self.running.with_untracked(|running| {
            running
                .iter()
                .any(|one| one.message == message && one.is_stopped)
        });
        if is_stopped {
            self.send_stop(start.generation.clone());
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
            // The reply had started, and now the server does not know it: the saved state counts.
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
