//! The library of one owner over the store, for the server functions and the page.

use std::sync::Arc;

use app::library::{Answer, Library, PathPart};
use app::protocol::saved::{
    Change, ConversationDetail, ConversationList, InitialData, MessageState, OutlineQuestion,
    RemovedMessages, SearchHits,
};
use app::protocol::{ErrorBody, ErrorKind, Id, Preset, Refusal};
use futures::FutureExt;

use crate::access::Caller;
use crate::http::state::AppState;
use crate::store::{GenerationEnd, PathEnd, PathLimit, StoreError, TitledBy, now};

/// The default number of conversations and search hits.
const LIST: u32 = 50;
const HITS: u32 = 30;
/// The default size of a part of a conversation. The page holds its text twice, as HTML and as data.
const PART: PathLimit = PathLimit {
    messages: 50,
    bytes: 384 * 1024,
};
/// The most messages of a part.
const MOST_MESSAGES: u32 = 500;
/// The longest title, in characters.
const LONGEST_TITLE: usize = 200;

/// The conversations of an owner.
pub(crate) struct StoredLibrary {
    state: AppState,
    owner: String,
}

impl StoredLibrary {
    /// The library of the caller.
    pub(crate) fn of(state: AppState, caller: &Caller) -> Arc<Self> {
        Arc::new(Self {
            state,
            owner: caller.owner().to_owned(),
        })
    }

    /// The initial data of a page, with the conversation up to this message or up to its end.
    pub(crate) async fn open(&self, id: Option<&Id>, message: Option<Id>) -> InitialData {
        let list = self.state.store.list(&self.owner, None, LIST).await;
        let conversation = match (id, message) {
            (Some(id), Some(message)) => {
                match self.part(id, &PathEnd::At(message.into()), PART).await {
                    Ok(part) => Some(part),
                    // A link to a missing message shows the conversation.
                    Err(_) => self.part(id, &PathEnd::Shown, PART).await.ok(),
                }
            }
            (Some(id), None) => self.part(id, &PathEnd::Shown, PART).await.ok(),
            (None, _) => None,
        };
        InitialData {
            // The page opens without data if the store fails. A later request reports the failure.
            list: list.unwrap_or_default(),
            conversation,
        }
    }

    /// A conversation, with the current text of its running replies.
    async fn whole(&self, id: &str) -> Result<ConversationDetail, StoreError> {
        let mut whole = self.state.store.get(&self.owner, id).await?;
        self.add_running_text(&mut whole);
        Ok(whole)
    }

    /// A part of a path, with the current text of its running replies.
    async fn part(
        &self,
        id: &str,
        end: &PathEnd,
        limit: PathLimit,
    ) -> Result<ConversationDetail, StoreError> {
        let mut part = self.state.store.path(&self.owner, id, end, limit).await?;
        self.add_running_text(&mut part);
        Ok(part)
    }

    fn add_running_text(&self, conversation: &mut ConversationDetail) {
        for message in &mut conversation.messages {
            let MessageState::Streaming {
                generation,
                last_seq,
            } = &mut message.state
            else {
                continue;
            };
            let Some(running) = self.state.replies.running.get(&self.owner, generation) else {
                continue;
            };
            // The end is read before the text, so that a reply with an end has all of its text.
            let ended = running.log.ended();
            let (piece, seq) = running.log.whole();
            message.text = piece.text;
            message.reasoning = piece.reasoning;
            *last_seq = seq;
            message.could_not_be_saved = running.log.is_not_saved();
            match ended {
                None => {}
                Some(GenerationEnd::Done(finish)) => message.state = MessageState::Done { finish },
                Some(GenerationEnd::Failed(error)) => message.state = MessageState::Error(error),
            }
        }
    }

    async fn stop_all(&self, generations: Vec<String>) {
        for generation in generations {
            if let Some(running) = self.state.replies.running.get(&self.owner, &generation) {
                running.stop().await;
            }
        }
    }

    async fn announced<T>(&self, id: &str, done: Result<T, StoreError>) -> Result<T, ErrorBody> {
        let done = done.map_err(refusal)?;
        self.state
            .changes
            .announce_conversation(&self.owner, id)
            .await;
        Ok(done)
    }
}

