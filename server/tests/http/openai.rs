//! The OpenAI-compatible surface: what passes through and what does not.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::http::{Answer, Request};
use crate::support::rill::Rill;
use crate::support::scripted_upstream::{Ending, ScriptedUpstream};
use crate::support::scripts::{self, DONE, End, Forever, Response, Times, delta, stream};
use crate::support::{log, soon, within_a_second};

const PATHS: [&str; 2] = ["/v1/chat/completions", "/v1/responses"];

fn body() -> Value {
    json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": log::PROMPT}], "seed": 7})
}

/// A request as an official library sends it.
fn request(path: &str) -> Request {
    Request::post(path, &body())
        .header("authorization", "Bearer no-key-of-ours")
        .header("accept", "application/json")
        .header("user-agent", "OpenAI/JS 6.0.0")
        .header("x-stainless-lang", "js")
}

async fn before(response: Response) -> (ScriptedUpstream, Rill) {
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
async fn nothing_of_the_key_and_no_cookie_comes_back() {
    let refusal = scripts::refusal(
        401,
        &json!({"message": format!("Incorrect API key provided: {}", log::KEY)}),
    );
    let (_upstream, rill) = before(refusal.with("set-cookie", "session=1")).await;
    let answer = soon(rill.send(&request(PATHS[0]))).await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.header("set-cookie"), None);
    let body = soon(answer.json()).await;
    assert_eq!(body["error"]["code"], "invalid_api_key");
    assert!(!body.to_string().contains("sk-"), "{body}");

    let fine = scripts::saying("fine")
        .with("set-cookie", "session=1")
        .with("access-control-allow-origin", "*");
    let (_upstream, rill) = before(fine).await;
    let answer = soon(rill.send(&request(PATHS[0]))).await;
    let kept = |name: &str| answer.header(name).is_some();
    assert!(!kept("set-cookie") && !kept("access-control-allow-origin"));
}

#[tokio::test]
async fn of_an_answer_only_known_headers_pass_and_none_that_repeats_the_key() {
    let refused = scripts::refusal(429, &json!({"message": "slow down"}));
    for response in [scripts::saying("fine"), refused] {
        let response = response
            .with("openai-organization", "org-of-ours")
            .with("openai-project", "proj-of-ours")
            .with("location", "http://10.0.0.7/internal")
            .with("content-location", "http://10.0.0.7/internal")
            .with("server", "a provider's")
            .with("x-request-id", &format!("for {}", log::KEY))
            .with("x-ratelimit-limit-requests", "sk-test...CRET")
            .with("x-ratelimit-remaining-requests", "9")
            .with("openai-processing-ms", "12")
            .with("retry-after-ms", "30");
        let (_upstream, rill) = before(response).await;
        let answer = soon(rill.send(&request(PATHS[0]))).await;
        let kept = |name: &str| answer.header(name).is_some();
        for name in [
            "openai-organization",
            "openai-project",
            "location",
            "content-location",
            "server",
            "x-request-id",
            "x-ratelimit-limit-requests",
        ] {
            assert!(!kept(name), "{name} passes");
        }
        for name in [
            "x-ratelimit-remaining-requests",
            "openai-processing-ms",
            "retry-after-ms",
        ] {
            assert!(kept(name), "{name} does not pass");
        }
    }
}

#[tokio::test]
async fn an_error_of_any_status_is_passed_without_the_key_or_a_part_of_it() {
    let shown = ["sk-test-SECRET", "sk-t***CRET", "sk-...CRET", "test-SECRET"];
    for status in [400, 402, 403, 404, 409, 422, 429, 500, 502, 503, 529] {
        let message = format!("Wrong key {}, you see", shown[status % shown.len()]);
        let error = json!({"message": message, "code": "of the provider"});
        let response = scripts::refusal(u16::try_from(status).expect("a status"), &error);
        let (_upstream, rill) = before(response.with("x-should-retry", "false")).await;
        let answer = soon(rill.send(&request(PATHS[0]))).await;
        assert_eq!(usize::from(answer.status), status);
        assert_eq!(answer.header("x-should-retry"), Some("false"));
        let body = soon(answer.json()).await;
        assert_eq!(
            body,
            json!({"error": {"message": "Wrong key [redacted], you see", "code": "of the provider"}})
        );
    }
    // What cannot be searched is told in our words.
    let error = json!({"message": log::KEY});
    let compressed = scripts::refusal(403, &error).with("content-encoding", "gzip");
    let cut = scripts::refusal(403, &error).ending(End::Cut);
    let endless = Times::Forever(Forever::Forever);
    let endless = scripts::refusal(403, &error).then_times(endless, log::KEY);
    for response in [compressed, cut, endless] {
        let (_upstream, rill) = before(response).await;
        let answer = soon(rill.send(&request(PATHS[0]))).await;
        assert_eq!(answer.status, 403);
        let body = soon(answer.json()).await;
        assert_eq!(body["error"]["code"], "upstream_error", "{body}");
        assert!(!body.to_string().contains("sk-"), "{body}");
    }
}

