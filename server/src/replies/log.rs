//! The log of a saved reply: its events, kept once, for any number of readers that begin at any seq.
//!
//! The log holds the text of the reply once, with one span for each event: the kind of the event and the length
//! of its text, as a rule in one byte. A reader holds only a cursor, and its events are cut from the shared
//! text. A thousand readers of a reply therefore need hardly more memory than one, and a slow reader does not
//! slow the others.
//!
//! Events are numbered by their seq: 0, 1, 2, … Consecutive pieces of the same text that a reader has not seen
//! yet are joined into one event with the seq of the last piece, so a reader can resume exactly after it.
//!
//! A seq that was given to a reader never means another event. The stored log is always a prefix of the log
//! with the same seqs, but it can be shorter than what readers have seen: pieces are stored about once a
//! second, and a crash loses the rest. An event that is added to a stored prefix must therefore not take
//! the next seq, which a reader may know as a lost piece of text. Such events have fixed seqs above every seq
//! that a log can reach (see [`INTERRUPTED_SEQ`]), so that no reservation has to be stored.
//!
//! The log does no I/O. It never waits for a reader. Its size is bounded by the size of a reply.

mod reader;

use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use app::protocol::{ChatEvent, ErrorKind, Notice, ReplyError, Start, Usage};
use tokio::sync::Notify;

pub use self::reader::{LogReader, NoSuchSeq};
use super::relay::EventSink;
use crate::providers::MAX_ANSWER_BYTES;
use crate::store::model::spans::{Cursor, SpanKind, Spans};
use crate::store::{GenerationEnd, Piece, StoredReply};

/// The seq of the end of a reply that was interrupted because its server ended.
///
/// Every counted event holds at least one byte of text, except for the start, the base of a continued reply
/// (at most two events), the usage, the notice and the end. An answer has at most [`MAX_ANSWER_BYTES`], and
/// the piece that exceeds that limit is the last one. A counted seq therefore stays below 2^23, and this seq is
/// above all of them, whatever a crash lost. JavaScript represents it exactly.
pub const INTERRUPTED_SEQ: u64 = 1 << 32;
/// The seq of the notice that the end of a reply could not be stored. At that moment it is not known whether
/// a later attempt will store the end, or whether the failed attempt has stored it after all. The stored end
/// takes the next counted seq, so the notice and the end after it must not.
const UNSAVED_NOTICE_SEQ: u64 = INTERRUPTED_SEQ + 1;
/// The seq of the end that follows that notice.
const UNSAVED_END_SEQ: u64 = INTERRUPTED_SEQ + 2;

const _: () = assert!(
    2 * MAX_ANSWER_BYTES < INTERRUPTED_SEQ as usize && UNSAVED_END_SEQ < 1 << 53,
    "an answer has fewer events than that, and JavaScript counts exactly up to there"
);

/// The least spare capacity of a growing text, in bytes: enough for some tokens.
const KEPT_BYTES: usize = 256;
/// The capacity that a writer keeps for the lengths of pieces.
const KEPT_PIECES: usize = 4;

/// The events of one reply.
pub struct Log {
    entries: RwLock<Entries>,
    /// Notified whenever the log has changed.
    grown: Notify,
}

/// The content of a log. The start has seq 0, each span the next, and the end the last, except for the fixed
/// seqs such as [`INTERRUPTED_SEQ`].
struct Entries {
    start: Start,
    spans: Spans,
    text: String,
    reasoning: String,
    usage: Option<Usage>,
    /// The model that answers, if it is not the one of the start event.
    model: Option<String>,
    /// The last transient event, and the number of transient events so far.
    transient: Option<Transient>,
    transient_count: u64,
    end: Option<GenerationEnd>,
    /// Whether the notice that the reply is not saved comes between the spans and the end.
    is_end_unsaved: bool,
}

/// A transient event. It is not part of the reply and loses its meaning once there is text.
enum Transient {
    /// The request to the provider is repeated at this time.
    Pause { until: Instant },
    /// The model in [`Entries::model`] answers instead.
    OtherModel,
}

impl Log {
    /// The log of a reply that begins.
    #[must_use]
    pub fn new(start: Start) -> Arc<Self> {
        Self::restored(start, Piece::default(), None, None)
    }

    /// A log that begins with stored content. Without an end, the reply goes on.
    #[must_use]
    pub fn restored(
        start: Start,
        piece: Piece,
        usage: Option<Usage>,
        end: Option<GenerationEnd>,
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

    /// The log with all events of a stored reply. A reply without an end counts as interrupted: the caller
    /// guarantees that no server is making it.
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
            .unwrap_or_else(|| GenerationEnd::Failed(ReplyError::of(ErrorKind::Interrupted)));
        Self::restored(start, stored.piece, stored.usage, Some(end))
    }

    /// The writer for the events of the reply.
    #[must_use]
    pub fn writer(self: &Arc<Self>) -> LogWriter {
        LogWriter {
            log: Arc::clone(self),
            text: String::new(),
            pieces: Vec::new(),
        }
    }

