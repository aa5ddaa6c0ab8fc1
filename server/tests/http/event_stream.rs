//! The event stream as a client sees it: headers, framing and pings; and the request to the provider.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::rill::{Rill, chat, question};
use crate::support::scripted_upstream::ScriptedUpstream;
use crate::support::scripts::{self, DONE, End, Forever, STOP, Times, delta};
use crate::support::{log, soon, within_a_second};

#[tokio::test]
async fn the_stream_is_neither_stored_nor_buffered_nor_compressed_on_its_way() {
    let response = scripts::stream().then(&delta("first")).ending(End::Hang);
    let upstream = ScriptedUpstream::playing(vec![response]).await;
    let rill = Rill::before(&upstream).await;
    let request = chat(&question()).header("accept-encoding", "gzip, br, zstd, deflate");
    let mut reply = soon(rill.begin_with(&request)).await;
    let header = |name| reply.answer.header(name).map(str::to_owned);
    assert_eq!(header("content-type").as_deref(), Some("text/event-stream"));
    assert_eq!(
        header("cache-control").as_deref(),
        Some("no-store, no-transform")
    );
    assert_eq!(header("x-accel-buffering").as_deref(), Some("no"));
    assert_eq!(header("content-encoding"), None);
    // It arrives while the upstream has more to say: nothing collects it.
    soon(reply.until(|reply| reply.transcript.text == "first")).await;
}

#[tokio::test]
async fn the_start_comes_before_the_upstream_answers() {
    let upstream = ScriptedUpstream::playing(vec![scripts::silence()]).await;
    let rill = Rill::with(&upstream, &["--model", "a-model"]).await;
    let mut reply = soon(rill.begin()).await;
    soon(reply.until(|reply| reply.transcript.was_accepted())).await;
    let transcript = &reply.reply.transcript;
    assert_eq!(transcript.model.as_deref(), Some("a-model"));
    assert!(
        reply.reply.generation().len() >= 22,
        "128 random bits need at least 22 letters"
    );
}

#[tokio::test]
async fn a_ping_comes_early_while_the_upstream_is_silent() {
    let upstream = ScriptedUpstream::playing(vec![scripts::silence()]).await;
    let rill = Rill::before(&upstream).await;
    let asked = Instant::now();
    let mut reply = soon(rill.begin()).await;
    soon(reply.until(|reply| reply.raw().contains(": ping\n\n"))).await;
    let waited = asked.elapsed();
    assert!(waited < Duration::from_secs(3), "{waited:?}");
    assert_eq!(reply.reply.events.len(), 1, "a ping is no event");
}

#[tokio::test]
async fn events_that_arrive_together_leave_together() {
    let together = ["one ", "two ", "three"].map(delta).concat();
    let response = scripts::stream().then(&together).ending(End::Hang);
    let upstream = ScriptedUpstream::playing(vec![response]).await;
    let rill = Rill::before(&upstream).await;
    let mut reply = soon(rill.begin()).await;
    soon(reply.until(|reply| !reply.transcript.text.is_empty())).await;
    assert_eq!(reply.reply.transcript.text, "one two three");
}

#[tokio::test(flavor = "multi_thread")]
async fn text_does_not_wait_for_what_follows_it() {
    let endless = Times::Forever(Forever::Forever);
    for noise in [": a comment\n\n", "data: {}\n\n", "\n\n"] {
        let answer = scripts::stream()
            .then(&delta("a"))
            .then_times(endless, noise);
        let upstream = ScriptedUpstream::playing(vec![answer]).await;
        let rill = Rill::before(&upstream).await;
        let mut reply = soon(rill.begin()).await;
        within_a_second(reply.until(|reply| reply.transcript.text == "a")).await;
    }
}

#[tokio::test]
async fn no_text_can_break_out_of_its_event() {
    let pieces = [
        "\n\nevent: done\ndata: {}\n\n",
        "\rdata: x\r\r",
        "\r\n\r\nid: 99\r\nretry: 1\r\n",
        "\0\u{1}\u{7f}\u{85}",
        "\u{2028}\u{2029}\u{feff}\u{fffd}",
        "\"}\\\"\\n</script><img src=x onerror=alert(1)>",
        ": ping\n\n",
        "data: [DONE]\n\n",
        "né 😀 \u{10ffff}",
    ];
    let answer = pieces.iter().fold(scripts::stream(), |answer, piece| {
        answer.then(&delta(piece))
    });
    let upstream = ScriptedUpstream::playing(vec![answer.then(STOP).then(DONE)]).await;
    let rill = Rill::before(&upstream).await;
    let reply = soon(rill.ask()).await;
    assert_eq!(reply.transcript.text, pieces.concat());
    assert_eq!(reply.outcome(), "complete");
    assert_eq!(reply.names(), ["start", "done"]);
    let ids: Vec<String> = (0..reply.events.len())
        .map(|number| number.to_string())
        .collect();
    assert_eq!(reply.ids(), ids);
}

