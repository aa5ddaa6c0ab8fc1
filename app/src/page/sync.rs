//! Keeps the chat, the address, the list and the server at one: what is opened where the address leads,
//! what the server is told of what is shown, and what the page takes in of what others do.
//!
//! Everything here runs in the browser only: it is made of effects. Most of it is a part of the page: where
//! nothing is saved there is nothing to keep at one, until the person begins. That a conversation gets its
//! address does not wait for that part: whoever reloads at the first word of a reply must come back to it.

use futures::StreamExt;
use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::chat::Chat;
use crate::library::backend::{Server, use_backend};
use crate::library::index::{ConversationIndex, Today};
use crate::library::list::Conversations;
use crate::library::{GetPath, ShowMessage};
use crate::page::earlier::Earlier;
use crate::page::lazy::{FIRST_INTERACTION, LazyPart, lazy_part, on_each};
use crate::page::navigation::{Address, Navigation};
use crate::platform::clock::{BrowserClock, next_frame};
use crate::platform::lifecycle::{LifecycleEvent, use_lifecycle};
use crate::protocol::ErrorKind;
use crate::protocol::saved::{Change, ConversationDetail, ConversationSummary};
use crate::ui::transcript::follow::Follow;

/// What is kept at one.
#[derive(Clone, Copy)]
pub struct Sync {
    /// The conversation that is open.
    pub chat: Chat,
    /// What of it is not loaded.
    pub earlier: Earlier,
    /// The view of it.
    pub follow: Follow,
    /// The list.
    pub conversations: Conversations,
    /// The address.
    pub navigation: Navigation,
    /// Whether the address names a conversation that does not exist.
    pub is_missing: RwSignal<bool>,
    /// The way to the server.
    pub server: StoredValue<Server>,
}

/// How the page was before anything in it changed.
struct AtFirst {
    address: Address,
    rendered: Option<ConversationDetail>,
}

lazy_part! {
    /// Keeps it at one from now on, with what has changed since the page was opened.
    fn keep_at_one(sync: Sync, owner: Owner, at_first: StoredValue<AtFirst>) -> () {
        owner.with(|| {
            // The page may be gone by now.
            let _ = at_first.try_with_value(|at_first| sync.keep_at_one(at_first));
        });
    }
}

impl Sync {
    /// Begins, with the conversation that the server has rendered: at once where something is saved,
    /// else as soon as the person turns to the page.
    pub fn begin(self, rendered: Option<ConversationDetail>) {
        self.name_what_begins(rendered.as_ref().map(|detail| detail.id.clone()));
        let part = LazyPart::new();
        let owner = Owner::current().expect("a component has one");
        let at_first = StoredValue::new(AtFirst {
            address: self.navigation.address_untracked(),
            rendered,
        });
        let load = move || part.load(keep_at_one(self, owner.clone(), at_first));
        let index = self.conversations.index();
        let is_something_saved = Memo::new(move |_| {
            self.chat.id().is_some() || !index.with(ConversationIndex::is_empty)
        });
        let on_something = load.clone();
        Effect::new(move |_| {
            if is_something_saved.get() {
                on_something();
            }
        });
        on_each(FIRST_INTERACTION, load.clone());
        // Somebody writes in another tab, of which this one's list is to know.
        on_each(&["storage"], load);
    }

    fn keep_at_one(self, AtFirst { address, rendered }: &AtFirst) {
        self.conversations.today().set(today());
        if let Some(detail) = rendered {
            self.chat.follow_running(detail);
        }
        self.open_what_the_address_names(address.clone());
        self.seek_what_the_address_names(rendered.as_ref());
        self.load_the_wanted_version();
        self.resync_when_needed();
        self.note_the_path();
        self.hear_of_changes();
        self.mark_as_read();
        self.write_the_title();
    }

    /// The address changed: a link, or the browser's back and forward.
    fn open_what_the_address_names(self, at_first: Address) {
        Effect::new(move |before: Option<Address>| {
            let address = self.navigation.address();
            if before.as_ref().unwrap_or(&at_first) != &address {
                match &address {
                    Address::Conversation(id) if self.chat.id_untracked().as_ref() != Some(id) => {
                        self.open(id.clone());
                    }
                    Address::Conversation(_) | Address::Missing => {}
                    Address::New => {
                        self.is_missing.set(false);
                        if self.chat.id_untracked().is_some() {
                            self.chat.start_anew(false);
                        }
                    }
                }
            }
            address
        });
    }

