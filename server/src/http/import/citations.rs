//! The citation marks in ChatGPT's answers.
//!
//! The marks have the form `U+E200 kind U+E202 … U+E201`, or the older `【0†source】`. They are replaced by the
//! text that the message gives for them. Links and names remain as text, and everything else is removed.

use std::collections::HashMap;

use serde_json::value::RawValue;

use super::values::{each, pick, text, value};

const BEGIN: char = '\u{e200}';
const END: char = '\u{e201}';
const BETWEEN: char = '\u{e202}';
/// The range of characters that are marks.
const MARKS: std::ops::RangeInclusive<char> = '\u{e200}'..='\u{e206}';
const OLD_BEGIN: char = '【';
const OLD_END: char = '】';
/// The longest mark, in bytes. Some marks hold a list of links.
const LONGEST: usize = 64 * 1024;
/// The most sources of a message.
const MAX_SOURCES: usize = 10_000;

/// The replacements of the marks of a message.
#[derive(Default)]
pub(super) struct Sources(HashMap<String, String>);

impl Sources {
    /// Reads `content_references`.
    pub(super) fn read(references: Option<&RawValue>) -> Self {
        let mut sources = HashMap::new();
        each(references, |reference| {
            let [mark, alt] = pick(Some(reference), ["matched_text", "alt"]);
            let (mark, alt) = (mark.and_then(text), alt.and_then(text));
            if let (Some(mark), Some(alt)) = (mark, alt)
                && mark.starts_with([BEGIN, OLD_BEGIN])
                && !alt.trim().is_empty()
                && sources.len() < MAX_SOURCES
            {
                sources.insert(mark.into_owned(), alt.into_owned());
            }
        });
        Self(sources)
    }

    /// Replaces the marks in a text.
    pub(super) fn resolve(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(place) = rest.find(|letter| MARKS.contains(&letter) || letter == OLD_BEGIN) {
            out.push_str(&rest[..place]);
            rest = &rest[place..];
            rest = match mark_of(rest) {
                Some(mark) => {
                    let after = &rest[mark.len()..];
                    let words = match self.0.get(mark) {
                        Some(words) => words.clone(),
                        None => words_of(mark),
                    };
                    if words.is_empty() && is_end_of_word(after) && out.ends_with(' ') {
                        out.pop();
                    }
                    out.push_str(&words);
                    after
                }
                None => {
                    let letter = rest.chars().next().expect("it was found");
                    if letter == OLD_BEGIN {
                        out.push(letter);
                    }
                    &rest[letter.len_utf8()..]
                }
            };
        }
        out.push_str(rest);
        out
    }
}

/// The mark at the beginning of the text, if it is complete.
fn mark_of(text: &str) -> Option<&str> {
    let (begin, end) = match text.chars().next()? {
        BEGIN => (BEGIN, END),
        OLD_BEGIN => (OLD_BEGIN, OLD_END),
        _ => return None,
    };
    let inner = &text[begin.len_utf8()..];
    // A mark cannot contain another one, so no text is searched twice.
    let length = inner.find([begin, end])?;
    let (inner, rest) = inner.split_at(length);
    let is_mark = length <= LONGEST
        && rest.starts_with(end)
        && (begin == BEGIN
            || inner.starts_with(|letter: char| letter.is_ascii_digit()) && inner.contains('†'));
    is_mark.then(|| &text[..begin.len_utf8() + length + end.len_utf8()])
}

/// The text that remains of an unknown mark.
fn words_of(mark: &str) -> String {
    let mut parts = mark
        .trim_start_matches(BEGIN)
        .trim_end_matches(END)
        .split(BETWEEN);
    match (parts.next(), parts.next(), parts.next()) {
        // entity, ["people","Jane Doe",0]
        (Some("entity"), Some(entity), _) => {
            let entity: Option<Box<RawValue>> = serde_json::from_str(entity).ok();
            let mut place = 0;
            let mut name = String::new();
            each(entity.as_deref(), |part| {
                if place == 1 {
                    name = value(part).unwrap_or_default();
                }
                place += 1;
            });
            name
        }
        (Some("url"), Some(words), Some(url)) if url.starts_with("http") => {
            format!("[{words}]({url})")
        }
        _ => String::new(),
    }
}

/// Whether a space before this text would be left over.
fn is_end_of_word(after: &str) -> bool {
    after.chars().next().is_none_or(|letter| {
        letter.is_whitespace() || matches!(letter, '.' | ',' | ';' | ':' | '!' | '?')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(references: &str, text: &str, expect: &str) {
        let references: &RawValue = serde_json::from_str(references).expect("JSON");
        let text = text.replace('<', "\u{e200}").replace('>', "\u{e201}");
        let text = text.replace('|', "\u{e202}");
        let resolved = Sources::read(Some(references)).resolve(&text);
        assert_eq!(resolved, expect, "{text}");
    }

    #[test]
    fn marks_become_what_they_stand_for_or_go() {
        check("[]", "No marks.", "No marks.");
        check("[]", "Won. <cite|turn0search0|turn0news1> See", "Won. See");
        check("[]", "It is so <cite|turn0search0>.", "It is so.");
        check("[]", "a<navlist|News|turn0news1>b", "ab");
        check(
            "[]",
            "See <entity|[\"people\",\"Jane Doe\",0]>.",
            "See Jane Doe.",
        );
        check(
            "[]",
            "See <url|the site|https://e.x/a>.",
            "See [the site](https://e.x/a).",
        );
        check("[]", "An end <cite|turn0", "An end citeturn0");
        check("[]", "\u{e203}marked\u{e204} words", "marked words");
        check("[]", "So【0†source】 and【12:3†a file】.", "So and.");
        check("[]", "【見出し】 stays, 【 too", "【見出し】 stays, 【 too");
        let references = r#"[5, {"alt": "x"}, {"matched_text": "word", "alt": "no"},
            {"matched_text": "\ue200cite\ue202turn0search0\ue201", "alt": "([site](https://e.x/a))"},
            {"matched_text": "【0†source】", "alt": " ([b](https://e.x/b))"}]"#;
        check(
            references,
            "A word <cite|turn0search0> and【0†source】.",
            "A word ([site](https://e.x/a)) and ([b](https://e.x/b)).",
        );
        check("5", "a <cite>", "a");
    }

    proptest::proptest! {
        #[test]
        fn no_mark_is_left_and_no_other_letter_is_lost(text in "[a-c .\u{e200}-\u{e206}]{0,40}") {
            let resolved = Sources::default().resolve(&text);
            proptest::prop_assert!(!resolved.contains(|letter| MARKS.contains(&letter)));
        }
    }
}
