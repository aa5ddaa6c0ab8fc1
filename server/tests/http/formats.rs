//! The other formats of a reply: plain text, raw chunks, one JSON object, and a question in the URL.

use std::time::Duration;

use serde_json::{Value, json};
use server::providers::api::Api;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::http::{Answer, Request};
use crate::support::rill::{Rill, chat, question};
use crate::support::scripted_upstream::{Ending, ScriptedUpstream};
use crate::support::scripts::{self, DONE, End, Response, STOP, delta, stream};
use crate::support::{log, soon, within_a_second};

/// The question, to be answered in this form.
fn asking_for(media_type: &str) -> Request {
    chat(&question()).header("accept", media_type)
}

const USAGE: &str =
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2}}\n\n";

/// An answer with everything that can be in one.
fn rich() -> Response {
    let thought = json!({"choices": [{"delta": {"reasoning_content": "hm"}}]});
    stream()
        .then(&format!("data: {thought}\n\n"))
        .then(&delta("né 😀\n"))
        .then(&delta("two"))
        .then(STOP)
        .then(USAGE)
        .then(DONE)
}

async fn ask(response: Response, media_type: &str, arguments: &[&str]) -> Answer {
    let upstream = ScriptedUpstream::playing(vec![response]).await;
    let rill = Rill::with(&upstream, arguments).await;
    let answer = soon(rill.send(&asking_for(media_type))).await;
    // Both go on as long as the answer is read.
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(60)).await;
        drop((upstream, rill));
    });
    answer
}

#[tokio::test]
async fn plain_text_is_the_text_as_it_comes() {
    let response = stream()
        .then(&delta("né "))
        .then(&delta("two"))
        .ending(End::Hang);
    let mut answer = ask(response, "text/plain", &[]).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    assert_eq!(answer.header("x-accel-buffering"), Some("no"));
    assert_eq!(answer.header("content-encoding"), None);
    let mut got = Vec::new();
    within_a_second(async {
        while got != "né two".as_bytes() {
            got.extend(answer.next_frame().await.expect("no cut").expect("no end"));
        }
    })
    .await;
    let whole = soon(ask(rich(), "text/plain", &[]).await.body()).await;
    assert_eq!(whole.expect("a whole body"), "né 😀\ntwo".as_bytes());
    let nothing = ask(stream().then(STOP).then(DONE), "text/plain", &[]).await;
    assert_eq!(nothing.status, 200);
    assert_eq!(soon(nothing.body()).await.expect("a body"), b"");
}

#[tokio::test]
async fn a_text_that_fails_is_cut_off_so_that_nobody_takes_it_for_the_whole() {
    for end in [End::Cut, End::Reset, End::Fin] {
        let response = stream().then(&delta("half")).ending(end);
        let mut answer = ask(response, "text/plain", &[]).await;
        let first = soon(answer.next_frame()).await.expect("text");
        assert_eq!(first.expect("text"), "half");
        assert!(soon(answer.next_frame()).await.is_err(), "{end:?}");
    }
}

#[tokio::test]
async fn chunks_are_those_of_chat_completions_whatever_the_upstream_speaks() {
    let answer = ask(rich(), "application/x-ndjson", &[]).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    check_chunks(answer, "hm", "né 😀\ntwo").await;

    let event = |data: Value| format!("data: {data}\n\n");
    let claude = stream()
        .then(&event(json!({"type": "message_start", "message": {"usage": {"input_tokens": 5, "output_tokens": 1}}})))
        .then(&event(json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a"}})))
        .then(&event(json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}})))
        .then(&event(json!({"type": "message_stop"})));
    let upstream = ScriptedUpstream::playing(vec![claude]).await;
    let rill = Rill::of_api(Api::Messages, &upstream, &[]).await;
    let answer = soon(rill.send(&asking_for("application/x-ndjson"))).await;
    check_chunks(answer, "", "a").await;
}

