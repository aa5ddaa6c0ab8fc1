//! The list of saved conversations as signals, and its operations: rename, pin, delete, restore, search, load more.
//!
//! Operations are optimistic: the list changes at once. If the server rejects one, the list is reloaded and the
//! error shown.

use std::sync::Arc;
use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::library::backend::Server;
use crate::library::index::{ConversationIndex, Today};
use crate::library::{
    DeleteConversation, ListConversations, PinConversation, ReadConversation, RenameConversation,
    RestoreConversation, SearchConversations,
};
use crate::platform::clock::Clock;
use crate::protocol::ErrorBody;
use crate::protocol::saved::{Change, ConversationList, ConversationSummary, SearchHit};

/// How many conversations a page of the list has.
const PAGE: u32 = 50;

/// How long a toast is shown, and a deletion can be undone with one click.
const TOAST_TIME: Duration = Duration::from_secs(12);

/// Debounce: a search starts after this time without a key.
const TYPING_PAUSE: Duration = Duration::from_millis(150);

/// The most hits of a search.
const MOST_HITS: u32 = 50;

/// A short message at the foot of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Toast {
    /// A conversation was deleted and can be restored.
    Deleted {
        /// The id of the conversation.
        id: String,
        /// The title of the conversation.
        title: String,
    },
    /// Messages were deleted and can be restored by this id.
    DeletedMessages(String),
    /// Notifications are offered.
    OfferNotices,
    /// A sentence, such as an error.
    Text(String),
}

/// The list of conversations. The handle is `Copy`.
#[derive(Clone, Copy)]
pub struct Conversations {
    index: RwSignal<ConversationIndex>,
    today: RwSignal<Today>,
    query: RwSignal<String>,
    /// The hits of the search; `None` while there is no query.
    hits: RwSignal<Option<Vec<SearchHit>>>,
    toast: RwSignal<Option<Toast>>,
    clock: StoredValue<Arc<dyn Clock>>,
    server: StoredValue<Server>,
}

impl Conversations {
    /// A list that begins with its first page.
    #[must_use]
    pub fn new(
        list: ConversationList,
        today: Today,
        clock: Arc<dyn Clock>,
        server: Server,
    ) -> Self {
        Self {
            index: RwSignal::new(ConversationIndex::new(list)),
            today: RwSignal::new(today),
            query: RwSignal::new(String::new()),
            hits: RwSignal::new(None),
            toast: RwSignal::new(None),
            clock: StoredValue::new(clock),
            server: StoredValue::new(server),
        }
    }

    /// The conversations in their order.
    #[must_use]
    pub fn index(self) -> RwSignal<ConversationIndex> {
        self.index
    }

    /// The current day.
    #[must_use]
    pub fn today(self) -> RwSignal<Today> {
        self.today
    }

    /// The conversation with this id, if it is loaded.
    #[must_use]
    pub fn get(self, id: &str) -> Option<ConversationSummary> {
        self.index.with(|index| index.get(id).cloned())
    }

    /// The query of the search.
    #[must_use]
    pub fn query(self) -> RwSignal<String> {
        self.query
    }

    /// The hits of the search; `None` while there is no query.
    #[must_use]
    pub fn hits(self) -> Option<Vec<SearchHit>> {
        self.hits.get()
    }

    /// The toast that is shown.
    #[must_use]
    pub fn toast(self) -> Option<Toast> {
        self.toast.get()
    }

    /// Applies a change from the server. [`Change::Reload`] reloads the list.
    pub fn on_change(self, change: &Change) {
        match change {
            Change::Reload => self.reload(),
            change => self.index.update(|index| index.apply(change)),
        }
    }

    /// Reloads the first page of the list.
    pub fn reload(self) {
        let server = self.server.get_value();
        spawn_local(async move {
            if let Ok(list) = server.call(page_from(None)).await {
                let index = ConversationIndex::new(list);
                if self.index.with_untracked(|before| *before != index) {
                    self.index.set(index);
                }
            }
        });
    }

    /// Loads the next page of the list.
    pub fn load_more(self) {
        let Some(next) = self
            .index
            .with_untracked(|index| index.next().map(str::to_owned))
        else {
            return;
        };
        let server = self.server.get_value();
        spawn_local(async move {
            match server.call(page_from(Some(next))).await {
                Ok(list) => self.index.update(|index| index.extend(list)),
                Err(error) => self.say(error.error.message),
            }
        });
    }

    /// Renames a conversation. An empty or unchanged title changes nothing.
    pub fn rename(self, id: String, title: String) {
        let title = title.trim().to_owned();
        let Some(mut conversation) = self.get_untracked(&id) else {
            return;
        };
        if title.is_empty() || title == conversation.title {
            return;
        }
        conversation.title.clone_from(&title);
        self.index.update(|index| index.change(conversation));
        let server = self.server.get_value();
        spawn_local(async move {
            self.settle(
                server
                    .call(RenameConversation {
                        id: id.into(),
                        title,
                    })
                    .await,
            )
        });
    }

