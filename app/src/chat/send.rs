//! Requesting replies: to a new message, as another version, or as the continuation of a reply; and rolling back what
//! the server rejected.

use leptos::prelude::*;

use super::receive::OnRejected;
use super::{Chat, Message};
use crate::chat::draft::{Draft, Outgoing, Sent};
use crate::chat::tree::MessageId;
use crate::protocol::saved::SendMessage;
use crate::protocol::{ChatMessage, ChatRequest, Role};
use crate::reply::Reply;
use crate::reply::transport::ReplyRequest;

/// How to roll back a message that could not be sent.
pub(super) struct Rollback {
    /// The first message that was added.
    added: MessageId,
    /// The message that was shown in its place before.
    shown_before: Option<MessageId>,
    /// The message that goes back into the composer.
    outgoing: Option<Outgoing>,
    /// Whether it was the first message of the conversation.
    begins: bool,
}

impl Chat {
    /// Sends the text in the composer. Returns `false` if it is blank, or if nothing can be sent now.
    pub fn send(self) -> bool {
        if !self.can_send() {
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
                Some(parent) => conversation.server_id(parent),
                // The first loaded message need not be the first of the conversation.
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
        let request = if self.is_temporary.get_untracked() {
            ReplyRequest::Ephemeral(self.temporary_request(question))
        } else {
            let known = outgoing.sent.take();
            let conversation = self.id.get_untracked();
            // A message that was sent before and not changed since keeps its ids, so that sending is idempotent.
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
                    ..self.with_choices(sent.request)
                },
            }
        };
        let rollback = Rollback {
            added: question,
            shown_before,
            outgoing: Some(outgoing),
            begins,
        };
        self.request(Some(question), request, |_| rollback);
        true
    }

    /// Requests another version of a reply (Regenerate and Retry).
    pub fn regenerate(self, reply: MessageId) {
        if !self.can_send() {
            return;
        }
        // The question need not be loaded.
        let question = self
            .conversation
            .with_untracked(|conversation| conversation.parent(reply));
        let request = if self.is_temporary.get_untracked() {
            let Some(question) = question else { return };
            ReplyRequest::Ephemeral(self.temporary_request(question))
        } else {
            let Some(request) = self.request_about(reply, |name, chosen| SendMessage {
                regenerate: Some(name),
                ..chosen
            }) else {
                return;
            };
            request
        };
        self.request(question, request, |added| Rollback {
            added,
            shown_before: Some(reply),
            outgoing: None,
            begins: false,
        });
    }

    /// Whether the server can continue a reply. It cannot continue a temporary one, which is not saved.
    #[must_use]
    pub fn can_continue(self, reply: MessageId) -> bool {
        self.conversation
            .with_untracked(|conversation| conversation.server_id(reply).is_some())
    }

    /// Continues a reply where it was cut off.
    pub fn continue_reply(self, message: MessageId) {
        let Message::Reply(reply) = self.message(message) else {
            return;
        };
        if !self.can_send() {
            return;
        }
        let request = self.request_about(message, |name, chosen| SendMessage {
            continue_reply: Some(name),
            ..chosen
        });
        let Some(request) = request else { return };
        let before = reply.get_untracked();
        let now = self.now();
        reply.update(|reply| reply.resume(now));
        self.notice.set(None);
        self.read(
            message,
            reply,
            request,
            OnRejected::Restore(Box::new(before)),
        );
    }

    /// A request that refers to a message by its server id. `None` if the message has none.
    fn request_about(
        self,
        message: MessageId,
        fill: impl FnOnce(String, SendMessage) -> SendMessage,
    ) -> Option<ReplyRequest> {
        let conversation = self.id.get_untracked()?;
        let name = self
            .conversation
            .with_untracked(|conversation| conversation.server_id(message).map(str::to_owned))?;
        Some(ReplyRequest::Send {
            conversation,
            message: fill(name, self.with_choices(new_id())),
        })
    }

    fn can_send(self) -> bool {
        !self.is_streaming_untracked()
            && !self.has_later.get_untracked()
            && self.deps.with_value(|deps| deps.transport.is_some())
    }

    /// Adds an empty reply to a question and requests it.
    fn request(
        self,
        question: Option<MessageId>,
        request: ReplyRequest,
        rollback: impl FnOnce(MessageId) -> Rollback,
    ) {
        let reply = ArcRwSignal::new(Reply::requested(self.now()));
        let added = self.conversation.try_update(|conversation| {
            conversation.append(question, Message::Reply(reply.clone()))
        });
        let Some(added) = added else { return };
        self.notice.set(None);
        let rollback = rollback(added);
        self.read(
            added,
            reply,
            request,
            OnRejected::RollBack(Box::new(rollback)),
        );
    }

    /// A request with the whole conversation and the user's choices.
    fn temporary_request(self, question: MessageId) -> ChatRequest {
        let mut request = ChatRequest::new(self.history(question));
        self.choices_untracked().apply(&mut request);
        request
    }

    /// The user's choices, for a message of a saved conversation.
    fn with_choices(self, request_id: String) -> SendMessage {
        let choices = self.choices_untracked();
        SendMessage {
            request_id,
            model: choices.model(),
            temperature: choices.temperature(),
            max_tokens: choices.max_tokens(),
            reasoning_effort: choices.reasoning_effort(),
            system: choices.system(),
            preset: Some(choices.preset).filter(|name| !name.is_empty()),
            ..SendMessage::default()
        }
    }

    /// The messages up to this question, as they are sent. Empty ones are left out.
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

    /// Rolls a message back that the server did not accept. Its text is back in the composer.
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
pub(super) fn new_id() -> String {
    uuid::Uuid::now_v7().to_string()
}
