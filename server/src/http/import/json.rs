//! JSON of any origin, read value by value. It never fails for what is in the file.
//!
//! Nothing is held but the value that is asked for, up to a limit. What is no JSON costs itself: an odd
//! character, a `NaN`, a missing comma, the end of a file that is cut off. What was passed over is counted,
//! and what is given on is always JSON.
//!
//! Lists and objects are entered, then asked for their next item or key. A bracket that does not fit closes
//! all that must have ended before it.

use std::io::Read;

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

/// A value that was copied.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Copied {
    /// JSON, unless it is too large: then nothing.
    pub(super) json: String,
    /// It had more bytes than the limit.
    pub(super) is_too_large: bool,
}

/// Some fields of an object that is not yet read to its end.
pub(super) struct PartialObject {
    out: LimitedJson,
}

impl PartialObject {
    /// How many bytes it has.
    pub(super) fn size(&self) -> usize {
        self.out.bytes.len()
    }

    pub(super) fn finish(mut self) -> Copied {
        self.out.put(b"}");
        self.out.finish()
    }
}

/// Takes a copy up to its limit.
struct LimitedJson {
    bytes: Vec<u8>,
    limit: usize,
    is_full: bool,
}

impl LimitedJson {
    fn new(limit: usize) -> Self {
        Self {
            bytes: Vec::new(),
            limit,
            is_full: false,
        }
    }

    fn put(&mut self, bytes: &[u8]) {
        if self.bytes.len() + bytes.len() <= self.limit && !self.is_full {
            self.bytes.extend_from_slice(bytes);
        } else {
            self.is_full = true;
        }
    }

