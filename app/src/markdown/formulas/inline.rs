//! Formulas within the lines of a paragraph.

use std::ops::Range;

use super::display::closing_delimiter;
use super::lines::run_length;
use super::{Formula, LONGEST_INLINE, LONGEST_TICKS, Paragraph, Scanner, may_have_formulas};
use crate::markdown::dollars;

impl Scanner<'_> {
    /// Looks for inline formulas in the paragraph that ends here.
    pub(super) fn end_paragraph(&mut self) {
        let Some(paragraph) = self.paragraph.take() else {
            return;
        };
        let text = &self.text[paragraph.start..paragraph.end];
        if !may_have_formulas(text) {
            return;
        }
        let displays = self.found.formulas.split_off(paragraph.formulas);
        let mut from = paragraph.start;
        for display in displays {
            self.inline(&paragraph, from..display.range.start);
            from = display.range.end;
            self.found.formulas.push(display);
        }
        self.inline(&paragraph, from..paragraph.end);
    }

    /// Finds the inline formulas in a part of a paragraph.
    pub(super) fn inline(&mut self, paragraph: &Paragraph, range: Range<usize>) {
        let mut at = range.start;
        // The lengths of backtick runs that do not occur any more.
        let mut no_ticks = 0_u32;
        while let Some(found) = memchr::memchr3(b'$', b'\\', b'`', &self.bytes[at..range.end]) {
            at += found;
            let rest = &self.text[at..range.end];
            let formula = match rest.as_bytes() {
                [b'\\', b'(', ..] => closed_by(rest, "\\(", "\\)"),
                [b'\\', b'[', ..] => closed_by(rest, "\\[", "\\]"),
                [b'\\', ..] => {
                    at += 1 + rest[1..].chars().next().map_or(0, char::len_utf8);
                    at = at.min(range.end);
                    continue;
                }
                [b'`', ..] => {
                    let run = run_length(rest.as_bytes());
                    at += closing_ticks(rest.as_bytes(), run, &mut no_ticks).unwrap_or(run);
                    continue;
                }
                bytes => match run_length(bytes) {
                    1 => self.single_dollar(at, range.end),
                    2 => double_dollar(rest),
                    run => {
                        at += run;
                        continue;
                    }
                },
            };
            let is_row = paragraph.is_row && rest.starts_with('$');
            let formula = formula.filter(|length| !(is_row && rest[..*length].contains(" | ")));
            let Some(length) = formula else {
                at += if rest.starts_with("$$") || !rest.starts_with('$') {
                    2
                } else {
                    1
                };
                continue;
            };
            let delimiter = if rest.starts_with('$') && !rest.starts_with("$$") {
                1
            } else {
                2
            };
            let content = at + delimiter..at + length - delimiter;
            let first = paragraph
                .lines
                .partition_point(|(start, _)| *start <= content.start);
            let last = paragraph
                .lines
                .partition_point(|(start, _)| *start < content.end);
            self.found.formulas.push(Formula {
                range: at..at + length,
                tex: tex(self.text, content, &paragraph.lines[first..last]),
                is_block: false,
            });
            at += length;
        }
    }

    /// The length of the formula between single dollars that begins here.
    pub(super) fn single_dollar(&self, at: usize, end: usize) -> Option<usize> {
        let rest = &self.text[at..end];
        let before = self.text[..at].chars().next_back();
        // A text within the formula may hold formulas of its own; a few dollars are passed over for that.
        let mut from = 1;
        for _ in 0..8 {
            let close = next_dollar(rest, from)?;
            if run_length(&rest.as_bytes()[close..]) != 1 {
                return None;
            }
            let content = &rest[1..close];
            if braces_are_balanced(content) {
                let is_formula = dollars::is_formula(before, content, &rest[close + 1..]);
                return is_formula.then_some(close + 1);
            }
            if !content.contains("\\text") && !content.contains("\\mbox") {
                return None;
            }
            from = close + 1;
        }
        None
    }
}

/// The TeX in a range of the text, without the prefixes of the lines in it.
pub(super) fn tex(text: &str, range: Range<usize>, lines: &[(usize, usize)]) -> String {
    let mut tex = String::with_capacity(range.len());
    let mut from = range.start;
    for (start, content) in lines {
        tex.push_str(&text[from..*start]);
        from = (*content).min(range.end);
    }
    tex.push_str(&text[from.min(range.end)..range.end]);
    if tex.contains('\r') {
        tex = tex.replace('\r', "");
    }
    tex
}

/// The length of the formula that begins here with `open` and is ended by `close`.
pub(super) fn closed_by(rest: &str, open: &str, close: &str) -> Option<usize> {
    let bytes = rest.as_bytes();
    let mut at = open.len();
    loop {
        at += memchr::memchr(b'\\', bytes.get(at..)?)?;
        if bytes[at..].starts_with(close.as_bytes()) {
            let content = &rest[open.len()..at];
            return (!content.trim().is_empty()).then_some(at + close.len());
        }
        if bytes[at..].starts_with(open.as_bytes()) {
            return None;
        }
        at += 2;
    }
}

/// The length of the formula between double dollars that begins here.
pub(super) fn double_dollar(rest: &str) -> Option<usize> {
    let close = 2 + closing_delimiter(&rest.as_bytes()[2..], true)?;
    dollars::is_display(&rest[2..close]).then_some(close + 2)
}

/// Where the next dollar is that is not escaped.
pub(super) fn next_dollar(rest: &str, mut at: usize) -> Option<usize> {
    let bytes = &rest.as_bytes()[..rest.len().min(LONGEST_INLINE)];
    loop {
        at += memchr::memchr2(b'$', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'$' {
            return Some(at);
        }
        at += 2;
    }
}

pub(super) fn braces_are_balanced(tex: &str) -> bool {
    let mut depth = 0_usize;
    let mut bytes = tex.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => drop(bytes.next()),
            b'{' => depth += 1,
            b'}' => match depth.checked_sub(1) {
                Some(less) => depth = less,
                None => return false,
            },
            _ => {}
        }
    }
    depth == 0
}

/// The length of the code span that begins with a run of so many backticks. `missing` notes the lengths of runs that
/// were looked for in vain.
pub(super) fn closing_ticks(bytes: &[u8], length: usize, missing: &mut u32) -> Option<usize> {
    if length > LONGEST_TICKS || *missing & (1 << length) != 0 {
        return None;
    }
    let mut at = length;
    while let Some(found) = memchr::memchr(b'`', &bytes[at..]) {
        at += found;
        let run = run_length(&bytes[at..]);
        at += run;
        if run == length {
            return Some(at);
        }
    }
    *missing |= 1 << length;
    None
}
