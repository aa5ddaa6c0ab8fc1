//! Irregular ends of answers, of the kinds that users of comparable software reported: unusual reasons, errors
//! with status 200, and failures that only their words explain.

use std::time::Duration;

use serde_json::{Value, json};

use super::irregular_answers::{event, refusing};
use crate::support::rill::Rill;
use crate::support::script_player::{each_of, play, play_patiently};
use crate::support::scripted_upstream::ScriptedUpstream;
use crate::support::scripts::{
    DONE, End, FOREVER, STOP, completes, delta, fails, json as whole, stream,
};
use crate::support::{log, soon};

/// An event with this word on the end.
fn ending(word: &Value) -> String {
    event(&json!({ "choices": [{ "delta": {}, "finish_reason": word }] }))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_goes_on_as_long_as_something_follows() {
    let word = |text: &str, word: Value| {
        event(&json!({ "choices": [{ "delta": { "content": text }, "finish_reason": word }] }))
    };
    let pause = Duration::from_millis(400);
    let thought =
        event(&json!({ "choices": [{ "delta": { "reasoning": "hm" }, "finish_reason": "STOP" }] }));
    each_of(
        vec![
            completes(
                "a word with each piece",
                vec![
                    stream()
                        .then(&word("a", json!("stop")))
                        .then(&word("b", json!("stop")))
                        .after(pause, &word("c", json!("stop")))
                        .after(pause, &word("d", json!("stop"))),
                ],
                "abcd",
            ),
            completes(
                "the last word is no word",
                vec![
                    stream()
                        .then(&word("a", json!("end_turn")))
                        .then(&ending(&json!("")))
                        .then(DONE),
                ],
                "a",
            ),
            completes(
                "the last word counts",
                vec![
                    stream()
                        .then(&word("a", json!("stop")))
                        .then(&ending(&json!("max_tokens")))
                        .then(DONE),
                ],
                "a",
            )
            .with_outcome("truncated")
            .with_any_retry(),
            fails(
                "a cut after words that were none",
                vec![
                    stream()
                        .then(&word("a", json!("stop")))
                        .then(&word("b", json!("stop")))
                        .ending(End::Cut),
                ],
                "ab",
                "upstream_cut",
            ),
            completes(
                "an answer after a thought that had stopped",
                vec![
                    stream()
                        .then(&thought)
                        .after(pause, &delta("a"))
                        .then(STOP)
                        .ending(End::Hang),
                ],
                "a",
            )
            .with_any_reasoning(),
            completes(
                "silence after the end",
                vec![
                    stream()
                        .then(&delta("a"))
                        .then(&ending(&json!("EOS")))
                        .then_times(FOREVER, ": x\n\n"),
                ],
                "a",
            ),
        ],
        play_patiently,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_word_for_an_answer_that_is_not_whole_is_known() {
    let script = |word: Value, outcome: &str| {
        let response = stream().then(&delta("a")).then(&ending(&word)).then(DONE);
        completes(&word.to_string(), vec![response], "a")
            .with_outcome(outcome)
            .with_any_retry()
    };
    let broken = |word: &str| {
        let response = stream()
            .then(&delta("a"))
            .then(&ending(&json!(word)))
            .then(DONE);
        fails(word, vec![response], "a", "upstream_error")
    };
    each_of(
        vec![
            script(json!("Max_Output_Tokens"), "truncated"),
            script(json!("token_limit"), "truncated"),
            script(json!("ModelLength"), "truncated"),
            script(json!({ "type": "length", "length": 16 }), "truncated"),
            script(json!("SPII"), "filtered"),
            script(json!("BLOCKLIST"), "filtered"),
            script(json!("guardrail_intervened"), "filtered"),
            script(json!("refusal"), "refused"),
            script(json!("TOOL_CALL"), "tool_call"),
            script(json!("xyzzy"), "complete"),
            script(json!(7), "complete"),
            broken("network_error"),
            broken("TIMEOUT"),
            broken("MALFORMED_FUNCTION_CALL"),
            broken("Cancelled"),
            fails(
                "an unknown word and no text",
                vec![stream().then(&ending(&json!("xyzzy"))).then(DONE)],
                "",
                "upstream_empty",
            ),
            fails(
                "no word and no text",
                vec![stream().then(&event(&json!({"id": "x"}))).then(DONE)],
                "",
                "upstream_empty",
            ),
        ],
        play,
    )
    .await;
}

#[tokio::test]
async fn an_unknown_word_is_logged_if_it_cannot_be_anything_but_a_word() {
    for word in [
        "brand_new_word",
        "sk-test-SECRET",
        "a prompt that nobody may log",
    ] {
        let response = stream()
            .then(&delta("a"))
            .then(&ending(&json!(word)))
            .then(DONE);
        let upstream = ScriptedUpstream::playing(vec![response]).await;
        let rill = Rill::before(&upstream).await;
        assert_eq!(soon(rill.ask()).await.outcome(), "complete");
    }
    soon(log::line_with("word", "brand_new_word")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_in_a_body_of_status_200_is_an_error() {
    let error = "upstream_error";
    let body = |name: &str, body: Value, kind: &str| fails(name, vec![whole(&body)], "", kind);
    // As LiteLLM's proxy sends it in Anthropic's API.
    let mut of_messages = body(
        "an error of another API",
        json!({ "type": "error", "error": { "type": "api_error", "message": "litellm.APIError: boom" } }),
        error,
    );
    of_messages.api = "anthropic".into();
    let mut of_responses = body("a detail", json!({ "detail": "boom" }), error);
    of_responses.api = "responses".into();
    each_of(
        vec![
            of_messages,
            of_responses,
            body(
                "code and msg",
                json!({ "code": 50505, "msg": "system busy", "data": {} }),
                error,
            ),
            body("detail", json!({ "detail": "Not authenticated" }), error),
            body(
                "detail as a list",
                json!({ "detail": [{ "loc": ["body"], "msg": "field required" }] }),
                error,
            ),
            body(
                "success false",
                json!({ "success": false, "errors": [{ "code": 7003, "message": "no route" }] }),
                error,
            ),
            body(
                "error_code",
                json!({ "error_code": 110, "error_msg": "Access token invalid" }),
                error,
            ),
            body(
                "a message alone",
                json!({ "message": "Internal error" }),
                error,
            ),
            body(
                "too fast",
                json!({ "code": 429, "msg": "too many requests" }),
                "rate_limited",
            ),
            body(
                "too long",
                json!({ "code": "1261", "msg": "Prompt exceeds max length" }),
                "context_length",
            ),
            body(
                "no message",
                json!({ "choices": [{ "message": { "content": null } }] }),
                "upstream_empty",
            ),
        ],
        play,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_in_an_event_of_status_200_is_an_error() {
    let error = "upstream_error";
    let frame = |name: &str, data: Value, kind: &str| {
        fails(
            name,
            vec![stream().then(&event(&data)).then(DONE)],
            "",
            kind,
        )
    };
    each_of(
        vec![
            frame(
                "an event with a code",
                json!({ "code": "InternalError", "message": "x" }),
                error,
            ),
            frame("an event with a message", json!({ "message": "x" }), error),
            frame(
                "an error of its choice",
                json!({ "choices": [{ "error": { "code": 429, "message": "x" } }] }),
                "rate_limited",
            ),
            fails(
                "after text",
                vec![
                    stream()
                        .then(&delta("a"))
                        .then(&event(&json!({ "code": 500, "msg": "x" }))),
                ],
                "a",
                error,
            ),
        ],
        play,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_failure_is_about_is_found_in_its_words() {
    let refused = |status: u16, body: &str, kind: &str| {
        fails(
            &format!("{status} {body:.60}"),
            vec![refusing(status, body)],
            "",
            kind,
        )
        .after_requests(1)
        .for_good()
    };
    each_of(
        vec![
            // As LiteLLM's proxy words it, which calls it a matter of pace.
            refused(
                429,
                r#"{"error":{"message":"litellm.RateLimitError: RateLimitError: OpenAIException - You exceeded your current quota, please check your plan and billing details.\n\nLiteLLM: model group 'm' failed","type":"throttling_error","param":null,"code":"429"}}"#,
                "quota",
            ),
            // Money, with the status of something else.
            refused(400, r#"{"error":{"message":"Budget has been exceeded! Current cost: 10, Max budget: 5","type":"budget_exceeded","code":"400"}}"#, "quota"),
            refused(500, r#"{"error":{"message":"用户额度不足","type":"new_api_error"}}"#, "quota"),
            refused(429, r#"{"error":{"code":"1113","message":"您的账户已欠费，请充值后重试。"}}"#, "quota"),
            refused(412, r#"{"error":"Account is suspended, possibly due to reaching the monthly spending limit"}"#, "quota"),
            refused(401, r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota"}}"#, "quota"),
            refused(403, r#"{"code":30001,"message":"Sorry, your account balance is insufficient","data":null}"#, "quota"),
            // Too long, in the words of many.
            refused(500, r#"{"error":{"message":"litellm.BadRequestError: Input is too long for requested model"}}"#, "context_length"),
            refused(400, r#"{"message":"<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 30720]"}"#, "context_length"),
            refused(413, r#"{"error":{"code":"tokens_limit_reached","message":"Request body too large for gpt-4o model. Max size: 8000 tokens."}}"#, "context_length"),
            refused(400, r#"{"error":{"message":{"text":"x","detail":"The input token count (1196265) exceeds the maximum number of tokens allowed"}}}"#, "context_length"),
            refused(400, r#"{"error":{"message":"Provider returned error","metadata":{"raw":"{\"error\":{\"message\":\"prompt is too long: 9 tokens > 8 maximum\"}}"}}}"#, "context_length"),
            refused(422, r#"{"detail":[{"loc":["body","messages"],"msg":"The input (9 tokens) is longer than the model's context length"}]}"#, "context_length"),
            refused(400, "too many tokens: size limit exceeded by 1000 tokens", "context_length"),
            // The key.
            refused(400, r#"{"error":{"message":"API key expired. Please renew the API key.","status":"INVALID_ARGUMENT"}}"#, "auth"),
            refused(500, r#"{"error":{"message":"Authentication Error, No api key passed in."}}"#, "auth"),
            // The model.
            refused(400, r#"{"error":{"message":"Model Not Exist","type":"invalid_request_error"}}"#, "model_not_found"),
            refused(400, r#"{"error":{"message":"x/y is not a valid model ID","code":400}}"#, "model_not_found"),
            refused(503, r#"{"error":{"code":"model_not_found","message":"No available channel for model x"}}"#, "model_not_found"),
            // Rules for content are no error of ours.
            refused(400, r#"{"error":{"code":"content_filter","message":"The response was filtered"}}"#, "bad_request"),
        ],
        play,
    )
    .await;
    each_of(
        vec![
            fails(
                "429 of Gemini, which passes",
                vec![refusing(429, r#"[{"error":{"code":429,"message":"You exceeded your current quota, please check your plan and billing details. Please retry in 36.5s.","status":"RESOURCE_EXHAUSTED"}}]"#).with("x-should-retry", "false")],
                "",
                "rate_limited",
            ),
            fails(
                "400 that is a matter of pace",
                vec![refusing(400, r#"{"error":{"message":"Throttling: requests are too fast"}}"#)],
                "",
                "rate_limited",
            ),
            fails(
                "HTML of a proxy",
                vec![refusing(403, "<html><style>p{}</style><h1>Error 1015</h1><p>You are being rate limited</p></html>")],
                "",
                "rate_limited",
            ),
        ],
        play,
    )
    .await;
}
