//! The spans of a reply: one for each event, with its kind and its length in bytes of the text.
//!
//! A span is an unsigned number in LEB128, with the kind in its two lowest bits. A piece of text below 32
//! bytes, as models send them, has a span of one byte.

/// What an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SpanKind {
    /// A piece of the answer.
    Text,
    /// A piece of the reasoning.
    Reasoning,
    /// What it cost. It stands beside the spans.
    Usage,
    /// That it could not be saved.
    Notice,
}

const KINDS: [SpanKind; 4] = [
    SpanKind::Text,
    SpanKind::Reasoning,
    SpanKind::Usage,
    SpanKind::Notice,
];

/// A place between two events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Position {
    /// How many spans lie before it.
    pub(crate) seq: u64,
    /// And how many bytes of spans, of text and of reasoning.
    pub(crate) span: usize,
    pub(crate) text: usize,
    pub(crate) reasoning: usize,
}

impl Position {
    /// The place after the event that begins here.
    pub(crate) fn after(self, kind: SpanKind, length: usize, span: usize) -> Self {
        let mut next = Self {
            seq: self.seq + 1,
            span,
            ..self
        };
        match kind {
            SpanKind::Text => next.text += length,
            SpanKind::Reasoning => next.reasoning += length,
            SpanKind::Usage | SpanKind::Notice => {}
        }
        next
    }
}

/// All spans of a log.
#[derive(Debug, Default)]
pub(crate) struct Spans {
    bytes: Vec<u8>,
    count: u64,
    has: [bool; KINDS.len()],
}

impl Spans {
    /// Spans as they were stored beside texts of these lengths. Where they do not fit, which only
    /// somebody else's hand in the database can bring about, the texts count as one event each.
    pub(crate) fn read(bytes: Vec<u8>, text: usize, reasoning: usize) -> Self {
        let stored = Self {
            bytes,
            ..Self::default()
        };
        let mut spans = Self::default();
        let mut position = Position::default();
        while let Some((kind, length, next)) = stored.at(position.span) {
            spans.push(kind, length);
            position = position.after(kind, length, next);
        }
        if (position.text, position.reasoning) == (text, reasoning) {
            return spans;
        }
        let mut spans = Self::default();
        for (kind, length) in [(SpanKind::Reasoning, reasoning), (SpanKind::Text, text)] {
            if length > 0 {
                spans.push(kind, length);
            }
        }
        spans
    }

    pub(crate) fn push(&mut self, kind: SpanKind, length: usize) {
        let mut rest = (length << 2) | kind as usize;
        while rest >= 0x80 {
            self.bytes.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        self.bytes.push((rest & 0x7f) as u8);
        self.count += 1;
        self.has[kind as usize] = true;
    }

    /// The span that begins at this byte: its kind, its length, and where the next one begins.
    pub(crate) fn at(&self, mut byte: usize) -> Option<(SpanKind, usize, usize)> {
        let (mut value, mut shift) = (0_usize, 0_u32);
        loop {
            let part = *self.bytes.get(byte)?;
            byte += 1;
            value |= usize::from(part & 0x7f).checked_shl(shift)?;
            if part < 0x80 {
                return Some((KINDS[value & 3], value >> 2, byte));
            }
            shift += 7;
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Whether one of this kind is among them.
    pub(crate) fn has(&self, kind: SpanKind) -> bool {
        self.has[kind as usize]
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_read_as_it_was_written() {
        let lengths = [0, 1, 31, 32, 127, 128, 4095, 4096, 1 << 20, 4 * 1024 * 1024];
        let mut spans = Spans::default();
        for length in lengths {
            for kind in KINDS {
                spans.push(kind, length);
            }
        }
        let mut byte = 0;
        for length in lengths {
            for kind in KINDS {
                let (got, of, next) = spans.at(byte).expect("a span");
                assert_eq!((got, of), (kind, length));
                byte = next;
            }
        }
        assert_eq!(spans.at(byte), None);
    }

    #[test]
    fn a_piece_as_models_write_them_needs_one_byte() {
        let mut spans = Spans::default();
        spans.push(SpanKind::Text, 31);
        assert_eq!(spans.bytes().len(), 1);
    }

    #[test]
    fn spans_that_do_not_fit_their_text_are_not_trusted() {
        let check = |bytes: &[u8], text, reasoning, expect_count| {
            let spans = Spans::read(bytes.to_vec(), text, reasoning);
            assert_eq!(spans.count(), expect_count, "{bytes:?}");
        };
        check(&[4 << 2, 3 << 2], 7, 0, 2);
        check(&[4 << 2, 3 << 2], 8, 0, 1);
        check(&[], 5, 5, 2);
        check(&[], 0, 0, 0);
        check(&[0x80], 3, 0, 1);
        check(&[0xff; 30], 3, 0, 1);
    }
}
