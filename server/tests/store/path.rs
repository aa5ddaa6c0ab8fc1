//! A path through a conversation is read in parts: joined, the parts are the path, in any tree.

use std::collections::HashMap;

use app::protocol::saved::{ConversationDetail, MessageVersion, SavedMessage};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use server::store::{PathEnd, PathLimit, Store, StoreError, Turn};

use super::*;

const ALL: PathLimit = PathLimit {
    messages: 1000,
    bytes: i64::MAX,
};

fn messages(limit: u32) -> PathLimit {
    PathLimit {
        messages: limit,
        ..ALL
    }
}

/// Adds a turn or another version of a reply, and returns the reply's id.
async fn add(store: &Store, conversation: &str, turn: Turn, answer: &str) -> String {
    let new = new_reply(conversation, turn);
    let begun = store.begin(LOCAL_OWNER, &new).await.expect("a reply");
    store
        .finish(LOCAL_OWNER, &new.generation, &finished(&[answer]))
        .await
        .expect("its end");
    begun.message
}

/// A conversation with this many turns, and the ids of its replies.
async fn talk(store: &Store, turns: usize) -> (String, Vec<String>) {
    let conversation = new_id();
    let mut replies: Vec<String> = Vec::new();
    for number in 0..turns {
        let turn = Turn::Question {
            parent: replies.last().cloned(),
            text: format!("question {number}"),
        };
        replies.push(add(store, &conversation, turn, &format!("answer {number}")).await);
    }
    (conversation, replies)
}

async fn part(
    store: &Store,
    conversation: &str,
    end: PathEnd,
    limit: PathLimit,
) -> ConversationDetail {
    store
        .path(LOCAL_OWNER, conversation, &end, limit)
        .await
        .expect("a part")
}

fn texts(part: &ConversationDetail) -> Vec<&str> {
    part.messages
        .iter()
        .map(|message| message.text.as_str())
        .collect()
}

#[tokio::test]
async fn a_part_is_the_end_of_the_path_and_says_what_comes_before() {
    each(async |store| {
        let (conversation, replies) = talk(&store, 3).await;
        let end = part(&store, &conversation, PathEnd::Shown, messages(3)).await;
        assert_eq!(texts(&end), ["answer 1", "question 2", "answer 2"]);
        assert_eq!(end.leaf.as_ref(), Some(&replies[2]));
        assert!(!end.later && end.versions.is_empty());
        let earlier = end.earlier.expect("there is more");
        let before = part(&store, &conversation, PathEnd::At(earlier), ALL).await;
        assert_eq!(texts(&before), ["question 0", "answer 0", "question 1"]);
        assert_eq!((before.earlier, before.leaf), (None, None));
        assert!(before.later);
    })
    .await;
}

#[tokio::test]
async fn a_part_has_so_many_bytes_at_most_but_one_message_at_least() {
    each(async |store| {
        let (conversation, _) = talk(&store, 3).await;
        let check = async |bytes: i64, expect: &[&str]| {
            let limit = PathLimit {
                messages: 50,
                bytes,
            };
            let part = part(&store, &conversation, PathEnd::Shown, limit).await;
            assert_eq!(texts(&part), expect, "{bytes} bytes");
        };
        check(0, &["answer 2"]).await;
        check(17, &["answer 2"]).await;
        check(18, &["question 2", "answer 2"]).await;
        check(26, &["answer 1", "question 2", "answer 2"]).await;
    })
    .await;
}

#[tokio::test]
async fn a_path_leads_through_any_version_and_on_to_the_newest() {
    each(async |store| {
        let (conversation, replies) = talk(&store, 2).await;
        let again = |reply: &str| Turn::Regenerate(reply.to_owned());
        add(&store, &conversation, again(&replies[0]), "again 0").await;
        let second = add(&store, &conversation, again(&replies[1]), "again 1").await;
        let check = async |end: PathEnd, expect: &[&str], leaf: Option<&str>| {
            let part = part(&store, &conversation, end.clone(), ALL).await;
            assert_eq!(texts(&part), expect, "{end:?}");
            if let Some(leaf) = leaf {
                assert_eq!(part.leaf.as_deref(), Some(leaf), "{end:?}");
            }
        };
        let newest = ["question 0", "answer 0", "question 1", "again 1"];
        let through = |reply: usize, version| PathEnd::Through(replies[reply].clone(), version);
        check(PathEnd::Shown, &newest, Some(&second)).await;
        check(through(0, None), &newest, Some(&second)).await;
        check(through(0, Some(1)), &newest, Some(&second)).await;
        check(through(0, Some(2)), &["question 0", "again 0"], None).await;
        let older = ["question 0", "answer 0", "question 1", "answer 1"];
        check(through(1, None), &older, Some(&replies[1])).await;
        check(PathEnd::At(replies[0].clone()), &newest[..2], None).await;

        let part = part(&store, &conversation, PathEnd::Shown, ALL).await;
        let version = |message: &str, number| MessageVersion {
            message: message.to_owned(),
            number,
            of: 2,
        };
        assert_eq!(
            part.versions,
            [version(&replies[0], 1), version(&second, 2)]
        );
    })
    .await;
}

