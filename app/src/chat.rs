//! The chat's state as signals, and its verbs: send, stop, ask again, go on, edit, step through versions.
//!
//! Each reply is a signal of its own, so text that streams into one wakes nothing else; the tree of
//! messages changes only when a message is added or another version is shown.
//!
//! It holds one conversation at a time: a saved one, which the server knows by its id, or a temporary
//! one, which lives and dies here. It does not know the DOM or the network: a [`ChatTransport`] gives
//! the events, a [`Clock`] the frames. How a conversation comes in is `opening`'s affair, how a reply
//! is read that of `reading`.

mod opening;
mod reading;

use std::sync::Arc;
use std::time::Duration;

use futures::future::AbortHandle;
use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::clock::Clock;
use crate::conversation::{Conversation, MessageId, Step, Version};
use crate::draft::{Draft, Outgoing, Sent};
use crate::preferences::Preferences;
use crate::presence::Presence;
use crate::protocol::saved::SendMessage;
use crate::protocol::{ChatMessage, ChatRequest, ReplyError, Role};
use crate::reply::Reply;
use crate::resume::backoff;
use crate::transport::{Ask, Broken, ChatTransport};
use crate::wording::{self, Announcement};

/// How long the server may take to say that a reply is stopped. Then the page says so by itself.
const STOP_PATIENCE: Duration = Duration::from_secs(3);

/// How often a stop is tried that does not reach the server.
const STOP_ATTEMPTS: u32 = 20;

/// What a message of the conversation holds.
#[derive(Debug, Clone)]
pub enum Message {
    /// What the person asked.
    Question(Arc<str>),
    /// What the model answers, live.
    Reply(ArcRwSignal<Reply>),
}

/// How the page and the server are connected, while a reply streams.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Link {
    /// As it should be.
    #[default]
    Fine,
    /// The connection is lost and is being resumed.
    Lost,
    /// Something between them holds the text back.
    HeldBack,
}

/// The chat: a handle that can be copied to wherever it is needed.
#[derive(Clone, Copy)]
pub struct Chat {
    conversation: RwSignal<Conversation<Message>>,
    /// The id of the conversation, if it is a saved one that has begun.
    id: RwSignal<Option<String>>,
    /// What it was called when it was opened.
    title: RwSignal<Option<String>>,
    is_temporary: RwSignal<bool>,
    /// How often another conversation took the place of the one before.
    changes: RwSignal<u32>,
    /// The temporary conversation that was put aside. Nothing that was said is lost by one click.
    put_aside: RwSignal<Conversation<Message>>,
    draft: RwSignal<Draft>,
    /// The end of the path that the person stepped to.
    chosen: RwSignal<Option<String>>,
    running: RwSignal<Vec<Running>>,
    link: RwSignal<Link>,
    /// How often something was noticed that the server knows better.
    doubts: RwSignal<u32>,
    notice: RwSignal<Option<String>>,
    announcement: RwSignal<Announcement>,
    preferences: Preferences,
    outside: StoredValue<Outside>,
}

/// A reply that streams now. A conversation has one as a rule, and more where other tabs ask, too.
#[derive(Clone)]
struct Running {
    message: MessageId,
    reply: ArcRwSignal<Reply>,
    /// Whether it goes on without this page.
    is_saved: bool,
    /// Whether the person has stopped it.
    is_stopped: bool,
    /// Ends the task that reads the events, and by that the request.
    task: AbortHandle,
}

/// What the chat needs from the browser.
#[derive(Clone)]
pub struct Outside {
    /// `None` on the server, where nothing is sent.
    pub transport: Option<Arc<dyn ChatTransport>>,
    /// The time and the frames.
    pub clock: Arc<dyn Clock>,
    /// Whether the page is seen; `None` on the server.
    pub presence: Option<Arc<dyn Presence>>,
}

