//! Keeps what a JSON parser has to hold of a file small, whatever is in the file.
//!
//! A parser holds a string, and the raw text of one value, as a whole. This reader stands before it and
//! shortens what is beyond a limit, so that it stays JSON: the rest of a long string is left out, and so
//! are the rest of the lists and objects of an item that is too large, and what is nested too deep. So a
//! hostile item costs itself only. The parser tells where an item begins and ends.

use std::cell::RefCell;
use std::io::{BufRead, Error, ErrorKind, Read};
use std::rc::Rc;

/// How deep lists and objects are read. Nothing that is imported lies below the tenth level.
const MAX_DEPTH: u32 = 100;
/// The longest number.
const MAX_TOKEN: u32 = 1024;

/// The reader. It is read byte by byte, from a buffer, since the parser must not be behind it.
pub(super) struct Bounded<R> {
    file: R,
    state: Rc<RefCell<State>>,
}

/// What the parser uses to tell where items begin and end.
#[derive(Clone)]
pub(super) struct Items(Rc<RefCell<State>>);

struct State {
    /// The longest string and the largest item, in bytes of JSON.
    limit: u64,
    place: Place,
    depth: u32,
    /// The bytes of the string, or of the number, so far.
    length: u64,
    /// What comes next is the second half of a character that is written as two escapes.
    is_half: bool,
    item: Option<Item>,
    last: u8,
}

struct Item {
    /// The depth of what holds it.
    depth: u32,
    bytes: u64,
    is_cut: bool,
}

/// Where in the text the next byte stands.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Between,
    Token,
    String,
    /// After a backslash.
    Escape,
    /// In the four digits of an escape: how many are left, and whether it may be half a character.
    Digits {
        left: u8,
        first: [u8; 2],
    },
    /// In the rest of a string that is left out.
    Rest {
        is_escaped: bool,
    },
    /// In the rest of a list or an object that is left out, so many levels below it.
    Skip {
        below: u32,
        is_in_string: bool,
        is_escaped: bool,
    },
}

impl<R: BufRead> Bounded<R> {
    /// With a limit in bytes, which items and strings may have.
    pub(super) fn new(file: R, limit: u64) -> (Self, Items) {
        let state = Rc::new(RefCell::new(State {
            limit,
            place: Place::Between,
            depth: 0,
            length: 0,
            is_half: false,
            item: None,
            last: 0,
        }));
        let items = Items(Rc::clone(&state));
        (Self { file, state }, items)
    }
}

impl Items {
    /// An item begins. The parser has read nothing of it, or its first byte.
    pub(super) fn begin(&self) {
        let mut state = self.0.borrow_mut();
        let has_opened = matches!(state.last, b'[' | b'{') && state.place == Place::Between;
        state.item = Some(Item {
            depth: state.depth - u32::from(has_opened),
            bytes: 0,
            is_cut: false,
        });
    }

    /// The largest item, in bytes.
    pub(super) fn limit(&self) -> u64 {
        self.0.borrow().limit
    }

    /// The item has ended. Says whether something of it was left out.
    pub(super) fn end(&self) -> bool {
        let item = self.0.borrow_mut().item.take();
        item.is_some_and(|item| item.is_cut)
    }
}

impl<R: BufRead> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let Some(first) = buffer.first_mut() else {
            return Ok(0);
        };
        let mut state = self.state.borrow_mut();
        loop {
            let Some(byte) = self.file.fill_buf()?.first().copied() else {
                return Ok(0);
            };
            self.file.consume(1);
            if state.passes(byte)? {
                state.last = byte;
                *first = byte;
                return Ok(1);
            }
        }
    }
}

