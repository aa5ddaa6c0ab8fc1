//! A conversation as a tree of messages, of which one path is shown.
//!
//! An edited question is a sibling of the original, and a regenerated reply is a sibling of the earlier reply; the older
//! versions stay and can be shown again. The tree is plain data: it knows neither signals nor the content of messages.
//!
//! The tree may contain only the end of a long conversation. Then only the server has the messages before the first
//! loaded one, and versions that were never shown. The path that is shown is always loaded up to its end.

/// The id of a message on this page, in the order in which messages were added. The id of the server is separate; a
/// message gets it when the server accepts the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(usize);

/// The messages of a conversation.
#[derive(Debug, Clone)]
pub struct Conversation<T> {
    /// All messages, by id. A withdrawn message stays here, but nothing refers to it.
    nodes: Vec<TreeNode<T>>,
    /// The versions of the first loaded message.
    roots: Versions,
    /// The server's id of the message before the first loaded one.
    earlier: Option<String>,
    /// The total of prepended messages after each call of `prepend`.
    prepended: Vec<usize>,
}

#[derive(Debug, Clone)]
struct TreeNode<T> {
    message: T,
    /// The server's id of the message.
    server_id: Option<String>,
    parent: Option<MessageId>,
    replies: Versions,
}

/// The versions of one message, oldest first.
#[derive(Debug, Clone, Default)]
struct Versions {
    /// The loaded versions, each with its number, from 1.
    ids: Vec<(usize, MessageId)>,
    /// The number of versions, loaded or not.
    of: usize,
    /// The index in `ids` of the version on the path. Without meaning while `ids` is empty.
    shown: usize,
}

impl Versions {
    fn shown(&self) -> Option<MessageId> {
        self.ids.get(self.shown).map(|(_, id)| *id)
    }

    fn position(&self, id: MessageId) -> Option<usize> {
        self.ids.iter().position(|(_, version)| *version == id)
    }

    fn show(&mut self, id: Option<MessageId>) {
        if let Some(position) = id.and_then(|id| self.position(id)) {
            self.shown = position;
        }
    }

    /// Adds the newest version and shows it.
    fn append(&mut self, id: MessageId) {
        self.of += 1;
        self.ids.push((self.of, id));
        self.shown = self.ids.len() - 1;
    }

    /// Removes a version. The version before it is shown instead.
    fn withdraw(&mut self, id: MessageId) {
        let Some(position) = self.position(id) else {
            return;
        };
        self.ids.remove(position);
        self.of -= 1;
        for (number, _) in &mut self.ids[position..] {
            *number -= 1;
        }
        if self.shown >= position {
            self.shown = self.shown.saturating_sub(1);
        }
    }

    /// Adds a version with the server's number, or renumbers it. A local version with the same number gets a later one:
    /// it was requested here while another page requested one, too.
    fn insert(&mut self, id: MessageId, version: Version) {
        let shown = self.shown();
        if let Some(position) = self.position(id) {
            self.ids.remove(position);
        }
        let place = self
            .ids
            .partition_point(|(number, _)| *number < version.number);
        self.ids.insert(place, (version.number, id));
        for at in place + 1..self.ids.len() {
            self.ids[at].0 = self.ids[at].0.max(self.ids[at - 1].0 + 1);
        }
        let last = self.ids.last().map_or(0, |(number, _)| *number);
        self.of = self.of.max(version.of).max(last);
        self.show(shown);
    }
}

/// The number of a message among its versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// The number of this version, from 1.
    pub number: usize,
    /// The number of versions.
    pub of: usize,
}

/// A step between the versions of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionStep {
    /// To the older version.
    Previous,
    /// To the newer version.
    Next,
}

impl<T> Default for Conversation<T> {
    fn default() -> Self {
        Self {
            nodes: Vec::new(),
            roots: Versions::default(),
            earlier: None,
            prepended: Vec::new(),
        }
    }
}

impl<T> Conversation<T> {
    /// Adds a message after `parent`, or at the beginning, as the newest version, and shows it.
    pub fn append(&mut self, parent: Option<MessageId>, message: T) -> MessageId {
        let id = self.add(parent, message);
        self.versions_mut(parent).append(id);
        id
    }

    /// Adds a message after `parent`, or at the beginning, with the server's version number, and shows it.
    pub fn insert(&mut self, parent: Option<MessageId>, message: T, version: Version) -> MessageId {
        let id = self.add(parent, message);
        let versions = self.versions_mut(parent);
        versions.insert(id, version);
        versions.show(Some(id));
        id
    }

