//! How the JSON of providers is read: without copying where it can be, and leniently where Rust is
//! stricter than the servers that write it.

use std::borrow::Cow;

use app::protocol::ErrorKind;
use app::sse;
use serde::Deserialize;
use serde_json::Value;

use super::failure::{Failure, ProviderError};

/// Reads text without copying where it can be borrowed. serde copies every string inside an
/// `Option<Cow<str>>`; a type of its own that asks for a borrowed string does not.
pub(super) fn text<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Cow<'de, str>>, D::Error> {
    #[derive(Deserialize)]
    struct Borrowed<'a>(#[serde(borrow)] Cow<'a, str>);
    Ok(Option::<Borrowed<'de>>::deserialize(deserializer)?.map(|text| text.0))
}

/// Hands on text that has any. What it is read from owns it, so nothing is copied.
pub(super) fn emit<'a>(text: Option<&'a Cow<'_, str>>, mut out: impl FnMut(Cow<'a, str>)) {
    if let Some(text) = text
        && !text.is_empty()
    {
        out(Cow::Borrowed(text));
    }
}

/// Reads an event that does not have the usual form: repeated keys, escapes that are no characters.
///
/// # Errors
/// When it is no JSON at all, which in an event named `error` is an error all the same.
pub(super) fn read_unusual(event: sse::Event<'_>) -> Result<Value, Failure> {
    serde_json::from_str(event.data)
        .or_else(|_| serde_json::from_str(&without_lone_surrogates(event.data)))
        .map_err(|_| match event.name {
            "error" => Failure::stream(ErrorKind::UpstreamError, "error frame"),
            _ => Failure::stream(ErrorKind::UpstreamMalformed, "not JSON"),
        })
}

/// The failure that an error within a stream is, whatever the form of its error object.
pub(super) fn error_frame(value: &Value) -> Failure {
    let error = ProviderError::from_json(value).unwrap_or_default();
    Failure::stream(
        error.classify(None),
        format!("error frame {}", error.code()),
    )
}

/// Replaces `\uD800` to `\uDFFF` escapes that are no pair by U+FFFD. JSON allows them, Rust strings
/// cannot hold them, and a server that cuts a text between the halves of a pair sends them.
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
    fn text_without_escapes_is_borrowed() {
        #[derive(Deserialize)]
        struct Holder<'a> {
            #[serde(borrow, default, deserialize_with = "text")]
            text: Option<Cow<'a, str>>,
        }
        let read = |json| {
            serde_json::from_str::<Holder<'_>>(json)
                .expect("valid")
                .text
        };
        assert!(matches!(
            read(r#"{"text":"plain"}"#),
            Some(Cow::Borrowed("plain"))
        ));
        assert!(matches!(
            read(r#"{"text":"a\nb"}"#),
            Some(Cow::Owned(text)) if text == "a\nb"
        ));
        assert_eq!(read(r#"{"text":null}"#), None);
        assert_eq!(read("{}"), None);
    }
}