impl State {
    /// Takes the next byte, and says whether the parser gets it.
    fn passes(&mut self, byte: u8) -> std::io::Result<bool> {
        if let Some(item) = &mut self.item {
            item.bytes += 1;
        }
        match self.place {
            Place::Between => self.between(byte),
            Place::Token => match byte {
                b',' | b':' | b'[' | b']' | b'{' | b'}' | b'"' | b' ' | b'\t' | b'\n' | b'\r' => {
                    self.place = Place::Between;
                    self.between(byte)
                }
                _ => {
                    self.length += 1;
                    if self.length > u64::from(MAX_TOKEN) {
                        return Err(Error::new(
                            ErrorKind::InvalidData,
                            "a number without an end",
                        ));
                    }
                    Ok(true)
                }
            },
            Place::String => Ok(self.in_string(byte)),
            Place::Escape => {
                self.length += 1;
                self.place = match byte {
                    b'u' => Place::Digits {
                        left: 4,
                        first: [0; 2],
                    },
                    _ => Place::String,
                };
                Ok(true)
            }
            Place::Digits { left, mut first } => {
                self.length += 1;
                if left > 2 {
                    first[usize::from(4 - left)] = byte.to_ascii_lowercase();
                }
                self.place = if left > 1 {
                    Place::Digits {
                        left: left - 1,
                        first,
                    }
                } else {
                    self.is_half = matches!(first, [b'd', b'8'..=b'9' | b'a'..=b'b']);
                    Place::String
                };
                Ok(true)
            }
            Place::Rest { is_escaped } => {
                if !is_escaped && byte == b'"' {
                    self.place = Place::Between;
                    return Ok(true);
                }
                self.place = Place::Rest {
                    is_escaped: !is_escaped && byte == b'\\',
                };
                Ok(false)
            }
            Place::Skip {
                below,
                is_in_string,
                is_escaped,
            } => Ok(self.skip(byte, below, is_in_string, is_escaped)),
        }
    }

    fn between(&mut self, byte: u8) -> std::io::Result<bool> {
        let is_full = self.is_full();
        match byte {
            b'"' => {
                self.place = Place::String;
                self.length = 0;
                self.is_half = false;
            }
            b'[' | b'{' => {
                self.depth += 1;
                // What is nested deeper is none of what is imported, so it is not missed.
                if is_full || self.depth > MAX_DEPTH {
                    self.leave_out_rest(is_full);
                }
            }
            b']' | b'}' => self.depth = self.depth.saturating_sub(1),
            b',' if is_full && self.is_within_item() => {
                self.leave_out_rest(true);
                return Ok(false);
            }
            b' ' | b'\t' | b'\n' | b'\r' => return Ok(!is_full),
            b',' | b':' => {}
            _ => {
                self.place = Place::Token;
                self.length = 1;
            }
        }
        Ok(true)
    }

    fn is_within_item(&self) -> bool {
        self.item
            .as_ref()
            .is_some_and(|item| self.depth > item.depth)
    }

    fn is_full(&self) -> bool {
        self.item
            .as_ref()
            .is_some_and(|item| item.bytes > self.limit)
    }

    /// Leaves out the rest of the list or object.
    fn leave_out_rest(&mut self, is_missed: bool) {
        self.place = Place::Skip {
            below: 0,
            is_in_string: false,
            is_escaped: false,
        };
        if is_missed {
            self.mark_cut();
        }
    }

    fn mark_cut(&mut self) {
        if let Some(item) = &mut self.item {
            item.is_cut = true;
        }
    }

    fn in_string(&mut self, byte: u8) -> bool {
        let is_first_of_character = byte & 0xc0 != 0x80;
        let is_full = self.length >= self.limit || self.is_full();
        match byte {
            b'"' => self.place = Place::Between,
            _ if is_full && is_first_of_character && !self.is_half => {
                self.place = Place::Rest {
                    is_escaped: byte == b'\\',
                };
                self.mark_cut();
                return false;
            }
            b'\\' => self.place = Place::Escape,
            _ => self.is_half = false,
        }
        self.length += 1;
        true
    }

