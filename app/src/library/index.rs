//! The conversations in the order of the list: pinned ones first, then by the day of the last message. Plain data;
//! the caller passes the current day.

use crate::protocol::saved::{Change, ConversationList, ConversationSummary};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// The conversations that are loaded, in the order of the list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConversationIndex {
    conversations: Vec<ConversationSummary>,
    /// The cursor of the next page, if there is one.
    next: Option<String>,
}

/// The current day in the user's time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Today {
    /// The time, in milliseconds since 1970.
    pub now: i64,
    /// The offset of the user's time zone from UTC, in milliseconds.
    pub ahead: i64,
}

impl Today {
    fn day_of(self, time: i64) -> i64 {
        (time + self.ahead).div_euclid(DAY_MS)
    }
}

/// The group of a conversation in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Group {
    /// Pinned conversations.
    Pinned,
    /// Today, and the future, where a clock is wrong.
    Today,
    /// Yesterday.
    Yesterday,
    /// Two to seven days ago.
    Week,
    /// Eight to thirty days ago.
    Month,
    /// Earlier than that.
    Older,
}

impl Group {
    /// The heading of the group.
    #[must_use]
    pub fn heading(self) -> &'static str {
        match self {
            Self::Pinned => "Pinned",
            Self::Today => "Today",
            Self::Yesterday => "Yesterday",
            Self::Week => "Previous 7 days",
            Self::Month => "Previous 30 days",
            Self::Older => "Older",
        }
    }

    fn of(conversation: &ConversationSummary, today: Today) -> Self {
        if conversation.pinned {
            return Self::Pinned;
        }
        match today.day_of(today.now) - today.day_of(conversation.updated_at) {
            ..=0 => Self::Today,
            1 => Self::Yesterday,
            2..=7 => Self::Week,
            8..=30 => Self::Month,
            _ => Self::Older,
        }
    }
}

impl ConversationIndex {
    /// The first page of the list.
    #[must_use]
    pub fn new(list: ConversationList) -> Self {
        Self {
            conversations: list.conversations,
            next: list.next,
        }
    }

    /// Adds the next page.
    pub fn extend(&mut self, list: ConversationList) {
        for conversation in list.conversations {
            self.remove(&conversation.id);
            self.conversations.push(conversation);
        }
        self.next = list.next;
    }

    /// The cursor of the next page, if there is one.
    #[must_use]
    pub fn next(&self) -> Option<&str> {
        self.next.as_deref()
    }

    /// Whether there are no conversations.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.conversations.is_empty()
    }

    /// The conversation with this id, if it is loaded.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&ConversationSummary> {
        self.conversations
            .iter()
            .find(|conversation| conversation.id == id)
    }

    /// Adds a conversation, or replaces it, at its place in the order.
    pub fn change(&mut self, conversation: ConversationSummary) {
        self.remove(&conversation.id);
        let place = self
            .conversations
            .partition_point(|other| key(other) > key(&conversation));
        // A conversation that belongs after the last loaded one is on a later page.
        if place < self.conversations.len() || self.next.is_none() {
            self.conversations.insert(place, conversation);
        }
    }

    /// Removes a conversation.
    pub fn remove(&mut self, id: &str) {
        self.conversations
            .retain(|conversation| conversation.id != id);
    }

    /// Applies a change from the server. [`Change::Reload`] changes nothing here.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Changed(conversation) => self.change(conversation.clone()),
            Change::Removed(id) => self.remove(id),
            Change::Reload | Change::MessagesRemoved(_) => {}
        }
    }

    /// The groups that are not empty, each with the ids of its conversations.
    #[must_use]
    pub fn groups(&self, today: Today) -> Vec<(Group, Vec<String>)> {
        let mut groups: Vec<(Group, Vec<String>)> = Vec::new();
        for conversation in &self.conversations {
            let group = Group::of(conversation, today);
            match groups.iter_mut().find(|(known, _)| *known == group) {
                Some((_, ids)) => ids.push(conversation.id.clone()),
                None => groups.push((group, vec![conversation.id.clone()])),
            }
        }
        groups.sort_by_key(|(group, _)| *group);
        groups
    }
}

