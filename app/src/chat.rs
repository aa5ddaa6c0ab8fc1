//! The state of the open conversation as signals, and its operations: send, stop, regenerate, continue, edit, and
//! switch between versions.
//!
//! Each reply is a signal of its own, so streaming text notifies nothing else. The tree of messages changes only when
//! a message is added or another version is shown.
//!
//! A chat contains one conversation at a time: a saved one, which the server knows by its id, or a temporary one,
//! which exists only in this page. The chat knows neither the DOM nor the network: a [`ChatTransport`] yields events, a
//! [`Clock`] frames. `send` starts replies, `receive` reads them, `stop` ends them, and `load` shows saved
//! conversations.

pub mod announcement;
pub mod branches;
pub mod draft;
pub mod enter_key;
mod load;
pub mod pacing;
pub mod preferences;
mod receive;
mod send;
mod stop;
pub mod tree;

use std::sync::Arc;
use std::time::Duration;

use futures::future::AbortHandle;
use leptos::prelude::*;

use crate::chat::announcement::Announcement;
use crate::chat::draft::Draft;
use crate::chat::preferences::{Choices, Preferences};
use crate::chat::tree::{Conversation, MessageId, Version, VersionStep};
use crate::platform::clock::Clock;
use crate::platform::keys::Keys;
use crate::platform::lifecycle::Lifecycle;
use crate::protocol::ReplyError;
use crate::reply::Reply;
use crate::reply::transport::ChatTransport;

/// The content of a message.
#[derive(Debug, Clone)]
pub enum Message {
    /// A message of the user.
    Question(Arc<str>),
    /// A reply of the model, which may be streaming.
    Reply(ArcRwSignal<Reply>),
}

/// The state of the connection to the server while a reply streams.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ConnectionState {
    /// Connected.
    #[default]
    Fine,
    /// The connection is lost and is being resumed.
    Lost,
    /// A proxy buffers the stream.
    HeldBack,
}

/// The open conversation. The handle is `Copy`.
#[derive(Clone, Copy)]
pub struct Chat {
    conversation: RwSignal<Conversation<Message>>,
    /// The id of a saved conversation that has messages.
    id: RwSignal<Option<String>>,
    /// The title when the conversation was opened.
    title: RwSignal<Option<String>>,
    is_temporary: RwSignal<bool>,
    /// Counts the conversations that were opened.
    epoch: RwSignal<u32>,
    /// The temporary conversation that was left. It can be restored, so that one click loses nothing.
    stashed: RwSignal<Conversation<Message>>,
    draft: RwSignal<Draft>,
    /// Reads the text field into the draft, if that was deferred.
    read_draft: StoredValue<Option<ReadDraft>>,
    /// The server's id of the last message of the path that the user chose.
    chosen: RwSignal<Option<String>>,
    /// The version that the user chose and that is not loaded: the id of a message, and the number of its version.
    wanted: RwSignal<Option<(String, usize)>>,
    /// The ids of a conversation and of the message in it that is to be scrolled into view.
    sought: RwSignal<Option<(String, String)>>,
    /// Whether the path has messages after the loaded ones. Then nothing can be sent.
    has_later: RwSignal<bool>,
    running: RwSignal<Vec<StreamingReply>>,
    link: RwSignal<ConnectionState>,
    /// Counts the requests to resynchronise with the server.
    resyncs: RwSignal<u32>,
    notice: RwSignal<Option<String>>,
    announcement: RwSignal<Announcement>,
    preferences: Preferences,
    /// The choices of the open conversation; `None` for those of the preferences.
    own_choices: RwSignal<Option<Choices>>,
    /// The times of key presses.
    keys: StoredValue<Keys>,
    deps: StoredValue<Deps>,
}

/// A function that reads the text field into the draft.
type ReadDraft = Arc<dyn Fn() + Send + Sync>;

/// A reply that streams now. There is usually one; messages from other tabs can add more.
#[derive(Clone)]
struct StreamingReply {
    message: MessageId,
    reply: ArcRwSignal<Reply>,
    /// Whether the reply continues without this page.
    is_saved: bool,
    /// Whether the user has stopped the reply.
    is_stopped: bool,
    /// Aborts the task that reads the events, and with it the request.
    task: AbortHandle,
}

