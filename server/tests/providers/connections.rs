//! A provider closes a kept connection while a request is sent over it. The request is sent again over a new
//! connection, unless the answer had begun.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::support::http::Request;
use crate::support::rill::Rill;
use crate::support::soon;

/// What a provider does with the second request on a connection, once it has answered the first.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Second {
    /// Closes before it reads anything: the system resets the connection.
    CloseUnread,
    /// Closes when it has read all of the request.
    CloseRead,
    /// Does not wait for it, but closes after the first.
    CloseAtOnce,
    /// Closes some seconds after it has read all of the request.
    CloseLate,
    /// Begins an answer and closes in the middle of its body.
    CutBody,
    /// Answers with an error in the middle of which it closes.
    CutError,
}

/// How often a provider was asked, and over how many connections.
#[derive(Debug, Default)]
struct Asked {
    requests: AtomicUsize,
    connections: AtomicUsize,
}

struct Provider {
    address: SocketAddr,
    asked: Arc<Asked>,
    #[expect(dead_code, reason = "held for its tasks")]
    running: JoinSet<()>,
}

impl Provider {
    async fn start<F>(serve: impl Fn(TcpStream, Arc<Asked>) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let asked = Arc::new(Asked::default());
        let mut running = JoinSet::new();
        let counted = Arc::clone(&asked);
        running.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                counted.connections.fetch_add(1, Ordering::SeqCst);
                connections.spawn(serve(stream, Arc::clone(&counted)));
            }
        });
        Self {
            address,
            asked,
            running,
        }
    }

    async fn closing(second: Second) -> Self {
        Self::start(move |stream, asked| serve(stream, asked, second)).await
    }

    fn requests(&self) -> usize {
        self.asked.requests.load(Ordering::SeqCst)
    }

    fn connections(&self) -> usize {
        self.asked.connections.load(Ordering::SeqCst)
    }

    async fn rill(&self, more: &str) -> Rill {
        let file = format!(
            "[[upstream]]\nname = \"a\"\nbase_url = \"http://{}/v1\"\n{more}\n",
            self.address
        );
        Rill::with_file(&file, &["--max-retries=0"]).await
    }
}

const BODY: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"fine\"},\"finish_reason\":\"stop\"}]}\n\n\
    data: [DONE]\n\n";

fn head(status: &str, length: usize) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/event-stream\r\ncontent-length: {length}\r\n\r\n"
    )
}

async fn serve(mut stream: TcpStream, asked: Arc<Asked>, second: Second) {
    if !read_request(&mut stream).await {
        return;
    }
    asked.requests.fetch_add(1, Ordering::SeqCst);
    let answer = head("200 OK", BODY.len()) + BODY;
    stream.write_all(answer.as_bytes()).await.expect("written");
    match second {
        Second::CloseAtOnce => {}
        Second::CloseUnread => {
            let _ = stream.readable().await;
        }
        Second::CloseRead => {
            read_request(&mut stream).await;
        }
        Second::CloseLate => {
            if read_request(&mut stream).await {
                asked.requests.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(3200)).await;
            }
        }
        Second::CutBody | Second::CutError => {
            if !read_request(&mut stream).await {
                return;
            }
            asked.requests.fetch_add(1, Ordering::SeqCst);
            let status = if second == Second::CutBody {
                "200 OK"
            } else {
                "503 Busy"
            };
            let part = head(status, BODY.len()) + &BODY[..10];
            stream.write_all(part.as_bytes()).await.expect("written");
        }
    }
}

/// Reads a request to its end. False where the connection has none.
async fn read_request(stream: &mut TcpStream) -> bool {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                line.to_ascii_lowercase()
                    .strip_prefix("content-length: ")?
                    .parse()
                    .ok()
            });
            if body.len() >= length.unwrap_or(0) {
                return true;
            }
        }
        if !matches!(stream.read_buf(&mut bytes).await, Ok(1..)) {
            return false;
        }
    }
}

