//! Requests for a reply that are refused: bodies that are no chat request, and fields or headers that would
//! choose the upstream.

use serde_json::Value;

use crate::support::guarded::Guarded;
use crate::support::http::{self, Request};
use crate::support::rill::{chat, question};
use crate::support::{log, soon};

#[tokio::test]
async fn a_body_that_is_not_said_to_be_json_is_refused() {
    let guarded = Guarded::start().await;
    for media_type in [
        "text/plain",
        "text/plain; charset=application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/json",
        "application/jsonp",
        "application/json-seq",
        "",
    ] {
        let request = guarded.own().header("content-type", media_type);
        guarded
            .refuses(&request, 415, "unsupported_media_type")
            .await;
    }
    guarded
        .refuses(
            &guarded.own().without("content-type"),
            415,
            "unsupported_media_type",
        )
        .await;
    guarded.is_unharmed().await;
    for media_type in ["application/json; charset=utf-8", "Application/JSON"] {
        guarded
            .takes(&guarded.own().header("content-type", media_type))
            .await;
    }
}

/// A good question, with spaces behind it up to this size.
fn question_of_size(bytes: usize) -> Vec<u8> {
    let mut body = question().to_string().into_bytes();
    body.resize(bytes, b' ');
    body
}

#[tokio::test]
async fn a_body_of_more_than_a_mebibyte_is_refused() {
    const LIMIT: usize = 1024 * 1024;
    let guarded = Guarded::start().await;
    for size in [LIMIT + 1, 10 * LIMIT] {
        let request = guarded.own().body(question_of_size(size));
        guarded.refuses(&request, 413, "too_large").await;
    }
    // Without a length in advance it is counted.
    let body = question_of_size(LIMIT + 1);
    let mut chunked = format!("{:x}\r\n", body.len()).into_bytes();
    chunked.extend_from_slice(&body);
    chunked.extend_from_slice(b"\r\n0\r\n\r\n");
    let request = guarded
        .own()
        .header("transfer-encoding", "chunked")
        .body(chunked);
    guarded.refuses(&request, 413, "too_large").await;
    guarded.is_unharmed().await;
    guarded
        .takes(&guarded.own().body(question_of_size(LIMIT)))
        .await;
}

