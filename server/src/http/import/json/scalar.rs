//! Copies strings, numbers and literals, and repairs them where they are not valid.

use std::io::Read;

use super::output::LimitedJson;
use super::{Json, MAX_TOKEN, is_of_token};

impl<R: Read> Json<R> {
    /// The current string, up to a limit in bytes.
    pub(super) fn text(&mut self, limit: usize) -> std::io::Result<String> {
        let mut out = LimitedJson::new(limit);
        self.copy_text(&mut out)?;
        Ok(serde_json::from_slice(&out.bytes).unwrap_or_default())
    }

    pub(super) fn copy_text(&mut self, out: &mut LimitedJson) -> std::io::Result<()> {
        self.at += 1;
        out.put(b"\"");
        loop {
            if self.peek()?.is_none() {
                self.is_cut = true;
                break;
            }
            let rest = self.rest();
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
                // Other control characters are invisible, and some databases refuse them.
                Some(0..=0x1f) => self.pass_over(),
                // The end of a piece of the file.
                Some(_) => {}
            }
        }
        out.put(b"\"");
        Ok(())
    }

    /// Copies an escape. The backslash was read.
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

    /// Copies a character that is one `\u` escape or a pair of them.
    fn copy_unit(&mut self, unit: Option<u16>, out: &mut LimitedJson) -> std::io::Result<()> {
        let mut unit = unit;
        loop {
            match unit {
                Some(0) => {
                    self.odd += 1;
                    return Ok(());
                }
                Some(high @ 0xd800..=0xdbff) => {
                    // The second surrogate must follow as an escape.
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

    pub(super) fn copy_token(&mut self, out: &mut LimitedJson) -> std::io::Result<()> {
        let mut token = Vec::new();
        while let Some(byte) = self.peek()?.filter(|byte| is_of_token(*byte)) {
            if token.len() <= MAX_TOKEN {
                token.push(byte);
            }
            self.at += 1;
        }
        // A number at the end of the file may be truncated.
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
}
