//! Formulas on lines of their own, which may hold what begins blocks elsewhere.

use super::inline::tex;
use super::line_dollars::LineDollars;
use super::lines::{marker, run_length};
use super::{Container, Formula, LONGEST_DISPLAY, MOST_BLANK_LINES, Paragraph, Pending, Scanner};
use crate::markdown::dollars;

/// What the search for the end of a display formula found.
enum Display {
    /// The formula ends behind its closing delimiter.
    Closed {
        end: usize,
        lines: Vec<(usize, usize)>,
    },
    /// The text ends within it; its content ends here.
    Open(usize),
    /// It is no formula.
    None,
}

impl Scanner<'_> {
    /// A delimiter at the end of a line that opens a display formula.
    pub(super) fn last_opener(&self, text: usize, end: usize) -> Option<usize> {
        let line = self.bytes[text..end].trim_ascii_end();
        let opener = line.len().checked_sub(2).filter(|opener| *opener > 0)?;
        let (before, delimiter) = line.split_at(opener);
        let backslashes = before.iter().rev().take_while(|b| **b == b'\\').count();
        if backslashes % 2 == 1 || before.ends_with(b"$") {
            return None;
        }
        let opens = match delimiter {
            b"\\[" => true,
            // Every second one closes a formula.
            b"$$" => !self.dollars_before(text, text + opener).is_open(),
            _ => false,
        };
        opens.then_some(text + opener)
    }

    /// The dollars of a line whose text begins at `text`, counted up to `at`.
    fn dollars_before(&self, text: usize, at: usize) -> LineDollars {
        let own = self.own.from;
        if (text..=at).contains(&own) {
            self.own.dollars.with(&self.bytes[own..at])
        } else {
            LineDollars::default().with(&self.bytes[text..at])
        }
    }

    /// Takes the display formula that is opened here, if it is one; gives where the scan goes on.
    pub(super) fn display(
        &mut self,
        line: usize,
        opener: usize,
        begins_line: bool,
    ) -> Option<usize> {
        let (end, lines) = match self.end_of_display(opener) {
            Display::Closed { end, lines } => (end, lines),
            Display::Open(content_end) => {
                if self.found.pending.is_none() {
                    self.found.pending = Some(Pending {
                        line,
                        opener,
                        content_end,
                        closing: closing_of(self.bytes[opener]),
                    });
                }
                return None;
            }
            Display::None => return None,
        };
        let line_end = self.line_end(end);
        let is_alone = self.bytes[end..line_end].trim_ascii().is_empty();
        let is_block = begins_line && is_alone;
        if !is_block && lines.is_empty() {
            // It is found among the inline formulas.
            return None;
        }
        if is_block {
            self.end_paragraph();
        }
        let tex = tex(self.text, opener + 2..end - 2, &lines);
        if !is_block {
            let formulas = self.found.formulas.len();
            let paragraph = self.paragraph.get_or_insert_with(|| Paragraph {
                start: opener,
                end,
                lines: Vec::new(),
                formulas,
                is_row: false,
            });
            if begins_line && paragraph.start != opener {
                paragraph.lines.push((line, opener));
            }
            paragraph.end = line_end;
        }
        self.found.formulas.push(Formula {
            range: opener..end,
            tex,
            is_block,
        });
        Some(line_end + 1)
    }

    /// Looks for the end of the display formula that is opened here.
    fn end_of_display(&self, opener: usize) -> Display {
        let is_dollars = self.bytes[opener] == b'$';
        let mut lines = Vec::new();
        let mut from = opener + 2;
        let mut content_end = opener;
        let mut blank_lines = 0;
        let mut is_behind_blank = false;
        loop {
            let end = self.line_end(from);
            if end.min(from + LONGEST_DISPLAY) - opener > LONGEST_DISPLAY {
                return Display::None;
            }
            let line = &self.bytes[from..end];
            if let Some(closing) = closing_delimiter(line, is_dollars) {
                let has_content = content_end > opener || !line[..closing].trim_ascii().is_empty();
                let is_formula = has_content && !is_no_tex(&self.text[from..from + closing]);
                return match is_formula {
                    true => Display::Closed {
                        end: from + closing + 2,
                        lines,
                    },
                    false => Display::None,
                };
            }
            if is_no_tex(&self.text[from..end]) || !is_dollars && has_opener(line) {
                return Display::None;
            }
            let content = line.trim_ascii_end();
            let is_blank = content.is_empty();
            if !is_blank {
                content_end = from + content.len();
            } else if !lines.is_empty() {
                blank_lines += 1;
                if is_behind_blank || blank_lines > MOST_BLANK_LINES {
                    return Display::None;
                }
            }
            is_behind_blank = is_blank && !lines.is_empty();
            let start = end + 1;
            if start >= self.bytes.len() {
                return Display::Open(content_end);
            }
            match self.content_of(start, is_behind_blank) {
                Some(text) => {
                    lines.push((start, text));
                    from = text;
                }
                None => return Display::None,
            }
        }
    }

    /// Where the content of a line within a display formula begins; `None` if its containers end before.
    pub(super) fn content_of(&self, start: usize, is_behind_blank: bool) -> Option<usize> {
        let end = self.line_end(start);
        let (matched, cursor) = self.matched(start, end);
        let text = self.skip_spaces(cursor, end);
        if matched == self.containers.len() {
            return Some(cursor.at);
        }
        // The lines of an item may be indented less than its text is.
        let is_item = |container: &Container| matches!(container, Container::Indented(_));
        let goes_on = self.containers[matched..].iter().all(is_item)
            && !is_behind_blank
            && (text.at == end
                || self.bytes[text.at] != b'>' && marker(&self.bytes[text.at..end]).is_none());
        goes_on.then_some(text.at)
    }
}

pub(super) fn closing_of(first: u8) -> &'static str {
    if first == b'$' { "$$" } else { "\\]" }
}

/// Where in a line the delimiter is that closes a display formula.
pub(super) fn closing_delimiter(line: &[u8], is_dollars: bool) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr::memchr2(b'\\', b'$', line.get(at..)?)?;
        match line[at] {
            b'\\' if !is_dollars && line.get(at + 1) == Some(&b']') => return Some(at),
            b'\\' => at += 2,
            _ => {
                let run = run_length(&line[at..]);
                if is_dollars && run == 2 {
                    return Some(at);
                }
                at += run;
            }
        }
    }
}

/// Whether another display formula between brackets is opened in a line.
pub(super) fn has_opener(line: &[u8]) -> bool {
    let mut at = 0;
    while let Some(found) = line.get(at..).and_then(|rest| memchr::memchr(b'\\', rest)) {
        at += found;
        if line.get(at + 1) == Some(&b'[') {
            return true;
        }
        at += 2;
    }
    false
}

/// Whether a line is Markdown or prose rather than a line of a formula.
pub(super) fn is_no_tex(line: &str) -> bool {
    let text = line.trim_start();
    text.starts_with("```")
        || text.starts_with("~~~")
        || line.contains("**")
        || line.contains("](")
        || line.contains("://")
        || !line.contains('\\') && dollars::longest_prose(line) > 3
}
