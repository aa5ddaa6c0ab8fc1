//! Decodes a file to UTF-8 from any usual encoding.
//!
//! A byte order mark is skipped. UTF-16 is detected by its mark, or by the zero bytes beside the first two
//! characters, which are ASCII in every JSON file. Invalid bytes become U+FFFD and are counted.

use std::io::{ErrorKind, Read};

/// The size of a read, in bytes.
const CHUNK: usize = 64 * 1024;
/// The replacement for invalid bytes.
const REPLACEMENT: &str = "\u{fffd}";

/// Reads a file as UTF-8.
pub(super) struct Decoded<R> {
    file: R,
    encoding: Option<Encoding>,
    /// The bytes that were read. Those before `start` were decoded.
    raw: Vec<u8>,
    start: usize,
    is_at_end: bool,
    text: String,
    odd: u64,
}

#[derive(Clone, Copy)]
enum Encoding {
    Utf8,
    Utf16(fn([u8; 2]) -> u16),
}

impl<R: Read> Decoded<R> {
    pub(super) fn new(file: R) -> Self {
        Self {
            file,
            encoding: None,
            raw: Vec::with_capacity(CHUNK),
            start: 0,
            is_at_end: false,
            text: String::new(),
            odd: 0,
        }
    }

    /// The number of invalid places so far.
    pub(super) fn odd(&self) -> u64 {
        self.odd
    }

