//! The log of a saved reply: its events, numbered and kept once, for any number of readers from any
//! cursor.
//!
//! The text in the log is the text of the reply. Beside it stands one mark for each event, as a rule
//! a single byte, which says how much of the text is its. A reader holds a cursor and nothing
//! else; what it is given is cut from the one text. So a reply of a thousand readers needs hardly
//! more memory than one of a single reader, and a slow reader slows nobody.
//!
//! Events are numbered 0, 1, 2, … Pieces of the same text that a reader has not seen yet are given as
//! one event, under the number of the last, so that going on after that number is exact.
//!
//! A number that a reader was given never means another event. What is stored of a log is always a
//! beginning of it with the same numbers, but it can be shorter than what readers have seen: pieces are
//! stored about every second, and a crash takes the rest. So an event that is added to what was stored,
//! rather than read from it, must not take the next number, which a reader may know as a lost piece of
//! text. Such events have fixed numbers above every number that a log can count to (see
//! [`INTERRUPTED_SEQ`]); no reservation has to be stored for that.
//!
//! The log does no I/O, and of time it knows only until when a pause lasts. It never waits for a reader:
//! its bound is the bound of a reply.

mod reader;

use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use app::protocol::{ChatEvent, ErrorKind, Notice, ReplyError, Start, Usage};
use tokio::sync::Notify;

pub use self::reader::{NoSuchSeq, Reader};
use super::relay::Sink;
use crate::providers::MAX_ANSWER_BYTES;
use crate::store::model::spans::{Cursor, SpanKind, Spans};
use crate::store::{End, Piece, StoredReply};

/// The seq of the end of a reply that was interrupted because its server ended.
///
/// Every event that is counted holds at least one byte of text, except for the start, the base of a
/// reply that goes on (at most two events), the usage, the notice and the end. An answer may have
/// [`MAX_ANSWER_BYTES`], and the piece that exceeds it is the last one, so a counted seq stays below
/// 2^23, and this number is above all of them, whatever the crash took. It is exact in JSON.
pub const INTERRUPTED_SEQ: u64 = 1 << 32;
/// The seq of the notice that the end of a reply could not be stored. Whether it will be stored, and
/// whether an attempt that failed has stored it after all, is not known at that moment. The stored end
/// takes the next counted seq, so the notice and the end after it must not.
const UNSAVED_NOTICE_SEQ: u64 = INTERRUPTED_SEQ + 1;
/// The seq of the end that follows that notice.
const UNSAVED_END_SEQ: u64 = INTERRUPTED_SEQ + 2;

const _: () = assert!(
    2 * MAX_ANSWER_BYTES < INTERRUPTED_SEQ as usize && UNSAVED_END_SEQ < 1 << 53,
    "an answer has fewer events than that, and JavaScript counts exactly up to there"
);

/// The room that a text has at least for what comes, in bytes: enough for some tokens.
const KEPT_BYTES: usize = 256;
/// And the room for how they are cut.
const KEPT_PIECES: usize = 4;

/// The events of one reply.
pub struct Log {
    entries: RwLock<Entries>,
    /// Told whenever something was added.
    grown: Notify,
}

/// What a log holds. The seq of an event is its place: the start has 0, each mark the next, and the end
/// the last, except as [`INTERRUPTED_SEQ`] says.
struct Entries {
    start: Start,
    spans: Spans,
    text: String,
    reasoning: String,
    usage: Option<Usage>,
    /// The model that answers, where it is another one than the start said.
    model: Option<String>,
    /// What was last told in transient, and how often that happened.
    transient: Option<Transient>,
    transient_count: u64,
    end: Option<End>,
    /// Whether the notice that the reply is not saved comes between the spans and the end.
    is_end_unsaved: bool,
}

/// What is told in transient: no part of the reply, and of no interest once there is text.
enum Transient {
    /// The provider is asked again at this time.
    Pause { until: Instant },
    /// The model of [`Entries::model`] is asked instead.
    OtherModel,
}

impl Log {
    /// The log of a reply that begins.
    #[must_use]
    pub fn new(start: Start) -> Arc<Self> {
        Self::restored(start, Piece::default(), None, None)
    }

    /// A log as far as it was stored. Without an end, it goes on.
    #[must_use]
    pub fn restored(
        start: Start,
        piece: Piece,
        usage: Option<Usage>,
        end: Option<End>,
    ) -> Arc<Self> {
        let spans = Spans::read(piece.spans, piece.text.len(), piece.reasoning.len());
        Arc::new(Self {
            entries: RwLock::new(Entries {
                start,
                spans,
                text: piece.text,
                reasoning: piece.reasoning,
                usage,
                model: None,
                transient: None,
                transient_count: 0,
                end,
                is_end_unsaved: false,
            }),
            grown: Notify::new(),
        })
    }

