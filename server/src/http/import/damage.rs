//! Finds where the conversations of a damaged file begin.
//!
//! One bracket or quote too much or too few moves everything behind it to another depth, or into a text. So brackets do
//! not tell where the next conversation begins. Its first keys do: the programs that write such files write all
//! conversations in the same way. Within a text the quotes of keys would be escaped, so a text never contains them,
//! and they are found wherever the brackets and quotes before them seem to lead.
//!
//! The file is read once for this. A file whose brackets match, or which is only cut off, has no use for it.

use std::io::Read;

use super::decode::Decoded;

/// The most keys that are compared. Two are not enough: a message, too, may begin with an id and a time.
const MOST_KEYS: usize = 3;
/// The longest key that is compared, in bytes.
const MAX_KEY: usize = 64;
/// The most bytes up to the end of those keys.
const MAX_LENGTH: usize = 64 * 1024;
/// The most beginnings that are followed at once. Any but the last is one within a text.
const MAX_FOLLOWED: usize = 8;
/// The most conversations that are found.
const MAX_HEADS: usize = 1_000_000;
/// The most open brackets whose kinds are known.
const MAX_OPEN: usize = 10_000;

/// The keys of an object in which a list of conversations may be.
pub(super) const LISTS: [&str; 4] = ["conversations", "chats", "data", "history"];

/// The first two keys of a conversation, for a file whose first conversation does not tell them.
const KNOWN: [(&str, &str); 7] = [
    ("id", "title"),
    ("title", "create_time"),
    ("uuid", "name"),
    ("conversationId", "endpoint"),
    ("conversationId", "title"),
    ("id", "user_id"),
    ("title", "mapping"),
];

/// Where the conversations of a file begin, in bytes of its text; empty if the file is not damaged, or if this is of
/// no use.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn conversations(file: impl Read) -> std::io::Result<Vec<u64>> {
    let mut text = Decoded::new(file);
    let mut scan = Scan::default();
    loop {
        let piece = text.next()?;
        if piece.is_empty() {
            return Ok(scan.end());
        }
        for byte in piece {
            scan.take(*byte);
        }
    }
}

#[derive(Default)]
struct Scan {
    at: u64,
    /// The brackets that are open. If there are more than `MAX_OPEN`, the number of the others.
    open: Vec<u8>,
    more_open: u64,
    is_in_text: bool,
    is_escaped: bool,
    /// The last text in an object that is the whole file.
    last_key: Vec<u8>,
    /// Whether a bracket does not match.
    is_mismatched: bool,
    followed: Vec<Beginning>,
    listed: Heads,
    top: Heads,
    known: Heads,
}

/// The beginnings with the same first keys.
#[derive(Default)]
struct Heads {
    keys: Vec<Vec<u8>>,
    places: Vec<u64>,
    /// Whether one does not stand where brackets and quotes say that a conversation may begin.
    is_any_misplaced: bool,
}

impl Heads {
    fn add(&mut self, beginning: &Beginning) {
        self.is_any_misplaced |= beginning.place == Place::Other;
        if self.places.len() < MAX_HEADS {
            self.places.push(beginning.at);
        }
    }

    /// Adds a beginning with these keys. The first one in such a place tells the keys.
    fn add_if_same(&mut self, beginning: &Beginning, place: Place) {
        if self.keys.is_empty() && beginning.place == place {
            self.keys.clone_from(&beginning.keys);
        }
        if self.keys == beginning.keys {
            self.add(beginning);
        }
    }
}

impl Scan {
    fn take(&mut self, byte: u8) {
        self.followed.retain_mut(|beginning| {
            let is_going_on = beginning.take(byte);
            if beginning.state == State::Done {
                self.listed.add_if_same(beginning, Place::InList);
                self.top.add_if_same(beginning, Place::Top);
                let is_known = |(first, second): &(&str, &str)| {
                    matches!(beginning.keys.as_slice(), [one, two, ..]
                        if one == first.as_bytes() && two == second.as_bytes())
                };
                if KNOWN.iter().any(is_known) {
                    self.known.add(beginning);
                }
            }
            is_going_on
        });
        if byte == b'{' {
            if self.followed.len() == MAX_FOLLOWED {
                self.followed.remove(0);
            }
            self.followed.push(Beginning::new(self.at, self.place()));
        }
        self.at += 1;
        if self.is_in_text {
            self.take_in_text(byte);
        } else {
            self.take_between(byte);
        }
    }

