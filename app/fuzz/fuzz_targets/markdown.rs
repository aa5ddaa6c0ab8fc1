//! Any text in any pieces: it does not panic, its tree is not too deep, and streamed it ends as the same
//! document as read at once.
//!
//! `cargo +nightly fuzz run markdown -- -max_len=400 -timeout=20`

#![no_main]

#[path = "../words.rs"]
mod words;

use libfuzzer_sys::fuzz_target;

/// What means something in Markdown.
const WORDS: &[&str] = &[
    "> ", "- ", "* ", "+ ", "1. ", "22) ", "[^a]: ", "[^a]", "[a]: https://b.c\n", "[a]", "](b)",
    "](https://a.b)", "![", "[![", "\n", "\n\n", "\n    ", "\n  ", "\n   ", "\t", "    ", "# ",
    "---\n", "===\n", "```\n", "```rust\n", "~~~", "``", "**", "__", "~~", "***", "*a ", " a*",
    "**a ", " a**", "_a ", " a_", "~~a ", " a~~", "<b>", "</b>", "<div>\n", "</div>", "<!--", "-->",
    "<br>", "<https://a.b>", "https://a.b/c", "www.a.b", "a@b.cd", "| a | b |\n|---|:-:|\n", "|-|",
    "| x |", "$$", "$x^2$", "\\(", "\\)", "\\[", "\\]", "\\*", "&amp;", "[ ] ", "[x] ", "\r", "\r\n",
    "word word ", "\u{6f22}\u{5b57}", "\u{e9}", "\u{1f}", "\u{1f468}\u{200d}\u{1f469}",
];

fuzz_target!(|input: (u8, Vec<u8>, &[u8])| {
    let (step, lengths, text) = input;
    let text = words::text(text, WORDS);
    app::markdown::proof::check(&text, &lengths, 1 + usize::from(step));
});
