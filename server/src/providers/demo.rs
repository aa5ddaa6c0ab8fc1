//! The demo: an embedded provider that answers when no other is configured, so that the app can be tried at
//! once.
//!
//! It uses the real wire format over HTTP on a loopback port, so that the same client code runs as with a real
//! provider. It quotes the question in one of several fixed answers, writes at the pace of a person, and says
//! that it is a demo.

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
    let text = answer(question, questions.len());
    let prompt_tokens: usize = request
        .messages
        .iter()
        .map(|message| pieces(&message.content).count())
        .sum();
    let pieces: Vec<String> = pieces(&text).map(str::to_owned).collect();
    let usage = json!({"prompt_tokens": prompt_tokens, "completion_tokens": pieces.len()});

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
    let events: Vec<_> = start.into_iter().chain(words).chain(end).collect();
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

/// An answer that quotes the question. `turn` is the number of the question, so that consecutive answers
/// differ.
fn answer(question: &str, turn: usize) -> String {
    let quoted: String = question
        .chars()
        .take(300)
        .collect::<String>()
        .replace('\n', "\n> ");
    let ellipsis = if question.chars().count() > 300 {
        " …"
    } else {
        ""
    };
    let words = question.split_whitespace().count();
    let body = match turn % 3 {
        1 => ANSWER_TEXT,
        2 => ANSWER_LIST,
        _ => ANSWER_CODE,
    };
    format!(
        "You wrote:\n\n> {quoted}{ellipsis}\n\nThat is {words} words, and this is the demo, so I cannot understand them. {body}"
    )
}

const ANSWER_TEXT: &str = "\
But I can show how a reply looks when it **streams**.

Each word you see left the server on its own. It was read from a provider's stream, decoded, mapped and \
sent on within a fraction of a millisecond; nothing waits for the end of a sentence, and nothing is held \
back for effect. If you press *Stop*, the connection to the provider is closed at once, and what is on \
the screen stays.

Try it while this paragraph is still being written. Or scroll up: the text goes on below, but it does not \
pull you back down. Select a few words, and the selection stays while the reply grows.

To talk to a real model, set `OPENAI_API_KEY` and start Rill again. For Ollama, vLLM or llama.cpp set \
`OPENAI_BASE_URL`, for instance to `http://127.0.0.1:11434/v1`.";

const ANSWER_LIST: &str = "\
Here is a list instead, as models like to write them:

1. **One task a reply.** When you leave, it ends, and so does the provider's work.
2. **Every split handled.** Bytes are cut into lines first and decoded after, so no character breaks: \
naïve, 東京, 👩‍👩‍👧‍👦.
3. **A cost that does not grow.** The thousandth word costs as much as the first.

| part | does | does not |
| --- | --- | --- |
| decoder | bytes to events | touch the network |
| mapper | a provider's events to ours | know who reads them |
| page | events to text | make HTML of it |

And a quotation:

> Simplicity is prerequisite for reliability.

Set `OPENAI_API_KEY` to hear from a real model.";

const ANSWER_CODE: &str = "\
Some code, then:

```rust
/// Reads one reply to its end.
async fn read(mut reply: Reply) -> Result<String, Error> {
    let mut text = String::new();
    while let Some(event) = reply.next().await? {
        if let Event::Text(piece) = event {
            text.push_str(&piece);
        }
    }
    Ok(text)
}
```

The loop ends when the stream says that it ended. A stream that just stops is an error, since nobody can \
tell half an answer from a whole one otherwise.

A formula, too: $e^{i\\pi} + 1 = 0$. And a price, which is none: $4 for two.

Set `OPENAI_API_KEY` to hear from a real model.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pieces_of_a_text_join_to_the_text() {
        for turn in 0..3 {
            let text = answer("What is\nthis?", turn);
            assert_eq!(pieces(&text).collect::<String>(), text);
            assert!(pieces(&text).count() > 60);
        }
    }

    #[test]
    fn an_answer_holds_what_was_asked() {
        assert!(answer("Is 東京 large?", 1).contains("> Is 東京 large?"));
        assert!(answer(&"x".repeat(1000), 2).chars().count() < 2000);
        assert_ne!(answer("x", 1), answer("x", 2));
    }
}