    fn add(&mut self, parent: Option<MessageId>, message: T) -> MessageId {
        let id = MessageId(self.nodes.len());
        self.nodes.push(TreeNode {
            message,
            server_id: None,
            parent,
            replies: Versions::default(),
        });
        id
    }

    /// Prepends messages with their server ids, in the order of the conversation. `earlier` is the server's id of the
    /// message before them.
    pub fn prepend(&mut self, messages: Vec<(String, T)>, earlier: Option<String>) {
        let count = messages.len();
        let rest = std::mem::take(&mut self.roots);
        let mut last = None;
        for (server_id, message) in messages {
            let id = self.append(last, message);
            self.set_server_id(id, server_id);
            last = Some(id);
        }
        for (_, id) in &rest.ids {
            self.nodes[id.0].parent = last;
        }
        *self.versions_mut(last) = rest;
        if count > 0 {
            self.prepended.push(self.prepended() + count);
        }
        self.earlier = earlier;
    }

    /// Sets the server's id of the message before the first loaded one.
    pub fn set_earlier(&mut self, earlier: Option<String>) {
        self.earlier = earlier;
    }

    /// The server's id of the message before the first loaded one, if there is one.
    #[must_use]
    pub fn earlier(&self) -> Option<&str> {
        self.earlier.as_deref()
    }

    /// How many messages were prepended in all.
    #[must_use]
    pub fn prepended(&self) -> usize {
        self.prepended.last().copied().unwrap_or(0)
    }

    /// The slices of the path, the last one first: the messages that were there at first, then those of each `prepend`.
    /// Each slice is a start and an end index on the path. The last slice extends to the end of the path; others may
    /// extend beyond it where another version is shorter.
    #[must_use]
    pub fn parts(&self) -> Vec<(usize, usize)> {
        let all = self.prepended();
        let starts = std::iter::once(0).chain(self.prepended.iter().copied());
        let mut end = usize::MAX;
        let part = |start: usize| {
            let start = all - start;
            let part = (start, end);
            end = start;
            part
        };
        starts.map(part).collect()
    }

    /// Sets the server's id of a message.
    pub fn set_server_id(&mut self, id: MessageId, server_id: String) {
        self.nodes[id.0].server_id = Some(server_id);
    }

    /// The server's id of a message.
    #[must_use]
    pub fn server_id(&self, id: MessageId) -> Option<&str> {
        self.nodes[id.0].server_id.as_deref()
    }

    /// The message with this server id.
    #[must_use]
    pub fn find(&self, server_id: &str) -> Option<MessageId> {
        // The newest messages are looked up most.
        let found = self
            .nodes
            .iter()
            .rposition(|node| node.server_id.as_deref() == Some(server_id));
        found.map(MessageId)
    }

    /// The messages that have a server id, with that id.
    pub fn messages_with_server_ids(&self) -> impl Iterator<Item = (MessageId, &str, &T)> {
        let nodes = self.nodes.iter().enumerate();
        nodes.filter_map(|(at, node)| {
            Some((MessageId(at), node.server_id.as_deref()?, &node.message))
        })
    }

    /// Removes a message that could not be sent, with all messages after it. The version before it is shown instead.
    pub fn withdraw(&mut self, id: MessageId) {
        self.versions_mut(self.nodes[id.0].parent).withdraw(id);
    }

    /// Removes a message that was deleted, with all messages after it. The version before it is shown instead.
    pub fn remove(&mut self, id: MessageId) {
        for removed in self.with_followers(id) {
            // The server may restore them under the same ids; then they are added anew.
            self.nodes[removed.0].server_id = None;
        }
        self.withdraw(id);
    }

    /// A message and all loaded messages after it, on all paths.
    #[must_use]
    pub fn with_followers(&self, id: MessageId) -> Vec<MessageId> {
        let mut found = vec![id];
        let mut at = 0;
        while let Some(id) = found.get(at) {
            let after = self.nodes[id.0].replies.ids.iter();
            found.extend(after.map(|(_, id)| *id));
            at += 1;
        }
        found
    }

    /// Shows this version of a message.
    pub fn show(&mut self, id: MessageId) {
        self.versions_mut(self.nodes[id.0].parent).show(Some(id));
    }

