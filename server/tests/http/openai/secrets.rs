//! The OpenAI-compatible API passes on neither the key of the provider nor its cookies.

use std::time::Duration;

use serde_json::json;

use super::{PATHS, before, request};
use crate::support::scripts::{self, DONE, End, Forever, Times, stream};
use crate::support::{log, soon};

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
            "x-ratelimit-limit-requests",
        ] {
            assert!(!kept(name), "{name} passes");
        }
        // Ours is in its place.
        let reference = answer.header("x-request-id").expect("a reference");
        assert!(!reference.contains(log::KEY), "{reference}");
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
    // An error that cannot be searched is replaced by our own sentence.
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
