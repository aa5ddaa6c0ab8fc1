//! One mark for each event of a log: what kind it is, and how many bytes of the text are its.
//!
//! A mark is a number in the LEB128 form, the kind in its lowest two bits. A piece of less than 32
//! bytes, as models write them, has a mark of one byte.

/// What an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A piece of the answer.
    Text,
    /// A piece of the reasoning.
    Reasoning,
    /// What it cost. It stands beside the marks.
    Usage,
    /// That it could not be saved.
    Notice,
}

const KINDS: [Kind; 4] = [Kind::Text, Kind::Reasoning, Kind::Usage, Kind::Notice];

/// A place between two events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Position {
    /// How many marks lie before it.
    pub(super) number: u64,
    /// And how many bytes of marks, of text and of reasoning.
    pub(super) mark: usize,
    pub(super) text: usize,
    pub(super) reasoning: usize,
}

impl Position {
    /// The place after the event that begins here.
    pub(super) fn after(self, kind: Kind, length: usize, mark: usize) -> Self {
        let mut next = Self {
            number: self.number + 1,
            mark,
            ..self
        };
        match kind {
            Kind::Text => next.text += length,
            Kind::Reasoning => next.reasoning += length,
            Kind::Usage | Kind::Notice => {}
        }
        next
    }
}

/// All marks of a log.
#[derive(Debug, Default)]
pub(super) struct Marks {
    bytes: Vec<u8>,
    count: u64,
    has: [bool; KINDS.len()],
}

impl Marks {
    /// Marks as they were stored beside texts of these lengths. Where they do not fit, which only
    /// somebody else's hand in the database can bring about, the texts count as one event each.
    pub(super) fn read(bytes: Vec<u8>, text: usize, reasoning: usize) -> Self {
        let stored = Self {
            bytes,
            ..Self::default()
        };
        let mut marks = Self::default();
        let mut position = Position::default();
        while let Some((kind, length, next)) = stored.at(position.mark) {
            marks.push(kind, length);
            position = position.after(kind, length, next);
        }
        if (position.text, position.reasoning) == (text, reasoning) {
            return marks;
        }
        let mut marks = Self::default();
        for (kind, length) in [(Kind::Reasoning, reasoning), (Kind::Text, text)] {
            if length > 0 {
                marks.push(kind, length);
            }
        }
        marks
    }

    pub(super) fn push(&mut self, kind: Kind, length: usize) {
        let mut rest = (length << 2) | kind as usize;
        while rest >= 0x80 {
            self.bytes.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        self.bytes.push((rest & 0x7f) as u8);
        self.count += 1;
        self.has[kind as usize] = true;
    }

    /// The mark that begins at this byte: its kind, its length, and where the next one begins.
    pub(super) fn at(&self, mut byte: usize) -> Option<(Kind, usize, usize)> {
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
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Whether one of this kind is among them.
    pub(super) fn has(&self, kind: Kind) -> bool {
        self.has[kind as usize]
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_was_written() {
        let lengths = [0, 1, 31, 32, 127, 128, 4095, 4096, 1 << 20, 4 * 1024 * 1024];
        let mut marks = Marks::default();
        for length in lengths {
            for kind in KINDS {
                marks.push(kind, length);
            }
        }
        let mut byte = 0;
        for length in lengths {
            for kind in KINDS {
                let (got, of, next) = marks.at(byte).expect("a mark");
                assert_eq!((got, of), (kind, length));
                byte = next;
            }
        }
        assert_eq!(marks.at(byte), None);
    }

    #[test]
    fn a_piece_as_models_write_them_needs_one_byte() {
        let mut marks = Marks::default();
        marks.push(Kind::Text, 31);
        assert_eq!(marks.bytes().len(), 1);
    }

    #[test]
    fn marks_that_do_not_fit_their_text_are_not_trusted() {
        let check = |bytes: &[u8], text, reasoning, expect_count| {
            let marks = Marks::read(bytes.to_vec(), text, reasoning);
            assert_eq!(marks.count(), expect_count, "{bytes:?}");
        };
        check(&[4 << 2, 3 << 2], 7, 0, 2);
        check(&[4 << 2, 3 << 2], 8, 0, 1);
        check(&[], 5, 5, 2);
        check(&[], 0, 0, 0);
        check(&[0x80], 3, 0, 1);
        check(&[0xff; 30], 3, 0, 1);
    }
}
