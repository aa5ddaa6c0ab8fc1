//! What an unfinished text will most likely become: which of its last characters wait for the next
//! ones, and which characters would complete it.
//!
//! It is only for the eye. What is predicted is never kept: the next piece of text is read without it,
//! and the whole text in the end, too. So a wrong guess costs nothing but a moment.

use std::collections::HashMap;

use super::dollars;
use super::formulas::Pending;
use super::masks::PLAIN;
use super::node::{Kind, Node};
use super::open::{Open, open_of, prefix};
use super::parse::{Own, Parsed};

/// A bracket that is open for longer than this is no link.
const LONGEST_LABEL: usize = 300;

/// The longest address between `<` and `>` whose end is predicted, in bytes.
const LONGEST_ADDRESS: usize = 2048;

/// Links are shorter than this, as a rule, in bytes.
const USUAL_ADDRESS: usize = 256;

/// Where more marks than this are open within each other, none of them is predicted to be closed. Nobody writes so many,
/// and a browser takes the longer for each line of a text the deeper that stands.
const MOST_OPEN: usize = 8;

/// How to show a text whose end has not come.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Prediction {
    /// Where the text ends that is shown.
    pub(super) to: usize,
    /// What completes it.
    pub(super) completion: String,
}

/// Predicts the end of `source`, which was read as it is.
pub(super) fn predict(source: &str, own: Own, parsed: &Parsed, open: &[Open]) -> Prediction {
    if let Some(pending) = parsed.pending() {
        return in_display(source, own, pending);
    }
    let written = source;
    // What means nothing to the parser means nothing here.
    let source = parsed
        .masked
        .as_ref()
        .map_or(source, |masked| masked.text.as_str());
    let nodes = parsed.nodes.as_slice();
    let line_at = source[own.from..]
        .rfind('\n')
        .map_or(own.from, |end| own.from + end + 1);
    let line = source[line_at..].trim_start_matches([' ', '>']);
    let way = way_to_last(nodes);
    let leaf = way.last().copied();
    if let Some(node) = leaf
        && let Kind::CodeBlock { is_fenced, .. } = node.kind
    {
        return in_code(source, own, node, line_at, line, is_fenced);
    }
    if matches!(leaf.map(|leaf| &leaf.kind), Some(Kind::Raw)) {
        return whole(source);
    }
    if waits_for_more(line) {
        // The line break before it waits, too, so that nothing ends in an empty line.
        let to = source[..line_at].trim_end_matches('\n').len().max(own.from);
        return complete_line(source, written, own, to, &way, open);
    }
    complete_line(source, written, own, source.len(), &way, open)
}

/// Within a display formula, which is shown as one from its first character.
fn in_display(source: &str, own: Own, pending: &Pending) -> Prediction {
    let Pending {
        line,
        opener,
        content_end,
        closing,
    } = *pending;
    // Half of what closes it may be there.
    let half = &closing[..1];
    let content = source.get(opener + 2..content_end).unwrap_or_default();
    let content = content.strip_suffix(half).unwrap_or(content).trim_end();
    if !content.is_empty() {
        return Prediction {
            to: opener + 2 + content.len(),
            completion: closing.to_owned(),
        };
    }
    let before = &source[line..opener];
    let is_prefix = |c: char| {
        matches!(
            c,
            ' ' | '\t' | '>' | '-' | '+' | '*' | '.' | ')' | '0'..='9'
        )
    };
    let to = if before.trim_start_matches(is_prefix).is_empty() {
        source[..line].trim_end_matches('\n').len()
    } else {
        source[..opener].trim_end().len()
    };
    Prediction {
        to: to.max(own.from),
        completion: String::new(),
    }
}

fn whole(source: &str) -> Prediction {
    Prediction {
        to: source.len(),
        completion: String::new(),
    }
}

/// The nodes on the way to the last leaf block.
fn way_to_last(nodes: &[Node]) -> Vec<&Node> {
    let mut way = Vec::new();
    let mut level = nodes;
    while let Some(last) = level.last() {
        way.push(last);
        let is_block = matches!(
            last.kind,
            Kind::Quote(_)
                | Kind::List { .. }
                | Kind::Item(_)
                | Kind::Footnote(_)
                | Kind::Table(_)
                | Kind::TableHead
                | Kind::TableBody
                | Kind::Row
        );
        if !is_block {
            break;
        }
        level = match &last.kind {
            // Cells that the row does not have yet are empty.
            Kind::Row | Kind::TableHead => {
                let filled = last
                    .children
                    .iter()
                    .rposition(|cell| !cell.children.is_empty());
                &last.children[..filled.map_or(0, |cell| cell + 1)]
            }
            _ => &last.children,
        };
    }
    way
}

