//! What one reader receives of one reply, checked while it comes.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use app::protocol::{ChatEvent, ErrorKind, Start};
use app::reply::decode::NumberedEvent;
use app::reply::transcript::{ReplyEnd, Transcript};

use crate::provider::is_said;
use crate::world::{World, lock};

/// How much text a kill may take: what came since the last piece was stored, a second before, and some
/// time for a machine that is busy. Within a fault a write waits 5 s for its turn and 2 s for the lock
/// until it has failed, which is then said.
const LOST: Duration = Duration::from_secs(2);
const LOST_WITHIN_FAULT: Duration = Duration::from_secs(9);

const NOTICE: &str = "notice";

/// What each number of a generation means to all of its readers: the text up to it, as a hash, and the
/// kind of the event.
pub(crate) type Meanings = Arc<Mutex<HashMap<u64, (u64, String)>>>;

pub(crate) struct Received {
    pub(crate) start: Option<Start>,
    pub(crate) transcript: Transcript,
    /// Whether it was ever said that it could not be saved.
    pub(crate) has_notice: bool,
    pub(crate) last: Option<u64>,
    pub(crate) ends: u32,
    pub(crate) meanings: Meanings,
    /// When the text grew beyond so many bytes.
    grown: Vec<(Instant, usize)>,
}

impl Received {
    pub(crate) fn new(meanings: Meanings) -> Self {
        Self {
            start: None,
            transcript: Transcript::default(),
            has_notice: false,
            last: None,
            ends: 0,
            meanings,
            grown: Vec::new(),
        }
    }

    /// The reply that it is, for sentences.
    fn name(&self) -> &str {
        self.start.as_ref().map_or("?", |start| &start.generation)
    }

    /// Whether any reader of this reply was told by a notice that it could not be saved.
    pub(crate) fn is_unsaved(&self) -> bool {
        let meanings = lock(&self.meanings);
        self.has_notice || meanings.values().any(|(_, kind)| kind == NOTICE)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.ends > 0
    }

    /// Takes an event.
    pub(crate) fn take(&mut self, world: &World, NumberedEvent { seq, event }: NumberedEvent) {
        let Some(seq) = seq else {
            return;
        };
        world.count("events");
        if self.is_over() {
            world.violated(format!("{}: {event:?} after the end", self.name()));
        }
        if let ChatEvent::Start(start) = &event {
            if self.start.is_some() {
                world.count("restarts");
            }
            self.start = Some(start.clone());
        } else if self.last >= Some(seq) {
            world.violated(format!("{}: {seq} after {:?}", self.name(), self.last));
        }
        self.last = Some(seq);
        self.transcript.apply(&event);
        self.has_notice |= matches!(event, ChatEvent::Notice(_));
        self.check_meaning(world, seq, &event);
        let length = self.transcript.text.len();
        if self.grown.last().is_none_or(|(_, before)| *before < length) {
            self.grown.push((Instant::now(), length));
        }
        if event.is_terminal() {
            self.ends += 1;
            self.on_end(world);
        }
    }

    fn check_meaning(&self, world: &World, seq: u64, event: &ChatEvent<'_>) {
        let mut hasher = DefaultHasher::new();
        self.transcript.text.hash(&mut hasher);
        let kind = match event {
            ChatEvent::Text(_) => "text".to_owned(),
            ChatEvent::Done(finish) => format!("done {finish:?}"),
            ChatEvent::Error(error) => format!("error {:?}", error.kind),
            ChatEvent::Start(start) => format!("start {}", start.generation),
            ChatEvent::Notice(_) => NOTICE.to_owned(),
            _ => "other".to_owned(),
        };
        let meaning = (hasher.finish(), kind);
        let mut meanings = lock(&self.meanings);
        let known = meanings.entry(seq).or_insert_with(|| meaning.clone());
        if *known != meaning {
            let (was, is) = (known.clone(), meaning);
            world.violated(format!("{}: {seq} was {was:?} and is {is:?}", self.name()));
        }
    }

    fn on_end(&self, world: &World) {
        let text = &self.transcript.text;
        if !is_said(text) {
            world.violated(format!("{}: a gap in the text: {text}", self.name()));
        }
        match &self.transcript.end {
            Some(ReplyEnd::Error(error)) if error.kind == ErrorKind::Interrupted => {
                world.count("ends: interrupted");
                self.check_loss(world);
            }
            Some(ReplyEnd::Error(error)) => {
                let is_cut = matches!(
                    error.kind,
                    ErrorKind::UpstreamCut | ErrorKind::UpstreamUnreachable
                );
                world.count(if is_cut {
                    "ends: cut by the provider"
                } else {
                    "ends: other errors"
                });
                if !is_cut {
                    world.violated(format!("{}: {error:?}", self.name()));
                }
            }
            Some(ReplyEnd::Done(finish)) => world.count(match finish {
                app::protocol::Finish::Stopped => "ends: stopped",
                _ => "ends: complete",
            }),
            Some(ReplyEnd::Cut) | None => {}
        }
    }

    /// How long before the kill the first text came that is not kept.
    fn check_loss(&self, world: &World) {
        let kept = self.transcript.text.len();
        let lost = self.grown.iter().find(|(_, length)| *length > kept);
        let Some((at, _)) = lost else { return };
        let Some((killed_at, is_within_fault)) = world.kill_after(*at) else {
            // It was on its way when the server was killed.
            if !world.was_killed() {
                world.violated(format!("{}: text is lost without a kill", self.name()));
            }
            return;
        };
        if self.is_unsaved() {
            return;
        }
        let time = killed_at - *at;
        world.lost(time, is_within_fault);
        let bound = if is_within_fault {
            LOST_WITHIN_FAULT
        } else {
            LOST
        };
        if time > bound {
            world.violated(format!("{}: {} ms are lost", self.name(), time.as_millis()));
        }
    }
}
