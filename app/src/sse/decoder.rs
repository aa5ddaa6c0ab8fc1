//! The decoder: bytes to events.
//!
//! Bytes are split into lines first, and a value is decoded as UTF-8 as a whole, so a chunk border never breaks a
//! character. Each byte is scanned for line ends once, whatever the chunks. An event that is within one chunk, as almost
//! all are, is passed on from the chunk: its data is neither copied nor allocated. Only data that spans chunks is
//! buffered, in one buffer that is reused.

use std::borrow::Cow;

use memchr::memchr2;
use thiserror::Error;

use super::{Event, Item};

/// The fields of an event. Other fields are ignored.
const FIELDS: [&str; 4] = ["data", "id", "event", "retry"];

/// The most bytes before a value: the longest name, a colon, a space.
const LONGEST_HEAD: usize = "event: ".len();

/// The most bytes of a comment, where comments are wanted. Longer comments are ignored.
const LONGEST_COMMENT: usize = 1024;

/// The byte-order mark, which is allowed at the beginning of a stream only.
const BOM: &[u8] = "\u{feff}".as_bytes();

/// An event of the stream is larger than the limit of the decoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an event is larger than {limit} bytes")]
pub struct TooLarge {
    /// The limit in bytes.
    pub limit: usize,
}

/// Decodes a stream of bytes into events. One decoder reads one stream.
///
/// An event ends with a blank line. An incomplete event at the end of the stream is ignored, so the decoder has no
/// method for the end.
#[derive(Debug, Clone)]
pub struct Decoder {
    limit: usize,
    /// Whether comments are passed on, too.
    with_comments: bool,
    /// Whether the limit was exceeded. The decoder cannot continue after that.
    failed: bool,
    /// How many bytes of a byte-order mark were read; all of them after its position.
    bom: usize,
    /// Whether the last byte was a carriage return. A line feed after it belongs to it.
    after_cr: bool,
    /// Whether the current line is a comment or an unknown field. Its bytes are discarded.
    skip_line: bool,
    /// The buffered part of the current event: its data, with a line feed after each line, then the current
    /// line so far.
    buffer: Vec<u8>,
    /// The length of the data in the buffer.
    data_len: usize,
    fields: Fields,
}