/// In a block of code, only a fence is held back until it is clear that it is one.
fn in_code(
    source: &str,
    own: Own,
    node: &Node,
    line_at: usize,
    line: &str,
    is_fenced: bool,
) -> Prediction {
    if !is_fenced {
        return whole(source);
    }
    let rest = &source[node.start.max(own.from).min(source.len())..];
    if node.start >= own.from && !rest.contains('\n') {
        // The language comes letter by letter, and is shown as a whole.
        let fence = rest.len() - rest.trim_start_matches(['`', '~']).len();
        return Prediction {
            to: node.start + fence,
            completion: String::new(),
        };
    }
    let is_fence =
        !line.is_empty() && (line.bytes().all(|b| b == b'`') || line.bytes().all(|b| b == b'~'));
    Prediction {
        to: if is_fence && node.end >= line_at {
            line_at
        } else {
            source.len()
        },
        completion: String::new(),
    }
}

/// Whether a line says too little yet: it may become a heading, an item, a rule, an underline, a table.
fn waits_for_more(line: &str) -> bool {
    let text = line.trim_end();
    if text.is_empty() {
        return false;
    }
    let is_run = |set: &str| text.chars().all(|c| set.contains(c));
    if is_run("-")
        || is_run("=")
        || is_run("*")
        || is_run("_")
        || is_run("#")
        || is_run("+")
        || is_run("|")
        || is_run("`")
        || is_run("~")
    {
        return true;
    }
    let after_digits = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = text.len() - after_digits.len();
    if (1..=9).contains(&digits) && matches!(after_digits, "" | "." | ")") {
        return true;
    }
    // A task's box, and a definition.
    let after_marker = after_digits
        .strip_prefix(['.', ')'])
        .filter(|_| digits > 0)
        .or_else(|| text.strip_prefix(['-', '+', '*']));
    if let Some(rest) = after_marker.and_then(|rest| rest.strip_prefix(' '))
        && matches!(rest.trim_start(), "[" | "[ ]" | "[x" | "[x]" | "[X" | "[X]")
    {
        return true;
    }
    text.starts_with('[') && text.contains("]:") && !text.starts_with("[^")
}

/// Completes what is open in the last block.
fn complete_line(
    source: &str,
    written: &str,
    own: Own,
    to: usize,
    way: &[&Node],
    open: &[Open],
) -> Prediction {
    let Some(leaf) = way.last() else {
        return Prediction {
            to,
            completion: String::new(),
        };
    };
    if let Some(table) = begun_table(source, own, to, leaf, way, open) {
        return table;
    }
    let is_cell = matches!(leaf.kind, Kind::Cell { .. });
    let takes_inlines =
        is_cell || (leaf.kind.is_paragraph() || matches!(leaf.kind, Kind::Heading(_)));
    let start = leaf.start.max(own.from);
    if !takes_inlines || start >= to || source[start..to].contains("\n\n") {
        return Prediction {
            to,
            completion: String::new(),
        };
    }
    if is_cell && source[..to].trim_end().ends_with('|') {
        return Prediction {
            to,
            completion: String::new(),
        };
    }
    // The last line of a cell is all that counts: a cell has one.
    let mut inline = Inline::new(&source[start..to], &written[start..to]);
    inline.scan();
    Prediction {
        to: start + inline.to,
        completion: inline.completion,
    }
}

