//! The OpenAI-compatible API: the data that passes through, and the ends of passed answers.

mod models;
mod secrets;

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::http::{Answer, Request};
use crate::support::rill::Rill;
use crate::support::scripted_upstream::{Ending, ScriptedUpstream};
use crate::support::scripts::{self, DONE, End, Response, delta, stream};
use crate::support::{log, soon, within_a_second};

pub(super) const PATHS: [&str; 2] = ["/v1/chat/completions", "/v1/responses"];

pub(super) fn body() -> Value {
    json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": log::PROMPT}], "seed": 7})
}

/// A request as an official library sends it.
pub(super) fn request(path: &str) -> Request {
    Request::post(path, &body())
        .header("authorization", "Bearer no-key-of-ours")
        .header("accept", "application/json")
        .header("user-agent", "OpenAI/JS 6.0.0")
        .header("x-stainless-lang", "js")
}

pub(super) async fn before(response: Response) -> (ScriptedUpstream, Rill) {
    let upstream = ScriptedUpstream::playing(vec![response]).await;
    let rill = Rill::before(&upstream).await;
    (upstream, rill)
}

#[tokio::test]
async fn bytes_pass_through_as_they_are_and_with_them_the_request() {
    let bytes = [
        ": a comment\r\n\r\n",
        "event: execute\nid: 7\nretry: 1\ndata: {\"odd\": [1 ,2]}\n\n",
        "\u{feff}no event at all",
        "data: half a",
        "n event\n\n",
        DONE,
    ];
    for path in PATHS {
        let response = bytes
            .iter()
            .fold(stream(), |response, data| response.then(data));
        let (upstream, rill) = before(response.with("x-request-id", "r-1")).await;
        let answer = soon(rill.send(&request(path))).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), Some("text/event-stream"));
        assert_eq!(answer.header("x-request-id"), Some("r-1"));
        assert_eq!(answer.header("x-accel-buffering"), Some("no"));
        let got = soon(answer.body()).await.expect("a whole body");
        assert_eq!(String::from_utf8_lossy(&got), bytes.concat());
        let exchange = &upstream.exchanges()[0];
        assert_eq!(exchange.request_line, format!("POST {path} HTTP/1.1"));
        assert_eq!(exchange.body, body());
        assert_eq!(
            exchange.header("authorization"),
            Some(format!("Bearer {}", log::KEY).as_str())
        );
        assert_eq!(exchange.header("user-agent"), Some("OpenAI/JS 6.0.0"));
        assert_eq!(exchange.header("x-stainless-lang"), Some("js"));
        assert!(!format!("{exchange:?}").contains("no-key-of-ours"));
    }
}

#[tokio::test]
async fn bytes_that_are_there_do_not_wait_for_the_rest_of_their_event() {
    let (_upstream, rill) = before(stream().then("data: {\"cho").ending(End::Hang)).await;
    let mut answer = soon(rill.send(&request(PATHS[0]))).await;
    let frame = within_a_second(answer.next_frame()).await.expect("no cut");
    assert_eq!(frame.expect("bytes"), "data: {\"cho");
}

#[tokio::test]
async fn statuses_errors_and_what_is_no_stream_pass_through() {
    let error = r#"{"error":{"message":"slow down","type":"requests","param":null,"code":"rate_limit_exceeded"}}"#;
    let plain = |status: u16, body: &str| {
        let mut response = stream().with("content-type", "application/json").then(body);
        response.status = status;
        response
    };
    for status in [400, 403, 404, 409, 422, 429, 500, 503] {
        let response = plain(status, error)
            .with("retry-after", "3")
            .with("x-should-retry", "false");
        let (upstream, rill) = before(response).await;
        let answer = soon(rill.send(&request(PATHS[0]))).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("retry-after"), Some("3"));
        assert_eq!(answer.header("x-should-retry"), Some("false"));
        assert_eq!(soon(answer.body()).await.expect("a body"), error.as_bytes());
        assert_eq!(upstream.request_count(), 1, "the libraries retry, not we");
    }
    let completion = "{ \"id\" : \"c-1\",\"choices\":[] , \"n\":1.0 }";
    let (_upstream, rill) = before(plain(200, completion)).await;
    let answer = soon(rill.send(&request(PATHS[0]))).await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(
        soon(answer.body()).await.expect("a body"),
        completion.as_bytes()
    );
}

#[tokio::test]
async fn a_request_to_the_provider_asks_for_no_compression() {
    let (upstream, rill) = before(scripts::saying("fine")).await;
    let asked = request(PATHS[0]).header("accept-encoding", "gzip, br");
    soon(soon(rill.send(&asked)).await.body())
        .await
        .expect("a body");
    let exchange = &upstream.exchanges()[0];
    assert_eq!(exchange.header("accept-encoding"), Some("identity"));
}

#[tokio::test]
async fn no_redirect_is_followed_or_passed_on() {
    for status in [301, 302, 307, 308] {
        let mut response = stream().with("location", "http://evil.test/");
        response.status = status;
        let (upstream, rill) = before(response).await;
        let answer = soon(rill.send(&request(PATHS[0]))).await;
        assert_eq!(answer.status, 502);
        assert_eq!(answer.header("location"), None);
        assert_eq!(
            soon(answer.json()).await["error"]["code"],
            "upstream_redirect"
        );
        assert_eq!(upstream.request_count(), 1);
    }
}

