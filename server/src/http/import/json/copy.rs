//! Copies values of a file into valid JSON.

use std::io::Read;

use super::output::{Copied, LimitedJson};
use super::{Json, MAX_DEPTH, ValueKind};

/// An object of which some fields were copied, and which is not read to its end.
pub(in crate::http::import) struct PartialObject {
    out: LimitedJson,
}

impl PartialObject {
    /// The bytes so far.
    pub(in crate::http::import) fn size(&self) -> usize {
        self.out.bytes.len()
    }

    pub(in crate::http::import) fn finish(mut self) -> Copied {
        self.out.put(b"}");
        self.out.finish()
    }
}

/// What happens to a field of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http::import) enum FieldUse {
    Copy,
    /// The number of its items is copied.
    Count,
    /// A list is read item by item by the caller. Any other value is skipped.
    Enter,
    Skip,
}

impl<R: Read> Json<R> {
    /// Skips the current value.
    pub(in crate::http::import) fn skip(&mut self) -> std::io::Result<()> {
        self.copy_into(&mut LimitedJson::new(0))
    }

    /// Copies the current value.
    pub(in crate::http::import) fn copy(&mut self, limit: usize) -> std::io::Result<Copied> {
        let mut out = LimitedJson::new(limit);
        self.copy_into(&mut out)?;
        Ok(out.finish())
    }

    /// Enters the current object to copy some of its fields. Any other value is copied as a whole.
    pub(in crate::http::import) fn begin_fields(
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

    /// Copies the wanted fields of the object that was entered last. Stops before a list to enter and returns
    /// `true`.
    pub(in crate::http::import) fn copy_fields(
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
            // A truncated value would be a different value.
            if self.is_cut {
                part.out.bytes.truncate(before);
            }
        }
        Ok(false)
    }

    /// The number of items of the current list. Any other value counts as 0.
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

    fn copy_into(&mut self, out: &mut LimitedJson) -> std::io::Result<()> {
        let depth_before = self.open.len();
        self.copy_or_enter(out, depth_before)?;
        let mut is_first = true;
        while self.open.len() > depth_before {
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
            self.copy_or_enter(out, depth_before)?;
            is_first = self.open.len() > depth;
        }
        Ok(())
    }

    /// Copies a scalar, or enters a list or an object.
    fn copy_or_enter(&mut self, out: &mut LimitedJson, depth_before: usize) -> std::io::Result<()> {
        match self.kind()? {
            ValueKind::Missing => out.put(b"null"),
            ValueKind::List | ValueKind::Object if self.open.len() - depth_before >= MAX_DEPTH => {
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

    /// Skips a list or an object by its brackets only, because its depth has no bound.
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
}
