//! Request bodies: JSON only, with limits on size, time and speed.
//!
//! Every route with a body reads it through [`IncomingBody`], whose deadline moves with the bytes that arrived.
//! A client that sends a byte a second is refused soon, and no body takes longer than its largest size at the
//! least pace. These limits apply to a compressed body as sent, and the size limit also to the decoded body.

use std::borrow::Cow;
use std::time::Duration;

use app::protocol::{ErrorKind, MAX_REQUEST_BYTES};
use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_LENGTH;
use bytes::BytesMut;
use futures::StreamExt;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};

use crate::config::Config;
use crate::http::content_coding::{ACCEPTED, Codings};
use crate::http::error::AppError;
use crate::http::negotiate::has_content_type;

/// The limits of a body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyLimits {
    /// The largest size, in bytes.
    pub(crate) bytes: u64,
    /// The least average speed, in bytes a second.
    pub(crate) pace: u64,
    /// The time in addition to what the pace allows, and the longest silence.
    pub(crate) grace: Duration,
}

impl BodyLimits {
    /// The limits for our own API: at most 1 MiB, and thus at most 64 s and the grace.
    pub(crate) fn of_request(config: &Config) -> Self {
        Self {
            bytes: MAX_REQUEST_BYTES as u64,
            pace: 16 * 1024,
            grace: config.body_grace,
        }
    }

    /// The deadline for the next bytes of a body that began then, after this many bytes.
    fn deadline(&self, began: Instant, arrived: u64) -> Instant {
        let by_pace = Duration::from_millis(arrived.saturating_mul(1000) / self.pace);
        began + self.grace + by_pace
    }
}

/// The reason why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// The body is larger than its limit.
    TooLarge,
    /// The body came too slowly.
    TooSlow,
    /// The connection ended early, or the framing is invalid.
    Cut,
    /// The content coding is unknown.
    UnknownCoding,
    /// The body is not valid in its coding.
    Undecodable,
}

impl BodyError {
    /// The kind and the sentence of the error.
    pub(crate) fn refusal(self) -> (ErrorKind, Cow<'static, str>) {
        match self {
            Self::TooLarge => usual_sentence(ErrorKind::TooLarge),
            Self::TooSlow => usual_sentence(ErrorKind::RequestTimeout),
            Self::Cut => (
                ErrorKind::BadRequest,
                "The request's body broke off.".into(),
            ),
            Self::UnknownCoding => (
                ErrorKind::UnsupportedMediaType,
                format!("The body's Content-Encoding must be one of: {ACCEPTED}, identity.").into(),
            ),
            Self::Undecodable => (
                ErrorKind::BadRequest,
                "The request's body is not what its Content-Encoding says.".into(),
            ),
        }
    }
}

fn usual_sentence(kind: ErrorKind) -> (ErrorKind, Cow<'static, str>) {
    (kind, kind.sentence().into())
}

impl From<BodyError> for AppError {
    fn from(error: BodyError) -> Self {
        let (kind, message) = error.refusal();
        let refusal = Self::new(kind, message);
        if error == BodyError::UnknownCoding {
            refusal.with_accepted_codings()
        } else {
            refusal
        }
    }
}

/// A body that is being read within its limits.
pub(crate) struct IncomingBody {
    chunks: BodyDataStream,
    limits: BodyLimits,
    began: Instant,
    arrived: u64,
}

impl IncomingBody {
    /// Begins to read a body. Its time counts from now.
    pub(crate) fn new(body: Body, limits: BodyLimits) -> Self {
        Self {
            chunks: body.into_data_stream(),
            limits,
            began: Instant::now(),
            arrived: 0,
        }
    }

    /// The next piece, or `None` at the end.
    ///
    /// # Errors
    /// When a limit is exceeded, or the body is incomplete.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        // By the average alone, a client that was fast at first could be silent for hours.
        let silence = Instant::now() + self.limits.grace.max(LEAST_SILENCE);
        let deadline = self.limits.deadline(self.began, self.arrived).min(silence);
        let chunk = match timeout_at(deadline, self.chunks.next()).await {
            Ok(Some(Ok(chunk))) => chunk,
            Ok(Some(Err(_))) => return Err(BodyError::Cut),
            Ok(None) => return Ok(None),
            Err(_) => return Err(BodyError::TooSlow),
        };
        self.arrived += chunk.len() as u64;
        if self.arrived > self.limits.bytes {
            return Err(BodyError::TooLarge);
        }
        Ok(Some(chunk))
    }

    /// Reads the whole body into memory.
    ///
    /// # Errors
    /// As [`IncomingBody::next`].
    pub(crate) async fn read_all(mut self) -> Result<Bytes, BodyError> {
        let Some(first) = self.next().await? else {
            return Ok(Bytes::new());
        };
        let Some(second) = self.next().await? else {
            return Ok(first);
        };
        let mut whole = BytesMut::with_capacity(first.len() + second.len());
        whole.extend_from_slice(&first);
        whole.extend_from_slice(&second);
        while let Some(chunk) = self.next().await? {
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.freeze())
    }
}

