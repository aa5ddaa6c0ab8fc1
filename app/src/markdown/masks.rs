//! What the Markdown parser reads in place of a text: some characters are masked by others of the same length.
//!
//! Models write some things in other ways than CommonMark expects: formulas, prices, bold text between CJK characters,
//! ranges with a tilde, `<br>` on a line of its own. Each is masked so that the parser takes it for what it means.
//! A mask has as many bytes as what it stands for, so every offset stays, and all text is shown from the original.

use std::borrow::Cow;
use std::ops::Range;

use super::depth;
use super::emphasis;
use super::formulas::{self, Formula, Pending};
use super::parse::Own;

/// A letter to the parser.
const LETTER: u8 = 0x1f;

/// Punctuation to the parser that has no meaning in Markdown.
pub(super) const PLAIN: u8 = b'%';

/// The longest part of a text that the parser leaves out between two characters, in characters: prefixes of lines.
const LONGEST_GAP: usize = 300;

/// A masked text, and what was found in it on the way.
#[derive(Debug, Default)]
pub(super) struct Masked {
    /// The text as the parser reads it. It is as long as the original.
    pub(super) text: String,
    /// The formulas, in order.
    formulas: Vec<Formula>,
    /// Lines that are a line break alone, as the ranges of their tags.
    breaks: Vec<Range<usize>>,
    /// The first display formula that is not closed yet.
    pub(super) pending: Option<Pending>,
}

/// Masks a text; `None` if nothing in it has to be.
pub(super) fn masked(text: &str, own: Own) -> Option<Masked> {
    let deep = depth::masked(text, own);
    let read = deep.as_deref().unwrap_or(text);
    let mut masks = Vec::new();
    emphasis::find(read, &mut masks);
    let breaks = lines_of_breaks(read);
    let may_have_formulas = formulas::may_have_formulas(read);
    let found = if may_have_formulas {
        formulas::find(read, own)
    } else {
        formulas::Found::default()
    };
    let has_dollar = may_have_formulas && memchr::memchr(b'$', read.as_bytes()).is_some();
    let is_same = deep.is_none() && masks.is_empty() && breaks.is_empty() && !has_dollar;
    if is_same && found.formulas.is_empty() && found.pending.is_none() {
        return None;
    }
    let mut bytes = read.as_bytes().to_vec();
    for (at, mask) in masks {
        bytes[at..at + mask.len()].copy_from_slice(mask.as_bytes());
    }
    for range in &breaks {
        bytes[range.clone()].fill(LETTER);
    }
    if has_dollar {
        for at in memchr::memchr_iter(b'$', read.as_bytes()) {
            bytes[at] = PLAIN;
        }
    }
    for formula in &found.formulas {
        let masked = &mut bytes[formula.range.clone()];
        masked.fill(LETTER);
        if formula.is_block {
            // A heading is one line, and nothing before or behind it can belong to its block.
            masked[..2].copy_from_slice(b"# ");
        } else {
            let is_single = read[formula.range.clone()].starts_with('$')
                && !read[formula.range.clone()].starts_with("$$");
            let length = if is_single { 1 } else { 2 };
            let end = masked.len() - length;
            masked[..length].fill(b'$');
            masked[end..].fill(b'$');
        }
    }
    Some(Masked {
        // Whole characters took the place of whole characters.
        text: String::from_utf8(bytes).ok()?,
        formulas: found.formulas,
        breaks,
        pending: found.pending,
    })
}

impl Masked {
    /// The formula that the parser found here.
    pub(super) fn formula(&self, range: &Range<usize>) -> Option<&Formula> {
        let index = self
            .formulas
            .partition_point(|formula| formula.range.start < range.start);
        let formula = self.formulas.get(index)?;
        (formula.range.start < range.end).then_some(formula)
    }

    /// The first line break within a range of the text.
    pub(super) fn line_break(&self, range: &Range<usize>) -> Option<Range<usize>> {
        let index = self.breaks.partition_point(|tag| tag.start < range.start);
        let tag = self.breaks.get(index)?;
        (tag.end <= range.end).then(|| tag.clone())
    }

