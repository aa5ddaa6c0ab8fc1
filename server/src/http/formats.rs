//! A reply in another format than events: its text, Chat Completions chunks, or one object.
//!
//! Each format is made from the reply's own event stream, so that there is one relay. A response in these
//! formats begins with the first piece of text or reasoning: a failure before it becomes an HTTP status. A
//! later failure breaks the connection, so that a partial text is not taken for a whole one.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::time::{SystemTime, UNIX_EPOCH};

use app::protocol::{ChatEvent, ErrorBody, ErrorKind, Finish, Refusal, ReplyError, Usage};
use app::reply::transcript::{ReplyEnd, Transcript};
use app::sse::{Decoder, Item};
use axum::Json;

use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, HeaderValue, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt};
use serde::Serialize;
use tokio::task::yield_now;

use super::negotiate::ReplyFormat;
use super::streamed::streamed;

/// The events of a reply, decoded from its byte stream. Dropping them ends the reply.
pub(super) struct ReplyEvents {
    bytes: Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>,
    decoder: Decoder,
    ready: VecDeque<ChatEvent<'static>>,
}

impl ReplyEvents {
    /// Decodes the events of a stream of ours.
    pub(super) fn read(bytes: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Self {
        Self {
            bytes: Box::pin(bytes),
            decoder: Decoder::with_comments(usize::MAX),
            ready: VecDeque::new(),
        }
    }

    /// The next event. `None` after the last one.
    async fn next(&mut self) -> Option<ChatEvent<'static>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            let bytes = self.bytes.next().await?.ok()?;
            let ready = &mut self.ready;
            self.decoder
                .feed_items(&bytes, |item| match item {
                    Item::Comment(comment) => ready.extend(ChatEvent::from_comment(comment)),
                    Item::Event(event) => {
                        let event = ChatEvent::from_sse(event.name, event.data);
                        ready.extend(event.expect("we wrote it ourselves"));
                    }
                })
                .expect("there is no limit");
        }
    }
}

/// The pieces of text as they arrive.
pub(super) async fn text(mut events: ReplyEvents) -> Response {
    loop {
        match events.next().await {
            Some(ChatEvent::Text(text)) => {
                let rest = stream::unfold(Some(events), more_text);
                let first = stream::iter([Ok(Bytes::from(text.into_owned()))]);
                return streamed("text/plain; charset=utf-8", first.chain(rest));
            }
            Some(ChatEvent::Done(_)) => {
                return streamed("text/plain; charset=utf-8", stream::empty());
            }
            Some(ChatEvent::Error(error)) => return failed(&error, None),
            Some(_) => {}
            None => return failed(&missing_end(), None),
        }
    }
}

async fn more_text(
    events: Option<ReplyEvents>,
) -> Option<(io::Result<Bytes>, Option<ReplyEvents>)> {
    let mut events = events?;
    loop {
        match events.next().await {
            Some(ChatEvent::Text(text)) => {
                return Some((Ok(Bytes::from(text.into_owned())), Some(events)));
            }
            Some(ChatEvent::Done(_)) => return None,
            // Plain text has no other way to signal that it is incomplete.
            Some(ChatEvent::Error(_)) | None => {
                // Bytes that were returned before are flushed while the body is pending; an error at once would
                // discard them.
                yield_now().await;
                return Some((Err(io::ErrorKind::UnexpectedEof.into()), None));
            }
            Some(_) => {}
        }
    }
}

/// Chunks in the format of OpenAI's Chat Completions stream, one a line.
pub(super) async fn chunks(mut events: ReplyEvents) -> Response {
    let mut writer = ChunkWriter::default();
    loop {
        match events.next().await {
            Some(ChatEvent::Error(error)) => return failed(&error, None),
            None => return failed(&missing_end(), None),
            Some(event) => {
                let lines = writer.lines(&event);
                if !lines.is_empty() {
                    let first = stream::iter([Ok(Bytes::from(lines))]);
                    let rest = stream::unfold((events, writer), more_chunks);
                    return streamed(ReplyFormat::Chunks.media_type(), first.chain(rest));
                }
            }
        }
    }
}

