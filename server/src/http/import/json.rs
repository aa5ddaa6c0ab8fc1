//! JSON of any origin, read value by value. It never fails for what is in the file.
//!
//! Nothing is held but the value that is asked for, up to a limit. What is no JSON costs itself: an odd
//! character, a `NaN`, a missing comma, the end of a file that is cut off. What was passed over is counted,
//! and what is given on is always JSON.
//!
//! Lists and objects are entered, then asked for their next item or key. A bracket that does not fit closes
//! all that must have ended before it.

mod copy;
mod output;
mod scalar;

use std::io::Read;

pub(super) use self::copy::{FieldUse, PartialObject};
pub(super) use self::output::Copied;
use super::decode::Decoded;

/// How deep a value that is copied may be. Nothing that is imported lies below the tenth level.
const MAX_DEPTH: usize = 100;
/// The longest number, in bytes.
const MAX_TOKEN: usize = 1024;
/// The longest key, in bytes.
const MAX_KEY: usize = 1024;

/// A reader of JSON.
pub(super) struct Json<R> {
    file: Decoded<R>,
    piece: Vec<u8>,
    at: usize,
    /// The brackets of the lists and objects that were entered.
    open: Vec<u8>,
    is_cut: bool,
    odd: u64,
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueKind {
    Object,
    List,
    /// A text, a number, or one of the words.
    Scalar,
    /// There is none where one should be.
    Missing,
}

impl<R: Read> Json<R> {
    pub(super) fn new(file: R) -> Self {
        Self {
            file: Decoded::new(file),
            piece: Vec::new(),
            at: 0,
            open: Vec::new(),
            is_cut: false,
            odd: 0,
        }
    }

    /// Whether the file ended before what was open did.
    pub(super) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// How many characters and values could not be read so far.
    pub(super) fn odd(&self) -> u64 {
        self.odd + self.file.odd()
    }

    /// The first byte that is no space, without taking it.
    pub(super) fn first(&mut self) -> std::io::Result<Option<u8>> {
        loop {
            match self.peek()? {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                // A byte order mark, as where files were joined.
                Some(0xef) if self.piece[self.at..].starts_with(b"\xef\xbb\xbf") => self.at += 3,
                // Not a letter of any JSON, but some programs fill up files with it.
                Some(0) => self.pass_over(),
                byte => return Ok(byte),
            }
        }
    }

    /// Goes to the next value outside of all lists and objects, and says whether there is one.
    pub(super) fn next_document(&mut self) -> std::io::Result<bool> {
        self.open.clear();
        loop {
            match self.first()? {
                None => return Ok(false),
                Some(b'[' | b'{') => return Ok(true),
                Some(b',') => self.at += 1,
                Some(_) => self.pass_over(),
            }
        }
    }

    /// What the value here is.
    pub(super) fn kind(&mut self) -> std::io::Result<ValueKind> {
        loop {
            match self.first()? {
                None => {
                    self.is_cut = true;
                    return Ok(ValueKind::Missing);
                }
                Some(b',' | b']' | b'}') => return Ok(ValueKind::Missing),
                Some(b'[') => return Ok(ValueKind::List),
                Some(b'{') => return Ok(ValueKind::Object),
                Some(b'"') => return Ok(ValueKind::Scalar),
                Some(byte) if is_of_token(byte) => return Ok(ValueKind::Scalar),
                Some(_) => self.pass_over(),
            }
        }
    }

    /// Enters the list or the object here. The caller has seen that it is one.
    pub(super) fn enter(&mut self) -> std::io::Result<()> {
        if let Some(bracket) = self.first()? {
            self.at += 1;
            self.open.push(bracket);
        }
        Ok(())
    }

    /// Goes to the next item of the list that was entered last, and says whether there is one. At its end
    /// the list is left.
    pub(super) fn next_item(&mut self) -> std::io::Result<bool> {
        loop {
            let Some(byte) = self.first()? else {
                return Ok(self.is_cut_off());
            };
            match byte {
                b',' => self.at += 1,
                b']' | b'}' => {
                    if self.closes(byte) {
                        return Ok(false);
                    }
                }
                b'[' | b'{' | b'"' => return Ok(true),
                _ if is_of_token(byte) => return Ok(true),
                _ => self.pass_over(),
            }
        }
    }

    /// Goes to the value of the next key of the object that was entered last, and gives the key. At its end
    /// the object is left.
    pub(super) fn next_key(&mut self) -> std::io::Result<Option<String>> {
        loop {
            let Some(byte) = self.first()? else {
                self.is_cut_off();
                return Ok(None);
            };
            match byte {
                b',' => self.at += 1,
                b']' | b'}' => {
                    if self.closes(byte) {
                        return Ok(None);
                    }
                }
                b'"' => {
                    let key = self.text(MAX_KEY)?;
                    if self.first()? == Some(b':') {
                        self.at += 1;
                        return Ok(Some(key));
                    }
                    // A value that has lost its key.
                    self.odd += 1;
                }
                b'[' | b'{' => {
                    self.odd += 1;
                    self.skip()?;
                }
                _ => self.pass_over(),
            }
        }
    }

    /// The end of the file within something. Gives `false`, for there is nothing more.
    fn is_cut_off(&mut self) -> bool {
        self.is_cut = true;
        self.open.pop();
        false
    }

    /// Whether this bracket closes what is open, which is then left. A bracket that closes something
    /// further out stays for it; one that closes nothing is passed over.
    fn closes(&mut self, bracket: u8) -> bool {
        let opened = if bracket == b']' { b'[' } else { b'{' };
        match self.open.last() {
            Some(last) if *last == opened => {
                self.at += 1;
                self.open.pop();
                true
            }
            _ if self.open.contains(&opened) => {
                self.odd += 1;
                self.open.pop();
                true
            }
            _ => {
                self.pass_over();
                false
            }
        }
    }

    /// Passes over a byte that should not be here. Those of one character count once.
    fn pass_over(&mut self) {
        let is_first_of_character = self.piece[self.at] & 0xc0 != 0x80;
        self.odd += u64::from(is_first_of_character);
        self.at += 1;
    }

    fn peek(&mut self) -> std::io::Result<Option<u8>> {
        if self.at == self.piece.len() {
            let next = self.file.next()?;
            self.piece.clear();
            self.piece.extend_from_slice(next);
            self.at = 0;
        }
        Ok(self.piece.get(self.at).copied())
    }
}

/// Whether a byte may be part of a number or of a word.
fn is_of_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.' | b'_')
}

#[cfg(test)]
pub(super) mod tests;
