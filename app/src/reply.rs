//! A reply on the page: its transcript and the times of its phases.
//!
//! The transcript has the content; times are separate, because a saved reply has none of its own. All functions are
//! pure: the caller passes the time since a fixed moment.

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
    requested_at: Duration,
    /// When the first piece of text or reasoning arrived.
    begun_at: Option<Duration>,
    /// When the first piece of reasoning arrived.
    thinking_since: Option<Duration>,
    /// When the first piece of the answer arrived, or the end.
    thought_until: Option<Duration>,
    ended_at: Option<Duration>,
    /// When the server will repeat the request to an upstream that could not answer yet.
    retry_at: Option<Duration>,
    /// How often the reply restarted from its beginning.
    restarts: u32,
    /// Whether a person wrote or changed the text.
    is_edited: bool,
}

/// The figures of a reply: tokens and times.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures {
    /// The model that answered.
    pub model: Option<String>,
    /// The token counts that the provider reported.
    pub usage: Usage,
    /// From the request to the first piece of text or reasoning.
    pub first_token: Option<Duration>,
    /// From the first piece to the end.
    pub writing: Option<Duration>,
    /// How it ended.
    pub end: Option<ReplyEnd>,
}

impl Reply {
    /// A reply that has just been requested.
    #[must_use]
    pub fn requested(now: Duration) -> Self {
        Self {
            transcript: Transcript::default(),
            requested_at: now,
            begun_at: None,
            thinking_since: None,
            thought_until: None,
            ended_at: None,
            retry_at: None,
            restarts: 0,
            is_edited: false,
        }
    }

    /// A saved reply, which may still be streaming.
    #[must_use]
    pub fn saved(message: &SavedMessage, now: Duration) -> Self {
        let (generation, end) = match &message.state {
            MessageState::Streaming { generation, .. } => (Some(generation.clone()), None),
            MessageState::Done { finish } => (None, Some(ReplyEnd::Done(*finish))),
            // The time to wait counts from the error, which was in the past.
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
        // A time that was not saved is left out, rather than counted from now.
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
            requested_at: now,
            begun_at: timing
                .first_token_ms
                .map(|time| now + Duration::from_millis(time)),
            thinking_since,
            thought_until,
            retry_at: None,
            restarts: 0,
            is_edited: message.edited,
        }
    }

    /// Whether a saved reply has the same text and the same kind of end. The page that has read the reply itself knows
    /// more about its end than is saved.
    #[must_use]
    pub fn says_the_same_as(&self, saved: &Self) -> bool {
        let (here, there) = (&self.transcript, &saved.transcript);
        let ends_alike = match (&here.end, &there.end) {
            (Some(ReplyEnd::Error(here)), Some(ReplyEnd::Error(there))) => here.kind == there.kind,
            (here, there) => here == there,
        };
        here.text == there.text && ends_alike
    }

    /// Whether the reply has ended in this generation. Then a state that says it is streaming is out of date.
    #[must_use]
    pub fn has_ended_in(&self, generation: &str) -> bool {
        self.transcript.generation.as_deref() == Some(generation)
            && matches!(
                self.transcript.end,
                Some(ReplyEnd::Done(_) | ReplyEnd::Error(_))
            )
    }

