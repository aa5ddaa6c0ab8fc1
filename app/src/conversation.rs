//! A conversation as a tree of messages, of which one path is shown.
//!
//! Editing a question makes a branch, asking again makes a sibling of a reply; the older versions stay
//! and can be shown again. It is plain data: it knows neither signals nor what a message holds, so the
//! page can fill it with live replies and a store with saved ones.

/// A message within its conversation, as this page counts them: in the order in which they came. The
/// server has names of its own, which a message may get later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(usize);

/// The messages of a conversation.
#[derive(Debug, Clone)]
pub struct Conversation<T> {
    /// All messages, addressed by id. A withdrawn one stays here, reachable from nowhere.
    nodes: Vec<Node<T>>,
    /// The versions of the first message.
    roots: Versions,
}

#[derive(Debug, Clone)]
struct Node<T> {
    message: T,
    /// What the server calls it.
    name: Option<String>,
    parent: Option<MessageId>,
    replies: Versions,
}

/// The versions of one message, oldest first.
#[derive(Debug, Clone, Default)]
struct Versions {
    ids: Vec<MessageId>,
    /// Which of them is on the path. Meaningless while there are none.
    shown: usize,
}

impl Versions {
    fn shown(&self) -> Option<MessageId> {
        self.ids.get(self.shown).copied()
    }
}

/// Which of its versions a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// Counted from 1.
    pub number: usize,
    /// How many there are.
    pub of: usize,
}

/// A step between the versions of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// To the older one.
    Previous,
    /// To the newer one.
    Next,
}

impl<T> Default for Conversation<T> {
    fn default() -> Self {
        Self {
            nodes: Vec::new(),
            roots: Versions::default(),
        }
    }
}

impl<T> Conversation<T> {
    /// Adds a message after `parent`, or at the beginning, as its newest version, and shows it.
    pub fn append(&mut self, parent: Option<MessageId>, message: T) -> MessageId {
        let id = MessageId(self.nodes.len());
        self.nodes.push(Node {
            message,
            name: None,
            parent,
            replies: Versions::default(),
        });
        let versions = self.versions_mut(parent);
        versions.ids.push(id);
        versions.shown = versions.ids.len() - 1;
        id
    }

    /// Notes what the server calls a message.
    pub fn set_name(&mut self, id: MessageId, name: String) {
        self.nodes[id.0].name = Some(name);
    }

    /// What the server calls a message.
    #[must_use]
    pub fn name(&self, id: MessageId) -> Option<&str> {
        self.nodes[id.0].name.as_deref()
    }

    /// The message that the server calls so.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<MessageId> {
        // The newest are asked for most.
        let found = self
            .nodes
            .iter()
            .rposition(|node| node.name.as_deref() == Some(name));
        found.map(MessageId)
    }

    /// Takes a message back as if it had never been there, with all that came after it: it could not
    /// be sent. The version before it is shown instead.
    pub fn withdraw(&mut self, id: MessageId) {
        let versions = self.versions_mut(self.nodes[id.0].parent);
        if let Some(position) = versions.ids.iter().position(|version| *version == id) {
            versions.ids.remove(position);
            if versions.shown >= position {
                versions.shown = versions.shown.saturating_sub(1);
            }
        }
    }

    /// Shows this version of a message.
    pub fn show(&mut self, id: MessageId) {
        let versions = self.versions_mut(self.nodes[id.0].parent);
        if let Some(position) = versions.ids.iter().position(|version| *version == id) {
            versions.shown = position;
        }
    }

    /// Shows this message and all that leads to it.
    pub fn show_line_to(&mut self, id: MessageId) {
        for step in self.line_to(id) {
            self.show(step);
        }
    }

    /// Shows the version before or after the one that is shown, if there is one.
    pub fn step(&mut self, id: MessageId, step: Step) {
        let versions = self.versions_mut(self.nodes[id.0].parent);
        versions.shown = match step {
            Step::Previous => versions.shown.saturating_sub(1),
            Step::Next => (versions.shown + 1).min(versions.ids.len().saturating_sub(1)),
        };
    }

    /// What is shown, from the first message to the last.
    #[must_use]
    pub fn path(&self) -> Vec<MessageId> {
        std::iter::successors(self.roots.shown(), |id| self.shown_after(Some(*id))).collect()
    }

    /// The last message of the path.
    #[must_use]
    pub fn leaf(&self) -> Option<MessageId> {
        self.path().last().copied()
    }

    /// The messages from the first one to this one, whether they are shown or not.
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

    /// Which of its versions this message is.
    #[must_use]
    pub fn version(&self, id: MessageId) -> Version {
        // What shows a message may ask once more after another conversation took this one's place.
        if id.0 >= self.nodes.len() {
            return Version { number: 1, of: 1 };
        }
        let ids = &self.versions(self.parent(id)).ids;
        let before = ids.iter().take_while(|version| **version != id).count();
        Version {
            number: before + 1,
            of: ids.len(),
        }
    }

    /// What came before this message.
    #[must_use]
    pub fn parent(&self, id: MessageId) -> Option<MessageId> {
        self.nodes[id.0].parent
    }

    /// What the message holds.
    #[must_use]
    pub fn message(&self, id: MessageId) -> &T {
        &self.nodes[id.0].message
    }

    /// Whether nothing has been said.
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
    fn a_reply_that_is_made_again_is_shown_and_the_older_one_stays() {
        let (mut talk, [.., second, _]) = talk();
        let again = talk.append(Some(second), "r2 again");
        check(&talk, &["q1", "r1", "q2", "r2 again"]);
        assert_eq!(talk.version(again), Version { number: 2, of: 2 });
        talk.step(again, Step::Previous);
        check(&talk, &["q1", "r1", "q2", "r2"]);
    }

    #[test]
    fn an_edited_question_is_a_branch_that_keeps_the_other_one_whole() {
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
        talk.step(last, Step::Previous);
        talk.step(last, Step::Next);
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
    fn a_message_is_found_by_the_name_that_the_server_gave_it() {
        let (mut talk, [question, reply, ..]) = talk();
        talk.set_name(reply, "r".into());
        assert_eq!((talk.name(reply), talk.name(question)), (Some("r"), None));
        assert_eq!((talk.named("r"), talk.named("x")), (Some(reply), None));
    }

    #[test]
    fn a_message_can_be_shown_with_all_that_leads_to_it() {
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

    /// Anything that can be done to a conversation; numbers choose a message, modulo their count.
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
                    Deed::Step(id, next) => talk.step(pick(id), if next { Step::Next } else { Step::Previous }),
                }

                let path = talk.path();
                // It begins at a first message, each is a reply to the one before, and the last has none.
                for (position, id) in path.iter().enumerate() {
                    prop_assert_eq!(talk.parent(*id), position.checked_sub(1).map(|before| path[before]));
                    prop_assert!(!withdrawn.contains(id));
                    let version = talk.version(*id);
                    prop_assert!((1..=version.of).contains(&version.number));
                }
                prop_assert_eq!(talk.shown_after(path.last().copied()), None);
                prop_assert_eq!(path.is_empty(), talk.is_empty());
                // Versions stand in the order in which they came, and nothing but a withdrawal takes one out.
                let mut listed = 0;
                for versions in talk.nodes.iter().map(|node| &node.replies).chain([&talk.roots]) {
                    prop_assert!(versions.ids.is_sorted());
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
