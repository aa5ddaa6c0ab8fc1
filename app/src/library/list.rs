//! The saved conversations beside the one that is open, as signals, and what one can do with them:
//! rename, pin, delete and take that back, search, load more, import.
//!
//! What was done is seen at once; if the server says no, the list is read anew and the sentence shown.

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

/// How many conversations are loaded at a time.
const PART: u32 = 50;

/// How long one can take a deletion back with one click.
const UNDO_TIME: Duration = Duration::from_secs(12);

/// A search begins when the person has not typed for so long.
const TYPING_PAUSE: Duration = Duration::from_millis(150);

/// How many places a search shows.
const MOST_HITS: u32 = 50;

/// What stands at the foot of the list for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Toast {
    /// A conversation was deleted, and one can take that back.
    Deleted {
        /// Its id.
        id: String,
        /// Its title.
        title: String,
    },
    /// Something else that is to be read.
    Said(String),
}

/// The conversations: a handle that can be copied to wherever it is needed.
#[derive(Clone, Copy)]
pub struct Conversations {
    index: RwSignal<ConversationIndex>,
    today: RwSignal<Today>,
    query: RwSignal<String>,
    /// What the search found; `None` while nothing is looked for.
    hits: RwSignal<Option<Vec<SearchHit>>>,
    toast: RwSignal<Option<Toast>>,
    clock: StoredValue<Arc<dyn Clock>>,
    server: StoredValue<Server>,
}

impl Conversations {
    /// The head of the list, on this day.
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

    /// The list.
    #[must_use]
    pub fn index(self) -> RwSignal<ConversationIndex> {
        self.index
    }

    /// What day it is.
    #[must_use]
    pub fn today(self) -> RwSignal<Today> {
        self.today
    }

    /// A conversation of the list.
    #[must_use]
    pub fn get(self, id: &str) -> Option<ConversationSummary> {
        self.index.with(|index| index.get(id).cloned())
    }

    /// The words that are looked for.
    #[must_use]
    pub fn query(self) -> RwSignal<String> {
        self.query
    }

    /// What was found; `None` while nothing is looked for.
    #[must_use]
    pub fn hits(self) -> Option<Vec<SearchHit>> {
        self.hits.get()
    }

    /// What stands at the foot of the list.
    #[must_use]
    pub fn toast(self) -> Option<Toast> {
        self.toast.get()
    }

    /// Takes a change in that somebody else made. Changes that were missed are read.
    pub fn on_change(self, change: &Change) {
        match change {
            Change::Reload => self.reload(),
            change => self.index.update(|index| index.apply(change)),
        }
    }

    /// Reads the head of the list anew.
    pub fn reload(self) {
        let server = self.server.get_value();
        spawn_local(async move {
            if let Ok(list) = server.call(part_from(None)).await {
                let index = ConversationIndex::new(list);
                if self.index.with_untracked(|before| *before != index) {
                    self.index.set(index);
                }
            }
        });
    }

    /// Reads the part of the list that follows.
    pub fn load_more(self) {
        let Some(next) = self
            .index
            .with_untracked(|index| index.next().map(str::to_owned))
        else {
            return;
        };
        let server = self.server.get_value();
        spawn_local(async move {
            match server.call(part_from(Some(next))).await {
                Ok(list) => self.index.update(|index| index.extend(list)),
                Err(error) => self.say(error.error.message),
            }
        });
    }

    /// Gives a conversation another title.
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

    /// Puts a conversation above the others, or back among them.
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

    /// Deletes a conversation. For a while it can be taken back.
    pub fn delete(self, id: String) {
        let title = self
            .get_untracked(&id)
            .map_or_else(String::new, |one| one.title);
        self.index.update(|index| index.remove(&id));
        self.hits.update(|hits| {
            if let Some(hits) = hits {
                hits.retain(|hit| hit.conversation != id);
            }
        });
        self.show(Toast::Deleted {
            id: id.clone(),
            title,
        });
        let server = self.server.get_value();
        spawn_local(
            async move { self.settle(server.call(DeleteConversation { id: id.into() }).await) },
        );
    }

    /// Takes a deletion back; `then` is called once the conversation is there again.
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

    /// Notes that what is new in a conversation was seen.
    pub fn mark_read(self, id: String) {
        let Some(mut conversation) = self.get_untracked(&id).filter(|one| one.unread) else {
            return;
        };
        conversation.unread = false;
        self.index.update(|index| index.change(conversation));
        // If it fails the mark comes back, which is all that it is worth.
        let server = self.server.get_value();
        spawn_local(async move {
            let _ = server.call(ReadConversation { id: id.into() }).await;
        });
    }

    /// Looks for the words as they are typed, from now on.
    pub fn follow_the_query(self) {
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
            // Who types on wants to know about the longer word.
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

    /// Shows a sentence for a while.
    pub fn say(self, sentence: String) {
        self.show(Toast::Said(sentence));
    }

    /// Takes what stands at the foot of the list away.
    pub fn dismiss(self) {
        self.toast.set(None);
    }

    fn show(self, toast: Toast) {
        self.toast.set(Some(toast.clone()));
        let time = self.clock.with_value(|clock| clock.wait(UNDO_TIME));
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

    /// The same, for those who want to know it once.
    #[must_use]
    pub fn get_untracked(self, id: &str) -> Option<ConversationSummary> {
        self.index.with_untracked(|index| index.get(id).cloned())
    }

    /// What was shown before the server agreed is taken back if it did not.
    fn settle(self, outcome: Result<(), ErrorBody>) {
        if let Err(error) = outcome {
            self.say(error.error.message);
            self.reload();
        }
    }
}

fn part_from(before: Option<String>) -> ListConversations {
    ListConversations {
        before,
        limit: Some(PART),
    }
}