/// How to take back what could not be sent.
struct Undo {
    /// The first message that was added for it.
    added: MessageId,
    /// What was shown in its place.
    shown_before: Option<MessageId>,
    /// What goes back into the composer.
    outgoing: Option<Outgoing>,
    /// Whether the conversation would have begun with it.
    begins: bool,
}

impl Chat {
    /// An empty chat.
    #[must_use]
    pub fn new(outside: Outside, preferences: Preferences) -> Self {
        Self {
            conversation: RwSignal::new(Conversation::default()),
            id: RwSignal::new(None),
            title: RwSignal::new(None),
            is_temporary: RwSignal::new(false),
            changes: RwSignal::new(0),
            put_aside: RwSignal::new(Conversation::default()),
            draft: RwSignal::new(Draft::default()),
            chosen: RwSignal::new(None),
            running: RwSignal::new(Vec::new()),
            link: RwSignal::new(Link::Fine),
            doubts: RwSignal::new(0),
            notice: RwSignal::new(None),
            announcement: RwSignal::new(Announcement::Nothing),
            preferences,
            outside: StoredValue::new(outside),
        }
    }

    /// The id of the saved conversation that is shown.
    #[must_use]
    pub fn id(self) -> Option<String> {
        self.id.get()
    }

    /// The same, for those who want to know it once.
    #[must_use]
    pub fn id_untracked(self) -> Option<String> {
        self.id.get_untracked()
    }

    /// What it was called when it was opened. The list knows of later names.
    #[must_use]
    pub fn title(self) -> Option<String> {
        self.title.get()
    }

    /// Whether the conversation is one that is never saved.
    #[must_use]
    pub fn is_temporary(self) -> bool {
        self.is_temporary.get()
    }

    /// A number that changes when another conversation takes the place of this one.
    #[must_use]
    pub fn changes(self) -> u32 {
        self.changes.get()
    }

