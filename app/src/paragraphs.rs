//! Text that arrives in pieces, cut into paragraphs at blank lines.
//!
//! It looks at each character once and keeps nothing but the white space whose meaning the next
//! character decides: line breaks and the indentation after them. So leading and trailing blank lines
//! are never shown, and how a text was cut into pieces makes no difference.

/// What to do with the next bit of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bit<'a> {
    /// Open a new paragraph; the one before is closed for ever.
    Paragraph,
    /// Append to the open paragraph.
    Text(&'a str),
}

/// Where in the text we are.
#[derive(Debug, Clone, Default)]
pub struct Paragraphs {
    has_begun: bool,
    /// Line breaks since the last visible character.
    breaks: usize,
    /// White space since the last line break, while the line has nothing else.
    indent: String,
}

impl Paragraphs {
    /// Takes the next piece of the text.
    pub fn feed(&mut self, piece: &str, mut take: impl FnMut(Bit<'_>)) {
        for part in piece.split_inclusive('\n') {
            let (line, is_whole) = part
                .strip_suffix('\n')
                .map_or((part, false), |line| (line, true));
            self.feed_line(line, &mut take);
            if is_whole {
                self.breaks += 1;
                self.indent.clear();
            }
        }
    }

    fn feed_line(&mut self, line: &str, take: &mut impl FnMut(Bit<'_>)) {
        let at_line_start = self.breaks > 0 || !self.has_begun;
        if !at_line_start {
            if !line.is_empty() {
                take(Bit::Text(line));
            }
            return;
        }
        let text = line.trim_start();
        self.indent.push_str(&line[..line.len() - text.len()]);
        if text.is_empty() {
            return;
        }
        match self.breaks {
            _ if !self.has_begun => take(Bit::Paragraph),
            1 => take(Bit::Text("\n")),
            _ => take(Bit::Paragraph),
        }
        if !self.indent.is_empty() {
            take(Bit::Text(&self.indent));
        }
        take(Bit::Text(text));
        self.has_begun = true;
        self.breaks = 0;
        self.indent.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn paragraphs(pieces: &[&str]) -> Vec<String> {
        let mut state = Paragraphs::default();
        let mut got: Vec<String> = Vec::new();
        for piece in pieces {
            state.feed(piece, |bit| match bit {
                Bit::Paragraph => got.push(String::new()),
                Bit::Text(text) => got
                    .last_mut()
                    .expect("a paragraph comes first")
                    .push_str(text),
            });
        }
        got
    }

    #[track_caller]
    fn check(text: &str, expect: &[&str]) {
        assert_eq!(paragraphs(&[text]), expect, "{text:?}");
    }

    #[test]
    fn blank_lines_part_paragraphs_and_single_breaks_stay() {
        check("", &[]);
        check("one", &["one"]);
        check("one\n\ntwo,\nin two lines", &["one", "two,\nin two lines"]);
        check("one\n\n\n\ntwo", &["one", "two"]);
        check("one\n  \ntwo", &["one", "two"]);
        check("one\r\n\r\ntwo", &["one\r", "two"]);
    }

    #[test]
    fn blank_lines_at_the_beginning_and_end_are_not_shown() {
        check("\n\nHi", &["Hi"]);
        check("Hi\n\n", &["Hi"]);
        check(" \n ", &[]);
    }

    #[test]
    fn indentation_stays() {
        check("one\n\n    two", &["one", "    two"]);
        check("list\n  - item", &["list\n  - item"]);
        check("  first", &["  first"]);
    }

    #[test]
    fn text_is_there_before_its_line_ends() {
        assert_eq!(paragraphs(&["a ", "b"]), ["a b"]);
        assert_eq!(paragraphs(&["a\n", "\n", "b"]), ["a", "b"]);
    }

    proptest! {
        #[test]
        fn how_the_text_was_cut_makes_no_difference(
            text in "[ab \n\t]{0,40}",
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let mut at: Vec<_> = cuts.iter().map(|cut| cut.index(text.len() + 1)).chain([0, text.len()]).collect();
            at.sort_unstable();
            let pieces: Vec<_> = at.windows(2).map(|cut| &text[cut[0]..cut[1]]).collect();
            prop_assert_eq!(paragraphs(&pieces), paragraphs(&[&text]));
        }
    }
}