impl Decoder {
    /// A decoder at the beginning of a stream.
    ///
    /// `limit` is the most bytes that are buffered: the data of an event together with the value of the
    /// current line. Bytes are counted as received; an invalid one becomes U+FFFD,
    /// which has three. Comments and unknown fields are not buffered and have no limit.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            with_comments: false,
            failed: false,
            bom: 0,
            after_cr: false,
            skip_line: false,
            buffer: Vec::new(),
            data_len: 0,
            fields: Fields::default(),
        }
    }

    /// A decoder that also passes comments on, through [`Decoder::feed_items`]: where both ends are ours,
    /// comments contain transient events. A comment of more than a kibibyte is ignored.
    #[must_use]
    pub fn with_comments(limit: usize) -> Self {
        Self {
            with_comments: true,
            ..Self::new(limit)
        }
    }

    /// Decodes the next bytes, and calls back for each event that they complete.
    ///
    /// # Errors
    /// If the limit is exceeded, at this call and at every later one. Events before that were passed on.
    pub fn feed(
        &mut self,
        bytes: &[u8],
        mut on_event: impl FnMut(Event<'_>),
    ) -> Result<(), TooLarge> {
        self.feed_items(bytes, |item| {
            if let Item::Event(event) = item {
                on_event(event);
            }
        })
    }

    /// Decodes the next bytes, and calls back for each event and, where they are wanted, each comment that they
    /// complete.
    ///
    /// # Errors
    /// As [`Decoder::feed`].
    pub fn feed_items(
        &mut self,
        bytes: &[u8],
        mut on_item: impl FnMut(Item<'_>),
    ) -> Result<(), TooLarge> {
        if self.failed {
            return Err(TooLarge { limit: self.limit });
        }
        let mut rest = self.skip_bom(bytes);
        // The only line of data so far, while it is within these bytes. The buffer is empty then.
        let mut held: Option<&[u8]> = None;
        while let Some(line) = self.next_line(&mut rest) {
            if self.skip_line {
                self.skip_line = false;
            } else if self.buffer.len() > self.data_len {
                self.keep(line)?;
                self.end_kept_line(&mut on_item)?;
            } else if line.is_empty() {
                self.dispatch(held.take(), &mut on_item);
            } else if let Some(comment) = self.comment(line) {
                on_item(Item::Comment(&decode(comment)));
            } else if let Some((name, start)) = split_field(line) {
                let value = &line[start..];
                let data_len = held.map_or(self.data_len, |data| data.len() + 1);
                self.check_limit(data_len + value.len())?;
                match name {
                    "data" if data_len == 0 => held = Some(value),
                    "data" => {
                        self.keep_data(held.take());
                        self.keep_data(Some(value));
                    }
                    _ => self.fields.set(name, value),
                }
            }
        }
        self.keep_data(held);
        self.keep(rest)
    }

    /// The last event ID, which a client sends as `Last-Event-ID` when it reconnects. Empty at first.
    #[must_use]
    pub fn last_event_id(&self) -> &str {
        &self.fields.last_event_id
    }

    /// How long a client should wait before it reconnects, in milliseconds.
    #[must_use]
    pub fn retry(&self) -> Option<u64> {
        self.fields.retry
    }

    /// Skips a byte-order mark at the beginning of the stream, even in several chunks.
    fn skip_bom<'c>(&mut self, mut bytes: &'c [u8]) -> &'c [u8] {
        while self.bom < BOM.len()
            && let Some((&first, after)) = bytes.split_first()
        {
            if first == BOM[self.bom] {
                self.bom += 1;
                bytes = after;
            } else {
                // A partial mark was the beginning of an unknown field name.
                self.skip_line = self.bom > 0;
                self.bom = BOM.len();
            }
        }
        bytes
    }

    /// Splits the next line off, if its end is in the bytes. It ends with CR, LF or both.
    fn next_line<'c>(&mut self, rest: &mut &'c [u8]) -> Option<&'c [u8]> {
        if self.after_cr && !rest.is_empty() {
            self.after_cr = false;
            *rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        let end = memchr2(b'\n', b'\r', rest)?;
        let line = &rest[..end];
        self.after_cr = rest[end] == b'\r';
        *rest = &rest[end + 1..];
        Some(line)
    }

    /// A blank line: the event is complete.
    fn dispatch(&mut self, held: Option<&[u8]>, on_item: &mut impl FnMut(Item<'_>)) {
        // The line feed after each line of data distinguishes an empty line of data from no data.
        let data = held.or_else(|| self.buffer.strip_suffix(b"\n"));
        self.fields.last_event_id.clone_from(&self.fields.id);
        if let Some(data) = data {
            let name = if self.fields.name.is_empty() {
                "message"
            } else {
                &self.fields.name
            };
            on_item(Item::Event(Event {
                name,
                data: &decode(data),
                id: &self.fields.last_event_id,
            }));
        }
        self.fields.name.clear();
        self.buffer.clear();
        self.data_len = 0;
    }

    /// Buffers a line of data until its event is complete.
    fn keep_data(&mut self, line: Option<&[u8]>) {
        if let Some(line) = line {
            self.append(line);
            self.append(b"\n");
            self.data_len = self.buffer.len();
        }
    }

    /// Buffers a part of a line until its end arrives, unless the line cannot be a field.
    fn keep(&mut self, part: &[u8]) -> Result<(), TooLarge> {
        if self.skip_line {
            return Ok(());
        }
        let kept = self.buffer.len() - self.data_len;
        let (head, tail) = part.split_at(part.len().min(LONGEST_HEAD.saturating_sub(kept)));
        self.append(head);
        let line = &self.buffer[self.data_len..];
        match split_field(line) {
            Some((name, start)) if start > name.len() => {
                self.check_limit(self.buffer.len() - start + tail.len())?;
                self.append(tail);
            }
            // A wanted comment within the limit.
            _ if self.comment(line).is_some() && line.len() + tail.len() <= LONGEST_COMMENT => {
                self.append(tail);
            }
            // Without its colon, a name may still become a longer one.
            _ if FIELDS.iter().any(|name| name.as_bytes().starts_with(line)) => {}
            _ => {
                self.buffer.truncate(self.data_len);
                self.skip_line = true;
            }
        }
        Ok(())
    }

    /// Completes a line whose beginning is buffered.
    fn end_kept_line(&mut self, on_item: &mut impl FnMut(Item<'_>)) -> Result<(), TooLarge> {
        self.skip_line = false;
        if let Some(comment) = self.comment(&self.buffer[self.data_len..]) {
            on_item(Item::Comment(&decode(comment)));
        }
        if let Some((name, start)) = split_field(&self.buffer[self.data_len..]) {
            self.check_limit(self.buffer.len() - start)?;
            if name == "data" {
                self.buffer.drain(self.data_len..self.data_len + start);
                self.append(b"\n");
                self.data_len = self.buffer.len();
            } else {
                self.fields.set(name, &self.buffer[self.data_len + start..]);
            }
        }
        self.buffer.truncate(self.data_len);
        Ok(())
    }

    /// Appends to the buffer. A vector alone would double its capacity beyond the limit;
    /// here the last step grows to exactly the limit.
    fn append(&mut self, bytes: &[u8]) {
        let needed = self.buffer.len() + bytes.len();
        if needed > self.buffer.capacity() {
            let most = self.limit.saturating_add(LONGEST_HEAD);
            let capacity = if needed <= most / 4 {
                2 * needed
            } else {
                most.max(needed)
            };
            self.buffer.reserve_exact(capacity - self.buffer.len());
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The text of a comment, where comments are wanted and it is within the limit.
    fn comment<'l>(&self, line: &'l [u8]) -> Option<&'l [u8]> {
        let is_taken = self.with_comments && line.len() <= LONGEST_COMMENT;
        let comment = line.strip_prefix(b":").filter(|_| is_taken)?;
        Some(comment.strip_prefix(b" ").unwrap_or(comment))
    }

    fn check_limit(&mut self, len: usize) -> Result<(), TooLarge> {
        if len > self.limit {
            self.failed = true;
            self.buffer = Vec::new();
            return Err(TooLarge { limit: self.limit });
        }
        Ok(())
    }
}

/// The values of the fields other than data.
#[derive(Debug, Clone, Default)]
struct Fields {
    /// The type of the current event; empty if it has none.
    name: String,
    /// The newest ID. It becomes the last event ID at the next blank line.
    id: String,
    last_event_id: String,
    retry: Option<u64>,
}

impl Fields {
    fn set(&mut self, name: &str, value: &[u8]) {
        match name {
            "event" => set(&mut self.name, value),
            "id" if !value.contains(&0) => set(&mut self.id, value),
            "retry" if !value.is_empty() && value.iter().all(u8::is_ascii_digit) => {
                let milliseconds = value.iter().fold(0_u64, |sum, digit| {
                    sum.saturating_mul(10)
                        .saturating_add(u64::from(digit - b'0'))
                });
                self.retry = Some(milliseconds);
            }
            _ => {}
        }
    }
}

/// Replaces the content of a string, and reuses its allocation.
fn set(target: &mut String, value: &[u8]) {
    target.clear();
    target.push_str(&decode(value));
}

/// The name of a line's field, and the index of its value. `None` for comments and unknown fields.
fn split_field(line: &[u8]) -> Option<(&'static str, usize)> {
    FIELDS.into_iter().find_map(|name| {
        let gap = match line.strip_prefix(name.as_bytes())? {
            [] => 0,
            [b':', b' ', ..] => 2,
            [b':', ..] => 1,
            _ => return None,
        };
        Some((name, name.len() + gap))
    })
}

/// Decodes UTF-8, with U+FFFD for invalid bytes. `from_utf8` is much faster for valid bytes.
fn decode(bytes: &[u8]) -> Cow<'_, str> {
    str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn comments_are_passed_on_where_they_are_wanted_however_they_are_split() {
        let long = format!(": {}\n", "x".repeat(2000));
        let text = format!(": a b\ndata: 1\n:c\n\n{long}:\n: \u{e9}\r\n\r\n");
        for chunk_len in 1..text.len() {
            let mut decoder = Decoder::with_comments(8);
            let mut got = Vec::new();
            for chunk in text.as_bytes().chunks(chunk_len) {
                decoder
                    .feed_items(chunk, |item| {
                        got.push(match item {
                            Item::Comment(text) => format!("#{text}"),
                            Item::Event(event) => event.data.to_owned(),
                        });
                    })
                    .expect("within the limit");
            }
            assert_eq!(got, ["#a b", "#c", "1", "#", "#\u{e9}"], "{chunk_len}");
        }
        let mut decoder = Decoder::new(8);
        decoder
            .feed_items(b": a\n\n", |item| panic!("{item:?}"))
            .expect("within the limit");
    }

    /// Feeds the text with a limit of 8 bytes, whole and byte by byte: `expect` is the data of the
    /// events, and `TooLarge` at the end if the decoder fails.
    fn check(text: &str, expect: &[&str]) {
        for chunk_len in [1, text.len()] {
            let mut decoder = Decoder::new(8);
            let mut got: Vec<String> = Vec::new();
            let result = text
                .as_bytes()
                .chunks(chunk_len)
                .try_for_each(|chunk| decoder.feed(chunk, |event| got.push(event.data.into())));
            if result == Err(TooLarge { limit: 8 }) {
                assert_eq!(decoder.feed(b"", |_| ()), result, "it stays failed");
                got.push("TooLarge".into());
            }
            assert_eq!(got, expect, "{text:?} in chunks of {chunk_len}");
        }
    }

    #[test]
    fn data_may_be_as_large_as_the_limit_and_no_larger() {
        check(
            "data: 12345678\n\ndata:12345678\n\n",
            &["12345678", "12345678"],
        );
        check(
            "data: 1\n\ndata: 123456789\n\ndata: 2\n\n",
            &["1", "TooLarge"],
        );
        check("data: 1\n\ndata: 123456789", &["1", "TooLarge"]);
        check("data: 1234\ndata: 678\n\n", &["1234\n678"]);
        check("data: 1234\ndata: 6789\n\n", &["TooLarge"]);
        check(&"data\n".repeat(9), &[]);
        check(&"data\n".repeat(10), &["TooLarge"]);
    }

    #[test]
    fn other_fields_have_the_limit_too() {
        check(
            "id: 12345678\nevent: 12345678\nretry: 12345678\ndata: 1\n\n",
            &["1"],
        );
        check("id: 123456789", &["TooLarge"]);
        check("event: 123456789", &["TooLarge"]);
        check("retry: 123456789", &["TooLarge"]);
        check("data: 1234\nid: 6789\n\n", &["TooLarge"]);
    }

    #[test]
    fn discarded_lines_have_no_limit() {
        check(":123456789\ndata: 1\n\n", &["1"]);
        check(
            "dat: 123456789\ndatax: 12345678\nDATA: 12345678\ndata: 1\n\n",
            &["1"],
        );
        check(
            "data: 1234567\n: 123456789\nidentity: 123456789\n\n",
            &["1234567"],
        );
        check("\u{feff}\u{feff}data: 123456789\ndata: 1\n\n", &["1"]);
    }

    #[test]
    fn discarded_lines_take_no_memory() {
        for line in [":", "zzz: ", "database: ", "\u{feff}\u{feff}"] {
            let mut decoder = Decoder::new(1 << 20);
            decoder
                .feed(line.as_bytes(), |_| ())
                .expect("below the limit");
            for _ in 0..10_000 {
                decoder.feed(&[b'x'; 1000], |_| ()).expect("no limit");
            }
            assert!(
                decoder.buffer.capacity() < 20,
                "{line}: {}",
                decoder.buffer.capacity()
            );
            decoder
                .feed(b"\ndata: 1\n\n", |event| assert_eq!(event.data, "1"))
                .expect("goes on");
        }
    }

    /// If bytes were scanned or copied again, this test would take hours.
    #[test]
    fn a_large_line_in_small_chunks_is_scanned_once_and_moved_a_few_times() {
        const LEN: usize = 8 << 20;
        for chunk_len in [1, 16, 64] {
            let mut decoder = Decoder::new(LEN);
            let (mut moves, mut capacity, mut events) = (0, 0, 0);
            let mut feed = |bytes: &[u8]| {
                let on_event = |event: Event<'_>| events += usize::from(event.data.len() == LEN);
                decoder.feed(bytes, on_event).expect("just the limit");
                moves += usize::from(decoder.buffer.capacity() != capacity);
                capacity = decoder.buffer.capacity();
            };
            feed(b"data: ");
            let chunk = [b'x'; 64];
            for _ in 0..LEN / chunk_len {
                feed(&chunk[..chunk_len]);
            }
            feed(b"\n\n");
            assert_eq!(events, 1);
            assert!(
                moves < 30 && capacity < LEN + 20,
                "{moves} moves to {capacity} bytes"
            );
        }
    }

    #[test]
    fn data_within_one_chunk_is_not_copied() {
        let chunk = b"id: 1\nevent: e\ndata: abc\nretry: 5\n\r\ndata:\xe2\x9c\x93\r\n\r\n";
        let mut decoder = Decoder::new(100);
        let mut seen = 0;
        decoder
            .feed(chunk, |event| {
                assert!(chunk.as_ptr_range().contains(&event.data.as_ptr()));
                seen += 1;
            })
            .expect("below the limit");
        assert_eq!((seen, decoder.buffer.capacity()), (2, 0));
    }
}