fn passed_request() -> Request {
    Request::post(
        "/v1/chat/completions",
        &json!({"model": "m", "stream": true, "messages": []}),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_connection_that_is_just_closed_fails_no_request() {
    const ROUNDS: usize = 100;
    for second in [Second::CloseUnread, Second::CloseRead, Second::CloseAtOnce] {
        let provider = Provider::closing(second).await;
        let rill = provider.rill("models = [\"m\"]").await;
        for round in 0..ROUNDS {
            let reply = soon(rill.ask()).await;
            assert_eq!(reply.transcript.text, "fine", "{second:?}, round {round}");
            let answer = soon(rill.send(&passed_request())).await;
            assert_eq!(answer.status, 200, "{second:?}, round {round}");
            let body = soon(answer.body()).await.expect("a whole body");
            assert_eq!(body, BODY.as_bytes(), "{second:?}, round {round}");
        }
        assert_eq!(provider.requests(), 2 * ROUNDS, "{second:?}");
        if second != Second::CloseAtOnce {
            // One of the two stays for the next request, which meets its end.
            assert!(provider.connections() >= 2 * ROUNDS, "{second:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_requests_at_once_over_closed_connections_all_succeed() {
    let provider = Provider::closing(Second::CloseRead).await;
    let rill = Arc::new(provider.rill("models = [\"m\"]").await);
    for _ in 0..5 {
        let mut all = JoinSet::new();
        for _ in 0..20 {
            let rill = Arc::clone(&rill);
            all.spawn(async move { soon(rill.ask()).await.transcript.text });
        }
        while let Some(text) = all.join_next().await {
            assert_eq!(text.expect("no panic"), "fine");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_have_been_begun_is_not_asked_for_again() {
    for second in [Second::CutBody, Second::CutError, Second::CloseLate] {
        let provider = Provider::closing(second).await;
        let rill = provider.rill("models = [\"m\"]").await;
        assert_eq!(soon(rill.ask()).await.outcome(), "complete");
        assert_eq!(soon(rill.ask()).await.outcome(), "failed", "{second:?}");
        assert_eq!(
            (provider.requests(), provider.connections()),
            (2, 1),
            "{second:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_question_in_other_words_survives_a_closed_connection_too() {
    // The first request on each connection is refused for a field, and the next one meets its end.
    let refusal = r#"{"error":{"message":"Unrecognized request argument supplied: stream_options","param":"stream_options"}}"#;
    let provider = Provider::start(move |mut stream, asked| async move {
        if !read_request(&mut stream).await {
            return;
        }
        let is_first = asked.requests.fetch_add(1, Ordering::SeqCst) == 0;
        let answer = if is_first {
            let head = head("400 Bad Request", refusal.len());
            head.replace("text/event-stream", "application/json") + refusal
        } else {
            head("200 OK", BODY.len()) + BODY
        };
        stream.write_all(answer.as_bytes()).await.expect("written");
        read_request(&mut stream).await;
    })
    .await;
    let rill = provider.rill("models = [\"m\"]").await;
    assert_eq!(soon(rill.ask()).await.transcript.text, "fine");
    assert_eq!(provider.requests(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_over_a_connection_of_its_own_is_sent_once() {
    let provider = Provider::start(|mut stream, asked| async move {
        read_request(&mut stream).await;
        asked.requests.fetch_add(1, Ordering::SeqCst);
    })
    .await;
    let rill = provider.rill("models = [\"m\"]").await;
    assert_eq!(soon(rill.ask()).await.outcome(), "failed");
    assert_eq!(soon(rill.send(&passed_request())).await.status, 502);
    assert_eq!(provider.requests(), 2);
}

/// What a provider does with the second request on a connection of HTTP/2.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Second2 {
    /// Says that it was not begun.
    Refuse,
    /// Says with the first answer that no further request will be.
    GoAway,
    /// Closes the connection.
    Close,
    /// Says that it failed in the middle.
    Fail,
}

async fn serve2(stream: TcpStream, asked: Arc<Asked>, second: Second2) {
    let mut connection = h2::server::handshake(stream).await.expect("HTTP/2");
    let mut number = 0;
    while let Some(Ok((_request, mut respond))) = connection.accept().await {
        number += 1;
        if number > 1 {
            match second {
                Second2::Refuse => {
                    respond.send_reset(Reason::REFUSED_STREAM);
                    continue;
                }
                Second2::Fail => {
                    asked.requests.fetch_add(1, Ordering::SeqCst);
                    respond.send_reset(Reason::INTERNAL_ERROR);
                    continue;
                }
                Second2::Close => return,
                Second2::GoAway => {}
            }
        }
        asked.requests.fetch_add(1, Ordering::SeqCst);
        let head = hyper::Response::builder()
            .header("content-type", "text/event-stream")
            .body(())
            .expect("a response");
        let mut body = respond.send_response(head, false).expect("an open stream");
        body.send_data(Bytes::from_static(BODY.as_bytes()), true)
            .expect("an open stream");
        if second == Second2::GoAway {
            connection.graceful_shutdown();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_http2_says_was_not_begun_is_asked_again_and_nothing_else() {
    for second in [Second2::Refuse, Second2::GoAway, Second2::Close] {
        let provider = Provider::start(move |stream, asked| serve2(stream, asked, second)).await;
        let rill = provider.rill("models = [\"m\"]\nhttp2 = true").await;
        for round in 0..10 {
            let reply = soon(rill.ask()).await;
            assert_eq!(reply.transcript.text, "fine", "{second:?}, round {round}");
            let answer = soon(rill.send(&passed_request())).await;
            assert_eq!(answer.status, 200, "{second:?}, round {round}");
            soon(answer.body()).await.expect("a whole body");
        }
        // A request that crosses with the end of a connection may have been read before that was torn down,
        // without a byte of its answer.
        if second != Second2::GoAway {
            assert_eq!(provider.requests(), 20, "{second:?}");
        }
    }
    let provider = Provider::start(|stream, asked| serve2(stream, asked, Second2::Fail)).await;
    let rill = provider.rill("models = [\"m\"]\nhttp2 = true").await;
    assert_eq!(soon(rill.ask()).await.outcome(), "complete");
    assert_eq!(soon(rill.ask()).await.outcome(), "failed");
    assert_eq!((provider.requests(), provider.connections()), (2, 1));
}
