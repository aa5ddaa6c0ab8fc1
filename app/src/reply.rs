//! A reply as the page needs it: its transcript, and when what happened.
//!
//! The transcript is the truth of what was said; times stand beside it since a saved reply has none.
//! Pure: whoever calls says what time it is, as the time since any fixed moment.

pub mod decode;
pub mod reader;
pub mod transcript;
pub mod transport;

use std::time::Duration;

use crate::protocol::saved::{MessageState, SavedMessage};
use crate::protocol::{ChatEvent, ErrorBody, ErrorKind, Finish, Notice, ReplyError, Usage};
use crate::reply::transcript::{ReplyEnd, Transcript};

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
    /// How often it was told from its beginning.
    restarts: u32,
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
    pub end: Option<ReplyEnd>,
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
            restarts: 0,
        }
    }

    /// A reply as it was saved, perhaps in the middle of it.
    #[must_use]
    pub fn saved(message: &SavedMessage, now: Duration) -> Self {
        let (generation, end) = match &message.state {
            MessageState::Streaming { generation, .. } => (Some(generation.clone()), None),
            MessageState::Done { finish } => (None, Some(ReplyEnd::Done(*finish))),
            // How long there was to wait then says nothing about now.
            MessageState::Error(error) => {
                let error = ReplyError {
                    retry_after_ms: None,
                    ..error.clone()
                };
                (None, Some(ReplyEnd::Error(error)))
            }
            MessageState::Interrupted => (None, Some(ReplyEnd::Error(interrupted()))),
        };
        let timing = message.timing.unwrap_or_default();
        let thinking_since = (!message.reasoning.is_empty()).then_some(now);
        // A time that was not kept is left out, rather than counted from now.
        let thought_until = match (timing.thinking_ms, &end) {
            (Some(time), _) => Some(now + Duration::from_millis(time)),
            (None, None) if message.text.is_empty() => None,
            (None, _) => Some(now),
        };
        Self {
            ended_at: end
                .is_some()
                .then(|| now + Duration::from_millis(timing.duration_ms.unwrap_or_default())),
            transcript: Transcript {
                generation,
                model: message.model.clone(),
                text: message.text.clone(),
                reasoning: message.reasoning.clone(),
                usage: message.usage,
                notice: message.could_not_be_saved.then(not_saved),
                end,
            },
            asked_at: now,
            begun_at: timing
                .first_token_ms
                .map(|time| now + Duration::from_millis(time)),
            thinking_since,
            thought_until,
            asked_again_at: None,
            restarts: 0,
        }
    }

    /// Whether the other one holds the same text and ended in the same way, as far as is saved of that:
    /// a page that has read the reply itself knows more about its end.
    #[must_use]
    pub fn says_the_same_as(&self, saved: &Self) -> bool {
        let (here, there) = (&self.transcript, &saved.transcript);
        let ends_alike = match (&here.end, &there.end) {
            (Some(ReplyEnd::Error(here)), Some(ReplyEnd::Error(there))) => here.kind == there.kind,
            (here, there) => here == there,
        };
        here.text == there.text && ends_alike
    }

    /// Whether its end came from this making of it, so that word of that as still streaming is old.
    #[must_use]
    pub fn has_ended_in(&self, generation: &str) -> bool {
        self.transcript.generation.as_deref() == Some(generation)
            && matches!(
                self.transcript.end,
                Some(ReplyEnd::Done(_) | ReplyEnd::Error(_))
            )
    }

    /// Folds one event in.
    pub fn apply(&mut self, event: &ChatEvent<'_>, now: Duration) {
        if matches!(event, ChatEvent::Start(_)) && self.has_begun() {
            self.restarts += 1;
        }
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

    /// The same reply is asked for again and goes on in this place.
    pub fn resume(&mut self, now: Duration) {
        // What is shown has ended, and is shown anew so that it can grow.
        self.restarts += 1;
        self.transcript.end = None;
        self.transcript.generation = None;
        self.asked_at = now;
        self.ended_at = None;
    }

    /// How often it was told from its beginning after the first time: its text is then not what it
    /// was with something added.
    #[must_use]
    pub fn restarts(&self) -> u32 {
        self.restarts
    }

    /// The same reply, told once more than this often.
    #[must_use]
    pub fn restarted(mut self, restarts: u32) -> Self {
        self.restarts = restarts + 1;
        self
    }

    /// Whether it can go on where it was cut off: by its length, a lost connection, or a server that
    /// stopped.
    #[must_use]
    pub fn can_continue(&self) -> bool {
        let was_cut_off = match &self.transcript.end {
            Some(ReplyEnd::Cut | ReplyEnd::Done(Finish::Length | Finish::Stopped)) => true,
            Some(ReplyEnd::Error(error)) => error.retryable,
            _ => false,
        };
        was_cut_off && !self.transcript.text.trim().is_empty()
    }

    /// What was said, and how it ended.
    #[must_use]
    pub fn transcript(&self) -> &Transcript {
        &self.transcript
    }

    /// Whether nothing has come yet, neither answer nor reasoning, and something still can.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.transcript.is_streaming() && !self.has_begun()
    }

    fn has_begun(&self) -> bool {
        !(self.transcript.text.is_empty() && self.transcript.reasoning.is_empty())
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
        let Some(ReplyEnd::Error(error)) = &self.transcript.end else {
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

/// How a reply ended that the server's end cut off.
fn interrupted() -> ReplyError {
    ReplyError::of(ErrorKind::Interrupted)
}

fn not_saved() -> Notice {
    Notice {
        kind: ErrorKind::NotSaved,
        message: ErrorBody::of(ErrorKind::NotSaved).error.message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::saved::Timing;
    use crate::protocol::{Retrying, Role};

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

    fn saved(state: MessageState) -> Reply {
        let message = SavedMessage {
            id: "m".into(),
            parent: None,
            role: Role::Assistant,
            text: "half".into(),
            reasoning: "hm".into(),
            model: None,
            created_at: 0,
            usage: None,
            timing: Some(Timing {
                thinking_ms: Some(2_000),
                ..Timing::default()
            }),
            state,
            could_not_be_saved: false,
        };
        Reply::saved(&message, at(100))
    }

    #[test]
    fn a_saved_reply_is_as_it_was_when_it_ended() {
        let done = saved(MessageState::Done {
            finish: Finish::Stop,
        });
        assert_eq!(done.transcript().end, Some(ReplyEnd::Done(Finish::Stop)));
        assert_eq!(done.thinking_time(), Some(at(2)));
        assert!(!done.can_continue());
        let interrupted = saved(MessageState::Interrupted);
        assert!(interrupted.can_continue() && interrupted.invites_retry());
    }

    #[test]
    fn a_saved_reply_that_streams_goes_on() {
        let mut reply = saved(MessageState::Streaming {
            generation: "g".into(),
            last_seq: 7,
        });
        reply.apply(&ChatEvent::Text(" and half".into()), at(101));
        assert_eq!(reply.transcript().text, "half and half");
        reply.apply(&ChatEvent::Done(Finish::Length), at(102));
        assert!(reply.can_continue());
        reply.resume(at(103));
        assert!(reply.transcript().is_streaming());
    }
}
