//! The verbs, against a scripted transport and a clock that stands still until it is told.

mod parts;

use std::collections::VecDeque;
use std::sync::Mutex;

use any_spawner::Executor;
use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures::future::{LocalBoxFuture, pending, ready};
use futures::{FutureExt, StreamExt};

use super::*;
use crate::protocol::Role;
use crate::protocol::saved::{ConversationDetail, MessageState, SavedMessage};
use crate::protocol::{ChatEvent, ErrorKind, Finish, ReplyError, Start};
use crate::reply::decode::NumberedEvent;
use crate::reply::transcript::ReplyEnd;
use crate::reply::transport::{Connection, ConnectionError, Received, ReplyRequest};

type Events = UnboundedSender<Result<Received, ConnectionError>>;

type Coming = UnboundedReceiver<Result<Received, ConnectionError>>;

/// Plays what the test tells it to.
#[derive(Clone, Default)]
struct Script {
    asked: Arc<Mutex<Vec<ReplyRequest>>>,
    replies: Arc<Mutex<VecDeque<Coming>>>,
    stopped: Arc<Mutex<Vec<String>>>,
}

impl ChatTransport for Script {
    fn open(&self, ask: ReplyRequest) -> Connection {
        self.asked
            .lock()
            .expect("no test panics while it holds this")
            .push(ask);
        let reply = self
            .replies
            .lock()
            .expect("no test panics while it holds this")
            .pop_front();
        reply.expect("the test has prepared a reply").boxed_local()
    }

    fn stop(&self, generation: String) -> LocalBoxFuture<'static, Result<(), ConnectionError>> {
        self.stopped
            .lock()
            .expect("no test panics while it holds this")
            .push(generation);
        async { Ok(()) }.boxed_local()
    }
}

/// Frames are drawn when the test says so.
#[derive(Clone, Default)]
struct Screen {
    due: Arc<Mutex<Vec<SendBox>>>,
}

/// Tests have one thread each, and this never leaves it.
struct SendBox(send_wrapper::SendWrapper<Box<dyn FnOnce()>>);

impl Clock for Screen {
    fn now(&self) -> Duration {
        Duration::ZERO
    }

    fn at_next_frame(&self, paint: Box<dyn FnOnce()>) {
        self.due
            .lock()
            .expect("no test panics while it holds this")
            .push(SendBox(send_wrapper::SendWrapper::new(paint)));
    }

    fn wait(&self, time: Duration) -> LocalBoxFuture<'static, ()> {
        // A moment is over at once, anything longer never.
        if time < Duration::from_millis(200) {
            ready(()).boxed_local()
        } else {
            pending().boxed_local()
        }
    }

    fn random(&self) -> f64 {
        0.5
    }
}

/// A chat with a scripted server.
struct Harness {
    is_temporary: bool,
    chat: Chat,
    script: Script,
    screen: Screen,
    _owner: Owner,
}

impl Harness {
    fn new() -> Self {
        // Set once for all tests of the process; every thread has its own queue.
        let _ = Executor::init_futures_executor();
        let owner = Owner::new();
        owner.set();
        let (script, screen) = (Script::default(), Screen::default());
        let deps = Deps {
            transport: Some(Arc::new(script.clone())),
            clock: Arc::new(screen.clone()),
            lifecycle: None,
        };
        let chat = Chat::new(deps, Preferences::new());
        Self {
            is_temporary: false,
            chat,
            script,
            screen,
            _owner: owner,
        }
    }

    /// A chat that nobody keeps.
    fn temporary() -> Self {
        let harness = Self::new();
        harness.chat.start_anew(true);
        Self {
            is_temporary: true,
            ..harness
        }
    }

    /// The next request will be answered by what is sent here.
    fn expect_request(&self) -> Events {
        let (events, reply) = unbounded();
        self.script
            .replies
            .lock()
            .expect("no poison")
            .push_back(reply);
        events
    }

    /// A whole turn.
    /// A saved turn gets the names `q1` and `r1`, where 1 is the number of the request.
    fn turn(&self, question: &str, answer: &'static str) {
        let events = self.expect_request();
        self.send(question);
        let number = self.sent().len();
        play(
            &events,
            [
                if self.is_temporary {
                    start()
                } else {
                    start_named(number)
                },
                ChatEvent::Text(answer.into()),
                ChatEvent::Done(Finish::Stop),
            ],
        );
    }