async fn more_chunks(
    (mut events, mut writer): (ReplyEvents, ChunkWriter),
) -> Option<(io::Result<Bytes>, (ReplyEvents, ChunkWriter))> {
    loop {
        let event = events.next().await?;
        let lines = writer.lines(&event);
        if !lines.is_empty() {
            return Some((Ok(Bytes::from(lines)), (events, writer)));
        }
    }
}

/// Writes events as Chat Completions chunks.
#[derive(Default)]
struct ChunkWriter {
    id: String,
    model: String,
    created: u64,
    /// Whether the chunk with the role was written.
    begun: bool,
    /// The token counts, which are written after the finish reason.
    usage: Option<Usage>,
}

#[derive(Serialize)]
struct CompletionChunk<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: &'a [ChunkChoice<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<TotalUsage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a ReplyError>,
}

#[derive(Serialize)]
struct ChunkChoice<'a> {
    index: u32,
    delta: ChunkDelta<'a>,
    finish_reason: Option<&'static str>,
}

#[derive(Default, Serialize)]
struct ChunkDelta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
}

#[derive(Serialize)]
struct TotalUsage {
    #[serde(flatten)]
    usage: Usage,
    total_tokens: u64,
}

impl ChunkWriter {
    /// The lines for an event. Some events have none.
    fn lines(&mut self, event: &ChatEvent<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        match event {
            ChatEvent::Start(start) => {
                self.id = format!("chatcmpl-{}", start.generation);
                self.model.clone_from(&start.model);
                self.created = SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .map_or(0, |time| time.as_secs());
            }
            ChatEvent::Model(model) => self.model = model.clone().into_owned(),
            ChatEvent::Text(text) => self.delta(
                &mut out,
                ChunkDelta {
                    content: Some(text),
                    ..ChunkDelta::default()
                },
                None,
            ),
            ChatEvent::Reasoning(text) => self.delta(
                &mut out,
                ChunkDelta {
                    reasoning_content: Some(text),
                    ..ChunkDelta::default()
                },
                None,
            ),
            ChatEvent::Usage(usage) => self.usage = Some(*usage),
            ChatEvent::Retrying(_) | ChatEvent::Notice(_) => {}
            ChatEvent::Done(finish) => {
                let reason = match finish {
                    // OpenAI's libraries do not know these reasons. They mean that the answer ended.
                    Finish::Refusal | Finish::Stopped => Finish::Stop,
                    other => *other,
                };
                self.delta(&mut out, ChunkDelta::default(), Some(reason.as_str()));
                if let Some(usage) = self.usage {
                    let total_tokens =
                        usage.prompt_tokens.unwrap_or(0) + usage.completion_tokens.unwrap_or(0);
                    let usage = Some(TotalUsage {
                        usage,
                        total_tokens,
                    });
                    self.line(&mut out, &[], usage, None);
                }
            }
            // A stream without a finish reason is incomplete for its readers.
            ChatEvent::Error(error) => self.line(&mut out, &[], None, Some(error)),
        }
        out
    }

    fn delta(
        &mut self,
        out: &mut Vec<u8>,
        mut delta: ChunkDelta<'_>,
        finish: Option<&'static str>,
    ) {
        if !std::mem::replace(&mut self.begun, true) {
            delta.role = Some("assistant");
        }
        let choice = ChunkChoice {
            index: 0,
            delta,
            finish_reason: finish,
        };
        self.line(out, &[choice], None, None);
    }

