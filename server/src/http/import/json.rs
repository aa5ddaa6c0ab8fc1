//! A lenient JSON reader, value by value. It never fails because of the content of a file.
//!
//! Only the requested value is in memory, up to a limit. Invalid input costs only itself: an invalid character,
//! a `NaN`, a missing comma, a truncated end. Skipped input is counted, and the output is always valid JSON.
//!
//! The caller enters a list or an object and then asks for its next item or key. A bracket that does not match
//! closes everything that must have ended before it.

mod copy;
mod output;
mod scalar;

use std::io::Read;

pub(super) use self::copy::{FieldUse, PartialObject};
pub(super) use self::output::Copied;
use super::decode::Decoded;

/// The deepest nesting of a copied value. Imported values are at most ten levels deep.
const MAX_DEPTH: usize = 100;
/// The longest number, in bytes.
const MAX_TOKEN: usize = 1024;
/// The longest key, in bytes.
const MAX_KEY: usize = 1024;

/// A reader of JSON.
pub(super) struct Json<R> {
    file: Decoded<R>,
    piece: Vec<u8>,
    /// Where the piece begins in the text, in bytes.
    piece_at: u64,
    at: usize,
    /// Where the text ends for the reader, in bytes.
    end: u64,
    /// The brackets of the open lists and objects.
    open: Vec<u8>,
    is_cut: bool,
    /// Whether a bracket closed more than it opened, or nothing.
    is_mismatched: bool,
    odd: u64,
}

/// The type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueKind {
    Object,
    List,
    /// A string, a number, or a literal.
    Scalar,
    /// A value is missing.
    Missing,
}

impl<R: Read> Json<R> {
    pub(super) fn new(file: R) -> Self {
        Self {
            file: Decoded::new(file),
            piece: Vec::new(),
            piece_at: 0,
            at: 0,
            end: u64::MAX,
            open: Vec::new(),
            is_cut: false,
            is_mismatched: false,
            odd: 0,
        }
    }

    /// Whether the file ended inside a value.
    pub(super) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Whether brackets did not match since reading began, or since [`Self::read_within`].
    pub(super) fn is_mismatched(&self) -> bool {
        self.is_mismatched
    }

    /// The number of invalid characters and values so far.
    pub(super) fn odd(&self) -> u64 {
        self.odd + self.file.odd()
    }

    /// The first byte that is no white space. The byte is not consumed.
    pub(super) fn first(&mut self) -> std::io::Result<Option<u8>> {
        loop {
            match self.peek()? {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                // A byte order mark, as in concatenated files.
                Some(0xef) if self.rest().starts_with(b"\xef\xbb\xbf") => self.at += 3,
                // Not valid in JSON, but some programs pad files with it.
                Some(0) => self.pass_over(),
                byte => return Ok(byte),
            }
        }
    }

    /// Goes to the next top-level value. Returns `false` at the end of the file.
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

    /// Goes forward to this place of the text, out of all that is open, and reads what is before `end` as if the
    /// file ended there.
    pub(super) fn read_within(&mut self, place: u64, end: u64) -> std::io::Result<()> {
        self.open.clear();
        self.is_cut = false;
        self.is_mismatched = false;
        self.end = end;
        while self.piece_at + (self.piece.len() as u64) <= place && self.fetch()? {}
        let at = usize::try_from(place.saturating_sub(self.piece_at)).unwrap_or(usize::MAX);
        self.at = at.clamp(self.at, self.piece.len());
        Ok(())
    }

    /// Passes over what is left of the text before its end. Says whether that was more than what is between
    /// two items and behind a list.
    pub(super) fn has_more(&mut self) -> std::io::Result<bool> {
        let mut has_more = false;
        while let Some(byte) = self.first()? {
            has_more |= !matches!(byte, b',' | b']' | b'}');
            self.at += 1;
        }
        Ok(has_more)
    }

    /// The type of the current value.
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

    /// Enters the current list or object.
    pub(super) fn enter(&mut self) -> std::io::Result<()> {
        if let Some(bracket) = self.first()? {
            self.at += 1;
            self.open.push(bracket);
        }
        Ok(())
    }

    /// Goes to the next item of the list that was entered last. Leaves the list at its end and returns `false`.
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

    /// Goes to the next value of the object that was entered last and returns its key. Leaves the object at its
    /// end.
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
                    // A value without a key.
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

    /// Records that the file ended inside a value. Returns `false`.
    fn is_cut_off(&mut self) -> bool {
        self.is_cut = true;
        self.open.pop();
        false
    }

    /// Closes the innermost list or object if the bracket matches, or if it matches an outer one. A bracket
    /// without any match is skipped.
    fn closes(&mut self, bracket: u8) -> bool {
        let opened = if bracket == b']' { b'[' } else { b'{' };
        self.is_mismatched |= self.open.last() != Some(&opened);
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

    /// Skips an invalid byte. The bytes of one character are counted once.
    fn pass_over(&mut self) {
        let is_first_of_character = self.piece[self.at] & 0xc0 != 0x80;
        self.odd += u64::from(is_first_of_character);
        self.at += 1;
    }

    fn peek(&mut self) -> std::io::Result<Option<u8>> {
        if self.at == self.piece.len() {
            self.fetch()?;
        }
        Ok(self.rest().first().copied())
    }

    /// Reads the next piece of the text; `false` at its end.
    fn fetch(&mut self) -> std::io::Result<bool> {
        let next = self.file.next()?;
        self.piece_at += self.piece.len() as u64;
        self.piece.clear();
        self.piece.extend_from_slice(next);
        self.at = 0;
        Ok(!self.piece.is_empty())
    }

    /// What is left of the piece.
    fn rest(&self) -> &[u8] {
        let visible = usize::try_from(self.end.saturating_sub(self.piece_at)).unwrap_or(usize::MAX);
        let visible = visible.clamp(self.at, self.piece.len());
        &self.piece[self.at..visible]
    }
}

/// Whether a byte can be part of a number or a literal.
fn is_of_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.' | b'_')
}

#[cfg(test)]
pub(super) mod tests;