    /// Shows the path to this message.
    pub fn show_line_to(&mut self, id: MessageId) {
        for step in self.line_to(id) {
            self.show(step);
        }
    }

    /// Shows the previous or the next version, if there is one. If it is not loaded, nothing changes and its number is
    /// returned.
    pub fn step(&mut self, id: MessageId, step: VersionStep) -> Option<usize> {
        let versions = self.versions_mut(self.nodes[id.0].parent);
        let (number, _) = *versions.ids.get(versions.shown)?;
        let wanted = match step {
            VersionStep::Previous => number.saturating_sub(1).max(1),
            VersionStep::Next => (number + 1).min(versions.of),
        };
        match versions
            .ids
            .iter()
            .position(|(number, _)| *number == wanted)
        {
            Some(position) => {
                versions.shown = position;
                None
            }
            None => Some(wanted),
        }
    }

    /// Sets the server's version number of a message. Returns whether that changed anything.
    pub fn set_version(&mut self, id: MessageId, version: Version) -> bool {
        let is_news = self.version(id) != version;
        if is_news {
            self.versions_mut(self.nodes[id.0].parent)
                .insert(id, version);
        }
        is_news
    }

    /// The messages that are shown, from the first to the last.
    #[must_use]
    pub fn path(&self) -> Vec<MessageId> {
        std::iter::successors(self.roots.shown(), |id| self.shown_after(Some(*id))).collect()
    }

    /// The last message of the path.
    #[must_use]
    pub fn leaf(&self) -> Option<MessageId> {
        self.path().last().copied()
    }

    /// The messages from the first one to this one, shown or not.
    #[must_use]
    pub fn line_to(&self, id: MessageId) -> Vec<MessageId> {
        let mut line: Vec<_> = std::iter::successors(Some(id), |id| self.parent(*id)).collect();
        line.reverse();
        line
    }

    /// The message that is shown after `parent`, or at the beginning.
    #[must_use]
    pub fn shown_after(&self, parent: Option<MessageId>) -> Option<MessageId> {
        self.versions(parent).shown()
    }

    /// The number of this message among its versions.
    #[must_use]
    pub fn version(&self, id: MessageId) -> Version {
        // The view of a message may still read its version after another conversation was opened.
        if id.0 >= self.nodes.len() {
            return Version { number: 1, of: 1 };
        }
        let versions = self.versions(self.parent(id));
        // A withdrawn message is not among them.
        let number = versions.position(id).map_or(0, |at| versions.ids[at].0);
        Version {
            number,
            of: versions.of,
        }
    }

    /// The message before this one.
    #[must_use]
    pub fn parent(&self, id: MessageId) -> Option<MessageId> {
        self.nodes[id.0].parent
    }

    /// The content of the message.
    #[must_use]
    pub fn message(&self, id: MessageId) -> &T {
        &self.nodes[id.0].message
    }

