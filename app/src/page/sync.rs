//! Synchronises the open conversation, the URL and the sidebar with the server.
//!
//! Everything here consists of effects, which run in the browser only. Most of it is a lazy part: while nothing is
//! saved there is nothing to synchronise. Only the URL of a new conversation does not wait for that part, because a
//! reload at the first word of a reply must open the conversation again.

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

/// The states that are synchronised.
#[derive(Clone, Copy)]
pub struct Sync {
    /// The open conversation.
    pub chat: Chat,
    /// The loader of its earlier messages.
    pub earlier: Earlier,
    /// The scroll position of its view.
    pub follow: Follow,
    /// The list of conversations.
    pub conversations: Conversations,
    /// The URL.
    pub navigation: Navigation,
    /// Whether the URL names a conversation that does not exist.
    pub is_missing: RwSignal<bool>,
    /// The server.
    pub server: StoredValue<Server>,
}

/// The state of the page as the server rendered it.
struct AsRendered {
    address: Address,
    rendered: Option<ConversationDetail>,
}

lazy_part! {
    /// Synchronises from now on, including changes since the page was rendered.
    fn synchronise(sync: Sync, owner: Owner, as_rendered: StoredValue<AsRendered>) -> () {
        owner.with(|| {
            // The page may be gone by now.
            let _ = as_rendered.try_with_value(|as_rendered| sync.synchronise(as_rendered));
        });
    }
}

impl Sync {
    /// Starts with the conversation that the server has rendered: at once if anything is saved, otherwise at the first
    /// interaction.
    pub fn begin(self, rendered: Option<ConversationDetail>) {
        self.navigate_on_send(rendered.as_ref().map(|detail| detail.id.clone()));
        let part = LazyPart::new();
        let owner = Owner::current().expect("a component has one");
        let as_rendered = StoredValue::new(AsRendered {
            address: self.navigation.address_untracked(),
            rendered,
        });
        let load = move || part.load(synchronise(self, owner.clone(), as_rendered));
        let index = self.conversations.index();
        let has_saved = Memo::new(move |_| {
            self.chat.id().is_some() || !index.with(ConversationIndex::is_empty)
        });
        let on_saved = load.clone();
        Effect::new(move |_| {
            if has_saved.get() {
                on_saved();
            }
        });
        on_each(FIRST_INTERACTION, load.clone());
        // A draft in another tab will soon be a conversation, which belongs in this tab's list.
        on_each(&["storage"], load);
    }

    fn synchronise(self, AsRendered { address, rendered }: &AsRendered) {
        self.conversations.today().set(today());
        if let Some(detail) = rendered {
            self.chat.follow_running(detail);
        }
        self.open_on_navigation(address.clone());
        self.seek_linked_message(rendered.as_ref());
        self.load_wanted_version();
        self.resync_when_needed();
        self.store_shown_path();
        self.subscribe_to_changes();
        let is_seen = Self::is_seen();
        self.mark_as_read(is_seen);
        self.show_in_tab(is_seen);
    }

