//! The fold of the events of one reply.
//!
//! The page renders the result and the server can save it, so the screen and the database agree. The fold does not
//! know how a reply is rendered or stored.

use crate::protocol::{ChatEvent, Finish, Notice, ReplyError, Usage};

/// A reply, as far as it has been received.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Transcript {
    /// The id of the generation, once the server has accepted the request.
    pub generation: Option<String>,
    /// The model that answers, once it is known.
    pub model: Option<String>,
    /// The answer so far.
    pub text: String,
    /// The model's reasoning so far.
    pub reasoning: String,
    /// The token counts, if the upstream reported them.
    pub usage: Option<Usage>,
    /// A problem beside the reply, such as that it could not be saved.
    pub notice: Option<Notice>,
    /// The end; `None` while the reply streams.
    pub end: Option<ReplyEnd>,
}

/// How a reply ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplyEnd {
    /// Without an error.
    Done(Finish),
    /// With an error; the text before it stays valid.
    Error(ReplyError),
    /// The stream ended without a terminal event.
    Cut,
}

impl Transcript {
    /// Applies one event. After the end, events change nothing.
    pub fn apply(&mut self, event: &ChatEvent<'_>) {
        if self.end.is_some() {
            return;
        }
        match event {
            // The reply starts, or restarts from its beginning.
            ChatEvent::Start(start) => {
                *self = Self {
                    generation: Some(start.generation.clone()),
                    model: Some(start.model.clone()),
                    ..Self::default()
                };
            }
            ChatEvent::Text(text) => self.text.push_str(text),
            ChatEvent::Reasoning(text) => self.reasoning.push_str(text),
            ChatEvent::Usage(usage) => self.usage = Some(*usage),
            ChatEvent::Retrying(_) => {}
            ChatEvent::Model(model) => self.model = Some(model.clone().into_owned()),
            ChatEvent::Notice(notice) => self.notice = Some(notice.clone()),
            ChatEvent::Done(finish) => self.end = Some(ReplyEnd::Done(*finish)),
            ChatEvent::Error(error) => self.end = Some(ReplyEnd::Error(error.clone())),
        }
    }

    /// Ends the reply with the stream: as cut off, unless there was a terminal event.
    pub fn close(&mut self) {
        self.end.get_or_insert(ReplyEnd::Cut);
    }

    /// Ends the reply as stopped by the user. Its text stays.
    pub fn stop(&mut self) {
        self.end.get_or_insert(ReplyEnd::Done(Finish::Stopped));
    }

    /// Whether the reply has not ended.
    #[must_use]
    pub fn is_streaming(&self) -> bool {
        self.end.is_none()
    }

    /// Whether a retry is likely to give a better reply.
    #[must_use]
    pub fn invites_retry(&self) -> bool {
        match &self.end {
            None => false,
            Some(ReplyEnd::Cut | ReplyEnd::Done(Finish::Length | Finish::ContentFilter)) => true,
            Some(ReplyEnd::Error(error)) => error.retryable,
            Some(ReplyEnd::Done(Finish::Stop)) => self.text.trim().is_empty(),
            Some(ReplyEnd::Done(Finish::Refusal | Finish::ToolCalls | Finish::Stopped)) => false,
        }
    }

    /// Whether the server accepted the request.
    #[must_use]
    pub fn was_accepted(&self) -> bool {
        self.generation.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{ErrorKind, Start};

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn fold(events: &[ChatEvent<'_>]) -> Transcript {
        let mut transcript = Transcript::default();
        for event in events {
            transcript.apply(event);
        }
        transcript
    }

    #[test]
    fn text_and_reasoning_are_separate() {
        let got = fold(&[
            ChatEvent::Start(Start {
                generation: "g".into(),
                model: "m".into(),
                ..Start::default()
            }),
            ChatEvent::Reasoning("hm".into()),
            ChatEvent::Text("a".into()),
            ChatEvent::Reasoning("m".into()),
            ChatEvent::Text("b".into()),
            ChatEvent::Done(Finish::Stop),
        ]);
        assert_eq!((got.text.as_str(), got.reasoning.as_str()), ("ab", "hmm"));
        assert_eq!(got.end, Some(ReplyEnd::Done(Finish::Stop)));
        assert!(got.was_accepted());
    }

    #[test]
    fn a_restart_discards_the_text_before_it() {
        let start = ChatEvent::Start(Start {
            generation: "g".into(),
            model: "m".into(),
            ..Start::default()
        });
        let got = fold(&[
            start.clone(),
            ChatEvent::Text("ab".into()),
            start,
            ChatEvent::Text("a".into()),
        ]);
        assert_eq!(got.text, "a");
    }

    #[test]
    fn text_before_an_error_stays() {
        let error = ReplyError {
            kind: ErrorKind::UpstreamCut,
            message: "cut".into(),
            retryable: true,
            retry_after_ms: None,
        };
        let got = fold(&[
            ChatEvent::Text("half".into()),
            ChatEvent::Error(error.clone()),
        ]);
        assert_eq!(got.text, "half");
        assert_eq!(got.end, Some(ReplyEnd::Error(error)));
    }

    #[test]
    fn nothing_changes_after_the_end() {
        let mut got = fold(&[ChatEvent::Text("a".into()), ChatEvent::Done(Finish::Length)]);
        let before = got.clone();
        got.apply(&ChatEvent::Text("late".into()));
        got.stop();
        got.close();
        assert_eq!(got, before);
    }

    #[test]
    fn a_stream_that_ends_without_a_terminal_event_was_cut() {
        let mut got = fold(&[ChatEvent::Text("a".into())]);
        assert!(got.is_streaming());
        got.close();
        assert_eq!(got.end, Some(ReplyEnd::Cut));
    }

    #[test]
    fn a_stop_keeps_the_text() {
        let mut got = fold(&[ChatEvent::Text("a".into())]);
        got.stop();
        assert_eq!(
            (got.text.as_str(), got.end),
            ("a", Some(ReplyEnd::Done(Finish::Stopped)))
        );
    }

    #[track_caller]
    fn check_invites_retry(text: &'static str, end: ChatEvent<'static>, expect: bool) {
        let transcript = fold(&[ChatEvent::Text(text.into()), end]);
        assert_eq!(transcript.invites_retry(), expect, "{transcript:?}");
    }

    #[test]
    fn retry_is_offered_where_it_can_help() {
        let error = |retryable| {
            ChatEvent::Error(ReplyError {
                kind: ErrorKind::RateLimited,
                message: "m".into(),
                retryable,
                retry_after_ms: None,
            })
        };
        check_invites_retry("a", ChatEvent::Done(Finish::Stop), false);
        check_invites_retry("\n", ChatEvent::Done(Finish::Stop), true);
        check_invites_retry("a", ChatEvent::Done(Finish::Length), true);
        check_invites_retry("a", ChatEvent::Done(Finish::ContentFilter), true);
        check_invites_retry("", ChatEvent::Done(Finish::ToolCalls), false);
        check_invites_retry("a", ChatEvent::Done(Finish::Stopped), false);
        check_invites_retry("a", error(true), true);
        check_invites_retry("", error(false), false);
        let mut cut = fold(&[]);
        assert!(!cut.invites_retry());
        cut.close();
        assert!(cut.invites_retry());
    }
}
