//! Which addresses a link may lead to, and which words of a text are addresses.
//!
//! The second follows GitHub's extended autolinks; nothing is looked up and nothing is asked.

use super::emphasis::is_wide_punctuation;
use super::node::{Kind, Node, Origin};

/// The schemes that a link may have. Everything else, whatever it looks like, leads nowhere.
const SCHEMES: [&str; 3] = ["http", "https", "mailto"];

/// The longest name of a host, in bytes; DNS allows 253. The bound keeps the search linear: a run of `www.a_` could
/// else be read to its end from each of its parts.
const LONGEST_HOST: usize = 256;

/// The address as it may be in a link, or `None` where it must not.
pub(super) fn safe(address: &str) -> Option<String> {
    // Browsers drop these wherever they are, so they must not hide a scheme from us.
    let cleaned: String = address
        .trim_matches(|c: char| c <= ' ')
        .chars()
        .filter(|c| !matches!(c, '\t' | '\n' | '\r'))
        .collect();
    let (scheme, rest) = cleaned.split_once(':')?;
    if !SCHEMES
        .iter()
        .any(|known| known.eq_ignore_ascii_case(scheme))
        || rest.is_empty()
    {
        return None;
    }
    if !scheme.eq_ignore_ascii_case("mailto") && !rest.starts_with("//") {
        return None;
    }
    Some(cleaned)
}

/// Whether a safe address leads to the web, where pictures are.
pub(super) fn is_web(address: &str) -> bool {
    safe(address).is_some_and(|address| {
        let scheme = address.split(':').next().unwrap_or_default();
        !scheme.eq_ignore_ascii_case("mailto")
    })
}

/// Turns the addresses in a text into links: the nodes that take its place.
pub(super) fn split(text: &str, origins: &[Origin], start: usize, end: usize) -> Option<Vec<Node>> {
    let bytes = text.as_bytes();
    let mut nodes = Vec::new();
    let mut shown = 0;
    let mut at = 0;
    while let Some(found) = next_candidate(&bytes[at..]) {
        let here = at + found;
        let link = match bytes[here] {
            b'@' => email(text, shown, here),
            _ => web(text, here),
        };
        let Some((from, to, address)) = link.filter(|(from, ..)| *from >= shown) else {
            at = here + 1;
            continue;
        };
        if from > shown {
            nodes.push(part(text, origins, shown, from, start, end));
        }
        let mut link = Node::new(
            Kind::Link(Some(address)),
            source_of(origins, from, start),
            end,
        );
        link.children
            .push(part(text, origins, from, to, start, end));
        nodes.push(link);
        shown = to;
        at = to;
    }
    if nodes.is_empty() {
        return None;
    }
    if shown < text.len() {
        nodes.push(part(text, origins, shown, text.len(), start, end));
    }
    Some(nodes)
}

/// Where in the bytes something may be an address: at `:` of a scheme, `www.`, or `@`.
fn next_candidate(bytes: &[u8]) -> Option<usize> {
    memchr::memchr3_iter(b'h', b'w', b'@', bytes).find(|&at| match bytes[at] {
        b'h' => bytes[at..].starts_with(b"http://") || bytes[at..].starts_with(b"https://"),
        b'w' => bytes[at..].starts_with(b"www."),
        _ => true,
    })
}

/// The text from `from` to `to` as a node. `origins` are sorted and do not overlap.
fn part(text: &str, origins: &[Origin], from: usize, to: usize, start: usize, end: usize) -> Node {
    let first = origins.partition_point(|origin| origin.at + origin.len <= from);
    let count = origins[first..].partition_point(|origin| origin.at < to);
    let origins: Vec<_> = origins[first..first + count]
        .iter()
        .map(|origin| {
            let skipped = from.saturating_sub(origin.at);
            Origin {
                at: (origin.at + skipped) - from,
                source: origin.source + skipped,
                len: (origin.at + origin.len).min(to) - (origin.at + skipped),
            }
        })
        .collect();
    // Only parts that are shown as they were written have an origin: an entity at the beginning has none.
    let first = match origins.first() {
        Some(origin) if from > 0 => origin.source,
        _ => start,
    };
    let last = match origins.last() {
        Some(origin) if to < text.len() => origin.source + origin.len,
        _ => end,
    };
    Node::new(Kind::Text(text[from..to].to_owned(), origins), first, last)
}

fn source_of(origins: &[Origin], at: usize, start: usize) -> usize {
    origins
        .partition_point(|origin| origin.at <= at)
        .checked_sub(1)
        .map_or(start, |last| origins[last].source + (at - origins[last].at))
}

