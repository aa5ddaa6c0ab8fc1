//! In which direction a text is written: that of its first letter, as `dir="auto"` of HTML has it. A browser does not
//! look for it within elements that have a direction of their own, so containers of paragraphs need theirs from here.

/// Whether the first letter of a text belongs to a script that is written from right to left; `None` if it has none.
pub(super) fn of(text: &str) -> Option<bool> {
    text.chars().find_map(of_character)
}

fn of_character(c: char) -> Option<bool> {
    if c.is_ascii() {
        return c.is_ascii_alphabetic().then_some(false);
    }
    match c {
        '\u{200e}' => Some(false),
        '\u{200f}' => Some(true),
        // Hebrew, Arabic, Syriac, Thaana, N'Ko and the others; without their digits, points and signs.
        '\u{590}'..='\u{8ff}'
        | '\u{fb1d}'..='\u{fdff}'
        | '\u{fe70}'..='\u{fefe}'
        | '\u{10800}'..='\u{10fff}'
        | '\u{1e800}'..='\u{1efff}' => {
            let is_point =
                matches!(c, '\u{591}'..='\u{5bd}' | '\u{610}'..='\u{61a}' | '\u{64b}'..='\u{65f}');
            (c.is_alphabetic() && !is_point).then_some(true)
        }
        _ => c.is_alphabetic().then_some(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_letter_decides() {
        for (text, expect) in [
            ("1. (abc", Some(false)),
            ("«مرحبا» abc", Some(true)),
            ("٣، שלום", Some(true)),
            ("漢字 مرحبا", Some(false)),
            ("\u{200f}abc", Some(true)),
            ("12 – 34 ٣", None),
        ] {
            assert_eq!(of(text), expect, "{text:?}");
        }
    }
}
