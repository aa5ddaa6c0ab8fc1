//! The chat's state as signals, and its verbs: send, stop, ask again, go on, edit, step through versions.
//!
//! Each reply is a signal of its own, so text that streams into one wakes nothing else; the tree of
//! messages changes only when a message is added or another version is shown.
//!
//! It holds one conversation at a time: a saved one, which the server knows by its id, or a temporary
//! one, which lives and dies here. It does not know the DOM or the network: a [`ChatTransport`] gives
//! the events, a [`Clock`] the frames. `send` starts replies, `receive` reads them, `stop` ends them, and
//! `load` shows a conversation that was saved.

pub mod announcement;
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
use crate::chat::preferences::Preferences;
use crate::chat::tree::{Conversation, MessageId, Version, VersionStep};
use crate::platform::clock::Clock;
use crate::platform::keys::Keys;
use crate::platform::lifecycle::Lifecycle;
use crate::protocol::ReplyError;
use crate::reply::Reply;
use crate::reply::transport::ChatTransport;

/// What a message of the conversation holds.
#[derive(Debug, Clone)]
pub enum Message {
    /// What the person asked.
    Question(Arc<str>),
    /// What the model answers, live.
    Reply(ArcRwSignal<Reply>),
}

/// How the page and the server are connected, while a reply streams.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ConnectionState {
    /// As it should be.
    #[default]
    Fine,
    /// The connection is lost and is being resumed.
    Lost,
    /// Something between them holds the text back.
    HeldBack,
}

/// The chat: a handle that can be copied to wherever it is needed.
#[derive(Clone, Copy)]
pub struct Chat {
    conversation: RwSignal<Conversation<Message>>,
    /// The id of the conversation, if it is a saved one that has begun.
    id: RwSignal<Option<String>>,
    /// What it was called when it was opened.
    title: RwSignal<Option<String>>,
    is_temporary: RwSignal<bool>,
    /// How often another conversation took the place of the one before.
    epoch: RwSignal<u32>,
    /// The temporary conversation that was put aside. Nothing that was said is lost by one click.
    stashed: RwSignal<Conversation<Message>>,
    draft: RwSignal<Draft>,
    /// Takes what the person has written into the draft, where that was put off.
    read_draft: StoredValue<Option<ReadDraft>>,
    /// The end of the path that the person stepped to.
    chosen: RwSignal<Option<String>>,
    /// The version that the person stepped to and that is not loaded: another version of this message,
    /// by its number.
    wanted: RwSignal<Option<(String, usize)>>,
    /// The conversation and the message in it that are to be brought into view.
    sought: RwSignal<Option<(String, String)>>,
    /// Whether the path goes on beyond what is loaded. Then nothing can be said.
    has_later: RwSignal<bool>,
    running: RwSignal<Vec<StreamingReply>>,
    link: RwSignal<ConnectionState>,
    /// How often something was noticed that the server knows better.
    resyncs: RwSignal<u32>,
    notice: RwSignal<Option<String>>,
    announcement: RwSignal<Announcement>,
    preferences: Preferences,
    /// The keys that the person presses.
    keys: StoredValue<Keys>,
    deps: StoredValue<Deps>,
}

/// What reads the draft out of its field.
type ReadDraft = Arc<dyn Fn() + Send + Sync>;

/// A reply that streams now. A conversation has one as a rule, and more where other tabs ask, too.
#[derive(Clone)]
struct StreamingReply {
    message: MessageId,
    reply: ArcRwSignal<Reply>,
    /// Whether it goes on without this page.
    is_saved: bool,
    /// Whether the person has stopped it.
    is_stopped: bool,
    /// Ends the task that reads the events, and by that the request.
    task: AbortHandle,
}