/// The dependencies of the chat.
#[derive(Clone)]
pub struct Deps {
    /// `None` on the server, where nothing is sent.
    pub transport: Option<Arc<dyn ChatTransport>>,
    /// The time, timers and frames.
    pub clock: Arc<dyn Clock>,
    /// Whether the page is visible; `None` on the server.
    pub lifecycle: Option<Arc<dyn Lifecycle>>,
}

impl Chat {
    /// An empty chat.
    #[must_use]
    pub fn new(deps: Deps, preferences: Preferences) -> Self {
        Self {
            conversation: RwSignal::new(Conversation::default()),
            id: RwSignal::new(None),
            title: RwSignal::new(None),
            is_temporary: RwSignal::new(false),
            epoch: RwSignal::new(0),
            stashed: RwSignal::new(Conversation::default()),
            draft: RwSignal::new(Draft::default()),
            read_draft: StoredValue::new(None),
            chosen: RwSignal::new(None),
            wanted: RwSignal::new(None),
            sought: RwSignal::new(None),
            has_later: RwSignal::new(false),
            running: RwSignal::new(Vec::new()),
            link: RwSignal::new(ConnectionState::Fine),
            resyncs: RwSignal::new(0),
            notice: RwSignal::new(None),
            announcement: RwSignal::new(Announcement::Nothing),
            preferences,
            own_choices: RwSignal::new(None),
            keys: StoredValue::new(Keys::default()),
            deps: StoredValue::new(deps),
        }
    }

    /// What the next message of the open conversation asks for.
    #[must_use]
    pub fn choices(self) -> Choices {
        self.own_choices
            .get()
            .unwrap_or_else(|| self.preferences.get())
    }

    /// [`Chat::choices`] without subscribing.
    #[must_use]
    pub fn choices_untracked(self) -> Choices {
        untrack(|| self.choices())
    }

    /// The name of the preset of the open conversation, in words.
    #[must_use]
    pub fn preset_name(self) -> String {
        self.own_choices.with(|own| match own {
            Some(own) if !own.preset.is_empty() => own.preset.clone(),
            Some(own) if !own.system.trim().is_empty() => "Own prompt".to_owned(),
            _ => "Default".to_owned(),
        })
    }

    /// Changes what the open conversation asks for from the next message on, and new ones.
    pub fn choose(self, change: impl Fn(&mut Choices)) {
        let mut preferences = self.preferences.get_untracked();
        change(&mut preferences);
        self.preferences.set(preferences);
        if let Some(mut own) = self.own_choices.get_untracked() {
            change(&mut own);
            self.own_choices.set(Some(own));
        }
    }

    /// Changes what new conversations ask for, and the open one if it has no preset.
    pub fn choose_default(self, change: impl Fn(&mut Choices)) {
        let own = self.own_choices.get_untracked();
        if own.as_ref().is_none_or(|own| own.preset.is_empty()) {
            return self.choose(change);
        }
        let mut preferences = self.preferences.get_untracked();
        change(&mut preferences);
        self.preferences.set(preferences);
    }

    /// Changes what this conversation alone asks for from the next message on; `None` for the preferences.
    pub fn choose_here(self, choices: Option<Choices>) {
        self.own_choices.set(choices);
    }

    /// Records a key press. The page paints it before new text of a reply.
    pub fn note_key(self) {
        let now = self.deps.with_value(|deps| deps.clock.now());
        self.keys.with_value(|keys| keys.note(now));
    }

    /// The id of the saved conversation that is shown.
    #[must_use]
    pub fn id(self) -> Option<String> {
        self.id.get()
    }

    /// [`Chat::id`] without subscribing.
    #[must_use]
    pub fn id_untracked(self) -> Option<String> {
        self.id.get_untracked()
    }

    /// The title when the conversation was opened. The list of conversations has later titles.
    #[must_use]
    pub fn title(self) -> Option<String> {
        self.title.get()
    }