/// The sort key of the list, in descending order.
fn key(conversation: &ConversationSummary) -> (bool, i64, &str) {
    (
        conversation.pinned,
        conversation.updated_at,
        conversation.id.as_str(),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOON: i64 = 20_000 * DAY_MS + DAY_MS / 2;
    const TODAY: Today = Today {
        now: NOON,
        ahead: 0,
    };

    fn conversation(id: &str, updated_at: i64, pinned: bool) -> ConversationSummary {
        ConversationSummary {
            id: id.into(),
            title: format!("Title of {id}"),
            created_at: 0,
            updated_at,
            pinned,
            running: false,
            unread: false,
        }
    }

    #[track_caller]
    fn check(index: &ConversationIndex, today: Today, expect: &[(Group, &[&str])]) {
        let groups = index.groups(today);
        let got: Vec<(Group, Vec<&str>)> = groups
            .iter()
            .map(|(group, ids)| (*group, ids.iter().map(String::as_str).collect()))
            .collect();
        let expect: Vec<(Group, Vec<&str>)> = expect
            .iter()
            .map(|(group, ids)| (*group, ids.to_vec()))
            .collect();
        assert_eq!(got, expect);
    }

    fn index(list: &[(&str, i64, bool)]) -> ConversationIndex {
        let mut index = ConversationIndex::default();
        for (id, updated_at, pinned) in list {
            index.change(conversation(id, *updated_at, *pinned));
        }
        index
    }

    #[test]
    fn conversations_are_grouped_by_the_day_of_the_last_message() {
        let days = |days: i64| NOON - days * DAY_MS;
        let index = index(&[
            ("future", days(-2), false),
            ("now", NOON, false),
            ("yesterday", days(1), false),
            ("week", days(7), false),
            ("month", days(8), false),
            ("older", days(31), false),
            ("pinned", days(99), true),
        ]);
        check(
            &index,
            TODAY,
            &[
                (Group::Pinned, &["pinned"]),
                (Group::Today, &["future", "now"]),
                (Group::Yesterday, &["yesterday"]),
                (Group::Week, &["week"]),
                (Group::Month, &["month"]),
                (Group::Older, &["older"]),
            ],
        );
    }

    #[test]
    fn the_day_ends_at_midnight_in_the_users_time_zone() {
        let index = index(&[("late", NOON - DAY_MS / 2 - 1, false)]);
        check(&index, TODAY, &[(Group::Yesterday, &["late"])]);
        let east = Today {
            ahead: 60 * 60 * 1000,
            ..TODAY
        };
        check(&index, east, &[(Group::Today, &["late"])]);
    }

    #[test]
    fn a_conversation_with_a_new_message_moves_to_the_top() {
        let mut index = index(&[("a", 1, false), ("b", 2, false), ("p", 0, true)]);
        index.apply(&Change::Changed(conversation("a", 3, false)));
        let ids = |index: &ConversationIndex| -> Vec<String> {
            index
                .conversations
                .iter()
                .map(|one| one.id.clone())
                .collect()
        };
        assert_eq!(ids(&index), ["p", "a", "b"]);
        index.apply(&Change::Removed("p".into()));
        assert_eq!(ids(&index), ["a", "b"]);
    }

    #[test]
    fn a_conversation_of_a_page_that_is_not_loaded_is_not_inserted() {
        let mut index = ConversationIndex::new(ConversationList {
            conversations: vec![conversation("a", 9, false)],
            next: Some("cursor".into()),
        });
        index.change(conversation("old", 1, false));
        assert_eq!(index.get("old"), None);
        index.extend(ConversationList {
            conversations: vec![conversation("a", 9, false), conversation("old", 1, false)],
            next: None,
        });
        assert!(index.get("old").is_some() && index.conversations.len() == 2);
    }

    proptest! {
        #[test]
        fn changes_in_any_order_leave_a_sorted_list_without_doubles(
            changes in proptest::collection::vec((0_u8..6, 0_i64..50, any::<bool>(), any::<bool>()), 0..40),
        ) {
            let mut index = ConversationIndex::default();
            for (id, updated_at, pinned, is_removed) in changes {
                let id = id.to_string();
                if is_removed {
                    index.remove(&id);
                    prop_assert_eq!(index.get(&id), None);
                } else {
                    index.change(conversation(&id, updated_at, pinned));
                    prop_assert_eq!(index.get(&id).map(|one| one.updated_at), Some(updated_at));
                }
                prop_assert!(index.conversations.is_sorted_by(|a, b| key(a) > key(b)));
            }
        }
    }
}