    fn take_in_text(&mut self, byte: u8) {
        if std::mem::take(&mut self.is_escaped) {
            return;
        }
        match byte {
            b'\\' => self.is_escaped = true,
            b'"' => self.is_in_text = false,
            _ if self.open.len() == 1 && self.last_key.len() < MAX_KEY => self.last_key.push(byte),
            _ => {}
        }
    }

    fn take_between(&mut self, byte: u8) {
        match byte {
            b'"' => {
                self.is_in_text = true;
                if self.open.len() == 1 {
                    self.last_key.clear();
                }
            }
            b'[' | b'{' if self.open.len() < MAX_OPEN => self.open.push(byte),
            b'[' | b'{' => self.more_open += 1,
            b']' | b'}' if self.more_open > 0 => self.more_open -= 1,
            b']' => self.is_mismatched |= self.open.pop() != Some(b'['),
            b'}' => self.is_mismatched |= self.open.pop() != Some(b'{'),
            _ => {}
        }
    }

    /// Which kind of place this is, by the brackets and quotes before it.
    fn place(&self) -> Place {
        let is_list = |open: &[u8]| !open.is_empty() && open.iter().all(|bracket| *bracket == b'[');
        match self.open.as_slice() {
            _ if self.is_in_text => Place::Other,
            [] => Place::Top,
            [b'{', lists @ ..] => {
                let is_named = LISTS.iter().any(|name| name.as_bytes() == self.last_key);
                if is_named && is_list(lists) {
                    Place::InList
                } else {
                    Place::Other
                }
            }
            lists if is_list(lists) => Place::InList,
            _ => Place::Other,
        }
    }

    fn end(self) -> Vec<u64> {
        let is_cut = self.is_in_text || !self.open.is_empty();
        let found = [self.listed, self.known, self.top];
        let best = found.into_iter().find(|heads| heads.places.len() > 1);
        // A file that is only cut off is read as far as it goes.
        best.filter(|heads| self.is_mismatched || is_cut && heads.is_any_misplaced)
            .map(|heads| heads.places)
            .unwrap_or_default()
    }
}

/// Where an object begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In a list of conversations.
    InList,
    /// Not within another value.
    Top,
    Other,
}

/// An object that may be a conversation, up to the keys that tell.
struct Beginning {
    at: u64,
    place: Place,
    state: State,
    /// Its first keys, up to `MOST_KEYS` and up to one whose value holds others.
    keys: Vec<Vec<u8>>,
    /// The bytes so far.
    length: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    BeforeKey,
    Key,
    BeforeColon,
    BeforeValue,
    Text,
    Escape,
    Word,
    BeforeComma,
    Done,
}

impl Beginning {
    fn new(at: u64, place: Place) -> Self {
        Self {
            at,
            place,
            state: State::BeforeKey,
            keys: Vec::new(),
            length: 0,
        }
    }

    /// Takes the next byte; says whether more has to be read.
    fn take(&mut self, byte: u8) -> bool {
        use State::*;
        let is_space = matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        let is_of_word = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
        self.length += 1;
        if self.length > MAX_LENGTH {
            return false;
        }
        self.state = match (self.state, byte) {
            (BeforeKey | BeforeColon | BeforeValue | BeforeComma, _) if is_space => self.state,
            (BeforeKey, b'"') => {
                self.keys.push(Vec::new());
                Key
            }
            (Key, b'"') if self.keys.len() == MOST_KEYS => Done,
            (Key, b'"') => BeforeColon,
            (Key, b'\\') => return false,
            (Key, _) => match self.keys.last_mut() {
                Some(key) if key.len() < MAX_KEY => {
                    key.push(byte);
                    Key
                }
                _ => return false,
            },
            (BeforeColon, b':') => BeforeValue,
            (BeforeValue, b'[' | b'{') | (Word | BeforeComma, b'}') => Done,
            (BeforeValue, b'"') => Text,
            (BeforeValue | Word, _) if is_of_word => Word,
            (Text, b'\\') => Escape,
            (Text, b'"') => BeforeComma,
            (Text | Escape, _) => Text,
            (Word | BeforeComma, b',') => BeforeKey,
            (Word, _) if is_space => BeforeComma,
            _ => return false,
        };
        self.state != Done
    }
}

#[cfg(test)]
mod tests;
