//! What is open at the end of a block with text: emphasis, links, code spans, formulas.

use std::collections::HashMap;

use crate::markdown::dollars;
use crate::markdown::masks::PLAIN;

/// A bracket that is open for longer than this is no link.
const LONGEST_LABEL: usize = 300;

/// The longest address between `<` and `>` whose end is predicted, in bytes.
const LONGEST_ADDRESS: usize = 2048;

/// Links are shorter than this, as a rule, in bytes.
const USUAL_ADDRESS: usize = 256;

/// Where more marks than this are open within each other, none of them is predicted to be closed. Nobody writes so many,
/// and a browser takes the longer for each line of a text the deeper that is.
const MOST_OPEN: usize = 8;

/// The bytes at which the scan has something to decide.
const HAS_MEANING: [bool; 256] = {
    let mut found = [false; 256];
    let bytes = [b'\\', b'`', b'$', PLAIN, b'<', b'*', b'_', b'~', b'[', b']'];
    let mut index = 0;
    while index < bytes.len() {
        found[bytes[index] as usize] = true;
        index += 1;
    }
    found
};

/// Looks for what is open in the text of one block.
pub(super) struct Inline<'a> {
    pub(super) text: &'a str,
    /// The same as it was written.
    pub(super) written: &'a str,
    /// Where the text ends that is shown.
    pub(super) to: usize,
    pub(super) completion: String,
    /// What is open, the last one innermost; at most [`MOST_OPEN`].
    open: Vec<Mark>,
    /// Whether more was open at a place.
    pub(super) is_too_deep: bool,
    /// Searches whose results hold for later places, too. Each part of the text is searched once.
    ahead: Ahead,
}

struct Mark {
    kind: MarkKind,
    at: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum MarkKind {
    /// Emphasis: the character and how many.
    Run(char, usize),
    /// The beginning of a link.
    Bracket,
}

/// What was found, or not found, further on in the text.
#[derive(Default)]
struct Ahead {
    /// Behind the last line break.
    lines_end: Option<usize>,
    /// Where the next `>` or line break is, once it was looked for; the end of the text if there is none.
    angle_end: Option<usize>,
    /// For each opening parenthesis, where the one that closes it on the same line is. Only texts with
    /// long addresses need it.
    parentheses: Option<HashMap<usize, usize>>,
}

impl<'a> Inline<'a> {
    pub(super) fn new(text: &'a str, written: &'a str) -> Self {
        Self {
            text,
            written,
            to: text.len(),
            completion: String::new(),
            open: Vec::new(),
            is_too_deep: false,
            ahead: Ahead::default(),
        }
    }

    pub(super) fn scan(&mut self) {
        // What closes something, or a part of it, is shown when the next character has come; until then
        // what it closes is completed all the same.
        let shown = self.text.trim_end();
        let kept = without_half_break(shown);
        let kept = kept.trim_end_matches(['*', '_', '~', '`']);
        // A tilde alone is masked. Another one may follow.
        let last = kept.len().saturating_sub(1);
        let kept = match self.written.get(last..kept.len()) {
            Some("~") => &kept[..last],
            _ => kept,
        };
        let is_closing_ticks = self.text[kept.len()..].contains('`');
        self.to = if kept.ends_with('\\') {
            kept.len() - 1
        } else {
            kept.len()
        };
        if self.to == 0 {
            return;
        }
        let text = &self.text[..self.to];
        let bytes = text.as_bytes();
        let mut at = 0;
        while let Some(plain) = bytes[at.min(bytes.len())..]
            .iter()
            .position(|byte| HAS_MEANING[usize::from(*byte)])
        {
            at += plain;
            let c = bytes[at];
            match c {
                b'\\' => {
                    if let Some(bracket @ (b'(' | b'[')) = bytes.get(at + 1) {
                        let closing = if *bracket == b'(' { "\\)" } else { "\\]" };
                        match text[at + 2..].find(closing) {
                            Some(end) => {
                                at += end + 4;
                                continue;
                            }
                            None => return self.end_verbatim(at, at + 2, closing),
                        }
                    }
                    at += 2;
                }
                b'`' => {
                    let run = run_of(bytes, at);
                    match closing_ticks(bytes, at + run, run) {
                        Some(end) => at = end,
                        None if is_closing_ticks || at + run < bytes.len() => {
                            return self.end_verbatim(at, at + run, &"`".repeat(run));
                        }
                        None => return self.end_verbatim(at, at + run, ""),
                    }
                }
                b'$' => at = self.behind_formula(at),
                PLAIN if self.written.as_bytes()[at] == b'$' => match self.dollar(at) {
                    Some(next) => at = next,
                    None => return,
                },
                b'<' => match self.angle(at) {
                    Some(next) => at = next,
                    None => return,
                },
                b'*' | b'_' | b'~' => {
                    let run = run_of(bytes, at);
                    self.run(char::from(c), run, at);
                    at += run;
                }
                b'[' => {
                    self.push(MarkKind::Bracket, at);
                    at += 1;
                }
                b']' => match self.close_bracket(at) {
                    Some(next) => at = next,
                    None => return,
                },
                _ => at += 1,
            }
        }
        self.end_open();
    }

