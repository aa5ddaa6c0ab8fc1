//! The direction of the message field.
//!
//! With `dir="auto"` each paragraph has the direction of its own first letter. Chromium then looks for that letter again
//! at each line that it lays out, so a paragraph of a megabyte takes seconds for each key. A long text therefore has
//! one direction.

use leptos::web_sys::{HtmlTextAreaElement, InputEvent};

/// The most bytes of a text whose paragraphs have directions of their own.
const SHORT: usize = 32 * 1024;
const BY_PARAGRAPH: &str = "auto";

/// Chooses the direction before this input changes the field: a browser lays a pasted text out at once.
pub(super) fn before_input(field: &HtmlTextAreaElement, input: &InputEvent) {
    let length = field.text_length() as usize;
    let added = input.data().unwrap_or_default();
    if length + added.len() <= SHORT || field.dir() != BY_PARAGRAPH {
        return;
    }
    let is_rtl = if length == 0 {
        is_rtl(&added)
    } else {
        field.matches(":dir(rtl)").unwrap_or(false)
    };
    field.set_dir(name(is_rtl));
}

/// Returns to the directions of the paragraphs where the text has become short.
pub(super) fn after_input(field: &HtmlTextAreaElement) {
    if field.text_length() as usize <= SHORT && field.dir() != BY_PARAGRAPH {
        field.set_dir(BY_PARAGRAPH);
    }
}

/// Chooses the direction before the field gets this text.
pub(super) fn before_value(field: &HtmlTextAreaElement, text: &str) {
    let direction = if text.len() <= SHORT {
        BY_PARAGRAPH
    } else {
        name(is_rtl(text))
    };
    if field.dir() != direction {
        field.set_dir(direction);
    }
}

fn name(is_rtl: bool) -> &'static str {
    if is_rtl { "rtl" } else { "ltr" }
}

/// Whether the first letter of a text is of a script that is written from right to left.
fn is_rtl(text: &str) -> bool {
    let first = text.chars().find(|letter| letter.is_alphabetic());
    // From Hebrew to Arabic Extended-A, the presentation forms of both, and the old and the African scripts.
    first.is_some_and(|letter| {
        matches!(letter, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}'
            | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}')
    })
}

#[cfg(test)]
mod tests {
    use super::is_rtl;

    #[test]
    fn the_first_letter_decides_the_direction() {
        let check = |text: &str, expect: bool| assert_eq!(is_rtl(text), expect, "{text}");
        check("", false);
        check("12 (…) word שלום", false);
        check("12 (…) שלום word", true);
        check("مرحبا", true);
        check("𞤀𞤣𞤤𞤢𞤥", true);
        check("字", false);
    }
}
