//! Malformed requests: heads that are too large or not text, and requests hidden in bodies.

use crate::support::guarded::Guarded;
use crate::support::http::{self, Request};
use crate::support::rill::{chat, question};
use crate::support::soon;

#[tokio::test]
async fn a_head_that_is_too_large_or_is_no_text_is_refused() {
    let guarded = Guarded::start().await;
    let page = Request::get("/healthz");
    let many = (0..200).fold(page.clone(), |request, number| {
        request.header(&format!("x-{number}"), "a")
    });
    let cases = [
        ("200 headers", many),
        (
            "a header of 128 KiB",
            page.clone().header("x-long", &"a".repeat(128 * 1024)),
        ),
        (
            "a cookie of 1 MiB",
            page.clone().header("cookie", &"a".repeat(1024 * 1024)),
        ),
        (
            "a target of 100 KiB",
            Request::get(&format!("/{}", "a".repeat(100 * 1024))),
        ),
        ("a space before the colon", page.clone().header("x-a ", "b")),
        (
            "an unknown transfer encoding",
            chat(&question()).header("transfer-encoding", "xchunked"),
        ),
        (
            "two transfer encodings",
            chat(&question()).header("transfer-encoding", "chunked, identity"),
        ),
    ];
    for (what, request) in cases {
        let answer = soon(guarded.rill.send(&request)).await;
        assert!(
            matches!(answer.status, 400 | 414 | 431 | 501),
            "{what}: {}",
            answer.status
        );
        soon(answer.until_closed()).await;
    }
    guarded.is_unharmed().await;
}

#[tokio::test]
async fn bytes_that_are_no_text_in_a_header_harm_nobody() {
    let guarded = Guarded::start().await;
    let mut bytes = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-request-id: ".to_vec();
    bytes.extend_from_slice(b"\xc3\xa9\xff\r\n\r\n");
    let answer = soon(http::send_bytes(guarded.rill.address, &bytes))
        .await
        .expect("an answer");
    assert!(matches!(answer.status, 200 | 400), "{}", answer.status);
    for name in ["accept", "origin", "sec-fetch-site", "content-type"] {
        let head =
            format!("POST /api/chat HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n{name}: ");
        let bytes = [head.as_bytes(), b"\xff\xfe\r\n\r\n"].concat();
        let answer = soon(http::send_bytes(guarded.rill.address, &bytes))
            .await
            .expect("an answer");
        assert!(
            (400..500).contains(&answer.status),
            "{name}: {}",
            answer.status
        );
    }
    guarded.is_unharmed().await;
}

#[tokio::test]
async fn a_second_request_hidden_in_a_body_is_not_answered() {
    let guarded = Guarded::start().await;
    let hidden = format!(
        "0\r\n\r\nPOST /api/chat HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{}",
        question().to_string().len(),
        question()
    );
    let head = "POST /api/none HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
    let length = hidden.len();
    for framing in [
        format!("content-length: {length}\r\ntransfer-encoding: chunked\r\n"),
        format!("transfer-encoding: chunked\r\ncontent-length: {length}\r\n"),
        format!("content-length: {length}\r\ncontent-length: 0\r\n"),
        format!("content-length: 0\r\ncontent-length: {length}\r\n"),
    ] {
        let bytes = format!("{head}{framing}\r\n{hidden}");
        let answer = soon(http::send_bytes(guarded.rill.address, bytes.as_bytes()))
            .await
            .expect("an answer");
        assert!(
            (400..500).contains(&answer.status),
            "{framing}: {}",
            answer.status
        );
        soon(answer.until_closed()).await;
    }
    guarded.is_unharmed().await;
}