async fn check_chunks(answer: Answer, reasoning: &str, text: &str) {
    let body = soon(answer.body()).await.expect("a whole body");
    let body = String::from_utf8(body).expect("UTF-8");
    let chunks: Vec<Value> = body
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON a line"))
        .collect();
    let all = |field: &str| -> String {
        let pieces = chunks
            .iter()
            .filter_map(|chunk| chunk["choices"][0]["delta"][field].as_str());
        pieces.collect()
    };
    assert_eq!(
        (all("role"), all("reasoning_content"), all("content")),
        ("assistant".into(), reasoning.into(), text.into())
    );
    for chunk in &chunks {
        assert_eq!(chunk["object"], "chat.completion.chunk");
        assert_eq!(chunk["id"], chunks[0]["id"]);
        assert!(chunk["model"].is_string() && chunk["created"].is_u64());
    }
    let [.., end, usage] = chunks.as_slice() else {
        panic!("{body}");
    };
    assert_eq!(end["choices"][0]["finish_reason"], "stop");
    assert_eq!(
        usage["usage"],
        json!({"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7})
    );
}

#[tokio::test]
async fn an_error_after_chunks_is_a_line_without_a_finish_before_it() {
    let error = "data: {\"error\":{\"code\":\"rate_limit_exceeded\"}}\n\n";
    let answer = ask(
        stream().then(&delta("a")).then(error),
        "application/x-ndjson",
        &[],
    )
    .await;
    let body = soon(answer.body()).await.expect("a whole body");
    let last = body
        .split(|byte| *byte == b'\n')
        .rev()
        .nth(1)
        .expect("a line");
    let last: Value = serde_json::from_slice(last).expect("JSON");
    assert_eq!(last["error"]["kind"], "rate_limited");
    assert_eq!(last["choices"], json!([]));
    assert!(!String::from_utf8_lossy(&body).contains("\"finish_reason\":\""));
}

#[tokio::test]
async fn one_object_holds_the_whole_reply() {
    let answer = ask(rich(), "application/json", &["--model=m"]).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(
        soon(answer.json()).await,
        json!({
            "content": "né 😀\ntwo", "reasoning": "hm", "finish": "stop", "model": "m",
            "usage": {"prompt_tokens": 5, "completion_tokens": 2},
        })
    );
    let broken = ask(
        stream().then(&delta("half")).ending(End::Cut),
        "application/json",
        &[],
    )
    .await;
    assert_eq!(broken.status, 502);
    let broken = soon(broken.json()).await;
    assert_eq!(broken["error"]["kind"], "upstream_cut");
    assert_eq!(broken["content"], "half");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_upstream_does_wrong_before_any_text_is_a_status() {
    let refusal = |status| scripts::refusal(status, &json!({"message": "sk-proj-1 is wrong"}));
    let coded = |status, code: &str| scripts::refusal(status, &json!({"code": code}));
    let mut limited = refusal(429);
    limited.headers.insert("retry-after".into(), "30".into());
    for (response, status, kind) in [
        (limited, 429, "rate_limited"),
        (coded(429, "insufficient_quota"), 429, "quota"),
        (refusal(401), 502, "auth"),
        (refusal(400), 400, "bad_request"),
        (coded(400, "context_length_exceeded"), 400, "context_length"),
        (coded(404, "model_not_found"), 400, "model_not_found"),
        (refusal(500), 502, "upstream_error"),
        (refusal(503), 502, "overloaded"),
        (stream(), 502, "upstream_empty"),
        (scripts::silence(), 504, "upstream_timeout_first_byte"),
    ] {
        for media_type in ["text/plain", "application/json", "application/x-ndjson"] {
            let limits = ["--max-retries=0", "--first-byte-timeout=300ms"];
            let answer = ask(response.clone(), media_type, &limits).await;
            assert_eq!(answer.status, status, "{kind} for {media_type}");
            assert_eq!(answer.header("content-type"), Some("application/json"));
            let wait = answer.header("retry-after").map(str::to_owned);
            assert_eq!(wait.as_deref(), (kind == "rate_limited").then_some("30"));
            let body = soon(answer.json()).await;
            assert_eq!(body["error"]["kind"], kind);
            let message = body["error"]["message"].as_str().expect("a message");
            assert!(
                message.contains(' ') && !message.contains("sk-"),
                "{message}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn leaving_in_any_form_frees_the_upstream() {
    for media_type in ["text/plain", "application/json", "application/x-ndjson"] {
        let begun = stream().then(&delta("a")).ending(End::Hang);
        for response in [scripts::silence(), begun] {
            let upstream = ScriptedUpstream::playing(vec![response]).await;
            let rill = Rill::before(&upstream).await;
            let mut client = TcpStream::connect(rill.address)
                .await
                .expect("a connection");
            let request = asking_for(media_type).to_bytes(rill.address);
            client.write_all(&request).await.expect("written");
            soon(upstream.has_begun()).await;
            drop(client);
            within_a_second(upstream.is_free()).await;
            let ending = upstream.exchanges()[0].end.expect("it is free").1;
            assert_eq!(ending, Ending::ClosedByClient, "{media_type}");
        }
    }
}

/// A question in the address, as a browser's `EventSource` asks it.
fn event_source(query: &str) -> Request {
    Request::get(&format!("/api/chat?{query}")).header("accept", "text/event-stream")
}

#[tokio::test]
async fn a_question_in_the_address_is_answered_with_the_same_events() {
    let upstream = ScriptedUpstream::playing(vec![scripts::saying("fine")]).await;
    let rill = Rill::before(&upstream).await;
    let query = format!("q={}%20%C3%A9%26%0A&model=m", log::PROMPT.replace(' ', "+"));
    let reply = soon(soon(rill.begin_with(&event_source(&query))).await.finish()).await;
    assert_eq!(
        (reply.outcome(), reply.transcript.text.as_str()),
        ("complete", "fine")
    );
    let exchange = &upstream.exchanges()[0];
    assert_eq!(exchange.body["model"], "m");
    assert_eq!(
        exchange.body["messages"],
        json!([{"role": "user", "content": format!("{} é&\n", log::PROMPT)}])
    );
}

#[tokio::test]
async fn a_question_in_the_address_is_never_asked_twice() {
    let upstream = ScriptedUpstream::playing(vec![scripts::saying("fine")]).await;
    let rill = Rill::before(&upstream).await;
    for id in ["3", "", "-1", "nonsense", "99999999999999999999"] {
        let again = event_source("q=hi").header("last-event-id", id);
        let answer = soon(rill.send(&again)).await;
        assert_eq!(answer.status, 204, "{id}");
        assert_eq!(soon(answer.body()).await.expect("nothing"), b"");
    }
    assert_eq!(upstream.request_count(), 0);
}

#[tokio::test]
async fn a_question_in_the_address_that_is_not_for_an_event_source_is_refused() {
    let upstream = ScriptedUpstream::playing(vec![scripts::saying("fine")]).await;
    let rill = Rill::before(&upstream).await;
    let check = async |request: Request, status: u16| {
        let answer = soon(rill.send(&request)).await;
        assert_eq!(answer.status, status, "{request:?}");
    };
    for accept in ["*/*", "text/html", "text/plain", "image/avif,*/*;q=0.8", ""] {
        check(event_source("q=hi").header("accept", accept), 406).await;
    }
    check(event_source("q=hi").without("accept"), 406).await;
    for query in [
        "",
        "q=",
        "q=%20",
        "model=m",
        "q=hi&model=",
        "q=hi&temperature=1",
        "q=hi&endpoint=http://evil.test",
        "q=hi&q=ho",
    ] {
        check(event_source(query), 400).await;
    }
    let foreign = event_source("q=hi").header("origin", "https://attacker.example");
    check(foreign, 403).await;
    check(
        event_source("q=hi").header("sec-fetch-site", "cross-site"),
        403,
    )
    .await;
    let head = Request::new("HEAD", "/api/chat?q=hi").header("accept", "text/event-stream");
    check(head, 405).await;
    assert_eq!(upstream.request_count(), 0);
}