    /// Whether the conversation is temporary, that is, never saved.
    #[must_use]
    pub fn is_temporary(self) -> bool {
        self.is_temporary.get()
    }

    /// A number that changes when another conversation is opened.
    #[must_use]
    pub fn epoch(self) -> u32 {
        self.epoch.get()
    }

    /// A number that changes when the conversation should be resynchronised with the server.
    #[must_use]
    pub fn resyncs(self) -> u32 {
        self.resyncs.get()
    }

    /// The messages of the path that is shown, in order.
    #[must_use]
    pub fn path(self) -> Vec<MessageId> {
        self.conversation.with(Conversation::path)
    }

    /// Whether the conversation has no messages.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.conversation.with(Conversation::is_empty)
    }

    /// The content of a message. It never changes, except for the reply inside its signal.
    #[must_use]
    pub fn message(self, id: MessageId) -> Message {
        self.conversation
            .with_untracked(|conversation| conversation.message(id).clone())
    }

    /// The number of a message among its versions.
    #[must_use]
    pub fn version(self, id: MessageId) -> Version {
        self.conversation
            .with(|conversation| conversation.version(id))
    }

    /// The server's id of the last message of the path.
    pub(crate) fn leaf_server_id(self) -> Option<String> {
        self.conversation.with_untracked(|conversation| {
            let name = conversation.server_id(conversation.leaf()?)?;
            Some(name.to_owned())
        })
    }

    /// Whether a reply streams. Nothing can be sent until it ends.
    #[must_use]
    pub fn is_streaming(self) -> bool {
        self.running.with(|running| !running.is_empty())
    }

    /// [`Chat::is_streaming`] without subscribing.
    #[must_use]
    pub fn is_streaming_untracked(self) -> bool {
        self.running.with_untracked(|running| !running.is_empty())
    }

    /// The draft in the composer.
    #[must_use]
    pub fn draft(self) -> RwSignal<Draft> {
        self.draft
    }

    /// Sets the function that reads the text field into the draft. It is called before every other use of the draft.
    pub fn read_draft_by(self, read: impl Fn() + Send + Sync + 'static) {
        self.read_draft.set_value(Some(Arc::new(read)));
    }

    /// Changes the draft, after reading the text field into it.
    fn change_draft<T: 'static>(self, change: impl FnOnce(&mut Draft) -> T) -> Option<T> {
        let read = self.read_draft.try_get_value().flatten();
        if let Some(read) = read {
            read();
        }
        self.draft.try_update(change)
    }

    /// The error of the last message, if it could not be sent.
    #[must_use]
    pub fn notice(self) -> Option<String> {
        self.notice.get()
    }

    /// The state of the connection to the server.
    #[must_use]
    pub fn link(self) -> ConnectionState {
        self.link.get()
    }

    /// The current announcement for screen readers.
    #[must_use]
    pub fn announcement(self) -> Announcement {
        self.announcement.get()
    }

    /// Announces a sentence to screen readers, for something that is visible elsewhere on the page.
    pub fn announce(self, sentence: String) {
        self.announcement.set(Announcement::Sentence(sentence));
    }

    /// The time of the chat's clock, which the times of replies refer to.
    #[must_use]
    pub fn now(self) -> Duration {
        self.deps.with_value(|deps| deps.clock.now())
    }

    /// Puts a question into the composer to edit it. It is edited there rather than in place, so that keys, input
    /// methods and drafts work as for any message.
    pub fn edit(self, question: MessageId) {
        if let Message::Question(text) = self.message(question) {
            self.notice.set(None);
            self.change_draft(|draft| draft.edit(question, text.to_string()));
        }
    }

    /// Edits the last question of the path, if there is one.
    pub fn edit_last(self) {
        let path = self.conversation.with_untracked(Conversation::path);
        let last = path
            .into_iter()
            .rev()
            .find(|id| matches!(self.message(*id), Message::Question(_)));
        if let Some(question) = last {
            self.edit(question);
        }
    }

    /// Quotes a text in the draft.
    pub fn quote(self, text: &str) {
        self.change_draft(|draft| draft.quote(text));
    }

    /// Cancels editing. The new message is back in the composer.
    pub fn cancel_edit(self) {
        self.notice.set(None);
        self.change_draft(Draft::cancel_edit);
    }

    /// Shows the previous or the next version of a message, as soon as it is loaded.
    pub fn show_version(self, id: MessageId, step: VersionStep) {
        let not_loaded = self
            .conversation
            .try_update(|conversation| conversation.step(id, step));
        match not_loaded.flatten() {
            None => self.choose_leaf(),
            Some(number) => {
                let name = self
                    .conversation
                    .with_untracked(|conversation| conversation.server_id(id).map(str::to_owned));
                self.wanted.set(name.map(|name| (name, number)));
            }
        }
    }

    /// Records that the user chose the path that is shown.
    pub fn choose_leaf(self) {
        self.chosen.set(self.leaf_server_id());
    }

    /// The version that is to be loaded and shown: the id of a message, and the number of its version.
    #[must_use]
    pub fn wanted(self) -> Option<(String, usize)> {
        self.wanted.get()
    }

    /// Requests to scroll a message into view as soon as its conversation is open.
    pub fn seek(self, conversation: String, message: String) {
        self.sought.set(Some((conversation, message)));
    }

    /// Ends the request of [`Chat::seek`].
    pub fn seek_no_more(self) {
        self.sought.set(None);
    }

    /// The message of this conversation that is to be scrolled into view.
    #[must_use]
    pub fn sought(self) -> Option<String> {
        let id = self.id.get()?;
        let (_, message) = self.sought.get().filter(|(there, _)| *there == id)?;
        Some(message)
    }

    /// Shows the path through a message, if the message is loaded. Returns its index on the path.
    pub fn show_message(self, name: &str) -> Option<usize> {
        let place = |conversation: &Conversation<Message>, id: MessageId| {
            conversation.path().iter().position(|shown| *shown == id)
        };
        let (id, shown) = self.conversation.with_untracked(|conversation| {
            let id = conversation.find(name)?;
            Some((id, place(conversation, id)))
        })?;
        if shown.is_some() {
            return shown;
        }
        self.conversation
            .update(|conversation| conversation.show_line_to(id));
        self.choose_leaf();
        self.conversation
            .with_untracked(|conversation| place(conversation, id))
    }

    /// Whether the message with this server id is loaded.
    #[must_use]
    pub fn has(self, name: &str) -> bool {
        self.conversation
            .with_untracked(|conversation| conversation.find(name).is_some())
    }

    /// The server's id of the message before the first loaded one, if there is one.
    #[must_use]
    pub fn earlier(self) -> Option<String> {
        self.conversation
            .with(|conversation| conversation.earlier().map(str::to_owned))
    }

    /// Whether the path has messages after the loaded ones.
    #[must_use]
    pub fn has_later(self) -> bool {
        self.has_later.get()
    }

    /// The path and its slices; see [`Conversation::parts`].
    #[must_use]
    pub fn path_in_parts(self) -> (Vec<MessageId>, Vec<(usize, usize)>) {
        self.conversation
            .with(|conversation| (conversation.path(), conversation.parts()))
    }

    /// The server's id of the last message of the path that the user chose.
    #[must_use]
    pub fn chosen(self) -> Option<String> {
        self.chosen.get()
    }

    /// Whether a stashed conversation can be restored: only while the current one is empty.
    #[must_use]
    pub fn can_restore(self) -> bool {
        self.is_empty() && !self.stashed.with(Conversation::is_empty)
    }

    /// Shows an error below the conversation, and announces it.
    fn show_error(self, error: &ReplyError) {
        let sentence = error.kind.sentence_or(&error.message).to_owned();
        self.notice.set(Some(sentence.clone()));
        self.announcement.set(Announcement::Sentence(sentence));
    }

    fn announce_end(self, reply: &ArcRwSignal<Reply>) {
        let ended = reply.with_untracked(|reply| Announcement::ended(reply.transcript()));
        if let Some(ended) = ended {
            self.announcement.set(ended);
        }
    }
}

#[cfg(test)]
mod tests;
