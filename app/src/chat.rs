//! The chat's state as signals, and its verbs: send, stop, ask again, edit, step through versions.
//!
//! Each reply is a signal of its own, so text that streams into one wakes nothing else; the tree of
//! messages changes only when a message is added or another version is shown. Events are folded as they
//! come, and who looks is told at most once a frame.
//!
//! It does not know the DOM or the network: a [`ChatTransport`] gives the events, a [`Clock`] the frames.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::{AbortHandle, Abortable};
use futures::stream::LocalBoxStream;
use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::clock::Clock;
use crate::conversation::{Conversation, MessageId, Step, Version};
use crate::draft::{Draft, Outgoing};
use crate::preferences::Preferences;
use crate::protocol::{ChatEvent, ChatMessage, ChatRequest, ReplyError, Role};
use crate::reply::Reply;
use crate::transport::ChatTransport;
use crate::wording::{self, Announcement};

/// What a message of the conversation holds.
#[derive(Debug, Clone)]
pub enum Message {
    /// What the person asked.
    Question(Arc<str>),
    /// What the model answers, live.
    Reply(ArcRwSignal<Reply>),
}

/// The chat: a handle that can be copied to wherever it is needed.
#[derive(Clone, Copy)]
pub struct Chat {
    conversation: RwSignal<Conversation<Message>>,
    /// What "New chat" put aside. Nothing that was said is lost by one click.
    put_aside: RwSignal<Conversation<Message>>,
    draft: RwSignal<Draft>,
    running: RwSignal<Option<Running>>,
    notice: RwSignal<Option<String>>,
    announcement: RwSignal<Announcement>,
    preferences: Preferences,
    outside: StoredValue<Outside>,
}

/// The reply that streams now. There is at most one.
#[derive(Clone)]
struct Running {
    reply: ArcRwSignal<Reply>,
    /// Ends the task that reads the events, and by that the request.
    task: AbortHandle,
}

#[derive(Clone)]
struct Outside {
    /// `None` on the server, where nothing is sent.
    transport: Option<Arc<dyn ChatTransport>>,
    clock: Arc<dyn Clock>,
}

/// How to take back what could not be sent.
struct Undo {
    /// The first message that was added for it.
    added: MessageId,
    /// What was shown in its place.
    shown_before: Option<MessageId>,
    /// What goes back into the composer.
    outgoing: Option<Outgoing>,
}

impl Chat {
    /// An empty chat.
    #[must_use]
    pub fn new(
        transport: Option<Arc<dyn ChatTransport>>,
        clock: impl Clock + 'static,
        preferences: Preferences,
    ) -> Self {
        Self {
            conversation: RwSignal::new(Conversation::default()),
            put_aside: RwSignal::new(Conversation::default()),
            draft: RwSignal::new(Draft::default()),
            running: RwSignal::new(None),
            notice: RwSignal::new(None),
            announcement: RwSignal::new(Announcement::Nothing),
            preferences,
            outside: StoredValue::new(Outside {
                transport,
                clock: Arc::new(clock),
            }),
        }
    }

    /// The messages that are shown, in order.
    #[must_use]
    pub fn path(self) -> Vec<MessageId> {
        self.conversation.with(Conversation::path)
    }

