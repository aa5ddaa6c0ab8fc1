//! Reads the JSON of providers: without copies on the fast path, and leniently where servers write what Rust
//! refuses.

use std::fmt::Write as _;

use app::protocol::ErrorKind;
use app::sse;
use serde_json::Value;

use crate::providers::error::Failure;
use crate::providers::error::body::ProviderError;

/// Reads an unusual event: repeated keys, invalid escapes, numbers outside of JSON. `None` if it is empty.
///
/// # Errors
/// When it is not JSON at all, except in an event named `error`, which is an error with any data.
pub(in crate::providers) fn read_unusual(event: sse::Event<'_>) -> Result<Option<Value>, Failure> {
    let text = event
        .data
        .trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    let read = serde_json::from_str(text).or_else(|_| serde_json::from_str(&repaired(text)));
    match (event.name, read) {
        ("error", Ok(value)) => Ok(Some(value)),
        (_, Ok(Value::Null | Value::Bool(_) | Value::Number(_))) => Ok(None),
        (_, Ok(value)) => Ok(Some(value)),
        ("error", Err(_)) => {
            let error = ProviderError::from_text(text).unwrap_or_default();
            Err(error.in_answer())
        }
        // Words that keep a connection open.
        (_, Err(_)) if !text.contains(['{', '}', '[', ']']) => Ok(None),
        (_, Err(_)) => Err(Failure::stream(ErrorKind::UpstreamMalformed, "not JSON")),
    }
}

/// Whether the event is the last of a stream.
pub(in crate::providers) fn is_last(data: &str) -> bool {
    // Almost all events are objects.
    !data.starts_with('{')
        && data
            .trim_matches(|c: char| c.is_whitespace() || c == '"')
            .eq_ignore_ascii_case("[DONE]")
}

/// Whether an event may be a chunk for the fast path. A list is not: serde would read it as the fields of a
/// struct in order.
pub(super) fn can_be_plain(event: &sse::Event<'_>) -> bool {
    event.name != "error" && event.data.starts_with('{')
}

/// The deepest nesting that is read. serde's limit is 128.
const DEEPEST: usize = 100;

/// Repairs JSON for serde: `NaN` and `Infinity`, numbers outside the range of a float, control characters in
/// strings, unpaired surrogates, and endless nesting, which becomes `null`.
fn repaired(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let mut depth = 0;
    let mut rest = json;
    loop {
        let (before, string) = rest.find('"').map_or((rest, ""), |at| rest.split_at(at));
        repair_values(before, &mut depth, &mut out);
        if string.is_empty() {
            break;
        }
        let end = end_of_string(string);
        rest = &string[end..];
        if depth > DEEPEST {
            continue;
        }
        for c in without_lone_surrogates(&string[..end]).chars() {
            match c {
                '\u{0}'..='\u{1f}' => {
                    let _ = write!(out, "\\u{:04x}", u32::from(c));
                }
                _ => out.push(c),
            }
        }
    }
    out
}

/// The end of a string that begins with its quotation mark, in bytes.
fn end_of_string(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Copies the text outside of strings. Values that are invalid or too deep become `null`.
fn repair_values(text: &str, depth: &mut usize, out: &mut String) {
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '-' | '+' | '.' | '_');
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let end = if is_word(c) {
            rest.find(|c| !is_word(c)).unwrap_or(rest.len())
        } else {
            c.len_utf8()
        };
        let (token, after) = rest.split_at(end);
        rest = after;
        if matches!(c, '[' | '{') {
            *depth += 1;
            if *depth == DEEPEST + 1 {
                out.push_str("null");
            }
        }
        let is_kept = *depth <= DEEPEST;
        if matches!(c, ']' | '}') {
            *depth = depth.saturating_sub(1);
        }
        if is_kept {
            out.push_str(match token {
                "true" | "True" => "true",
                "false" | "False" => "false",
                word if !is_word(c) || word.parse().is_ok_and(f64::is_finite) => word,
                _ => "null",
            });
        }
    }
}

/// Replaces unpaired surrogate escapes by U+FFFD. JSON allows them, but Rust strings cannot hold them. Servers
/// send them if they split a text within a pair.
fn without_lone_surrogates(json: &str) -> String {
    let escape_at = |at: usize| -> Option<u16> {
        let hex = json.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(hex, 16).ok()
    };
    let mut out = String::with_capacity(json.len());
    let mut rest = 0;
    while let Some(found) = json[rest..].find('\\') {
        let at = rest + found;
        out.push_str(&json[rest..at]);
        let is_pair =
            |high, low| (0xD800..0xDC00).contains(&high) && (0xDC00..0xE000).contains(&low);
        let length = match (escape_at(at), escape_at(at + 6)) {
            (Some(high), Some(low)) if is_pair(high, low) => 12,
            (Some(0xD800..0xE000), _) => {
                out.push_str("\\ufffd");
                rest = at + 6;
                continue;
            }
            (Some(_), _) => 6,
            // Any other escape is two characters, of which the second may be a backslash.
            (None, _) => 1 + json[at + 1..].chars().next().map_or(0, char::len_utf8),
        };
        out.push_str(&json[at..at + length]);
        rest = at + length;
    }
    out.push_str(&json[rest..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_that_are_no_character_are_replaced_and_all_others_stay() {
        assert_eq!(
            without_lone_surrogates(r"\\ud83d \ud83d\ude00 \ud83dé \u0041 \"),
            r"\\ud83d \ud83d\ude00 \ufffdé \u0041 \"
        );
    }

    #[test]
    fn what_is_no_json_but_nearly_is_read() {
        let check = |text: &str, expect: &str| {
            let read: Value = serde_json::from_str(&repaired(text)).expect("JSON");
            let expect: Value = serde_json::from_str(expect).expect("JSON");
            assert_eq!(read, expect, "{text}");
        };
        check(
            r#"{"a":NaN,"b":-Infinity,"c":[1e999]}"#,
            r#"{"a":null,"b":null,"c":[null]}"#,
        );
        check(
            r#"{"a":True,"b":None,"c":-1.5e3}"#,
            r#"{"a":true,"b":null,"c":-1500.0}"#,
        );
        check("{\"a\":\"NaN\tx\\\"\"}", r#"{"a":"NaN\tx\""}"#);
        check(
            r#"{"a":"\ud83d","b":"\ud83d\ude00"}"#,
            r#"{"a":"\ufffd","b":"\ud83d\ude00"}"#,
        );
    }

    #[test]
    fn the_last_event_is_known_in_any_spelling() {
        for last in ["[DONE]", " [DONE] ", "[done]", "\"[DONE]\""] {
            assert!(is_last(last), "{last}");
        }
        for other in ["", "{}", "[DONE", "DONE", "[[DONE]]"] {
            assert!(!is_last(other), "{other}");
        }
    }
}
