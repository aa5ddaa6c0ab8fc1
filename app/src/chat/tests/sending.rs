//! Sending a message, stopping its reply, and errors.

use super::*;

#[test]
fn a_message_is_sent_and_its_reply_streams_in() {
    let harness = Harness::new();
    let events = harness.expect_request();
    harness.send("hello");
    assert_eq!(harness.shown(), ["Q hello", "A  …"]);
    assert_eq!(
        (harness.composer().as_str(), harness.chat.is_streaming()),
        ("", true)
    );
    assert_eq!(harness.chat.announcement(), Announcement::Answering);
    play(&events, [start(), ChatEvent::Text("Hi ".into())]);
    assert_eq!(harness.shown(), ["Q hello", "A Hi  …"]);
    play(
        &events,
        [
            ChatEvent::Text("there".into()),
            ChatEvent::Done(Finish::Stop),
        ],
    );
    assert_eq!(harness.shown(), ["Q hello", "A Hi there [stop]"]);
    assert_eq!(
        (harness.chat.is_streaming(), events.is_closed()),
        (false, true)
    );
    assert_eq!(
        harness.chat.announcement(),
        Announcement::Ended {
            end: ReplyEnd::Done(Finish::Stop),
            words: 2
        }
    );
}

#[test]
fn the_whole_path_is_sent_without_empty_replies() {
    let harness = Harness::temporary();
    harness.turn("one", "first");
    harness.turn("two", "");
    harness.turn("three", "third");
    assert_eq!(
        harness.sent(),
        [
            vec!["one"],
            vec!["one", "first", "two"],
            vec!["one", "first", "two", "three"]
        ]
    );
}

#[test]
fn nothing_is_sent_while_a_reply_streams_and_the_next_message_stays() {
    let harness = Harness::new();
    let events = harness.expect_request();
    harness.send("one");
    harness.send("two");
    harness.chat.regenerate(harness.last());
    assert_eq!(
        (harness.sent().len(), harness.composer().as_str()),
        (1, "two")
    );
    play(&events, [start(), ChatEvent::Done(Finish::Stop)]);
    assert_eq!(harness.composer(), "two");
}

#[test]
fn a_stop_drops_the_stream_and_keeps_the_text() {
    let harness = Harness::temporary();
    let events = harness.expect_request();
    harness.send("go");
    play(&events, [start(), ChatEvent::Text("half".into())]);
    harness.chat.stop();
    Executor::poll_local();
    assert!(events.is_closed());
    assert_eq!(harness.shown(), ["Q go", "A half [stopped]"]);
    assert_eq!(
        harness.chat.announcement(),
        Announcement::Ended {
            end: ReplyEnd::Done(Finish::Stopped),
            words: 1
        }
    );
    assert!(!harness.chat.is_streaming());
}

#[test]
fn a_stop_at_the_moment_of_sending_works_too() {
    let harness = Harness::temporary();
    let _events = harness.expect_request();
    harness.chat.draft.update(|draft| draft.write("go".into()));
    harness.chat.send();
    harness.chat.stop();
    Executor::poll_local();
    assert!(harness.sent().is_empty(), "the request had not left yet");
    assert_eq!(harness.shown(), ["Q go", "A  [stopped]"]);
}

#[test]
fn a_message_that_was_not_accepted_is_back_in_the_composer() {
    let harness = Harness::new();
    harness.turn("one", "first");
    let events = harness.expect_request();
    harness.send("two");
    harness
        .chat
        .draft
        .update(|draft| draft.write("three".into()));
    play(&events, [failure(ErrorKind::ServerUnreachable)]);
    assert_eq!(harness.shown(), ["Q one", "A first [stop]"]);
    assert_eq!(harness.composer(), "two\n\nthree");
    assert_eq!(harness.chat.notice(), Some("It failed.".into()));
    assert_eq!(
        harness.chat.announcement(),
        Announcement::Sentence("It failed.".into())
    );
    let events = harness.expect_request();
    harness.chat.send();
    play(&events, [start()]);
    assert_eq!(harness.chat.notice(), None);
}

#[test]
fn the_text_field_is_read_before_the_draft_is_used() {
    let harness = Harness::new();
    let typed = Arc::new(Mutex::new(Some("one".to_owned())));
    let (chat, field) = (harness.chat, Arc::clone(&typed));
    harness.chat.read_draft_by(move || {
        if let Some(text) = field.lock().expect("no poison").take() {
            chat.draft().update_untracked(|draft| draft.write(text));
        }
    });
    let write = |text: &str| *typed.lock().expect("no poison") = Some(text.into());
    let events = harness.expect_request();
    assert!(harness.chat.send(), "what is in the field is sent");
    Executor::poll_local();
    // The message comes back while the next one is being written.
    write("two");
    play(&events, [failure(ErrorKind::ServerUnreachable)]);
    assert_eq!(harness.composer(), "one\n\ntwo");
    harness.turn("one", "first");
    write("a thought");
    harness.chat.edit(harness.chat.path()[0]);
    write("another form");
    harness.chat.cancel_edit();
    assert_eq!(harness.composer(), "a thought");
}

#[test]
fn an_edit_or_a_retry_that_was_not_accepted_changes_nothing() {
    let harness = Harness::temporary();
    harness.turn("one", "first");
    let before = harness.shown();
    let events = harness.expect_request();
    harness.chat.regenerate(harness.last());
    play(&events, [failure(ErrorKind::ServerUnreachable)]);
    assert_eq!(harness.shown(), before);

    let events = harness.expect_request();
    harness.chat.edit_last();
    harness.send("one, better");
    play(&events, [failure(ErrorKind::ServerUnreachable)]);
    assert_eq!(harness.shown(), before);
    assert_eq!(harness.composer(), "one, better");
    assert!(
        harness
            .chat
            .draft
            .with_untracked(|draft| draft.editing().is_some())
    );
}

#[test]
fn an_error_after_the_start_belongs_to_the_reply() {
    let harness = Harness::new();
    let events = harness.expect_request();
    harness.send("go");
    play(
        &events,
        [
            start(),
            ChatEvent::Text("half".into()),
            failure(ErrorKind::UpstreamCut),
        ],
    );
    assert_eq!(harness.shown(), ["Q go", "A half [upstream_cut]"]);
    assert_eq!(
        (harness.composer().as_str(), harness.chat.notice()),
        ("", None)
    );
    let announcement = harness.chat.announcement();
    let Announcement::Ended { end, words: 1 } = announcement else {
        panic!("{announcement:?}");
    };
    assert!(matches!(end, ReplyEnd::Error(error) if error.message == "It failed."));
}

#[test]
fn a_stream_that_just_ends_was_cut() {
    let harness = Harness::temporary();
    let events = harness.expect_request();
    harness.send("go");
    play(&events, [start(), ChatEvent::Text("half".into())]);
    drop(events);
    Executor::poll_local();
    assert_eq!(harness.shown(), ["Q go", "A half [cut]"]);
}
