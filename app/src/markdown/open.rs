//! What is open at a place of a text, and the few lines that open the same again.
//!
//! The end of a text means the same after those lines as it does after all that really is before
//! it. So the parser reads the end alone, and what is before it is never read again. The lines open
//! each container anew and put a small heading into it: nothing that follows can continue a heading.
//! An item also gets a paragraph before its heading, since only that shows whether its list is loose.

use super::node::{Align, Kind, Node};

/// Something that is open, from the outside in: containers, then perhaps one block that takes lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Open {
    /// A quotation.
    Quote,
    /// A list, by the last character of its markers.
    List(char),
    /// An item: the last character of its marker, and how far its content is indented.
    Item(char, usize),
    /// The definition of a footnote, by its label.
    Footnote(String),
    /// A fenced block of code: the fence, and how far that is indented.
    Fence(String, usize),
    /// An indented block of code.
    Indented,
    /// Lines of HTML, by how they begin.
    Raw(&'static str),
    /// A table, by its columns.
    Table(Vec<Align>),
    /// The body of the table.
    TableBody,
    /// A paragraph.
    Paragraph,
    /// A later part of a long paragraph, or of a heading that began with `#`.
    Part { is_heading: bool },
}

/// The lines that open all this. If `is_mid_line`, what comes next continues the last of them.
pub(super) fn reopening_prefix(open: &[Open], is_mid_line: bool) -> String {
    let mut lines = String::new();
    let mut prefix = String::new();
    for (depth, part) in open.iter().enumerate() {
        match part {
            Open::Quote => {
                prefix.push_str("> ");
                line(&mut lines, &prefix, "#");
            }
            Open::List(marker) => {
                if depth + 1 == open.len() {
                    open_item(&mut lines, &mut prefix, *marker, 3);
                }
            }
            Open::Item(marker, width) => open_item(&mut lines, &mut prefix, *marker, *width),
            Open::Footnote(label) => {
                line(&mut lines, &prefix, &format!("[^{label}]: x"));
                prefix.push_str("    ");
                line(&mut lines, &prefix, "#");
            }
            Open::Fence(fence, indent) => {
                line(&mut lines, &prefix, &format!("{:indent$}{fence}", ""));
            }
            Open::Indented => {
                line(&mut lines, &prefix, "    x");
                if is_mid_line {
                    prefix.push_str("    ");
                }
            }
            Open::Raw(begin) => line(&mut lines, &prefix, begin),
            Open::Table(columns) => {
                line(
                    &mut lines,
                    &prefix,
                    &format!("|{}", "x|".repeat(columns.len())),
                );
                let mut delimiters = String::from("|");
                for align in columns {
                    delimiters.push_str(match align {
                        Align::Natural => "-|",
                        Align::Left => ":-|",
                        Align::Center => ":-:|",
                        Align::Right => "-:|",
                    });
                }
                line(&mut lines, &prefix, &delimiters);
            }
            Open::TableBody => {}
            // A heading is a single line: it is opened where that goes on.
            Open::Part { is_heading: true } => {}
            Open::Paragraph | Open::Part { .. } => line(&mut lines, &prefix, "x"),
        }
    }
    if is_mid_line {
        lines.push_str(&prefix);
    }
    // What goes on there can begin with any character, which must not begin a line, where it could begin a block.
    match open.last() {
        Some(Open::Part { is_heading: true }) if is_mid_line => lines.push_str("# x "),
        Some(Open::Paragraph | Open::Part { .. }) if is_mid_line => lines.push_str("x "),
        _ => {}
    }
    lines
}

/// What each further line of the innermost container begins with.
pub(super) fn prefix(open: &[Open]) -> String {
    let mut prefix = String::new();
    for part in open {
        match part {
            Open::Quote => prefix.push_str("> "),
            Open::Item(_, width) => prefix.extend(std::iter::repeat_n(' ', *width)),
            Open::Footnote(_) => prefix.push_str("    "),
            _ => {}
        }
    }
    prefix
}

fn line(lines: &mut String, prefix: &str, text: &str) {
    lines.push_str(prefix);
    lines.push_str(text);
    lines.push('\n');
}

fn open_item(lines: &mut String, prefix: &mut String, marker: char, width: usize) {
    // A marker takes one column or, if numbered, up to ten; up to three spaces may be before it and
    // one to four after it.
    let marker = if matches!(marker, '.' | ')') {
        let digits = width.saturating_sub(5).clamp(1, 9);
        format!("{}{marker}", "1".repeat(digits))
    } else {
        marker.to_string()
    };
    let rest = width.saturating_sub(marker.len());
    let after = rest.clamp(1, 4);
    let before = rest.saturating_sub(after);
    line(
        lines,
        prefix,
        &format!("{:before$}{marker}{:after$}x", "", ""),
    );
    prefix.extend(std::iter::repeat_n(' ', width));
    line(lines, prefix, "#");
}

