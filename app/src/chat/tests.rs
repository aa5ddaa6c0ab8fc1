//! The operations of the chat, with a scripted transport and a clock that a test advances.

mod opening;
mod parts;
mod saving;
mod sending;
mod versions;

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

/// A transport that plays the replies that a test prepares.
#[derive(Clone, Default)]
struct Script {
    asked: Arc<Mutex<Vec<ReplyRequest>>>,
    replies: Arc<Mutex<VecDeque<Coming>>>,
    stopped: Arc<Mutex<Vec<String>>>,
}

impl ChatTransport for Script {
    fn open(&self, request: ReplyRequest) -> Connection {
        self.asked
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

    fn stop(&self, generation: String) -> LocalBoxFuture<'static, Result<(), ConnectionError>> {
        self.stopped
            .lock()
            .expect("no test panics while it holds this")
            .push(generation);
        async { Ok(()) }.boxed_local()
    }
}

/// A clock whose frames a test draws.
#[derive(Clone, Default)]
struct Screen {
    due: Arc<Mutex<Vec<SendBox>>>,
}

/// A callback that never leaves the thread of its test.
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
        // A short wait ends at once, a longer one never.
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
        // Set once for all tests of the process. Every thread has a queue of its own.
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

    /// A temporary chat.
    fn temporary() -> Self {
        let harness = Self::new();
        harness.chat.start_anew(true);
        Self {
            is_temporary: true,
            ..harness
        }
    }

    /// Prepares the reply to the next request. The test sends its events.
    fn expect_request(&self) -> Events {
        let (events, reply) = unbounded();
        self.script
            .replies
            .lock()
            .expect("no poison")
            .push_back(reply);
        events
    }

    /// A question with its whole reply.
    /// A saved turn gets the server ids `q1` and `r1`, where 1 is the number of the request.
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

    /// The messages on the page: questions, and replies with their ends.
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

    /// The requests in short: the history of a temporary request, the reference of a saved one.
    fn sent(&self) -> Vec<Vec<String>> {
        let asked = self.script.asked.lock().expect("no poison");
        let in_short = |request: &ReplyRequest| match request {
            ReplyRequest::Ephemeral(chat) => chat
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

/// Sends these events from the server.
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

/// The start of a saved reply, with server ids by this number.
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
        edited: false,
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
