//! Reads the answer of a provider: keeps the time limits, decodes the bytes, and hands on what a
//! mapper makes of the events.
//!
//! Dropping an [`Answer`] closes the connection to the provider. Nothing is queued here: what is not
//! asked for is not read.

use std::pin::Pin;

use app::protocol::{ChatEvent, ErrorKind, Finish, Usage};
use app::sse;
use bytes::Bytes;
use reqwest::Response;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use tokio::time::{Instant, Sleep, sleep_until};

use super::Limits;
use super::failure::{Failure, error_in_raw_text};
use super::kind::Mapper;

/// The most bytes of text and reasoning that a reply may have.
pub const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;
/// The most bytes of one event.
const MAX_EVENT_BYTES: usize = 1024 * 1024;
/// The most bytes at the head of a stream in which an error is looked for that is no event.
const MAX_HEAD_BYTES: usize = 4 * 1024;

/// What a read brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// There may be more.
    More,
    /// The answer is complete.
    Complete {
        /// Why it ended.
        finish: Finish,
        /// What it cost, if the provider told.
        usage: Option<Usage>,
    },
}

/// An answer that a provider has begun.
pub(crate) struct Answer {
    response: Response,
    form: Form,
    mapper: Mapper,
    limits: Limits,
    answer_bytes: usize,
    /// The head of the stream as long as no event came out of it.
    head: Option<Vec<u8>>,
    clock: Clock,
    /// One timer for all limits: it is set anew only when it rings too early, not for each chunk.
    timer: Pin<Box<Sleep>>,
}

enum Form {
    Stream(sse::Decoder),
    Json(Vec<u8>),
    /// Not said; the first bytes tell.
    Unknown,
}

/// The moments that the limits are counted from.
struct Clock {
    total: Instant,
    first_byte: Instant,
    last_byte: Option<Instant>,
    last_payload: Instant,
    finished: Option<Instant>,
}

impl Clock {
    /// The next moment at which a limit is passed, and which one.
    fn deadline(&self, limits: &Limits) -> (Instant, ErrorKind) {
        let silence = match self.last_byte {
            None => (self.first_byte, ErrorKind::UpstreamTimeoutFirstByte),
            // Comments prove that the connection lives, but not for ever that an answer will come.
            Some(last) => (
                (last + limits.idle).min(self.last_payload + limits.comment),
                ErrorKind::UpstreamTimeoutIdle,
            ),
        };
        let nearest = if self.total <= silence.0 {
            (self.total, ErrorKind::UpstreamTimeoutTotal)
        } else {
            silence
        };
        match self.finished {
            Some(finished) => (
                (finished + limits.grace_after_finish).min(nearest.0),
                nearest.1,
            ),
            None => nearest,
        }
    }
}

impl Answer {
    /// Begins to read an answer that was accepted with status 200.
    ///
    /// # Errors
    /// When it is a page for people.
    pub(super) fn read(
        mut response: Response,
        mapper: Mapper,
        limits: Limits,
        first_byte: Instant,
        total: Instant,
    ) -> Result<Self, Failure> {
        let form = match media_type(response.headers().get(CONTENT_TYPE)).as_str() {
            "text/event-stream" => Form::Stream(sse::Decoder::new(MAX_EVENT_BYTES)),
            "application/json" => Form::Json(Vec::new()),
            "text/html" | "application/xhtml+xml" => {
                return Err(Failure::stream(ErrorKind::UpstreamNotStream, "HTML"));
            }
            _ => Form::Unknown,
        };
        // They hold the buffer that they were read into, and nobody asks for them any more.
        drop(std::mem::take(response.headers_mut()));
        let clock = Clock {
            total,
            first_byte,
            last_byte: None,
            last_payload: Instant::now(),
            finished: None,
        };
        let timer = Box::pin(sleep_until(clock.deadline(&limits).0));
        Ok(Self {
            response,
            form,
            mapper,
            limits,
            answer_bytes: 0,
            head: Some(Vec::new()),
            clock,
            timer,
        })
    }

