//! A seq that a reader got never names another event, through crashes, continuations and failed writes. The
//! histories of the reply are random; the store is that of each database.

use std::collections::HashMap;
use std::sync::Arc;

use app::protocol::{ChatEvent, ErrorKind, Finish, ReplyError, Start, Usage};
use app::reply::decode::{NumberedEvent, ReplyDecoder};
use app::reply::transcript::Transcript;
use futures::FutureExt;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use server::replies::log::{INTERRUPTED_SEQ, Log, LogReader};
use server::store::{Begun, Finished, LOCAL_OWNER, Store, Turn, new_id};
use server::store::{GenerationEnd, NewPiece, Piece};

use super::{Place, finished, new_reply, question};

/// A step in the history of a reply. Steps come in any order.
#[derive(Debug, Clone)]
enum Step {
    /// Pieces of text or reasoning arrive together.
    Arrive(Vec<(bool, String)>),
    /// The new text is stored.
    Snapshot,
    /// Storing the new text fails, and the readers get a notice.
    SnapshotFails,
    /// The reply ends and is stored.
    Finish,
    /// The reply ends, and storing it reports a failure. It may be stored all the same.
    FinishFails { but_is_stored: bool },
    /// The end that could not be stored is stored.
    SaveLater,
    /// The server is killed and starts again.
    Crash,
    /// Another generation continues the reply.
    Continue,
    /// A client begins to read one of the generations.
    Join(Index),
    /// A client reads the events that are there.
    Read(Index),
    /// A reader loses the connection and comes back.
    Resume(Index),
    /// A client joins that knows a generation up to a seq that was sent before.
    JoinAfterKnown(Index),
    /// A client joins with a seq that was never sent.
    JoinAfterAny(Index, u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let piece = (any::<bool>(), "[a-c東\0]{0,6}");
    let index = any::<Index>;
    let number = prop_oneof![0..12_u64, INTERRUPTED_SEQ - 2..INTERRUPTED_SEQ + 4];
    let step = prop_oneof![
        8 => prop::collection::vec(piece, 1..4).prop_map(Step::Arrive),
        3 => Just(Step::Snapshot),
        1 => Just(Step::SnapshotFails),
        1 => Just(Step::Finish),
        1 => any::<bool>().prop_map(|but_is_stored| Step::FinishFails { but_is_stored }),
        1 => Just(Step::SaveLater),
        2 => Just(Step::Crash),
        3 => Just(Step::Continue),
        2 => index().prop_map(Step::Join),
        6 => index().prop_map(Step::Read),
        4 => index().prop_map(Step::Resume),
        1 => index().prop_map(Step::JoinAfterKnown),
        1 => (index(), number).prop_map(|(index, number)| Step::JoinAfterAny(index, number)),
    ];
    prop::collection::vec(step, 0..40)
}

/// The meaning of an event: the text and the reasoning up to and with it, and its kind.
type Meaning = (String, String, String);

/// A client that reads one generation, over one connection after the other.
struct Client {
    generation: String,
    connection: Option<(LogReader, Arc<Log>)>,
    transcript: Transcript,
    last: Option<u64>,
    ends: usize,
}

/// A generation that a server makes.
struct Live {
    generation: String,
    log: Arc<Log>,
    /// A reader after the text that was stored.
    unstored: LogReader,
    failed: Piece,
    pieces: i64,
    /// The end that has to be stored again.
    unsaved: Option<Finished>,
}

/// One reply and all that happens to it.
struct World<'a> {
    store: &'a Store,
    conversation: String,
    message: String,
    generations: Vec<String>,
    live: Option<Live>,
    clients: Vec<Client>,
    meanings: HashMap<(String, u64), Meaning>,
}

impl<'a> World<'a> {
    async fn new(store: &'a Store) -> Self {
        let conversation = new_id();
        let begun = store
            .begin(LOCAL_OWNER, &question(&conversation, None, "What?"))
            .await
            .expect("saved");
        let mut world = Self {
            store,
            conversation,
            message: begun.message.clone(),
            generations: Vec::new(),
            live: None,
            clients: Vec::new(),
            meanings: HashMap::new(),
        };
        world.run(&begun);
        world
    }

    /// Begins to make a reply, as the server does.
    fn run(&mut self, begun: &Begun) {
        let start = Start {
            generation: begun.generation.clone(),
            ..Start::default()
        };
        let log = Log::restored(start, begun.base.clone(), None, None);
        let unstored = log.read_after(Some(log.last_seq())).expect("it is there");
        self.generations.push(begun.generation.clone());
        self.live = Some(Live {
            generation: begun.generation.clone(),
            log,
            unstored,
            failed: Piece::default(),
            pieces: 0,
            unsaved: None,
        });
    }

