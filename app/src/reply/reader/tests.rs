//! A reader against a server that keeps a log, and a network that breaks wherever a test says.
//!
//! Time stands still until nothing else can happen; then it jumps to the next moment that anybody
//! waits for. So hours of a sleeping laptop take no time.

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

/// What becomes of one connection.
#[derive(Debug, Clone)]
struct Fate {
    /// How many events that are already known the server sends again.
    again: u64,
    /// After so many bytes it breaks; none is before the headers.
    cut: Option<Cut>,
    /// How many bytes come at once.
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
    /// The network says that it failed.
    Error,
    /// The body just ends, as a proxy that gives up does it.
    ReplyEnd,
    /// Nothing is said, nothing comes any more.
    Silence,
    /// The server could not be reached, before any headers.
    NoHeaders,
    /// The server has too much to do, and says to come again in eight seconds.
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
    /// The moments that somebody waits for.
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

    /// The lifecycle_events that a test gives.
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

    /// The stream from an event on, as the server writes it.
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

/// Reads until nothing more happens without a test's doing: the updates, and whether it is over.
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

/// What the page shows in the end: the fold of the events.
fn told(updates: &[ReaderEvent]) -> Transcript {
    let mut told = Transcript::default();
    for update in updates {
        if let ReaderEvent::Event(event) = update {
            told.apply(event);
        }
    }
    told
}

fn told_of(log: &[ChatEvent<'static>]) -> Transcript {
    let mut told = Transcript::default();
    for event in log {
        told.apply(event);
    }
    told
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
    assert_eq!(told(&updates), told_of(&reply()));
    assert_eq!(world.asked().len(), attempts);
    updates
}

#[test]
fn a_connection_that_holds_is_read_to_the_end() {
    check([], 1);
}

#[test]
fn a_cut_is_resumed_after_the_last_event_that_came_as_a_whole() {
    for how in [How::Error, How::ReplyEnd, How::Silence] {
        for bytes in [0, 1, 70, 90, 100, 130] {
            check([Fate::cut(bytes, how)], 2);
        }
    }
}

#[test]
fn what_comes_twice_is_passed_over() {
    let again = Fate { again: 1, ..WHOLE };
    check([Fate::cut(100, How::ReplyEnd), again], 2);
}

#[test]
fn an_end_is_passed_on_whatever_its_number() {
    // The reader knows the events up to the number that the end has.
    let world = World::new(reply(), [Fate { again: 1, ..WHOLE }]);
    let mut reader = world.reader(ReplyRequest::Resume {
        generation: "g".into(),
        after: Some(4),
    });
    let mut context = Context::from_waker(futures::task::noop_waker_ref());
    let first = reader.poll_next_unpin(&mut context);
    let end = ReaderEvent::Event(ChatEvent::Done(Finish::Stop));
    assert_eq!(first, Poll::Ready(Some(end)));
    assert_eq!(reader.poll_next_unpin(&mut context), Poll::Ready(None));
}

#[test]
fn a_reader_knows_whether_it_had_to_resume() {
    let unreached = || Fate::cut(0, How::NoHeaders);
    for (request, fates, expect) in [
        (follow(), vec![], false),
        (follow(), vec![Fate::cut(90, How::Error)], true),
        (send(), vec![unreached(), unreached()], false),
        (send(), vec![unreached(), Fate::cut(90, How::Error)], true),
    ] {
        let world = World::new(reply(), fates);
        let mut reader = world.reader(request);
        let (_, is_over) = read(&world, &mut reader);
        assert!(is_over);
        assert_eq!(reader.was_resumed(), expect);
    }
}

#[test]
fn a_server_that_lost_the_end_tells_the_reply_again_from_its_beginning() {
    // It was killed and has saved less than was read; `again` goes back before the start.
    let world = World::new(
        reply(),
        [Fate::cut(130, How::ReplyEnd), Fate { again: 99, ..WHOLE }],
    );
    let (updates, _) = read(&world, &mut world.reader(follow()));
    let starts = updates
        .iter()
        .filter(|update| matches!(update, ReaderEvent::Event(ChatEvent::Start(_))));
    assert_eq!(starts.count(), 2);
    assert_eq!(told(&updates), told_of(&reply()));
}

#[test]
fn a_loss_is_told_once_when_the_first_attempt_to_resume_fails() {
    let beside = |fates: &[Fate]| {
        check(fates.iter().cloned(), fates.len() + 1)
            .into_iter()
            .filter(|update| !matches!(update, ReaderEvent::Event(_)))
            .collect::<Vec<_>>()
    };
    let gone = Fate::cut(0, How::NoHeaders);
    let cut = Fate::cut(100, How::Error);
    assert_eq!(beside(std::slice::from_ref(&cut)), []);
    assert_eq!(
        beside(&[cut, gone.clone(), gone.clone(), gone]),
        [ReaderEvent::Lost, ReaderEvent::Resumed]
    );
}

/// When each connection was asked for.
fn asked_at(world: &World) -> Vec<Duration> {
    world.asked_at.lock().expect("no poison").clone()
}

#[test]
fn a_busy_server_is_asked_again_when_it_says_and_nothing_is_lost() {
    let busy = Fate::cut(0, How::Busy);
    for request in [follow(), send()] {
        let world = World::new(reply(), [busy.clone(), busy.clone()]);
        let (updates, is_over) = read(&world, &mut world.reader(request));
        assert!(is_over);
        assert_eq!(told(&updates), told_of(&reply()));
        let at = asked_at(&world);
        let wait = Duration::from_secs(8);
        assert!(at[1] >= at[0] + wait && at[2] >= at[1] + wait, "{at:?}");
    }
    // A message is given back in the end, with what the server said.
    let world = World::new(reply(), vec![busy; 99]);
    let (updates, _) = read(&world, &mut world.reader(send()));
    assert!(
        matches!(updates.as_slice(), [ReaderEvent::Rejected(error)] if error.kind == ErrorKind::TooMany)
    );
}

#[test]
fn a_reply_that_nobody_keeps_is_asked_for_once() {
    let request = || ReplyRequest::Ephemeral(crate::protocol::ChatRequest::new(Vec::new()));
    let world = World::new(reply(), [Fate::cut(100, How::Error)]);
    let (updates, is_over) = read(&world, &mut world.reader(request()));
    assert!(is_over && world.asked().len() == 1);
    assert!(told(&updates).is_streaming());

    let world = World::new(reply(), [Fate::cut(0, How::NoHeaders)]);
    let (updates, _) = read(&world, &mut world.reader(request()));
    assert!(matches!(updates.as_slice(), [ReaderEvent::Rejected(_)]));
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

#[test]
fn a_message_whose_answer_was_lost_is_sent_again_as_the_same_message() {
    let world = World::new(
        reply(),
        [Fate::cut(0, How::NoHeaders), Fate::cut(5, How::ReplyEnd)],
    );
    let request = send();
    let (updates, is_over) = read(&world, &mut world.reader(request.clone()));
    assert!(is_over);
    assert_eq!(told(&updates), told_of(&reply()));
    assert_eq!(world.asked(), [request.clone(), request.clone(), request]);
}

#[test]
fn a_message_that_started_a_reply_is_never_sent_again() {
    let world = World::new(reply(), [Fate::cut(110, How::Error)]);
    let (updates, _) = read(&world, &mut world.reader(send()));
    assert_eq!(told(&updates), told_of(&reply()));
    assert!(matches!(
        world.asked().as_slice(),
        [
            ReplyRequest::Send { .. },
            ReplyRequest::Resume { after: Some(_), .. }
        ]
    ));
}

#[test]
fn a_message_that_is_not_accepted_is_given_back_in_the_end() {
    let world = World::new(reply(), vec![Fate::cut(0, How::NoHeaders); 99]);
    let (updates, is_over) = read(&world, &mut world.reader(send()));
    assert!(is_over);
    assert!(
        matches!(updates.as_slice(), [ReaderEvent::Rejected(error)] if error.kind == ErrorKind::ServerUnreachable)
    );
    assert_eq!(world.asked().len(), 4);
}

#[test]
fn a_hidden_page_lets_the_connection_go_and_resumes_when_it_is_shown() {
    let world = World::new(reply(), [Fate::cut(100, How::Silence)]);
    let lifecycle_events = world.events();
    let mut reader = world.reader(follow());
    lifecycle_events
        .unbounded_send(LifecycleEvent::Hidden)
        .expect("it listens");
    let (mut updates, is_over) = read(&world, &mut reader);
    assert!(!is_over && world.asked().len() == 1);
    assert!(world.now() <= HIDDEN_PATIENCE);
    lifecycle_events
        .unbounded_send(LifecycleEvent::Shown)
        .expect("it listens");
    let (rest, is_over) = read(&world, &mut reader);
    updates.extend(rest);
    assert!(is_over);
    assert_eq!(told(&updates), told_of(&reply()));
}

#[test]
fn a_network_that_is_back_is_used_at_once() {
    let world = World::new(reply(), vec![Fate::cut(0, How::NoHeaders); 9]);
    let lifecycle_events = world.events();
    let mut reader = world.reader(follow());
    let mut context = Context::from_waker(futures::task::noop_waker_ref());
    // Until it waits.
    while reader.poll_next_unpin(&mut context).is_ready() {}
    let attempts = world.asked().len();
    lifecycle_events
        .unbounded_send(LifecycleEvent::Online)
        .expect("it listens");
    while reader.poll_next_unpin(&mut context).is_ready() {}
    assert_eq!(world.asked().len(), attempts + 1);
    assert_eq!(world.now(), Duration::ZERO);
}

#[test]
fn waits_grow_to_a_limit_and_are_never_twice_the_same_for_all() {
    for failures in 0..60 {
        let (least, most) = (backoff(failures, 0.0), backoff(failures, 1.0));
        assert!(least < most && most <= LONGEST_WAIT);
        assert!(backoff(failures + 1, 1.0) >= most);
    }
    assert!(backoff(1, 1.0) <= Duration::from_millis(200));
    assert_eq!(backoff(60, 1.0), LONGEST_WAIT);
}

fn events() -> impl Strategy<Value = Vec<ChatEvent<'static>>> {
    let piece = prop_oneof![
        6 => "[a-z é漢👩\n]{0,6}".prop_map(|text| ChatEvent::Text(text.into())),
        1 => "[a-z]{0,6}".prop_map(|text| ChatEvent::Reasoning(text.into())),
        1 => any::<u32>().prop_map(|tokens| ChatEvent::Usage(Usage {
            completion_tokens: Some(tokens.into()),
            ..Usage::default()
        })),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|mut events| {
        events.insert(0, start());
        events.push(ChatEvent::Done(Finish::Stop));
        events
    })
}

fn fates() -> impl Strategy<Value = Vec<(Fate, Option<LifecycleEvent>)>> {
    let how = prop_oneof![
        Just(How::Error),
        Just(How::ReplyEnd),
        Just(How::Silence),
        Just(How::NoHeaders),
        Just(How::Busy)
    ];
    let cut = (0_usize..600, how).prop_map(|(bytes, how)| Cut { bytes, how });
    let fate = (
        0_u64..30,
        proptest::option::weighted(0.9, cut),
        1_usize..80,
        any::<bool>(),
    )
        .prop_map(|(again, cut, chunk, joins)| Fate {
            again,
            cut,
            chunk,
            joins,
        });
    let lifecycle_event = prop_oneof![
        Just(LifecycleEvent::Shown),
        Just(LifecycleEvent::Hidden),
        Just(LifecycleEvent::Online)
    ];
    proptest::collection::vec((fate, proptest::option::of(lifecycle_event)), 0..12)
}

proptest! {
    #[test]
    fn wherever_it_is_cut_each_event_is_passed_on_once_and_in_order(
        log in events(),
        fates in fates(),
        is_sent in any::<bool>(),
    ) {
        let (fates, given): (Vec<_>, Vec<_>) = fates.into_iter().unzip();
        let world = World::new(log.clone(), fates);
        let lifecycle_events = world.events();
        let mut reader = world.reader(if is_sent { send() } else { follow() });
        let mut updates = Vec::new();
        let mut is_over = false;
        // One lifecycle_event whenever nothing else happens; in the end the page is shown.
        for lifecycle_event in given.into_iter().chain([Some(LifecycleEvent::Shown)]) {
            if let Some(lifecycle_event) = lifecycle_event {
                let _ = lifecycle_events.unbounded_send(lifecycle_event);
            }
            let (more, over) = read(&world, &mut reader);
            updates.extend(more);
            is_over = over;
        }
        prop_assert!(is_over);
        if let Some(ReaderEvent::Rejected(_)) = updates.last() {
            // Given back: then nothing of it was ever seen.
            prop_assert!(is_sent && told(&updates) == Transcript::default());
        } else {
            prop_assert_eq!(told(&updates), told_of(&log));
        }
        // A message is sent again only as itself, and never once its reply has begun.
        let asked = world.asked();
        let sends = asked.iter().take_while(|request| matches!(request, ReplyRequest::Send { .. })).count();
        let are_the_same = asked[..sends].iter().all(|request| *request == asked[0]);
        let are_followed = asked[sends..]
            .iter()
            .all(|request| matches!(request, ReplyRequest::Resume { .. }));
        prop_assert!(are_the_same && are_followed);
    }
}