    /// The text ends within something in which no mark counts.
    pub(super) fn end_verbatim(&mut self, at: usize, content: usize, closing: &str) {
        if self.text[content..self.to].trim().is_empty() {
            // It has only begun.
            self.to = at;
            self.to = self.text[..self.to].trim_end().len();
        } else {
            self.completion.push_str(closing);
        }
        self.end_open();
    }

    /// Behind the formula that begins here. All dollars that are left are those of formulas, and what is between
    /// them is masked.
    pub(super) fn behind_formula(&self, at: usize) -> usize {
        let bytes = &self.text.as_bytes()[..self.to];
        let run = run_of(bytes, at).min(2);
        let close = memchr::memchr(b'$', &bytes[at + run..]);
        close
            .map_or(self.to, |close| at + run + close + run)
            .min(self.to)
    }

    /// A dollar that delimits no formula yet. Only the last one can come to open one.
    pub(super) fn dollar(&mut self, at: usize) -> Option<usize> {
        let written = &self.written[..self.to];
        let run = run_of(written.as_bytes(), at);
        let content = &written[at + run..];
        let is_display = run == 2;
        let half = content.strip_suffix('$').filter(|_| is_display);
        if run > 2 || half.unwrap_or(content).contains('$') {
            return Some(at + run);
        }
        if content.is_empty() {
            self.end_verbatim(at, at + run, "");
            return None;
        }
        if is_display {
            if half.is_some() {
                self.to -= 1;
            }
            let content = &self.written[at + run..self.to];
            if !dollars::is_display(content) && !content.trim().is_empty() {
                return Some(at + run);
            }
            self.end_verbatim(at, at + run, "$$");
            return None;
        }
        let has_sign = content.contains(['\\', '^', '{', '=']);
        let before = written[..at].chars().next_back();
        let is_formula = has_sign
            && !content.starts_with(|c: char| c.is_ascii_digit())
            && !content.contains('\n')
            && dollars::is_formula(before, content.trim_end(), "");
        if is_formula {
            self.end_verbatim(at, at + 1, "$");
            return None;
        }
        Some(at + 1)
    }

    pub(super) fn angle(&mut self, at: usize) -> Option<usize> {
        let text = &self.text[..self.to];
        let end = match self.ahead.angle_end {
            Some(end) if end >= at => end,
            _ => text[at..].find(['>', '\n']).map_or(self.to, |end| at + end),
        };
        self.ahead.angle_end = Some(end);
        let rest = &text[at..];
        if end == self.to {
            let is_address = rest.starts_with("<http") || rest.starts_with("<mailto:");
            // A longer one is no address that anybody writes.
            if is_address
                && rest.len() <= LONGEST_ADDRESS
                && !rest.contains(' ')
                && rest.contains(':')
            {
                self.completion.push('>');
                self.end_open();
                return None;
            }
            return Some(at + 1);
        }
        let is_tag = rest[1..].starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
        Some(if is_tag && text[end..].starts_with('>') {
            end + 1
        } else {
            at + 1
        })
    }

    /// Notes what is opened, unless it is too deep to be shown as what it will become.
    fn push(&mut self, kind: MarkKind, at: usize) {
        if self.open.len() < MOST_OPEN {
            self.open.push(Mark { kind, at });
        } else {
            self.is_too_deep = true;
        }
    }

    /// A run of marks closes what it can and opens the rest, if anything follows it.
    pub(super) fn run(&mut self, c: char, length: usize, at: usize) {
        let before = self.text[..at].chars().next_back();
        let after = self.text[at + length..self.to].chars().next();
        let is_space = |c: Option<char>| c.is_none_or(char::is_whitespace);
        let is_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        let mut left = length;
        if !is_space(before) && !(c == '_' && is_word(after)) {
            while left > 0
                && let Some(index) = self
                    .open
                    .iter()
                    .rposition(|mark| matches!(mark.kind, MarkKind::Run(open, _) if open == c))
            {
                let MarkKind::Run(_, count) = self.open[index].kind else {
                    break;
                };
                self.open.truncate(index + 1);
                let closed = count.min(left);
                left -= closed;
                if closed == count {
                    self.open.pop();
                } else {
                    self.open[index].kind = MarkKind::Run(c, count - closed);
                }
            }
        }
        let may_open =
            !is_space(after) && !(c == '_' && is_word(before)) && !(c == '~' && left != 2);
        if left > 0 && may_open {
            self.push(MarkKind::Run(c, left), at);
        }
    }

