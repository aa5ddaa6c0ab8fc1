//! Separates reasoning that a model writes into its text between `<think>` and `</think>`, as raw Qwen and
//! DeepSeek-R1 do behind servers that do not handle it.
//!
//! Only a block at the beginning of the answer is reasoning: later tags may be the subject of the answer. The
//! tags may be split anywhere, and at most the length of a tag is held back.
//!
//! The templates of newer models write the opening tag themselves, so that the answer begins within the
//! reasoning. Whether a model does so is learnt from its first answers. Until then, the beginning of an answer
//! without an opening tag is held back for a few words and then shown as reasoning. If the answer turns out to
//! have no reasoning, all of it becomes text.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use app::protocol::ChatEvent;

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// The bytes of an answer without an opening tag that are held back before it counts as reasoning. A short
/// answer is complete by then.
const HELD_HEAD: usize = 256;

/// How a model begins its answers, if it writes tags. Shared by all answers of a model.
///
/// 0 means unknown.
#[derive(Debug, Default)]
pub struct Habit(AtomicU8);

impl Habit {
    /// Within reasoning: the template has the opening tag.
    const IN_REASONING: u8 = 1;
    /// With the answer, if there is no opening tag.
    const IN_ANSWER: u8 = 2;

    fn get(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }

    fn learn(&self, habit: u8) {
        self.0.store(habit, Ordering::Relaxed);
    }
}

/// Separates reasoning from text in one answer.
#[derive(Debug, Default)]
pub struct ThinkTags {
    place: TagState,
    /// A possible beginning of a tag, and white space before it.
    held: String,
    /// Reasoning without an opening tag, which may be the answer.
    unopened: String,
    /// Whether the server sends reasoning in its own field. Text in tags is a repetition then.
    is_told_apart: bool,
    habit: Arc<Habit>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum TagState {
    /// Only white space so far.
    #[default]
    Head,
    /// After a beginning without the opening tag: reasoning if the closing tag comes.
    Unclear,
    Reasoning,
    /// Within reasoning without an opening tag.
    Unopened,
    /// After the closing tag, where models write blank lines.
    Gap,
    Answer,
}

impl ThinkTags {
    /// The separator for an answer of a model with this habit.
    #[must_use]
    pub fn new(habit: Arc<Habit>) -> Self {
        Self {
            habit,
            ..Self::default()
        }
    }

    /// Maps an event and passes the result on.
    pub fn map(&mut self, event: ChatEvent<'_>, out: &mut impl FnMut(ChatEvent<'_>)) {
        match event {
            ChatEvent::Text(text) if self.place != TagState::Answer => self.split(&text, out),
            ChatEvent::Text(text) => {
                if self.habit.get() == Habit::IN_ANSWER && text.contains(CLOSE) {
                    self.habit.learn(Habit::IN_REASONING);
                }
                out(ChatEvent::Text(text));
            }
            ChatEvent::Reasoning(thought) => {
                self.is_told_apart = true;
                if self.place == TagState::Unclear {
                    self.place = TagState::Answer;
                    self.flush(true, out);
                }
                out(ChatEvent::Reasoning(thought));
            }
            other => out(other),
        }
    }

    /// Passes on text that was held back, because no more text will come. `is_whole` is false after a failure.
    pub fn flush(&mut self, is_whole: bool, out: &mut impl FnMut(ChatEvent<'_>)) {
        let held = std::mem::take(&mut self.held);
        match self.place {
            TagState::Unopened if is_whole => {
                self.habit.learn(Habit::IN_ANSWER);
                let whole = std::mem::take(&mut self.unopened) + &held;
                out(ChatEvent::Text(whole.into()));
            }
            _ if held.is_empty() => {}
            TagState::Reasoning | TagState::Unopened if self.is_told_apart => {}
            TagState::Reasoning | TagState::Unopened => out(ChatEvent::Reasoning(held.into())),
            _ => out(ChatEvent::Text(held.into())),
        }
    }

    fn split(&mut self, text: &str, out: &mut impl FnMut(ChatEvent<'_>)) {
        let is_reasoning = matches!(self.place, TagState::Reasoning | TagState::Unopened);
        if is_reasoning && self.held.is_empty() && !text.contains('<') {
            // No tag begins in most pieces, so they need not be held.
            if self.place == TagState::Unopened {
                self.unopened.push_str(text);
            }
            if !self.is_told_apart {
                out(ChatEvent::Reasoning(text.into()));
            }
            return;
        }
        self.held.push_str(text);
        loop {
            match self.place {
                TagState::Head => {
                    let head = self.held.trim_start();
                    if let Some(rest) = head.strip_prefix(OPEN) {
                        self.held = rest.to_owned();
                        self.place = TagState::Reasoning;
                    } else if OPEN.starts_with(head) {
                        return;
                    } else {
                        self.place = match self.habit.get() {
                            _ if self.is_told_apart => TagState::Answer,
                            Habit::IN_ANSWER => TagState::Answer,
                            Habit::IN_REASONING => TagState::Unopened,
                            _ => TagState::Unclear,
                        };
                    }
                }
                TagState::Unclear => match (self.held.find(OPEN), self.held.find(CLOSE)) {
                    (Some(open), close) if close.is_none_or(|close| open < close) => {
                        self.place = TagState::Answer;
                    }
                    (_, Some(_)) => self.place = TagState::Unopened,
                    (_, None) if self.held.len() > HELD_HEAD => self.place = TagState::Unopened,
                    (_, None) => return,
                },
                TagState::Reasoning | TagState::Unopened => {
                    let (thought, rest) = match self.held.split_once(CLOSE) {
                        Some((thought, rest)) => (thought, Some(rest.to_owned())),
                        None => (&self.held[..certain(&self.held)], None),
                    };
                    if self.place == TagState::Unopened {
                        if rest.is_some() {
                            self.habit.learn(Habit::IN_REASONING);
                            self.unopened = String::new();
                        } else {
                            self.unopened.push_str(thought);
                        }
                    }
                    if !thought.is_empty() && !self.is_told_apart {
                        out(ChatEvent::Reasoning(thought.into()));
                    }
                    let length = thought.len();
                    let Some(rest) = rest else {
                        self.held.drain(..length);
                        return;
                    };
                    self.held = rest;
                    self.place = TagState::Gap;
                }
                TagState::Gap => {
                    let blank = self.held.len() - self.held.trim_start().len();
                    self.held.drain(..blank);
                    if self.held.is_empty() {
                        return;
                    }
                    self.place = TagState::Answer;
                }
                TagState::Answer => return self.flush(true, out),
            }
        }
    }
}

/// The bytes of a text that cannot be the beginning of the closing tag.
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
        split_of(&Arc::default(), pieces)
    }

