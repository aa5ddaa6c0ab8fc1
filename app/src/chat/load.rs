//! Loading a conversation into the chat: a saved one, a new one, or the stashed temporary one; and synchronising a
//! saved one with changes that were made elsewhere.

use leptos::prelude::*;

use super::receive::OnRejected;
use super::{Chat, ConnectionState, Message};
use crate::chat::announcement::Announcement;
use crate::chat::preferences::Choices;
use crate::chat::tree::{Conversation, MessageId, Version};
use crate::protocol::Role;
use crate::protocol::saved::{ConversationDetail, MessageState, MessageVersion, SavedMessage};
use crate::reply::Reply;
use crate::reply::transcript::ReplyEnd;
use crate::reply::transport::ReplyRequest;

impl Chat {
    /// Opens a saved conversation, which may be loaded only from some message on. [`Chat::follow_running`] then reads
    /// its streaming replies.
    pub fn open(self, detail: &ConversationDetail) {
        self.leave();
        let mut conversation = Conversation::default();
        for message in &detail.messages {
            self.add(&mut conversation, message, detail);
        }
        conversation.set_earlier(detail.earlier.clone());
        show_leaf(&mut conversation, detail);
        self.put(conversation, Some(detail.id.clone()), false);
        self.title.set(Some(detail.title.clone()));
        self.own_choices
            .set(detail.settings.clone().map(Choices::from));
        self.has_later.set(detail.later);
    }

    /// Merges the server's state of the open conversation: messages of other tabs, the ends of replies. Returns `false`
    /// if the messages do not connect to the loaded ones, so that the conversation must be opened again.
    #[must_use]
    pub fn catch_up(self, detail: &ConversationDetail) -> bool {
        self.merge(detail, false)
    }

    /// Merges a path and shows it. Returns `false` if it does not connect to the loaded messages.
    #[must_use]
    pub fn show_path(self, detail: &ConversationDetail) -> bool {
        let is_shown = self.merge(detail, true);
        if is_shown {
            self.choose_leaf();
        }
        is_shown
    }

    fn merge(self, detail: &ConversationDetail, is_to_be_shown: bool) -> bool {
        if self.id.get_untracked().as_deref() != Some(detail.id.as_str()) {
            return true;
        }
        // A message that is being sent has no server id yet and would be added twice.
        if self.has_unaccepted_messages() {
            return true;
        }
        let mut conversation = self.conversation.get_untracked();
        let Some(first) = first_that_joins(&conversation, &detail.messages) else {
            return detail.messages.is_empty();
        };
        let mut is_news = is_to_be_shown;
        for message in &detail.messages[first..] {
            match conversation.find(&message.id) {
                Some(id) => {
                    self.renew(id, &conversation, message);
                    if let Some(version) = version_in(detail, &message.id) {
                        is_news |= conversation.set_version(id, version);
                    }
                }
                None => {
                    self.add(&mut conversation, message, detail);
                    is_news = true;
                }
            }
        }
        if is_news {
            show_leaf(&mut conversation, detail);
            self.conversation.set(conversation);
        }
        self.follow_running_of(detail);
        true
    }

    /// Prepends messages to the loaded ones. `earlier` is the id of the message before them.
    pub fn prepend(
        self,
        messages: &[SavedMessage],
        versions: &[MessageVersion],
        earlier: Option<String>,
    ) {
        let held = messages
            .iter()
            .filter_map(|message| Some((message.id.clone(), self.held(message)?)))
            .collect();
        self.conversation.update(|conversation| {
            conversation.prepend(held, earlier);
            for version in versions {
                if let Some(id) = conversation.find(&version.message) {
                    conversation.set_version(id, version.into());
                }
            }
        });
    }

    /// The ids of loaded replies without an end that this page does not read and that are not in `detail`, because they
    /// are on other paths.
    #[must_use]
    pub fn unsettled(self, detail: &ConversationDetail) -> Vec<String> {
        let is_told = |name: &str| detail.messages.iter().any(|message| message.id == name);
        self.conversation.with_untracked(|conversation| {
            let replies = conversation
                .messages_with_server_ids()
                .filter(|(id, _, message)| {
                    let Message::Reply(reply) = message else {
                        return false;
                    };
                    let has_no_end = reply.with_untracked(|reply| {
                        matches!(reply.transcript().end, None | Some(ReplyEnd::Cut))
                    });
                    has_no_end && !self.is_reading(*id)
                });
            replies
                .filter(|(_, name, _)| !is_told(name))
                .map(|(_, name, _)| name.to_owned())
                .collect()
        })
    }

    /// Reads the replies that stream. In the browser only, after hydration.
    pub fn follow_running(self, detail: &ConversationDetail) {
        if self.id.get_untracked().as_deref() == Some(detail.id.as_str()) {
            self.follow_running_of(detail);
        }
    }

    /// Starts a new conversation.
    pub fn start_anew(self, is_temporary: bool) {
        self.leave();
        self.put(Conversation::default(), None, is_temporary);
    }