    pub(super) fn close_bracket(&mut self, at: usize) -> Option<usize> {
        let Some(index) = self
            .open
            .iter()
            .rposition(|mark| mark.kind == MarkKind::Bracket)
        else {
            return Some(at + 1);
        };
        let opened = self.open[index].at;
        let label = &self.text[opened + 1..at];
        let rest = &self.text[at + 1..self.to];
        if rest.starts_with('(') {
            if let Some(closed) = self.closing_parenthesis(at + 1) {
                self.open.truncate(index);
                return Some(closed + 1);
            }
            if !self.has_line_after(at + 1) {
                self.open.truncate(index + 1);
                self.to = at;
                self.end_open();
                return None;
            }
        } else if rest.is_empty() && is_label(label) {
            self.open.truncate(index + 1);
            self.to = at;
            self.end_open();
            return None;
        } else if let Some(reference) = rest.strip_prefix('[')
            && !reference.contains([']', '\n'])
        {
            self.open.truncate(index + 1);
            self.to = at;
            self.end_open();
            return None;
        }
        self.open.remove(index);
        Some(at + 1)
    }

    /// Whether another line begins after `at`.
    pub(super) fn has_line_after(&mut self, at: usize) -> bool {
        let text = &self.text[..self.to];
        let find = || text.rfind('\n').map_or(0, |last| last + 1);
        *self.ahead.lines_end.get_or_insert_with(find) > at
    }

    /// Where the parenthesis is closed that opens at `at`, on the same line.
    pub(super) fn closing_parenthesis(&mut self, at: usize) -> Option<usize> {
        let text = &self.text[..self.to];
        let mut depth = 0_usize;
        for (offset, c) in text[at..].bytes().take(USUAL_ADDRESS).enumerate() {
            match c {
                b'(' => depth += 1,
                b')' if depth == 1 => return Some(at + offset),
                b')' => depth -= 1,
                b'\n' => return None,
                _ => {}
            }
        }
        if text.len() - at <= USUAL_ADDRESS {
            return None;
        }
        // A long address is looked up among those of the whole text, which is read once for all of them.
        let closing = self.ahead.parentheses.get_or_insert_with(|| {
            let mut open = Vec::new();
            let mut closing = HashMap::new();
            for (at, c) in text.bytes().enumerate() {
                match c {
                    b'(' => open.push(at),
                    b')' => {
                        if let Some(opened) = open.pop() {
                            closing.insert(opened, at);
                        }
                    }
                    b'\n' => open.clear(),
                    _ => {}
                }
            }
            closing
        });
        closing.get(&at).copied()
    }

    /// Closes what is open, from the inside out.
    pub(super) fn end_open(&mut self) {
        if self.is_too_deep {
            return;
        }
        while let Some(mark) = self.open.pop() {
            match mark.kind {
                MarkKind::Run(c, count) => {
                    if self.text[mark.at..self.to.max(mark.at)].len() <= count {
                        // Nothing is in it.
                        self.to = mark.at;
                    } else {
                        self.to = self.text[..self.to].trim_end().len().max(mark.at);
                        self.completion.extend(std::iter::repeat_n(c, count));
                    }
                }
                MarkKind::Bracket => {
                    let label = &self.text[mark.at + 1..self.to.max(mark.at + 1)];
                    if label.is_empty() || label.starts_with('^') {
                        if self.completion.is_empty() && label.len() < 40 {
                            self.to = mark.at;
                            if self.text[..self.to].ends_with('!') {
                                self.to -= 1;
                            }
                        }
                    } else if is_label(label) {
                        self.completion.push_str("](x)");
                    }
                }
            }
        }
    }
}

/// Whether what is in brackets looks like the words of a link, rather than like an index or a box.
pub(super) fn is_label(label: &str) -> bool {
    label.len() <= LONGEST_LABEL
        && !label.starts_with(char::is_whitespace)
        && !label.contains('\n')
        && label.contains(|c: char| !c.is_ascii_digit() && !matches!(c, ',' | ' '))
        && label != "x"
}

pub(super) fn run_of(bytes: &[u8], at: usize) -> usize {
    bytes[at..].iter().take_while(|b| **b == bytes[at]).count()
}

pub(super) fn closing_ticks(bytes: &[u8], mut at: usize, length: usize) -> Option<usize> {
    while at < bytes.len() {
        if bytes[at] == b'`' {
            let run = run_of(bytes, at);
            at += run;
            if run == length {
                return Some(at);
            }
        } else {
            at += 1;
        }
    }
    None
}

/// The text without the begin of a tag at its end that will most likely break the line.
fn without_half_break(text: &str) -> &str {
    let begin = text.len() - text.len().min(5);
    let at = memchr::memrchr(b'<', &text.as_bytes()[begin..]).map(|at| begin + at);
    match at {
        Some(at) if matches!(&text[at..], "<" | "<b" | "<br" | "<br/" | "<br /") => &text[..at],
        _ => text,
    }
}
