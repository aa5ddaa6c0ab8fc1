//! A reader with a server that keeps a log, and a network that fails wherever a test says.
//!
//! The clock is virtual: when nothing else can happen, it advances to the next timer. So hours of a sleeping laptop take
//! no time.

mod random;
mod requesting;
mod resuming;

use std::collections::VecDeque;
use std::sync::Mutex;

use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures::stream::{iter, pending};
use proptest::prelude::*;

use super::*;
use crate::protocol::saved::SendMessage;
use crate::protocol::{ErrorKind, Finish, Start, Usage};
use crate::reply::decode::ReplyDecoder;
use crate::reply::transcript::Transcript;
use crate::reply::transport::ConnectionError;
use crate::sse::write_event;

/// The fate of one connection.
#[derive(Debug, Clone)]
struct Fate {
    /// How many known events the server repeats.
    again: u64,
    /// The number of bytes after which the connection breaks; `None` for a connection that holds.
    cut: Option<Cut>,
    /// The size of a chunk in bytes.
    chunk: usize,
    /// Whether the server joins texts that wait together.
    joins: bool,
}

#[derive(Debug, Clone, Copy)]
struct Cut {
    bytes: usize,
    how: How,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum How {
    /// The network reports an error.
    Error,
    /// The body ends, as when a proxy gives up.
    End,
    /// The connection stays open, but no more bytes arrive.
    Silence,
    /// The server cannot be reached; no headers arrive.
    NoHeaders,
    /// The server is overloaded, and asks to retry after eight seconds.
    Busy,
}

const WHOLE: Fate = Fate {
    again: 0,
    cut: None,
    chunk: 16,
    joins: false,
};

impl Fate {
    fn cut(bytes: usize, how: How) -> Self {
        Self {
            cut: Some(Cut { bytes, how }),
            ..WHOLE
        }
    }
}

/// The server and the network.
#[derive(Clone)]
struct World {
    log: Arc<Vec<ChatEvent<'static>>>,
    fates: Arc<Mutex<VecDeque<Fate>>>,
    asked: Arc<Mutex<Vec<ReplyRequest>>>,
    asked_at: Arc<Mutex<Vec<Duration>>>,
    now: Arc<Mutex<Duration>>,
    /// The times of the pending timers.
    due: Arc<Mutex<Vec<Duration>>>,
    lifecycle_events: Arc<Mutex<Option<UnboundedReceiver<LifecycleEvent>>>>,
}

impl World {
    fn new(log: Vec<ChatEvent<'static>>, fates: impl IntoIterator<Item = Fate>) -> Self {
        Self {
            log: Arc::new(log),
            fates: Arc::new(Mutex::new(fates.into_iter().collect())),
            asked: Arc::default(),
            asked_at: Arc::default(),
            now: Arc::default(),
            due: Arc::default(),
            lifecycle_events: Arc::default(),
        }
    }

    /// The page lifecycle events that a test sends.
    fn events(&self) -> UnboundedSender<LifecycleEvent> {
        let (send, receive) = unbounded();
        *self.lifecycle_events.lock().expect("no poison") = Some(receive);
        send
    }

    fn reader(&self, request: ReplyRequest) -> ReplyReader {
        ReplyReader::new(
            Arc::new(self.clone()),
            Arc::new(self.clone()),
            Some(self),
            request,
        )
    }

    fn asked(&self) -> Vec<ReplyRequest> {
        self.asked.lock().expect("no poison").clone()
    }

    /// The bytes of the stream from an event on, as the server writes them.
    fn bytes(&self, from: u64, known: u64, joins: bool) -> Vec<u8> {
        let mut out = Vec::new();
        let mut waiting: Option<(u64, String)> = None;
        let text = |out: &mut Vec<u8>, (id, text): (u64, String)| {
            write_event(
                out,
                id,
                "message",
                &serde_json::to_string(&text).expect("text"),
            );
        };
        for (id, event) in (0_u64..).zip(self.log.iter()).skip(from as usize) {
            if let (ChatEvent::Text(piece), Some((last, before))) = (event, &mut waiting)
                && joins
                && *last >= known
            {
                *last = id;
                before.push_str(piece);
                continue;
            }
            if let Some(before) = waiting.take() {
                text(&mut out, before);
            }
            let json = |value: Result<String, serde_json::Error>| value.expect("plain data");
            match event {
                ChatEvent::Text(piece) => waiting = Some((id, piece.to_string())),
                ChatEvent::Start(start) => {
                    write_event(&mut out, id, "start", &json(serde_json::to_string(start)));
                }
                ChatEvent::Reasoning(piece) => {
                    write_event(
                        &mut out,
                        id,
                        "reasoning",
                        &json(serde_json::to_string(piece)),
                    );
                }
                ChatEvent::Usage(usage) => {
                    write_event(&mut out, id, "usage", &json(serde_json::to_string(usage)));
                }
                ChatEvent::Done(_) => write_event(&mut out, id, "done", r#"{"finish":"stop"}"#),
                other => panic!("no test sends {other:?}"),
            }
        }
        if let Some(before) = waiting {
            text(&mut out, before);
        }
        out
    }
}

impl ChatTransport for World {
    fn open(&self, request: ReplyRequest) -> Connection {
        self.asked.lock().expect("no poison").push(request.clone());
        let now = Clock::now(self);
        self.asked_at.lock().expect("no poison").push(now);
        let fate = self.fates.lock().expect("no poison").pop_front();
        let Fate {
            again,
            cut,
            chunk,
            joins,
        } = fate.unwrap_or(WHOLE);
        let known = match request {
            ReplyRequest::Resume {
                after: Some(after), ..
            } => after + 1,
            _ => 0,
        };
        let mut bytes = self.bytes(known.saturating_sub(again), known, joins);
        let mut items = vec![Ok(Received::Accepted)];
        let mut end = None;
        if let Some(cut) = cut {
            bytes.truncate(cut.bytes);
            end = Some(cut.how);
        }
        if end == Some(How::NoHeaders) {
            return iter([Err(ConnectionError::unreachable())]).boxed_local();
        }
        if end == Some(How::Busy) {
            let error = ReplyError {
                kind: ErrorKind::TooMany,
                message: "wait".into(),
                retryable: true,
                retry_after_ms: Some(8000),
            };
            return iter([Err(ConnectionError::Transient(error))]).boxed_local();
        }
        let mut incoming = ReplyDecoder::default();
        for chunk in bytes.chunks(chunk) {
            incoming.feed(chunk);
            items.push(Ok(Received::Bytes));
            items.extend(incoming.by_ref().map(|event| Ok(Received::Event(event))));
        }
        match end {
            Some(How::Error) => items.push(Err(ConnectionError::unreachable())),
            Some(How::Silence) => return iter(items).chain(pending()).boxed_local(),
            _ => {}
        }
        iter(items).boxed_local()
    }