/// What the chat needs from the browser.
#[derive(Clone)]
pub struct Deps {
    /// `None` on the server, where nothing is sent.
    pub transport: Option<Arc<dyn ChatTransport>>,
    /// The time and the frames.
    pub clock: Arc<dyn Clock>,
    /// Whether the page is seen; `None` on the server.
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
            keys: StoredValue::new(Keys::default()),
            deps: StoredValue::new(deps),
        }
    }

    /// The person has pressed a key, whose picture comes before that of new words.
    pub fn note_key(self) {
        let now = self.deps.with_value(|deps| deps.clock.now());
        self.keys.with_value(|keys| keys.note(now));
    }

    /// The id of the saved conversation that is shown.
    #[must_use]
    pub fn id(self) -> Option<String> {
        self.id.get()
    }

    /// The same, for those who want to know it once.
    #[must_use]
    pub fn id_untracked(self) -> Option<String> {
        self.id.get_untracked()
    }

    /// What it was called when it was opened. The list knows of later names.
    #[must_use]
    pub fn title(self) -> Option<String> {
        self.title.get()
    }

    /// Whether the conversation is one that is never saved.
    #[must_use]
    pub fn is_temporary(self) -> bool {
        self.is_temporary.get()
    }

    /// A number that changes when another conversation takes the place of this one.
    #[must_use]
    pub fn epoch(self) -> u32 {
        self.epoch.get()
    }

    /// A number that changes when the server should be asked what it has of this conversation.
    #[must_use]
    pub fn resyncs(self) -> u32 {
        self.resyncs.get()
    }

    /// The messages that are shown, in order.
    #[must_use]
    pub fn path(self) -> Vec<MessageId> {
        self.conversation.with(Conversation::path)
    }

    /// Whether nothing has been said.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.conversation.with(Conversation::is_empty)
    }

    /// What a message holds. That never changes; a reply within it does.
    #[must_use]
    pub fn message(self, id: MessageId) -> Message {
        self.conversation
            .with_untracked(|conversation| conversation.message(id).clone())
    }

    /// Which of its versions a message is.
    #[must_use]
    pub fn version(self, id: MessageId) -> Version {
        self.conversation
            .with(|conversation| conversation.version(id))
    }

    /// What the server calls the last message that is shown.
    pub(crate) fn leaf_name(self) -> Option<String> {
        self.conversation.with_untracked(|conversation| {
            let name = conversation.name(conversation.leaf()?)?;
            Some(name.to_owned())
        })
    }

    /// Whether a reply streams. Until it ends, nothing can be sent.
    #[must_use]
    pub fn is_streaming(self) -> bool {
        self.running.with(|running| !running.is_empty())
    }

    /// The same, for those who want to know it once.
    #[must_use]
    pub fn is_streaming_untracked(self) -> bool {
        self.running.with_untracked(|running| !running.is_empty())
    }

    /// What stands in the composer.
    #[must_use]
    pub fn draft(self) -> RwSignal<Draft> {
        self.draft
    }

    /// Has this take what the person has written into the draft, before anything else is done with it.
    pub fn read_draft_by(self, read: impl Fn() + Send + Sync + 'static) {
        self.read_draft.set_value(Some(Arc::new(read)));
    }

    /// Changes the draft, with all in it that the person has written.
    fn change_draft<T: 'static>(self, change: impl FnOnce(&mut Draft) -> T) -> Option<T> {
        let read = self.read_draft.try_get_value().flatten();
        if let Some(read) = read {
            read();
        }
        self.draft.try_update(change)
    }

    /// Why the message in the composer could not be sent.
    #[must_use]
    pub fn notice(self) -> Option<String> {
        self.notice.get()
    }

    /// How the page and the server are connected.
    #[must_use]
    pub fn link(self) -> ConnectionState {
        self.link.get()
    }

    /// What a screen reader is told.
    #[must_use]
    pub fn announcement(self) -> Announcement {
        self.announcement.get()
    }

    /// Tells a screen reader something that is seen elsewhere on the page.
    pub fn announce(self, sentence: String) {
        self.announcement.set(Announcement::Sentence(sentence));
    }

    /// The time, as replies count it.
    #[must_use]
    pub fn now(self) -> Duration {
        self.deps.with_value(|deps| deps.clock.now())
    }

    /// Puts a question into the composer, to be asked in another form. It happens there and not in its
    /// place, so that keys, input methods, growing and drafts work in the one way that people know.
    pub fn edit(self, question: MessageId) {
        if let Message::Question(text) = self.message(question) {
            self.notice.set(None);
            self.change_draft(|draft| draft.edit(question, text.to_string()));
        }
    }

    /// Edits the last question that is shown, if there is one.
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

    /// Leaves the edited question as it was.
    pub fn cancel_edit(self) {
        self.notice.set(None);
        self.change_draft(Draft::cancel_edit);
    }

    /// Shows the version of a message before or after the one that is shown, as soon as it is loaded.
    pub fn show_version(self, id: MessageId, step: VersionStep) {
        let not_loaded = self
            .conversation
            .try_update(|conversation| conversation.step(id, step));
        match not_loaded.flatten() {
            None => self.choose_leaf(),
            Some(number) => {
                let name = self
                    .conversation
                    .with_untracked(|conversation| conversation.name(id).map(str::to_owned));
                self.wanted.set(name.map(|name| (name, number)));
            }
        }
    }

    /// Notes that the path that is shown is the one that the person chose.
    pub fn choose_leaf(self) {
        self.chosen.set(self.leaf_name());
    }

    /// The version that is to be loaded and shown: which version of which message.
    #[must_use]
    pub fn wanted(self) -> Option<(String, usize)> {
        self.wanted.get()
    }

    /// Has a message of a conversation brought into view, as soon as that is open.
    pub fn seek(self, conversation: String, message: String) {
        self.sought.set(Some((conversation, message)));
    }

    /// What was sought is found, or about to be.
    pub fn seek_no_more(self) {
        self.sought.set(None);
    }

    /// The message of this conversation that is to be brought into view.
    #[must_use]
    pub fn sought(self) -> Option<String> {
        let id = self.id.get()?;
        let (_, message) = self.sought.get().filter(|(there, _)| *there == id)?;
        Some(message)
    }

    /// Shows a message, if it is loaded, with all that leads to it. Gives its place on the path.
    pub fn show_message(self, name: &str) -> Option<usize> {
        let place = |conversation: &Conversation<Message>, id: MessageId| {
            conversation.path().iter().position(|shown| *shown == id)
        };
        let (id, shown) = self.conversation.with_untracked(|conversation| {
            let id = conversation.named(name)?;
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

    /// Whether the server's message of this name is loaded.
    #[must_use]
    pub fn has(self, name: &str) -> bool {
        self.conversation
            .with_untracked(|conversation| conversation.named(name).is_some())
    }

    /// What the server calls the message before the first one, where that is not loaded.
    #[must_use]
    pub fn earlier(self) -> Option<String> {
        self.conversation
            .with(|conversation| conversation.earlier().map(str::to_owned))
    }

    /// Whether the path goes on beyond what is loaded.
    #[must_use]
    pub fn has_later(self) -> bool {
        self.has_later.get()
    }

    /// The path, and the parts in which it is shown; see [`Conversation::parts`].
    #[must_use]
    pub fn path_in_parts(self) -> (Vec<MessageId>, Vec<(usize, usize)>) {
        self.conversation
            .with(|conversation| (conversation.path(), conversation.parts()))
    }

    /// What the server calls the last message of the path that the person chose to see.
    #[must_use]
    pub fn chosen(self) -> Option<String> {
        self.chosen.get()
    }

    /// Whether there is a conversation to go back to: only while the new one is empty.
    #[must_use]
    pub fn can_restore(self) -> bool {
        self.is_empty() && !self.stashed.with(Conversation::is_empty)
    }

    /// Says why something could not be done.
    fn complain(self, error: &ReplyError) {
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