    /// Pins a conversation to the top of the list, or unpins it.
    pub fn pin(self, id: String, pinned: bool) {
        if let Some(mut conversation) = self.get_untracked(&id) {
            conversation.pinned = pinned;
            self.index.update(|index| index.change(conversation));
        }
        let server = self.server.get_value();
        spawn_local(async move {
            self.settle(
                server
                    .call(PinConversation {
                        id: id.into(),
                        pinned,
                    })
                    .await,
            )
        });
    }

    /// Deletes a conversation, and shows a toast with which it can be restored.
    pub fn delete(self, id: String) {
        self.deleted(id.clone());
        let server = self.server.get_value();
        spawn_local(
            async move { self.settle(server.call(DeleteConversation { id: id.into() }).await) },
        );
    }

    /// Shows a toast with which messages that were deleted can be restored.
    pub fn deleted_messages(self, id: String) {
        self.show(Toast::DeletedMessages(id));
    }

    /// Removes a conversation that was deleted, and shows a toast with which it can be restored.
    pub fn deleted(self, id: String) {
        let title = self
            .get_untracked(&id)
            .map_or_else(String::new, |one| one.title);
        self.index.update(|index| index.remove(&id));
        self.hits.update(|hits| {
            if let Some(hits) = hits {
                hits.retain(|hit| hit.conversation != id);
            }
        });
        self.show(Toast::Deleted { id, title });
    }

    /// Restores a deleted conversation, or deleted messages, and calls `then` if that succeeded.
    pub fn restore(self, id: String, then: impl FnOnce() + 'static) {
        self.toast.set(None);
        let server = self.server.get_value();
        spawn_local(async move {
            match server.call(RestoreConversation { id: id.into() }).await {
                Ok(()) => {
                    self.reload();
                    then();
                }
                Err(error) => self.say(error.error.message),
            }
        });
    }

    /// Marks a conversation as read.
    pub fn mark_read(self, id: String) {
        let Some(mut conversation) = self.get_untracked(&id).filter(|one| one.unread) else {
            return;
        };
        conversation.unread = false;
        self.index.update(|index| index.change(conversation));
        // If this fails, the mark comes back with the next reload.
        let server = self.server.get_value();
        spawn_local(async move {
            let _ = server.call(ReadConversation { id: id.into() }).await;
        });
    }

    /// Searches whenever the query changes, from now on.
    pub fn search_on_input(self) {
        Effect::new(move |_| {
            let query = self.query.get();
            if query.trim().is_empty() {
                self.hits.set(None);
            } else {
                self.search(query);
            }
        });
    }

    fn search(self, query: String) {
        let server = self.server.get_value();
        let pause = self.clock.with_value(|clock| clock.wait(TYPING_PAUSE));
        spawn_local(async move {
            pause.await;
            // A query that has changed meanwhile has a search of its own.
            let is_wanted = move |query: &String| self.query.with_untracked(|now| now == query);
            if !is_wanted(&query) {
                return;
            }
            let search = SearchConversations {
                query: query.clone(),
                limit: Some(MOST_HITS),
            };
            let found = server.call(search).await;
            if is_wanted(&query) {
                match found {
                    Ok(found) => self.hits.set(Some(found.hits)),
                    Err(error) => self.say(error.error.message),
                }
            }
        });
    }

    /// Offers notifications.
    pub fn offer_notices(self) {
        self.toast.set(Some(Toast::OfferNotices));
    }

    /// Shows a sentence as a toast.
    pub fn say(self, sentence: String) {
        self.show(Toast::Text(sentence));
    }

    /// Removes the toast.
    pub fn dismiss(self) {
        self.toast.set(None);
    }

    fn show(self, toast: Toast) {
        self.toast.set(Some(toast.clone()));
        let time = self.clock.with_value(|clock| clock.wait(TOAST_TIME));
        spawn_local(async move {
            time.await;
            let is_still_there = self
                .toast
                .with_untracked(|now| now.as_ref() == Some(&toast));
            if is_still_there {
                self.toast.set(None);
            }
        });
    }

    /// [`Conversations::get`] without subscribing.
    #[must_use]
    pub fn get_untracked(self, id: &str) -> Option<ConversationSummary> {
        self.index.with_untracked(|index| index.get(id).cloned())
    }

    /// Rolls an optimistic change back if the server rejected it: shows the error and reloads the list.
    fn settle(self, outcome: Result<(), ErrorBody>) {
        if let Err(error) = outcome {
            self.say(error.error.message);
            self.reload();
        }
    }
}

fn page_from(before: Option<String>) -> ListConversations {
    ListConversations {
        before,
        limit: Some(PAGE),
    }
}
