//! Joins the parts of an answer into one text, with a blank line between two parts.

use std::borrow::Cow;

/// Joins the parts of a text. A part is identified by two numbers of the provider. Text without numbers belongs
/// to the part before it.
#[derive(Debug, Default)]
pub(in crate::providers) struct Parts {
    /// The part of the last text, if it had numbers.
    last: Option<(u64, u64)>,
    /// Whether any text came.
    has_text: bool,
}

impl Parts {
    /// Passes on a piece of this part, with a separator before it if the part is new.
    pub(in crate::providers) fn emit<'a>(
        &mut self,
        part: Option<(u64, u64)>,
        text: &'a str,
        mut out: impl FnMut(Cow<'a, str>),
    ) {
        if text.is_empty() {
            return;
        }
        self.has_text = true;
        if let Some(part) = part
            && self.last.replace(part).is_some_and(|last| last != part)
        {
            out(Cow::Borrowed("\n\n"));
        }
        out(Cow::Borrowed(text));
    }

    /// Whether any text came.
    pub(in crate::providers) fn is_empty(&self) -> bool {
        !self.has_text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blank_line_stands_between_two_parts_that_have_text() {
        let mut parts = Parts::default();
        let mut got = String::new();
        assert!(parts.is_empty());
        for (part, text) in [
            ((0, 0), ""),
            ((1, 0), "On"),
            ((1, 0), "e"),
            ((2, 0), ""),
            ((2, 1), "Two"),
        ] {
            parts.emit(Some(part), text, |piece| got.push_str(&piece));
        }
        parts.emit(None, "!", |piece| got.push_str(&piece));
        parts.emit(Some((2, 1)), "!", |piece| got.push_str(&piece));
        assert_eq!(got, "One\n\nTwo!!");
        assert!(!parts.is_empty());
    }
}