    fn send(&self, text: &str) {
        self.chat.draft.update(|draft| draft.write(text.into()));
        self.chat.send();
        Executor::poll_local();
    }

    /// What is on the page: questions and answers with their ends.
    fn shown(&self) -> Vec<String> {
        let describe = |id| match self.chat.message(id) {
            Message::Question(text) => format!("Q {text}"),
            Message::Reply(reply) => reply.with_untracked(|reply| match &reply.transcript().end {
                None => format!("A {} …", reply.transcript().text),
                Some(ReplyEnd::Done(finish)) => {
                    format!("A {} [{}]", reply.transcript().text, finish.as_str())
                }
                Some(ReplyEnd::Error(error)) => {
                    format!("A {} [{}]", reply.transcript().text, error.kind.as_str())
                }
                Some(ReplyEnd::Cut) => format!("A {} [cut]", reply.transcript().text),
            }),
        };
        self.chat.path().into_iter().map(describe).collect()
    }

    fn last(&self) -> MessageId {
        *self.chat.path().last().expect("something was said")
    }

    fn composer(&self) -> String {
        self.chat
            .draft
            .with_untracked(|draft| draft.text().to_owned())
    }

    /// What was asked for, in short: the history of a temporary request, what a saved one is about.
    fn sent(&self) -> Vec<Vec<String>> {
        let asked = self.script.asked.lock().expect("no poison");
        let in_short = |ask: &ReplyRequest| match ask {
            ReplyRequest::Ephemeral(request) => request
                .messages
                .iter()
                .map(|message| message.content.clone())
                .collect(),
            ReplyRequest::Send { message, .. } => [
                ("", &message.content),
                ("after ", &message.parent),
                ("again ", &message.regenerate),
                ("on with ", &message.continue_reply),
            ]
            .into_iter()
            .filter_map(|(what, value)| Some(format!("{what}{}", value.as_ref()?)))
            .collect(),
            ReplyRequest::Resume { generation, after } => {
                vec![format!("follow {generation} {after:?}")]
            }
        };
        asked.iter().map(in_short).collect()
    }

    fn stopped(&self) -> Vec<String> {
        self.script.stopped.lock().expect("no poison").clone()
    }
}

/// Lets the server send these events.
fn play<const N: usize>(events: &Events, list: [ChatEvent<'static>; N]) {
    for event in list {
        let event = NumberedEvent { seq: None, event };
        events
            .unbounded_send(Ok(Received::Event(event)))
            .expect("the page still listens");
    }
    Executor::poll_local();
}

fn start() -> ChatEvent<'static> {
    ChatEvent::Start(Start {
        generation: "g".into(),
        model: "m".into(),
        ..Start::default()
    })
}

/// The start of a saved reply, which names its messages after this number.
fn start_named(number: usize) -> ChatEvent<'static> {
    ChatEvent::Start(Start {
        generation: format!("g{number}"),
        model: "m".into(),
        conversation: Some("c".into()),
        user_message: Some(format!("q{number}")),
        message: Some(format!("r{number}")),
    })
}

/// The server cannot be reached.
fn refuse(events: &Events) {
    let ConnectionError::Transient(error) = ConnectionError::unreachable() else {
        unreachable!("it is lost")
    };
    events
        .unbounded_send(Err(ConnectionError::Rejected(error)))
        .expect("the page still listens");
    Executor::poll_local();
}

fn failure(kind: ErrorKind) -> ChatEvent<'static> {
    ChatEvent::Error(ReplyError {
        kind,
        message: "It failed.".into(),
        retryable: true,
        retry_after_ms: None,
    })
}

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
fn the_whole_line_of_the_conversation_is_sent_without_empty_replies() {
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
    harness.chat.ask_again(harness.last());
    assert_eq!(
        (harness.sent().len(), harness.composer().as_str()),
        (1, "two")
    );
    play(&events, [start(), ChatEvent::Done(Finish::Stop)]);
    assert_eq!(harness.composer(), "two");
}