    /// Opens a conversation when the URL changes: by a link, or by the browser's back and forward.
    fn open_on_navigation(self, as_rendered: Address) {
        Effect::new(move |before: Option<Address>| {
            let address = self.navigation.address();
            if before.as_ref().unwrap_or(&as_rendered) != &address {
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

    /// Sets the URL of a new conversation when its first message is sent, and resets it when that message is rolled
    /// back.
    fn navigate_on_send(self, as_rendered: Option<String>) {
        Effect::new(move |before: Option<Option<String>>| {
            let id = self.chat.id();
            let before = before.unwrap_or_else(|| as_rendered.clone());
            if before != id {
                let here = self.navigation.address_untracked();
                match (&id, &before) {
                    // A message can also start a conversation from the URL of a missing one.
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

    /// Loads and opens a conversation, unless the user has navigated on meanwhile.
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

    /// Stores the path that the user chose, so that a reload shows it.
    fn store_shown_path(self) {
        Effect::new(move |_| {
            if let (Some(leaf), Some(id)) = (self.chat.chosen(), self.chat.id_untracked()) {
                let server = self.server.get_value();
                spawn_local(async move {
                    // If this fails, a reload shows the path that was chosen before.
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

    /// Resynchronises the open conversation when the chat requests it.
    fn resync_when_needed(self) {
        Effect::new(move |before: Option<u32>| {
            let resyncs = self.chat.resyncs();
            if before.unwrap_or(0) != resyncs {
                self.catch_up();
            }
            resyncs
        });
    }

    /// Loads and merges the server's state of the open conversation.
    fn catch_up(self) {
        let Some(id) = self.chat.id_untracked() else {
            return;
        };
        // The server may not have the conversation yet.
        if self.chat.has_unaccepted_messages() {
            return;
        }
        let server = self.server.get_value();
        spawn_local(async move {
            let Ok(detail) = server.call(end_of(id.clone())).await else {
                return;
            };
            self.merge(&detail);
            // Replies on other paths may have changed, too.
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

    /// Merges the end of the open conversation. If it does not connect to the loaded messages, it replaces them.
    fn merge(self, detail: &ConversationDetail) {
        if !self.chat.catch_up(detail) {
            self.chat.open(detail);
            self.chat.follow_running(detail);
        }
    }

    /// Loads and shows a version that the user chose and that is not loaded.
    fn load_wanted_version(self) {
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

    /// Shows the end of a path. If it does not connect to the loaded messages, the conversation is opened again with it.
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

    /// Scrolls to a message that a link names: the link to this page, or a link in it.
    fn seek_linked_message(self, rendered: Option<&ConversationDetail>) {
        if let (Some(detail), Some(message)) = (rendered, self.navigation.take_message()) {
            self.chat.seek(detail.id.clone(), message);
        }
        Effect::new(move |_| {
            if let (Some(message), Some(id)) = (self.chat.sought(), self.chat.id_untracked()) {
                // The request is done once, whatever is opened later.
                self.chat.seek_no_more();
                spawn_local(self.seek(id, message));
            }
        });
    }

    async fn seek(self, id: String, message: String) {
        // A page that was opened at a message ends with that message.
        let is_partial = untrack(|| self.chat.has_later());
        if is_partial || !self.chat.has(&message) {
            let path = GetPath {
                through: Some(message.clone().into()),
                ..end_of(id.clone())
            };
            let found = self.server.get_value().call(path).await;
            if self.chat.id_untracked() != Some(id) {
                return;
            }
            match found {
                Ok(detail) if is_partial => {
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

    /// Loads up to a message and scrolls it into view.
    async fn bring_into_view(self, message: &str) {
        self.follow.pause();
        if self.earlier.load_until(message).await
            && let Some(place) = self.chat.show_message(message)
        {
            // The message is in the document at the next frame.
            next_frame(&BrowserClock).await;
            self.follow.bring_into_view(place);
        }
    }

    fn subscribe_to_changes(self) {
        let Some(backend) = use_backend() else {
            return;
        };
        Effect::new(move |_| {
            let mut changes = backend.changes();
            // Changes since the server rendered the page are in no stream.
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
            // Only new messages matter here, and not those of replies that this page reads itself.
            Change::Changed(summary) if summary.id == open => {
                let said = |one: &ConversationSummary| (one.updated_at, one.running);
                let is_news = known.is_none_or(|known| said(&known) != said(summary));
                if is_news && !self.chat.is_streaming_untracked() {
                    self.catch_up();
                }
            }
            Change::Reload => self.catch_up(),
            Change::MessagesRemoved(removed) if removed.conversation == open => {
                self.chat.remove(&removed.message);
            }
            Change::Changed(_) | Change::Removed(_) | Change::MessagesRemoved(_) => {}
        }
    }

    /// Whether the page is visible.
    fn is_seen() -> RwSignal<bool> {
        let lifecycle = use_lifecycle();
        let is_hidden = lifecycle
            .as_ref()
            .is_some_and(|lifecycle| lifecycle.is_hidden());
        let is_seen = RwSignal::new(!is_hidden);
        Effect::new(move |_| {
            let Some(lifecycle) = &lifecycle else { return };
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
        is_seen
    }

    /// Marks the open conversation as read while the page is visible.
    fn mark_as_read(self, is_seen: RwSignal<bool>) {
        Effect::new(move |_| {
            let Some(id) = self.chat.id() else { return };
            let is_unread = self.conversations.get(&id).is_some_and(|one| one.unread);
            if is_unread && is_seen.get() {
                self.conversations.mark_read(id);
            }
        });
    }
}

/// A request for the end of the path that is shown.
fn end_of(id: String) -> GetPath {
    GetPath {
        id: id.into(),
        last: None,
        through: None,
        version: None,
        limit: None,
    }
}

/// The current day in the browser's time zone.
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
