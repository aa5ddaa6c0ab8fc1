//! What is a formula and what is money, and formulas in the other delimiters that models write.

use pulldown_cmark::{Event, TagEnd};

use super::parse::parser;

/// Whether what stands between two dollars is no formula but a text between two prices.
pub(super) fn is_money(tex: &str, after: Option<char>) -> bool {
    // `$5 or a$6`: no formula ends right before a number.
    if after.is_some_and(|c| c.is_ascii_digit()) {
        return true;
    }
    let starts_with_amount = tex.starts_with(|c: char| c.is_ascii_digit());
    let is_formula = tex.contains(['\\', '^', '_', '=', '{', '<', '>']);
    let has_words = tex
        .split_whitespace()
        .any(|word| word.chars().filter(|c| c.is_alphabetic()).count() > 1);
    starts_with_amount && has_words && !is_formula
}

/// The text with `\(…\)` and `\[…\]` turned into `$$…$$`, which has the same length, so that all else
/// stays where it is; `None` if there is nothing to turn.
pub(super) fn with_dollars(text: &str) -> Option<String> {
    if !(text.contains("\\(") || text.contains("\\[")) {
        return None;
    }
    let pairs = pairs(text);
    if pairs.is_empty() {
        return None;
    }
    let mut bytes = text.as_bytes().to_vec();
    for (open, close) in pairs {
        for at in [open, close] {
            bytes[at] = b'$';
            bytes[at + 1] = b'$';
        }
    }
    // ASCII took the place of ASCII.
    String::from_utf8(bytes).ok()
}

/// Where the delimiters of formulas stand, as the parser sees them: outside of code, not escaped
/// themselves, and both in one block.
fn pairs(text: &str) -> Vec<(usize, usize)> {
    let bytes = text.as_bytes();
    let mut pairs = Vec::new();
    let mut open: Option<usize> = None;
    let mut last_end = 0;
    for (event, range) in parser(text, Box::new(|_| None)) {
        match event {
            Event::Text(_) => {
                let is_escaped =
                    range.start > 0 && last_end < range.start && bytes[range.start - 1] == b'\\';
                if is_escaped {
                    let at = range.start - 1;
                    match (bytes[range.start], open) {
                        (b'(' | b'[', None) => open = Some(at),
                        (closing @ (b')' | b']'), Some(from)) => {
                            let opening = if closing == b')' { b'(' } else { b'[' };
                            let tex = &text[from + 2..at];
                            if bytes[from + 1] == opening {
                                if !tex.is_empty() && !tex.contains('$') {
                                    pairs.push((from, at));
                                }
                                open = None;
                            }
                        }
                        _ => {}
                    }
                }
                last_end = range.end;
            }
            Event::Start(tag) if is_block(&tag.to_end()) => open = None,
            Event::End(tag) if is_block(&tag) => open = None,
            Event::Code(_) => last_end = range.end,
            _ => {}
        }
    }
    pairs
}

fn is_block(tag: &TagEnd) -> bool {
    !matches!(
        tag,
        TagEnd::Emphasis | TagEnd::Strong | TagEnd::Strikethrough | TagEnd::Link | TagEnd::Image
    )
}

#[cfg(test)]
mod tests {
    use super::super::node::{Kind, Node};
    use super::super::parse::parse_whole;

    fn collect(nodes: &[Node], found: &mut Vec<String>) {
        for node in nodes {
            if let Kind::Math {
                tex, is_display, ..
            } = &node.kind
            {
                found.push(format!(
                    "{}{tex}",
                    if *is_display { "display:" } else { "" }
                ));
            }
            collect(&node.children, found);
        }
    }

    #[track_caller]
    fn check(text: &str, expect: &[&str]) {
        let mut found = Vec::new();
        collect(&parse_whole(text), &mut found);
        assert_eq!(found, expect, "{text:?}");
    }

    #[test]
    fn formulas_stand_between_dollars_and_escaped_brackets() {
        check("so $x^2$ and $$y$$", &["x^2", "display:y"]);
        check(r"so \(x_1\) and \[y\]", &["x_1", "display:y"]);
        check("\\[\n\\frac{a}{b}\n\\]", &["display:\n\\frac{a}{b}\n"]);
        check(
            r"\(\mathbf{a}_{i}\) and \(\mathbf{b}_{j}\)",
            &[r"\mathbf{a}_{i}", r"\mathbf{b}_{j}"],
        );
        check(
            r"| \(a\) |
|---|
| \(b\) |",
            &["a", "b"],
        );
    }

    #[test]
    fn prices_are_no_formulas() {
        check("$4 and $5", &[]);
        check("it costs $4, or 5$ elsewhere", &[]);
        check("between $5 and a$6 more", &[]);
        check("$20 or €20", &[]);
        check("$2$ apples", &["2"]);
        check("$3x = 6$", &["3x = 6"]);
    }

    #[test]
    fn what_is_escaped_or_code_is_no_formula() {
        check(r"\\(x\\) and `\(y\)`", &[]);
        check("```\n\\(x\\)\n```", &[]);
        check("\\(x\n\ny\\)", &[]);
        check(r"\$x\$", &[]);
        check(r"a \( b", &[]);
    }
}