#[tokio::test]
async fn the_key_is_masked_in_a_body_that_streams_wherever_it_is_cut() {
    let line = format!(
        "data: {{\"error\":{{\"message\":\"No: {}.\"}}}}\n\n",
        log::KEY
    );
    let at = line.find(log::KEY).expect("it is there");
    for cut in [0, at, at + 9, at + log::KEY.len() - 1, at + log::KEY.len()] {
        let (before_cut, after) = line.split_at(cut);
        let response = stream()
            .then(before_cut)
            .after(Duration::from_millis(20), after);
        let (_upstream, rill) = before(response.then(DONE)).await;
        let body = soon(soon(rill.send(&request(PATHS[0]))).await.body()).await;
        let body = String::from_utf8(body.expect("a whole body")).expect("text");
        let masked = line.replace(log::KEY, &"*".repeat(log::KEY.len()));
        assert_eq!(body, masked + DONE, "cut at {cut}");
    }
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
async fn a_model_that_may_not_be_asked_is_not_found_and_costs_nothing() {
    let upstream = ScriptedUpstream::playing(vec![scripts::saying("fine")]).await;
    let file = format!(
        "[[upstream]]\nname = \"a\"\nbase_url = \"{}\"\nmodels = [\"m\"]\n",
        upstream.base_url()
    );
    let rill = Rill::with_file(&file, &[]).await;
    for path in PATHS {
        for model in ["gpt-5-pro", "a/gpt-5-pro", "M", "m ", "m/", "a/"] {
            let mut body = body();
            body["model"] = model.into();
            let answer = soon(rill.send(&Request::post(path, &body))).await;
            assert_eq!(answer.status, 404, "{model}");
            let body = soon(answer.json()).await;
            assert_eq!(body["error"]["code"], "model_not_found", "{model}");
            assert_eq!(body["error"]["type"], "invalid_request_error");
        }
    }
    assert_eq!(upstream.request_count(), 0);
    for model in ["m", "a/m"] {
        let mut body = body();
        body["model"] = model.into();
        let answer = soon(rill.send(&Request::post(PATHS[0], &body))).await;
        assert_eq!(answer.status, 200, "{model}");
    }
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

async fn check_error(rill: &Rill, status: u16, code: &str) {
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

/// Two upstreams of OpenAI's kind that both have the model `y`, and one of Anthropic's.
async fn three(first: &ScriptedUpstream, second: &ScriptedUpstream) -> Rill {
    let file = format!(
        r#"
        [[upstream]]
        name = "a"
        base_url = "{}"
        key_env = "KEY"
        models = ["x", "y"]
        [[upstream]]
        name = "b"
        base_url = "{}"
        headers = {{ "x-team" = "7" }}
        [[upstream]]
        name = "claude"
        kind = "messages"
        models = ["claude-x"]
        "#,
        first.base_url(),
        second.base_url()
    );
    Rill::with_file(&file, &[]).await
}

#[tokio::test]
async fn each_model_is_asked_at_its_upstream_by_its_name_there() {
    let first = ScriptedUpstream::playing(vec![scripts::saying("one")]).await;
    let list = json!({"object": "list", "data": [{"id": "y", "object": "model", "owned_by": "me"}, {"id": "z"}]});
    let second =
        ScriptedUpstream::playing(vec![scripts::json(&list), scripts::saying("two")]).await;
    let rill = three(&first, &second).await;
    let listed = soon(soon(rill.send(&Request::get("/v1/models"))).await.json()).await;
    let ids: Vec<_> = listed["data"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|m| &m["id"])
        .collect();
    assert_eq!(ids, ["x", "a/y", "b/y", "z"]);
    assert_eq!(
        listed["data"][2],
        json!({"id": "b/y", "object": "model", "owned_by": "me"})
    );
    let one = soon(
        soon(rill.send(&Request::get("/v1/models/b%2Fy")))
            .await
            .json(),
    )
    .await;
    assert_eq!(one["id"], "b/y");
    assert_eq!(
        soon(rill.send(&Request::get("/v1/models/none")))
            .await
            .status,
        404
    );
    let chosen = soon(soon(rill.send(&Request::get("/api/models"))).await.json()).await;
    assert_eq!(chosen["default"], "x");
    assert_eq!(
        chosen["models"][4],
        json!({"id": "claude-x", "upstream": "claude"})
    );

    for (model, upstream, name) in [
        ("a/y", &first, "y"),
        ("b/y", &second, "y"),
        ("z", &second, "z"),
    ] {
        let mut body = body();
        body["model"] = model.into();
        soon(
            soon(rill.send(&Request::post(PATHS[0], &body)))
                .await
                .body(),
        )
        .await
        .expect("an answer");
        let exchange = upstream.exchanges().pop().expect("an exchange");
        body["model"] = name.into();
        assert_eq!(exchange.body, body);
    }
    let exchange = second.exchanges().pop().expect("an exchange");
    assert_eq!(
        (exchange.header("x-team"), exchange.header("authorization")),
        (Some("7"), None)
    );
}

#[tokio::test]
async fn a_model_that_does_not_speak_this_api_is_refused_with_what_does() {
    let first = ScriptedUpstream::playing(vec![scripts::saying("one")]).await;
    let rill = three(&first, &first).await;
    let mut body = body();
    body["model"] = "claude-x".into();
    for path in PATHS {
        let answer = soon(rill.send(&Request::post(path, &body))).await;
        assert_eq!(answer.status, 400);
        let body = soon(answer.json()).await;
        let message = body["error"]["message"].as_str().expect("a message");
        assert!(message.contains("POST /api/chat"), "{message}");
    }
    assert_eq!(first.request_count(), 0);
}
