//! Reasoning that a model writes into its text, between `<think>` and `</think>`, as raw Qwen and
//! DeepSeek-R1 do behind servers that do not look for it.
//!
//! Only a block at the head of the answer is taken for reasoning: further down the tags may be what
//! the answer is about. The tags may be split anywhere; no more than a tag's length is held back.

use app::protocol::ChatEvent;

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// Tells reasoning from text. One reads one answer.
#[derive(Debug, Default)]
pub struct ThinkTags {
    place: Place,
    /// What may be the beginning of a tag, and blank space before one.
    held: String,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Nothing but blank space so far.
    #[default]
    Head,
    Reasoning,
    /// Behind the closing tag, where a model writes blank lines before it answers.
    Gap,
    Answer,
}

impl ThinkTags {
    /// Hands on an event, or what it is in truth.
    pub fn map(&mut self, event: ChatEvent<'_>, out: &mut impl FnMut(ChatEvent<'_>)) {
        match event {
            ChatEvent::Text(text) if self.place != Place::Answer => self.split(&text, out),
            other => out(other),
        }
    }

    /// Hands on what was held back, since nothing more will come that could make a tag of it.
    pub fn flush(&mut self, out: &mut impl FnMut(ChatEvent<'_>)) {
        let held = std::mem::take(&mut self.held);
        match self.place {
            _ if held.is_empty() => {}
            Place::Reasoning => out(ChatEvent::Reasoning(held.into())),
            _ => out(ChatEvent::Text(held.into())),
        }
    }

    fn split(&mut self, text: &str, out: &mut impl FnMut(ChatEvent<'_>)) {
        self.held.push_str(text);
        loop {
            match self.place {
                Place::Head => {
                    let head = self.held.trim_start();
                    if let Some(rest) = head.strip_prefix(OPEN) {
                        self.held = rest.to_owned();
                        self.place = Place::Reasoning;
                    } else if OPEN.starts_with(head) {
                        return;
                    } else {
                        self.place = Place::Answer;
                    }
                }
                Place::Reasoning => {
                    let (thought, rest) = match self.held.split_once(CLOSE) {
                        Some((thought, rest)) => (thought, Some(rest.to_owned())),
                        None => (&self.held[..certain(&self.held)], None),
                    };
                    if !thought.is_empty() {
                        out(ChatEvent::Reasoning(thought.into()));
                    }
                    let length = thought.len();
                    let Some(rest) = rest else {
                        self.held.drain(..length);
                        return;
                    };
                    self.held = rest;
                    self.place = Place::Gap;
                }
                Place::Gap => {
                    let blank = self.held.len() - self.held.trim_start().len();
                    self.held.drain(..blank);
                    if self.held.is_empty() {
                        return;
                    }
                    self.place = Place::Answer;
                }
                Place::Answer => return self.flush(out),
            }
        }
    }
}

/// How much of a text is certainly no beginning of the closing tag, in bytes.
fn certain(text: &str) -> usize {
    (1..CLOSE.len())
        .rev()
        .find(|length| text.ends_with(&CLOSE[..*length]))
        .map_or(text.len(), |length| text.len() - length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(pieces: &[&str]) -> (String, String) {
        let mut tags = ThinkTags::default();
        let (mut text, mut reasoning) = (String::new(), String::new());
        let mut out = |event: ChatEvent<'_>| match event {
            ChatEvent::Text(piece) => text.push_str(&piece),
            ChatEvent::Reasoning(piece) => reasoning.push_str(&piece),
            other => panic!("{other:?}"),
        };
        for piece in pieces {
            tags.map(ChatEvent::Text((*piece).into()), &mut out);
        }
        tags.flush(&mut out);
        (text, reasoning)
    }

    fn check(whole: &str, text: &str, reasoning: &str) {
        let expect = (text.to_owned(), reasoning.to_owned());
        assert_eq!(split(&[whole]), expect, "{whole}");
        let letters: Vec<String> = whole.chars().map(String::from).collect();
        let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
        assert_eq!(split(&letters), expect, "{whole}, letter by letter");
    }

    #[test]
    fn only_a_block_at_the_head_is_reasoning() {
        check("<think>hmm</think>Hi", "Hi", "hmm");
        check(
            "\n<think>\nhmm</thin</think>\n\nHi\n",
            "Hi\n",
            "\nhmm</thin",
        );
        check("<think></think>Hi", "Hi", "");
        check("Hi <think>no</think>", "Hi <think>no</think>", "");
        check("<thinking>no", "<thinking>no", "");
        check(
            "<think>a</think>b<think>c</think>",
            "b<think>c</think>",
            "a",
        );
        check("<think>never closed </th", "", "never closed </th");
        check("<thi", "<thi", "");
        check(" \n", " \n", "");
    }

    proptest! {
        #[test]
        fn where_the_text_is_split_makes_no_difference(
            whole in "(\n|<think>|</think>|</th|<|é|ab){0,8}",
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..4),
        ) {
            let mut borders: Vec<usize> = cuts.iter().map(|cut| {
                (0..=cut.index(whole.len() + 1)).rev().find(|at| whole.is_char_boundary(*at)).unwrap_or(0)
            }).collect();
            borders.extend([0, whole.len()]);
            borders.sort_unstable();
            let pieces: Vec<&str> = borders.windows(2).map(|pair| &whole[pair[0]..pair[1]]).collect();
            prop_assert_eq!(split(&pieces), split(&[&whole]));
        }
    }
}
