//! Asking: a new message, another version of a reply, a reply that goes on; and taking back what the
//! server never accepted.

use leptos::prelude::*;

use super::receive::OnRejected;
use super::{Chat, Message};
use crate::chat::draft::{Draft, Outgoing, Sent};
use crate::chat::tree::MessageId;
use crate::protocol::saved::SendMessage;
use crate::protocol::{ChatMessage, ChatRequest, Role};
use crate::reply::Reply;
use crate::reply::transport::ReplyRequest;

/// How to take back what could not be sent.
pub(super) struct Rollback {
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
    /// Sends what stands in the composer, unless that is nothing or a reply streams; says whether it did.
    pub fn send(self) -> bool {
        if !self.can_ask() {
            return false;
        }
        let Some(mut outgoing) = self.change_draft(Draft::take).flatten() else {
            return false;
        };
        let asked = self.conversation.try_update(|conversation| {
            let parent = match outgoing.replaces {
                Some(edited) => conversation.parent(edited),
                None => conversation.leaf(),
            };
            let shown_before = conversation.shown_after(parent);
            let question = Message::Question(outgoing.text.as_str().into());
            let parent_name = match parent {
                Some(parent) => conversation.name(parent),
                // The first message that is loaded need not be the first of the conversation.
                None => conversation.earlier(),
            };
            let parent_name = parent_name.map(str::to_owned);
            let question = conversation.append(parent, question);
            (question, parent_name, shown_before)
        });
        let Some((question, parent, shown_before)) = asked else {
            return false;
        };
        let begins = self.id.with_untracked(Option::is_none) && !self.is_temporary.get_untracked();
        let ask = if self.is_temporary.get_untracked() {
            ReplyRequest::Ephemeral(self.temporary_request(question))
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
            ReplyRequest::Send {
                conversation: sent.conversation,
                message: SendMessage {
                    content: Some(outgoing.text.clone()),
                    parent,
                    ..self.chosen_for(sent.request)
                },
            }
        };
        let rollback = Rollback {
            added: question,
            shown_before,
            outgoing: Some(outgoing),
            begins,
        };
        self.ask(Some(question), ask, |_| rollback);
        true
    }

    /// Asks for another version of a reply, as Regenerate and Retry do.
    pub fn ask_again(self, reply: MessageId) {
        if !self.can_ask() {
            return;
        }
        // The question need not be loaded.
        let question = self
            .conversation
            .with_untracked(|conversation| conversation.parent(reply));
        let ask = if self.is_temporary.get_untracked() {
            let Some(question) = question else { return };
            ReplyRequest::Ephemeral(self.temporary_request(question))
        } else {
            let Some(ask) = self.ask_about(reply, |name, chosen| SendMessage {
                regenerate: Some(name),
                ..chosen
            }) else {
                return;
            };
            ask
        };
        self.ask(question, ask, |added| Rollback {
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
        self.read(message, reply, ask, OnRejected::Restore(Box::new(before)));
    }

    /// A request about a message that the server knows.
    fn ask_about(
        self,
        message: MessageId,
        request: impl FnOnce(String, SendMessage) -> SendMessage,
    ) -> Option<ReplyRequest> {
        let conversation = self.id.get_untracked()?;
        let name = self
            .conversation
            .with_untracked(|conversation| conversation.name(message).map(str::to_owned))?;
        Some(ReplyRequest::Send {
            conversation,
            message: request(name, self.chosen_for(new_id())),
        })
    }

    fn can_ask(self) -> bool {
        !self.is_streaming_untracked()
            && !self.has_later.get_untracked()
            && self.deps.with_value(|deps| deps.transport.is_some())
    }

    /// Adds an empty reply to a question and asks for it.
    fn ask(
        self,
        question: Option<MessageId>,
        ask: ReplyRequest,
        rollback: impl FnOnce(MessageId) -> Rollback,
    ) {
        let reply = ArcRwSignal::new(Reply::asked(self.now()));
        let added = self.conversation.try_update(|conversation| {
            conversation.append(question, Message::Reply(reply.clone()))
        });
        let Some(added) = added else { return };
        self.notice.set(None);
        let rollback = rollback(added);
        self.read(added, reply, ask, OnRejected::RollBack(Box::new(rollback)));
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
    pub(super) fn roll_back(self, rollback: Rollback) {
        self.conversation.update(|conversation| {
            conversation.withdraw(rollback.added);
            if let Some(before) = rollback.shown_before {
                conversation.show(before);
            }
        });
        if rollback.begins {
            self.id.set(None);
        }
        if let Some(outgoing) = rollback.outgoing {
            self.change_draft(|draft| draft.give_back(outgoing));
        }
    }
}

/// A new id, for a conversation or a request. Later ones sort after earlier ones.
fn new_id() -> String {
    uuid::Uuid::now_v7().to_string()
}