    /// The log with all events of a stored reply. One without an end counts as interrupted: the caller
    /// has made sure that no server makes it any more.
    #[must_use]
    pub fn of_stored(stored: StoredReply) -> Arc<Self> {
        let start = Start {
            generation: stored.generation,
            model: stored.model,
            conversation: Some(stored.conversation),
            user_message: stored.user_message,
            message: Some(stored.message),
        };
        let end = stored
            .end
            .unwrap_or_else(|| End::Failed(ReplyError::of(ErrorKind::Interrupted)));
        Self::restored(start, stored.piece, stored.usage, Some(end))
    }

    /// Where the relay puts the events of the reply.
    #[must_use]
    pub fn writer(self: &Arc<Self>) -> Writer {
        Writer {
            log: Arc::clone(self),
            text: String::new(),
            pieces: Vec::new(),
        }
    }

    /// A reader for a client that knows the events up to this seq, or none. Nothing where the client
    /// knows the end.
    ///
    /// A seq that is not in the log was lost in a crash, or was never given. Then the reply is read from
    /// its start again: the text that is stored counts.
    #[must_use]
    pub fn resume(self: &Arc<Self>, after: Option<u64>) -> Option<Reader> {
        let from_start = || self.read_after(None).expect("every log has a start");
        let reader = self.read_after(after).unwrap_or_else(|_| from_start());
        (!reader.is_at_the_end()).then_some(reader)
    }

    /// A reader of all that follows the event with this number, or of everything.
    ///
    /// # Errors
    /// When there is no such event, or not yet.
    pub fn read_after(self: &Arc<Self>, after: Option<u64>) -> Result<Reader, NoSuchSeq> {
        Reader::new(Arc::clone(self), after)
    }

    /// Says to the readers that what they read could not be saved. Once is enough.
    pub fn note_not_saved(&self) {
        {
            let mut entries = self.write();
            if entries.end.is_some() || entries.spans.has(SpanKind::Notice) {
                return;
            }
            entries.spans.push(SpanKind::Notice, 0);
        }
        self.grown.notify_waiters();
    }

    /// Ends the reply and says before it, unless that was said earlier, that it could not be saved. The
    /// end may be stored later, or have been stored unnoticed, under the seq that follows the text.
    pub fn end_unsaved(&self, end: End) {
        {
            let mut entries = self.write();
            if entries.end.is_some() {
                return;
            }
            entries.is_end_unsaved = !entries.spans.has(SpanKind::Notice);
            entries.end = Some(end);
        }
        self.grown.notify_waiters();
    }

    /// Says what the reply cost.
    pub fn note_usage(&self, usage: Usage) {
        {
            let mut entries = self.write();
            if entries.end.is_some() {
                return;
            }
            entries.usage = Some(usage);
            entries.spans.push(SpanKind::Usage, 0);
        }
        self.grown.notify_waiters();
    }

    /// Ends the reply. The first end counts.
    pub fn end(&self, end: End) {
        {
            let mut entries = self.write();
            if entries.end.is_some() {
                return;
            }
            entries.end = Some(end);
        }
        self.grown.notify_waiters();
    }

    /// The number of the last event, the end included.
    #[must_use]
    pub fn last_seq(&self) -> u64 {
        self.read().last_seq()
    }

    /// All of it so far, with the number of the last event in it. The end is no part of it.
    #[must_use]
    pub fn whole(&self) -> (Piece, u64) {
        let entries = self.read();
        (entries.since(&Cursor::default()), entries.spans.count())
    }

    /// How it ended, if it has.
    #[must_use]
    pub fn ended(&self) -> Option<End> {
        self.read().end.clone()
    }

    /// Whether the readers were told that it could not be saved.
    #[must_use]
    pub fn is_not_saved(&self) -> bool {
        let entries = self.read();
        entries.is_end_unsaved || entries.spans.has(SpanKind::Notice)
    }

    /// About how many bytes it needs.
    #[must_use]
    pub fn size(&self) -> usize {
        let entries = self.read();
        size_of::<Self>()
            + entries.text.capacity()
            + entries.reasoning.capacity()
            + entries.spans.capacity()
    }

    /// Tells something that is no part of the reply.
    fn set_transient(&self, transient: Transient, model: Option<&str>) {
        {
            let mut entries = self.write();
            entries.transient = Some(transient);
            entries.transient_count += 1;
            if let Some(model) = model {
                entries.model = Some(model.to_owned());
            }
        }
        self.grown.notify_waiters();
    }

