//! How a conversation comes into the chat: a saved one from what the server has of it, an empty one, the
//! temporary one that was put aside; and how a saved one keeps up with what other tabs do.

use leptos::prelude::*;

use super::reading::IfRefused;
use super::{Chat, Link, Message};
use crate::conversation::{Conversation, MessageId};
use crate::protocol::Role;
use crate::protocol::saved::{ConversationDetail, MessageState, SavedMessage};
use crate::reply::Reply;
use crate::transport::Ask;
use crate::wording::Announcement;

impl Chat {
    /// Shows a saved conversation in the place of the one before. Its replies that still stream are
    /// followed from [`Chat::follow_running`] on.
    pub fn open(self, detail: &ConversationDetail) {
        self.leave();
        let mut conversation = Conversation::default();
        for message in &detail.messages {
            self.add(&mut conversation, message);
        }
        if let Some(leaf) = detail
            .leaf
            .as_deref()
            .and_then(|leaf| conversation.named(leaf))
        {
            conversation.show_line_to(leaf);
        }
        self.put(conversation, Some(detail.id.clone()), false);
        self.title.set(Some(detail.title.clone()));
    }

    /// Takes in what the server has of the conversation that is shown and this page has not: messages
    /// of other tabs, the ends of replies.
    pub fn catch_up(self, detail: &ConversationDetail) {
        if self.id.get_untracked().as_deref() != Some(detail.id.as_str()) {
            return;
        }
        // What is being sent has no name yet and would be taken for something new.
        if self.has_nameless_messages() {
            return;
        }
        let mut conversation = self.conversation.get_untracked();
        let mut is_longer = false;
        for message in &detail.messages {
            match conversation.named(&message.id) {
                Some(id) => self.renew(id, &conversation, message),
                None => {
                    self.add(&mut conversation, message);
                    is_longer = true;
                }
            }
        }
        if is_longer {
            if let Some(leaf) = detail
                .leaf
                .as_deref()
                .and_then(|leaf| conversation.named(leaf))
            {
                conversation.show_line_to(leaf);
            }
            self.conversation.set(conversation);
        }
        self.follow_running_of(detail);
    }

    /// Follows the replies that stream. In the browser only, once the page is alive.
    pub fn follow_running(self, detail: &ConversationDetail) {
        if self.id.get_untracked().as_deref() == Some(detail.id.as_str()) {
            self.follow_running_of(detail);
        }
    }

    /// Begins a new conversation.
    pub fn start_anew(self, is_temporary: bool) {
        self.leave();
        self.put(Conversation::default(), None, is_temporary);
    }

    /// Goes back to the conversation that was put aside.
    pub fn restore(self) {
        if self.conversation.with_untracked(Conversation::is_empty) {
            let before = self.put_aside.try_update(std::mem::take);
            self.put(before.unwrap_or_default(), None, true);
        }
    }

    /// Lets go of the conversation that is shown. A temporary one is put aside and can be restored, and
    /// its reply ends; a saved one is in the list, and what streams in it goes on.
    fn leave(self) {
        if self.is_temporary.get_untracked() {
            self.stop();
            let before = self.conversation.get_untracked();
            if !before.is_empty() {
                self.put_aside.set(before);
            }
        }
        let running = self.running.try_update(std::mem::take).unwrap_or_default();
        for one in running {
            one.task.abort();
        }
        self.cancel_edit();
        self.link.set(Link::Fine);
        self.announcement.set(Announcement::Nothing);
    }

    fn put(self, conversation: Conversation<Message>, id: Option<String>, is_temporary: bool) {
        // First of all, so that what shows messages of the other one is gone before this one is there.
        self.changes.update(|changes| *changes += 1);
        self.conversation.set(conversation);
        self.is_temporary.set(is_temporary);
        self.title.set(None);
        self.id.set(id);
    }

    fn add(self, conversation: &mut Conversation<Message>, message: &SavedMessage) {
        let held = match message.role {
            // The server sends no instructions of its own; if it did, nobody would have said them.
            Role::System => return,
            Role::User => Message::Question(message.text.as_str().into()),
            Role::Assistant => Message::Reply(ArcRwSignal::new(Reply::saved(message, self.now()))),
        };
        let parent = message
            .parent
            .as_deref()
            .and_then(|parent| conversation.named(parent));
        let id = conversation.append(parent, held);
        conversation.set_name(id, message.id.clone());
    }

    /// A reply that this page does not read itself may have come further.
    fn renew(self, id: MessageId, conversation: &Conversation<Message>, message: &SavedMessage) {
        if let Message::Reply(reply) = conversation.message(id)
            && !self.is_reading(id)
            && !is_old(message, reply)
        {
            let saved = Reply::saved(message, self.now());
            if !reply.with_untracked(|reply| reply.says_the_same_as(&saved)) {
                let tellings = reply.with_untracked(Reply::tellings);
                reply.set(saved.told_again(tellings));
            }
        }
    }

    fn follow_running_of(self, detail: &ConversationDetail) {
        for message in &detail.messages {
            let MessageState::Streaming {
                generation,
                last_seq,
            } = &message.state
            else {
                continue;
            };
            let found = self.conversation.with_untracked(|conversation| {
                let id = conversation.named(&message.id)?;
                Some((id, conversation.message(id).clone()))
            });
            if let Some((id, Message::Reply(reply))) = found
                && !self.is_reading(id)
                && !is_old(message, &reply)
            {
                let ask = Ask::Follow {
                    generation: generation.clone(),
                    after: Some(*last_seq),
                };
                self.read(id, reply, ask, IfRefused::AskTheServer);
            }
        }
    }

    fn is_reading(self, message: MessageId) -> bool {
        self.running
            .with_untracked(|running| running.iter().any(|one| one.message == message))
    }

    /// Whether something is being sent of which the server has not said yet what it calls it.
    pub(crate) fn has_nameless_messages(self) -> bool {
        self.conversation.with_untracked(|conversation| {
            conversation
                .path()
                .into_iter()
                .any(|id| conversation.name(id).is_none())
        })
    }
}

/// Whether the server said this before the end of the reply that the page has read by now: the answer to a
/// question can be on its way for longer than the reply.
fn is_old(message: &SavedMessage, reply: &ArcRwSignal<Reply>) -> bool {
    match &message.state {
        MessageState::Streaming { generation, .. } => {
            reply.with_untracked(|reply| reply.has_ended_in(generation))
        }
        _ => false,
    }
}
