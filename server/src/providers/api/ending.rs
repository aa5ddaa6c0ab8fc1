//! The state of the end of an answer: the finish reason, the token counts, and whether more will come.

use app::protocol::{ErrorKind, Finish, Usage};

use crate::providers::api::finish::{Meaning, meaning};
use crate::providers::api::json::is_last;
use crate::providers::error::Failure;

/// The state of an answer and its end.
#[derive(Debug, Default)]
pub(in crate::providers) struct Ending {
    /// The meaning of the last finish reason.
    word: Option<Meaning>,
    /// The token counts of the last event that had them. Some servers send them with every event.
    pub(in crate::providers) usage: Option<Usage>,
    /// Whether the model refused, whatever the finish reason is.
    pub(in crate::providers) refused: bool,
    /// Whether the model called a tool.
    pub(in crate::providers) called_tool: bool,
    /// Whether text came.
    has_text: bool,
    /// How often text came after a finish reason, which was not the end then.
    resumed: u32,
    /// An event that looked like an error, unless more of the answer came after it.
    suspicion: Option<Failure>,
    /// Whether the answer is over.
    pub(in crate::providers) done: bool,
}

/// How certain the end of an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::providers) enum EndCertainty {
    /// No finish reason came.
    Open,
    /// A finish reason came, and nothing after it.
    Ended,
    /// A finish reason came, but either the answer went on after an earlier one or no text came, so that more
    /// may follow.
    Doubtful,
}

impl Ending {
    /// Whether the answer is over at an event with this data: it was over before, or this is the last event of
    /// the stream.
    pub(super) fn is_over_at(&mut self, data: &str) -> bool {
        self.done = self.done || is_last(data);
        self.done
    }

    /// Records a piece of text.
    pub(in crate::providers) fn note_text(&mut self) {
        self.has_text = true;
        self.note_progress();
    }

    /// Records a piece of reasoning.
    pub(in crate::providers) fn note_reasoning(&mut self) {
        self.note_progress();
    }

    fn note_progress(&mut self) {
        if self.word.is_some() || self.suspicion.is_some() {
            self.suspicion = None;
            if self.word.is_some() {
                self.resumed = self.resumed.saturating_add(1);
            }
        }
    }

    /// How often the answer went on after a finish reason.
    pub(in crate::providers) fn resumed(&self) -> u32 {
        self.resumed
    }

    /// Records a finish reason. The last one that is not empty counts.
    pub(in crate::providers) fn note_word(&mut self, word: &str) {
        match meaning(word) {
            Meaning::Open => {}
            Meaning::Unknown => {
                // The word itself is not logged, because a provider's text may hold anything.
                let is_code = word.len() <= 48
                    && !word.starts_with("sk")
                    && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
                tracing::info!(
                    word = if is_code { word } else { "" },
                    "a provider ended an answer with an unknown word"
                );
                self.note(Meaning::Unknown);
            }
            known => self.note(known),
        }
    }

    /// Records how the answer ended.
    pub(in crate::providers) fn note(&mut self, meaning: Meaning) {
        self.word = Some(meaning);
        self.suspicion = None;
    }

    /// Records an event that may be an error.
    pub(in crate::providers) fn suspect(&mut self, failure: Failure) {
        if self.word.is_none() {
            self.suspicion.get_or_insert(failure);
        }
    }

    /// Records token counts. An earlier count stays if the new one is missing or 0.
    pub(in crate::providers) fn note_usage(&mut self, new: Usage) {
        let later = |new: Option<u64>, known: Option<u64>| match new {
            None | Some(0) => known.or(new),
            count => count,
        };
        let has_any = new.prompt_tokens.is_some()
            || new.completion_tokens.is_some()
            || new.reasoning_tokens.is_some()
            || new.cached_tokens.is_some()
            || new.cache_write_tokens.is_some();
        if !has_any && self.usage.is_none() {
            return;
        }
        let known = self.usage.get_or_insert_default();
        known.prompt_tokens = later(new.prompt_tokens, known.prompt_tokens);
        known.completion_tokens = later(new.completion_tokens, known.completion_tokens);
        known.reasoning_tokens = later(new.reasoning_tokens, known.reasoning_tokens);
        known.cached_tokens = later(new.cached_tokens, known.cached_tokens);
        known.cache_write_tokens = later(new.cache_write_tokens, known.cache_write_tokens);
    }

    /// How certain the end of the answer is.
    pub(in crate::providers) fn end_certainty(&self) -> EndCertainty {
        let has_answer = self.has_text || self.called_tool || self.refused;
        match self.word {
            None if !self.done => EndCertainty::Open,
            _ if self.done => EndCertainty::Ended,
            Some(Meaning::Ended(Finish::Stop)) if !has_answer => EndCertainty::Doubtful,
            _ if self.resumed > 0 => EndCertainty::Doubtful,
            _ => EndCertainty::Ended,
        }
    }

