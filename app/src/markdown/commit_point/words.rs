//! Commit points within a long paragraph: words before which no emphasis, link, code or formula is open.

use super::super::node::{Kind, Node, Origin};
use super::super::parse::Own;
use super::super::parts;
use super::{CommitPoint, Limits, certain_end, may_define, point_at};

/// A word of a long paragraph, not far from its end, before which no mark is open.
pub(super) fn within_paragraph(
    node: &Node,
    source: &str,
    own: Own,
    limits: Limits,
) -> Option<CommitPoint> {
    let start = node.start.max(own.from);
    let length = node.end.saturating_sub(start);
    let is_new = node.start >= own.from;
    if length < limits.long || is_new && may_define(&source[start..]) {
        return None;
    }
    // The last words stay: they are what will be read again.
    let before = node.end - limits.long / 4;
    // Where the part ends must not be decided by where it was cut.
    let before = before.min(parts::earliest_end(parts::begin_of(node, own), limits.part));
    let before = before.min(certain_end(node, source, own.from));
    let written = &source[start..node.end.min(source.len())];
    let mut scan = Scan {
        // Which of two kinds of formulas holds the other is decided by the later delimiters.
        is_open: written.contains('$') && (written.contains("\\(") || written.contains("\\[")),
        // A paragraph begins with one, and so does what follows a cut.
        begins_word: true,
        ..Scan::default()
    };
    for (index, child) in node.children.iter().enumerate() {
        if child.start >= before {
            break;
        }
        scan.take(child, index, source, before);
    }
    let (found, is_forced) = match (scan.clean, scan.any) {
        (Some(clean), _) => (clean, false),
        (None, Some(any)) if length > limits.too_long => (any, true),
        _ => return None,
    };
    let (index, text_at, at) = found;
    Some(CommitPoint {
        is_forced,
        ..point_at(index, text_at, at, true)
    })
}

/// Looks for words before which no mark is open.
#[derive(Default)]
struct Scan {
    /// The last such word: the number of its node, and where it begins in the text and in the source.
    clean: Option<(usize, usize, usize)>,
    /// The last word of any kind, also one that begins with a mark.
    any: Option<(usize, usize, usize)>,
    /// Whether nothing but letters came since the last space.
    begins_word: bool,
    /// Brackets that are open.
    brackets: usize,
    /// Whether a mark is open for good.
    is_open: bool,
}

impl Scan {
    fn take(&mut self, node: &Node, index: usize, source: &str, before: usize) {
        let Kind::Text(text, origins) = &node.kind else {
            // Brackets, ticks and formulas bind tighter than emphasis: they may begin within it.
            self.is_open |= has_open_mark(&node.children);
            // What is no formula until its `\)` has come, and may still turn out to be code, a tag or an address.
            self.is_open |= matches!(&node.kind, Kind::Math { tex, .. }
                if source[node.start..].starts_with('\\') && tex.contains(['`', '<', '[', '$']));
            // An address that is a link by itself may have taken in marks that mean something else.
            if let (
                Kind::Link(_),
                [
                    Node {
                        kind: Kind::Text(text, _),
                        ..
                    },
                ],
            ) = (&node.kind, node.children.as_slice())
            {
                self.is_open |= text.contains(['*', '~']);
                self.is_open |= text.match_indices('_').any(|(at, _)| {
                    let before = text[..at].chars().next_back();
                    !before.is_some_and(char::is_alphanumeric)
                });
            }
            return;
        };
        for (number, origin) in origins.iter().enumerate() {
            let written = &text[origin.at..origin.at + origin.len];
            let is_escaped = is_escaped(origins, number, source);
            let mut previous = text[..origin.at].chars().next_back();
            let mut characters = written.char_indices().peekable();
            while let Some((at, c)) = characters.next() {
                let next = characters.peek().map(|(_, c)| *c);
                let next = next.or_else(|| {
                    let after = source.get(origin.source + origin.len..)?;
                    after.chars().next()
                });
                if is_escaped && at == 0 {
                    self.is_open |= matches!(c, '(' | '[');
                } else {
                    self.mark(c, previous, next);
                }
                if matches!(previous, Some(' ' | '\n')) {
                    self.begins_word = true;
                } else if matches!(c, ':' | '/' | '.' | '@' | '_' | '-' | '+') {
                    // It may be part of an address.
                    self.begins_word = false;
                }
                let is_word = match previous {
                    Some(' ' | '\n') => c.is_alphanumeric(),
                    // Scripts without spaces are cut between any two letters.
                    Some(before) => {
                        self.begins_word && is_without_spaces(c) && is_without_spaces(before)
                    }
                    None => false,
                };
                // Where all words begin with marks, or there are none at all.
                let may_begin = match previous {
                    Some(' ' | '\n') => !c.is_whitespace(),
                    Some('!' | '\\') | None => false,
                    Some(_) => matches!(c, '[' | '!'),
                };
                if (is_word || may_begin && !is_escaped) && origin.source + at < before {
                    let word = (index, origin.at + at, origin.source + at);
                    self.any = Some(word);
                    if is_word && !self.is_open && self.brackets == 0 {
                        self.clean = Some(word);
                    }
                }
                previous = Some(c);
            }
        }
    }

    fn mark(&mut self, c: char, previous: Option<char>, next: Option<char>) {
        let before_space = next.is_none_or(char::is_whitespace);
        match c {
            '`' => self.is_open = true,
            '<' => {
                self.is_open |=
                    next.is_none_or(|c| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?'))
            }
            '$' => self.is_open |= !before_space,
            '*' | '~' => self.is_open |= !before_space,
            '_' => self.is_open |= !before_space && !previous.is_some_and(char::is_alphanumeric),
            '[' => self.brackets += 1,
            ']' if self.brackets > 0 => {
                self.brackets -= 1;
                self.is_open |= matches!(next, Some('(' | '[' | ':'));
            }
            _ => {}
        }
    }
}

/// Whether it is a letter of a script that is written without spaces between words.
fn is_without_spaces(c: char) -> bool {
    c.is_alphabetic()
        && matches!(c,
            '\u{e00}'..='\u{eff}' // Thai, Lao
            | '\u{1000}'..='\u{109f}' | '\u{a9e0}'..='\u{a9ff}' | '\u{aa60}'..='\u{aa7f}' // Myanmar
            | '\u{1780}'..='\u{17ff}' // Khmer
            | '\u{1950}'..='\u{19df}' | '\u{1a20}'..='\u{1aaf}' // Tai scripts
            | '\u{1b00}'..='\u{1b7f}' | '\u{a980}'..='\u{a9df}' // Balinese, Javanese
            | '\u{3005}'..='\u{312f}' | '\u{ff66}'..='\u{ff9f}' // kana, Bopomofo
            | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' // Chinese characters
            | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}'
            | '\u{a000}'..='\u{a4cf}' // Yi
        )
}

fn is_escaped(origins: &[Origin], number: usize, source: &str) -> bool {
    let start = origins[number].source;
    let previous_end = number
        .checked_sub(1)
        .map_or(0, |before| origins[before].source + origins[before].len);
    start > previous_end && source.as_bytes()[start - 1] == b'\\'
}

fn has_open_mark(nodes: &[Node]) -> bool {
    nodes.iter().any(|node| match &node.kind {
        Kind::Text(text, _) => text.contains(['`', '[', '$', '<', '(']),
        Kind::Code | Kind::Math { .. } => false,
        _ => has_open_mark(&node.children),
    })
}
