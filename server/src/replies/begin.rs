//! Begins the reply to a saved message, once for each request id. If the store fails, the reply begins all
//! the same where its prompt is known without the store.

use std::sync::Arc;

use app::protocol::saved::SendMessage;
use app::protocol::{ChatMessage, Role};

use super::log::Log;
use super::prompt::{chat_request, parameters};
use super::running::RunningReply;
use super::saved::{self, ReplyContext};
use super::{Guard, Replies, new_id, title};
use crate::reference::Reference;
use crate::store::{self, Begun, NewReply, PathEnd, PathLimit, Piece, Store, StoreError, Turn};
use crate::traces::CurrentSpan;

/// A validated message.
pub(crate) struct NewMessage {
    pub(crate) owner: String,
    pub(crate) conversation: String,
    pub(crate) request_id: String,
    pub(crate) turn: Turn,
    pub(crate) message: SendMessage,
}

/// The reason why no reply began.
pub(crate) enum BeginError<E> {
    /// The caller did not admit one more reply.
    NotAdmitted(E),
    /// The store refused the message.
    Store(StoreError),
    /// The store failed, and the prompt cannot be built without it.
    NotSaved,
    /// The task that begins the reply panicked.
    Panicked,
}

/// The cases in which no new reply begins.
enum Early<E> {
    /// The same request began a reply earlier, and that reply has ended.
    Known(Arc<Log>),
    Refused(BeginError<E>),
}

enum Beginning {
    Running(Arc<RunningReply>),
    Known(Arc<Log>),
}

impl Replies {
    /// Begins a reply, or finds the reply that the same request began before, and returns its log. `admit` is
    /// called only if a new reply begins. Its guard is dropped when the reply has ended.
    ///
    /// # Errors
    /// When no reply began.
    pub(crate) async fn begin<E: Send + 'static>(
        &self,
        new: NewMessage,
        admit: impl FnOnce() -> Result<Guard, E> + Send + 'static,
    ) -> Result<Arc<Log>, BeginError<E>> {
        let replies = self.clone();
        // A task of its own finishes also when the client disconnects. Otherwise the store could hold a
        // running reply that no task makes.
        let reference = Reference::current();
        let begin = async move { replies.begin_once(new, admit).await };
        let begin = CurrentSpan::carried(CurrentSpan::get(), begin);
        tokio::spawn(Reference::carried(reference, begin))
            .await
            .unwrap_or(Err(BeginError::Panicked))
    }

    async fn begin_once<E>(
        &self,
        new: NewMessage,
        admit: impl FnOnce() -> Result<Guard, E>,
    ) -> Result<Arc<Log>, BeginError<E>> {
        let (owner, request_id) = (new.owner.clone(), new.request_id.clone());
        let cell = self.running.of_request(&owner, &request_id);
        let begun = cell
            .get_or_try_init(|| async {
                let guard =
                    admit().map_err(|error| Early::Refused(BeginError::NotAdmitted(error)))?;
                match self.start_saved(new, guard).await.map_err(Early::Refused)? {
                    Beginning::Running(running) => Ok(running),
                    Beginning::Known(log) => Err(Early::Known(log)),
                }
            })
            .await
            .map(|running| Arc::clone(&running.log));
        drop(cell);
        match begun {
            Ok(log) => Ok(log),
            Err(early) => {
                self.running.forget_request(&owner, &request_id);
                match early {
                    Early::Known(log) => Ok(log),
                    Early::Refused(error) => Err(error),
                }
            }
        }
    }

    async fn start_saved<E>(
        &self,
        new: NewMessage,
        guard: Guard,
    ) -> Result<Beginning, BeginError<E>> {
        let model = new
            .message
            .model
            .clone()
            .unwrap_or_else(|| self.providers.default_model());
        let question = match &new.turn {
            Turn::Question { text, .. } => text.clone(),
            Turn::Regenerate(_) | Turn::Continue(_) => String::new(),
        };
        let reply = NewReply {
            conversation: new.conversation.clone(),
            request_id: new.request_id.clone(),
            generation: new_id(),
            turn: new.turn,
            model: model.clone(),
            parameters: parameters(&new.message),
            title: title::from_question(&question),
            now: store::now(),
        };
        let owner = new.owner;
        let (begun, is_stored) = match self.store.begin(&owner, &reply).await {
            Ok(begun) if begun.generation != reply.generation => {
                let known = self.log_of(&owner, &begun.generation).await;
                return known.map(Beginning::Known).map_err(BeginError::Store);
            }
            Ok(begun) => (begun, true),
            Err(StoreError::Failed(cause)) => {
                tracing::error!(cause, "a message could not be saved");
                (unstored(self, &owner, &reply).await?, false)
            }
            Err(error) => return Err(BeginError::Store(error)),
        };
        let request = chat_request(&new.message, &begun);
        let context = ReplyContext {
            owner: owner.clone(),
            conversation: new.conversation,
            request_id: new.request_id,
            guard,
        };
        let running = saved::run(self, context, &begun, request, model.clone(), is_stored);
        if is_stored {
            if begun.is_first {
                title::request_title(self, &running, &question, &model);
            }
            let conversation = &running.conversation;
            self.changes
                .announce_conversation(&owner, conversation)
                .await;
        }
        Ok(Beginning::Running(running))
    }
}

/// Begins a reply that the store did not accept, if the prompt can be built without it: for the first question
/// of a conversation, or where the history can still be read.
async fn unstored<E>(
    replies: &Replies,
    owner: &str,
    new: &NewReply,
) -> Result<Begun, BeginError<E>> {
    let refused = || BeginError::NotSaved;
    let Turn::Question { parent, text } = &new.turn else {
        return Err(refused());
    };
    let mut history = match parent {
        None => Vec::new(),
        Some(parent) => history_up_to(&replies.store, owner, &new.conversation, parent)
            .await
            .map_err(|_| refused())?,
    };
    history.push(ChatMessage {
        role: Role::User,
        content: text.clone(),
    });
    Ok(Begun {
        generation: new.generation.clone(),
        user_message: Some(store::new_id()),
        message: store::new_id(),
        is_first: parent.is_none(),
        history,
        base: Piece::default(),
    })
}

/// The messages from the root of a conversation to this one, for the prompt. They are read in parts, so that
/// no other messages are in memory.
async fn history_up_to(
    store: &Store,
    owner: &str,
    conversation: &str,
    message: &str,
) -> store::Result<Vec<ChatMessage>> {
    const PART: PathLimit = PathLimit {
        messages: 500,
        bytes: 4 * 1024 * 1024,
    };
    let mut history = Vec::new();
    let mut next = Some(message.to_owned());
    while let Some(last) = next {
        let part = store
            .path(owner, conversation, &PathEnd::At(last), PART)
            .await?;
        // The parts come from the newest message to the oldest.
        let messages = part.messages.into_iter().rev();
        history.extend(messages.map(|message| ChatMessage {
            role: message.role,
            content: message.text,
        }));
        next = part.earlier;
    }
    history.reverse();
    history.retain(|message| !message.content.trim().is_empty());
    Ok(history)
}