    /// How the answer ended, if it has.
    pub(in crate::providers) fn verdict(&self) -> Option<Result<Finish, Failure>> {
        let meaning = match self.word {
            Some(meaning) => meaning,
            None if !self.done => return None,
            None => {
                if let Some(failure) = &self.suspicion {
                    return Some(Err(failure.clone()));
                }
                Meaning::Unknown
            }
        };
        Some(match meaning {
            Meaning::Ended(Finish::Stop) if self.refused => Ok(Finish::Refusal),
            Meaning::Ended(Finish::Stop) if self.called_tool && !self.has_text => {
                Ok(Finish::ToolCalls)
            }
            Meaning::Ended(finish) => Ok(finish),
            Meaning::BrokenOff => Err(Failure::stream(ErrorKind::UpstreamError, "broken off")),
            Meaning::Unknown | Meaning::Open => {
                if self.refused {
                    Ok(Finish::Refusal)
                } else if self.has_text {
                    Ok(Finish::Stop)
                } else if self.called_tool {
                    Ok(Finish::ToolCalls)
                } else {
                    Err(Failure::stream(ErrorKind::UpstreamEmpty, "no text"))
                }
            }
        })
    }

    /// An event that looked like an error and was followed by nothing.
    pub(in crate::providers) fn suspicion(&self) -> Option<&Failure> {
        self.suspicion.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ending(steps: &[&str]) -> Ending {
        let mut ending = Ending::default();
        for step in steps {
            match *step {
                "text" => ending.note_text(),
                "thought" => ending.note_reasoning(),
                "[DONE]" => ending.done = true,
                "error?" => ending.suspect(Failure::stream(ErrorKind::RateLimited, "x")),
                word => ending.note_word(word),
            }
        }
        ending
    }

    #[test]
    fn the_last_word_counts_and_an_answer_without_anything_is_never_complete() {
        let check = |steps: &[&str], expect: Option<Result<Finish, ErrorKind>>| {
            let verdict = ending(steps).verdict();
            let verdict = verdict.map(|verdict| verdict.map_err(|failure| failure.kind));
            assert_eq!(verdict, expect, "{steps:?}");
        };
        check(&["text"], None);
        check(&["text", ""], None);
        check(&["text", "stop", ""], Some(Ok(Finish::Stop)));
        check(&["text", "stop", "MAX_TOKENS"], Some(Ok(Finish::Length)));
        check(&["stop"], Some(Ok(Finish::Stop)));
        check(&["text", "[DONE]"], Some(Ok(Finish::Stop)));
        check(&["[DONE]"], Some(Err(ErrorKind::UpstreamEmpty)));
        check(&["thought", "[DONE]"], Some(Err(ErrorKind::UpstreamEmpty)));
        check(&["xyzzy"], Some(Err(ErrorKind::UpstreamEmpty)));
        check(&["text", "xyzzy"], Some(Ok(Finish::Stop)));
        check(&["text", "abort"], Some(Err(ErrorKind::UpstreamError)));
        check(&["error?", "[DONE]"], Some(Err(ErrorKind::RateLimited)));
        check(
            &["text", "error?", "[DONE]"],
            Some(Err(ErrorKind::RateLimited)),
        );
        check(&["error?", "text", "[DONE]"], Some(Ok(Finish::Stop)));
        check(
            &["text", "stop", "error?", "[DONE]"],
            Some(Ok(Finish::Stop)),
        );
    }

    #[test]
    fn a_word_that_more_text_follows_is_doubted_from_then_on() {
        let check = |steps: &[&str], expect| {
            assert_eq!(ending(steps).end_certainty(), expect, "{steps:?}");
        };
        check(&["text"], EndCertainty::Open);
        check(&["text", "stop"], EndCertainty::Ended);
        check(&["stop"], EndCertainty::Doubtful);
        check(&["thought", "stop"], EndCertainty::Doubtful);
        check(&["thought", "length"], EndCertainty::Ended);
        check(&["text", "stop", "text"], EndCertainty::Doubtful);
        check(&["text", "stop", "text", "stop"], EndCertainty::Doubtful);
        check(&["text", "stop", "text", "[DONE]"], EndCertainty::Ended);
    }

    #[test]
    fn counts_are_kept_where_later_ones_say_less() {
        let mut ending = Ending::default();
        let usage = |prompt, completion| Usage {
            prompt_tokens: prompt,
            completion_tokens: completion,
            ..Usage::default()
        };
        ending.note_usage(usage(None, None));
        assert_eq!(ending.usage, None);
        ending.note_usage(usage(Some(15), Some(1)));
        ending.note_usage(usage(Some(0), Some(6)));
        ending.note_usage(usage(None, None));
        assert_eq!(ending.usage, Some(usage(Some(15), Some(6))));
    }
}