    fn skip(&mut self, byte: u8, below: u32, is_in_string: bool, is_escaped: bool) -> bool {
        let (mut below, mut in_string) = (below, is_in_string);
        match byte {
            _ if is_escaped => {}
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => below = below.saturating_add(1),
            b']' | b'}' if below == 0 => {
                self.place = Place::Between;
                self.depth = self.depth.saturating_sub(1);
                return true;
            }
            b']' | b'}' => below -= 1,
            _ => {}
        }
        self.place = Place::Skip {
            below,
            is_in_string: in_string,
            is_escaped: in_string && byte == b'\\' && !is_escaped,
        };
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    const LIMIT: u64 = 10_000;

    /// What a parser gets of this text, as one item.
    fn read(text: &str) -> (String, bool) {
        let (mut reader, items) = Bounded::new(text.as_bytes(), LIMIT);
        items.begin();
        let mut out = String::new();
        reader.read_to_string(&mut out).expect("it is text");
        (out, items.end())
    }

    #[test]
    fn what_is_within_the_limits_passes_as_it_is() {
        for text in [
            r#"{"a":["b\"]}",1.5e3,null, {"c\\":"\ud83d\ude00 \u00e9"}],"d":true}"#,
            "  [1 ,\n 2]\t",
            "\"é 東京\"",
            "not JSON ]]} at all",
            "",
        ] {
            assert_eq!(read(text), (text.to_owned(), false));
        }
    }

    #[test]
    fn what_is_too_large_is_shortened_and_stays_json() {
        let limit = LIMIT as usize;
        let check = |what: &str, text: String| {
            let (out, is_cut) = read(&text);
            assert!(is_cut, "{what}");
            assert!(out.len() <= limit + 200, "{what}: {}", out.len());
            let value: serde_json::Result<Value> = serde_json::from_str(&out);
            let end = out.chars().rev().take(30).collect::<String>();
            assert!(value.is_ok(), "{what}: {value:?} {end}");
        };
        let more = limit + 10;
        check("letters", format!("\"{}\"", "x".repeat(more)));
        check("characters", format!("\"a{}\"", "é".repeat(more)));
        check("escapes", format!("\"{}\"", r"\n".repeat(more)));
        check("quotes", format!("\"a{}\"", r#"\""#.repeat(more)));
        check("backslashes", format!("\"{}\"", r"\\".repeat(more)));
        check("pairs", format!("\"{}\"", r"\ud83d\ude00".repeat(more / 6)));
        check("numbers", format!("[{}1]", "1,".repeat(more)));
        check("strings", format!("[{}\"]\"]", "\"a]\",".repeat(more / 4)));
        check(
            "lists",
            format!("[{}[]]", "[[{\"a\":[]}]],".repeat(more / 9)),
        );
        check(
            "fields",
            format!("{{{}\"b\":1}}", "\"a\":{},".repeat(more / 5)),
        );
        check("spaces", format!("[1{},2]", " ".repeat(more)));
    }

    #[test]
    fn what_is_nested_too_deep_is_left_out() {
        let read = |text: &str| {
            let (mut reader, _) = Bounded::new(text.as_bytes(), LIMIT);
            let mut out = String::new();
            reader.read_to_string(&mut out).expect("it is text");
            out
        };
        let out = read(&format!(
            "[{}{},2]",
            "[".repeat(100_000),
            "]".repeat(100_000)
        ));
        let levels = MAX_DEPTH as usize;
        assert_eq!(
            out,
            format!("{}{},2]", "[".repeat(levels + 1), "]".repeat(levels))
        );
        assert!(read(&"[{\"a\":".repeat(100_000)).len() < 1000);
    }

    #[test]
    fn a_number_without_an_end_is_refused() {
        let text = "1".repeat(5000);
        let (mut reader, _) = Bounded::new(text.as_bytes(), LIMIT);
        assert!(reader.read_to_string(&mut String::new()).is_err());
    }

    #[test]
    fn only_the_item_that_is_too_large_is_shortened() {
        let text = format!("[[{}1],[2,3]]", "1,".repeat(LIMIT as usize));
        let (mut reader, items) = Bounded::new(text.as_bytes(), LIMIT);
        let mut byte = [0];
        let mut take = |until: &[u8]| {
            let mut seen = Vec::new();
            while !seen.ends_with(until) {
                assert_eq!(reader.read(&mut byte).expect("bytes"), 1);
                seen.push(byte[0]);
            }
            seen
        };
        take(b"[[");
        items.begin();
        take(b"]");
        assert!(items.end());
        take(b",[");
        items.begin();
        assert_eq!(take(b"]"), b"2,3]");
        assert!(!items.end());
        assert_eq!(take(b"]"), b"]");
    }

    proptest::proptest! {
        #[test]
        fn any_text_passes_as_it_is(text in "[\\[\\]{}\",: \\\\u0-9a-f\u{e9}]{0,80}") {
            proptest::prop_assert_eq!(read(&text), (text.clone(), false));
        }
    }
}
