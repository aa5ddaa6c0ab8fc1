//! Quirks: a server that refuses an optional field of a request, or the path, is asked again without it, and the
//! server remembers that.

use app::protocol::saved::messages_path;
use serde_json::{Value, json};
use server::providers::api::Api;

use crate::support::http::Request;
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
async fn ask_twice(api: Api, responses: Vec<Response>) -> Vec<Exchange> {
    let upstream = ScriptedUpstream::playing(responses).await;
    let rill = Rill::of_api(api, &upstream, &[]).await;
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
            Api::ChatCompletions,
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
        Api::ChatCompletions,
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
        Api::ChatCompletions,
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
        Api::ChatCompletions,
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

/// A question that is long enough to be cached, in a saved conversation, asked twice of an upstream with
/// this setting; what the upstream was asked.
async fn ask_twice_to_be_cached(kind: &str, cache: &str, refusals: &[&str]) -> Vec<Exchange> {
    let mut responses: Vec<Response> = refusals.iter().map(|message| refusing(message)).collect();
    let fine = json!({
        "content": [{ "type": "text", "text": "fine" }], "stop_reason": "end_turn",
        "choices": [{ "message": { "content": "fine" }, "finish_reason": "stop" }],
        "output": [{ "type": "message", "content": [{ "type": "output_text", "text": "fine" }] }],
        "status": "completed",
    });
    responses.push(scripts::json(&fine));
    let upstream = ScriptedUpstream::playing(responses).await;
    let file = format!(
        "[[upstream]]\nname = \"x\"\nkind = \"{kind}\"\nbase_url = \"{}\"\nmodels = [\"m\", \"other\"]\n\
         cache = \"{cache}\"\n",
        upstream.base_url()
    );
    let rill = Rill::with_file(&file, &[]).await;
    for model in ["m", "m", "other"] {
        let body = json!({
            "request_id": server::store::new_id(), "model": model, "system": "Be brief. ".repeat(60),
            "content": log::PROMPT.repeat(20),
        });
        let request = Request::post(&messages_path(&server::store::new_id()), &body);
        let reply = soon(soon(rill.begin_with(&request)).await.finish()).await;
        assert_eq!(reply.outcome(), "complete", "{:?}", reply.error());
    }
    upstream.exchanges()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_for_the_cache_that_is_refused_is_not_sent_to_that_server_again() {
    for (kind, message) in [
        (
            "chat-completions",
            "Unrecognized request argument supplied: prompt_cache_key",
        ),
        (
            "chat-completions",
            "Invalid JSON payload received. Unknown name \"prompt_cache_key\": Cannot find field.",
        ),
        ("responses", "property 'prompt_cache_key' is unsupported"),
    ] {
        let asked = ask_twice_to_be_cached(kind, "5m", &[message]).await;
        let key = |one: &Exchange| one.body.get("prompt_cache_key").is_some();
        let has: Vec<bool> = asked.iter().map(key).collect();
        assert_eq!(has, [true, false, false, false], "{message}");
        let mut expect = asked[0].body.clone();
        expect
            .as_object_mut()
            .expect("fields")
            .remove("prompt_cache_key");
        assert_eq!(asked[1].body, expect);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn marks_for_the_cache_that_are_refused_become_plain_text() {
    for message in [
        "messages.0.content.0.text.cache_control: Extra inputs are not permitted",
        "system.0.cache_control: Extra inputs are not permitted",
        "messages.0.content: Input should be a valid string",
        "system: invalid type: sequence, expected a string",
        "json: cannot unmarshal array into Go struct field Message.messages.content of type string",
    ] {
        let asked = ask_twice_to_be_cached("messages", "5m", &[message]).await;
        let (first, second) = (&asked[0].body, &asked[1].body);
        assert!(first["system"][0].get("cache_control").is_some(), "{first}");
        for plain in [second, &asked[2].body] {
            assert!(!plain.to_string().contains("cache_control"), "{message}");
            assert_eq!(plain["system"], first["system"][0]["text"]);
            let text = &first["messages"][0]["content"][0]["text"];
            assert_eq!(&plain["messages"][0]["content"], text);
        }
        // What one model refuses, another one may take.
        assert!(asked[3].body["system"].is_array(), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_knows_one_lifetime_only_is_asked_for_that() {
    for message in [
        "messages.0.content.0.text.cache_control.ephemeral.ttl: Extra inputs are not permitted",
        "The `ttl` field requires the beta header extended-cache-ttl-2025-04-11",
    ] {
        let asked = ask_twice_to_be_cached("messages", "1h", &[message]).await;
        let mark = |at: usize| asked[at].body["system"][0]["cache_control"].clone();
        assert_eq!(mark(0), json!({ "type": "ephemeral", "ttl": "1h" }));
        assert_eq!(mark(1), json!({ "type": "ephemeral" }), "{message}");
        assert_eq!(mark(2), json!({ "type": "ephemeral" }), "{message}");
    }
}