    /// What the parser made of a range of the text, with the characters of the original.
    pub(super) fn unmasked<'t>(
        &self,
        text: &'t str,
        original: &str,
        range: Range<usize>,
    ) -> Cow<'t, str> {
        let (Some(masked), Some(written)) =
            (self.text.get(range.clone()), original.get(range.clone()))
        else {
            return Cow::Borrowed(text);
        };
        if masked == written || text == written {
            return Cow::Borrowed(text);
        }
        if masked == text {
            return Cow::Owned(written.to_owned());
        }
        // The parser left out prefixes of lines and decoded entities: what it took is in the same order.
        let mut left = masked.char_indices().zip(written.char_indices());
        let mut unmasked = String::with_capacity(text.len());
        let mut later = left.clone();
        for c in text.chars() {
            let mut next = later.by_ref().take(LONGEST_GAP);
            match next.find(|((_, found), _)| *found == c) {
                Some((_, (_, original))) => {
                    unmasked.push(original);
                    left = later.clone();
                }
                None => {
                    unmasked.push(c);
                    later = left.clone();
                }
            }
        }
        Cow::Owned(unmasked)
    }
}

/// The tags of line breaks that are on lines of their own, where the parser would begin a block of HTML.
fn lines_of_breaks(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    for at in memchr::memchr_iter(b'<', bytes) {
        let Some(length) = break_tag(&bytes[at..]) else {
            continue;
        };
        let line_end =
            memchr::memchr2(b'\n', b'\r', &bytes[at..]).map_or(bytes.len(), |end| at + end);
        let is_of_prefix = |byte: &&u8| {
            matches!(
                byte,
                b' ' | b'\t' | b'>' | b'-' | b'*' | b'+' | b'.' | b')' | b'0'..=b'9'
            )
        };
        let before = &bytes[..at];
        let prefix = before.iter().rev().take_while(is_of_prefix).count();
        let begins_line = matches!(before[..at - prefix].last(), None | Some(b'\n' | b'\r'));
        if begins_line && bytes[at + length..line_end].trim_ascii().is_empty() {
            found.push(at..at + length);
        }
    }
    found
}

/// The length of the tag of a line break that begins here.
pub(super) fn break_tag(bytes: &[u8]) -> Option<usize> {
    let name = bytes.get(..3)?;
    if !name.eq_ignore_ascii_case(b"<br") {
        return None;
    }
    let rest = &bytes[3..];
    let spaces = rest.iter().take_while(|byte| **byte == b' ').count();
    match rest.get(spaces..)? {
        [b'>', ..] => Some(3 + spaces + 1),
        [b'/', b'>', ..] => Some(3 + spaces + 2),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        let masked = masked(text, Own::whole(text));
        let masked = masked.map_or_else(|| text.to_owned(), |masked| masked.text);
        assert_eq!(masked.len(), text.len(), "{text:?}");
        masked.replace('\u{1f}', "?")
    }

    #[test]
    fn what_has_no_meaning_to_the_parser_is_masked() {
        assert_eq!(read("a $5 and $6"), "a %5 and %6");
        assert_eq!(read("a $x$"), "a $?$");
        assert_eq!(read("$$\nx\n$$"), "# ?????");
        assert_eq!(read("3~5, ~~a~~"), "3%5, ~~a~~");
        assert_eq!(read("a\n\n<br>\nb"), "a\n\n????\nb");
        assert_eq!(read("plain *text*"), "plain *text*");
    }

    #[test]
    fn what_was_masked_is_shown_as_it_was_written() {
        let original = "a > b - $c \u{1f}";
        let masked = Masked {
            text: "a \u{1f} b \u{1f} %c \u{1f}".to_owned(),
            ..Masked::default()
        };
        let check = |text: &str, range: Range<usize>, expect: &str| {
            assert_eq!(masked.unmasked(text, original, range), expect);
        };
        check(&masked.text, 0..masked.text.len(), original);
        check("\u{1f} %c", 6..10, "- $c");
        check("b\n%c", 2..10, "b\n$c");
        check("b", 4..5, "b");
    }
}
