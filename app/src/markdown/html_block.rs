//! Where blocks of HTML begin and end, by CommonMark's seven conditions. Nothing in them is a fence or a formula.

/// What ends a block of HTML.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// A line that contains this.
    With(&'static str),
    /// A blank line.
    Blank,
}

/// The names that begin a block in any place, sorted.
const BLOCKS: [&str; 62] = [
    "address",
    "article",
    "aside",
    "base",
    "basefont",
    "blockquote",
    "body",
    "caption",
    "center",
    "col",
    "colgroup",
    "dd",
    "details",
    "dialog",
    "dir",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "frame",
    "frameset",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "head",
    "header",
    "hr",
    "html",
    "iframe",
    "legend",
    "li",
    "link",
    "main",
    "menu",
    "menuitem",
    "nav",
    "noframes",
    "ol",
    "optgroup",
    "option",
    "p",
    "param",
    "search",
    "section",
    "summary",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "title",
    "tr",
    "track",
    "ul",
];

/// What ends the block of HTML that a line begins; `None` if it begins none.
pub(super) fn begin(line: &str, interrupts_paragraph: bool) -> Option<End> {
    let rest = line.strip_prefix('<')?;
    for (name, end) in [
        ("pre", "</pre>"),
        ("style", "</style>"),
        ("script", "</script>"),
        ("textarea", "</textarea>"),
    ] {
        let is_name = rest
            .get(..name.len())
            .is_some_and(|found| found.eq_ignore_ascii_case(name));
        if is_name
            && (rest.len() == name.len() || rest[name.len()..].starts_with([' ', '\t', '\r', '>']))
        {
            return Some(End::With(end));
        }
    }
    for (begin, end) in [("!--", "-->"), ("?", "?>"), ("![CDATA[", "]]>")] {
        if rest.starts_with(begin) {
            return Some(End::With(end));
        }
    }
    if rest.starts_with('!') && rest[1..].starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Some(End::With(">"));
    }
    let is_closing = rest.starts_with('/');
    let tag = rest.strip_prefix('/').unwrap_or(rest);
    let name = tag.bytes().take_while(u8::is_ascii_alphanumeric).count();
    let behind = &tag[name..];
    let may_follow =
        behind.is_empty() || behind.starts_with([' ', '\t', '\r', '>']) || behind.starts_with("/>");
    let is_block = may_follow
        && BLOCKS
            .binary_search(&&*tag[..name].to_ascii_lowercase())
            .is_ok();
    let is_alone = || !interrupts_paragraph && is_tag_alone(tag, is_closing);
    (is_block || is_alone()).then_some(End::Blank)
}

/// Whether a line is one whole tag; `tag` is behind its `<` and `/`.
fn is_tag_alone(tag: &str, is_closing: bool) -> bool {
    if !tag.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return false;
    }
    let name = tag
        .bytes()
        .take_while(|b| b.is_ascii_alphanumeric() || *b == b'-')
        .count();
    let rest = &tag[name..];
    let rest = if is_closing {
        rest
    } else {
        behind_attributes(rest)
    };
    let rest = rest.trim_start();
    let rest = if is_closing {
        rest
    } else {
        rest.strip_prefix('/').unwrap_or(rest)
    };
    rest.strip_prefix('>')
        .is_some_and(|rest| rest.trim().is_empty())
}

/// The text behind the attributes that are here, as far as they are whole.
fn behind_attributes(text: &str) -> &str {
    let mut rest = text;
    loop {
        let attribute = rest.trim_start();
        let begins_name = |c: char| c.is_ascii_alphabetic() || matches!(c, '_' | ':');
        if attribute.len() == rest.len() || !attribute.starts_with(begins_name) {
            return rest;
        }
        rest = attribute.trim_start_matches(|c: char| {
            c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '.' | '-')
        });
        let Some(value) = rest.trim_start().strip_prefix('=') else {
            continue;
        };
        let value = value.trim_start();
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
        let ends_value =
            |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '=' | '<' | '>' | '`');
        let end = match quote {
            Some(quote) => value[1..].find(quote).map(|end| end + 2),
            None => value.find(ends_value).filter(|end| *end > 0),
        };
        match end {
            Some(end) => rest = &value[end..],
            // What is left ends no tag.
            None => return rest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_html_begin_and_end_as_commonmark_says() {
        for (line, expect) in [
            ("<pre>", Some(End::With("</pre>"))),
            ("<!-- a", Some(End::With("-->"))),
            ("<!DOCTYPE html>", Some(End::With(">"))),
            ("<div class=\"a\">b", Some(End::Blank)),
            ("</DETAILS>", Some(End::Blank)),
            ("<a href=\"b\" c d=e >", Some(End::Blank)),
            ("</a >", Some(End::Blank)),
            ("<a> b", None),
            ("<a href=>", None),
            ("<https://a.b>", None),
            ("< a", None),
            ("a", None),
        ] {
            assert_eq!(begin(line, false), expect, "{line:?}");
        }
        assert_eq!(begin("<a>", true), None);
    }
}
