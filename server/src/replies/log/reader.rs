//! A reader of a log: a cursor, and the events after it as the bytes of an event stream.

use std::sync::Arc;
use std::time::Instant;

use app::protocol::{Done, Retrying};
use bytes::Bytes;
use tokio::time::timeout_at;

use super::{Entries, Log, Transient, UNSAVED_NOTICE_SEQ, not_saved};
use crate::replies::frame::{write_comment, write_json};
use crate::store::model::spans::{Cursor, SpanKind};
use crate::store::{GenerationEnd, Piece};

/// The most bytes of text in one batch. A single longer piece is one batch.
const BATCH_BYTES: usize = 16 * 1024;

/// A batch with this many bytes of text is sent without waiting for more.
const ENOUGH_BYTES: usize = 4 * 1024;

/// The approximate size of an event without its text, in bytes.
const EVENT_BYTES: usize = 48;

/// The log has no event with the requested seq.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoSuchSeq;

/// Reads a log. Readers do not affect each other.
pub struct LogReader {
    log: Arc<Log>,
    /// The start event was returned.
    has_start: bool,
    cursor: Cursor,
    /// The number of transient events that were returned or are too old.
    transient_count: u64,
    /// The notice before an unsaved end was returned.
    has_unsaved_notice: bool,
    has_end: bool,
}

impl LogReader {
    pub(super) fn new(log: Arc<Log>, after: Option<u64>) -> Result<Self, NoSuchSeq> {
        let mut cursor = Cursor::default();
        let (mut has_unsaved_notice, mut has_end) = (false, false);
        if let Some(after) = after {
            let entries = log.read();
            has_end = entries.end.is_some() && after == entries.last_seq();
            has_unsaved_notice = entries.is_end_unsaved && after == UNSAVED_NOTICE_SEQ;
            let is_there = after <= entries.spans.count() || has_unsaved_notice || has_end;
            if !is_there {
                return Err(NoSuchSeq);
            }
            // The start has seq 0, so `after` spans precede the next event.
            let seq = after.min(entries.spans.count());
            cursor = entries.spans.cursor_after(seq, entries.end_cursor());
        }
        let transient_count = {
            // A reader that comes before any text gets the last transient event.
            let entries = log.read();
            let is_silent = entries.text.is_empty() && entries.reasoning.is_empty();
            entries.transient_count.saturating_sub(u64::from(is_silent))
        };
        Ok(Self {
            log,
            has_start: after.is_some(),
            cursor,
            transient_count,
            has_unsaved_notice,
            has_end,
        })
    }

    /// Whether the end was returned, so that no event follows.
    pub(super) fn is_at_the_end(&self) -> bool {
        self.has_end
    }

    /// Waits for the next events and returns them as bytes. `None` after the end. Between two calls a reader
    /// uses no resources but its cursor.
    pub async fn next(&mut self) -> Option<Bytes> {
        if self.has_end {
            return None;
        }
        let log = Arc::clone(&self.log);
        loop {
            // The notification is armed before the log is read, so no change is missed.
            let grown = log.grown.notified();
            let bytes = self.take();
            if !bytes.is_empty() {
                return Some(bytes);
            }
            grown.await;
        }
    }

    /// Waits until [`LogReader::next`] has something to return.
    pub(crate) async fn ready(&self) {
        loop {
            let grown = self.log.grown.notified();
            if self.has_news() {
                return;
            }
            grown.await;
        }
    }

    fn has_news(&self) -> bool {
        let entries = self.log.read();
        !self.has_start
            || self.has_end
            || entries.end.is_some()
            || self.transient_count < entries.transient_count
            || self.cursor.span < entries.spans.bytes().len()
    }

    /// Waits until this time, or until a full batch or the end is available.
    pub async fn gather(&self, until: tokio::time::Instant) {
        let gathered = async {
            loop {
                let grown = self.log.grown.notified();
                if self.log.read().is_enough_after(&self.cursor) {
                    return;
                }
                grown.await;
            }
        };
        let _ = timeout_at(until, gathered).await;
    }

    /// The content after the cursor, for the store. Moves the cursor to the end.
    pub fn next_piece(&mut self) -> Piece {
        let entries = self.log.read();
        let piece = entries.since(&self.cursor);
        self.cursor = entries.end_cursor();
        piece
    }