    fn stop(&self, _: String) -> LocalBoxFuture<'static, Result<(), ConnectionError>> {
        unreachable!("a reader stops nothing")
    }
}

impl Clock for World {
    fn now(&self) -> Duration {
        *self.now.lock().expect("no poison")
    }

    fn at_next_frame(&self, _: Box<dyn FnOnce()>) {
        unreachable!("a reader draws nothing")
    }

    fn wait(&self, time: Duration) -> LocalBoxFuture<'static, ()> {
        let at = self.now() + time;
        self.due.lock().expect("no poison").push(at);
        let now = Arc::clone(&self.now);
        futures::future::poll_fn(move |_| {
            if *now.lock().expect("no poison") >= at {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .boxed_local()
    }

    fn random(&self) -> f64 {
        0.5
    }
}

impl Lifecycle for World {
    fn is_hidden(&self) -> bool {
        false
    }

    fn events(&self) -> LocalBoxStream<'static, LifecycleEvent> {
        let given = self.lifecycle_events.lock().expect("no poison").take();
        given.map_or_else(|| pending().boxed_local(), StreamExt::boxed_local)
    }
}

/// Reads until the reader waits for the test. Returns the items, and whether the reader has ended.
fn read(world: &World, reader: &mut ReplyReader) -> (Vec<ReaderEvent>, bool) {
    let mut context = Context::from_waker(futures::task::noop_waker_ref());
    let mut updates = Vec::new();
    loop {
        match reader.poll_next_unpin(&mut context) {
            Poll::Ready(Some(update)) => updates.push(update),
            Poll::Ready(None) => return (updates, true),
            Poll::Pending => {
                let mut due = world.due.lock().expect("no poison");
                let now = world.now();
                due.retain(|at| *at > now);
                let Some(next) = due.iter().min() else {
                    return (updates, false);
                };
                *world.now.lock().expect("no poison") = *next;
            }
        }
    }
}

/// The fold of the events, which the page shows in the end.
fn fold(updates: &[ReaderEvent]) -> Transcript {
    let mut transcript = Transcript::default();
    for update in updates {
        if let ReaderEvent::Event(event) = update {
            transcript.apply(event);
        }
    }
    transcript
}

fn fold_log(log: &[ChatEvent<'static>]) -> Transcript {
    let mut transcript = Transcript::default();
    for event in log {
        transcript.apply(event);
    }
    transcript
}

fn start() -> ChatEvent<'static> {
    ChatEvent::Start(Start {
        generation: "g".into(),
        model: "m".into(),
        ..Start::default()
    })
}

fn text(text: &'static str) -> ChatEvent<'static> {
    ChatEvent::Text(text.into())
}

fn reply() -> Vec<ChatEvent<'static>> {
    vec![
        start(),
        text("One "),
        text("two "),
        text("three."),
        ChatEvent::Done(Finish::Stop),
    ]
}

fn follow() -> ReplyRequest {
    ReplyRequest::Resume {
        generation: "g".into(),
        after: None,
    }
}

#[track_caller]
fn check(fates: impl IntoIterator<Item = Fate>, attempts: usize) -> Vec<ReaderEvent> {
    let world = World::new(reply(), fates);
    let (updates, is_over) = read(&world, &mut world.reader(follow()));
    assert!(is_over);
    assert_eq!(fold(&updates), fold_log(&reply()));
    assert_eq!(world.asked().len(), attempts);
    updates
}

fn send() -> ReplyRequest {
    ReplyRequest::Send {
        conversation: "c".into(),
        message: SendMessage {
            request_id: "r".into(),
            content: Some("Hi".into()),
            ..SendMessage::default()
        },
    }
}

/// The time of each connection.
fn asked_at(world: &World) -> Vec<Duration> {
    world.asked_at.lock().expect("no poison").clone()
}