    /// A conversation has its address as soon as its first message is sent, and loses it again when
    /// that message comes back.
    fn name_what_begins(self, at_first: Option<String>) {
        Effect::new(move |before: Option<Option<String>>| {
            let id = self.chat.id();
            let before = before.unwrap_or_else(|| at_first.clone());
            if before != id {
                let here = self.navigation.address_untracked();
                match (&id, &before) {
                    // What was sent from the place of a missing conversation begins one, too.
                    (Some(id), None) => {
                        self.is_missing.set(false);
                        self.navigation.go(Address::Conversation(id.clone()));
                    }
                    (None, Some(before)) if here == Address::Conversation(before.clone()) => {
                        self.navigation.replace(Address::New);
                    }
                    _ => {}
                }
            }
            id
        });
    }

    /// Reads a conversation and shows it, unless the person has gone on meanwhile.
    fn open(self, id: String) {
        let server = self.server.get_value();
        spawn_local(async move {
            let found = server.call(end_of(id.clone())).await;
            if self.navigation.address_untracked() != Address::Conversation(id.clone()) {
                return;
            }
            match found {
                Ok(detail) => {
                    self.is_missing.set(false);
                    self.chat.open(&detail);
                    self.chat.follow_running(&detail);
                }
                Err(refusal) if refusal.error.kind == ErrorKind::NotFound => {
                    self.chat.start_anew(false);
                    self.is_missing.set(true);
                }
                Err(refusal) => self.conversations.say(refusal.error.message),
            }
        });
    }

    /// Which path is shown stays so after a reload.
    fn note_the_path(self) {
        Effect::new(move |_| {
            if let (Some(leaf), Some(id)) = (self.chat.chosen(), self.chat.id_untracked()) {
                let server = self.server.get_value();
                spawn_local(async move {
                    // If it fails, a reload shows the path that was seen before.
                    let _ = server
                        .call(ShowMessage {
                            id: id.into(),
                            leaf: leaf.into(),
                        })
                        .await;
                });
            }
        });
    }

    /// Something in the open conversation is not as the page thought.
    fn resync_when_needed(self) {
        Effect::new(move |before: Option<u32>| {
            let resyncs = self.chat.resyncs();
            if before.unwrap_or(0) != resyncs {
                self.catch_up();
            }
            resyncs
        });
    }

    /// Takes in what the server has of the open conversation.
    fn catch_up(self) {
        let Some(id) = self.chat.id_untracked() else {
            return;
        };
        // The server may not have it yet.
        if self.chat.has_unaccepted_messages() {
            return;
        }
        let server = self.server.get_value();
        spawn_local(async move {
            let Ok(detail) = server.call(end_of(id.clone())).await else {
                return;
            };
            self.take_in(&detail);
            // Replies on other paths may have gone on, too.
            for message in self.chat.unsettled(&detail) {
                let alone = GetPath {
                    last: Some(message.into()),
                    limit: Some(1),
                    ..end_of(id.clone())
                };
                if let Ok(part) = server.call(alone).await {
                    let part = ConversationDetail { leaf: None, ..part };
                    let _ = self.chat.catch_up(&part);
                }
            }
        });
    }

    /// Takes in the end of the open conversation. Where what is new is so much that it does not follow
    /// what is loaded, that is let go.
    fn take_in(self, detail: &ConversationDetail) {
        if !self.chat.catch_up(detail) {
            self.chat.open(detail);
            self.chat.follow_running(detail);
        }
    }

    /// The person stepped to a version that is not loaded.
    fn load_the_wanted_version(self) {
        Effect::new(move |_| {
            let (Some((through, number)), Some(id)) =
                (self.chat.wanted(), self.chat.id_untracked())
            else {
                return;
            };
            let path = GetPath {
                through: Some(through.into()),
                version: u32::try_from(number).ok(),
                ..end_of(id)
            };
            let server = self.server.get_value();
            spawn_local(async move {
                match server.call(path).await {
                    Ok(detail) => self.show_path(&detail).await,
                    Err(refusal) => self.conversations.say(refusal.error.message),
                }
            });
        });
    }

    /// Shows the end of a path, and more of it where that does not reach up to what is loaded.
    async fn show_path(self, detail: &ConversationDetail) {
        if self.chat.id_untracked().as_ref() != Some(&detail.id) || self.chat.show_path(detail) {
            return;
        }
        self.chat.open(detail);
        self.chat.follow_running(detail);
        self.chat.choose_leaf();
        if let Some(message) = &detail.through {
            self.bring_into_view(message).await;
        }
    }

    /// Brings messages into view that a link names: one that led to this page, or one in it.
    fn seek_what_the_address_names(self, rendered: Option<&ConversationDetail>) {
        if let (Some(detail), Some(message)) = (rendered, self.navigation.take_message()) {
            self.chat.seek(detail.id.clone(), message);
        }
        Effect::new(move |_| {
            if let (Some(message), Some(id)) = (self.chat.sought(), self.chat.id_untracked()) {
                // Once is enough, whatever is opened later.
                self.chat.seek_no_more();
                spawn_local(self.seek(id, message));
            }
        });
    }

