//! Other versions of messages, edits, and leaving a conversation.

use super::*;

#[test]
fn regenerating_adds_a_version_and_the_older_one_can_be_shown() {
    let harness = Harness::temporary();
    harness.turn("one", "first");
    let events = harness.expect_request();
    harness.chat.regenerate(harness.last());
    play(
        &events,
        [
            start(),
            ChatEvent::Text("second".into()),
            ChatEvent::Done(Finish::Stop),
        ],
    );
    assert_eq!(harness.shown(), ["Q one", "A second [stop]"]);
    assert_eq!(
        harness.chat.version(harness.last()),
        Version { number: 2, of: 2 }
    );
    harness
        .chat
        .show_version(harness.last(), VersionStep::Previous);
    assert_eq!(harness.shown(), ["Q one", "A first [stop]"]);
    assert_eq!(harness.sent(), [vec!["one"], vec!["one"]]);
}

#[test]
fn an_edited_question_is_sent_as_a_sibling_and_the_draft_is_kept() {
    let harness = Harness::temporary();
    harness.turn("one", "first");
    harness.turn("two", "second");
    harness
        .chat
        .draft
        .update(|draft| draft.write("a thought".into()));
    harness.chat.edit(harness.chat.path()[0]);
    assert_eq!(harness.composer(), "one");
    let events = harness.expect_request();
    harness.send("one, better");
    play(
        &events,
        [
            start(),
            ChatEvent::Text("better".into()),
            ChatEvent::Done(Finish::Stop),
        ],
    );
    assert_eq!(harness.shown(), ["Q one, better", "A better [stop]"]);
    assert_eq!(harness.composer(), "a thought");
    assert_eq!(harness.sent()[2], ["one, better"]);
}

#[test]
fn leaving_a_temporary_chat_stops_its_reply_and_it_can_be_restored() {
    let harness = Harness::temporary();
    let events = harness.expect_request();
    harness.send("go");
    play(&events, [start(), ChatEvent::Text("half".into())]);
    harness.chat.start_anew(false);
    Executor::poll_local();
    assert!(events.is_closed());
    assert!(harness.chat.is_empty() && harness.chat.can_restore());
    harness.chat.restore();
    assert_eq!(harness.shown(), ["Q go", "A half [stopped]"]);
    assert!(!harness.chat.can_restore());
}

#[test]
fn subscribers_are_notified_once_per_frame_and_at_once_at_the_end() {
    let harness = Harness::new();
    let events = harness.expect_request();
    harness.send("go");
    let Message::Reply(reply) = harness.chat.message(harness.last()) else {
        panic!("the last message is the reply")
    };
    // A memo is computed again only after a notification.
    let length = Memo::new(move |_| reply.with(|reply| reply.transcript().text.len()));
    assert_eq!(length.get_untracked(), 0);
    play(&events, [start()]);
    for _ in 0..100 {
        play(&events, [ChatEvent::Text("x".into())]);
    }
    assert_eq!(length.get_untracked(), 0, "no frame was drawn yet");
    let due = std::mem::take(&mut *harness.screen.due.lock().expect("no poison"));
    assert_eq!(due.len(), 1, "a hundred events ask for one frame");
    for SendBox(paint) in due {
        paint.take()();
    }
    Executor::poll_local();
    assert_eq!(length.get_untracked(), 100);
    play(
        &events,
        [ChatEvent::Text("x".into()), ChatEvent::Done(Finish::Stop)],
    );
    assert_eq!(length.get_untracked(), 101, "the end needs no frame");
}