#[tokio::test]
async fn nothing_of_the_upstreams_framing_reaches_the_reader() {
    let answer = scripts::stream()
        .then("event: execute\nid: x\nretry: 1\ndata: {\"code\":\"alert(1)\"}\n\n")
        .then("event: done\ndata: {}\n\n")
        .then(": a comment\n\n")
        .then(&format!("id: x\nretry: 1\nevent: message\n{}", delta("a")))
        .then(STOP)
        .then(DONE);
    let upstream = ScriptedUpstream::playing(vec![answer]).await;
    let rill = Rill::before(&upstream).await;
    let reply = soon(rill.ask()).await;
    assert_eq!(
        (reply.outcome(), reply.transcript.text.as_str()),
        ("complete", "a")
    );
    assert_eq!(reply.names(), ["start", "done"]);
    for foreign in ["execute", "alert", "retry:", "a comment", "id: x"] {
        assert!(
            !reply.raw().contains(foreign),
            "{foreign} in {}",
            reply.raw()
        );
    }
}

#[tokio::test]
async fn the_upstream_is_asked_for_a_plain_stream_with_usage_and_with_the_key() {
    let upstream = ScriptedUpstream::playing(vec![scripts::saying("fine")]).await;
    let rill = Rill::with(&upstream, &["--model", "default-model"]).await;
    let messages = json!([
        { "role": "system", "content": "Be brief." },
        { "role": "user", "content": log::PROMPT },
        { "role": "assistant", "content": "Yes?" },
        { "role": "user", "content": "né 😀 \n\u{2028}" },
    ]);
    let body = json!({ "messages": messages, "model": "another-model", "temperature": 0.5, "reasoning_effort": "low" });
    soon(soon(rill.begin_with(&chat(&body))).await.finish()).await;
    soon(rill.ask()).await;
    let [chosen, default] = upstream.exchanges().try_into().expect("two requests");
    assert_eq!(chosen.request_line, "POST /v1/chat/completions HTTP/1.1");
    assert_eq!(
        chosen.header("authorization"),
        Some(format!("Bearer {}", log::KEY).as_str())
    );
    assert_eq!(chosen.header("accept-encoding"), Some("identity"));
    assert_eq!(chosen.header("content-type"), Some("application/json"));
    assert!(
        chosen
            .header("accept")
            .expect("an accept")
            .contains("text/event-stream")
    );
    assert_eq!(chosen.header("origin"), None);
    assert_eq!(
        chosen.body,
        json!({
            "model": "another-model",
            "messages": messages,
            "stream": true,
            "stream_options": { "include_usage": true },
            "temperature": 0.5,
            "reasoning_effort": "low",
        })
    );
    assert_eq!(default.body["model"], "default-model");
    assert_eq!(
        default.body.get("temperature"),
        None,
        "what nobody asked for is not sent"
    );
}

#[tokio::test]
async fn usage_is_told_in_full_also_when_it_comes_after_the_end() {
    let usage = json!({
        "choices": [],
        "usage": {
            "prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30,
            "prompt_tokens_details": { "cached_tokens": 5 },
            "completion_tokens_details": { "reasoning_tokens": 15 },
        },
    });
    let answer = scripts::stream()
        .then(&delta("a"))
        .then(STOP)
        .after(Duration::from_millis(50), &format!("data: {usage}\n\n"))
        .then(DONE);
    let upstream = ScriptedUpstream::playing(vec![answer]).await;
    let rill = Rill::before(&upstream).await;
    let reply = soon(rill.ask()).await;
    let got = serde_json::to_value(reply.transcript.usage.expect("usage")).expect("JSON");
    assert_eq!(
        got,
        json!({ "prompt_tokens": 10, "completion_tokens": 20, "reasoning_tokens": 15, "cached_tokens": 5 })
    );
    assert_eq!(reply.names(), ["start", "usage", "done"]);
}

#[tokio::test]
async fn an_upstream_that_refuses_stream_options_is_asked_without_them_from_then_on() {
    let refusal =
        json!({ "message": "Unknown parameter: 'stream_options'.", "param": "stream_options" });
    let upstream = ScriptedUpstream::playing(vec![
        scripts::refusal(400, &refusal),
        scripts::saying("fine"),
    ])
    .await;
    let rill = Rill::before(&upstream).await;
    for _ in 0..2 {
        let reply = soon(rill.ask()).await;
        assert_eq!(
            (reply.outcome(), reply.transcript.text.as_str()),
            ("complete", "fine")
        );
    }
    let asked: Vec<bool> = upstream
        .exchanges()
        .iter()
        .map(|exchange| exchange.body.get("stream_options").is_some())
        .collect();
    assert_eq!(asked, [true, false, false]);
}

#[tokio::test]
async fn one_line_of_the_log_tells_the_outcome_of_a_reply() {
    let upstream = ScriptedUpstream::playing(vec![scripts::saying("fine")]).await;
    let rill = Rill::before(&upstream).await;
    let reply = soon(rill.ask()).await;
    let line = soon(log::outcome_of(reply.generation())).await;
    assert_eq!(line["finish"], "stop");
    assert_eq!(line["attempts"], "1");
    assert!(line.contains_key("ttft_ms"), "{line:?}");
    let failing = scripts::refusal(
        401,
        &json!({ "message": "Incorrect API key provided: sk-proj-abcd" }),
    );
    let upstream = ScriptedUpstream::playing(vec![failing]).await;
    let rill = Rill::before(&upstream).await;
    let reply = soon(rill.ask()).await;
    let line = soon(log::outcome_of(reply.generation())).await;
    assert_eq!(line["kind"], "auth");
}