    /// The next piece of the text; empty at the end.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) fn next(&mut self) -> std::io::Result<&[u8]> {
        self.text.clear();
        while self.text.is_empty() && !(self.is_at_end && self.start == self.raw.len()) {
            self.fill()?;
            let encoding = match self.encoding {
                Some(encoding) => encoding,
                None => self.recognise(),
            };
            match encoding {
                Encoding::Utf8 => self.decode_utf8(),
                Encoding::Utf16(unit) => self.decode_utf16(unit),
            }
        }
        Ok(self.text.as_bytes())
    }

    /// Reads more if the buffer holds less than a character, or less than the detection needs.
    fn fill(&mut self) -> std::io::Result<()> {
        const LEAST: usize = 4;
        if self.raw.len() - self.start >= LEAST {
            return Ok(());
        }
        self.raw.drain(..self.start);
        self.start = 0;
        while !self.is_at_end && self.raw.len() < LEAST {
            let before = self.raw.len();
            self.raw.resize(before + CHUNK, 0);
            let read = match self.file.read(&mut self.raw[before..]) {
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {
                    self.raw.truncate(before);
                    continue;
                }
                Err(error) => return Err(error),
            };
            self.raw.truncate(before + read);
            self.is_at_end = read == 0;
        }
        Ok(())
    }

    fn recognise(&mut self) -> Encoding {
        let (little, big) = (
            Encoding::Utf16(u16::from_le_bytes),
            Encoding::Utf16(u16::from_be_bytes),
        );
        let (encoding, mark) = match self.raw[..] {
            [0xef, 0xbb, 0xbf, ..] => (Encoding::Utf8, 3),
            [0xff, 0xfe, ..] => (little, 2),
            [0xfe, 0xff, ..] => (big, 2),
            [1..=0xff, 0, 1..=0xff, 0, ..] => (little, 0),
            [0, 1..=0xff, 0, 1..=0xff, ..] => (big, 0),
            _ => (Encoding::Utf8, 0),
        };
        self.encoding = Some(encoding);
        self.start = mark;
        encoding
    }

    fn decode_utf8(&mut self) {
        let raw = &self.raw[self.start..];
        let Some(chunk) = raw.utf8_chunks().next() else {
            return;
        };
        let (valid, invalid) = (chunk.valid(), chunk.invalid());
        // An invalid place is a piece of its own, so that it is counted once.
        if !valid.is_empty() {
            self.text.push_str(valid);
            self.start += valid.len();
            return;
        }
        let may_go_on = !self.is_at_end
            && invalid.len() == raw.len()
            && std::str::from_utf8(invalid).is_err_and(|error| error.error_len().is_none());
        if !may_go_on {
            self.text.push_str(REPLACEMENT);
            self.odd += 1;
            self.start += invalid.len();
        }
    }

    fn decode_utf16(&mut self, unit: fn([u8; 2]) -> u16) {
        let raw = &self.raw[self.start..];
        let units = raw.as_chunks::<2>().0.iter().map(|pair| unit(*pair));
        let count = raw.len() / 2;
        let mut decoded = 0;
        for character in char::decode_utf16(units) {
            match character {
                Ok(character) => {
                    self.text.push(character);
                    decoded += character.len_utf16();
                }
                // The second surrogate may come with the next read.
                Err(_) if decoded + 1 == count && !self.is_at_end => break,
                Err(_) => {
                    if decoded == 0 {
                        self.text.push_str(REPLACEMENT);
                        self.odd += 1;
                        decoded = 1;
                    }
                    break;
                }
            }
        }
        self.start += decoded * 2;
        if self.is_at_end && self.raw.len() - self.start == 1 {
            self.odd += 1;
            self.start = self.raw.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns this many bytes at a time.
    struct Slowly<'a>(&'a [u8], usize);

    impl Read for Slowly<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let count = self.1.min(self.0.len()).min(buffer.len());
            let (now, later) = self.0.split_at(count);
            buffer[..count].copy_from_slice(now);
            self.0 = later;
            Ok(count)
        }
    }

    fn decode(bytes: &[u8], at_a_time: usize) -> (String, u64) {
        let mut decoded = Decoded::new(Slowly(bytes, at_a_time));
        let mut text = String::new();
        loop {
            let piece = decoded.next().expect("it can be read").to_vec();
            if piece.is_empty() {
                return (text, decoded.odd());
            }
            text.push_str(&String::from_utf8(piece).expect("UTF-8"));
        }
    }

    fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    fn check(bytes: &[u8], expect: &str, odd: u64) {
        for at_a_time in [1, 2, 3, 5, 1000] {
            assert_eq!(
                decode(bytes, at_a_time),
                (expect.to_owned(), odd),
                "{bytes:?}, {at_a_time} bytes at a time"
            );
        }
    }

    #[test]
    fn a_text_is_the_same_in_each_encoding_with_and_without_a_mark() {
        let text = "[\"é 東京 😀\"]";
        let marked = format!("\u{feff}{text}");
        check(text.as_bytes(), text, 0);
        check(marked.as_bytes(), text, 0);
        for bytes in [u16::to_le_bytes, u16::to_be_bytes] {
            check(&utf16(text, bytes), text, 0);
            check(&utf16(&marked, bytes), text, 0);
        }
        check(b"", "", 0);
        check(b"[", "[", 0);
        check("\u{feff}".as_bytes(), "", 0);
    }

    #[test]
    fn what_is_no_text_is_replaced_and_counted() {
        check(b"[\"a\xffb\"]", "[\"a\u{fffd}b\"]", 1);
        check(b"[\"a\xe6\x9d\"]", "[\"a\u{fffd}\"]", 1);
        check(b"[\"\xf0\x9f\x98", "[\"\u{fffd}", 1);
        let mut lone = utf16("[\"", u16::to_le_bytes);
        lone.extend([0x3d, 0xd8]);
        lone.extend(utf16("\"]", u16::to_le_bytes));
        check(&lone, "[\"\u{fffd}\"]", 1);
        let mut half = utf16("[]", u16::to_be_bytes);
        half.push(0);
        check(&half, "[]", 1);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_to_their_end(bytes: Vec<u8>, at_a_time in 1_usize..8) {
            let text = decode(&bytes, 1000);
            proptest::prop_assert_eq!(decode(&bytes, at_a_time), text);
        }
    }
}
