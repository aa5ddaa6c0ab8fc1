//! The verbs, against a scripted transport and a clock that stands still until it is told.

use std::collections::VecDeque;
use std::sync::Mutex;

use any_spawner::Executor;
use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};

use super::*;
use crate::protocol::{ErrorKind, Finish, Start};
use crate::transcript::End;

type Events = UnboundedSender<ChatEvent<'static>>;

/// Plays what the test tells it to.
#[derive(Clone, Default)]
struct Script {
    requests: Arc<Mutex<Vec<ChatRequest>>>,
    replies: Arc<Mutex<VecDeque<UnboundedReceiver<ChatEvent<'static>>>>>,
}

impl ChatTransport for Script {
    fn chat(&self, request: ChatRequest) -> LocalBoxStream<'static, ChatEvent<'static>> {
        self.requests
            .lock()
            .expect("no test panics while it holds this")
            .push(request);
        let reply = self
            .replies
            .lock()
            .expect("no test panics while it holds this")
            .pop_front();
        reply.expect("the test has prepared a reply").boxed_local()
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
}

/// A chat with a scripted server.
struct Stage {
    chat: Chat,
    script: Script,
    screen: Screen,
    _owner: Owner,
}

impl Stage {
    fn new() -> Self {
        // Set once for all tests of the process; every thread has its own queue.
        let _ = Executor::init_futures_executor();
        let owner = Owner::new();
        owner.set();
        let (script, screen) = (Script::default(), Screen::default());
        let chat = Chat::new(
            Some(Arc::new(script.clone())),
            screen.clone(),
            Preferences::new(),
        );
        Self {
            chat,
            script,
            screen,
            _owner: owner,
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
    fn turn(&self, question: &str, answer: &'static str) {
        let events = self.expect_request();
        self.send(question);
        play(
            &events,
            [
                start(),
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
                Some(End::Done(finish)) => {
                    format!("A {} [{}]", reply.transcript().text, finish.as_str())
                }
                Some(End::Error(error)) => {
                    format!("A {} [{}]", reply.transcript().text, error.kind.as_str())
                }
                Some(End::Cut) => format!("A {} [cut]", reply.transcript().text),
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

    /// The history of each request, in short.
    fn sent(&self) -> Vec<Vec<String>> {
        let requests = self.script.requests.lock().expect("no poison");
        requests
            .iter()
            .map(|request| {
                request
                    .messages
                    .iter()
                    .map(|message| message.content.clone())
                    .collect()
            })
            .collect()
    }
}

/// Lets the server send these events.
fn play<const N: usize>(events: &Events, list: [ChatEvent<'static>; N]) {
    for event in list {
        events
            .unbounded_send(event)
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
    let stage = Stage::new();
    let events = stage.expect_request();
    stage.send("hello");
    assert_eq!(stage.shown(), ["Q hello", "A  …"]);
    assert_eq!(
        (stage.composer().as_str(), stage.chat.is_streaming()),
        ("", true)
    );
    assert_eq!(stage.chat.announcement(), Announcement::Answering);
    play(&events, [start(), ChatEvent::Text("Hi ".into())]);
    assert_eq!(stage.shown(), ["Q hello", "A Hi  …"]);
    play(
        &events,
        [
            ChatEvent::Text("there".into()),
            ChatEvent::Done(Finish::Stop),
        ],
    );
    assert_eq!(stage.shown(), ["Q hello", "A Hi there [stop]"]);
    assert_eq!(
        (stage.chat.is_streaming(), events.is_closed()),
        (false, true)
    );
    assert_eq!(
        stage.chat.announcement(),
        Announcement::Complete { words: 2 }
    );
}

#[test]
fn the_whole_line_of_the_conversation_is_sent_without_empty_replies() {
    let stage = Stage::new();
    stage.turn("one", "first");
    stage.turn("two", "");
    stage.turn("three", "third");
    assert_eq!(
        stage.sent(),
        [
            vec!["one"],
            vec!["one", "first", "two"],
            vec!["one", "first", "two", "three"]
        ]
    );
}

#[test]
fn nothing_is_sent_while_a_reply_streams_and_the_next_message_stays() {
    let stage = Stage::new();
    let events = stage.expect_request();
    stage.send("one");
    stage.send("two");
    stage.chat.ask_again(stage.last());
    assert_eq!((stage.sent().len(), stage.composer().as_str()), (1, "two"));
    play(&events, [start(), ChatEvent::Done(Finish::Stop)]);
    assert_eq!(stage.composer(), "two");
}

#[test]
fn a_stop_lets_go_of_the_stream_and_keeps_the_text() {
    let stage = Stage::new();
    let events = stage.expect_request();
    stage.send("go");
    play(&events, [start(), ChatEvent::Text("half".into())]);
    stage.chat.stop();
    Executor::poll_local();
    assert!(events.is_closed());
    assert_eq!(stage.shown(), ["Q go", "A half [stopped]"]);
    assert_eq!(
        stage.chat.announcement(),
        Announcement::Sentence("Stopped".into())
    );
    assert!(!stage.chat.is_streaming());
}

#[test]
fn a_stop_at_the_moment_of_sending_works_too() {
    let stage = Stage::new();
    let events = stage.expect_request();
    stage.chat.draft.update(|draft| draft.write("go".into()));
    stage.chat.send();
    stage.chat.stop();
    Executor::poll_local();
    assert!(events.is_closed());
    assert_eq!(stage.shown(), ["Q go", "A  [stopped]"]);
}

#[test]
fn a_message_that_was_not_accepted_is_back_in_the_composer() {
    let stage = Stage::new();
    stage.turn("one", "first");
    let events = stage.expect_request();
    stage.send("two");
    stage.chat.draft.update(|draft| draft.write("three".into()));
    play(&events, [failure(ErrorKind::ServerUnreachable)]);
    assert_eq!(stage.shown(), ["Q one", "A first [stop]"]);
    assert_eq!(stage.composer(), "two\n\nthree");
    assert_eq!(stage.chat.notice(), Some("It failed.".into()));
    assert_eq!(
        stage.chat.announcement(),
        Announcement::Sentence("It failed.".into())
    );
    let events = stage.expect_request();
    stage.chat.send();
    play(&events, [start()]);
    assert_eq!(stage.chat.notice(), None);
}

#[test]
fn an_edit_or_a_retry_that_was_not_accepted_changes_nothing() {
    let stage = Stage::new();
    stage.turn("one", "first");
    let before = stage.shown();
    let events = stage.expect_request();
    stage.chat.ask_again(stage.last());
    play(&events, [failure(ErrorKind::ServerUnreachable)]);
    assert_eq!(stage.shown(), before);

    let events = stage.expect_request();
    stage.chat.edit_last();
    stage.send("one, better");
    play(&events, [failure(ErrorKind::ServerUnreachable)]);
    assert_eq!(stage.shown(), before);
    assert_eq!(stage.composer(), "one, better");
    assert!(
        stage
            .chat
            .draft
            .with_untracked(|draft| draft.editing().is_some())
    );
}

#[test]
fn an_error_after_the_start_belongs_to_the_reply() {
    let stage = Stage::new();
    let events = stage.expect_request();
    stage.send("go");
    play(
        &events,
        [
            start(),
            ChatEvent::Text("half".into()),
            failure(ErrorKind::UpstreamCut),
        ],
    );
    assert_eq!(stage.shown(), ["Q go", "A half [upstream_cut]"]);
    assert_eq!((stage.composer().as_str(), stage.chat.notice()), ("", None));
    assert_eq!(
        stage.chat.announcement(),
        Announcement::Sentence("It failed.".into())
    );
}

#[test]
fn a_stream_that_just_ends_was_cut() {
    let stage = Stage::new();
    let events = stage.expect_request();
    stage.send("go");
    play(&events, [start(), ChatEvent::Text("half".into())]);
    drop(events);
    Executor::poll_local();
    assert_eq!(stage.shown(), ["Q go", "A half [cut]"]);
}

#[test]
fn asking_again_makes_a_version_and_the_older_one_can_be_shown() {
    let stage = Stage::new();
    stage.turn("one", "first");
    let events = stage.expect_request();
    stage.chat.ask_again(stage.last());
    play(
        &events,
        [
            start(),
            ChatEvent::Text("second".into()),
            ChatEvent::Done(Finish::Stop),
        ],
    );
    assert_eq!(stage.shown(), ["Q one", "A second [stop]"]);
    assert_eq!(
        stage.chat.version(stage.last()),
        Version { number: 2, of: 2 }
    );
    stage.chat.show_version(stage.last(), Step::Previous);
    assert_eq!(stage.shown(), ["Q one", "A first [stop]"]);
    assert_eq!(stage.sent(), [vec!["one"], vec!["one"]]);
}

#[test]
fn an_edited_question_is_asked_in_its_place_and_the_draft_waits() {
    let stage = Stage::new();
    stage.turn("one", "first");
    stage.turn("two", "second");
    stage
        .chat
        .draft
        .update(|draft| draft.write("a thought".into()));
    stage.chat.edit(stage.chat.path()[0]);
    assert_eq!(stage.composer(), "one");
    let events = stage.expect_request();
    stage.send("one, better");
    play(
        &events,
        [
            start(),
            ChatEvent::Text("better".into()),
            ChatEvent::Done(Finish::Stop),
        ],
    );
    assert_eq!(stage.shown(), ["Q one, better", "A better [stop]"]);
    assert_eq!(stage.composer(), "a thought");
    assert_eq!(stage.sent()[2], ["one, better"]);
}

#[test]
fn a_new_chat_stops_the_reply_and_the_old_one_can_be_restored() {
    let stage = Stage::new();
    let events = stage.expect_request();
    stage.send("go");
    play(&events, [start(), ChatEvent::Text("half".into())]);
    stage.chat.start_anew();
    Executor::poll_local();
    assert!(events.is_closed());
    assert!(stage.chat.is_empty() && stage.chat.can_restore());
    stage.chat.restore();
    assert_eq!(stage.shown(), ["Q go", "A half [stopped]"]);
    assert!(!stage.chat.can_restore());
}

#[test]
fn whoever_looks_is_told_once_a_frame_and_at_once_at_the_end() {
    let stage = Stage::new();
    let events = stage.expect_request();
    stage.send("go");
    let Message::Reply(reply) = stage.chat.message(stage.last()) else {
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
    let due = std::mem::take(&mut *stage.screen.due.lock().expect("no poison"));
    assert_eq!(due.len(), 1, "a hundred events ask for one frame");
    for SendBox(paint) in due {
        paint.take()();
    }
    assert_eq!(length.get_untracked(), 100);
    play(
        &events,
        [ChatEvent::Text("x".into()), ChatEvent::Done(Finish::Stop)],
    );
    assert_eq!(length.get_untracked(), 101, "the end needs no frame");
}
