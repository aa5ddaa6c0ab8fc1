//! Changes of the tree of a saved conversation: editing a reply, a new chat from a message, deleting messages.

use leptos::prelude::*;

use super::Chat;
use super::send::new_id;
use crate::chat::tree::{Conversation, MessageId};
use crate::library::backend::Server;
use crate::library::{DeleteMessages, EditReply, ForkConversation};
use crate::protocol::ErrorBody;

/// What deleting a message left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deleted {
    /// The messages can be restored by this id.
    Messages(String),
    /// Nothing was left of the conversation with this id, so it was deleted.
    Conversation(String),
}

impl Chat {
    /// The server's id of a message; `None` in a temporary conversation, and until the server has accepted the message.
    #[must_use]
    pub fn server_id(self, message: MessageId) -> Option<String> {
        self.conversation
            .with_untracked(|conversation| conversation.server_id(message).map(str::to_owned))
    }

    /// Adds the text as another version of a reply, which the model reads from then on.
    ///
    /// # Errors
    /// The server's error.
    pub async fn edit_reply(
        self,
        server: Server,
        reply: MessageId,
        text: String,
    ) -> Result<(), ErrorBody> {
        if let (Some(id), Some(message)) = (self.id_untracked(), self.server_id(reply)) {
            let edit = EditReply {
                id: id.into(),
                message: message.into(),
                text,
            };
            server.call(edit).await?;
            self.resyncs.update(|resyncs| *resyncs += 1);
        }
        Ok(())
    }

    /// Copies the path up to a message as a new conversation, and returns its id.
    ///
    /// # Errors
    /// The server's error.
    pub async fn fork(
        self,
        server: Server,
        message: MessageId,
    ) -> Result<Option<String>, ErrorBody> {
        let (Some(id), Some(message)) = (self.id_untracked(), self.server_id(message)) else {
            return Ok(None);
        };
        let fork = ForkConversation {
            id: id.into(),
            message: message.into(),
            into: new_id().into(),
        };
        server.call(fork).await.map(Some)
    }

    /// Deletes a message with all that follows it.
    ///
    /// # Errors
    /// The server's error.
    pub async fn delete(
        self,
        server: Server,
        message: MessageId,
    ) -> Result<Option<Deleted>, ErrorBody> {
        let (Some(id), Some(name)) = (self.id_untracked(), self.server_id(message)) else {
            return Ok(None);
        };
        let delete = DeleteMessages {
            id: id.clone().into(),
            message: name.clone().into(),
        };
        let restore = server.call(delete).await?;
        if restore == id {
            return Ok(Some(Deleted::Conversation(id)));
        }
        if self.id_untracked().as_ref() == Some(&id) {
            self.remove(&name);
        }
        Ok(Some(Deleted::Messages(restore)))
    }

    /// Reads the conversation again, after messages were restored.
    pub fn restored(self) {
        self.resyncs.update(|resyncs| *resyncs += 1);
    }

    /// Removes a message that was deleted here or elsewhere, with all that follow it.
    pub fn remove(self, server_id: &str) {
        let found = self
            .conversation
            .with_untracked(|conversation| conversation.find(server_id));
        let Some(message) = found else { return };
        let removed = self
            .conversation
            .with_untracked(|conversation| conversation.with_followers(message));
        self.running.update(|running| {
            running.retain(|one| {
                let stays = !removed.contains(&one.message);
                if !stays {
                    one.task.abort();
                }
                stays
            });
        });
        self.change_draft(|draft| {
            if draft
                .editing()
                .is_some_and(|edited| removed.contains(&edited))
            {
                draft.cancel_edit();
            }
        });
        self.conversation
            .update(|conversation: &mut Conversation<_>| conversation.remove(message));
        let is_rest_unloaded = self.conversation.with_untracked(|conversation| {
            conversation.is_empty() && conversation.earlier().is_some()
        });
        if is_rest_unloaded {
            self.restored();
        } else {
            self.choose_leaf();
        }
    }
}
