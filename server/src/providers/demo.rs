//! The demo: an embedded provider that answers when no other is configured, so that the app can be tried at
//! once.
//!
//! It uses the real wire format over HTTP on a loopback port, so that the same client code runs as with a real
//! provider. It has an answer for each suggestion of the page, quotes any other question, and writes at the pace of a
//! fast reader.

pub mod answers;

use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures::stream;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use self::answers::Answer;

/// The name of the demo, as an upstream and as its only model.
pub const NAME: &str = "demo";

/// Starts the demo on a free loopback port and returns its base URL. It runs until the process ends.
///
/// # Errors
/// When no port can be bound.
pub async fn start() -> std::io::Result<reqwest::Url> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let url = format!("http://{}/v1", listener.local_addr()?);
    let router = axum::Router::new().route("/v1/chat/completions", post(complete));
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "the demo upstream stopped");
        }
    });
    Ok(reqwest::Url::parse(&url).expect("an address is part of a URL"))
}

#[derive(Deserialize)]
struct DemoRequest {
    messages: Vec<DemoMessage>,
}

#[derive(Deserialize)]
struct DemoMessage {
    role: String,
    content: String,
}

async fn complete(Json(request): Json<DemoRequest>) -> Response {
    let questions: Vec<_> = request
        .messages
        .iter()
        .filter(|message| message.role == "user")
        .collect();
    let question = questions
        .last()
        .map_or("", |message| message.content.as_str());
    let Answer { reasoning, text } = answers::answer(question);
    let prompt_tokens: usize = request
        .messages
        .iter()
        .map(|message| pieces(&message.content).count())
        .sum();
    let pieces: Vec<String> = pieces(&text).map(str::to_owned).collect();
    let usage = json!({"prompt_tokens": prompt_tokens, "completion_tokens": pieces.len()});

    let thoughts: Vec<_> = self::pieces(reasoning)
        .map(|piece| {
            (
                pause_after(piece),
                chunk(&json!({"reasoning_content": piece}), None),
            )
        })
        .collect();
    let words = pieces
        .into_iter()
        .map(|piece| (pause_after(&piece), chunk(&json!({"content": piece}), None)));
    let end = [
        (Duration::ZERO, chunk(&json!({}), Some("stop"))),
        (
            Duration::ZERO,
            event(&json!({"choices": [], "usage": usage})),
        ),
        (Duration::ZERO, "data: [DONE]\n\n".to_owned()),
    ];
    let start = [(
        Duration::from_millis(400),
        chunk(&json!({"role": "assistant", "content": ""}), None),
    )];
    let events: Vec<_> = start
        .into_iter()
        .chain(thoughts)
        .chain(words)
        .chain(end)
        .collect();
    let body = stream::unfold(events.into_iter(), |mut events| async move {
        let (pause, event) = events.next()?;
        tokio::time::sleep(pause).await;
        Some((Ok::<_, Infallible>(Bytes::from(event)), events))
    });
    (
        [(CONTENT_TYPE, "text/event-stream")],
        Body::from_stream(body),
    )
        .into_response()
}

fn chunk(delta: &Value, finish: Option<&str>) -> String {
    event(&json!({
        "object": "chat.completion.chunk",
        "model": NAME,
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }))
}

fn event(data: &Value) -> String {
    format!("data: {data}\n\n")
}

/// Splits a text into pieces of about a token: words with the white space before them.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let word = rest.find(|c: char| !c.is_whitespace())?;
        let end = rest[word..]
            .find(char::is_whitespace)
            .map_or(rest.len(), |at| word + at);
        let (piece, after) = rest.split_at(end);
        rest = after;
        Some(piece)
    })
}

/// The pause after a piece, which is longer after a sentence. It depends on the piece itself, so that the pace
/// is uneven but reproducible.
fn pause_after(piece: &str) -> Duration {
    let uneven = piece.bytes().fold(7_u64, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(byte.into())
    }) % 30;
    let rest = if piece.ends_with(['.', ':', '?', '!']) {
        90
    } else {
        0
    };
    Duration::from_millis(18 + uneven + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pieces_of_a_text_join_to_the_text() {
        let questions = answers::suggestions().into_iter().map(|one| one.prompt);
        for question in questions.chain(["What is\nthis?".to_owned()]) {
            let Answer { text, .. } = answers::answer(&question);
            // White space at the very end is no piece.
            assert_eq!(pieces(&text).collect::<String>(), text.trim_end());
            assert!(pieces(&text).count() > 60);
        }
    }
}
