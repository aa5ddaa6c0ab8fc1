//! Random texts, streamed in random pieces, end as the documents that they are when they are read at once.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::proof::{self, SHORT, WORDS, streamed, whole};

fn cut<'a>(text: &'a str, cuts: &[prop::sample::Index]) -> Vec<&'a str> {
    let mut at: Vec<_> = cuts
        .iter()
        .map(|cut| {
            let mut at = cut.index(text.len() + 1);
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            at
        })
        .chain([0, text.len()])
        .collect();
    at.sort_unstable();
    at.windows(2).map(|cut| &text[cut[0]..cut[1]]).collect()
}

/// Bits of Markdown that mean something together.
const FRAGMENTS: &[&str] = &[
    "a",
    "b c",
    "word",
    " ",
    " ",
    "  ",
    "\n",
    "\n",
    "\n\n",
    "\n\n",
    "\n    ",
    "\n  ",
    "\n   ",
    "- ",
    "* ",
    "+ ",
    "1. ",
    "2) ",
    "10. ",
    "> ",
    ">",
    "# ",
    "## ",
    "---",
    "***",
    "===",
    "=",
    "-",
    "**",
    "*",
    "_",
    "__",
    "~~",
    "`",
    "``",
    "```",
    "```rust\n",
    "~~~",
    "[",
    "]",
    "(",
    ")",
    "[a]",
    "[a](b)",
    "[a]: /u",
    "[^1]",
    "[^1]: ",
    "![x](http://y.z)",
    "[![x](http://y.z)](http://a.b)",
    "![![x](http://y.z)](http://a.b)",
    "<b>",
    "</b>",
    "<div>",
    "<!--",
    "-->",
    "<br>",
    "<",
    ">",
    "<http://a.b>",
    "https://example.com/x",
    "www.example.com",
    "a@b.cd",
    "|",
    "| a | b |\n|---|:-:|\n",
    "|-|",
    "| x |",
    "$",
    "$$",
    "$x^2$",
    "\\(",
    "\\)",
    "\\[",
    "\\]",
    "\\",
    "\\*",
    "&amp;",
    "&",
    "[ ] ",
    "[x] ",
    "é",
    "漢字",
    "漢字2024年",
    "👩‍👩‍👧",
    "\t",
    "!",
    ":",
    "word word word word",
    "5$",
    "$4",
    "**$5**",
    "$HOME/bin:$PATH",
    "**「重点」**",
    "，",
    "「",
    "」",
    "（",
    "~",
    "3~5",
    "\n$$\n",
    "\n\\[\n",
    "\n\\]\n",
    "<br>\n",
    "\n- b\n",
    "\n= ",
    "见https://a.b/c。",
    "\\text{",
    "{",
    "}",
    "مرحبا ",
];

fn fragment() -> impl Strategy<Value = String> {
    prop::sample::select(FRAGMENTS).prop_map(str::to_owned)
}

proptest! {
    #![proptest_config(random_cases())]

    #[test]
    fn a_streamed_text_ends_as_the_whole_text(
        parts in proptest::collection::vec(fragment(), 0..40),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..30),
        step in 1_usize..40,
    ) {
        let text = parts.concat();
        let pieces = cut(&text, &cuts);
        prop_assert_eq!(streamed(&pieces, step, SHORT), whole(&text), "{:?}", text);
    }

    #[test]
    fn characters_of_any_kind_end_as_the_whole_text(
        text in "[ab \n`*_#>|~$<&\\[\\]()!:1.+=\\-\\\\]{0,60}",
        step in 1_usize..20,
    ) {
        let characters: Vec<_> = text.split("").filter(|c| !c.is_empty()).collect();
        prop_assert_eq!(streamed(&characters, step, SHORT), whole(&text), "{:?}", text);
    }

    #[test]
    fn words_that_mean_something_end_as_the_whole_text_within_any_limits(
        words in proptest::collection::vec((prop::sample::select(WORDS), 0_u32..40), 0..40),
        lengths in proptest::collection::vec(any::<u8>(), 0..40),
        is_in_characters in any::<bool>(),
        step in 1_usize..40,
    ) {
        let mut text = String::new();
        for (word, times) in words {
            // Most occur once, some often.
            text.push_str(&word.repeat(1 << times.saturating_sub(35)));
        }
        let lengths = if is_in_characters { vec![1; text.len()] } else { lengths };
        proof::check(&text, &lengths, step);
    }
}

/// As many random cases as `PROPTEST_CASES` says. Without it they are the same ones each time, so that a run fails
/// only because of what was changed; the fuzz targets look for new ones.
pub(super) fn random_cases() -> ProptestConfig {
    let asked_for = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok());
    match asked_for {
        Some(cases) => ProptestConfig::with_cases(cases),
        None => ProptestConfig {
            rng_seed: RngSeed::Fixed(1),
            ..ProptestConfig::with_cases(512)
        },
    }
}
