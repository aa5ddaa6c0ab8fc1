//! Reads the answer of a provider: applies the time limits, decodes the bytes, and passes on the events of the
//! mapper.
//!
//! Dropping an [`UpstreamAnswer`] closes the connection to the provider. Nothing is queued: bytes are read only on
//! request.

use std::pin::Pin;

use app::protocol::{ChatEvent, ErrorKind, Finish, Usage};
use app::sse;
use bytes::Bytes;
use reqwest::Response;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde::de::IgnoredAny;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::metrics::OperationTimer;
use crate::providers::UpstreamLimits;
use crate::providers::api::Mapper;
use crate::providers::api::ending::EndCertainty;
use crate::providers::error::Failure;
use crate::providers::error::in_answer::explain;

/// The largest text and reasoning of a reply, in bytes.
pub const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;
/// The largest event, in bytes.
const MAX_EVENT_BYTES: usize = 1024 * 1024;
/// The most bytes at the beginning of a stream that are searched for an error outside of an event.
const MAX_HEAD_BYTES: usize = 4 * 1024;

/// The result of a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// More may follow.
    More,
    /// The answer is complete.
    Complete {
        /// The reason of the end.
        finish: Finish,
        /// The token counts, if the provider sent them.
        usage: Option<Usage>,
    },
}

/// An answer that has begun.
pub(crate) struct UpstreamAnswer {
    response: Response,
    format: BodyFormat,
    /// Whether the content type is that of a page.
    claims_html: bool,
    mapper: Mapper,
    limits: UpstreamLimits,
    answer_bytes: usize,
    /// The beginning of the stream, until an event was decoded.
    head: Option<Vec<u8>>,
    times: AnswerTimes,
    /// One timer for all limits. It is reset only when it fires too early, not for each chunk.
    timer: Pin<Box<Sleep>>,
    /// Measures the request until it has ended.
    operation: Option<OperationTimer>,
}

enum BodyFormat {
    Stream(sse::Decoder),
    Json(Vec<u8>),
    /// Not known yet. The first bytes decide, whatever the headers say.
    Unknown,
}

/// The times from which the limits are counted.
struct AnswerTimes {
    total: Instant,
    first_byte: Instant,
    last_byte: Option<Instant>,
    last_payload: Instant,
    /// The time at which the provider signalled the end, if that is certain.
    finished: Option<Instant>,
    /// Whether the end was signalled but the answer may go on.
    is_doubtful: bool,
}

