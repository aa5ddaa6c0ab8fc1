//! A reply as the page needs it: its transcript, and when what happened.
//!
//! The transcript is the truth of what was said; times stand beside it since a saved reply has none.
//! Pure: whoever calls says what time it is, as the time since any fixed moment.

use std::time::Duration;

use crate::protocol::{ChatEvent, Usage};
use crate::transcript::{End, Transcript};

/// A reply that streams or has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    transcript: Transcript,
    asked_at: Duration,
    /// The first piece of anything.
    begun_at: Option<Duration>,
    /// The first piece of reasoning.
    thinking_since: Option<Duration>,
    /// The first piece of the answer, or the end.
    thought_until: Option<Duration>,
    ended_at: Option<Duration>,
    /// When the upstream is asked again that could not answer yet.
    asked_again_at: Option<Duration>,
}

/// What a reply cost.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures {
    /// The model that answered.
    pub model: Option<String>,
    /// The token counts that the provider told.
    pub usage: Usage,
    /// From the question to the first piece of the answer or the reasoning.
    pub first_token: Option<Duration>,
    /// From there to the end.
    pub writing: Option<Duration>,
    /// How it ended.
    pub end: Option<End>,
}

impl Reply {
    /// A reply that has just been asked for.
    #[must_use]
    pub fn asked(now: Duration) -> Self {
        Self {
            transcript: Transcript::default(),
            asked_at: now,
            begun_at: None,
            thinking_since: None,
            thought_until: None,
            ended_at: None,
            asked_again_at: None,
        }
    }

    /// Folds one event in.
    pub fn apply(&mut self, event: &ChatEvent<'_>, now: Duration) {
        self.transcript.apply(event);
        if let ChatEvent::Retrying(retrying) = event {
            self.asked_again_at = Some(now + Duration::from_millis(retrying.in_ms));
        }
        if !self.transcript.reasoning.is_empty() {
            self.thinking_since.get_or_insert(now);
        }
        if !self.transcript.text.is_empty() {
            self.thought_until.get_or_insert(now);
        }
        if matches!(event, ChatEvent::Text(_) | ChatEvent::Reasoning(_)) {
            self.begun_at.get_or_insert(now);
        }
        self.note_end(now);
    }

    /// The stream is over; without a terminal event it was cut.
    pub fn close(&mut self, now: Duration) {
        self.transcript.close();
        self.note_end(now);
    }

    /// The person stopped it.
    pub fn stop(&mut self, now: Duration) {
        self.transcript.stop();
        self.note_end(now);
    }

    /// What was said, and how it ended.
    #[must_use]
    pub fn transcript(&self) -> &Transcript {
        &self.transcript
    }

