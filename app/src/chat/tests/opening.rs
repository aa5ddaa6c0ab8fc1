//! Saved conversations that are opened, followed and synchronised.

use super::*;

#[test]
fn a_saved_conversation_is_opened_with_its_path() {
    let harness = Harness::new();
    let detail = detail(
        "r1",
        vec![
            saved("q1", None, "one", DONE),
            saved("r1", Some("q1"), "first", DONE),
            saved("r1b", Some("q1"), "second", MessageState::Interrupted),
        ],
    );
    harness.chat.open(&detail);
    assert_eq!(harness.chat.id_untracked().as_deref(), Some("c"));
    assert_eq!(harness.shown(), ["Q one", "A first [stop]"]);
    harness.chat.show_version(harness.last(), VersionStep::Next);
    assert_eq!(harness.shown(), ["Q one", "A second [interrupted]"]);
    assert_eq!(harness.chat.chosen().as_deref(), Some("r1b"));
}

#[test]
fn a_reply_that_streams_elsewhere_is_read_from_where_it_was_saved() {
    let harness = Harness::new();
    let streaming = MessageState::Streaming {
        generation: "g".into(),
        last_seq: 7,
    };
    let detail = detail(
        "r1",
        vec![
            saved("q1", None, "one", DONE),
            saved("r1", Some("q1"), "half", streaming),
        ],
    );
    harness.chat.open(&detail);
    assert!(!harness.chat.is_streaming());
    let events = harness.expect_request();
    harness.chat.follow_running(&detail);
    // Loading the same state again changes nothing.
    harness.chat.follow_running(&detail);
    Executor::poll_local();
    assert_eq!(harness.sent(), [["follow g Some(7)"]]);
    play(
        &events,
        [
            ChatEvent::Text(" and half".into()),
            ChatEvent::Done(Finish::Stop),
        ],
    );
    assert_eq!(harness.shown(), ["Q one", "A half and half [stop]"]);
}

#[test]
fn messages_of_another_tab_are_merged() {
    let harness = Harness::new();
    let mut there = detail(
        "r1",
        vec![
            saved("q1", None, "one", DONE),
            saved("r1", Some("q1"), "half", MessageState::Interrupted),
        ],
    );
    harness.chat.open(&there);
    there.messages[1] = saved("r1", Some("q1"), "half and half", DONE);
    there.messages.push(saved("q2", Some("r1"), "two", DONE));
    there.messages.push(saved("r2", Some("q2"), "second", DONE));
    there.leaf = Some("r2".into());
    assert!(harness.chat.catch_up(&there));
    let expect = [
        "Q one",
        "A half and half [stop]",
        "Q two",
        "A second [stop]",
    ];
    assert_eq!(harness.shown(), expect);
    assert!(harness.chat.catch_up(&there));
    assert_eq!(harness.shown(), expect);
}

#[test]
fn a_streaming_state_that_arrives_after_the_end_is_out_of_date() {
    let check = |generation: &str, expect: &str, asks: usize| {
        let harness = Harness::new();
        let events = harness.expect_request();
        harness.send("go");
        play(
            &events,
            [
                start_named(1),
                ChatEvent::Text("the whole".into()),
                ChatEvent::Done(Finish::Stop),
            ],
        );
        let streaming = MessageState::Streaming {
            generation: generation.into(),
            last_seq: 1,
        };
        let mut there = detail(
            "r1",
            vec![
                saved("q1", None, "go", DONE),
                saved("r1", Some("q1"), "the", streaming),
            ],
        );
        there.id = harness.chat.id_untracked().expect("a saved conversation");
        let _goes_on = (asks > 1).then(|| harness.expect_request());
        assert!(harness.chat.catch_up(&there));
        Executor::poll_local();
        assert_eq!(harness.shown(), ["Q go", expect], "{generation}");
        let asked = harness.script.asked.lock().expect("no poison").len();
        assert_eq!(asked, asks, "{generation}");
    };
    check("g1", "A the whole [stop]", 1);
    // Another tab has continued the reply.
    check("g2", "A the …", 2);
}

#[test]
fn merging_the_saved_state_keeps_the_time_to_wait() {
    let limited = |retry_after_ms| ReplyError {
        kind: ErrorKind::RateLimited,
        message: "Slow down.".into(),
        retryable: true,
        retry_after_ms,
    };
    let harness = Harness::new();
    let events = harness.expect_request();
    harness.send("go");
    play(
        &events,
        [start_named(1), ChatEvent::Error(limited(Some(90_000)))],
    );
    let mut there = detail(
        "r1",
        vec![
            saved("q1", None, "go", DONE),
            saved("r1", Some("q1"), "", MessageState::Error(limited(None))),
        ],
    );
    there.id = harness.chat.id_untracked().expect("a saved conversation");
    assert!(harness.chat.catch_up(&there));
    let Message::Reply(reply) = harness.chat.message(harness.last()) else {
        panic!("a reply");
    };
    assert!(reply.with_untracked(|reply| reply.retry_wait(Duration::ZERO).is_some()));
}

#[test]
fn a_reply_that_the_server_does_not_know_requests_a_resync() {
    let harness = Harness::new();
    let events = harness.expect_request();
    harness.send("go");
    play(&events, [start_named(1), ChatEvent::Text("half".into())]);
    let before = harness.chat.resyncs();
    refuse(&events);
    assert_eq!(harness.shown(), ["Q go", "A half [cut]"]);
    assert_eq!(harness.chat.resyncs(), before + 1);
}

#[test]
fn a_resumed_reply_requests_a_resync() {
    for is_resumed in [false, true] {
        let harness = Harness::new();
        let mut events = harness.expect_request();
        harness.send("go");
        play(&events, [start_named(1), ChatEvent::Text("half".into())]);
        let before = harness.chat.resyncs();
        if is_resumed {
            let next = harness.expect_request();
            drop(events);
            Executor::poll_local();
            events = next;
            play(&events, []);
        }
        play(&events, [failure(ErrorKind::Interrupted)]);
        assert_eq!(harness.shown(), ["Q go", "A half [interrupted]"]);
        assert_eq!(harness.chat.resyncs(), before + u32::from(is_resumed));
    }
}
