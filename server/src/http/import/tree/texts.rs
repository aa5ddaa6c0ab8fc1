//! The texts of a tree, in a temporary file until the order of the nodes is known.

use std::io::{Read, Seek, SeekFrom, Write};

use tempfile::SpooledTempFile;

use crate::http::import::file::ReadStop;

/// Texts up to this total size are kept in memory, in bytes.
const IN_MEMORY: usize = 1024 * 1024;
/// The separator of texts that are joined into one.
const BETWEEN: &str = "\n\n";

/// The place of a text in the file, in bytes.
#[derive(Clone, Copy)]
pub(super) struct TextSpan {
    pub(super) from: u64,
    pub(super) length: u64,
}

/// A temporary file of texts.
pub(super) struct Texts {
    file: SpooledTempFile,
    end: u64,
}

impl Default for Texts {
    fn default() -> Self {
        Self {
            file: SpooledTempFile::new(IN_MEMORY),
            end: 0,
        }
    }
}

impl Texts {
    /// Writes a text into the file, unless it is blank.
    pub(super) fn add(&mut self, text: &str) -> Result<Option<TextSpan>, ReadStop> {
        if text.trim().is_empty() {
            return Ok(None);
        }
        let from = self.end;
        let length = text.len() as u64;
        self.file.write_all(text.as_bytes())?;
        self.end += length;
        Ok(Some(TextSpan { from, length }))
    }

    /// Appends texts to a string, with an empty line between two.
    pub(super) fn append(
        &mut self,
        spans: impl Iterator<Item = TextSpan>,
        out: &mut String,
    ) -> Result<(), ReadStop> {
        for span in spans {
            if !out.is_empty() {
                out.push_str(BETWEEN);
            }
            self.file.seek(SeekFrom::Start(span.from))?;
            (&mut self.file).take(span.length).read_to_string(out)?;
        }
        Ok(())
    }
}
