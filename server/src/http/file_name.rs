//! The name of a downloaded file in `Content-Disposition` (RFC 6266).
//!
//! `filename*` holds the title in its own script, with characters that every file system accepts. Programs that
//! do not know `filename*` use a name in ASCII.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// The characters that RFC 8187 requires to be encoded.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// The longest name without its extension, in characters and in bytes. File systems allow 255 bytes, and
/// browsers may append a number.
const MAX_CHARACTERS: usize = 80;
const MAX_BYTES: usize = 200;
const MAX_ASCII: usize = 60;
/// The name of a conversation without a usable title.
const UNNAMED: &str = "conversation";

/// The value of `Content-Disposition` for a file with this title and extension, such as `md`.
pub(super) fn attachment(title: &str, ending: &str) -> String {
    let name = format!("{}.{ending}", name(title));
    let encoded = utf8_percent_encode(&name, ENCODED);
    let ascii = ascii_name(title);
    format!("attachment; filename=\"{ascii}.{ending}\"; filename*=UTF-8''{encoded}")
}

/// The title as a file name in its own script.
fn name(title: &str) -> String {
    let mut name = String::new();
    for letter in title.chars().take(MAX_CHARACTERS * 4) {
        if name.chars().count() >= MAX_CHARACTERS || name.len() + letter.len_utf8() > MAX_BYTES {
            break;
        }
        if is_safe(letter) {
            name.push(letter);
        } else if !name.is_empty() && !name.ends_with([' ', '-']) {
            name.push(if letter.is_whitespace() { ' ' } else { '-' });
        }
    }
    // Windows drops dots and spaces at the end, and a leading dot hides a file elsewhere. A joiner or variation
    // selector at the end has nothing to join.
    let is_edge = |letter: char| {
        matches!(
            letter,
            ' ' | '.' | '-' | '~' | '\u{200c}' | '\u{200d}' | '\u{fe0e}' | '\u{fe0f}'
        )
    };
    usable(name.trim_matches(is_edge))
}

/// The title as a file name in ASCII.
fn ascii_name(title: &str) -> String {
    let mut name = String::new();
    for letter in title.chars().take(MAX_ASCII) {
        if letter.is_ascii_alphanumeric() {
            name.push(letter.to_ascii_lowercase());
        } else if !name.ends_with('-') && !name.is_empty() {
            name.push('-');
        }
    }
    usable(name.trim_end_matches('-'))
}

/// Replaces an empty name, and a name that Windows reserves for devices.
fn usable(name: &str) -> String {
    if name.is_empty() {
        return UNNAMED.to_owned();
    }
    let stem = name.split('.').next().unwrap_or_default().trim_end();
    let stem = stem.to_ascii_uppercase();
    let is_numbered = |device: &str| {
        let number = stem.strip_prefix(device);
        number.is_some_and(|number| number.chars().count() == 1 && number.contains(is_digit))
    };
    let is_device = matches!(
        stem.as_str(),
        "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$"
    ) || is_numbered("COM")
        || is_numbered("LPT");
    if is_device {
        format!("{UNNAMED} {name}").replace(' ', if name.is_ascii() { "-" } else { " " })
    } else {
        name.to_owned()
    }
}

fn is_digit(letter: char) -> bool {
    letter.is_ascii_digit() || matches!(letter, '¹' | '²' | '³')
}

/// Whether every file system accepts the character and it is visible.
fn is_safe(letter: char) -> bool {
    let is_forbidden = matches!(letter, '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|');
    // Bidirectional marks can disguise an extension.
    let is_hidden = matches!(
        letter,
        '\u{ad}' | '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{ffff}' | '\u{e000}'..='\u{f8ff}'
            | '\u{e0000}'..='\u{10ffff}'
    );
    !is_forbidden && !is_hidden && !letter.is_control() && !letter.is_whitespace()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_becomes_a_name_that_every_system_takes() {
        let check = |title: &str, expect: &str, ascii: &str| {
            assert_eq!(
                (name(title).as_str(), ascii_name(title).as_str()),
                (expect, ascii),
                "{title}"
            );
        };
        check("What is a rill?", "What is a rill", "what-is-a-rill");
        check("東京の天気", "東京の天気", "conversation");
        check("مرحبا بالعالم", "مرحبا بالعالم", "conversation");
        check("Überblick: Größe", "Überblick-Größe", "berblick-gr-e");
        check("👩‍🚀 in space", "👩‍🚀 in space", "in-space");
        check("../../etc/passwd", "etc-passwd", "etc-passwd");
        check("C:\\Windows\\x", "C-Windows-x", "c-windows-x");
        check(
            "a\"; filename=\"b.html",
            "a-; filename=-b.html",
            "a-filename-b-html",
        );
        check("a\r\nSet-Cookie: b", "a Set-Cookie-b", "a-set-cookie-b");
        check("exe\u{202e}gpj", "exe-gpj", "exe-gpj");
        check(".hidden. . ", "hidden", "hidden");
        for empty in ["", "...", " / ", "\u{200d}", "\u{0}"] {
            check(empty, UNNAMED, UNNAMED);
        }
        check("CON", "conversation-CON", "conversation-con");
        check("lpt1.notes", "conversation-lpt1.notes", "lpt1-notes");
        check("COM²", "conversation COM²", "com");
        check("Console", "Console", "console");
    }

    #[test]
    fn the_header_has_the_name_in_its_script_and_in_ascii() {
        assert_eq!(
            attachment("東京 100%", "md"),
            "attachment; filename=\"100.md\"; filename*=UTF-8''%E6%9D%B1%E4%BA%AC%20100%25.md"
        );
    }

    proptest::proptest! {
        #[test]
        fn any_title_is_one_bounded_name_and_one_header(title in "\\PC{0,300}|[./\\\\:\"CONcon\u{0}\r\n\u{202e} ]{0,20}") {
            let (name, ascii) = (name(&title), ascii_name(&title));
            for name in [&name, &ascii] {
                proptest::prop_assert!(!name.is_empty() && name.len() <= MAX_BYTES + 20);
                proptest::prop_assert!(!name.contains(['/', '\\', ':', '"', '\0', '\r', '\n']));
                proptest::prop_assert!(!name.starts_with('.') && !name.ends_with(['.', ' ']));
            }
            let header = attachment(&title, "json");
            proptest::prop_assert!(header.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
            let encoded = header.split_once("UTF-8''").expect("it is there").1;
            let decoded = percent_encoding::percent_decode_str(encoded).decode_utf8_lossy();
            proptest::prop_assert_eq!(decoded, format!("{name}.json"));
        }
    }
}
