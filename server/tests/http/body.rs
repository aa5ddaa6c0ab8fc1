//! Slow request bodies: on every route that takes a body, a client that sends a byte now and then is refused
//! after a grace period, and its connection is closed.

use std::time::Duration;

use leptos::server_fn::axum::server_fn_paths;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};

use crate::support::rill::Rill;
use crate::support::scripted_upstream::ScriptedUpstream;
use crate::support::{scripts, soon};

/// The time after which a body must have the least pace.
const GRACE: &str = "--body-grace=300ms";

/// The routes that take a body.
fn routes() -> Vec<String> {
    let named = [
        "/api/chat",
        "/api/conversations/00000000-0000-0000-0000-000000000001/messages",
        "/api/import",
        "/v1/chat/completions",
        "/v1/responses",
    ];
    let functions: Vec<_> = server_fn_paths().map(|(path, _)| path.to_owned()).collect();
    assert!(functions.len() > 5, "the server functions are missing");
    named
        .into_iter()
        .map(str::to_owned)
        .chain(functions)
        .collect()
}

/// Sends a request's head, and then a byte of its body now and then, until there is an answer; gives all
/// of that, once the server has closed the connection.
async fn trickle(rill: &Rill, method: &str, path: &str, framing: &str) -> String {
    let mut stream = TcpStream::connect(rill.address)
        .await
        .expect("a connection");
    let host = rill.address;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n{framing}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("written");
    let (mut reader, mut writer) = stream.split();
    let byte: &[u8] = if framing.contains("chunked") {
        b"1\r\n \r\n"
    } else {
        b" "
    };
    let sending = async {
        let mut ticks = interval(Duration::from_millis(50));
        loop {
            ticks.tick().await;
            if writer.write_all(byte).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    let mut answer = Vec::new();
    tokio::select! {
        // A reset is an end, too: the server has not read all that was sent.
        _ = reader.read_to_end(&mut answer) => {}
        () = sending => {}
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_byte_now_and_then_holds_no_route_open() {
    let upstream = ScriptedUpstream::playing(vec![scripts::saying("fine")]).await;
    let rill = Rill::with(&upstream, &[GRACE]).await;
    let rill = std::sync::Arc::new(rill);
    let mut all = JoinSet::new();
    for path in routes() {
        for framing in ["content-length: 100000", "transfer-encoding: chunked"] {
            let (rill, path) = (rill.clone(), path.clone());
            all.spawn(async move {
                let answer = timeout(
                    Duration::from_secs(12),
                    trickle(&rill, "POST", &path, framing),
                );
                (answer.await, format!("{path} {framing}"))
            });
        }
    }
    while let Some(done) = all.join_next().await {
        let (answer, what) = done.expect("no panic");
        let answer = answer.unwrap_or_else(|_| panic!("{what} is held open"));
        assert!(answer.starts_with("HTTP/1.1 408 "), "{what}: {answer}");
        assert!(
            answer.contains("\r\nconnection: close\r\n"),
            "{what}: {answer}"
        );
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
        let field = if what.starts_with("/v1") {
            "code"
        } else {
            "kind"
        };
        assert_eq!(body["error"][field], "request_timeout", "{what}");
    }
    assert_eq!(upstream.request_count(), 0);
}

#[tokio::test]
async fn a_route_that_takes_no_body_does_not_wait_for_one() {
    let upstream = ScriptedUpstream::playing(vec![scripts::saying("fine")]).await;
    let rill = Rill::with(&upstream, &[GRACE]).await;
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/healthz"),
        ("GET", "/api/models"),
        ("POST", "/"),
        ("POST", "/healthz"),
        ("POST", "/nowhere"),
        ("POST", "/pkg/x"),
        ("DELETE", "/api/generations/x"),
    ] {
        let answer = timeout(
            Duration::from_secs(5),
            trickle(&rill, method, path, "content-length: 100000"),
        );
        let answer = answer
            .await
            .unwrap_or_else(|_| panic!("{method} {path} is held open"));
        assert!(answer.starts_with("HTTP/1.1 "), "{method} {path}: {answer}");
    }
}

#[tokio::test]
async fn a_body_that_comes_at_a_fair_pace_may_take_longer_than_the_grace() {
    let upstream = ScriptedUpstream::playing(vec![scripts::saying("fine")]).await;
    let rill = Rill::with(&upstream, &[GRACE]).await;
    let mut body = crate::support::rill::question().to_string().into_bytes();
    body.resize(200_000, b' ');
    let mut stream = TcpStream::connect(rill.address)
        .await
        .expect("a connection");
    let head = format!(
        "POST /api/chat HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.expect("written");
    for piece in body.chunks(20_000) {
        tokio::time::sleep(Duration::from_millis(60)).await;
        stream.write_all(piece).await.expect("it is read");
    }
    let mut status = [0; 12];
    soon(stream.read_exact(&mut status))
        .await
        .expect("an answer");
    assert_eq!(&status, b"HTTP/1.1 200");
}