    async fn seek(self, id: String, message: String) {
        // A page that was opened at a message ends with it.
        let is_cut = untrack(|| self.chat.has_later());
        if is_cut || !self.chat.has(&message) {
            let path = GetPath {
                through: Some(message.clone().into()),
                ..end_of(id.clone())
            };
            let found = self.server.get_value().call(path).await;
            if self.chat.id_untracked() != Some(id) {
                return;
            }
            match found {
                Ok(detail) if is_cut => {
                    self.chat.open(&detail);
                    self.chat.follow_running(&detail);
                }
                Ok(detail) if detail.leaf == self.chat.leaf_server_id() => {}
                Ok(detail) => return self.show_path(&detail).await,
                Err(refusal) => return self.conversations.say(refusal.error.message),
            }
        }
        self.bring_into_view(&message).await;
    }

    /// Loads up to a message and shows it.
    async fn bring_into_view(self, message: &str) {
        self.follow.pause();
        if self.earlier.load_until(message).await
            && let Some(place) = self.chat.show_message(message)
        {
            // It is in the document by then.
            next_frame(&BrowserClock).await;
            self.follow.bring_into_view(place);
        }
    }

    fn hear_of_changes(self) {
        let Some(backend) = use_backend() else {
            return;
        };
        Effect::new(move |_| {
            let mut changes = backend.changes();
            // What changed since the server rendered the page was told to nobody here.
            self.conversations.reload();
            spawn_local(async move {
                while let Some(change) = changes.next().await {
                    self.on_change(&change);
                }
            });
        });
    }

    fn on_change(self, change: &Change) {
        let known = match change {
            Change::Changed(summary) => self.conversations.get_untracked(&summary.id),
            _ => None,
        };
        self.conversations.on_change(change);
        let Some(open) = self.chat.id_untracked() else {
            return;
        };
        match change {
            // What this page reads itself it need not be told; nor is another title or mark a message.
            Change::Changed(summary) if summary.id == open => {
                let said = |one: &ConversationSummary| (one.updated_at, one.running);
                let is_news = known.is_none_or(|known| said(&known) != said(summary));
                if is_news && !self.chat.is_streaming_untracked() {
                    self.catch_up();
                }
            }
            Change::Reload => self.catch_up(),
            Change::Changed(_) | Change::Removed(_) => {}
        }
    }

    /// What ended while the person looks at it is no news.
    fn mark_as_read(self) {
        let Some(lifecycle) = use_lifecycle() else {
            return;
        };
        let is_seen = RwSignal::new(!lifecycle.is_hidden());
        Effect::new(move |_| {
            let mut lifecycle_events = lifecycle.events();
            spawn_local(async move {
                while let Some(lifecycle_event) = lifecycle_events.next().await {
                    match lifecycle_event {
                        LifecycleEvent::Shown => is_seen.set(true),
                        LifecycleEvent::Hidden => is_seen.set(false),
                        LifecycleEvent::Online => {}
                    }
                }
            });
        });
        Effect::new(move |_| {
            let Some(id) = self.chat.id() else { return };
            let is_unread = self.conversations.get(&id).is_some_and(|one| one.unread);
            if is_unread && is_seen.get() {
                self.conversations.mark_read(id);
            }
        });
    }

    fn write_the_title(self) {
        Effect::new(move |_| {
            let id = self.chat.id();
            let listed = id.and_then(|id| Some(self.conversations.get(&id)?.title));
            let title = listed.or_else(|| self.chat.title());
            document().set_title(&page_title(title.as_deref()));
        });
    }
}

/// The end of the path that is shown.
fn end_of(id: String) -> GetPath {
    GetPath {
        id: id.into(),
        last: None,
        through: None,
        version: None,
        limit: None,
    }
}

/// What stands on the browser's tab.
fn page_title(conversation: Option<&str>) -> String {
    match conversation {
        Some(title) if !title.trim().is_empty() => format!("{title} · Rill"),
        _ => "Rill".to_owned(),
    }
}

/// What day it is where the browser is.
fn today() -> Today {
    let now = js_sys::Date::new_0();
    #[expect(
        clippy::cast_possible_truncation,
        reason = "milliseconds since 1970 fit for a long time"
    )]
    let whole = |number: f64| number as i64;
    Today {
        now: whole(now.get_time()),
        ahead: whole(-now.get_timezone_offset() * 60_000.0),
    }
}
