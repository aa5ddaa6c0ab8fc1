//! The library of one owner, over the store: what the server functions and the page ask.

use std::sync::Arc;

use app::library::{Answer, Library};
use app::protocol::saved::{
    Change, ConversationDetail, ConversationList, MessageState, Opened, SearchHits,
};
use app::protocol::{ErrorBody, ErrorKind, Id, Refusal};
use futures::FutureExt;

use crate::generation::log::End;
use crate::state::AppState;
use crate::store::{LOCAL_OWNER, StoreError, TitledBy, now};

/// How many conversations and hits are given where nobody says how many.
const LIST: u32 = 50;
const HITS: u32 = 30;
/// The longest title, in characters.
const LONGEST_TITLE: usize = 200;

/// The conversations of an owner.
pub(crate) struct Shelf {
    state: AppState,
    owner: &'static str,
}

impl Shelf {
    /// Those of the one owner there is.
    pub(crate) fn local(state: AppState) -> Arc<Self> {
        Arc::new(Self {
            state,
            owner: LOCAL_OWNER,
        })
    }

    /// What a page shows when it is opened, at a conversation or at none.
    pub(crate) async fn open(&self, id: Option<&Id>) -> Opened {
        let list = self.state.store.list(self.owner, None, LIST).await;
        let conversation = match id {
            Some(id) => self.whole(id).await.ok(),
            None => None,
        };
        Opened {
            // A store that fails shows when something is asked of it; the page is there without it.
            list: list.unwrap_or_default(),
            conversation,
        }
    }

    /// A conversation, with the replies that run in it as far as they have come by now.
    async fn whole(&self, id: &str) -> Result<ConversationDetail, StoreError> {
        let mut whole = self.state.store.get(self.owner, id).await?;
        for message in &mut whole.messages {
            let MessageState::Streaming {
                generation,
                last_seq,
            } = &mut message.state
            else {
                continue;
            };
            let Some(running) = self.state.generations.get(self.owner, generation) else {
                continue;
            };
            // In this order: a reply that has ended by now has all of its text.
            let ended = running.log.ended();
            let (piece, seq) = running.log.whole();
            message.text = piece.text;
            message.reasoning = piece.reasoning;
            *last_seq = seq;
            message.could_not_be_saved = running.log.is_not_saved();
            match ended {
                None => {}
                Some(End::Done(finish)) => message.state = MessageState::Done { finish },
                Some(End::Failed(error)) => message.state = MessageState::Error(error),
            }
        }
        Ok(whole)
    }

    async fn told<T>(&self, id: &str, done: Result<T, StoreError>) -> Result<T, ErrorBody> {
        let done = done.map_err(refusal)?;
        self.state.tell_changed(self.owner, id).await;
        Ok(done)
    }
}

impl Library for Shelf {
    fn list(&self, before: Option<String>, limit: Option<u32>) -> Answer<'_, ConversationList> {
        async move {
            let limit = limit.unwrap_or(LIST);
            let list = self
                .state
                .store
                .list(self.owner, before.as_deref(), limit)
                .await;
            list.map_err(refusal)
        }
        .boxed()
    }

    fn get(&self, id: Id) -> Answer<'_, ConversationDetail> {
        async move { self.whole(&id).await.map_err(refusal) }.boxed()
    }

    fn rename(&self, id: Id, title: String) -> Answer<'_, ()> {
        async move {
            let title: Vec<&str> = title.split_whitespace().collect();
            let title: String = title.join(" ").chars().take(LONGEST_TITLE).collect();
            if title.is_empty() {
                return Err(refusal(StoreError::Invalid("title must not be empty.")));
            }
            let store = &self.state.store;
            let done = store
                .rename(self.owner, &id, &title, TitledBy::Person)
                .await;
            self.told(&id, done).await
        }
        .boxed()
    }

    fn pin(&self, id: Id, pinned: bool) -> Answer<'_, ()> {
        async move {
            let done = self.state.store.pin(self.owner, &id, pinned).await;
            self.told(&id, done).await
        }
        .boxed()
    }

    fn delete(&self, id: Id) -> Answer<'_, ()> {
        async move {
            let deleted = self.state.store.delete(self.owner, &id, now()).await;
            for generation in deleted.map_err(refusal)? {
                if let Some(running) = self.state.generations.get(self.owner, &generation) {
                    running.stop().await;
                }
            }
            self.state.tell(self.owner, Change::Removed(id.into()));
            Ok(())
        }
        .boxed()
    }

    fn restore(&self, id: Id) -> Answer<'_, ()> {
        async move {
            let done = self.state.store.restore(self.owner, &id).await;
            self.told(&id, done).await
        }
        .boxed()
    }

    fn show(&self, id: Id, leaf: Id) -> Answer<'_, ()> {
        async move {
            let done = self.state.store.show(self.owner, &id, &leaf).await;
            done.map_err(refusal)
        }
        .boxed()
    }

    fn read(&self, id: Id) -> Answer<'_, ()> {
        async move {
            let done = self.state.store.read(self.owner, &id, now()).await;
            self.told(&id, done).await
        }
        .boxed()
    }

    fn search(&self, query: String, limit: Option<u32>) -> Answer<'_, SearchHits> {
        async move {
            let limit = limit.unwrap_or(HITS);
            let hits = self.state.store.search(self.owner, &query, limit).await;
            hits.map(|hits| SearchHits { hits }).map_err(refusal)
        }
        .boxed()
    }
}

fn refusal(error: StoreError) -> ErrorBody {
    match error {
        StoreError::NotFound => ErrorBody::of(ErrorKind::NotFound),
        StoreError::Invalid(sentence) => ErrorBody {
            error: Refusal {
                kind: ErrorKind::BadRequest,
                message: sentence.to_owned(),
            },
        },
        StoreError::Failed(cause) => {
            tracing::error!(cause, "the database failed");
            ErrorBody::of(ErrorKind::NotSaved)
        }
    }
}