    /// Waits for the next bytes of the provider and hands the events in them to `out`. Nothing is
    /// lost when the future is dropped before it is done.
    pub(crate) async fn next(
        &mut self,
        out: &mut impl FnMut(ChatEvent<'_>),
    ) -> Result<Progress, Failure> {
        let progress = self.advance(out).await;
        if !matches!(progress, Ok(Progress::More)) {
            self.mapper.flush(out);
        }
        progress
    }

    async fn advance(&mut self, out: &mut impl FnMut(ChatEvent<'_>)) -> Result<Progress, Failure> {
        let chunk = loop {
            tokio::select! {
                biased;
                chunk = self.response.chunk() => break chunk,
                () = self.timer.as_mut() => {
                    match self.check_limits()? {
                        Progress::More => {
                            let (deadline, _) = self.clock.deadline(&self.limits);
                            self.timer.as_mut().reset(deadline);
                        }
                        complete @ Progress::Complete { .. } => return Ok(complete),
                    }
                }
            }
        };
        match chunk {
            Ok(Some(chunk)) => match self.feed(&chunk, out)? {
                // Bytes that never stop coming never let the timer ring.
                Progress::More => self.check_limits(),
                complete @ Progress::Complete { .. } => Ok(complete),
            },
            Ok(None) => self.end(out),
            Err(error) => self.complete().ok_or_else(|| broken(&error)),
        }
    }

    fn feed(
        &mut self,
        chunk: &Bytes,
        out: &mut impl FnMut(ChatEvent<'_>),
    ) -> Result<Progress, Failure> {
        let now = Instant::now();
        if self.clock.last_byte.replace(now).is_none() {
            // The limit for silence can be nearer than the one for the first byte, which is over.
            let (deadline, _) = self.clock.deadline(&self.limits);
            self.timer.as_mut().reset(deadline);
        }
        if let Form::Unknown = self.form {
            self.form = match chunk.iter().find(|byte| !byte.is_ascii_whitespace()) {
                Some(b'{' | b'[') => Form::Json(Vec::new()),
                Some(b'<') => return Err(Failure::stream(ErrorKind::UpstreamNotStream, "HTML")),
                Some(_) => Form::Stream(sse::Decoder::new(MAX_EVENT_BYTES)),
                None => return Ok(Progress::More),
            };
        }
        let decoder = match &mut self.form {
            Form::Stream(decoder) => decoder,
            Form::Json(body) if body.len() + chunk.len() <= MAX_ANSWER_BYTES => {
                body.extend_from_slice(chunk);
                return Ok(Progress::More);
            }
            Form::Json(_) => return Err(Failure::stream(ErrorKind::TooLarge, "size limit")),
            Form::Unknown => unreachable!("the first bytes have told the form"),
        };
        let (mapper, answer_bytes) = (&mut self.mapper, &mut self.answer_bytes);
        let mut events = 0_usize;
        let mut failure = None;
        let decoded = decoder.feed(chunk, |event| {
            events += 1;
            if failure.is_some() || *answer_bytes > MAX_ANSWER_BYTES {
                return;
            }
            let mapped = mapper.map(event, &mut |event| {
                if let ChatEvent::Text(text) | ChatEvent::Reasoning(text) = &event {
                    *answer_bytes += text.len();
                }
                out(event);
            });
            failure = mapped.err();
        });
        if let Some(failure) = failure {
            return Err(failure);
        }
        if decoded.is_err() || self.answer_bytes > MAX_ANSWER_BYTES {
            return Err(Failure::stream(ErrorKind::TooLarge, "size limit"));
        }
        if events > 0 {
            self.clock.last_payload = now;
            self.head = None;
        } else if let Some(head) = &mut self.head {
            let room = MAX_HEAD_BYTES - head.len();
            head.extend_from_slice(&chunk[..room.min(chunk.len())]);
        }
        if self.mapper.is_done() {
            return Ok(self.complete().unwrap_or(Progress::More));
        }
        if self.mapper.finish().is_some() && self.clock.finished.is_none() {
            self.clock.finished = Some(now);
            self.timer
                .as_mut()
                .reset(self.clock.deadline(&self.limits).0);
        }
        Ok(Progress::More)
    }

    /// The provider closed the body in good order; whether the answer is complete is another matter.
    fn end(&mut self, out: &mut impl FnMut(ChatEvent<'_>)) -> Result<Progress, Failure> {
        if let Form::Json(body) = &mut self.form {
            let body = std::mem::take(body);
            self.mapper.map_completion(&body, out)?;
        }
        if let Some(complete) = self.complete() {
            return Ok(complete);
        }
        match self.head.take() {
            None => Err(Failure::stream(
                ErrorKind::UpstreamCut,
                "end without a finish",
            )),
            Some(head) => Err(Failure {
                explanation: error_in_raw_text(&head).map(|error| error.classify(None)),
                ..Failure::stream(ErrorKind::UpstreamEmpty, "no events")
            }),
        }
    }

    /// Whether there is time for more; when there is not, what that means for the answer.
    fn check_limits(&self) -> Result<Progress, Failure> {
        let (deadline, kind) = self.clock.deadline(&self.limits);
        if Instant::now() < deadline {
            return Ok(Progress::More);
        }
        self.complete()
            .ok_or_else(|| Failure::stream(kind, "time limit"))
    }

    fn complete(&self) -> Option<Progress> {
        self.mapper.finish().map(|finish| Progress::Complete {
            finish,
            usage: self.mapper.usage(),
        })
    }
}

/// The failure of a body that broke off, or that says it is compressed and is not.
fn broken(error: &reqwest::Error) -> Failure {
    let mut causes =
        std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    let is_garbage = causes.any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|io| io.kind() == std::io::ErrorKind::InvalidData)
    });
    if is_garbage {
        Failure::stream(ErrorKind::UpstreamMalformed, "undecodable body")
    } else {
        Failure::stream(ErrorKind::UpstreamCut, "connection lost")
    }
}

fn media_type(header: Option<&HeaderValue>) -> String {
    let text = header
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    text.split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase()
}