#[tokio::test]
async fn a_body_that_is_no_chat_request_is_refused() {
    let guarded = Guarded::start().await;
    let message = r#"{"role":"user","content":"hi"}"#;
    let with = |fields: &str| format!(r#"{{"messages":[{message}],{fields}}}"#);
    let messages = |messages: &str| format!(r#"{{"messages":{messages}}}"#);
    let bodies = [
        String::new(),
        " ".into(),
        "null".into(),
        "[]".into(),
        "{}".into(),
        "true".into(),
        "[".repeat(200_000),
        r#"{"messages":"#.repeat(50_000),
        messages("[]"),
        messages("null"),
        messages("{}"),
        messages(r#""hi""#),
        messages("[null]"),
        messages("[1]"),
        messages(r#"[{"role":"user"}]"#),
        messages(r#"[{"content":"hi"}]"#),
        messages(r#"[{"role":"user","content":1}]"#),
        messages(r#"[{"role":"user","content":null}]"#),
        messages(r#"[{"role":"user","content":["hi"]}]"#),
        messages(r#"[{"role":"tool","content":"hi"}]"#),
        messages(r#"[{"role":"user","content":"hi","name":"x"}]"#),
        messages(r#"[{"role":"user","content":"\ud83d"}]"#),
        messages(message),
        messages(&format!("[{message}")),
        format!(r#"{{"messages":[{message}]"#),
        format!(r#"{{"messages":[{message}]}} trailing"#),
        with(r#""temperature":"hot""#),
        with(r#""temperature":-0.1"#),
        with(r#""temperature":2.5"#),
        with(r#""temperature":1e999"#),
        with(r#""max_tokens":0"#),
        with(r#""max_tokens":-1"#),
        with(r#""max_tokens":1.5"#),
        with(r#""max_tokens":"10""#),
        with(r#""reasoning_effort":"max""#),
        with(r#""model":5"#),
        with(r#""messages":[]"#),
        with(r#""stream":false"#),
        with(r#""tools":[]"#),
        with(r#""user":"x""#),
        with(r#""arg":1"#),
    ];
    for body in bodies {
        guarded
            .refuses(&guarded.own().body(body), 400, "bad_request")
            .await;
    }
    guarded
        .refuses(
            &guarded.own().body(b"{\"messages\":\"\xff\"}"),
            400,
            "bad_request",
        )
        .await;
    guarded.is_unharmed().await;
}

#[tokio::test]
async fn a_body_that_breaks_off_harms_nobody() {
    let guarded = Guarded::start().await;
    let body = question().to_string();
    let request = guarded
        .own()
        .header("content-length", &(body.len() + 10).to_string());
    let address = guarded.rill.address;
    let mut stream = tokio::net::TcpStream::connect(address)
        .await
        .expect("a connection");
    tokio::io::AsyncWriteExt::write_all(&mut stream, &request.to_bytes(address))
        .await
        .expect("written");
    drop(stream);
    let request = guarded.own().header("content-length", "many");
    let answer = soon(http::send(address, &request))
        .await
        .expect("an answer");
    assert_eq!(answer.status, 400);
    guarded.is_unharmed().await;
}

#[tokio::test]
async fn no_client_chooses_the_upstream_or_its_key_by_a_field() {
    let guarded = Guarded::start().await;
    for field in [
        "base_url",
        "api_base",
        "endpoint",
        "proxy",
        "api_key",
        "url",
        "headers",
        "extra_headers",
    ] {
        let mut body = question();
        body[field] = Value::from("http://evil.test");
        guarded.refuses(&chat(&body), 400, "bad_request").await;
    }
    guarded.is_unharmed().await;
}

#[tokio::test]
async fn no_client_chooses_the_upstream_or_its_key_by_a_header_or_the_query() {
    let guarded = Guarded::start().await;
    let mut request = Request::post(
        "/api/chat?endpoint=http://evil.test&api_key=evil&model=evil",
        &question(),
    );
    for name in [
        "x-base-url",
        "x-portkey-custom-host",
        "x-lobe-chat-auth",
        "x-forwarded-host",
        "x-forwarded-user",
        "remote-user",
        "x-api-key",
        "api-key",
        "openai-organization",
        "openai-project",
        "cookie",
        "forwarded",
    ] {
        request = request.header(name, "evil");
    }
    guarded
        .takes(&request.header("authorization", "Bearer evil"))
        .await;
    let exchange = &guarded.upstream.exchanges()[0];
    assert_eq!(exchange.request_line, "POST /v1/chat/completions HTTP/1.1");
    assert_eq!(
        exchange.header("authorization"),
        Some(format!("Bearer {}", log::KEY).as_str())
    );
    assert!(!format!("{exchange:?}").contains("evil"), "{exchange:?}");
}

#[tokio::test]
async fn a_form_that_there_is_none_of_is_refused() {
    let guarded = Guarded::start().await;
    for accept in [
        "text/html",
        "image/*",
        "application/xml, text/html",
        "text/event-stream;q=0",
        "text/event-streams",
        "*/*;q=0",
    ] {
        guarded
            .refuses(
                &guarded.own().header("accept", accept),
                406,
                "not_acceptable",
            )
            .await;
    }
    guarded.is_unharmed().await;
    for accept in [
        "text/event-stream",
        "*/*",
        "text/*",
        "TEXT/EVENT-STREAM",
        "text/html, text/event-stream;q=0.5",
        "application/json;q=0.9,*/*;q=0.1",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    ] {
        guarded.takes(&guarded.own().header("accept", accept)).await;
    }
}