/// An address that begins here with its scheme or with `www.`.
fn web(text: &str, from: usize) -> Option<(usize, usize, String)> {
    // It is at the beginning, after white space, after one of these, or after a letter or a sign of another script:
    // those are not set off by spaces, and no scheme or host has them before it.
    let before = text[..from].chars().next_back();
    if !before.is_none_or(|c| {
        c.is_whitespace()
            || !c.is_ascii()
            || matches!(
                c,
                '*' | '_' | '~' | '(' | '"' | '\'' | '<' | '[' | ':' | ',' | ';' | '|'
            )
    }) {
        return None;
    }
    let rest = &text[from..];
    let host_at = match rest.as_bytes()[0] {
        b'h' => rest.find("://")? + 3,
        _ => 0,
    };
    // The host is judged before the end of the address is looked for, which may be far away.
    let host_len = rest[host_at..]
        .char_indices()
        .find(|(at, c)| *at > LONGEST_HOST || !is_of_host(*c))
        .map_or(rest.len() - host_at, |(at, _)| at);
    let host = rest[host_at..host_at + host_len].trim_end_matches('.');
    if host_len > LONGEST_HOST || !is_host(host, host_at > 0) {
        return None;
    }
    let whole = rest
        .find(|c: char| c.is_whitespace() || matches!(c, '<' | '"') || is_of_sentence(c))
        .map_or(rest, |to| &rest[..to]);
    let to = trim_end(whole);
    if to <= host_at {
        return None;
    }
    let shown = &whole[..to];
    let address = if host_at == 0 {
        format!("http://{shown}")
    } else {
        shown.to_owned()
    };
    Some((from, from + to, address))
}

/// Whether it is punctuation that addresses do not have: fullwidth and CJK punctuation, dashes, quotation marks, and
/// those of other scripts that end a sentence.
fn is_of_sentence(c: char) -> bool {
    !c.is_ascii()
        && (is_wide_punctuation(c)
            || matches!(c,
                '«' | '»' | '¡' | '¿' | '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{205e}'
                | '\u{37e}' | '\u{589}' | '\u{5be}' | '\u{5c3}' | '\u{60c}' | '\u{61b}' | '\u{61f}' | '\u{6d4}'
                | '\u{964}' | '\u{965}' | '\u{104a}' | '\u{104b}' | '\u{1362}' | '\u{17d4}' | '\u{17d5}'
                | '\u{2e3a}' | '\u{2e3b}'
            ))
}

fn is_of_host(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '-' | '_' | '.')
}

/// GitHub wants a dot in a host's name; with a scheme, `localhost` is one as well.
fn is_host(host: &str, has_scheme: bool) -> bool {
    let labels: Vec<_> = host.split('.').collect();
    let has_underscore = labels.iter().rev().take(2).any(|label| label.contains('_'));
    let is_named = labels.len() > 1 || (has_scheme && host == "localhost");
    is_named && !has_underscore && labels.iter().all(|label| !label.is_empty())
}

/// The length of an address without the characters at its end that more likely belong to the sentence.
fn trim_end(address: &str) -> usize {
    let bytes = address.as_bytes();
    let count = |wanted: u8| memchr::memchr_iter(wanted, bytes).count();
    // How many more parentheses are closed than opened, counted once: each that is left out closes one.
    let (opened, mut closed) = (count(b'('), count(b')'));
    let mut len = address.len();
    while let Some(last) = bytes[..len].last() {
        match last {
            b'?' | b'!' | b'.' | b',' | b':' | b'*' | b'_' | b'~' | b'"' | b'\'' | b']' => len -= 1,
            b')' if closed > opened => {
                closed -= 1;
                len -= 1;
            }
            b';' => len -= 1 + len_of_entity(&bytes[..len - 1]),
            _ => break,
        }
    }
    len
}

/// The length of an entity's `&` and name at the end of this; 0 if there is none.
fn len_of_entity(bytes: &[u8]) -> usize {
    let is_of_name = |b: &&u8| b.is_ascii_alphanumeric();
    let name = bytes.iter().rev().take_while(is_of_name).count();
    let is_entity = name > 0 && bytes[..bytes.len() - name].ends_with(b"&");
    if is_entity { name + 1 } else { 0 }
}

