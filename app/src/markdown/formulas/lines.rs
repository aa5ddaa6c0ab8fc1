//! What a line begins with: the marker of a list item, a fence, a heading, a rule, the opener of a formula.

use crate::markdown::masks::break_tag;
use crate::markdown::parse::WHITE_SPACE;

pub(super) struct Marker {
    pub(super) length: usize,
    pub(super) is_footnote: bool,
    pub(super) may_interrupt: bool,
}

/// The marker of an item or a footnote that begins here.
pub(super) fn marker(line: &[u8]) -> Option<Marker> {
    let is_followed =
        |length: usize| matches!(line.get(length), None | Some(b' ' | b'\t' | b'\r' | b'\n'));
    match line.first()? {
        b'-' | b'+' | b'*' if is_followed(1) => Some(Marker {
            length: 1,
            is_footnote: false,
            may_interrupt: true,
        }),
        b'0'..=b'9' => {
            let digits = line.iter().take_while(|b| b.is_ascii_digit()).count();
            let is_marker = digits < 10
                && matches!(line.get(digits), Some(b'.' | b')'))
                && is_followed(digits + 1);
            is_marker.then(|| Marker {
                length: digits + 1,
                is_footnote: false,
                may_interrupt: line[..digits].iter().rev().skip(1).all(|b| *b == b'0')
                    && line[digits - 1] == b'1',
            })
        }
        b'[' if line.starts_with(b"[^") => {
            let label = &line[..line.len().min(1024)];
            let end = memchr::memchr(b']', label).filter(|end| *end > 2)?;
            (label.get(end + 1) == Some(&b':')).then_some(Marker {
                length: end + 2,
                is_footnote: true,
                may_interrupt: true,
            })
        }
        _ => None,
    }
}

pub(super) fn run_length(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| **byte == bytes[0]).count()
}

/// The fence of a block of code that begins here.
pub(super) fn opening_fence(line: &[u8]) -> Option<(u8, usize)> {
    let character = *line.first().filter(|byte| matches!(byte, b'`' | b'~'))?;
    let length = run_length(line);
    let is_fence = length >= 3 && !(character == b'`' && line[length..].contains(&b'`'));
    is_fence.then_some((character, length))
}

pub(super) fn is_heading(line: &[u8]) -> bool {
    let level = line.iter().take_while(|byte| **byte == b'#').count();
    let is_end = |next: &u8| *next == b'\r' || WHITE_SPACE.contains(&char::from(*next));
    (1..=6).contains(&level) && line.get(level).is_none_or(is_end)
}

/// Whether a line may be between the head and the body of a table.
pub(super) fn is_delimiter_row(line: &[u8]) -> bool {
    line.contains(&b'-')
        && line.iter().any(|byte| matches!(byte, b'|' | b':'))
        && line
            .iter()
            .all(|byte| matches!(byte, b'|' | b'-' | b':' | b' ' | b'\t' | b'\r'))
}

/// Whether a line is a thematic break or the underline of a heading.
pub(super) fn is_rule(line: &[u8]) -> bool {
    let mark = line[0];
    let is_of_rule = |byte: &u8| *byte == mark || matches!(byte, b' ' | b'\t' | b'\r');
    let has_enough = || line.iter().filter(|byte| **byte == mark).count() > 2;
    match mark {
        b'-' | b'*' | b'_' => line.iter().all(is_of_rule) && has_enough(),
        b'=' => line.trim_ascii_end().iter().all(|byte| *byte == mark),
        _ => false,
    }
}

/// Whether a line is the tag of a line break alone, which begins no block of HTML here.
pub(super) fn is_break(line: &[u8]) -> bool {
    break_tag(line).is_some_and(|length| line[length..].trim_ascii().is_empty())
}

/// Whether a display formula may begin here.
pub(super) fn is_display_opener(line: &[u8]) -> bool {
    line.starts_with(b"\\[") || line.starts_with(b"$$") && run_length(line) == 2
}
