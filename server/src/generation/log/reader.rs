//! A reader of a log: a position, and the events after it as bytes of our stream.

use std::sync::Arc;

use app::protocol::Done;
use app::sse;
use bytes::Bytes;
use serde::Serialize;
use tokio::sync::watch;

use super::marks::{Kind, Position};
use super::{End, Entries, Log, Piece, not_saved};

/// As many bytes of text are given in one go. One piece may be longer.
const BATCH_BYTES: usize = 16 * 1024;

/// There is no event with the number after which somebody wants to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoSuchPosition;

/// Reads a log. Dropping it changes nothing for others.
pub struct Reader {
    log: Arc<Log>,
    grown: watch::Receiver<()>,
    /// The start has been given.
    has_start: bool,
    position: Position,
    /// How much of what is told in passing has been, or was before.
    passed: u64,
    has_end: bool,
}

impl Reader {
    pub(super) fn new(log: Arc<Log>, after: Option<u64>) -> Result<Self, NoSuchPosition> {
        let mut position = Position::default();
        let mut has_end = false;
        if let Some(after) = after {
            let entries = log.read();
            if after > entries.last_seq() {
                return Err(NoSuchPosition);
            }
            // The start is event 0; of the marks, `after` lie before the next event.
            while position.number < after {
                let Some((kind, length, next)) = entries.marks.at(position.mark) else {
                    has_end = true;
                    break;
                };
                position = position.after(kind, length, next);
            }
        }
        let grown = log.grown.subscribe();
        let passed = log.read().passed;
        Ok(Self {
            log,
            grown,
            has_start: after.is_some(),
            position,
            passed,
            has_end,
        })
    }

    /// The next events as bytes, as soon as there are any. Nothing after the end. What is given is
    /// the reader's; until it asks again, it costs nothing.
    pub async fn next(&mut self) -> Option<Bytes> {
        loop {
            // Seen before it is read: what comes in between wakes once more.
            self.grown.borrow_and_update();
            if self.has_end {
                return None;
            }
            let bytes = self.take();
            if !bytes.is_empty() {
                return Some(bytes);
            }
            self.grown
                .changed()
                .await
                .expect("the log, which is held here, tells of it");
        }
    }

    /// What the log holds beyond the position, with the position moved; for who stores it.
    pub fn next_piece(&mut self) -> Piece {
        let entries = self.log.read();
        let piece = entries.since(&self.position);
        self.position = Position {
            number: entries.marks.count(),
            mark: entries.marks.bytes().len(),
            text: entries.text.len(),
            reasoning: entries.reasoning.len(),
        };
        piece
    }

    /// Waits until the log holds something beyond the position.
    pub async fn grows(&mut self) {
        loop {
            self.grown.borrow_and_update();
            if self.position.mark < self.log.read().marks.bytes().len() {
                return;
            }
            if self.grown.changed().await.is_err() {
                return;
            }
        }
    }

    fn take(&mut self) -> Bytes {
        let log = Arc::clone(&self.log);
        let entries = log.read();
        let mut out = Out::default();
        if !self.has_start {
            out.write(0, "start", &entries.start);
            self.has_start = true;
        }
        if self.passed < entries.passed {
            out.bytes.extend_from_slice(&entries.passing);
            self.passed = entries.passed;
        }
        while out.bytes.len() < BATCH_BYTES {
            let Some((kind, length, next)) = entries.marks.at(self.position.mark) else {
                break;
            };
            let from = self.position;
            self.position = from.after(kind, length, next);
            if matches!(kind, Kind::Text | Kind::Reasoning) {
                self.join(&entries, kind, from);
            }
            let number = self.position.number;
            match kind {
                Kind::Text => {
                    out.write(
                        number,
                        "message",
                        &entries.text[from.text..self.position.text],
                    );
                }
                Kind::Reasoning => {
                    let piece = &entries.reasoning[from.reasoning..self.position.reasoning];
                    out.write(number, "reasoning", piece);
                }
                Kind::Usage => out.write(number, "usage", &entries.usage.unwrap_or_default()),
                Kind::Notice => out.write(number, "notice", &not_saved()),
            }
        }
        let is_all = self.position.mark == entries.marks.bytes().len();
        if let (true, Some(end)) = (is_all, &entries.end) {
            let number = entries.last_seq();
            match end {
                End::Done(finish) => {
                    let (finish, model) = (*finish, entries.model.clone());
                    out.write(number, "done", &Done { finish, model });
                }
                End::Failed(error) => out.write(number, "error", error),
            }
            self.has_end = true;
        }
        out.bytes.into()
    }

    /// Moves over the pieces that continue this one.
    fn join(&mut self, entries: &Entries, kind: Kind, from: Position) {
        while let Some((same, length, next)) = entries.marks.at(self.position.mark) {
            let joined = self.position.text - from.text + self.position.reasoning - from.reasoning;
            if same != kind || joined + length > BATCH_BYTES {
                break;
            }
            self.position = self.position.after(kind, length, next);
        }
    }
}

/// Events on their way out.
#[derive(Default)]
struct Out {
    bytes: Vec<u8>,
    json: Vec<u8>,
}

impl Out {
    fn write(&mut self, id: u64, name: &str, data: &(impl Serialize + ?Sized)) {
        self.json.clear();
        serde_json::to_writer(&mut self.json, data)
            .expect("our events are JSON, and a Vec takes all");
        let json = std::str::from_utf8(&self.json).expect("JSON is UTF-8");
        sse::write_event(&mut self.bytes, id, name, json);
    }
}