/// What a node of `source` is when it is open within `around`; `None` if it cannot be opened anew.
pub(super) fn open_of(node: &Node, source: &str, around: &[Open]) -> Option<Open> {
    match &node.kind {
        Kind::Quote(_) => Some(Open::Quote),
        Kind::List { .. } => {
            let (marker, _) = marker_of(source.get(node.children.first()?.start..)?)?;
            Some(Open::List(marker))
        }
        Kind::Item(_) => {
            let (marker, width) = marker_of(source.get(node.start..)?)?;
            Some(Open::Item(marker, width))
        }
        Kind::Footnote(label) => Some(Open::Footnote(label.clone())),
        Kind::CodeBlock {
            is_fenced: true, ..
        } => {
            let rest = source.get(node.start..)?;
            let character = rest.chars().next().filter(|c| matches!(c, '`' | '~'))?;
            let length = rest.chars().take_while(|c| *c == character).count();
            let fence = character.to_string().repeat(length);
            Some(Open::Fence(fence, indent_of(node.start, source, around)?))
        }
        Kind::CodeBlock { .. } => Some(Open::Indented),
        Kind::Raw => raw_begin(source.get(node.start..)?).map(Open::Raw),
        Kind::Table(_) => {
            let head = node.children.first()?;
            let columns = head.children.iter().filter_map(|cell| match cell.kind {
                Kind::Cell { align, .. } => Some(align),
                _ => None,
            });
            Some(Open::Table(columns.collect()))
        }
        Kind::TableBody => Some(Open::TableBody),
        Kind::Paragraph => Some(Open::Paragraph),
        Kind::Part { is_heading } => Some(Open::Part {
            is_heading: *is_heading,
        }),
        _ => None,
    }
}

/// The marker at the head of an item and the columns up to its content. Tabs are left alone: what
/// they mean depends on where they are.
fn marker_of(item: &str) -> Option<(char, usize)> {
    let line = item.split(['\n', '\r']).next()?;
    let text = line.trim_start_matches(' ');
    let before = line.len() - text.len();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let marker = text[digits..].chars().next()?;
    let is_marker = if digits > 0 {
        matches!(marker, '.' | ')')
    } else {
        matches!(marker, '-' | '+' | '*')
    };
    if !is_marker {
        return None;
    }
    let after = &text[digits + 1..];
    let content = after.trim_start_matches(' ');
    if content.starts_with('\t') {
        return None;
    }
    let spaces = match after.len() - content.len() {
        _ if content.is_empty() => 1,
        spaces @ 1..=4 => spaces,
        _ => 1,
    };
    Some((marker, before + digits + 1 + spaces))
}

/// How far a fence is indented within what is around it.
fn indent_of(at: usize, source: &str, around: &[Open]) -> Option<usize> {
    let line = &source[source[..at].rfind('\n').map_or(0, |end| end + 1)..at];
    if line.contains('\t') {
        return None;
    }
    let spaces = line.len() - line.trim_end_matches(' ').len();
    let mut of_containers = 0;
    for part in around {
        match part {
            Open::Quote => of_containers = 1,
            Open::Item(_, width) => of_containers += width,
            Open::Footnote(_) => of_containers += 4,
            _ => {}
        }
    }
    Some(spaces.saturating_sub(of_containers))
}

/// A line that begins a block of HTML which ends as this one does.
fn raw_begin(html: &str) -> Option<&'static str> {
    let html = html.trim_start();
    let starts_with = |name: &str| {
        html.get(1..=name.len())
            .is_some_and(|found| found.eq_ignore_ascii_case(name))
            && html[1 + name.len()..].starts_with([' ', '\t', '\n', '\r', '>'])
    };
    match html {
        _ if html.starts_with("<!--") => Some("<!--"),
        _ if html.starts_with("<?") => Some("<?"),
        _ if html.starts_with("<![CDATA[") => Some("<![CDATA["),
        _ if html.starts_with("<!") => Some("<!X"),
        _ if starts_with("pre") => Some("<pre>"),
        _ if starts_with("script") => Some("<script>"),
        _ if starts_with("style") => Some("<style>"),
        _ if starts_with("textarea") => Some("<textarea>"),
        _ if html.starts_with('<') => Some("<div>"),
        _ => None,
    }
}