    /// Restores the stashed conversation.
    pub fn restore(self) {
        if self.conversation.with_untracked(Conversation::is_empty) {
            let before = self.stashed.try_update(std::mem::take);
            self.put(before.unwrap_or_default(), None, true);
        }
    }

    /// Leaves the open conversation. A temporary one is stashed and its reply is stopped; the replies of a saved one
    /// continue on the server.
    fn leave(self) {
        if self.is_temporary.get_untracked() {
            self.stop();
            let before = self.conversation.get_untracked();
            if !before.is_empty() {
                self.stashed.set(before);
            }
        }
        let running = self.running.try_update(std::mem::take).unwrap_or_default();
        for one in running {
            one.task.abort();
        }
        self.cancel_edit();
        self.link.set(ConnectionState::Fine);
        self.announcement.set(Announcement::Nothing);
    }

    fn put(self, conversation: Conversation<Message>, id: Option<String>, is_temporary: bool) {
        // The epoch is first, so that the views of the other conversation are removed before this one is set.
        self.epoch.update(|epoch| *epoch += 1);
        self.conversation.set(conversation);
        self.is_temporary.set(is_temporary);
        self.has_later.set(false);
        self.title.set(None);
        self.own_choices.set(None);
        self.id.set(id);
    }

    fn add(
        self,
        conversation: &mut Conversation<Message>,
        message: &SavedMessage,
        detail: &ConversationDetail,
    ) {
        let Some(held) = self.held(message) else {
            return;
        };
        let parent = message
            .parent
            .as_deref()
            .and_then(|parent| conversation.find(parent));
        let id = match version_in(detail, &message.id) {
            Some(version) => conversation.insert(parent, held, version),
            None => conversation.append(parent, held),
        };
        conversation.set_server_id(id, message.id.clone());
    }

    /// The content of a saved message; `None` for a system message.
    fn held(self, message: &SavedMessage) -> Option<Message> {
        match message.role {
            // The server sends no system messages; they would not be shown.
            Role::System => None,
            Role::User => Some(Message::Question(message.text.as_str().into())),
            Role::Assistant => {
                let reply = Reply::saved(message, self.now());
                Some(Message::Reply(ArcRwSignal::new(reply)))
            }
        }
    }

    /// Updates a reply that this page does not read itself.
    fn renew(self, id: MessageId, conversation: &Conversation<Message>, message: &SavedMessage) {
        if let Message::Reply(reply) = conversation.message(id)
            && !self.is_reading(id)
            && !is_old(message, reply)
        {
            let saved = Reply::saved(message, self.now());
            if !reply.with_untracked(|reply| reply.says_the_same_as(&saved)) {
                let restarts = reply.with_untracked(Reply::restarts);
                reply.set(saved.restarted(restarts));
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
                let id = conversation.find(&message.id)?;
                Some((id, conversation.message(id).clone()))
            });
            if let Some((id, Message::Reply(reply))) = found
                && !self.is_reading(id)
                && !is_old(message, &reply)
            {
                let request = ReplyRequest::Resume {
                    generation: generation.clone(),
                    after: Some(*last_seq),
                };
                self.read(id, reply, request, OnRejected::Resync);
            }
        }
    }

    fn is_reading(self, message: MessageId) -> bool {
        self.running
            .with_untracked(|running| running.iter().any(|one| one.message == message))
    }

    /// Whether a message is being sent that has no server id yet.
    pub(crate) fn has_unaccepted_messages(self) -> bool {
        self.conversation.with_untracked(|conversation| {
            conversation
                .path()
                .into_iter()
                .any(|id| conversation.server_id(id).is_none())
        })
    }
}

/// Shows the path that the server stores as shown.
fn show_leaf(conversation: &mut Conversation<Message>, detail: &ConversationDetail) {
    let leaf = detail.leaf.as_deref();
    if let Some(leaf) = leaf.and_then(|leaf| conversation.find(leaf)) {
        conversation.show_line_to(leaf);
    }
}

/// The index of the first of these messages that is loaded or follows a loaded one.
fn first_that_joins(
    conversation: &Conversation<Message>,
    messages: &[SavedMessage],
) -> Option<usize> {
    messages.iter().position(|message| {
        conversation.find(&message.id).is_some()
            || message.parent.as_deref() == conversation.earlier()
            || message
                .parent
                .as_deref()
                .is_some_and(|parent| conversation.find(parent).is_some())
    })
}

fn version_in(detail: &ConversationDetail, message: &str) -> Option<Version> {
    let mut versions = detail.versions.iter();
    versions
        .find(|version| version.message == message)
        .map(Version::from)
}

impl From<&MessageVersion> for Version {
    fn from(version: &MessageVersion) -> Self {
        Self {
            number: version.number as usize,
            of: version.of as usize,
        }
    }
}

/// Whether this state is older than the end of the reply that the page has read: a response can take longer than the
/// stream of the reply.
fn is_old(message: &SavedMessage, reply: &ArcRwSignal<Reply>) -> bool {
    match &message.state {
        MessageState::Streaming { generation, .. } => {
            reply.with_untracked(|reply| reply.has_ended_in(generation))
        }
        _ => false,
    }
}