/// An e-mail address around this `@`.
fn email(text: &str, after: usize, at: usize) -> Option<(usize, usize, String)> {
    let bytes = text.as_bytes();
    let is_name = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'+');
    let from = at
        - bytes[after..at]
            .iter()
            .rev()
            .take_while(|b| is_name(b))
            .count();
    let rest = &text[at + 1..];
    let len = rest
        .bytes()
        .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        .count();
    let host = rest[..len].trim_end_matches('.');
    let is_whole = from < at
        && host.contains('.')
        && host.split('.').all(|label| !label.is_empty())
        && !host.ends_with(['-', '_']);
    let to = at + 1 + host.len();
    is_whole.then(|| (from, to, format!("mailto:{}", &text[from..to])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_safe(address: &str, expect: Option<&str>) {
        assert_eq!(safe(address).as_deref(), expect, "{address:?}");
    }

    #[test]
    fn only_web_and_mail_addresses_lead_anywhere() {
        check_safe(
            "https://example.com/a?b=c#d",
            Some("https://example.com/a?b=c#d"),
        );
        check_safe("HTTP://example.com", Some("HTTP://example.com"));
        check_safe("mailto:a@example.com", Some("mailto:a@example.com"));
        check_safe(" https://example.com\n", Some("https://example.com"));
        for nowhere in [
            "javascript:alert(1)",
            "JaVaScRiPt:alert(1)",
            "java\tscript:alert(1)",
            " \u{1}javascript:alert(1)",
            "data:text/html,<script>alert(1)</script>",
            "vbscript:x",
            "file:///etc/passwd",
            "blob:https://example.com/x",
            "//example.com",
            "/path",
            "#x",
            "",
            "https:",
            "https:evil",
            "http",
        ] {
            check_safe(nowhere, None);
        }
        // What a browser would drop from it cannot hide what it is.
        check_safe("ht\ntps://example.com", Some("https://example.com"));
    }

    fn links(text: &str) -> Vec<(String, String)> {
        let nodes = split(text, &[], 0, text.len()).unwrap_or_default();
        nodes
            .iter()
            .filter_map(
                |node| match (&node.kind, node.children.first().map(|child| &child.kind)) {
                    (Kind::Link(Some(address)), Some(Kind::Text(shown, _))) => {
                        Some((shown.clone(), address.clone()))
                    }
                    _ => None,
                },
            )
            .collect()
    }

    #[track_caller]
    fn check(text: &str, expect: &[(&str, &str)]) {
        let expect: Vec<_> = expect
            .iter()
            .map(|(shown, address)| ((*shown).to_owned(), (*address).to_owned()))
            .collect();
        assert_eq!(links(text), expect, "{text:?}");
    }

    #[test]
    fn addresses_in_a_text_become_links() {
        check(
            "see www.commonmark.org/help for more",
            &[("www.commonmark.org/help", "http://www.commonmark.org/help")],
        );
        check(
            "Visit https://example.com/a_b.",
            &[("https://example.com/a_b", "https://example.com/a_b")],
        );
        check(
            "(https://example.com/a(b))",
            &[("https://example.com/a(b)", "https://example.com/a(b)")],
        );
        check(
            "www.google.com/search?q=commonmark&hl;",
            &[(
                "www.google.com/search?q=commonmark",
                "http://www.google.com/search?q=commonmark",
            )],
        );
        check(
            "www.commonmark.org/he<lp",
            &[("www.commonmark.org/he", "http://www.commonmark.org/he")],
        );
        check(
            "http://localhost:3000 and http://127.0.0.1:8080/x",
            &[
                ("http://localhost:3000", "http://localhost:3000"),
                ("http://127.0.0.1:8080/x", "http://127.0.0.1:8080/x"),
            ],
        );
        check(
            "foo@bar.baz, a.b-c_d@a.b.",
            &[
                ("foo@bar.baz", "mailto:foo@bar.baz"),
                ("a.b-c_d@a.b", "mailto:a.b-c_d@a.b"),
            ],
        );
    }

    #[test]
    fn an_address_ends_before_the_punctuation_of_a_sentence_and_begins_behind_any_letter() {
        let address = "https://example.com/a";
        for after in [
            "。",
            "，以及",
            "（说明）",
            "、b",
            "；",
            "：",
            "！",
            "？",
            "」",
            "』",
            "】",
            "》",
            "）",
            "］",
            "｝",
            "～",
            "—it",
            "–b",
            "―",
            "…",
            "”.",
            "’s",
            "“b”",
            "»",
            "\"b\"",
            "؟",
            "،",
            "।",
            "・",
        ] {
            check(&format!("{address}{after}"), &[(address, address)]);
        }
        for before in [
            "见", "は", "문서", "в", "é", "：", "，", "（", "「", "“", "—", "…", "链接:", "URL:",
            "a,",
        ] {
            check(&format!("{before}{address}"), &[(address, address)]);
            check(
                &format!("{before}www.example.com"),
                &[("www.example.com", "http://www.example.com")],
            );
        }
        check(
            "https://ja.wikipedia.org/wiki/日本語。",
            &[(
                "https://ja.wikipedia.org/wiki/日本語",
                "https://ja.wikipedia.org/wiki/日本語",
            )],
        );
        check(
            "https://a.b，https://c.d、https://e.f",
            &[
                ("https://a.b", "https://a.b"),
                ("https://c.d", "https://c.d"),
                ("https://e.f", "https://e.f"),
            ],
        );
        check(
            "(see https://en.wikipedia.org/wiki/A_(b))",
            &[(
                "https://en.wikipedia.org/wiki/A_(b)",
                "https://en.wikipedia.org/wiki/A_(b)",
            )],
        );
    }

    #[test]
    fn what_only_resembles_an_address_stays_text() {
        for text in [
            "http://",
            "https://x",
            "xhttps://example.com",
            "www",
            "a@b",
            "@name",
            "a@b-",
            "hello+xyz@mail",
            "w@",
            "a.b-c_d@a.b_",
        ] {
            check(text, &[]);
        }
    }
}
