//! The quotations, list items, fences and blocks of HTML that a line is in: formulas are looked for within them.

use super::lines::{is_break, is_rule, marker, opening_fence};
use super::{Container, Cursor, Scanner, VerbatimKind};
use crate::markdown::html_block;

impl Scanner<'_> {
    /// Ends the paragraph, and the containers that do not go on.
    pub(super) fn end_containers(&mut self, matched: usize, has_opened: bool) {
        self.end_paragraph();
        if !has_opened {
            self.containers.truncate(matched);
        }
    }

    /// How many of the open containers go on in a line, and where its content begins then.
    pub(super) fn matched(&self, start: usize, end: usize) -> (usize, Cursor) {
        let mut cursor = Cursor {
            at: start,
            column: 0,
        };
        let is_blank = self.skip_spaces(cursor, end).at == end;
        for (number, container) in self.containers.iter().enumerate() {
            let text = self.skip_spaces(cursor, end);
            match container {
                Container::Quote => {
                    let is_quoted = text.at < end
                        && self.bytes[text.at] == b'>'
                        && text.column - cursor.column < 4;
                    if !is_quoted {
                        return (number, cursor);
                    }
                    cursor = self.behind_quote(text, end);
                }
                Container::Indented(width) => {
                    let is_indented = text.column - cursor.column >= *width;
                    if !is_indented && !is_blank && text.at < end {
                        return (number, cursor);
                    }
                    cursor = self.skip_columns(cursor, *width);
                }
            }
        }
        (self.containers.len(), cursor)
    }

    /// Opens the containers that begin here; says whether there are any.
    pub(super) fn open_containers(
        &mut self,
        matched: usize,
        cursor: &mut Cursor,
        end: usize,
    ) -> bool {
        let mut has_opened = false;
        // A line that only goes on with a paragraph of containers that it does not go on with may begin any item.
        let is_in_paragraph = self.paragraph.is_some() && matched == self.containers.len();
        loop {
            let text = self.skip_spaces(*cursor, end);
            let indent = text.column - cursor.column;
            if indent >= 4 || text.at == end {
                return has_opened;
            }
            let interrupts = is_in_paragraph && !has_opened;
            let (container, behind) = if self.bytes[text.at] == b'>' {
                (Container::Quote, self.behind_quote(text, end))
            } else {
                let marker = marker(&self.bytes[text.at..end]);
                let Some(marker) = marker.filter(|_| !is_rule(&self.bytes[text.at..end])) else {
                    return has_opened;
                };
                let behind_marker = Cursor {
                    at: text.at + marker.length,
                    column: text.column + marker.length,
                };
                let content = self.skip_spaces(behind_marker, end);
                if interrupts && (content.at == end || !marker.may_interrupt) {
                    return has_opened;
                }
                if marker.is_footnote {
                    (Container::Indented(4), content)
                } else {
                    let spaces = content.column - behind_marker.column;
                    let spaces = if content.at == end || spaces > 4 {
                        1
                    } else {
                        spaces
                    };
                    let behind = if content.at == end {
                        content
                    } else {
                        self.skip_columns(behind_marker, spaces)
                    };
                    (Container::Indented(indent + marker.length + spaces), behind)
                }
            };
            if !has_opened {
                self.end_paragraph();
                self.containers.truncate(matched);
            }
            has_opened = true;
            self.containers.push(container);
            *cursor = behind;
        }
    }

    pub(super) fn skip_spaces(&self, mut cursor: Cursor, end: usize) -> Cursor {
        while cursor.at < end {
            match self.bytes[cursor.at] {
                b' ' | b'\r' => cursor.column += 1,
                b'\t' => cursor.column += 4 - cursor.column % 4,
                _ => break,
            }
            cursor.at += 1;
        }
        cursor
    }

    /// Skips so many columns of white space.
    pub(super) fn skip_columns(&self, mut cursor: Cursor, columns: usize) -> Cursor {
        let to = cursor.column + columns;
        while cursor.column < to {
            match self.bytes.get(cursor.at) {
                Some(b' ') => cursor.column += 1,
                Some(b'\t') => cursor.column += 4 - cursor.column % 4,
                _ => break,
            }
            cursor.at += 1;
        }
        cursor
    }

    /// Behind the `>` that is here, and the space that belongs to it.
    pub(super) fn behind_quote(&self, mark: Cursor, end: usize) -> Cursor {
        let behind = Cursor {
            at: mark.at + 1,
            column: mark.column + 1,
        };
        if behind.at < end && self.bytes[behind.at] == b' ' {
            return self.skip_columns(behind, 1);
        }
        behind
    }

    /// The kind of the verbatim block that begins here.
    pub(super) fn opens_verbatim(
        &self,
        at: usize,
        end: usize,
        has_opened: bool,
    ) -> Option<VerbatimKind> {
        let rest = &self.bytes[at..end];
        if let Some((character, length)) = opening_fence(rest) {
            return Some(VerbatimKind::Fence(character, length));
        }
        if rest[0] != b'<' || is_break(rest) {
            return None;
        }
        let interrupts = self.paragraph.is_some() && !has_opened;
        html_block::begin(&self.text[at..end], interrupts).map(VerbatimKind::Html)
    }

    /// Whether a verbatim block ends with its first line.
    pub(super) fn is_one_line(&self, kind: VerbatimKind, at: usize, end: usize) -> bool {
        matches!(kind, VerbatimKind::Html(html_block::End::With(last)) if self.text[at..end].contains(last))
    }

    pub(super) fn ends_verbatim(&self, kind: VerbatimKind, cursor: Cursor, end: usize) -> bool {
        let text = self.skip_spaces(cursor, end);
        match kind {
            VerbatimKind::Html(html_block::End::Blank) => text.at == end,
            VerbatimKind::Html(html_block::End::With(end_of_block)) => {
                self.text[cursor.at..end].contains(end_of_block)
            }
            VerbatimKind::Fence(character, length) => {
                let rest = self.bytes[text.at..end].trim_ascii_end();
                text.column - cursor.column < 4
                    && rest.len() >= length
                    && rest.iter().all(|byte| *byte == character)
            }
        }
    }
}
