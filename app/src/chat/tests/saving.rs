//! Messages of saved conversations: their ids, stopping, leaving, continuing.

use super::*;

#[test]
fn the_first_message_starts_the_conversation_and_later_ones_name_their_parents() {
    let harness = Harness::new();
    assert_eq!(harness.chat.id_untracked(), None);
    harness.turn("one", "first");
    let id = harness.chat.id_untracked();
    assert!(id.is_some());
    harness.turn("two", "second");
    assert_eq!(harness.chat.id_untracked(), id);
    assert_eq!(harness.sent(), [vec!["one"], vec!["two", "after r1"]]);
    let events = harness.expect_request();
    harness.chat.regenerate(harness.last());
    play(&events, [start_named(3), ChatEvent::Done(Finish::Stop)]);
    assert_eq!(harness.sent()[2], ["again r2"]);
    harness.chat.edit(harness.chat.path()[2]);
    let _events = harness.expect_request();
    harness.send("two, better");
    assert_eq!(harness.sent()[3], ["two, better", "after r1"]);
}

#[test]
fn a_rejected_first_message_starts_no_conversation_and_keeps_its_ids_when_it_is_sent_again() {
    let harness = Harness::new();
    let events = harness.expect_request();
    harness.send("one");
    refuse(&events);
    assert_eq!(
        (harness.chat.id_untracked(), harness.composer().as_str()),
        (None, "one")
    );
    let _events = harness.expect_request();
    harness.chat.send();
    Executor::poll_local();
    let asked = harness.script.asked.lock().expect("no poison").clone();
    assert_eq!(asked[0], asked[1]);
}

#[test]
fn the_server_stops_a_saved_reply_and_text_before_the_stop_still_arrives() {
    let harness = Harness::new();
    let events = harness.expect_request();
    harness.send("go");
    play(&events, [start_named(1), ChatEvent::Text("half".into())]);
    harness.chat.stop();
    harness.chat.stop();
    Executor::poll_local();
    assert_eq!(harness.stopped(), ["g1"]);
    assert!(!events.is_closed());
    play(
        &events,
        [
            ChatEvent::Text(" and".into()),
            ChatEvent::Done(Finish::Stopped),
        ],
    );
    assert_eq!(harness.shown(), ["Q go", "A half and [stopped]"]);
    assert!(!harness.chat.is_streaming());
}

#[test]
fn a_saved_reply_that_is_stopped_before_its_start_is_stopped_when_it_starts() {
    let harness = Harness::new();
    let events = harness.expect_request();
    harness.send("go");
    harness.chat.stop();
    Executor::poll_local();
    assert!(harness.stopped().is_empty());
    play(&events, [start_named(1)]);
    assert_eq!(harness.stopped(), ["g1"]);
    play(&events, [ChatEvent::Done(Finish::Stopped)]);
    assert_eq!(harness.shown(), ["Q go", "A  [stopped]"]);
}

#[test]
fn a_saved_reply_continues_after_its_conversation_was_left() {
    let harness = Harness::new();
    let events = harness.expect_request();
    harness.send("go");
    play(&events, [start_named(1), ChatEvent::Text("half".into())]);
    harness.chat.start_anew(false);
    Executor::poll_local();
    assert!(events.is_closed() && harness.stopped().is_empty());
    assert!(harness.chat.is_empty() && !harness.chat.can_restore());
}

#[test]
fn a_reply_that_was_cut_off_is_continued_in_place() {
    let harness = Harness::new();
    let events = harness.expect_request();
    harness.send("go");
    play(
        &events,
        [
            start_named(1),
            ChatEvent::Text("half".into()),
            ChatEvent::Done(Finish::Length),
        ],
    );
    let events = harness.expect_request();
    harness.chat.continue_reply(harness.last());
    Executor::poll_local();
    assert_eq!(harness.shown(), ["Q go", "A half …"]);
    refuse(&events);
    assert_eq!(harness.shown(), ["Q go", "A half [length]"]);
    let events = harness.expect_request();
    harness.chat.continue_reply(harness.last());
    Executor::poll_local();
    // The reply restarts from its beginning.
    play(
        &events,
        [
            start_named(1),
            ChatEvent::Text("half".into()),
            ChatEvent::Text(" and half".into()),
            ChatEvent::Done(Finish::Stop),
        ],
    );
    assert_eq!(harness.shown(), ["Q go", "A half and half [stop]"]);
    assert_eq!(harness.sent()[1..], [["on with r1"], ["on with r1"]]);
}