#[test]
fn a_stop_lets_go_of_the_stream_and_keeps_the_text() {
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
fn what_was_written_and_not_read_yet_is_read_before_the_draft_is_used() {
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
    harness.chat.ask_again(harness.last());
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

#[test]
fn asking_again_makes_a_version_and_the_older_one_can_be_shown() {
    let harness = Harness::temporary();
    harness.turn("one", "first");
    let events = harness.expect_request();
    harness.chat.ask_again(harness.last());
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
fn an_edited_question_is_asked_in_its_place_and_the_draft_waits() {
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
fn whoever_looks_is_told_once_a_frame_and_at_once_at_the_end() {
    let harness = Harness::new();
    let events = harness.expect_request();
    harness.send("go");
    let Message::Reply(reply) = harness.chat.message(harness.last()) else {
        panic!("the last message is the reply")
    };
    // A memo is computed anew only after it was told of a change.
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

#[test]
fn the_first_message_begins_the_conversation_and_later_ones_follow_by_name() {
    let harness = Harness::new();
    assert_eq!(harness.chat.id_untracked(), None);
    harness.turn("one", "first");
    let id = harness.chat.id_untracked();
    assert!(id.is_some());
    harness.turn("two", "second");
    assert_eq!(harness.chat.id_untracked(), id);
    assert_eq!(harness.sent(), [vec!["one"], vec!["two", "after r1"]]);
    let events = harness.expect_request();
    harness.chat.ask_again(harness.last());
    play(&events, [start_named(3), ChatEvent::Done(Finish::Stop)]);
    assert_eq!(harness.sent()[2], ["again r2"]);
    harness.chat.edit(harness.chat.path()[2]);
    let _events = harness.expect_request();
    harness.send("two, better");
    assert_eq!(harness.sent()[3], ["two, better", "after r1"]);
}

#[test]
fn a_first_message_that_was_not_accepted_begins_nothing_and_is_the_same_when_it_is_sent_again() {
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
fn a_stop_of_a_saved_reply_is_the_servers_and_the_text_up_to_it_still_comes() {
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
fn a_saved_reply_that_is_stopped_before_it_began_is_stopped_when_it_begins() {
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
fn leaving_a_saved_conversation_lets_its_reply_go_on() {
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
fn a_reply_that_was_cut_off_goes_on_in_its_place() {
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
    harness.chat.go_on(harness.last());
    Executor::poll_local();
    assert_eq!(harness.shown(), ["Q go", "A half …"]);
    refuse(&events);
    assert_eq!(harness.shown(), ["Q go", "A half [length]"]);
    let events = harness.expect_request();
    harness.chat.go_on(harness.last());
    Executor::poll_local();
    // It is told from its beginning.
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

fn saved(id: &str, parent: Option<&str>, text: &str, state: MessageState) -> SavedMessage {
    SavedMessage {
        id: id.into(),
        parent: parent.map(str::to_owned),
        role: if id.starts_with('q') {
            Role::User
        } else {
            Role::Assistant
        },
        text: text.into(),
        reasoning: String::new(),
        model: None,
        created_at: 0,
        usage: None,
        timing: None,
        state,
        could_not_be_saved: false,
    }
}

const DONE: MessageState = MessageState::Done {
    finish: Finish::Stop,
};

fn detail(leaf: &str, messages: Vec<SavedMessage>) -> ConversationDetail {
    ConversationDetail {
        id: "c".into(),
        title: "Title".into(),
        pinned: false,
        leaf: Some(leaf.into()),
        messages,
        ..ConversationDetail::default()
    }
}

#[test]
fn a_saved_conversation_is_shown_as_it_was_left() {
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
fn a_reply_that_streams_elsewhere_is_followed_from_where_it_was_saved() {
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
    // It is told more than once.
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
fn what_another_tab_said_is_caught_up_with() {
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
fn word_of_a_reply_as_streaming_that_comes_after_its_end_is_old() {
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
    // Another tab has made it go on.
    check("g2", "A the …", 2);
}

#[test]
fn what_the_server_saved_does_not_take_away_how_long_there_is_to_wait() {
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
fn a_reply_that_the_server_forgot_raises_a_doubt() {
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
fn a_reply_that_was_resumed_may_have_been_continued_elsewhere() {
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
