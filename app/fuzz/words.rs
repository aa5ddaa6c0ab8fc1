//! Texts of what means something: a fuzzer that had to find each letter would seldom come to two words.

/// The longest text that is made.
const LONGEST: usize = 4096;

/// The text that these bytes stand for: ASCII for itself, most others for a word, and the last few for
/// the word before them over and over.
pub fn text(bytes: &[u8], words: &[&str]) -> String {
    let mut text = String::new();
    let mut last = String::new();
    for &byte in bytes {
        match byte {
            0..0x80 => last = char::from(byte).to_string(),
            0x80..0xf8 => last = words[usize::from(byte - 0x80) % words.len()].to_owned(),
            _ => last = last.repeat(1 << (byte - 0xf8)),
        }
        if text.len() + last.len() > LONGEST {
            break;
        }
        text.push_str(&last);
    }
    text
}