    fn append(&self, text: &str, pieces: &[(SpanKind, usize)]) {
        {
            let mut entries = self.write();
            if entries.end.is_some() {
                return;
            }
            let mut rest = text;
            for (kind, length) in pieces {
                let (piece, after) = rest.split_at(*length);
                rest = after;
                match kind {
                    SpanKind::Text => push(&mut entries.text, piece),
                    SpanKind::Reasoning => push(&mut entries.reasoning, piece),
                    SpanKind::Usage | SpanKind::Notice => {}
                }
                entries.spans.push(*kind, *length);
            }
        }
        self.grown.notify_waiters();
    }

    fn read(&self) -> RwLockReadGuard<'_, Entries> {
        self.entries.read().expect("nobody panics while holding it")
    }

    fn write(&self) -> RwLockWriteGuard<'_, Entries> {
        self.entries
            .write()
            .expect("nobody panics while holding it")
    }
}

impl Entries {
    fn last_seq(&self) -> u64 {
        match &self.end {
            None => self.spans.count(),
            Some(_) if self.is_end_unsaved => UNSAVED_END_SEQ,
            Some(End::Failed(error)) if error.kind == ErrorKind::Interrupted => INTERRUPTED_SEQ,
            Some(_) => self.spans.count() + 1,
        }
    }

    /// What was added after this cursor.
    fn since(&self, cursor: &Cursor) -> Piece {
        Piece {
            text: self.text[cursor.text..].to_owned(),
            reasoning: self.reasoning[cursor.reasoning..].to_owned(),
            spans: self.spans.bytes()[cursor.span..].to_vec(),
        }
    }
}

/// Adds a piece to a text that will be there for long: it grows by a quarter, since with twice of it, as
/// is usual, half of the memory could be empty.
fn push(text: &mut String, piece: &str) {
    if text.capacity() - text.len() < piece.len() {
        text.reserve_exact(piece.len().max(text.len() / 4).max(KEPT_BYTES));
    }
    text.push_str(piece);
}

/// What is told to who reads a reply that could not be saved.
#[must_use]
pub fn not_saved() -> Notice {
    Notice {
        kind: ErrorKind::NotSaved,
        message: ErrorKind::NotSaved.sentence().to_owned(),
    }
}

/// Adds events to a log: text that arrived together as one.
pub struct Writer {
    log: Arc<Log>,
    text: String,
    pieces: Vec<(SpanKind, usize)>,
}

impl Sink for Writer {
    fn push(&mut self, event: &ChatEvent<'_>) {
        let (kind, text) = match event {
            ChatEvent::Text(text) => (SpanKind::Text, text),
            ChatEvent::Reasoning(text) => (SpanKind::Reasoning, text),
            ChatEvent::Retrying(retrying) => {
                let until = Instant::now() + Duration::from_millis(retrying.in_ms);
                return self.log.set_transient(Transient::Pause { until }, None);
            }
            ChatEvent::Model(model) => {
                return self.log.set_transient(Transient::OtherModel, Some(model));
            }
            // The rest is not the relay's to say.
            ChatEvent::Start(_)
            | ChatEvent::Usage(_)
            | ChatEvent::Notice(_)
            | ChatEvent::Done(_)
            | ChatEvent::Error(_) => return,
        };
        if text.is_empty() {
            return;
        }
        self.text.push_str(text);
        match self.pieces.last_mut() {
            Some((last, length)) if *last == kind => *length += text.len(),
            _ => self.pieces.push((kind, text.len())),
        }
    }

    fn size(&self) -> usize {
        self.text.len()
    }

    async fn flush(&mut self) -> std::io::Result<()> {
        self.publish();
        Ok(())
    }
}

impl Writer {
    /// Shows the readers what has been added.
    pub(crate) fn publish(&mut self) {
        if !self.pieces.is_empty() {
            self.log.append(&self.text, &self.pieces);
            self.text.clear();
            self.pieces.clear();
            // A burst is no reason to keep its room for the whole reply.
            self.text.shrink_to(KEPT_BYTES);
            self.pieces.shrink_to(KEPT_PIECES);
        }
    }

    /// Adds one event, for measurements.
    pub fn add(&mut self, event: &ChatEvent<'_>) {
        self.push(event);
    }

    /// Shows the readers what has been added, for measurements.
    pub fn show(&mut self) {
        self.publish();
    }
}

#[cfg(test)]
mod tests;