    /// Finds the log of a generation, as the server does.
    async fn log_of(&self, generation: &str) -> Arc<Log> {
        match &self.live {
            Some(live) if live.generation == generation => Arc::clone(&live.log),
            _ => {
                let stored = self.store.reply(LOCAL_OWNER, generation).await;
                Log::of_stored(stored.expect("a generation that was started is there"))
            }
        }
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Arrive(pieces) => {
                if let Some(live) = &self.live {
                    let mut writer = live.log.writer();
                    for (is_text, piece) in &pieces {
                        writer.add(&if *is_text {
                            ChatEvent::Text(piece.into())
                        } else {
                            ChatEvent::Reasoning(piece.into())
                        });
                    }
                    writer.show();
                }
            }
            Step::Snapshot => self.snapshot(true).await,
            Step::SnapshotFails => self.snapshot(false).await,
            Step::Finish => self.finish(true, true).await,
            Step::FinishFails { but_is_stored } => self.finish(but_is_stored, false).await,
            Step::SaveLater => {
                if let Some(live) = self.live.take_if(|live| live.unsaved.is_some()) {
                    let finished = live.unsaved.expect("it was looked for");
                    self.store
                        .finish(LOCAL_OWNER, &live.generation, &finished)
                        .await
                        .expect("saved");
                }
            }
            Step::Crash => self.crash().await,
            Step::Continue => {
                if self.live.is_none() {
                    let go_on = new_reply(&self.conversation, Turn::Continue(self.message.clone()));
                    let begun = self.store.begin(LOCAL_OWNER, &go_on).await.expect("saved");
                    self.run(&begun);
                }
            }
            Step::Join(index) => {
                let generation = index.get(&self.generations).clone();
                self.join(generation, None, Transcript::default()).await;
            }
            Step::JoinAfterKnown(index) => {
                let mut known: Vec<_> = self.meanings.keys().cloned().collect();
                if !known.is_empty() {
                    known.sort();
                    let (generation, seq) = index.get(&known).clone();
                    let (text, reasoning, _) = self.meanings[&(generation.clone(), seq)].clone();
                    let transcript = Transcript {
                        text,
                        reasoning,
                        ..Transcript::default()
                    };
                    self.join(generation, Some(seq), transcript).await;
                }
            }
            Step::JoinAfterAny(index, seq) => {
                let generation = index.get(&self.generations).clone();
                if !self.meanings.contains_key(&(generation.clone(), seq)) {
                    let log = self.log_of(&generation).await;
                    if let Some(mut reader) = log.resume(Some(seq)) {
                        let _ = reader.next().now_or_never();
                    }
                }
            }
            Step::Read(index) => {
                if !self.clients.is_empty() {
                    self.read(index.index(self.clients.len()));
                }
            }
            Step::Resume(index) => {
                if !self.clients.is_empty() {
                    self.resume(index.index(self.clients.len())).await;
                }
            }
        }
    }

    async fn crash(&mut self) {
        self.live = None;
        self.clients
            .iter_mut()
            .for_each(|client| client.connection = None);
        self.store.interrupt_all().await.expect("a start");
    }

    async fn snapshot(&mut self, is_stored: bool) {
        let Some(live) = self.live.as_mut().filter(|live| live.unsaved.is_none()) else {
            return;
        };
        live.failed.append(&live.unstored.next_piece());
        if !is_stored {
            live.log.note_not_saved();
        } else if !live.failed.is_empty() {
            self.store
                .append(|| {
                    vec![NewPiece::new(
                        LOCAL_OWNER,
                        &live.generation,
                        live.pieces,
                        &live.failed,
                    )]
                })
                .await
                .expect("saved");
            live.failed = Piece::default();
            live.pieces += 1;
        }
    }

    async fn finish(&mut self, is_stored: bool, is_reported: bool) {
        let Some(mut live) = self.live.take_if(|live| live.unsaved.is_none()) else {
            return;
        };
        let usage = Usage {
            prompt_tokens: Some(7),
            ..Usage::default()
        };
        live.log.note_usage(usage);
        let end = GenerationEnd::Done(Finish::Length);
        let finished = Finished {
            whole: live.log.whole().0,
            end: end.clone(),
            usage: Some(usage),
            ..finished(&[])
        };
        if is_stored {
            self.store
                .finish(LOCAL_OWNER, &live.generation, &finished)
                .await
                .expect("saved");
        }
        if is_reported {
            live.log.end(end);
        } else {
            live.log.end_unsaved(end);
            live.unsaved = Some(finished);
            self.live = Some(live);
        }
    }

    async fn join(&mut self, generation: String, last: Option<u64>, transcript: Transcript) {
        self.clients.push(Client {
            generation,
            connection: None,
            transcript,
            last,
            ends: 0,
        });
        self.resume(self.clients.len() - 1).await;
    }

    async fn resume(&mut self, at: usize) {
        let (generation, last, ends) = {
            let client = &self.clients[at];
            (client.generation.clone(), client.last, client.ends)
        };
        if ends > 0 {
            return;
        }
        let log = self.log_of(&generation).await;
        let reader = log.resume(last);
        let client = &mut self.clients[at];
        if reader.is_none() {
            // A log without further events means that the last one was an end.
            let last = last.expect("something precedes the end");
            let (_, _, kind) = &self.meanings[&(generation, last)];
            assert!(kind.starts_with("end"), "nothing follows {last}: {kind}");
            client.ends += 1;
        }
        client.connection = reader.map(|reader| (reader, log));
    }

    fn read(&mut self, at: usize) {
        let client = &mut self.clients[at];
        let mut incoming = ReplyDecoder::default();
        while let Some((reader, log)) = &mut client.connection
            && let Some(given) = reader.next().now_or_never()
        {
            let (whole, _) = log.whole();
            match given {
                Some(bytes) => incoming.feed(&bytes),
                None => client.connection = None,
            }
            for NumberedEvent { seq, event } in incoming.by_ref() {
                let seq = seq.expect("every event has a number");
                let begins_again = seq == 0;
                assert!(client.last < Some(seq) || begins_again, "{seq} comes late");
                assert_eq!(client.ends, 0, "{event:?} after the end");
                client.last = Some(seq);
                client.ends += usize::from(event.is_terminal());
                client.transcript.apply(&event);
                // PostgreSQL does not store NUL characters.
                let plain = |text: &str| text.replace('\0', "\u{fffd}");
                let read = &client.transcript;
                let read = (plain(&read.text), plain(&read.reasoning));
                if event.is_terminal() {
                    assert_eq!(read, (plain(&whole.text), plain(&whole.reasoning)));
                }
                let meaning = (read.0, read.1, kind(&event));
                let key = (client.generation.clone(), seq);
                let known = self.meanings.entry(key).or_insert_with(|| meaning.clone());
                assert_eq!(*known, meaning, "{seq} has two meanings");
            }
        }
    }
}

