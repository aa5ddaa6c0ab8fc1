//! Recognises text that repeats text which was emitted before.
//!
//! Some servers send the whole message once more at the end, or the text so far with each event.

/// The most bytes of an answer's beginning that are kept.
const HEAD: usize = 64;

/// The text that came in pieces: its length and its beginning.
#[derive(Debug, Default)]
pub(in crate::providers) struct EmittedText {
    bytes: usize,
    pieces: usize,
    head: Vec<u8>,
}

impl EmittedText {
    /// Records a piece.
    pub(in crate::providers) fn add(&mut self, piece: &str) {
        if self.bytes < HEAD {
            let end = piece.len().min(HEAD);
            self.head.extend_from_slice(&piece.as_bytes()[..end]);
        }
        self.bytes += piece.len();
        self.pieces += 1;
    }

    /// Whether a text repeats the whole answer. A text that equals the only piece so far may be a coincidence
    /// and does not count.
    pub(in crate::providers) fn is_repeated_by(&self, text: &str) -> bool {
        self.pieces > 1 && text.len() == self.bytes && self.begins(text)
    }

    /// Whether any piece came.
    pub(in crate::providers) fn is_any(&self) -> bool {
        self.pieces > 0
    }

    fn begins(&self, text: &str) -> bool {
        let length = self.head.len().min(text.len());
        text.as_bytes()[..length] == self.head[..length]
    }
}

/// A text of which each piece may repeat all pieces before it.
#[derive(Debug, Default)]
pub(in crate::providers) struct CumulativeText {
    so_far: String,
}

impl CumulativeText {
    /// The same where most servers send pieces: a piece counts as a repetition only if it begins with several
    /// letters of the text so far.
    pub(in crate::providers) fn rest_of_piece<'a>(&mut self, piece: &'a str) -> &'a str {
        if self.so_far.len() < 4 {
            self.so_far.push_str(piece);
            return piece;
        }
        self.rest(piece)
    }

    /// The new part of a piece.
    pub(in crate::providers) fn rest<'a>(&mut self, piece: &'a str) -> &'a str {
        let new = piece.strip_prefix(self.so_far.as_str()).unwrap_or(piece);
        self.so_far.push_str(new);
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_message_again_is_told_from_a_piece() {
        let said = |pieces: &[&str]| {
            let mut said = EmittedText::default();
            pieces.iter().for_each(|piece| said.add(piece));
            said
        };
        assert!(said(&["Hello ", "world"]).is_repeated_by("Hello world"));
        assert!(!said(&["Hello ", "world"]).is_repeated_by("Hello"));
        assert!(!said(&["Hello ", "world"]).is_repeated_by("hello world"));
        assert!(!said(&["ha"]).is_repeated_by("ha"));
        let long = "é".repeat(100);
        assert!(said(&[&long, "x"]).is_repeated_by(&format!("{long}x")));
        assert!(!said(&["x", &long]).is_repeated_by(&format!("{long}x")));
    }

    #[test]
    fn only_what_is_new_is_taken_from_a_text_that_grows() {
        let mut growing = CumulativeText::default();
        let pieces = ["A", "AB", "AB", "ABC", "D"];
        let new: Vec<&str> = pieces.iter().map(|piece| growing.rest(piece)).collect();
        assert_eq!(new, ["A", "B", "", "C", "D"]);
        let mut growing = CumulativeText::default();
        let pieces = ["a", "and", " more", "aand more than"];
        let new: Vec<&str> = pieces
            .iter()
            .map(|piece| growing.rest_of_piece(piece))
            .collect();
        assert_eq!(new, ["a", "and", " more", " than"]);
    }
}
