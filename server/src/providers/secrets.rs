//! Secrets that must not be passed on from a provider's answer: our key, the values of configured headers, and
//! recognisable parts of them. Providers often repeat a refused key with a part of it masked.

use std::borrow::Cow;

use memchr::memmem;
use secrecy::ExposeSecret;

use crate::providers::settings::UpstreamSettings;

/// Shorter values are not secrets and would match everywhere.
const LEAST_BYTES: usize = 8;
/// The number of consecutive bytes that identify a part of a secret.
const PART_BYTES: usize = 10;
/// The number of bytes at either end of a secret that identify it beside a mask.
const END_BYTES: usize = 3;
/// The replacement for a secret.
const REDACTED: &[u8] = b"[redacted]";
/// The masks that providers write in place of the middle of a key.
const MASKS: [&[u8]; 3] = [b"**", b"..", "\u{2026}".as_bytes()];

/// The secrets of one provider.
pub(crate) struct Secrets {
    values: Vec<Vec<u8>>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("[REDACTED]")
    }
}

impl Secrets {
    /// The secrets of these settings.
    pub(super) fn of(settings: &UpstreamSettings) -> Self {
        let key = settings
            .key
            .as_ref()
            .map(|key| key.expose_secret().as_bytes());
        // `Bearer x` and `Basic x` are two words.
        let headers = settings.headers.values();
        let words = headers.flat_map(|value| value.as_bytes().split(|byte| *byte == b' '));
        let values = key.into_iter().chain(words);
        Self {
            values: values
                .filter(|value| value.len() >= LEAST_BYTES)
                .map(<[u8]>::to_vec)
                .collect(),
        }
    }

    /// One secret, for tests.
    #[cfg(test)]
    pub(crate) fn for_tests(secret: &str) -> Self {
        Self {
            values: vec![secret.as_bytes().to_vec()],
        }
    }

    /// Whether there are no secrets.
    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Whether a text contains a secret or a part of one.
    pub(crate) fn are_in(&self, text: &[u8]) -> bool {
        words(text).any(|word| self.is_one(word))
    }

    /// A text in which each word with a secret, or with a part of one, is replaced.
    pub(crate) fn clean<'a>(&self, text: &'a [u8]) -> Cow<'a, [u8]> {
        if !self.are_in(text) {
            return Cow::Borrowed(text);
        }
        let mut clean = Vec::with_capacity(text.len());
        for piece in text.chunk_by(|a, b| is_of_word(*a) == is_of_word(*b)) {
            clean.extend_from_slice(if self.is_one(piece) { REDACTED } else { piece });
        }
        Cow::Owned(clean)
    }

    fn is_one(&self, word: &[u8]) -> bool {
        self.values
            .iter()
            .any(|secret| holds_part(word, secret) || is_masked(word, secret))
    }
}

/// Whether a character may be part of a key or a mask.
fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.*+/=~".contains(&byte) || !byte.is_ascii()
}

fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| !is_of_word(*byte))
}

fn holds_part(word: &[u8], secret: &[u8]) -> bool {
    let part = PART_BYTES.min(secret.len());
    word.len() >= part
        && secret
            .windows(part)
            .any(|part| memmem::find(word, part).is_some())
}

/// Whether a word is a secret with a masked middle, such as `sk-...wxyz`.
fn is_masked(word: &[u8], secret: &[u8]) -> bool {
    let Some(start) = MASKS
        .iter()
        .filter_map(|mask| memmem::find(word, mask))
        .min()
    else {
        return false;
    };
    let end = MASKS
        .iter()
        .filter_map(|mask| memmem::rfind(word, mask).map(|at| at + mask.len()))
        .max()
        .unwrap_or(start);
    // The end of a sentence and further mask characters are not part of the key.
    let trim = |byte: &u8| matches!(byte, b'.' | b'*');
    let head = &word[..start];
    let tail = &word[end..];
    let tail = &tail[tail.iter().take_while(|byte| trim(byte)).count()..];
    let tail = &tail[..tail.len() - tail.iter().rev().take_while(|byte| trim(byte)).count()];
    (head.len() >= END_BYTES && secret.starts_with(head))
        || (tail.len() >= END_BYTES && secret.ends_with(tail))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::api::Api;

    const KEY: &str = "sk-proj-abcdefghijklmnop-WXYZ";

    fn secrets() -> Secrets {
        let mut settings = UpstreamSettings::new(
            "x",
            Api::ChatCompletions,
            "http://127.0.0.1:9/v1".parse().expect("a URL"),
        );
        settings.key = Some(KEY.into());
        let mut add = |name: &'static str, value: &str| {
            settings
                .headers
                .insert(name, value.parse().expect("a value"));
        };
        add("x-team", "7");
        add("x-proxy-authorization", "Basic dXNlcjpwYXNz");
        Secrets::of(&settings)
    }

    #[test]
    fn a_text_keeps_all_but_the_words_that_are_secrets_or_show_a_part_of_one() {
        let check = |text: &str, expect: &str| {
            let got = secrets().clean(text.as_bytes()).into_owned();
            assert_eq!(String::from_utf8(got).expect("text"), expect);
            assert_eq!(secrets().are_in(text.as_bytes()), text != expect, "{text}");
        };
        for same in [
            "",
            "{\"error\":{\"message\":\"The model is not there.\"}}",
            "7 teams wait...",
            "Keys begin with sk-proj- or sk-.",
            "\u{2026}and so on",
        ] {
            check(same, same);
        }
        check(
            &format!("{{\"message\":\"wrong key: {KEY}.\"}}"),
            "{\"message\":\"wrong key: [redacted]\"}",
        );
        for shown in [
            "sk-proj-********************WXYZ",
            "sk-...WXYZ",
            "sk-proj\u{2026}WXYZ",
            "****WXYZ",
            "sk-proj-abcd****",
            "abcdefghij",
            "dXNlcjpwYXNz",
        ] {
            check(&format!("\"{shown}\","), "\"[redacted]\",");
        }
        check(
            "It was sk-pr***-WXYZ. Ask again",
            "It was [redacted] Ask again",
        );
    }

    #[test]
    fn where_nothing_is_secret_nothing_is_looked_for() {
        let url = "http://127.0.0.1:9/v1".parse().expect("a URL");
        let mut settings = UpstreamSettings::new("x", Api::ChatCompletions, url);
        settings.key = Some("none".into());
        assert!(Secrets::of(&settings).is_empty());
    }
}
