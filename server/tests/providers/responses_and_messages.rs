//! Responses and Messages: more answers than the conformance file has, and the requests to such providers.

use serde_json::{Value, json};
use server::providers::api::Api;

use crate::support::rill::{Rill, chat};
use crate::support::script_player::{each_of, play};
use crate::support::scripted_upstream::ScriptedUpstream;
use crate::support::scripts::{self, End, FOREVER, Response, Script, completes, fails, stream};
use crate::support::{log, soon};

/// One event, with the type of its data as its name.
fn event(data: Value) -> String {
    let name = data["type"].as_str().expect("a type").to_owned();
    format!("event: {name}\ndata: {data}\n\n")
}

mod responses {
    use super::*;

    fn text(text: &str) -> String {
        event(
            json!({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": text}),
        )
    }

    fn ended(kind: &str, response: Value) -> String {
        event(json!({"type": format!("response.{kind}"), "response": response}))
    }

    fn completed() -> String {
        ended("completed", json!({"status": "completed", "output": []}))
    }

    fn a() -> Response {
        stream().then(&text("a"))
    }

    fn completes_with_a(name: &str, response: Response) -> Script {
        completes(name, vec![response], "a").of("responses")
    }

    fn fails_after_a(name: &str, response: Response, kind: &str) -> Script {
        fails(name, vec![response], "a", kind).of("responses")
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_answer_is_complete_once_the_response_is() {
        let response = json!({
            "id": "resp_1", "object": "response", "status": "completed", "error": null,
            "output": [{"type": "message", "content": [{"type": "output_text", "text": "a"}]}],
        });
        each_of(
            vec![
                completes_with_a("then silence", a().then(&completed()).ending(End::Hang)),
                completes_with_a("then a cut", a().then(&completed()).ending(End::Cut)),
                completes_with_a("then a [DONE]", a().then(&completed()).then(scripts::DONE)),
                completes_with_a("by a [DONE] alone", a().then(scripts::DONE)),
                completes_with_a(
                    "then comments for ever",
                    a().then(&completed()).then_times(FOREVER, ": x\n\n"),
                ),
                completes_with_a(
                    "with all text in the last event",
                    stream().then(&ended("completed", response.clone())),
                ),
                completes_with_a(
                    "as JSON",
                    stream()
                        .with("content-type", "application/json")
                        .then(&response.to_string()),
                ),
                completes_with_a(
                    "as JSON of no type",
                    stream().without("content-type").then(&response.to_string()),
                ),
                completes_with_a(
                    "among events that nobody knows",
                    stream()
                        .then("event: keepalive\ndata: {\"type\":\"keepalive\",\"sequence_number\":1}\n\n")
                        .then(&text("a"))
                        .then("event: response.brand_new\ndata: {\"type\":\"response.brand_new\",\"delta\":[1]}\n\n")
                        .then(&completed()),
                ),
                completes_with_a(
                    "in lines that end in CRLF",
                    stream().then(&(text("a") + &completed()).replace('\n', "\r\n")),
                ),
            ],
            play,
        )
        .await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_answer_that_ends_early_says_why() {
        let incomplete = |reason: &str| {
            a().then(&ended(
                "incomplete",
                json!({"status": "incomplete", "incomplete_details": {"reason": reason}}),
            ))
        };
        let failed = |code: &str| {
            a().then(&ended(
                "failed",
                json!({"status": "failed", "error": {"code": code, "message": "m"}}),
            ))
        };
        let call = json!({"type": "response.output_item.added", "output_index": 0, "item": {"type": "function_call", "name": "f"}});
        each_of(
            vec![
                completes_with_a("by its length", incomplete("max_output_tokens"))
                    .with_outcome("truncated")
                    .offering_retry(true),
                completes_with_a("by the filter", incomplete("content_filter"))
                    .with_outcome("filtered")
                    .offering_retry(true),
                completes("by a tool", vec![stream().then(&event(call)).then(&completed())], "")
                    .of("responses")
                    .with_outcome("tool_call")
                    .offering_retry(false),
                fails_after_a("by a failure", failed("server_error"), "upstream_error"),
                fails_after_a("by a rate limit", failed("rate_limit_exceeded"), "rate_limited"),
                fails_after_a("by a long context", failed("context_length_exceeded"), "context_length"),
                fails_after_a("by a failure that says nothing", a().then(&ended("failed", json!({"status": "failed"}))), "upstream_error"),
                fails_after_a(
                    "by an error without a type",
                    a().then("data: {\"error\":{\"message\":\"overloaded\",\"type\":\"overloaded\"}}\n\n"),
                    "overloaded",
                ),
                fails_after_a("by nonsense", a().then("data: {nonsense\n\n"), "upstream_malformed"),
                fails_after_a("by a reset", a().ending(End::Reset), "upstream_cut"),
                fails_after_a("by silence", a().ending(End::Hang), "upstream_timeout_idle"),
                fails("by nothing", vec![stream()], "", "upstream_empty").of("responses"),
                fails(
                    "by a login page",
                    vec![stream().with("content-type", "text/html").then("<html>")],
                    "",
                    "upstream_not_stream",
                )
                .of("responses"),
            ],
            play,
        )
        .await;
    }

    #[tokio::test]
    async fn the_whole_conversation_is_asked_and_nothing_is_stored() {
        let upstream = ScriptedUpstream::playing(vec![a().then(&completed())]).await;
        let rill = Rill::of_api(Api::Responses, &upstream, &[]).await;
        let messages = json!([
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": log::PROMPT},
        ]);
        let body = json!({"messages": messages, "model": "m", "max_tokens": 99, "reasoning_effort": "high"});
        soon(soon(rill.begin_with(&chat(&body))).await.finish()).await;
        let exchange = &upstream.exchanges()[0];
        assert_eq!(exchange.request_line, "POST /v1/responses HTTP/1.1");
        assert_eq!(
            exchange.header("authorization"),
            Some(format!("Bearer {}", log::KEY).as_str())
        );
        assert_eq!(
            exchange.body,
            json!({
                "model": "m", "input": messages, "stream": true, "store": false, "max_output_tokens": 99,
                "reasoning": {"effort": "high", "summary": "auto"},
            })
        );
    }

    #[tokio::test]
    async fn a_model_without_summaries_is_asked_without_from_then_on() {
        let refusal = json!({"message": "Unsupported parameter: 'reasoning.summary'", "param": "reasoning.summary"});
        let upstream = ScriptedUpstream::playing(vec![
            scripts::refusal(400, &refusal),
            a().then(&completed()),
        ])
        .await;
        let rill = Rill::of_api(Api::Responses, &upstream, &[]).await;
        for _ in 0..2 {
            assert_eq!(soon(rill.ask()).await.transcript.text, "a");
        }
        let asked = upstream.exchanges();
        let asked: Vec<bool> = asked
            .iter()
            .map(|exchange| exchange.body.get("reasoning").is_some())
            .collect();
        assert_eq!(asked, [true, false, false]);
    }
}

mod messages {
    use super::*;

    fn text(index: u64, text: &str) -> String {
        event(
            json!({"type": "content_block_delta", "index": index, "delta": {"type": "text_delta", "text": text}}),
        )
    }

    fn begun() -> Response {
        stream()
            .then(&event(json!({"type": "message_start", "message": {"content": [], "usage": {"input_tokens": 1, "output_tokens": 1}}})))
            .then(&event(json!({"type": "ping"})))
            .then(&event(json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})))
    }

    fn a() -> Response {
        begun().then(&text(0, "a"))
    }

    fn stopped(reason: &str) -> String {
        event(
            json!({"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 6}}),
        )
    }

    fn stop() -> String {
        event(json!({"type": "message_stop"}))
    }

    fn completes_with_a(name: &str, response: Response) -> Script {
        completes(name, vec![response], "a").of("anthropic")
    }

    fn fails_after_a(name: &str, response: Response, kind: &str) -> Script {
        fails(name, vec![response], "a", kind).of("anthropic")
    }

    fn error(kind: &str, message: &str) -> Value {
        json!({"type": "error", "error": {"type": kind, "message": message}})
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_answer_is_complete_once_its_stop_reason_is_known() {
        let ended = |reason: &str| a().then(&stopped(reason)).then(&stop());
        let message = json!({
            "type": "message", "role": "assistant", "content": [{"type": "text", "text": "a"}],
            "stop_reason": "end_turn", "usage": {"input_tokens": 1, "output_tokens": 1},
        });
        each_of(
            vec![
                completes_with_a("end_turn", ended("end_turn")),
                completes_with_a("stop_sequence", ended("stop_sequence")),
                completes_with_a("pause_turn", ended("pause_turn")),
                completes_with_a("a reason that nobody knows", ended("brand_new")),
                completes_with_a("then silence", a().then(&stopped("end_turn")).ending(End::Hang)),
                completes_with_a("then a cut", a().then(&stopped("end_turn")).ending(End::Cut)),
                completes_with_a("message_stop alone", a().then(&stop()).ending(End::Hang)),
                completes_with_a("refusal", ended("refusal"))
                    .with_outcome("refused"),
                completes_with_a("max_tokens", ended("max_tokens"))
                    .with_outcome("truncated")
                    .offering_retry(true),
                completes_with_a("as JSON", stream().with("content-type", "application/json").then(&message.to_string())),
                completes_with_a("without names", stream().then(&(text(0, "a") + &stopped("end_turn") + &stop()).replace("event: ", ": "))),
                completes(
                    "thinking, redacted thinking and a tool's input",
                    vec![
                        begun()
                            .then(&event(json!({"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}})))
                            .then(&event(json!({"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "c2ln"}})))
                            .then(&event(json!({"type": "content_block_start", "index": 1, "content_block": {"type": "redacted_thinking", "data": "x"}})))
                            .then(&event(json!({"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": "{"}})))
                            .then(&text(3, "a"))
                            .then(&event(json!({"type": "brand_new", "delta": 1})))
                            .then(&stopped("end_turn")),
                    ],
                    "a",
                )
                .of("anthropic")
                .with_reasoning("hm"),
            ],
            play,
        )
        .await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_answer_that_fails_says_why() {
        each_of(
            vec![
                fails_after_a(
                    "overloaded",
                    a().then(&event(error("overloaded_error", "m"))),
                    "overloaded",
                ),
                fails_after_a(
                    "rate limit",
                    a().then(&event(error("rate_limit_error", "m"))),
                    "rate_limited",
                ),
                fails_after_a(
                    "api error",
                    a().then(&event(error("api_error", "m"))),
                    "upstream_error",
                ),
                fails_after_a(
                    "an error without a name",
                    a().then(&event(error("api_error", "m")).replace("event: error\n", "")),
                    "upstream_error",
                ),
                fails_after_a(
                    "nonsense",
                    a().then("data: {nonsense\n\n"),
                    "upstream_malformed",
                ),
                fails_after_a("the end of the body", a(), "upstream_cut"),
                fails_after_a(
                    "pings for ever",
                    a().then_times(FOREVER, ": ping\n\n"),
                    "upstream_timeout_idle",
                ),
            ],
            play,
        )
        .await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_request_that_is_refused_says_why() {
        let refusal = |status, kind: &str, message: &str| {
            scripts::refusal(status, &json!({"type": kind, "message": message}))
        };
        let refused = |name: &str, response, kind: &str| {
            fails(name, vec![response], "", kind)
                .of("anthropic")
                .for_good()
        };
        each_of(
            vec![
                refused(
                    "wrong key",
                    refusal(401, "authentication_error", "invalid x-api-key"),
                    "auth",
                ),
                refused(
                    "no credit",
                    refusal(
                        400,
                        "invalid_request_error",
                        "Your credit balance is too low",
                    ),
                    "quota",
                ),
                refused(
                    "no such model",
                    refusal(404, "not_found_error", "model: claude-x"),
                    "model_not_found",
                ),
                refused(
                    "not valid",
                    refusal(
                        400,
                        "invalid_request_error",
                        "messages: at least one message is required",
                    ),
                    "bad_request",
                ),
                fails(
                    "overloaded for ever",
                    vec![refusal(529, "overloaded_error", "Overloaded")],
                    "",
                    "overloaded",
                )
                .of("anthropic")
                .after_requests(3),
                fails(
                    "a login page",
                    vec![stream().with("content-type", "text/html").then("<html>")],
                    "",
                    "upstream_not_stream",
                )
                .of("anthropic"),
            ],
            play,
        )
        .await;
    }

    #[tokio::test]
    async fn the_key_goes_into_its_own_header_and_the_system_prompt_into_its_own_field() {
        let upstream =
            ScriptedUpstream::playing(vec![a().then(&stopped("end_turn")).then(&stop())]).await;
        let rill = Rill::of_api(Api::Messages, &upstream, &[]).await;
        let body = json!({
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": log::PROMPT},
            ],
            "model": "m", "temperature": 0.5,
        });
        soon(soon(rill.begin_with(&chat(&body))).await.finish()).await;
        let exchange = &upstream.exchanges()[0];
        assert_eq!(exchange.request_line, "POST /v1/messages HTTP/1.1");
        assert_eq!(exchange.header("x-api-key"), Some(log::KEY));
        assert_eq!(exchange.header("anthropic-version"), Some("2023-06-01"));
        assert_eq!(exchange.header("authorization"), None);
        assert_eq!(
            exchange.body,
            json!({
                "model": "m", "max_tokens": 32_000, "system": "Be brief.", "stream": true, "temperature": 0.5,
                "messages": [{"role": "user", "content": log::PROMPT}],
            })
        );
    }

    #[tokio::test]
    async fn a_model_that_allows_fewer_tokens_is_asked_for_no_more_from_then_on() {
        let refusal = json!({
            "type": "invalid_request_error",
            "message": "max_tokens: 32000 > 8192, which is the maximum allowed number of output tokens for m",
        });
        let upstream = ScriptedUpstream::playing(vec![
            scripts::refusal(400, &refusal),
            a().then(&stopped("end_turn")),
        ])
        .await;
        let rill = Rill::of_api(Api::Messages, &upstream, &[]).await;
        for _ in 0..2 {
            assert_eq!(soon(rill.ask()).await.transcript.text, "a");
        }
        let asked = upstream.exchanges();
        let asked: Vec<_> = asked
            .iter()
            .map(|exchange| exchange.body["max_tokens"].as_u64())
            .collect();
        assert_eq!(asked, [Some(32_000), Some(8192), Some(8192)]);
    }
}