    /// Applies one event.
    pub fn apply(&mut self, event: &ChatEvent<'_>, now: Duration) {
        if matches!(event, ChatEvent::Start(_)) && self.has_begun() {
            self.restarts += 1;
        }
        self.transcript.apply(event);
        if let ChatEvent::Retrying(retrying) = event {
            self.retry_at = Some(now + Duration::from_millis(retrying.in_ms));
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

    /// Ends the reply with the stream: as cut off, unless there was a terminal event.
    pub fn close(&mut self, now: Duration) {
        self.transcript.close();
        self.note_end(now);
    }

    /// Ends the reply as stopped by the user.
    pub fn stop(&mut self, now: Duration) {
        self.transcript.stop();
        self.note_end(now);
    }

    /// Reopens the reply to continue it.
    pub fn resume(&mut self, now: Duration) {
        // The view of the ended text is built again, so that it can grow.
        self.restarts += 1;
        self.transcript.end = None;
        self.transcript.generation = None;
        self.requested_at = now;
        self.ended_at = None;
    }

    /// How often the reply restarted from its beginning. After a restart, the text need not start with the text before.
    #[must_use]
    pub fn restarts(&self) -> u32 {
        self.restarts
    }

    /// The same reply, with one restart more than this number.
    #[must_use]
    pub fn restarted(mut self, restarts: u32) -> Self {
        self.restarts = restarts + 1;
        self
    }

    /// Whether the reply was cut off and can be continued: by its length, a stop, a lost connection, or a server that
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

    /// The text and the end.
    #[must_use]
    pub fn transcript(&self) -> &Transcript {
        &self.transcript
    }

    /// Whether the reply streams, and has neither text nor reasoning yet.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.transcript.is_streaming() && !self.has_begun()
    }

    fn has_begun(&self) -> bool {
        !(self.transcript.text.is_empty() && self.transcript.reasoning.is_empty())
    }

    /// The time since the request.
    #[must_use]
    pub fn waiting_time(&self, now: Duration) -> Duration {
        now.saturating_sub(self.requested_at)
    }

    /// The time until the server repeats the request to the upstream; `None` if no retry is due.
    #[must_use]
    pub fn pause_left(&self, now: Duration) -> Option<Duration> {
        let left = self.retry_at?.checked_sub(now)?;
        (self.is_waiting() && !left.is_zero()).then_some(left)
    }

    /// Tokens and times, as far as they are known.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let since = |from: Duration, until: Option<Duration>| Some(until?.saturating_sub(from));
        Figures {
            model: self.transcript.model.clone(),
            usage: self.transcript.usage.unwrap_or_default(),
            first_token: since(self.requested_at, self.begun_at),
            writing: self.begun_at.and_then(|begun| since(begun, self.ended_at)),
            end: self.transcript.end.clone(),
        }
    }

    /// Whether a person wrote or changed the text.
    #[must_use]
    pub fn is_edited(&self) -> bool {
        self.is_edited
    }

    /// How long the model reasoned, once the reasoning is over.
    #[must_use]
    pub fn thinking_time(&self) -> Option<Duration> {
        Some(self.thought_until?.saturating_sub(self.thinking_since?))
    }

    /// How long to wait before a retry, if the provider said so.
    #[must_use]
    pub fn retry_wait(&self, now: Duration) -> Option<Duration> {
        let Some(ReplyEnd::Error(error)) = &self.transcript.end else {
            return None;
        };
        let wait = Duration::from_millis(error.retry_after_ms?);
        Some((self.ended_at? + wait).saturating_sub(now))
    }

    /// Whether a retry is likely to give a better reply.
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

/// The error of a reply that was cut off because the server stopped.
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
        let mut reply = Reply::requested(at(0));
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
    fn reasoning_lasts_from_its_first_piece_to_the_first_piece_of_the_answer() {
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
    fn a_reply_is_waiting_until_a_piece_arrives_or_it_ends() {
        assert!(reply(&[]).is_waiting());
        assert!(!reply(&[(1, ChatEvent::Reasoning("h".into()))]).is_waiting());
        let mut stopped = reply(&[]);
        stopped.stop(at(2));
        assert!(!stopped.is_waiting());
        assert_eq!(reply(&[]).waiting_time(at(12)), at(12));
    }

    #[test]
    fn a_pause_is_counted_down_until_the_request_is_repeated() {
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
            edited: false,
        };
        Reply::saved(&message, at(100))
    }

    #[test]
    fn a_saved_reply_keeps_its_end_and_its_times() {
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
    fn a_saved_reply_that_streams_is_extended_and_can_be_continued() {
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