    fn put_character(&mut self, character: char) {
        match character {
            '"' => self.put(b"\\\""),
            '\\' => self.put(b"\\\\"),
            '\n' => self.put(b"\\n"),
            '\r' => self.put(b"\\r"),
            '\t' => self.put(b"\\t"),
            '\0'..='\x1f' => self.put(format!("\\u{:04x}", u32::from(character)).as_bytes()),
            _ => self.put(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
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

    /// Passes over the value here.
    pub(super) fn skip(&mut self) -> std::io::Result<()> {
        self.copy_into(&mut LimitedJson::new(0))
    }

    /// Copies the value here.
    pub(super) fn copy(&mut self, limit: usize) -> std::io::Result<Copied> {
        let mut out = LimitedJson::new(limit);
        self.copy_into(&mut out)?;
        Ok(out.finish())
    }

    /// Enters the object here, of which some fields are to be copied. What is no object is copied whole.
    pub(super) fn begin_fields(
        &mut self,
        limit: usize,
    ) -> std::io::Result<Result<PartialObject, Copied>> {
        if self.kind()? != ValueKind::Object {
            return Ok(Err(self.copy(limit)?));
        }
        self.enter()?;
        let mut out = LimitedJson::new(limit);
        out.put(b"{");
        Ok(Ok(PartialObject { out }))
    }

    /// Copies the wanted fields of the object that was entered last. Of fields that are only counted the
    /// number of items is copied. Before a list of what is nested it stops, and gives `true`.
    pub(super) fn copy_fields(
        &mut self,
        part: &mut PartialObject,
        wanted: impl Fn(&str) -> FieldUse,
    ) -> std::io::Result<bool> {
        while let Some(key) = self.next_key()? {
            let wanted = wanted(&key);
            if wanted == FieldUse::Enter && self.kind()? == ValueKind::List {
                return Ok(true);
            }
            if matches!(wanted, FieldUse::Skip | FieldUse::Enter) {
                self.skip()?;
                continue;
            }
            let before = part.out.bytes.len();
            if before > 1 {
                part.out.put(b",");
            }
            part.out.put_text(&key);
            part.out.put(b":");
            if wanted == FieldUse::Count {
                let count = self.count()?;
                part.out.put(count.to_string().as_bytes());
            } else {
                self.copy_into(&mut part.out)?;
            }
            // Half a value is another value.
            if self.is_cut {
                part.out.bytes.truncate(before);
            }
        }
        Ok(false)
    }

    /// How many items the value here has, if it is a list.
    fn count(&mut self) -> std::io::Result<u64> {
        if self.kind()? != ValueKind::List {
            self.skip()?;
            return Ok(0);
        }
        self.enter()?;
        let mut count = 0;
        while self.next_item()? {
            self.skip()?;
            count += 1;
        }
        Ok(count)
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

    fn copy_into(&mut self, out: &mut LimitedJson) -> std::io::Result<()> {
        let outside = self.open.len();
        self.copy_or_enter(out, outside)?;
        let mut is_first = true;
        while self.open.len() > outside {
            let depth = self.open.len();
            if self.open.last() == Some(&b'[') {
                if !self.next_item()? {
                    out.put(b"]");
                    is_first = false;
                    continue;
                }
                if !is_first {
                    out.put(b",");
                }
            } else {
                let Some(key) = self.next_key()? else {
                    out.put(b"}");
                    is_first = false;
                    continue;
                };
                if !is_first {
                    out.put(b",");
                }
                out.put_text(&key);
                out.put(b":");
            }
            self.copy_or_enter(out, outside)?;
            is_first = self.open.len() > depth;
        }
        Ok(())
    }

    /// Copies a scalar, or enters a list or an object.
    fn copy_or_enter(&mut self, out: &mut LimitedJson, outside: usize) -> std::io::Result<()> {
        match self.kind()? {
            ValueKind::Missing => out.put(b"null"),
            ValueKind::List | ValueKind::Object if self.open.len() - outside >= MAX_DEPTH => {
                out.put(b"null");
                self.skip_deep()?;
            }
            ValueKind::List => {
                out.put(b"[");
                self.enter()?;
            }
            ValueKind::Object => {
                out.put(b"{");
                self.enter()?;
            }
            ValueKind::Scalar if self.peek()? == Some(b'"') => self.copy_text(out)?,
            ValueKind::Scalar => self.copy_token(out)?,
        }
        Ok(())
    }

    /// Passes over a list or an object by its brackets alone, since its depth has no bound.
    fn skip_deep(&mut self) -> std::io::Result<()> {
        let mut below = 0_u64;
        while let Some(byte) = self.peek()? {
            match byte {
                b'"' => {
                    self.copy_text(&mut LimitedJson::new(0))?;
                    continue;
                }
                b'[' | b'{' => below += 1,
                b']' | b'}' => below -= 1,
                _ => {}
            }
            self.at += 1;
            if below == 0 {
                return Ok(());
            }
        }
        self.is_cut = true;
        Ok(())
    }

    /// The text here, up to a limit in bytes.
    fn text(&mut self, limit: usize) -> std::io::Result<String> {
        let mut out = LimitedJson::new(limit);
        self.copy_text(&mut out)?;
        Ok(serde_json::from_slice(&out.bytes).unwrap_or_default())
    }

    fn copy_text(&mut self, out: &mut LimitedJson) -> std::io::Result<()> {
        self.at += 1;
        out.put(b"\"");
        loop {
            if self.peek()?.is_none() {
                self.is_cut = true;
                break;
            }
            let rest = &self.piece[self.at..];
            let plain = rest
                .iter()
                .position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f))
                .unwrap_or(rest.len());
            out.put(&rest[..plain]);
            self.at += plain;
            match self.peek()? {
                None => {}
                Some(b'"') => {
                    self.at += 1;
                    break;
                }
                Some(b'\\') => {
                    self.at += 1;
                    self.copy_escape(out)?;
                }
                Some(byte @ (b'\n' | b'\r' | b'\t')) => {
                    self.at += 1;
                    out.put_character(char::from(byte));
                }
                // The others are seen nowhere, and databases do not take all of them.
                Some(0..=0x1f) => self.pass_over(),
                // A piece has ended.
                Some(_) => {}
            }
        }
        out.put(b"\"");
        Ok(())
    }

    /// What follows a backslash.
    fn copy_escape(&mut self, out: &mut LimitedJson) -> std::io::Result<()> {
        let Some(byte) = self.peek()? else {
            return Ok(());
        };
        match byte {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {
                self.at += 1;
                out.put(&[b'\\', byte]);
            }
            b'u' => {
                self.at += 1;
                let unit = self.digits()?;
                self.copy_unit(unit, out)?;
            }
            _ => {
                self.odd += 1;
                out.put(b"\\\\");
            }
        }
        Ok(())
    }

    /// A character that is written as one escape or two.
    fn copy_unit(&mut self, unit: Option<u16>, out: &mut LimitedJson) -> std::io::Result<()> {
        let mut unit = unit;
        loop {
            match unit {
                Some(0) => {
                    self.odd += 1;
                    return Ok(());
                }
                Some(high @ 0xd800..=0xdbff) => {
                    // The other half follows as an escape, or it is lost.
                    let next = if self.peek()? == Some(b'\\') {
                        self.at += 1;
                        if self.peek()? == Some(b'u') {
                            self.at += 1;
                            self.digits()?
                        } else {
                            self.odd += 1;
                            out.put_character(char::REPLACEMENT_CHARACTER);
                            return self.copy_escape(out);
                        }
                    } else {
                        self.odd += 1;
                        out.put_character(char::REPLACEMENT_CHARACTER);
                        return Ok(());
                    };
                    let pair = next.map(|low| char::decode_utf16([high, low]).next());
                    if let Some(Some(Ok(character))) = pair {
                        out.put_character(character);
                        return Ok(());
                    }
                    self.odd += 1;
                    out.put_character(char::REPLACEMENT_CHARACTER);
                    unit = next;
                }
                Some(unit) => {
                    let character = char::from_u32(u32::from(unit));
                    self.odd += u64::from(character.is_none());
                    out.put_character(character.unwrap_or(char::REPLACEMENT_CHARACTER));
                    return Ok(());
                }
                None => {
                    self.odd += 1;
                    out.put_character(char::REPLACEMENT_CHARACTER);
                    return Ok(());
                }
            }
        }
    }

    /// Four hexadecimal digits.
    fn digits(&mut self) -> std::io::Result<Option<u16>> {
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.peek()?.and_then(|byte| char::from(byte).to_digit(16));
            let Some(digit) = digit else {
                return Ok(None);
            };
            self.at += 1;
            unit = unit << 4 | digit as u16;
        }
        Ok(Some(unit))
    }

    fn copy_token(&mut self, out: &mut LimitedJson) -> std::io::Result<()> {
        let mut token = Vec::new();
        while let Some(byte) = self.peek()?.filter(|byte| is_of_token(*byte)) {
            if token.len() <= MAX_TOKEN {
                token.push(byte);
            }
            self.at += 1;
        }
        // A number without an end may have digits that were not seen.
        if self.peek()?.is_none() {
            self.is_cut = true;
        }
        let is_number = || {
            let number = serde_json::from_slice::<f64>(&token);
            token.len() <= MAX_TOKEN && number.is_ok_and(f64::is_finite)
        };
        if matches!(&token[..], b"true" | b"false" | b"null") || is_number() {
            out.put(&token);
        } else {
            self.odd += 1;
            out.put(b"null");
        }
        Ok(())
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

/// Whether a field of an object is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FieldUse {
    Copy,
    /// Only how many items it has.
    Count,
    /// It is read item by item, if it is a list.
    Enter,
    Skip,
}

impl LimitedJson {
    fn put_text(&mut self, text: &str) {
        self.put(b"\"");
        for character in text.chars() {
            self.put_character(character);
        }
        self.put(b"\"");
    }

    fn finish(self) -> Copied {
        let json = if self.is_full {
            "null".to_owned()
        } else {
            String::from_utf8(self.bytes).expect("the pieces of a text are text")
        };
        Copied {
            json,
            is_too_large: self.is_full,
        }
    }
}

/// Whether a byte may be part of a number or of a word.
fn is_of_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.' | b'_')
}

#[cfg(test)]
pub(super) mod tests;