    fn line(
        &self,
        out: &mut Vec<u8>,
        choices: &[ChunkChoice<'_>],
        usage: Option<TotalUsage>,
        error: Option<&ReplyError>,
    ) {
        let chunk = CompletionChunk {
            id: &self.id,
            object: "chat.completion.chunk",
            created: self.created,
            model: &self.model,
            choices,
            usage,
            error,
        };
        serde_json::to_writer(&mut *out, &chunk).expect("a chunk is JSON, and a Vec takes all");
        out.push(b'\n');
    }
}

/// The whole reply as one object.
pub(super) async fn whole(mut events: ReplyEvents) -> Response {
    #[derive(Serialize)]
    struct WholeReply<'a> {
        content: &'a str,
        reasoning: &'a str,
        finish: Finish,
        usage: Option<Usage>,
        model: &'a str,
    }
    let mut transcript = Transcript::default();
    while let Some(event) = events.next().await {
        transcript.apply(&event);
    }
    match &transcript.end {
        Some(ReplyEnd::Done(finish)) => {
            let reply = WholeReply {
                content: &transcript.text,
                reasoning: &transcript.reasoning,
                finish: *finish,
                usage: transcript.usage,
                model: transcript.model.as_deref().unwrap_or_default(),
            };
            ([(CACHE_CONTROL, "no-store")], Json(reply)).into_response()
        }
        Some(ReplyEnd::Error(error)) => failed(error, Some(&transcript)),
        Some(ReplyEnd::Cut) | None => failed(&missing_end(), Some(&transcript)),
    }
}

/// The error for a relay that ended without a terminal event, which must not happen.
fn missing_end() -> ReplyError {
    ReplyError::of(ErrorKind::Internal)
}

/// The HTTP response for a failed reply, with the text that came before the failure. The reply's own log line
/// reports the failure.
fn failed(error: &ReplyError, partial: Option<&Transcript>) -> Response {
    #[derive(Serialize)]
    struct FailedReply<'a> {
        #[serde(flatten)]
        body: ErrorBody,
        #[serde(skip_serializing_if = "str::is_empty")]
        content: &'a str,
        #[serde(skip_serializing_if = "str::is_empty")]
        reasoning: &'a str,
    }
    let body = FailedReply {
        body: ErrorBody {
            error: Refusal {
                kind: error.kind,
                message: error.message.clone(),
            },
        },
        content: partial.map_or("", |transcript| &transcript.text),
        reasoning: partial.map_or("", |transcript| &transcript.reasoning),
    };
    let headers = [(CACHE_CONTROL, "no-store")];
    let mut response = (status_of(error.kind), headers, Json(body)).into_response();
    if let Some(wait) = error.retry_after_ms {
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from(wait.div_ceil(1000)));
    }
    response
}

/// The HTTP status of a failed reply.
fn status_of(kind: ErrorKind) -> StatusCode {
    match kind {
        // The answer was too large, not the request.
        ErrorKind::TooLarge => StatusCode::BAD_GATEWAY,
        kind => super::error::status_of(kind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use app::protocol::Start;
    use serde_json::{Value, json};

    #[test]
    fn events_become_chunks_that_openais_library_reads() {
        let mut writer = ChunkWriter::default();
        let mut lines = |event: ChatEvent<'_>| -> Vec<Value> {
            let text = String::from_utf8(writer.lines(&event)).expect("UTF-8");
            text.lines()
                .map(|line| serde_json::from_str(line).expect("JSON a line"))
                .collect()
        };
        let start = Start {
            generation: "g".into(),
            model: "m".into(),
            ..Start::default()
        };
        assert!(lines(ChatEvent::Start(start)).is_empty());
        let [first] = lines(ChatEvent::Reasoning("hm\n".into()))
            .try_into()
            .expect("one line");
        assert_eq!(first["id"], "chatcmpl-g");
        assert_eq!(first["object"], "chat.completion.chunk");
        assert_eq!(
            first["choices"],
            json!([{"index": 0, "delta": {"role": "assistant", "reasoning_content": "hm\n"}, "finish_reason": null}])
        );
        assert!(lines(ChatEvent::Model("other".into())).is_empty());
        let text = lines(ChatEvent::Text("a".into()));
        assert_eq!(text[0]["model"], "other");
        assert_eq!(text[0]["choices"][0]["delta"], json!({"content": "a"}));
        let usage = Usage {
            prompt_tokens: Some(5),
            completion_tokens: Some(2),
            ..Usage::default()
        };
        assert!(lines(ChatEvent::Usage(usage)).is_empty());
        let [end, cost] = lines(ChatEvent::Done(Finish::Refusal))
            .try_into()
            .expect("two lines");
        assert_eq!(end["choices"][0]["finish_reason"], "stop");
        assert_eq!(cost["choices"], json!([]));
        assert_eq!(cost["usage"]["total_tokens"], 7);
    }
}
