//! A conversation of which only the end is loaded.

use super::*;
use crate::protocol::saved::MessageVersion;

/// The end of a conversation: messages before `q2` are not loaded.
fn end() -> ConversationDetail {
    ConversationDetail {
        earlier: Some("r1".into()),
        ..detail(
            "r3",
            vec![
                saved("q2", Some("r1"), "two", DONE),
                saved("r2", Some("q2"), "second", DONE),
                saved("q3", Some("r2"), "three", DONE),
                saved("r3", Some("q3"), "third", DONE),
            ],
        )
    }
}

const END: [&str; 4] = ["Q two", "A second [stop]", "Q three", "A third [stop]"];

fn opened(detail: &ConversationDetail) -> Harness {
    let harness = Harness::new();
    harness.chat.open(detail);
    harness
}

fn version(message: &str, number: u32, of: u32) -> MessageVersion {
    MessageVersion {
        message: message.into(),
        number,
        of,
    }
}

#[test]
fn earlier_messages_are_prepended() {
    let harness = opened(&end());
    assert_eq!(harness.shown(), END);
    assert_eq!(harness.chat.earlier().as_deref(), Some("r1"));
    let before = [
        saved("q1", None, "one", DONE),
        saved("r1", Some("q1"), "first", DONE),
    ];
    harness.chat.prepend(&before, &[version("r1", 2, 2)], None);
    assert_eq!(harness.chat.earlier(), None);
    assert_eq!(harness.shown()[..2], ["Q one", "A first [stop]"]);
    assert_eq!(harness.shown()[2..], END);
    let reply = harness.chat.path()[1];
    assert_eq!(harness.chat.version(reply), Version { number: 2, of: 2 });
}

#[test]
fn a_message_after_one_that_is_not_loaded_names_it_as_its_parent() {
    // An edit of the first question: it follows the reply before it.
    let harness = opened(&end());
    harness.chat.edit(harness.chat.path()[0]);
    let _events = harness.expect_request();
    harness.send("two again");
    assert_eq!(harness.sent(), [["two again", "after r1"]]);
    assert_eq!(harness.shown(), ["Q two again", "A  …"]);

    // A regenerated reply whose question is not loaded.
    let harness = opened(&ConversationDetail {
        earlier: Some("q2".into()),
        ..detail("r2", vec![saved("r2", Some("q2"), "second", DONE)])
    });
    let _events = harness.expect_request();
    harness.chat.regenerate(harness.last());
    Executor::poll_local();
    assert_eq!(harness.sent(), [["again r2"]]);
    assert_eq!(harness.shown(), ["A  …"]);
    let versions = Version { number: 2, of: 2 };
    assert_eq!(harness.chat.version(harness.last()), versions);
}

#[test]
fn the_servers_state_is_merged_where_it_connects_to_the_loaded_messages() {
    let check = |messages: Vec<SavedMessage>, leaf: &str, expect: Option<&[&str]>| {
        let harness = opened(&end());
        let there = detail(leaf, messages);
        assert_eq!(harness.chat.catch_up(&there), expect.is_some(), "{leaf}");
        assert_eq!(harness.shown(), expect.unwrap_or(&END), "{leaf}");
    };
    let more = || {
        vec![
            saved("q4", Some("r3"), "four", DONE),
            saved("r4", Some("q4"), "fourth", DONE),
        ]
    };
    let longer = [&END[..], &["Q four", "A fourth [stop]"]].concat();
    check(more(), "r4", Some(&longer));
    // A part that starts before the loaded messages.
    let mut part = vec![saved("r1", Some("q1"), "first", DONE)];
    part.extend(end().messages);
    part.extend(more());
    check(part, "r4", Some(&longer));
    // Another version of the first loaded message.
    let other = vec![saved("q2b", Some("r1"), "two, again", DONE)];
    check(other, "q2b", Some(&["Q two, again"]));
    // A hundred messages later.
    let far = vec![saved("q99", Some("r98"), "far", DONE)];
    check(far, "q99", None);
    check(Vec::new(), "r3", Some(&END));
}

#[test]
fn a_version_that_is_not_loaded_is_requested_and_then_shown() {
    let mut end = end();
    end.versions = vec![version("q3", 2, 2)];
    let harness = opened(&end);
    let question = harness.chat.path()[2];
    harness.chat.show_version(question, VersionStep::Previous);
    assert_eq!(harness.shown(), END);
    assert_eq!(harness.chat.wanted(), Some(("q3".into(), 1)));
    let mut path = detail(
        "r3b",
        vec![
            saved("r2", Some("q2"), "second", DONE),
            saved("q3b", Some("r2"), "other", DONE),
            saved("r3b", Some("q3b"), "another", DONE),
        ],
    );
    path.earlier = Some("q2".into());
    path.versions = vec![version("q3b", 1, 2)];
    assert!(harness.chat.show_path(&path));
    let other = ["Q two", "A second [stop]", "Q other", "A another [stop]"];
    assert_eq!(harness.shown(), other);
    assert_eq!(harness.chat.chosen().as_deref(), Some("r3b"));
    assert_eq!(harness.chat.earlier().as_deref(), Some("r1"));
    // Now both versions are loaded.
    harness
        .chat
        .show_version(harness.chat.path()[2], VersionStep::Next);
    assert_eq!(harness.shown(), END);
    harness.chat.show_version(question, VersionStep::Previous);
    assert_eq!(harness.shown(), other);
}

#[test]
fn nothing_is_sent_to_a_conversation_whose_end_is_not_loaded() {
    let harness = opened(&ConversationDetail {
        later: true,
        ..end()
    });
    harness.send("four");
    harness.chat.regenerate(harness.last());
    assert_eq!(harness.sent(), [[""; 0]; 0]);
    assert_eq!(harness.composer(), "four");
    harness.chat.open(&end());
    let _events = harness.expect_request();
    harness.send("four");
    assert_eq!(harness.sent(), [["four", "after r3"]]);
}

#[test]
fn replies_without_an_end_on_other_paths_are_unsettled() {
    let streaming = MessageState::Streaming {
        generation: "g".into(),
        last_seq: 1,
    };
    let mut end = end();
    end.messages[3] = saved("r3", Some("q3"), "thi", streaming);
    let harness = opened(&end);
    assert_eq!(harness.chat.unsettled(&end), [""; 0]);
    let elsewhere = detail("x", Vec::new());
    assert_eq!(harness.chat.unsettled(&elsewhere), ["r3"]);
    let _events = harness.expect_request();
    harness.chat.follow_running(&end);
    Executor::poll_local();
    assert_eq!(harness.chat.unsettled(&elsewhere), [""; 0]);
}

#[test]
fn seeking_a_message_shows_the_path_to_it() {
    let mut end = end();
    end.messages.push(saved("r3b", Some("q3"), "other", DONE));
    let harness = opened(&end);
    assert_eq!(harness.chat.sought(), None);
    harness.chat.seek("c".into(), "r3b".into());
    assert_eq!(harness.chat.sought().as_deref(), Some("r3b"));
    assert_eq!(harness.chat.show_message("r3b"), Some(3));
    assert_eq!(harness.shown()[3], "A other [stop]");
    assert_eq!(harness.chat.show_message("q2"), Some(0));
    assert_eq!(harness.chat.show_message("r1"), None);
    harness.chat.seek("elsewhere".into(), "r3".into());
    assert_eq!(harness.chat.sought(), None);
}
