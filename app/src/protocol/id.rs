//! Ids: UUIDs in one canonical form.

use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Serialize};

/// The id of a conversation, a message, a generation or a request, in the form in which it is stored
/// and compared: lower case with hyphens.
///
/// Every spelling of a UUID is converted to that form: capitals, no hyphens, braces, `urn:uuid:`. A text that is not a
/// UUID is kept as it is, and is the id of nothing. So an entry point that takes an `Id` accepts every spelling.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Id(String);

impl Id {
    /// Parses an id; `None` if the text is not a UUID.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        const URN: &str = "urn:uuid:";
        let text = match text.get(..URN.len()) {
            Some(head) if head.eq_ignore_ascii_case(URN) => &text[URN.len()..],
            _ => text,
        };
        let text = text
            .strip_prefix('{')
            .and_then(|text| text.strip_suffix('}'))
            .unwrap_or(text);
        let has_hyphens = match text.len() {
            36 => true,
            32 => false,
            _ => return None,
        };
        let mut id = String::with_capacity(36);
        for (at, byte) in text.bytes().enumerate() {
            if has_hyphens && is_hyphen(at) {
                if byte != b'-' {
                    return None;
                }
                continue;
            }
            if !byte.is_ascii_hexdigit() {
                return None;
            }
            if is_hyphen(id.len()) {
                id.push('-');
            }
            id.push(char::from(byte.to_ascii_lowercase()));
        }
        Some(Self(id))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a hyphen belongs at this index of a UUID.
fn is_hyphen(at: usize) -> bool {
    matches!(at, 8 | 13 | 18 | 23)
}

impl From<String> for Id {
    fn from(text: String) -> Self {
        Self::parse(&text).unwrap_or(Self(text))
    }
}

impl From<Id> for String {
    fn from(id: Id) -> Self {
        id.0
    }
}

impl Deref for Id {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const ID: &str = "0190a0a0-00bc-7def-8000-0123456789ab";

    #[test]
    fn every_spelling_of_a_uuid_is_the_same_id() {
        let simple = ID.replace('-', "");
        for spelling in [
            ID.to_owned(),
            simple.clone(),
            format!("{{{ID}}}"),
            format!("{{{simple}}}"),
            format!("urn:uuid:{ID}"),
            format!("urn:uuid:{simple}"),
        ] {
            for spelling in [spelling.to_uppercase(), spelling] {
                let id = Id::parse(&spelling).expect("a UUID");
                assert_eq!(id.as_str(), ID, "{spelling}");
                let json = serde_json::to_string(&spelling).expect("a text");
                let read: Id = serde_json::from_str(&json).expect("an id");
                assert_eq!(read, id, "{spelling}");
                let written = serde_json::to_string(&read).expect("JSON");
                assert_eq!(written, format!("\"{ID}\""));
            }
        }
    }

    #[test]
    fn a_text_that_is_not_a_uuid_is_kept() {
        let hyphen_elsewhere = format!("0190a0a-000bc{}", &ID[13..]);
        for other in [
            "",
            "1",
            "c",
            "{}",
            "urn:uuid:",
            &ID[1..],
            &format!("{ID}0"),
            &format!("{{{ID}"),
            &format!("{ID}}}"),
            &format!("{{{{{ID}}}}}"),
            &format!(" {ID}"),
            &ID.replace('0', "g"),
            &ID.replace('-', "_"),
            &hyphen_elsewhere,
            &"é".repeat(16),
            &"é".repeat(18),
        ] {
            assert_eq!(Id::parse(other), None, "{other}");
            assert_eq!(Id::from(other.to_owned()).as_str(), other);
        }
    }
}
