//! A container has the same direction however its text comes: a letter that turns out to be none, since it belongs to a
//! tag, an address or a formula, does not count.

use proptest::prelude::*;

use super::proof::{PARTED, SHALLOW, SHORT, check_within, pieces};
use super::random_tests::random_cases;

/// Streams a text by characters, and in two pieces that meet at places near its end.
#[track_caller]
fn check(text: &str) {
    for limits in [PARTED, SHORT] {
        check_within(text, &pieces(text, vec![1; text.len()]), 1, limits);
        for before_end in [2, 5, 9, 17] {
            let at = text.len().saturating_sub(before_end);
            check_within(text, &pieces(text, [at]), 1, limits);
        }
    }
}

/// What holds letters that do not count where it is whole.
const LETTERS: &[&str] = &[
    "<br>",
    "<br/>",
    "$x$",
    "$\\hat x$",
    "\\(x\\)",
    "[1](http://a.b)",
    "![1](http://a.b)",
    "[](javascript:a)",
    "[2][a]",
    "[^a]",
    "<!-- a -->",
    "&lt;",
    "`a`",
    "`1`",
];

/// What may be around these.
const CONTAINERS: &[&str] = &[
    "- ", "> ", "1. ", "- > ", "> - ", "1. - > ", "- 12\n- ", "[^a]: > ",
];

#[test]
fn letters_of_what_is_cut_by_a_part_count_in_both_ways_or_in_none() {
    for container in CONTAINERS {
        for letters in LETTERS {
            for numbers in (36..50).step_by(2) {
                let numbers = "1".repeat(numbers);
                check(&format!("{container}{numbers}{letters}"));
            }
            check(&format!("{container}{} 12 \u{645}", letters.repeat(8)));
        }
    }
}

#[test]
fn letters_of_what_is_not_whole_yet_do_not_stay() {
    for container in CONTAINERS {
        for letters in LETTERS {
            for after in [" \u{645}", " a", " 1", "\n\n\u{645}", "\n- \u{645}"] {
                check(&format!("{container}12 34 56 78 90 12 34 {letters}{after}"));
                check(&format!(
                    "{container}12\n34 56\n78 90 12 34\n{letters}{after}"
                ));
                check(&format!(
                    "{container}12 34 56 78 {letters}{after}\n\n[a]: http://b.c"
                ));
            }
        }
    }
}

proptest! {
    #![proptest_config(random_cases())]

    #[test]
    fn a_text_almost_without_letters_has_the_same_directions_however_it_comes(
        before in prop::sample::select(CONTAINERS),
        words in prop::collection::vec(word(), 1..40),
        after in prop::sample::select(vec!["", "\n\n[a]: http://b.c", "\n\n[^a]: 1", "\n\n12 \u{645}"]),
        lengths in prop::collection::vec(1..30_usize, 0..12),
    ) {
        let text = format!("{before}{}{after}", words.concat());
        for limits in [PARTED, SHORT, SHALLOW] {
            check_within(&text, &pieces(&text, lengths.iter().copied()), 1, limits);
            check_within(&text, &pieces(&text, vec![1; text.len()]), 1, limits);
        }
    }
}

fn word() -> impl Strategy<Value = &'static str> {
    let plain = [
        "12 34 ",
        "(",
        "1",
        "1111111",
        " ",
        "\n",
        "\n\n",
        "\n- ",
        "\n> ",
        "\n  - ",
        "**",
        "| 1 | 2 |\n|-|-|\n",
    ];
    prop_oneof![
        8 => prop::sample::select(plain.to_vec()),
        4 => prop::sample::select(LETTERS),
        1 => prop::sample::select(vec!["a", "\u{645}"]),
    ]
}
