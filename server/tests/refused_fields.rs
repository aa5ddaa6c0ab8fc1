//! A server that refuses one optional field of a request, or the path of it, is asked again without it,
//! and is remembered to be so.

use serde_json::{Value, json};
use server::providers::api::Kind;

use crate::support::rill::{Rill, chat};
use crate::support::scripted_upstream::{Exchange, ScriptedUpstream};
use crate::support::scripts::{self, Response};
use crate::support::{log, soon};

/// A question with every setting, to this model.
fn full(model: &str) -> Value {
    json!({
        "messages": [
            { "role": "system", "content": "Be brief." },
            { "role": "user", "content": log::PROMPT },
        ],
        "model": model, "temperature": 0.5, "max_tokens": 5000, "reasoning_effort": "low",
    })
}

/// Asks twice; what the upstream was asked.
async fn ask_twice(kind: Kind, responses: Vec<Response>) -> Vec<Exchange> {
    let upstream = ScriptedUpstream::playing(responses).await;
    let rill = Rill::of_kind(kind, &upstream, &[]).await;
    for _ in 0..2 {
        let reply = soon(soon(rill.begin_with(&chat(&full("m")))).await.finish()).await;
        assert_eq!(reply.outcome(), "complete", "{:?}", reply.error());
    }
    upstream.exchanges()
}

fn refusing(message: &str) -> Response {
    scripts::refusal(400, &json!({ "message": message }))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_field_is_left_out_from_then_on_and_all_others_stay() {
    for (field, message) in [
        (
            "stream_options",
            "Extra inputs are not permitted: stream_options",
        ),
        (
            "temperature",
            "`temperature` is not supported by this model",
        ),
        (
            "reasoning_effort",
            "Unrecognized request argument: reasoning_effort",
        ),
        ("max_tokens", "Unknown parameter: 'max_tokens'."),
    ] {
        let asked = ask_twice(
            Kind::ChatCompletions,
            vec![refusing(message), scripts::saying("fine")],
        )
        .await;
        let has: Vec<bool> = asked
            .iter()
            .map(|one| one.body.get(field).is_some())
            .collect();
        assert_eq!(has, [true, false, false], "{field}");
        let mut expect = asked[0].body.clone();
        expect.as_object_mut().expect("fields").remove(field);
        assert_eq!(asked[1].body, expect);
    }
}

#[tokio::test]
async fn several_fields_are_left_out_one_after_the_other() {
    let asked = ask_twice(
        Kind::ChatCompletions,
        vec![
            refusing("unknown field: stream_options"),
            refusing("unknown field: temperature"),
            refusing("Use 'max_completion_tokens' instead of max_tokens"),
            scripts::saying("fine"),
        ],
    )
    .await;
    assert_eq!(asked.len(), 5);
    for one in &asked[3..] {
        assert_eq!(one.body["max_completion_tokens"], 5000);
        assert_eq!(one.body["reasoning_effort"], "low");
        for gone in ["stream_options", "temperature", "max_tokens"] {
            assert_eq!(one.body.get(gone), None);
        }
    }
}

#[tokio::test]
async fn a_field_that_is_refused_in_vain_ends_in_the_refusal() {
    let upstream = ScriptedUpstream::playing(vec![refusing("unknown field: temperature")]).await;
    let rill = Rill::before(&upstream).await;
    let reply = soon(soon(rill.begin_with(&chat(&full("m")))).await.finish()).await;
    assert_eq!(
        reply.error().expect("an error").kind.as_str(),
        "bad_request"
    );
    assert_eq!(upstream.request_count(), 2);
}

#[tokio::test]
async fn what_a_server_refuses_to_read_holds_for_all_its_models() {
    let upstream = ScriptedUpstream::playing(vec![
        refusing("unknown field: stream_options"),
        scripts::saying("fine"),
    ])
    .await;
    let rill = Rill::before(&upstream).await;
    for model in ["m", "other"] {
        soon(soon(rill.begin_with(&chat(&full(model)))).await.finish()).await;
    }
    let asked = upstream.exchanges();
    assert_eq!(asked.len(), 3);
    assert_eq!(asked[2].body["model"], "other");
    assert_eq!(asked[2].body.get("stream_options"), None);
    assert_eq!(asked[2].body["temperature"], 0.5);
}

#[tokio::test]
async fn instructions_go_to_the_question_where_there_is_no_role_for_them() {
    let asked = ask_twice(
        Kind::ChatCompletions,
        vec![
            refusing("System role not supported"),
            scripts::saying("fine"),
        ],
    )
    .await;
    let text = format!("Be brief.\n\n{}", log::PROMPT);
    for one in &asked[1..] {
        assert_eq!(
            one.body["messages"],
            json!([{ "role": "user", "content": text }])
        );
    }
}

#[tokio::test]
async fn a_model_that_may_not_stream_is_asked_for_the_whole() {
    let whole = json!({
        "choices": [{ "message": { "content": "fine" }, "finish_reason": "stop" }],
    });
    let message = "Your organization must be verified to stream this model.";
    let asked = ask_twice(
        Kind::ChatCompletions,
        vec![refusing(message), scripts::json(&whole)],
    )
    .await;
    let streamed: Vec<&Value> = asked.iter().map(|one| &one.body["stream"]).collect();
    assert_eq!(streamed, [true, false, false]);
}

#[tokio::test]
async fn a_version_that_nobody_wrote_is_left_out_where_it_is_not_found() {
    let not_found = scripts::refusal(404, &json!({ "message": "no such path" }));
    let upstream = ScriptedUpstream::playing(vec![not_found, scripts::saying("fine")]).await;
    let address = upstream.base_url();
    let address = address.strip_suffix("/v1").expect("a version");
    let file = format!("[[upstream]]\nname = \"x\"\nbase_url = \"{address}\"\nmodels = [\"m\"]\n");
    let rill = Rill::with_file(&file, &[]).await;
    for _ in 0..2 {
        assert_eq!(soon(rill.ask()).await.transcript.text, "fine");
    }
    let asked = upstream.exchanges();
    let lines: Vec<&str> = asked.iter().map(|one| one.request_line.as_str()).collect();
    let (with, without) = (
        "POST /v1/chat/completions HTTP/1.1",
        "POST /chat/completions HTTP/1.1",
    );
    assert_eq!(lines, [with, without, without]);
}