/// The longest silence in a body that kept its pace so far.
const LEAST_SILENCE: Duration = Duration::from_secs(30);

/// Reads the JSON of a request.
pub(crate) async fn json<T: DeserializeOwned>(
    request: Request,
    config: &Config,
) -> Result<T, AppError> {
    check_headers(request.headers())?;
    let body = read(request, config).await?;
    serde_json::from_slice(&body)
        .map_err(|cause| AppError::invalid(format!("This is no such request: {cause}.")))
}

/// Checks that can be made before the body is read. A form of another site cannot send JSON.
pub(crate) fn check_headers(headers: &HeaderMap) -> Result<(), AppError> {
    check_type(headers)?;
    check_length(headers, MAX_REQUEST_BYTES as u64)
}

/// Requires a JSON body.
pub(crate) fn check_type(headers: &HeaderMap) -> Result<(), AppError> {
    if is_json(headers) {
        Ok(())
    } else {
        Err(ErrorKind::UnsupportedMediaType.into())
    }
}

/// Refuses a body whose `Content-Length` is larger than this many bytes.
pub(crate) fn check_length(headers: &HeaderMap, most: u64) -> Result<(), AppError> {
    if is_too_long(headers, most) {
        Err(ErrorKind::TooLarge.into())
    } else {
        Ok(())
    }
}

/// Whether `Content-Length` is larger than this many bytes.
pub(crate) fn is_too_long(headers: &HeaderMap, most: u64) -> bool {
    headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok())
        .is_some_and(|length| length > most)
}

/// Whether the content type is JSON.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    has_content_type(headers, "application/json")
}

/// Reads a body of our own API.
pub(crate) async fn read(request: Request, config: &Config) -> Result<Bytes, AppError> {
    let (head, body) = request.into_parts();
    Ok(read_decoded(&head.headers, body, BodyLimits::of_request(config)).await?)
}

/// Reads and decodes a body.
///
/// # Errors
/// As [`IncomingBody::next`], and when its coding is unknown or invalid.
pub(crate) async fn read_decoded(
    headers: &HeaderMap,
    body: Body,
    limits: BodyLimits,
) -> Result<Bytes, BodyError> {
    let codings = Codings::of(headers)?;
    let body = IncomingBody::new(body, limits).read_all().await?;
    codings.decode(body, limits.bytes).await
}

/// Refuses a compressed body.
pub(crate) fn check_no_coding(headers: &HeaderMap) -> Result<(), AppError> {
    match Codings::of(headers) {
        Ok(codings) if codings.is_identity() => Ok(()),
        _ => Err(AppError::new(
            ErrorKind::UnsupportedMediaType,
            "A file is imported without a Content-Encoding.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream;

    const LIMITS: BodyLimits = BodyLimits {
        bytes: 100_000,
        pace: 1000,
        grace: Duration::from_secs(10),
    };

    /// A body of pieces, each after a pause in seconds and of a size, and what comes of it.
    async fn check(pieces: Vec<(u64, usize)>, expect: Result<usize, BodyError>) {
        let described = format!("{:?}", &pieces[..pieces.len().min(3)]);
        let chunks = stream::iter(pieces).then(|(pause, size)| async move {
            tokio::time::sleep(Duration::from_secs(pause)).await;
            Ok::<_, std::io::Error>(vec![b' '; size])
        });
        let body = IncomingBody::new(Body::from_stream(chunks), LIMITS);
        let got = body.read_all().await.map(|body| body.len());
        assert_eq!(got, expect, "{described}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_has_the_time_that_its_size_needs_at_the_least_pace() {
        check(vec![], Ok(0)).await;
        check(vec![(9, 10)], Ok(10)).await;
        check(vec![(11, 10)], Err(BodyError::TooSlow)).await;
        check(vec![(1, 1000); 100], Ok(100_000)).await;
        check(vec![(1, 1001); 100], Err(BodyError::TooLarge)).await;
        check(vec![(2, 1000); 9], Ok(9000)).await;
        check(vec![(2, 1000); 12], Err(BodyError::TooSlow)).await;
        check(vec![(1, 1); 100], Err(BodyError::TooSlow)).await;
        check(vec![(0, 50_000), (29, 1)], Ok(50_001)).await;
        // What came fast at first does not make up for a long silence.
        check(vec![(0, 50_000), (31, 1)], Err(BodyError::TooSlow)).await;
    }

    #[test]
    fn no_body_may_take_longer_than_its_largest_size_at_the_least_pace() {
        let began = Instant::now();
        let last = LIMITS.deadline(began, LIMITS.bytes);
        assert_eq!(last - began, Duration::from_secs(110));
    }
}