    /// A reader for a client that knows the events up to this seq, or no event. `None` if the client knows the
    /// end.
    ///
    /// A seq that is not in the log was lost in a crash or never existed. The reader then begins at the start,
    /// because the stored text counts.
    #[must_use]
    pub fn resume(self: &Arc<Self>, after: Option<u64>) -> Option<LogReader> {
        let from_start = || self.read_after(None).expect("every log has a start");
        let reader = self.read_after(after).unwrap_or_else(|_| from_start());
        (!reader.is_at_the_end()).then_some(reader)
    }

    /// A reader of the events after this seq, or of all events.
    ///
    /// # Errors
    /// When there is no event with this seq, or not yet.
    pub fn read_after(self: &Arc<Self>, after: Option<u64>) -> Result<LogReader, NoSuchSeq> {
        LogReader::new(Arc::clone(self), after)
    }

    /// Adds the notice that the reply could not be saved, unless the log already has one.
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

    /// Ends a reply whose end could not be stored, with the notice before it unless the log already has one.
    /// The end may be stored later, or may have been stored without our knowing, with the seq after the text.
    pub fn end_unsaved(&self, end: GenerationEnd) {
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

    /// Adds the token counts.
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

    /// Ends the reply. A second end is ignored.
    pub fn end(&self, end: GenerationEnd) {
        {
            let mut entries = self.write();
            if entries.end.is_some() {
                return;
            }
            entries.end = Some(end);
        }
        self.grown.notify_waiters();
    }

    /// The seq of the last event, including the end.
    #[must_use]
    pub fn last_seq(&self) -> u64 {
        self.read().last_seq()
    }

    /// The content so far, without the end, and the seq of its last event.
    #[must_use]
    pub fn whole(&self) -> (Piece, u64) {
        let entries = self.read();
        (entries.since(&Cursor::default()), entries.spans.count())
    }

    /// The end, if the reply has ended.
    #[must_use]
    pub fn ended(&self) -> Option<GenerationEnd> {
        self.read().end.clone()
    }

    /// Whether the log has the notice that the reply could not be saved.
    #[must_use]
    pub fn is_not_saved(&self) -> bool {
        let entries = self.read();
        entries.is_end_unsaved || entries.spans.has(SpanKind::Notice)
    }

    /// The approximate memory of the log, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        let entries = self.read();
        size_of::<Self>()
            + entries.text.capacity()
            + entries.reasoning.capacity()
            + entries.spans.capacity()
    }

    /// Sets the transient event.
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
        self.entries.read().expect("no holder of the lock panics")
    }

    fn write(&self) -> RwLockWriteGuard<'_, Entries> {
        self.entries.write().expect("no holder of the lock panics")
    }
}

impl Entries {
    fn last_seq(&self) -> u64 {
        match &self.end {
            None => self.spans.count(),
            Some(_) if self.is_end_unsaved => UNSAVED_END_SEQ,
            Some(GenerationEnd::Failed(error)) if error.kind == ErrorKind::Interrupted => {
                INTERRUPTED_SEQ
            }
            Some(_) => self.spans.count() + 1,
        }
    }

    /// The content after this cursor.
    fn since(&self, cursor: &Cursor) -> Piece {
        Piece {
            text: self.text[cursor.text..].to_owned(),
            reasoning: self.reasoning[cursor.reasoning..].to_owned(),
            spans: self.spans.bytes()[cursor.span..].to_vec(),
        }
    }
}

/// Appends a piece to a long-lived text. The capacity grows by a quarter: with the usual doubling, up to half
/// of the memory could be empty.
fn push(text: &mut String, piece: &str) {
    if text.capacity() - text.len() < piece.len() {
        text.reserve_exact(piece.len().max(text.len() / 4).max(KEPT_BYTES));
    }
    text.push_str(piece);
}

/// The notice for readers of a reply that could not be saved.
#[must_use]
pub fn not_saved() -> Notice {
    Notice {
        kind: ErrorKind::NotSaved,
        message: ErrorKind::NotSaved.sentence().to_owned(),
    }
}

/// Adds events to a log. Text that arrived together becomes one event.
pub struct LogWriter {
    log: Arc<Log>,
    text: String,
    pieces: Vec<(SpanKind, usize)>,
}

impl EventSink for LogWriter {
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
            // The relay emits no other events.
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

impl LogWriter {
    /// Publishes the added events to the readers.
    pub(crate) fn publish(&mut self) {
        if !self.pieces.is_empty() {
            self.log.append(&self.text, &self.pieces);
            self.text.clear();
            self.pieces.clear();
            // The capacity for a burst must not stay for the whole reply.
            self.text.shrink_to(KEPT_BYTES);
            self.pieces.shrink_to(KEPT_PIECES);
        }
    }

    /// Adds one event, for measurements.
    pub fn add(&mut self, event: &ChatEvent<'_>) {
        self.push(event);
    }

    /// Publishes the added events, for measurements.
    pub fn show(&mut self) {
        self.publish();
    }
}

#[cfg(test)]
mod tests;