/// A line that begins with `|` is the head of a table whose second line has not come.
fn begun_table(
    source: &str,
    own: Own,
    to: usize,
    leaf: &Node,
    way: &[&Node],
    open: &[Open],
) -> Option<Prediction> {
    if leaf.kind != Kind::Paragraph || leaf.start < own.from {
        return None;
    }
    let text = source.get(leaf.start..to)?.trim_end();
    let mut lines = text.rsplit('\n');
    let last = lines.next()?;
    let trimmed = last.trim_start_matches([' ', '>']);
    let is_delimiter =
        trimmed.len() > 1 && trimmed.chars().all(|c| matches!(c, '|' | '-' | ':' | ' '));
    let head = if is_delimiter { lines.next()? } else { last };
    let head_text = head.trim_start_matches([' ', '>']).trim_end();
    if !head_text.starts_with('|') || head_text.len() < 2 {
        return None;
    }
    let head_end = leaf.start + text.len() - if is_delimiter { last.len() + 1 } else { 0 };
    let closed = head_text.ends_with('|') && !head_text.ends_with("\\|");
    let pipes = head_text.replace("\\|", "").matches('|').count();
    let columns = if closed { pipes - 1 } else { pipes };
    let mut around: Vec<Open> = Vec::new();
    for (depth, node) in way[..way.len() - 1].iter().enumerate() {
        let part = if node.start < own.from {
            open.get(depth).cloned()
        } else {
            open_of(node, source, &around)
        };
        around.push(part?);
    }
    let head_end = source[..head_end].trim_end().len();
    let closing = if closed { "" } else { "|" };
    Some(Prediction {
        to: head_end,
        completion: format!("{closing}\n{}|{}", prefix(&around), "-|".repeat(columns)),
    })
}

/// Looks for what is open in the text of one block.
struct Inline<'a> {
    text: &'a str,
    /// The same as it was written.
    written: &'a str,
    /// Where the text ends that is shown.
    to: usize,
    completion: String,
    /// What is open, the last one innermost; at most [`MOST_OPEN`].
    open: Vec<Mark>,
    /// Whether more was open at a place.
    is_too_deep: bool,
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
    /// Where the next `>` or line break stands, once it was looked for; the end of the text if there is none.
    angle_end: Option<usize>,
    /// For each opening parenthesis, where the one that closes it on the same line stands. Only texts with
    /// long addresses need it.
    parentheses: Option<HashMap<usize, usize>>,
}

impl<'a> Inline<'a> {
    fn new(text: &'a str, written: &'a str) -> Self {
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

    fn scan(&mut self) {
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
        while at < bytes.len() {
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
    fn end_verbatim(&mut self, at: usize, content: usize, closing: &str) {
        if self.text[content..self.to].trim().is_empty() {
            // It has only begun.
            self.to = at;
            self.to = self.text[..self.to].trim_end().len();
        } else {
            self.completion.push_str(closing);
        }
        self.end_open();
    }

    /// Behind the formula that begins here. All dollars that are left are those of formulas, and what stands between
    /// them is masked.
    fn behind_formula(&self, at: usize) -> usize {
        let bytes = &self.text.as_bytes()[..self.to];
        let run = run_of(bytes, at).min(2);
        let close = memchr::memchr(b'$', &bytes[at + run..]);
        close
            .map_or(self.to, |close| at + run + close + run)
            .min(self.to)
    }

    /// A dollar that delimits no formula yet. Only the last one can come to open one.
    fn dollar(&mut self, at: usize) -> Option<usize> {
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

    fn angle(&mut self, at: usize) -> Option<usize> {
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
    fn run(&mut self, c: char, length: usize, at: usize) {
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

    fn close_bracket(&mut self, at: usize) -> Option<usize> {
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
    fn has_line_after(&mut self, at: usize) -> bool {
        let text = &self.text[..self.to];
        let find = || text.rfind('\n').map_or(0, |last| last + 1);
        *self.ahead.lines_end.get_or_insert_with(find) > at
    }

    /// Where the parenthesis is closed that opens at `at`, on the same line.
    fn closing_parenthesis(&mut self, at: usize) -> Option<usize> {
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
    fn end_open(&mut self) {
        if self.is_too_deep {
            return;
        }
        while let Some(mark) = self.open.pop() {
            match mark.kind {
                MarkKind::Run(c, count) => {
                    if self.text[mark.at..self.to.max(mark.at)].len() <= count {
                        // Nothing stands in it.
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

/// Whether what stands in brackets looks like the words of a link, rather than like an index or a box.
fn is_label(label: &str) -> bool {
    label.len() <= LONGEST_LABEL
        && !label.starts_with(char::is_whitespace)
        && !label.contains('\n')
        && label.contains(|c: char| !c.is_ascii_digit() && !matches!(c, ',' | ' '))
        && label != "x"
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

fn run_of(bytes: &[u8], at: usize) -> usize {
    bytes[at..].iter().take_while(|b| **b == bytes[at]).count()
}

fn closing_ticks(bytes: &[u8], mut at: usize, length: usize) -> Option<usize> {
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
