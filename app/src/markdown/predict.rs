//! What an unfinished text will most likely become: which of its last characters wait for the next
//! ones, and which characters would complete it.
//!
//! It is only for the eye. What is predicted is never kept: the next piece of text is read without it,
//! and the whole text in the end, too. So a wrong guess costs nothing but a moment.

mod inline;

use self::inline::Inline;
use super::formulas::Pending;
use super::node::{Kind, Node};
use super::open::{Open, open_of, prefix};
use super::parse::{Own, Parsed};

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
