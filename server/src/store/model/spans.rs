//! The spans of a reply: one for each event, with the kind of the event and the length of its text in bytes.
//!
//! A span is encoded as an unsigned LEB128 number with the kind in its two lowest bits. The span of an event
//! with fewer than 32 bytes of text, which is most events, takes one byte.

/// The kind of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SpanKind {
    /// Text of the answer.
    Text,
    /// Text of the reasoning.
    Reasoning,
    /// The token counts. Their values are stored beside the spans.
    Usage,
    /// The notice that the reply could not be saved.
    Notice,
}

const KINDS: [SpanKind; 4] = [
    SpanKind::Text,
    SpanKind::Reasoning,
    SpanKind::Usage,
    SpanKind::Notice,
];

/// A cursor between two events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// The number of spans before it, which is the seq of the last event before it.
    pub(crate) seq: u64,
    /// The bytes of spans, of text and of reasoning before it.
    pub(crate) span: usize,
    pub(crate) text: usize,
    pub(crate) reasoning: usize,
}

impl Cursor {
    /// The cursor after the event that begins here. `span` is where the next span begins.
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

/// The spans of a reply, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Spans {
    bytes: Vec<u8>,
    count: u64,
    has: [bool; KINDS.len()],
}

impl Spans {
    /// Reads spans that were stored beside texts of these lengths in bytes. If the lengths do not agree, which
    /// only a change of the database by another program can cause, each text counts as one event.
    pub(crate) fn read(bytes: Vec<u8>, text: usize, reasoning: usize) -> Self {
        let stored = Self {
            bytes,
            ..Self::default()
        };
        let mut spans = Self::default();
        let mut cursor = Cursor::default();
        while let Some((kind, length, next)) = stored.at(cursor.span) {
            spans.push(kind, length);
            cursor = cursor.after(kind, length, next);
        }
        if (cursor.text, cursor.reasoning) == (text, reasoning) {
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

    /// Adds the span of an event.
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

    /// The span that begins at this byte: the kind, the length, and the byte at which the next span begins.
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

    /// The cursor after the event with this seq, which the spans must have. `end` is the cursor after all of them. Takes
    /// time in proportion to the number of spans on the shorter side: most readers come from near the end.
    pub(crate) fn cursor_after(&self, seq: u64, end: Cursor) -> Cursor {
        if seq >= self.count / 2 {
            return self.back_to(seq, end);
        }
        let mut cursor = Cursor::default();
        while cursor.seq < seq
            && let Some((kind, length, next)) = self.at(cursor.span)
        {
            cursor = cursor.after(kind, length, next);
        }
        cursor
    }

    fn back_to(&self, seq: u64, end: Cursor) -> Cursor {
        let mut cursor = end;
        while cursor.seq > seq {
            // The last byte of a span is the only one below 0x80.
            let before = &self.bytes[..cursor.span - 1];
            let start = before.iter().rposition(|part| *part < 0x80);
            cursor.span = start.map_or(0, |end| end + 1);
            cursor.seq -= 1;
            match self.at(cursor.span) {
                Some((SpanKind::Text, length, _)) => cursor.text -= length,
                Some((SpanKind::Reasoning, length, _)) => cursor.reasoning -= length,
                Some((SpanKind::Usage | SpanKind::Notice, ..)) | None => {}
            }
        }
        cursor
    }

    /// The number of spans.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Whether there is a span of this kind.
    pub(crate) fn has(&self, kind: SpanKind) -> bool {
        self.has[kind as usize]
    }

    /// The encoded spans.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The memory that the spans take, in bytes.
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
    fn every_seq_is_found_from_both_sides() {
        let mut spans = Spans::default();
        let mut cursors = vec![Cursor::default()];
        let lengths = [0, 3, 31, 32, 5000, 1, 1 << 20];
        for (length, kind) in lengths.iter().zip(KINDS.iter().cycle()).cycle().take(50) {
            let last = *cursors.last().expect("one");
            spans.push(*kind, *length);
            cursors.push(last.after(*kind, *length, spans.bytes().len()));
        }
        let end = *cursors.last().expect("one");
        for (seq, expect) in (0..).zip(&cursors) {
            assert_eq!(spans.cursor_after(seq, end), *expect, "{seq}");
            assert_eq!(spans.back_to(seq, end), *expect, "{seq}");
        }
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