#[tokio::test]
async fn a_compressed_answer_stays_compressed() {
    let (_upstream, rill) = before(
        stream()
            .with("content-encoding", "gzip")
            .then("not even gzip"),
    )
    .await;
    let answer = soon(rill.send(&request(PATHS[0]).header("accept-encoding", "gzip"))).await;
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    assert_eq!(soon(answer.body()).await.expect("a body"), b"not even gzip");
}

#[tokio::test]
async fn an_upstream_that_cannot_be_reached_or_is_silent_is_an_error_that_the_libraries_understand()
{
    let (_upstream, rill) = before(scripts::silence().ending(End::Refuse)).await;
    check_error(&rill, 502, "upstream_unreachable").await;
    let upstream = ScriptedUpstream::playing(vec![scripts::silence()]).await;
    let rill = Rill::with(&upstream, &["--first-byte-timeout=200ms"]).await;
    check_error(&rill, 504, "upstream_timeout_first_byte").await;
    let (_upstream, rill) = before(scripts::silence().ending(End::Cut)).await;
    check_error(&rill, 502, "upstream_cut").await;
}

pub(super) async fn check_error(rill: &Rill, status: u16, code: &str) {
    let answer = soon(rill.send(&request(PATHS[0]))).await;
    assert_eq!(answer.status, status);
    let body = soon(answer.json()).await;
    assert_eq!(body["error"]["code"], code);
    assert!(body["error"]["type"].is_string() && body["error"]["message"].is_string());
}

#[tokio::test]
async fn a_stream_that_breaks_or_falls_silent_is_cut_for_the_client_too() {
    for end in [End::Cut, End::Reset] {
        let (_upstream, rill) = before(stream().then(&delta("a")).ending(end)).await;
        check_cut(soon(rill.send(&request(PATHS[0]))).await).await;
    }
    let upstream =
        ScriptedUpstream::playing(vec![stream().then(&delta("a")).ending(End::Hang)]).await;
    for limit in ["--idle-timeout=200ms", "--total-timeout=400ms"] {
        let rill = Rill::with(&upstream, &[limit]).await;
        check_cut(soon(rill.send(&request(PATHS[0]))).await).await;
        within_a_second(upstream.is_free()).await;
    }
}

async fn check_cut(mut answer: Answer) {
    let frame = soon(answer.next_frame()).await.expect("bytes");
    assert_eq!(frame.expect("bytes"), delta("a"));
    assert!(soon(answer.next_frame()).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_the_connection_closes_the_upstreams() {
    let begun = || stream().ending(End::Hang);
    for response in [scripts::silence(), begun(), begun().then(&delta("a"))] {
        let (upstream, rill) = before(response).await;
        let mut client = TcpStream::connect(rill.address)
            .await
            .expect("a connection");
        let bytes = request(PATHS[0]).to_bytes(rill.address);
        client.write_all(&bytes).await.expect("written");
        soon(upstream.has_begun()).await;
        drop(client);
        within_a_second(upstream.is_free()).await;
        assert_eq!(
            upstream.exchanges()[0].end.expect("it is free").1,
            Ending::ClosedByClient
        );
    }
}

#[tokio::test]
async fn a_stopping_server_takes_nothing_new_and_lets_go_of_what_runs_when_time_is_up() {
    let (upstream, rill) = before(stream().then(&delta("a")).ending(End::Hang)).await;
    let mut running = soon(rill.send(&request(PATHS[0]))).await;
    soon(running.next_frame()).await.expect("bytes");
    assert_eq!(rill.state.tasks.len(), 1);
    rill.state.drain.cancel();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(
        upstream.exchanges()[0].end.is_none(),
        "what runs may finish"
    );
    rill.state.shutdown.cancel();
    assert!(soon(running.next_frame()).await.is_err());
    within_a_second(upstream.is_free()).await;
}

#[tokio::test]
async fn what_is_no_request_costs_none() {
    let (upstream, rill) = before(scripts::saying("fine")).await;
    let check = async |request: Request, status: u16| {
        let answer = soon(rill.send(&request)).await;
        assert_eq!(answer.status, status, "{request:?}");
        let body = soon(answer.json()).await;
        assert!(body["error"]["message"].is_string(), "{body}");
    };
    for path in PATHS {
        for text in [
            "",
            "[]",
            "{\"model\":5}",
            "{\"model\":\"a\",\"model\":\"b\"}",
            "{",
        ] {
            check(request(path).body(text), 400).await;
        }
        check(request(path).header("content-type", "text/plain"), 415).await;
        check(request(path).header("content-length", "99999999999"), 413).await;
        check(
            request(path).header("origin", "https://attacker.example"),
            403,
        )
        .await;
        check(request(path).header("sec-fetch-site", "cross-site"), 403).await;
        check(request(path).header("host", "evil.test"), 421).await;
        check(Request::get(path), 405).await;
    }
    check(Request::get("/v1/embeddings"), 404).await;
    assert_eq!(upstream.request_count(), 0);
}

#[tokio::test]
async fn one_line_of_the_log_tells_of_a_passage() {
    let (_upstream, rill) = before(scripts::saying("fine")).await;
    let asked = json!({"model": "a-model-of-this-test", "messages": []});
    let answer = soon(rill.send(&Request::post(PATHS[0], &asked))).await;
    let length = soon(answer.body()).await.expect("a whole body").len();
    let line = soon(log::line_with("model", "a-model-of-this-test")).await;
    assert_eq!(line["status"], "200");
    assert_eq!(line["end"], "complete");
    assert_eq!(line["bytes"], length.to_string());
    assert!(line.contains_key("duration_ms"), "{line:?}");
}