    /// Whether there are no messages.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.roots.ids.is_empty()
    }

    fn versions(&self, parent: Option<MessageId>) -> &Versions {
        parent.map_or(&self.roots, |id| &self.nodes[id.0].replies)
    }

    fn versions_mut(&mut self, parent: Option<MessageId>) -> &mut Versions {
        match parent {
            Some(id) => &mut self.nodes[id.0].replies,
            None => &mut self.roots,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Talk = Conversation<&'static str>;

    /// question, reply, question, reply
    fn talk() -> (Talk, [MessageId; 4]) {
        let mut talk = Talk::default();
        let question = talk.append(None, "q1");
        let reply = talk.append(Some(question), "r1");
        let second = talk.append(Some(reply), "q2");
        let last = talk.append(Some(second), "r2");
        (talk, [question, reply, second, last])
    }

    #[track_caller]
    fn check(talk: &Talk, expect: &[&str]) {
        let shown: Vec<_> = talk
            .path()
            .into_iter()
            .map(|id| *talk.message(id))
            .collect();
        assert_eq!(shown, expect);
    }

    #[test]
    fn messages_follow_one_another() {
        let (talk, [.., last]) = talk();
        check(&talk, &["q1", "r1", "q2", "r2"]);
        assert_eq!(talk.leaf(), Some(last));
        check(&Talk::default(), &[]);
    }

    #[test]
    fn a_regenerated_reply_is_shown_and_the_older_version_stays() {
        let (mut talk, [.., second, _]) = talk();
        let again = talk.append(Some(second), "r2 again");
        check(&talk, &["q1", "r1", "q2", "r2 again"]);
        assert_eq!(talk.version(again), Version { number: 2, of: 2 });
        talk.step(again, VersionStep::Previous);
        check(&talk, &["q1", "r1", "q2", "r2"]);
    }

    #[test]
    fn an_edited_question_is_a_branch_and_the_original_branch_stays() {
        let (mut talk, [question, ..]) = talk();
        let edited = talk.append(None, "q1 edited");
        check(&talk, &["q1 edited"]);
        talk.append(Some(edited), "r1 to it");
        check(&talk, &["q1 edited", "r1 to it"]);
        talk.show(question);
        check(&talk, &["q1", "r1", "q2", "r2"]);
    }

    #[test]
    fn a_step_beyond_the_first_or_last_version_changes_nothing() {
        let (mut talk, [.., last]) = talk();
        talk.step(last, VersionStep::Previous);
        talk.step(last, VersionStep::Next);
        check(&talk, &["q1", "r1", "q2", "r2"]);
    }

    #[test]
    fn a_withdrawn_message_leaves_no_trace() {
        let (mut talk, [question, reply, second, _]) = talk();
        talk.withdraw(second);
        check(&talk, &["q1", "r1"]);
        let again = talk.append(Some(question), "r1 again");
        talk.withdraw(again);
        check(&talk, &["q1", "r1"]);
        assert_eq!(talk.version(reply), Version { number: 1, of: 1 });
        talk.withdraw(question);
        assert!(talk.is_empty());
    }

    #[test]
    fn a_message_is_found_by_its_server_id() {
        let (mut talk, [question, reply, ..]) = talk();
        talk.set_server_id(reply, "r".into());
        assert_eq!(
            (talk.server_id(reply), talk.server_id(question)),
            (Some("r"), None)
        );
        assert_eq!((talk.find("r"), talk.find("x")), (Some(reply), None));
    }

    #[test]
    fn showing_a_message_shows_the_path_to_it() {
        let (mut talk, [.., last]) = talk();
        let other = talk.append(None, "another beginning");
        check(&talk, &["another beginning"]);
        talk.show_line_to(last);
        check(&talk, &["q1", "r1", "q2", "r2"]);
        talk.show_line_to(other);
        check(&talk, &["another beginning"]);
    }

    #[test]
    fn the_line_to_a_message_does_not_depend_on_what_is_shown() {
        let (mut talk, [question, reply, second, _]) = talk();
        talk.append(None, "another beginning");
        assert_eq!(talk.line_to(second), [question, reply, second]);
    }

    fn named(names: &[&'static str]) -> Vec<(String, &'static str)> {
        names
            .iter()
            .map(|name| ((*name).to_owned(), *name))
            .collect()
    }

    #[test]
    fn earlier_messages_are_prepended_to_all_versions_of_the_first_message() {
        let (mut talk, [question, ..]) = talk();
        talk.set_earlier(Some("b".into()));
        let edited = talk.append(None, "q1 edited");
        talk.prepend(named(&["a", "b"]), None);
        check(&talk, &["a", "b", "q1 edited"]);
        assert_eq!(talk.parent(edited), talk.find("b"));
        talk.show(question);
        check(&talk, &["a", "b", "q1", "r1", "q2", "r2"]);
        assert_eq!((talk.earlier(), talk.prepended()), (None, 2));
        assert_eq!(talk.version(question), Version { number: 1, of: 2 });
    }

    #[test]
    fn the_path_is_sliced_where_messages_were_prepended() {
        let (mut talk, _) = talk();
        assert_eq!(talk.parts(), [(0, usize::MAX)]);
        talk.prepend(named(&["c", "d", "e"]), Some("b".into()));
        talk.prepend(Vec::new(), Some("b".into()));
        talk.prepend(named(&["a", "b"]), None);
        assert_eq!(talk.parts(), [(5, usize::MAX), (2, 5), (0, 2)]);
        check(&talk, &["a", "b", "c", "d", "e", "q1", "r1", "q2", "r2"]);
    }

    #[test]
    fn a_step_to_a_version_that_is_not_loaded_returns_its_number() {
        let (mut talk, [.., second, last]) = talk();
        assert!(talk.set_version(last, Version { number: 3, of: 4 }));
        assert!(!talk.set_version(last, Version { number: 3, of: 4 }));
        assert_eq!(talk.step(last, VersionStep::Previous), Some(2));
        assert_eq!(talk.step(last, VersionStep::Next), Some(4));
        check(&talk, &["q1", "r1", "q2", "r2"]);
        // A version that is added now is the newest, and there is still an unloaded one between.
        let again = talk.append(Some(second), "r2 again");
        assert_eq!(talk.version(again), Version { number: 5, of: 5 });
        assert_eq!(talk.step(again, VersionStep::Previous), Some(4));
        talk.insert(Some(second), "r2 of before", Version { number: 4, of: 5 });
        check(&talk, &["q1", "r1", "q2", "r2 of before"]);
        talk.show(again);
        assert_eq!(talk.step(again, VersionStep::Previous), None);
        check(&talk, &["q1", "r1", "q2", "r2 of before"]);
        assert_eq!(talk.version(again), Version { number: 5, of: 5 });
    }

    #[test]
    fn of_two_versions_with_the_same_number_the_servers_keeps_it() {
        let (mut talk, [.., second, _]) = talk();
        let mine = talk.append(Some(second), "mine");
        let theirs = talk.append(Some(second), "theirs");
        talk.show(mine);
        talk.set_version(theirs, Version { number: 2, of: 3 });
        assert_eq!(talk.version(mine), Version { number: 3, of: 3 });
        check(&talk, &["q1", "r1", "q2", "mine"]);
    }

    /// An operation on a conversation. Numbers choose a message, modulo the number of messages.
    #[derive(Debug, Clone)]
    enum Deed {
        Append(Option<usize>),
        Withdraw(usize),
        Show(usize),
        Step(usize, bool),
    }

    fn deeds() -> impl Strategy<Value = Vec<Deed>> {
        let deed = prop_oneof![
            4 => proptest::option::of(any::<usize>()).prop_map(Deed::Append),
            1 => any::<usize>().prop_map(Deed::Withdraw),
            1 => any::<usize>().prop_map(Deed::Show),
            2 => (any::<usize>(), any::<bool>()).prop_map(|(id, next)| Deed::Step(id, next)),
        ];
        proptest::collection::vec(deed, 0..60)
    }

    proptest! {
        #[test]
        fn whatever_is_done_one_unbroken_path_is_shown(deeds in deeds()) {
            let mut talk = Conversation::<usize>::default();
            let mut withdrawn: Vec<MessageId> = Vec::new();
            for deed in deeds {
                let count = talk.nodes.len();
                let pick = |number: usize| MessageId(number % count.max(1));
                match deed {
                    Deed::Append(parent) => {
                        let id = talk.append(parent.filter(|_| count > 0).map(pick), count);
                        prop_assert_eq!(*talk.message(id), count);
                    }
                    _ if count == 0 => {}
                    Deed::Withdraw(id) => {
                        talk.withdraw(pick(id));
                        withdrawn.push(pick(id));
                    }
                    Deed::Show(id) => talk.show(pick(id)),
                    Deed::Step(id, next) => {
                        let step = if next { VersionStep::Next } else { VersionStep::Previous };
                        prop_assert_eq!(talk.step(pick(id), step), None);
                    }
                }

                let path = talk.path();
                // The path starts at a first message, each message follows the one before, and the last one has no reply.
                for (position, id) in path.iter().enumerate() {
                    prop_assert_eq!(talk.parent(*id), position.checked_sub(1).map(|before| path[before]));
                    prop_assert!(!withdrawn.contains(id));
                    let version = talk.version(*id);
                    prop_assert!((1..=version.of).contains(&version.number));
                }
                prop_assert_eq!(talk.shown_after(path.last().copied()), None);
                prop_assert_eq!(path.is_empty(), talk.is_empty());
                // Versions are in the order of their creation, and only a withdrawal removes one.
                let mut listed = 0;
                for versions in talk.nodes.iter().map(|node| &node.replies).chain([&talk.roots]) {
                    prop_assert!(versions.ids.iter().map(|(_, id)| id).is_sorted());
                    let numbers = versions.ids.iter().map(|(number, _)| *number);
                    prop_assert!(numbers.eq(1..=versions.of));
                    prop_assert_eq!(versions.shown().is_some(), !versions.ids.is_empty());
                    listed += versions.ids.len();
                }
                withdrawn.sort_unstable();
                withdrawn.dedup();
                prop_assert_eq!(listed + withdrawn.len(), talk.nodes.len());
            }
        }
    }
}