/// The kind of an event, with its content unless that is text.
fn kind(event: &ChatEvent<'_>) -> String {
    match event {
        ChatEvent::Text(_) => "text".to_owned(),
        ChatEvent::Reasoning(_) => "reasoning".to_owned(),
        ChatEvent::Start(start) => format!("start {}", start.generation),
        end if end.is_terminal() => format!("end {end:?}"),
        other => format!("{other:?}"),
    }
}

async fn live(store: &Store, steps: Vec<Step>) {
    let mut world = World::new(store).await;
    for step in steps {
        world.step(step).await;
    }
    // Every client comes back, and gets the end once in all.
    world.step(Step::Finish).await;
    for at in 0..world.clients.len() {
        world.resume(at).await;
        world.read(at);
        let client = &world.clients[at];
        assert_eq!(client.ends, 1, "{} {:?}", client.generation, client.last);
    }
    world.step(Step::Crash).await;
}

/// Runs a test with the store of each database there is.
fn with_each(test: impl Fn(&tokio::runtime::Runtime, &Store)) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    for place in [Some(Place::sqlite()), runtime.block_on(Place::postgres())]
        .into_iter()
        .flatten()
    {
        let store = runtime.block_on(place.open());
        test(&runtime, &store);
        runtime.block_on(store.close());
        drop(store);
        runtime.block_on(place.drop_database());
    }
}

#[test]
fn whatever_happens_a_seq_has_one_meaning_and_each_reader_gets_one_end() {
    with_each(|runtime, store| {
        let mut runner = TestRunner::new(Config {
            failure_persistence: None,
            ..Config::with_cases(200)
        });
        runner
            .run(&steps(), |steps| {
                runtime.block_on(live(store, steps));
                Ok(())
            })
            .unwrap_or_else(|error| panic!("{error}"));
    });
}

#[test]
fn after_a_crash_every_reader_gets_the_error_however_much_it_has_read() {
    with_each(|runtime, store| {
        for (stored, seen) in [(0, 0), (0, 1), (2, 2), (2, 3), (2, 4), (1, 90)] {
            runtime.block_on(check_crash(store, stored, seen));
        }
    });
}

/// A reader has seen `seen` pieces, of which `stored` are stored, when the server crashes.
async fn check_crash(store: &Store, stored: u64, seen: u64) {
    let mut world = World::new(store).await;
    let generation = world.generations[0].clone();
    world.join(generation, None, Transcript::default()).await;
    world.read(0);
    for at in 0..seen {
        let piece = (true, format!("w{at} "));
        world.step(Step::Arrive(vec![piece])).await;
        world.read(0);
        if at + 1 == stored {
            world.step(Step::Snapshot).await;
        }
    }
    assert_eq!(world.clients[0].last, Some(seen));
    world.step(Step::Crash).await;
    world.resume(0).await;
    world.read(0);
    let client = &world.clients[0];
    let interrupted = app::reply::transcript::ReplyEnd::Error(ReplyError {
        kind: ErrorKind::Interrupted,
        message: ErrorKind::Interrupted.sentence().to_owned(),
        retryable: true,
        retry_after_ms: None,
    });
    assert_eq!(client.transcript.end, Some(interrupted), "{stored}, {seen}");
    assert_eq!(client.last, Some(INTERRUPTED_SEQ), "{stored}, {seen}");
    let kept: String = (0..stored).map(|at| format!("w{at} ")).collect();
    assert_eq!(client.transcript.text, kept, "{stored}, {seen}");
}