    /// A number that changes when the server should be asked what it has of this conversation.
    #[must_use]
    pub fn doubts(self) -> u32 {
        self.doubts.get()
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

    /// What the server calls the last message that is shown.
    fn leaf_name(self) -> Option<String> {
        self.conversation.with_untracked(|conversation| {
            let name = conversation.name(conversation.leaf()?)?;
            Some(name.to_owned())
        })
    }

    /// Whether a reply streams. Until it ends, nothing can be sent.
    #[must_use]
    pub fn is_streaming(self) -> bool {
        self.running.with(|running| !running.is_empty())
    }

    /// The same, for those who want to know it once.
    #[must_use]
    pub fn is_streaming_untracked(self) -> bool {
        self.running.with_untracked(|running| !running.is_empty())
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

    /// How the page and the server are connected.
    #[must_use]
    pub fn link(self) -> Link {
        self.link.get()
    }

    /// What a screen reader is told.
    #[must_use]
    pub fn announcement(self) -> Announcement {
        self.announcement.get()
    }

    /// Tells a screen reader something that is seen elsewhere on the page.
    pub fn announce(self, sentence: String) {
        self.announcement.set(Announcement::Sentence(sentence));
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
        let Some(mut outgoing) = self.draft.try_update(Draft::take).flatten() else {
            return false;
        };
        let asked = self.conversation.try_update(|conversation| {
            let parent = match outgoing.replaces {
                Some(edited) => conversation.parent(edited),
                None => conversation.leaf(),
            };
            let shown_before = conversation.shown_after(parent);
            let question = Message::Question(outgoing.text.as_str().into());
            let parent_name =
                parent.and_then(|parent| conversation.name(parent).map(str::to_owned));
            let question = conversation.append(parent, question);
            (question, parent_name, shown_before)
        });
        let Some((question, parent, shown_before)) = asked else {
            return false;
        };
        let begins = self.id.with_untracked(Option::is_none) && !self.is_temporary.get_untracked();
        let ask = if self.is_temporary.get_untracked() {
            Ask::Once(self.temporary_request(question))
        } else {
            let known = outgoing.sent.take();
            let conversation = self.id.get_untracked();
            // A message whose answer was lost, and that was not changed since, is the same message.
            let sent = match known.filter(|sent| {
                conversation
                    .as_ref()
                    .is_none_or(|id| *id == sent.conversation)
            }) {
                Some(sent) => sent,
                None => Sent {
                    conversation: conversation.unwrap_or_else(new_id),
                    request: new_id(),
                },
            };
            outgoing.sent = Some(sent.clone());
            self.id.set(Some(sent.conversation.clone()));
            Ask::Send {
                conversation: sent.conversation,
                message: SendMessage {
                    content: Some(outgoing.text.clone()),
                    parent,
                    ..self.chosen_for(sent.request)
                },
            }
        };
        let undo = Undo {
            added: question,
            shown_before,
            outgoing: Some(outgoing),
            begins,
        };
        self.ask(question, ask, |_| undo);
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
        let ask = if self.is_temporary.get_untracked() {
            Ask::Once(self.temporary_request(question))
        } else {
            let Some(ask) = self.ask_about(reply, |name, chosen| SendMessage {
                regenerate: Some(name),
                ..chosen
            }) else {
                return;
            };
            ask
        };
        self.ask(question, ask, |added| Undo {
            added,
            shown_before: Some(reply),
            outgoing: None,
            begins: false,
        });
    }

    /// Whether a reply can go on where it was cut off. A temporary one cannot: nobody keeps it.
    #[must_use]
    pub fn can_go_on(self, reply: MessageId) -> bool {
        self.conversation
            .with_untracked(|conversation| conversation.name(reply).is_some())
    }

    /// Lets a reply go on where it was cut off.
    pub fn go_on(self, message: MessageId) {
        let Message::Reply(reply) = self.message(message) else {
            return;
        };
        if !self.can_ask() {
            return;
        }
        let ask = self.ask_about(message, |name, chosen| SendMessage {
            continue_reply: Some(name),
            ..chosen
        });
        let Some(ask) = ask else { return };
        let before = reply.get_untracked();
        let now = self.now();
        reply.update(|reply| reply.go_on(now));
        self.notice.set(None);
        self.read(
            message,
            reply,
            ask,
            reading::IfRefused::PutBack(Box::new(before)),
        );
    }

    /// A request about a message that the server knows.
    fn ask_about(
        self,
        message: MessageId,
        request: impl FnOnce(String, SendMessage) -> SendMessage,
    ) -> Option<Ask> {
        let conversation = self.id.get_untracked()?;
        let name = self
            .conversation
            .with_untracked(|conversation| conversation.name(message).map(str::to_owned))?;
        Some(Ask::Send {
            conversation,
            message: request(name, self.chosen_for(new_id())),
        })
    }

    /// Ends the replies that stream. What has come stays.
    pub fn stop(self) {
        let mut running = self.running.get_untracked();
        for one in &mut running {
            if one.is_saved {
                if !std::mem::replace(&mut one.is_stopped, true) {
                    self.stop_saved(one);
                }
            } else {
                self.end_here(one);
            }
        }
        running.retain(|one| one.is_saved);
        self.running.set(running);
    }

    /// Asks the server to stop a reply. What the server had sent by then still comes, and then the end:
    /// so the page shows what is saved.
    fn stop_saved(self, running: &Running) {
        if let Some(generation) = generation_of(&running.reply) {
            self.tell_to_stop(generation);
        }
        // Else it is told as soon as the reply has begun, see `reading`.
        let clock = self
            .outside
            .with_value(|outside| Arc::clone(&outside.clock));
        let running = running.clone();
        spawn_local(async move {
            clock.wait(STOP_PATIENCE).await;
            let is_still_there = self
                .running
                .try_with_untracked(|all| all.iter().any(|one| one.message == running.message))
                .unwrap_or(false);
            if is_still_there
                && generation_of(&running.reply).is_some()
                && !running.task.is_aborted()
            {
                self.end_here(&running);
                self.running
                    .update(|all| all.retain(|one| one.message != running.message));
            }
        });
    }

    /// Tells the server to stop a reply, again and again until it has heard it.
    fn tell_to_stop(self, generation: String) {
        let Outside {
            transport, clock, ..
        } = self.outside.get_value();
        let Some(transport) = transport else { return };
        spawn_local(async move {
            for attempt in 1..=STOP_ATTEMPTS {
                match transport.stop(generation.clone()).await {
                    Ok(()) | Err(Broken::Refused(_)) => return,
                    Err(Broken::Lost(_)) => clock.wait(backoff(attempt, clock.chance())).await,
                }
            }
        });
    }

    /// Ends a reply on this page, whatever becomes of it elsewhere.
    fn end_here(self, running: &Running) {
        running.task.abort();
        let now = self.now();
        running.reply.update(|reply| reply.stop(now));
        self.announce_end(&running.reply);
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
        self.chosen.set(self.leaf_name());
    }

    /// What the server calls the last message of the path that the person chose to see.
    #[must_use]
    pub fn chosen(self) -> Option<String> {
        self.chosen.get()
    }

    /// Whether there is a conversation to go back to: only while the new one is empty.
    #[must_use]
    pub fn can_restore(self) -> bool {
        self.is_empty() && !self.put_aside.with(Conversation::is_empty)
    }

    fn can_ask(self) -> bool {
        !self.is_streaming_untracked()
            && self
                .outside
                .with_value(|outside| outside.transport.is_some())
    }

    /// Adds an empty reply to a question and asks for it.
    fn ask(self, question: MessageId, ask: Ask, undo: impl FnOnce(MessageId) -> Undo) {
        let reply = ArcRwSignal::new(Reply::asked(self.now()));
        let added = self.conversation.try_update(|conversation| {
            conversation.append(Some(question), Message::Reply(reply.clone()))
        });
        let Some(added) = added else { return };
        self.notice.set(None);
        let undo = undo(added);
        self.read(
            added,
            reply,
            ask,
            reading::IfRefused::TakeBack(Box::new(undo)),
        );
    }

    /// A request that carries its conversation, and what the person has chosen.
    fn temporary_request(self, question: MessageId) -> ChatRequest {
        let mut request = ChatRequest::new(self.history(question));
        self.preferences.get_untracked().apply(&mut request);
        request
    }

    /// What the person has chosen, for a message of a saved conversation.
    fn chosen_for(self, request_id: String) -> SendMessage {
        let choices = self.preferences.get_untracked();
        SendMessage {
            request_id,
            model: choices.model(),
            temperature: choices.temperature(),
            max_tokens: choices.max_tokens(),
            reasoning_effort: choices.reasoning_effort(),
            system: choices.system(),
            ..SendMessage::default()
        }
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
    fn take_back(self, undo: Undo) {
        self.conversation.update(|conversation| {
            conversation.withdraw(undo.added);
            if let Some(before) = undo.shown_before {
                conversation.show(before);
            }
        });
        if undo.begins {
            self.id.set(None);
        }
        if let Some(outgoing) = undo.outgoing {
            self.draft.update(|draft| draft.give_back(outgoing));
        }
    }

    /// Says why something could not be done.
    fn complain(self, error: &ReplyError) {
        let sentence = wording::shown_message(&error.message, error.kind).to_owned();
        self.notice.set(Some(sentence.clone()));
        self.announcement.set(Announcement::Sentence(sentence));
    }

    fn announce_end(self, reply: &ArcRwSignal<Reply>) {
        self.announcement
            .set(reply.with_untracked(|reply| wording::announce_end(reply.transcript())));
    }
}

/// The id by which a reply is followed and stopped, once it has begun.
fn generation_of(reply: &ArcRwSignal<Reply>) -> Option<String> {
    reply.with_untracked(|reply| reply.transcript().generation.clone())
}

/// A new id, for a conversation or a request. Later ones sort after earlier ones.
fn new_id() -> String {
    uuid::Uuid::now_v7().to_string()
}

#[cfg(test)]
mod tests;