    /// Waits until the log has events after the cursor.
    pub async fn grows(&self) {
        loop {
            let grown = self.log.grown.notified();
            if self.cursor.span < self.log.read().spans.bytes().len() {
                return;
            }
            grown.await;
        }
    }

    fn take(&mut self) -> Bytes {
        let entries = self.log.read();
        // Growing the buffer step by step would cost more than all other work of a reader.
        let mut out = match entries.bytes_after(&self.cursor).min(BATCH_BYTES) {
            0 => Vec::new(),
            text => Vec::with_capacity(text + EVENT_BYTES),
        };
        if !self.has_start {
            write_json(&mut out, 0, "start", &entries.start);
            self.has_start = true;
        }
        if self.transient_count < entries.transient_count {
            entries.write_transient(&mut out);
            self.transient_count = entries.transient_count;
        }
        while out.len() < BATCH_BYTES {
            let Some((kind, length, next)) = entries.spans.at(self.cursor.span) else {
                break;
            };
            let from = self.cursor;
            self.cursor = entries.joined(from.after(kind, length, next), kind, from);
            let seq = self.cursor.seq;
            match kind {
                SpanKind::Text => {
                    let piece = &entries.text[from.text..self.cursor.text];
                    write_json(&mut out, seq, "message", piece);
                }
                SpanKind::Reasoning => {
                    let piece = &entries.reasoning[from.reasoning..self.cursor.reasoning];
                    write_json(&mut out, seq, "reasoning", piece);
                }
                SpanKind::Usage => {
                    let usage = entries.usage.unwrap_or_default();
                    write_json(&mut out, seq, "usage", &usage);
                }
                SpanKind::Notice => write_json(&mut out, seq, "notice", &not_saved()),
            }
        }
        let is_all = self.cursor.span == entries.spans.bytes().len();
        if let (true, Some(end)) = (is_all, &entries.end) {
            if entries.is_end_unsaved && !self.has_unsaved_notice {
                write_json(&mut out, UNSAVED_NOTICE_SEQ, "notice", &not_saved());
            }
            let seq = entries.last_seq();
            match end {
                GenerationEnd::Done(finish) => {
                    let (finish, model) = (*finish, entries.model.clone());
                    write_json(&mut out, seq, "done", &Done { finish, model });
                }
                GenerationEnd::Failed(error) => write_json(&mut out, seq, "error", error),
            }
            self.has_end = true;
        }
        out.into()
    }
}

impl Entries {
    /// Writes the last transient event, with the time that is left of a pause.
    fn write_transient(&self, out: &mut Vec<u8>) {
        match (&self.transient, &self.model) {
            (Some(Transient::Pause { until }), _) => {
                let left = until.saturating_duration_since(Instant::now());
                let in_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
                write_comment(out, "retry", &Retrying { in_ms });
            }
            (Some(Transient::OtherModel), Some(model)) => write_comment(out, "model", model),
            (Some(Transient::OtherModel) | None, _) => {}
        }
    }

    /// Whether the events after this cursor should be sent without waiting for more.
    fn is_enough_after(&self, cursor: &Cursor) -> bool {
        self.end.is_some() || self.bytes_after(cursor) >= ENOUGH_BYTES
    }

    /// The cursor after all events but the end.
    fn end_cursor(&self) -> Cursor {
        Cursor {
            seq: self.spans.count(),
            span: self.spans.bytes().len(),
            text: self.text.len(),
            reasoning: self.reasoning.len(),
        }
    }

    /// The bytes of text and reasoning after this cursor.
    fn bytes_after(&self, cursor: &Cursor) -> usize {
        (self.text.len() - cursor.text) + (self.reasoning.len() - cursor.reasoning)
    }

    /// The cursor after all pieces of the same kind that follow the piece between `from` and `to`, up to a full
    /// batch.
    fn joined(&self, mut to: Cursor, kind: SpanKind, from: Cursor) -> Cursor {
        if !matches!(kind, SpanKind::Text | SpanKind::Reasoning) {
            return to;
        }
        while let Some((same, length, next)) = self.spans.at(to.span) {
            let joined = to.text - from.text + to.reasoning - from.reasoning;
            if same != kind || joined + length > BATCH_BYTES {
                break;
            }
            to = to.after(kind, length, next);
        }
        to
    }
}