impl AnswerTimes {
    /// The next limit: its time and its kind.
    fn deadline(&self, limits: &UpstreamLimits) -> (Instant, ErrorKind) {
        let silence = match self.last_byte {
            None => (self.first_byte, ErrorKind::UpstreamTimeoutFirstByte),
            // Comments prove that the connection works, but not that an answer will come.
            Some(last) if !self.is_doubtful => (
                (last + limits.idle).min(self.last_payload + limits.comment),
                ErrorKind::UpstreamTimeoutIdle,
            ),
            // A timeout here would lose the whole answer after all of the reasoning.
            Some(last) => (last + limits.idle, ErrorKind::UpstreamTimeoutIdle),
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

impl UpstreamAnswer {
    /// Begins to read an answer with a successful status.
    pub(super) fn read(
        mut response: Response,
        mapper: Mapper,
        limits: UpstreamLimits,
        first_byte: Instant,
        total: Instant,
        operation: OperationTimer,
    ) -> Self {
        let claims_html = claims_html(response.headers());
        // The headers keep their read buffer alive and are no longer needed.
        drop(std::mem::take(response.headers_mut()));
        let times = AnswerTimes {
            total,
            first_byte,
            last_byte: None,
            last_payload: Instant::now(),
            finished: None,
            is_doubtful: false,
        };
        let timer = Box::pin(sleep_until(times.deadline(&limits).0));
        Self {
            response,
            format: BodyFormat::Unknown,
            claims_html,
            mapper,
            limits,
            answer_bytes: 0,
            head: Some(Vec::new()),
            times,
            timer,
            operation: Some(operation),
        }
    }

    /// Waits for the next bytes of the provider and passes their events to `out`. The future is cancel-safe.
    pub(crate) async fn next(
        &mut self,
        out: &mut impl FnMut(ChatEvent<'_>),
    ) -> Result<Progress, Failure> {
        let progress = self.advance(out).await;
        if !matches!(progress, Ok(Progress::More)) {
            self.mapper.flush(progress.is_ok(), out);
            self.measure_end(&progress);
        }
        progress
    }

    fn measure_end(&mut self, progress: &Result<Progress, Failure>) {
        let Some(mut operation) = self.operation.take() else {
            return;
        };
        match progress {
            Ok(Progress::Complete { usage, .. }) => {
                if let Some(usage) = usage {
                    operation.tokens(usage.prompt_tokens, usage.completion_tokens);
                }
                operation.complete();
            }
            Ok(Progress::More) => {}
            Err(failure) => operation.fail(failure.kind.as_str()),
        }
    }

    async fn advance(&mut self, out: &mut impl FnMut(ChatEvent<'_>)) -> Result<Progress, Failure> {
        let chunk = loop {
            tokio::select! {
                biased;
                chunk = self.response.chunk() => break chunk,
                () = self.timer.as_mut() => {
                    let checked = self.check_limits();
                    match self.unless_whole(checked, out)? {
                        Progress::More => {
                            self.reset_timer();
                        }
                        complete @ Progress::Complete { .. } => return Ok(complete),
                    }
                }
            }
        };
        match chunk {
            Ok(Some(chunk)) => match self.feed(&chunk, out)? {
                // If bytes never stop coming, the timer is never polled.
                Progress::More => self.check_limits(),
                complete @ Progress::Complete { .. } => Ok(complete),
            },
            Ok(None) => self.end(out),
            Err(error) => {
                let failure = broken(&error);
                // If the answer went on after an earlier finish reason, this one does not count either.
                let complete = self.complete().filter(|_| self.mapper.resumed() == 0);
                self.unless_whole(complete.unwrap_or(Err(failure)), out)
            }
        }
    }

    fn feed(
        &mut self,
        chunk: &Bytes,
        out: &mut impl FnMut(ChatEvent<'_>),
    ) -> Result<Progress, Failure> {
        let now = Instant::now();
        if self.times.last_byte.replace(now).is_none() {
            // The limit for silence can be nearer than that for the first byte.
            self.reset_timer();
        }
        if let BodyFormat::Unknown = self.format {
            match format_of(chunk, self.claims_html)? {
                Some(format) => self.format = format,
                None => return Ok(Progress::More),
            }
        }
        let decoder = match &mut self.format {
            BodyFormat::Stream(decoder) => decoder,
            BodyFormat::Json(body) if body.len() + chunk.len() <= MAX_ANSWER_BYTES => {
                body.extend_from_slice(chunk);
                return Ok(Progress::More);
            }
            BodyFormat::Json(_) => return Err(Failure::stream(ErrorKind::TooLarge, "size limit")),
            BodyFormat::Unknown => unreachable!("the first bytes have decided the format"),
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
            self.times.last_payload = now;
            self.head = None;
            if let Some(operation) = &mut self.operation {
                operation.chunk(now);
            }
        } else if let Some(head) = &mut self.head {
            let room = MAX_HEAD_BYTES - head.len();
            head.extend_from_slice(&chunk[..room.min(chunk.len())]);
        }
        if self.mapper.is_done() {
            return self.complete().unwrap_or(Ok(Progress::More));
        }
        match self.mapper.end_certainty() {
            EndCertainty::Open => {}
            EndCertainty::Ended if self.times.finished.is_none() => {
                self.times.finished = Some(now);
                self.times.is_doubtful = false;
                self.reset_timer();
            }
            EndCertainty::Ended => {}
            EndCertainty::Doubtful => {
                self.times.finished = None;
                self.times.is_doubtful = true;
            }
        }
        Ok(Progress::More)
    }

    fn reset_timer(&mut self) {
        let (deadline, _) = self.times.deadline(&self.limits);
        self.timer.as_mut().reset(deadline);
    }

    /// Ends the answer after the provider closed the body properly. The answer may still be incomplete.
    fn end(&mut self, out: &mut impl FnMut(ChatEvent<'_>)) -> Result<Progress, Failure> {
        if let BodyFormat::Json(body) = &mut self.format {
            let body = std::mem::take(body);
            self.map_json(&body, out)?;
        }
        if let Some(complete) = self.complete() {
            return complete;
        }
        if let Some(failure) = self.mapper.suspicion() {
            return Err(failure.clone());
        }
        match self.head.take() {
            _ if matches!(self.format, BodyFormat::Unknown) && self.claims_html => {
                Err(not_a_stream())
            }
            None => Err(Failure::stream(
                ErrorKind::UpstreamCut,
                "end without a finish",
            )),
            Some(head) => Err(Failure {
                sentence: explain(&head),
                ..Failure::stream(ErrorKind::UpstreamEmpty, "no events")
            }),
        }
    }

    /// Reads a JSON body: an answer in one piece, or its events line by line.
    fn map_json(
        &mut self,
        body: &[u8],
        out: &mut impl FnMut(ChatEvent<'_>),
    ) -> Result<(), Failure> {
        let mut lines = body
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.trim_ascii().is_empty());
        let are_lines_events =
            lines.clone().nth(1).is_some() && lines.clone().next().is_some_and(is_whole_json);
        if !are_lines_events {
            return self.mapper.map_completion(body, out);
        }
        lines.try_for_each(|line| {
            let event = sse::Event {
                name: "message",
                data: &String::from_utf8_lossy(line),
                id: "",
            };
            self.mapper.map(event, out)
        })
    }

    /// A complete JSON body is an answer, even if its end is not signalled.
    fn unless_whole(
        &mut self,
        result: Result<Progress, Failure>,
        out: &mut impl FnMut(ChatEvent<'_>),
    ) -> Result<Progress, Failure> {
        match (&result, &self.format) {
            (Err(_), BodyFormat::Json(body)) if is_whole_json(body) => self.end(out),
            _ => result,
        }
    }

    /// Checks the time limits. At a limit, returns what it means for the answer.
    fn check_limits(&self) -> Result<Progress, Failure> {
        let (deadline, kind) = self.times.deadline(&self.limits);
        if Instant::now() < deadline {
            return Ok(Progress::More);
        }
        // An answer that kept going is incomplete when its time is over.
        let is_cut = self.times.is_doubtful && kind == ErrorKind::UpstreamTimeoutTotal;
        match self.complete() {
            Some(complete) if !is_cut => complete,
            _ => match self.mapper.suspicion() {
                Some(failure) => Err(failure.clone()),
                None => Err(Failure::stream(kind, "time limit")),
            },
        }
    }

    fn complete(&self) -> Option<Result<Progress, Failure>> {
        let usage = self.mapper.usage();
        self.mapper
            .verdict()
            .map(|verdict| verdict.map(|finish| Progress::Complete { finish, usage }))
    }
}

fn not_a_stream() -> Failure {
    Failure::stream(ErrorKind::UpstreamNotStream, "HTML")
}

/// The format of a body by its first bytes. `None` if they are blank.
///
/// # Errors
/// When the body is a page.
fn format_of(chunk: &[u8], claims_html: bool) -> Result<Option<BodyFormat>, Failure> {
    let text = chunk.trim_ascii_start();
    let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
    let begins_an_event = || {
        ["data:", "event:", "id:", "retry:", ":"]
            .iter()
            .any(|field| text.starts_with(field.as_bytes()) || field.as_bytes().starts_with(text))
    };
    match text.trim_ascii_start().first() {
        Some(b'{' | b'[') => Ok(Some(BodyFormat::Json(Vec::new()))),
        Some(b'<') => Err(not_a_stream()),
        Some(_) if claims_html && !begins_an_event() => Err(not_a_stream()),
        Some(_) => Ok(Some(BodyFormat::Stream(sse::Decoder::new(MAX_EVENT_BYTES)))),
        None => Ok(None),
    }
}

fn is_whole_json(text: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(text).is_ok()
}

/// The failure of a body that broke off, or that is not compressed as its header says.
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

fn claims_html(headers: &HeaderMap) -> bool {
    let text = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let media_type = text
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default();
    matches!(
        media_type.trim().to_ascii_lowercase().as_str(),
        "text/html" | "application/xhtml+xml"
    )
}