    /// The same of a model with this habit.
    fn split_of(habit: &Arc<Habit>, pieces: &[&str]) -> (String, String) {
        let mut tags = ThinkTags::new(Arc::clone(habit));
        let (mut text, mut reasoning) = (String::new(), String::new());
        let mut out = |event: ChatEvent<'_>| match event {
            ChatEvent::Text(piece) => text.push_str(&piece),
            ChatEvent::Reasoning(piece) => reasoning.push_str(&piece),
            other => panic!("{other:?}"),
        };
        for piece in pieces {
            tags.map(ChatEvent::Text((*piece).into()), &mut out);
        }
        tags.flush(true, &mut out);
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

    #[test]
    fn reasoning_whose_opening_tag_the_template_holds_is_told_apart() {
        check("Okay.\n</think>\n\nHello!", "Hello!", "Okay.\n");
        check("</think>Hello!", "Hello!", "");
        check("a</think>b<think>c</think>", "b<think>c</think>", "a");
        let long = "I think of water. ".repeat(50);
        check(&format!("{long}</think>Hello!"), "Hello!", &long);
    }

    #[test]
    fn a_model_without_tags_is_shown_as_text_from_its_second_long_answer_on() {
        let habit = Arc::default();
        let long = "It is a small stream. ".repeat(50);
        assert_eq!(
            split_of(&habit, &["Short."]),
            ("Short.".into(), String::new())
        );
        // Nothing of the first is lost, although it looked like reasoning for a while.
        assert_eq!(split_of(&habit, &[&long]).0, long);
        assert_eq!(split_of(&habit, &[&long]), (long.clone(), String::new()));
        // Should it think after all, that is known the next time.
        let thinking = format!("{long}</think>Hi");
        assert_eq!(
            split_of(&habit, &["a", &thinking]).0,
            format!("a{thinking}")
        );
        assert_eq!(
            split_of(&habit, &["a", &thinking]),
            ("Hi".into(), format!("a{long}"))
        );
    }

    #[test]
    fn what_was_cut_off_while_it_looked_like_reasoning_stays_reasoning() {
        let mut tags = ThinkTags::default();
        let long = "I think of water. ".repeat(50);
        let mut text = String::new();
        let mut out = |event: ChatEvent<'_>| {
            if let ChatEvent::Text(piece) = event {
                text.push_str(&piece);
            }
        };
        tags.map(ChatEvent::Text(long.as_str().into()), &mut out);
        tags.flush(false, &mut out);
        assert_eq!(text, "");
    }

    #[test]
    fn where_the_server_tells_reasoning_apart_the_text_is_the_answer() {
        let mut tags = ThinkTags::default();
        let mut events = Vec::new();
        for event in [
            ChatEvent::Reasoning("Hm".into()),
            ChatEvent::Text("Hi </think>".into()),
        ] {
            tags.map(event, &mut |event| events.push(format!("{event:?}")));
        }
        assert_eq!(events, ["Reasoning(\"Hm\")", "Text(\"Hi </think>\")"]);
    }

    #[test]
    fn reasoning_that_comes_in_tags_and_in_a_field_is_shown_once() {
        let mut tags = ThinkTags::default();
        let mut events = Vec::new();
        for event in [
            ChatEvent::Reasoning("Hm".into()),
            ChatEvent::Text("<think>Hm".into()),
            ChatEvent::Reasoning(".".into()),
            ChatEvent::Text(".</think>Hi".into()),
        ] {
            tags.map(event, &mut |event| events.push(format!("{event:?}")));
        }
        let expect = ["Reasoning(\"Hm\")", "Reasoning(\".\")", "Text(\"Hi\")"];
        assert_eq!(events, expect);
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