impl Library for StoredLibrary {
    fn list(&self, before: Option<String>, limit: Option<u32>) -> Answer<'_, ConversationList> {
        async move {
            let limit = limit.unwrap_or(LIST);
            let list = self
                .state
                .store
                .list(&self.owner, before.as_deref(), limit)
                .await;
            list.map_err(refusal)
        }
        .boxed()
    }

    fn get(&self, id: Id) -> Answer<'_, ConversationDetail> {
        async move { self.whole(&id).await.map_err(refusal) }.boxed()
    }

    fn path(&self, part: PathPart) -> Answer<'_, ConversationDetail> {
        async move {
            let PathPart {
                id,
                last,
                through,
                version,
                limit,
            } = part;
            let end = match (last, through, version) {
                (None, None, None) => PathEnd::Shown,
                (Some(last), None, None) => PathEnd::At(last.into()),
                (None, Some(through), version) => PathEnd::Through(through.into(), version),
                _ => {
                    return Err(refusal(StoreError::Invalid(
                        "last and through exclude each other, and version needs through.",
                    )));
                }
            };
            let limit = PathLimit {
                messages: limit.unwrap_or(PART.messages).clamp(1, MOST_MESSAGES),
                ..PART
            };
            self.part(&id, &end, limit).await.map_err(refusal)
        }
        .boxed()
    }

    fn outline(&self, id: Id) -> Answer<'_, Vec<OutlineQuestion>> {
        async move {
            let outline = self.state.store.outline(&self.owner, &id).await;
            outline.map_err(refusal)
        }
        .boxed()
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
                .rename(&self.owner, &id, &title, TitledBy::Person)
                .await;
            self.announced(&id, done).await
        }
        .boxed()
    }

    fn pin(&self, id: Id, pinned: bool) -> Answer<'_, ()> {
        async move {
            let done = self.state.store.pin(&self.owner, &id, pinned).await;
            self.announced(&id, done).await
        }
        .boxed()
    }

    fn delete(&self, id: Id) -> Answer<'_, ()> {
        async move {
            let deleted = self.state.store.delete(&self.owner, &id, now()).await;
            self.stop_all(deleted.map_err(refusal)?).await;
            self.state
                .changes
                .announce(&self.owner, Change::Removed(id.into()));
            Ok(())
        }
        .boxed()
    }

    fn restore(&self, id: Id) -> Answer<'_, ()> {
        async move {
            let done = self.state.store.restore(&self.owner, &id).await;
            let conversation = done.map_err(refusal)?;
            if conversation != *id {
                // Pages must read the messages that are back.
                self.state.changes.announce(&self.owner, Change::Reload);
            }
            self.announced(&conversation, Ok(())).await
        }
        .boxed()
    }

    fn edit_reply(&self, id: Id, message: Id, text: String) -> Answer<'_, String> {
        async move {
            if text.trim().is_empty() {
                return Err(refusal(StoreError::Invalid("text must not be empty.")));
            }
            let store = &self.state.store;
            let done = store.edit_reply(&self.owner, &id, &message, &text, now());
            self.announced(&id, done.await).await
        }
        .boxed()
    }

    fn fork(&self, id: Id, message: Id, into: Id) -> Answer<'_, String> {
        async move {
            let store = &self.state.store;
            let copied = store.fork(&self.owner, &id, &message, &into, now()).await;
            let copy = copied.map_err(refusal)?;
            self.announced(&copy, Ok(copy.clone())).await
        }
        .boxed()
    }

    fn delete_messages(&self, id: Id, message: Id) -> Answer<'_, String> {
        async move {
            let cut = self.state.store.cut(&self.owner, &id, &message, now());
            let cut = cut.await.map_err(refusal)?;
            self.stop_all(cut.running).await;
            let change = if cut.id == *id {
                Change::Removed(id.into())
            } else {
                Change::MessagesRemoved(RemovedMessages {
                    conversation: id.into(),
                    message: message.into(),
                })
            };
            self.state.changes.announce(&self.owner, change);
            Ok(cut.id)
        }
        .boxed()
    }

    fn presets(&self) -> Answer<'_, Vec<Preset>> {
        async move {
            let mut presets = self
                .state
                .store
                .presets(&self.owner)
                .await
                .map_err(refusal)?;
            let own: Vec<String> = presets.iter().map(|own| own.name.to_lowercase()).collect();
            let shared = self.state.config.presets.iter().cloned();
            presets.extend(shared.filter(|shared| !own.contains(&shared.name.to_lowercase())));
            Ok(presets)
        }
        .boxed()
    }

    fn save_preset(&self, preset: Preset, replaces: Option<String>) -> Answer<'_, ()> {
        async move {
            if let Some(fault) = preset.fault() {
                return Err(refusal(StoreError::Invalid(fault)));
            }
            let preset = Preset {
                name: preset.name.trim().to_owned(),
                shared: false,
                ..preset
            };
            let store = &self.state.store;
            let saved = store.save_preset(&self.owner, &preset, replaces.as_deref());
            saved.await.map_err(refusal)
        }
        .boxed()
    }

    fn delete_preset(&self, name: String) -> Answer<'_, ()> {
        async move {
            let deleted = self.state.store.delete_preset(&self.owner, &name).await;
            deleted.map_err(refusal)
        }
        .boxed()
    }

    fn show(&self, id: Id, leaf: Id) -> Answer<'_, ()> {
        async move {
            let done = self.state.store.show(&self.owner, &id, &leaf).await;
            done.map_err(refusal)
        }
        .boxed()
    }

    fn read(&self, id: Id) -> Answer<'_, ()> {
        async move {
            let done = self.state.store.mark_read(&self.owner, &id, now()).await;
            self.announced(&id, done).await
        }
        .boxed()
    }

    fn search(&self, query: String, limit: Option<u32>) -> Answer<'_, SearchHits> {
        async move {
            let limit = limit.unwrap_or(HITS);
            let hits = self.state.store.search(&self.owner, &query, limit).await;
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
