//! Any text in any pieces: it does not panic, its tree is not too deep, and streamed it ends as the same
//! document as read at once.
//!
//! `cargo +nightly fuzz run markdown -- -max_len=400 -timeout=20`

#![no_main]

#[path = "../words.rs"]
mod words;

use app::markdown::proof::{WORDS, check};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, Vec<u8>, &[u8])| {
    let (step, lengths, text) = input;
    let text = words::text(text, WORDS);
    check(&text, &lengths, 1 + usize::from(step));
});
