//! Asks the server for a reply: one POST, a look at the status, then bytes to events to [`ChatEvent`]s.

use std::collections::VecDeque;

use app::protocol::{
    CHAT_PATH, ChatEvent, ChatRequest, EVENT_STREAM, ErrorBody, ErrorKind, ReplyError,
};
use app::sse::{Decoder, Item};
use app::transport::ChatTransport;
use app::wording;
use futures::stream::{LocalBoxStream, StreamExt, unfold};

use crate::fetch::{self, Response};

/// The most bytes that one event may have. The server sends much smaller ones; the limit is for what
/// stands in its place.
const EVENT_LIMIT: usize = 16 * 1024 * 1024;

/// The most bytes of a refusal that are read.
const REFUSAL_LIMIT: usize = 64 * 1024;

/// The way to the server over HTTP.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HttpTransport;

impl ChatTransport for HttpTransport {
    fn chat(&self, request: ChatRequest) -> LocalBoxStream<'static, ChatEvent<'static>> {
        unfold(Stage::Ask(request), next).boxed_local()
    }
}

/// How far a request has come. Dropping it in any stage ends it.
enum Stage {
    Ask(ChatRequest),
    Read(Reading),
    Over,
}

/// The next event of a request, with the stage after it.
async fn next(stage: Stage) -> Option<(ChatEvent<'static>, Stage)> {
    let mut reading = match stage {
        Stage::Ask(request) => match open(&request).await {
            Ok(response) => Reading::new(response),
            Err(error) => return Some((ChatEvent::Error(error), Stage::Over)),
        },
        Stage::Read(reading) => reading,
        Stage::Over => return None,
    };
    loop {
        if let Some(event) = reading.ready.pop_front() {
            let is_over = event.is_terminal();
            return Some((
                event,
                if is_over {
                    Stage::Over
                } else {
                    Stage::Read(reading)
                },
            ));
        }
        // The body ends, or the network does: without a terminal event before, the reply was cut.
        let bytes = reading.response.chunk().await.ok().flatten()?;
        reading.decode(&bytes);
    }
}

/// Sends the request and waits until the server has accepted or refused it.
async fn open(request: &ChatRequest) -> Result<Response, ReplyError> {
    let body =
        serde_json::to_string(request).expect("a request is made of text, numbers and lists");
    let response = fetch::post_json(CHAT_PATH, EVENT_STREAM, body)
        .await
        .map_err(|_| failure(ErrorKind::ServerUnreachable, ""))?;
    let content_type = response.headers.get("content-type").unwrap_or_default();
    if response.status == 200 && content_type.starts_with(EVENT_STREAM) {
        return Ok(response);
    }
    Err(refusal(response).await)
}

/// What the server said, or what can be told when something else than it answered.
async fn refusal(response: Response) -> ReplyError {
    let retry_after = response.headers.get("retry-after");
    let retry_after_ms =
        retry_after.and_then(|seconds| seconds.parse::<u64>().ok()?.checked_mul(1000));
    let body = response.text(REFUSAL_LIMIT).await;
    match serde_json::from_str::<ErrorBody>(&body) {
        Ok(ErrorBody { error }) => ReplyError {
            retry_after_ms,
            ..failure(error.kind, &error.message)
        },
        Err(_) => failure(ErrorKind::Unknown, wording::NOT_THE_SERVER),
    }
}

/// An error of which the page itself tells.
fn failure(kind: ErrorKind, message: &str) -> ReplyError {
    ReplyError {
        kind,
        message: wording::shown_message(message, kind).to_owned(),
        retryable: true,
        retry_after_ms: None,
    }
}

/// A reply that is being read.
struct Reading {
    response: Response,
    decoder: Decoder,
    /// Events that came in one chunk, on their way out together.
    ready: VecDeque<ChatEvent<'static>>,
}

impl Reading {
    fn new(response: Response) -> Self {
        Self {
            response,
            decoder: Decoder::with_comments(EVENT_LIMIT),
            ready: VecDeque::new(),
        }
    }

    fn decode(&mut self, bytes: &[u8]) {
        let Self { decoder, ready, .. } = self;
        // After something unreadable nothing that follows counts: that event is a terminal one.
        let unreadable =
            || ChatEvent::Error(failure(ErrorKind::Internal, wording::UNREADABLE_STREAM));
        let decoded = decoder.feed_items(bytes, |item| match item {
            Item::Comment(comment) => ready.extend(ChatEvent::from_comment(comment)),
            Item::Event(event) => match ChatEvent::from_sse(event.name, event.data) {
                Ok(Some(event)) => ready.push_back(event),
                Ok(None) => {}
                Err(_) => ready.push_back(unreadable()),
            },
        });
        if decoded.is_err() {
            ready.push_back(unreadable());
        }
    }
}