#[tokio::test]
async fn a_path_leads_through_nothing_that_is_not_there_or_is_somebody_elses() {
    each(async |store| {
        let (conversation, replies) = talk(&store, 1).await;
        let (_, elsewhere) = talk(&store, 1).await;
        let check = async |owner: &str, id: &str, end: PathEnd| {
            let found = store.path(owner, id, &end, ALL).await;
            assert!(
                matches!(found, Err(StoreError::NotFound)),
                "{owner} {end:?}"
            );
        };
        check(OTHER, &conversation, PathEnd::Shown).await;
        check(LOCAL_OWNER, "nowhere", PathEnd::Shown).await;
        let there = || replies[0].clone();
        check(OTHER, &conversation, PathEnd::At(there())).await;
        check(
            LOCAL_OWNER,
            &conversation,
            PathEnd::Through(there(), Some(2)),
        )
        .await;
        for foreign in ["nothing", &elsewhere[0]] {
            let foreign = || foreign.to_owned();
            check(LOCAL_OWNER, &conversation, PathEnd::At(foreign())).await;
            check(
                LOCAL_OWNER,
                &conversation,
                PathEnd::Through(foreign(), None),
            )
            .await;
        }
    })
    .await;
}

/// The messages up to this one.
fn line_to(whole: &ConversationDetail, message: &str) -> Vec<SavedMessage> {
    let by_id: HashMap<_, _> = whole.messages.iter().map(|one| (&*one.id, one)).collect();
    let above = |one: &&SavedMessage| Some(*by_id.get(one.parent.as_deref()?).expect("its parent"));
    let mut line: Vec<_> = std::iter::successors(by_id.get(message).copied(), |one| above(one))
        .cloned()
        .collect();
    line.reverse();
    line
}

/// Where the path ends that goes on from this message with the newest version each time.
fn leaf_below(whole: &ConversationDetail, message: &str) -> String {
    let newest_after = |id: &String| {
        let mut after = whole
            .messages
            .iter()
            .filter(|one| one.parent.as_ref() == Some(id));
        after.next_back().map(|one| one.id.clone())
    };
    let last = std::iter::successors(Some(message.to_owned()), newest_after).last();
    last.expect("at least this one")
}

/// Reads a path part by part, from its end.
async fn joined(
    store: &Store,
    whole: &ConversationDetail,
    end: PathEnd,
    limit: u32,
) -> Vec<SavedMessage> {
    let mut line = Vec::new();
    let mut next = Some(end);
    while let Some(end) = next {
        let part = part(store, &whole.id, end, messages(limit)).await;
        assert!((1..=limit as usize).contains(&part.messages.len()));
        for message in &part.messages {
            let versions: Vec<_> = whole
                .messages
                .iter()
                .filter(|one| one.parent == message.parent)
                .map(|one| &one.id)
                .collect();
            let at = versions.iter().position(|id| **id == message.id);
            let expect = (versions.len() > 1).then(|| MessageVersion {
                message: message.id.clone(),
                number: at.expect("it is one of them") as u32 + 1,
                of: versions.len() as u32,
            });
            let told = part.versions.iter().find(|one| one.message == message.id);
            assert_eq!(told, expect.as_ref());
        }
        assert_eq!(part.earlier, part.messages[0].parent);
        line.splice(0..0, part.messages);
        next = part.earlier.map(PathEnd::At);
    }
    line
}

/// A change of a tree: a new question at the root or after a reply, or a new version of a reply.
/// Numbers choose a reply.
#[derive(Debug, Clone)]
enum Change {
    Ask(Option<usize>),
    Again(usize),
}

#[tokio::test]
async fn the_parts_of_any_path_through_any_tree_are_the_path() {
    let change = prop_oneof![
        3 => proptest::option::weighted(0.9, any::<usize>()).prop_map(Change::Ask),
        1 => any::<usize>().prop_map(Change::Again),
    ];
    let trees = proptest::collection::vec(change, 1..16);
    each(async |store| {
        let mut runner = TestRunner::deterministic();
        for _ in 0..12 {
            let changes = trees.new_tree(&mut runner).expect("a tree").current();
            let conversation = new_id();
            let mut replies: Vec<String> = Vec::new();
            for change in changes {
                let pick = |at: usize| replies.get(at % replies.len().max(1)).cloned();
                let ask = match change {
                    Change::Again(at) if !replies.is_empty() => {
                        Turn::Regenerate(pick(at).expect("one"))
                    }
                    Change::Again(_) | Change::Ask(None) => Turn::Question {
                        parent: None,
                        text: "first".into(),
                    },
                    Change::Ask(Some(at)) => Turn::Question {
                        parent: pick(at),
                        text: "further".into(),
                    },
                };
                replies.push(add(&store, &conversation, ask, "answer").await);
            }
            let whole = store.get(LOCAL_OWNER, &conversation).await.expect("all");
            for (at, message) in whole.messages.iter().enumerate() {
                let limit = 1 + (at as u32 * 7) % 5;
                let id = || message.id.clone();
                let through = PathEnd::Through(id(), None);
                let found = joined(&store, &whole, through, limit).await;
                assert_eq!(found, line_to(&whole, &leaf_below(&whole, &message.id)));
                let found = joined(&store, &whole, PathEnd::At(id()), limit).await;
                assert_eq!(found, line_to(&whole, &message.id));
            }
            let leaf = whole.leaf.as_deref().expect("something was said");
            let found = joined(&store, &whole, PathEnd::Shown, 4).await;
            assert_eq!(found, line_to(&whole, &leaf_below(&whole, leaf)));
        }
    })
    .await;
}