    /// Whether nothing has been said.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.conversation.with(Conversation::is_empty)
    }

    /// What a message holds. That never changes; a reply within it does.
    #[must_use]
    pub fn message(self, id: MessageId) -> Message {
        self.conversation
            .with_untracked(|conversation| conversation.message(id).clone())
    }

    /// Which of its versions a message is.
    #[must_use]
    pub fn version(self, id: MessageId) -> Version {
        self.conversation
            .with(|conversation| conversation.version(id))
    }

    /// Whether a reply streams. Until it ends, nothing can be sent.
    #[must_use]
    pub fn is_streaming(self) -> bool {
        self.running.with(Option::is_some)
    }

    /// The same, for those who want to know it once.
    #[must_use]
    pub fn is_streaming_untracked(self) -> bool {
        self.running.with_untracked(Option::is_some)
    }

    /// What stands in the composer.
    #[must_use]
    pub fn draft(self) -> RwSignal<Draft> {
        self.draft
    }

    /// Why the message in the composer could not be sent.
    #[must_use]
    pub fn notice(self) -> Option<String> {
        self.notice.get()
    }

    /// What a screen reader is told.
    #[must_use]
    pub fn announcement(self) -> Announcement {
        self.announcement.get()
    }

    /// The time, as replies count it.
    #[must_use]
    pub fn now(self) -> Duration {
        self.outside.with_value(|outside| outside.clock.now())
    }

    /// Sends what stands in the composer, unless that is nothing or a reply streams; says whether it did.
    pub fn send(self) -> bool {
        if !self.can_ask() {
            return false;
        }
        let Some(outgoing) = self.draft.try_update(Draft::take).flatten() else {
            return false;
        };
        let asked = self.conversation.try_update(|conversation| {
            let parent = match outgoing.replaces {
                Some(edited) => conversation.parent(edited),
                None => conversation.leaf(),
            };
            let shown_before = conversation.shown_after(parent);
            let question = Message::Question(outgoing.text.as_str().into());
            (conversation.append(parent, question), shown_before)
        });
        let Some((added, shown_before)) = asked else {
            return false;
        };
        let undo = Undo {
            added,
            shown_before,
            outgoing: Some(outgoing),
        };
        self.ask(added, |_| undo);
        true
    }

    /// Asks for another version of a reply, as Regenerate and Retry do.
    pub fn ask_again(self, reply: MessageId) {
        if !self.can_ask() {
            return;
        }
        let Some(question) = self
            .conversation
            .with_untracked(|conversation| conversation.parent(reply))
        else {
            return;
        };
        let shown_before = Some(reply);
        self.ask(question, |added| Undo {
            added,
            shown_before,
            outgoing: None,
        });
    }

    /// Ends the reply that streams. What has come stays.
    pub fn stop(self) {
        if let Some(running) = self.running.try_update(Option::take).flatten() {
            running.task.abort();
            let now = self.now();
            running.reply.update(|reply| reply.stop(now));
            self.announce_end(&running.reply);
        }
    }

    /// Puts a question into the composer, to be asked in another form. It happens there and not in its
    /// place, so that keys, input methods, growing and drafts work in the one way that people know.
    pub fn edit(self, question: MessageId) {
        if let Message::Question(text) = self.message(question) {
            self.notice.set(None);
            self.draft
                .update(|draft| draft.edit(question, text.to_string()));
        }
    }

    /// Edits the last question that is shown, if there is one.
    pub fn edit_last(self) {
        let path = self.conversation.with_untracked(Conversation::path);
        let last = path
            .into_iter()
            .rev()
            .find(|id| matches!(self.message(*id), Message::Question(_)));
        if let Some(question) = last {
            self.edit(question);
        }
    }

    /// Leaves the edited question as it was.
    pub fn cancel_edit(self) {
        self.notice.set(None);
        self.draft.update(Draft::cancel_edit);
    }

    /// Shows the version of a message before or after the one that is shown.
    pub fn show_version(self, id: MessageId, step: Step) {
        self.conversation
            .update(|conversation| conversation.step(id, step));
    }

    /// Begins a new conversation. The one before is put aside and can be restored.
    pub fn start_anew(self) {
        self.stop();
        self.cancel_edit();
        if self.conversation.with_untracked(Conversation::is_empty) {
            return;
        }
        self.announcement.set(Announcement::Nothing);
        self.put_aside.set(
            self.conversation
                .try_update(std::mem::take)
                .unwrap_or_default(),
        );
    }

    /// Whether there is a conversation to go back to: only while the new one is empty.
    #[must_use]
    pub fn can_restore(self) -> bool {
        self.is_empty() && !self.put_aside.with(Conversation::is_empty)
    }

    /// Goes back to the conversation that was put aside.
    pub fn restore(self) {
        if self.conversation.with_untracked(Conversation::is_empty) {
            self.conversation.set(
                self.put_aside
                    .try_update(std::mem::take)
                    .unwrap_or_default(),
            );
        }
    }

    fn can_ask(self) -> bool {
        self.running.with_untracked(Option::is_none)
            && self
                .outside
                .with_value(|outside| outside.transport.is_some())
    }

    /// Adds an empty reply to a question and asks for it.
    fn ask(self, question: MessageId, undo: impl FnOnce(MessageId) -> Undo) {
        let Outside { transport, clock } = self.outside.get_value();
        let Some(transport) = transport else { return };
        let mut request = ChatRequest::new(self.history(question));
        self.preferences.get_untracked().apply(&mut request);
        let reply = ArcRwSignal::new(Reply::asked(clock.now()));
        let added = self.conversation.try_update(|conversation| {
            conversation.append(Some(question), Message::Reply(reply.clone()))
        });
        let Some(added) = added else { return };
        let undo = undo(added);
        self.notice.set(None);
        self.announcement.set(Announcement::Answering);

        let events = transport.chat(request);
        let (task, registration) = AbortHandle::new_pair();
        self.running.set(Some(Running {
            reply: reply.clone(),
            task,
        }));
        let read = async move {
            match fold(&reply, events, &clock).await {
                Ok(()) => {
                    self.running.set(None);
                    self.announce_end(&reply);
                }
                Err(error) => {
                    self.running.set(None);
                    self.take_back(undo, &error);
                }
            }
        };
        spawn_local(async move {
            // An abort is a stop, which has said all there is to say.
            let _ = Abortable::new(read, registration).await;
        });
    }

    /// The conversation up to this question, as it is sent. Replies without text say nothing.
    fn history(self, question: MessageId) -> Vec<ChatMessage> {
        self.conversation.with_untracked(|conversation| {
            let line = conversation.line_to(question);
            let messages = line.into_iter().map(|id| match conversation.message(id) {
                Message::Question(text) => ChatMessage {
                    role: Role::User,
                    content: text.to_string(),
                },
                Message::Reply(reply) => ChatMessage {
                    role: Role::Assistant,
                    content: reply.with_untracked(|reply| reply.transcript().text.clone()),
                },
            });
            messages
                .filter(|message| !message.content.trim().is_empty())
                .collect()
        })
    }

    /// The server never accepted the message: it is as if it had not been sent, and the words are back.
    fn take_back(self, undo: Undo, error: &ReplyError) {
        self.conversation.update(|conversation| {
            conversation.withdraw(undo.added);
            if let Some(before) = undo.shown_before {
                conversation.show(before);
            }
        });
        if let Some(outgoing) = undo.outgoing {
            self.draft.update(|draft| draft.give_back(outgoing));
        }
        let sentence = wording::shown_message(&error.message, error.kind).to_owned();
        self.notice.set(Some(sentence.clone()));
        self.announcement.set(Announcement::Sentence(sentence));
    }

    fn announce_end(self, reply: &ArcRwSignal<Reply>) {
        self.announcement
            .set(reply.with_untracked(|reply| wording::announce_end(reply.transcript())));
    }
}

/// Folds the events of a reply into it until it ends. An error before the server has accepted the
/// request is no part of the reply and comes back.
async fn fold(
    reply: &ArcRwSignal<Reply>,
    mut events: LocalBoxStream<'static, ChatEvent<'static>>,
    clock: &Arc<dyn Clock>,
) -> Result<(), ReplyError> {
    let is_frame_due = Rc::new(Cell::new(false));
    while let Some(event) = events.next().await {
        if let ChatEvent::Error(error) = &event
            && reply.with_untracked(|reply| !reply.transcript().was_accepted())
        {
            return Err(error.clone());
        }
        reply.update_untracked(|reply| reply.apply(&event, clock.now()));
        if event.is_terminal() {
            break;
        }
        if !is_frame_due.replace(true) {
            let (reply, is_frame_due) = (reply.clone(), Rc::clone(&is_frame_due));
            clock.at_next_frame(Box::new(move || {
                is_frame_due.set(false);
                reply.notify();
            }));
        }
    }
    // The end does not wait for a frame: in a hidden tab none may come.
    reply.update(|reply| reply.close(clock.now()));
    Ok(())
}

#[cfg(test)]
mod tests;