    /// Whether nothing has come yet, neither answer nor reasoning, and something still can.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.transcript.is_streaming()
            && self.transcript.text.is_empty()
            && self.transcript.reasoning.is_empty()
    }

    /// How long it has been waited for.
    #[must_use]
    pub fn waiting_time(&self, now: Duration) -> Duration {
        now.saturating_sub(self.asked_at)
    }

    /// How long until the upstream is asked again that could not answer yet; nothing once it is.
    #[must_use]
    pub fn pause_left(&self, now: Duration) -> Option<Duration> {
        let left = self.asked_again_at?.checked_sub(now)?;
        (self.is_waiting() && !left.is_zero()).then_some(left)
    }

    /// What it cost, as far as that is known.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let since = |from: Duration, until: Option<Duration>| Some(until?.saturating_sub(from));
        Figures {
            model: self.transcript.model.clone(),
            usage: self.transcript.usage.unwrap_or_default(),
            first_token: since(self.asked_at, self.begun_at),
            writing: self.begun_at.and_then(|begun| since(begun, self.ended_at)),
            end: self.transcript.end.clone(),
        }
    }

    /// How long the model reasoned, once it is done with that.
    #[must_use]
    pub fn thinking_time(&self) -> Option<Duration> {
        Some(self.thought_until?.saturating_sub(self.thinking_since?))
    }

    /// How long to wait before it makes sense to ask again, if the provider said so.
    #[must_use]
    pub fn retry_wait(&self, now: Duration) -> Option<Duration> {
        let Some(End::Error(error)) = &self.transcript.end else {
            return None;
        };
        let wait = Duration::from_millis(error.retry_after_ms?);
        Some((self.ended_at? + wait).saturating_sub(now))
    }

    /// Whether asking the same again may well give more than this.
    #[must_use]
    pub fn invites_retry(&self) -> bool {
        self.transcript.invites_retry()
    }

    fn note_end(&mut self, now: Duration) {
        if !self.transcript.is_streaming() {
            self.thought_until.get_or_insert(now);
            self.ended_at.get_or_insert(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{ErrorKind, Finish, ReplyError, Retrying};

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn reply(events: &[(u64, ChatEvent<'_>)]) -> Reply {
        let mut reply = Reply::asked(at(0));
        for (seconds, event) in events {
            reply.apply(event, at(*seconds));
        }
        reply
    }

    fn error(retryable: bool, retry_after_ms: Option<u64>) -> ChatEvent<'static> {
        ChatEvent::Error(ReplyError {
            kind: ErrorKind::RateLimited,
            message: "m".into(),
            retryable,
            retry_after_ms,
        })
    }

    #[test]
    fn reasoning_takes_from_its_first_piece_to_the_first_of_the_answer() {
        let thinking = [
            (3, ChatEvent::Reasoning("h".into())),
            (5, ChatEvent::Reasoning("m".into())),
        ];
        assert_eq!(reply(&thinking).thinking_time(), None);
        let answered = [
            thinking.as_slice(),
            &[
                (9, ChatEvent::Text("a".into())),
                (20, ChatEvent::Text("b".into())),
            ],
        ]
        .concat();
        assert_eq!(reply(&answered).thinking_time(), Some(at(6)));
        let ended = [thinking.as_slice(), &[(7, ChatEvent::Done(Finish::Stop))]].concat();
        assert_eq!(reply(&ended).thinking_time(), Some(at(4)));
        assert_eq!(
            reply(&[(1, ChatEvent::Text("a".into()))]).thinking_time(),
            None
        );
    }

    #[test]
    fn one_waits_until_anything_comes_or_nothing_can() {
        assert!(reply(&[]).is_waiting());
        assert!(!reply(&[(1, ChatEvent::Reasoning("h".into()))]).is_waiting());
        let mut stopped = reply(&[]);
        stopped.stop(at(2));
        assert!(!stopped.is_waiting());
        assert_eq!(reply(&[]).waiting_time(at(12)), at(12));
    }

    #[test]
    fn a_pause_is_told_until_the_upstream_is_asked_again() {
        let retrying = || ChatEvent::Retrying(Retrying { in_ms: 4000 });
        let paused = reply(&[(1, retrying())]);
        assert_eq!(paused.pause_left(at(2)), Some(at(3)));
        assert_eq!(paused.pause_left(at(5)), None);
        let answered = reply(&[(1, retrying()), (2, ChatEvent::Text("a".into()))]);
        assert_eq!(answered.pause_left(at(2)), None);
        assert_eq!(reply(&[]).pause_left(at(0)), None);
    }

    #[test]
    fn the_wait_before_a_retry_counts_from_the_error() {
        let limited = reply(&[(2, error(true, Some(10_000)))]);
        assert_eq!(limited.retry_wait(at(2)), Some(at(10)));
        assert_eq!(limited.retry_wait(at(9)), Some(at(3)));
        assert_eq!(limited.retry_wait(at(60)), Some(at(0)));
        assert_eq!(reply(&[(2, error(true, None))]).retry_wait(at(2)), None);
    }
}
