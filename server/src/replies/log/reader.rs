//! A reader of a log: a cursor, and the events after it as bytes of our stream.

use std::sync::Arc;
use std::time::Instant;

use app::protocol::{Done, Retrying};
use bytes::Bytes;
use tokio::time::timeout_at;

use super::{Entries, Log, Transient, UNSAVED_NOTICE_SEQ, not_saved};
use crate::replies::frame::{write_comment, write_json};
use crate::store::model::spans::{Cursor, SpanKind};
use crate::store::{End, Piece};

/// As many bytes of text are given in one go. One piece may be longer.
const BATCH_BYTES: usize = 16 * 1024;

/// For so many bytes of text nobody waits for more.
const ENOUGH_BYTES: usize = 4 * 1024;

/// About what an event needs beside its text.
const EVENT_BYTES: usize = 48;

/// There is no event with the seq after which somebody wants to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoSuchSeq;

/// Reads a log. Dropping it changes nothing for others.
pub struct Reader {
    log: Arc<Log>,
    /// The start has been given.
    has_start: bool,
    cursor: Cursor,
    /// How much of what is told in transient has been, or was before.
    transient_count: u64,
    /// The notice before an end that could not be saved has been given.
    has_unsaved_notice: bool,
    has_end: bool,
}

impl Reader {
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
            // The start is event 0; of the spans, `after` lie before the next event.
            while cursor.seq < after
                && let Some((kind, length, next)) = entries.spans.at(cursor.span)
            {
                cursor = cursor.after(kind, length, next);
            }
        }
        let transient_count = {
            // Who comes while nothing has been said is told what is going on.
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

    /// Whether the end is known, so that nothing follows.
    pub(super) fn is_at_the_end(&self) -> bool {
        self.has_end
    }

    /// The next events as bytes, as soon as there are any. Nothing after the end. What is given is
    /// the reader's; until it asks again, it costs nothing.
    pub async fn next(&mut self) -> Option<Bytes> {
        if self.has_end {
            return None;
        }
        let log = Arc::clone(&self.log);
        loop {
            // It counts from here: what comes after this look at the log wakes.
            let grown = log.grown.notified();
            let bytes = self.take();
            if !bytes.is_empty() {
                return Some(bytes);
            }
            grown.await;
        }
    }

    /// Lets events gather until this time, unless there is enough of them or the end has come.
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

    /// What the log holds beyond the cursor, with the cursor moved; for who stores it.
    pub fn next_piece(&mut self) -> Piece {
        let entries = self.log.read();
        let piece = entries.since(&self.cursor);
        self.cursor = Cursor {
            seq: entries.spans.count(),
            span: entries.spans.bytes().len(),
            text: entries.text.len(),
            reasoning: entries.reasoning.len(),
        };
        piece
    }

    /// Waits until the log holds something beyond the cursor.
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
        // Growing it step by step would cost more than all else that a reader does.
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
                End::Done(finish) => {
                    let (finish, model) = (*finish, entries.model.clone());
                    write_json(&mut out, seq, "done", &Done { finish, model });
                }
                End::Failed(error) => write_json(&mut out, seq, "error", error),
            }
            self.has_end = true;
        }
        out.into()
    }
}

impl Entries {
    /// What was last told in transient, as it is now.
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

    /// Whether what comes after this cursor should not wait for more.
    fn is_enough_after(&self, cursor: &Cursor) -> bool {
        self.end.is_some() || self.bytes_after(cursor) >= ENOUGH_BYTES
    }

    /// How many bytes of text there are after this cursor.
    fn bytes_after(&self, cursor: &Cursor) -> usize {
        (self.text.len() - cursor.text) + (self.reasoning.len() - cursor.reasoning)
    }

    /// The cursor after the pieces of text that continue the one from `from` to `to`.
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
