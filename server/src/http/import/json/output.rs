//! JSON that is written up to a limit in bytes.

/// A value that was copied from a file.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::http::import) struct Copied {
    /// Valid JSON. `null` if the value is too large.
    pub(in crate::http::import) json: String,
    /// Whether the value has more bytes than the limit.
    pub(in crate::http::import) is_too_large: bool,
}

/// Collects JSON up to its limit.
pub(super) struct LimitedJson {
    pub(super) bytes: Vec<u8>,
    limit: usize,
    is_full: bool,
}

impl LimitedJson {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            bytes: Vec::new(),
            limit,
            is_full: false,
        }
    }

    pub(super) fn put(&mut self, bytes: &[u8]) {
        if self.bytes.len() + bytes.len() <= self.limit && !self.is_full {
            self.bytes.extend_from_slice(bytes);
        } else {
            self.is_full = true;
        }
    }

    pub(super) fn put_character(&mut self, character: char) {
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

    pub(super) fn put_text(&mut self, text: &str) {
        self.put(b"\"");
        for character in text.chars() {
            self.put_character(character);
        }
        self.put(b"\"");
    }

    pub(super) fn finish(self) -> Copied {
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
