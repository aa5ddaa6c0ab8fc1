use super::*;
use crate::providers::api::Api;
use crate::providers::api::mapped::mapped;
use crate::providers::caching::Caching;
use crate::providers::quirks::{Optional, Quirks};
use app::protocol::{ChatMessage, ChatRequest, Finish, ReasoningEffort, Role};
use serde_json::json;

/// Checks what the events of a stream become: text, reasoning, and the finish or the kind of the error.
#[track_caller]
fn check(events: &[Value], text: &str, reasoning: &str, end: Result<Option<Finish>, ErrorKind>) {
    let events: Vec<_> = events.iter().map(Value::to_string).collect();
    let events: Vec<_> = events
        .iter()
        .map(|data| ("message", data.as_str()))
        .collect();
    let expect = (text.to_owned(), reasoning.to_owned(), end);
    assert_eq!(mapped(Api::Responses, &events), expect);
}

fn delta(kind: &str, item: u64, text: &str) -> Value {
    json!({"type": format!("response.{kind}.delta"), "output_index": item, "delta": text})
}

fn ended(kind: &str, response: Value) -> Value {
    json!({"type": format!("response.{kind}"), "response": response})
}

fn completed() -> Value {
    ended("completed", json!({"status": "completed", "output": []}))
}

#[test]
fn text_and_reasoning_come_out_of_their_events() {
    check(
        &[
            json!({"type": "response.created", "response": {"status": "in_progress", "error": null}}),
            delta("reasoning_summary_text", 0, "Hm"),
            json!({"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": 1, "delta": "Ah"}),
            delta("output_text", 1, "a\n"),
            delta("output_text", 1, "\"b"),
            delta("output_text", 2, "c"),
            completed(),
        ],
        "a\n\"b\n\nc",
        "Hm\n\nAh",
        Ok(Some(Finish::Stop)),
    );
    check(&[delta("reasoning_text", 0, "r")], "", "r", Ok(None));
    // Some servers count each piece as content of its own.
    let counted = |kind: &str, number: u64, text: &str| json!({"type": format!("response.{kind}.delta"), "output_index": 0, "content_index": number, "delta": text});
    check(
        &[
            counted("reasoning_text", 0, "H"),
            counted("reasoning_text", 1, "m"),
            counted("output_text", 2, "A"),
            counted("output_text", 3, "B"),
        ],
        "AB",
        "Hm",
        Ok(None),
    );
}

#[test]
fn events_that_are_of_no_interest_or_unknown_change_nothing() {
    check(
        &[
            json!({"type": "response.queued"}),
            delta("output_text", 0, "once"),
            json!({"type": "response.output_text.done", "text": "once"}),
            json!({"type": "response.function_call_arguments.delta", "delta": "{\"a\""}),
            json!({"type": "response.image_generation_call.partial_image", "delta": {"b": 1}}),
            json!({"type": "keepalive", "sequence_number": 3}),
            json!({"type": "response.brand_new.delta", "delta": "x"}),
            json!({}),
        ],
        "once",
        "",
        Ok(None),
    );
}

#[test]
fn the_end_says_why() {
    let incomplete = |reason: Value| {
        ended(
            "incomplete",
            json!({"status": "incomplete", "incomplete_details": reason}),
        )
    };
    let call = json!({"type": "response.output_item.added", "item": {"type": "function_call"}});
    check(&[completed()], "", "", Ok(Some(Finish::Stop)));
    check(
        &[incomplete(json!({"reason": "max_output_tokens"}))],
        "",
        "",
        Ok(Some(Finish::Length)),
    );
    check(
        &[incomplete(json!({"reason": "content_filter"}))],
        "",
        "",
        Ok(Some(Finish::ContentFilter)),
    );
    check(&[incomplete(json!(null))], "", "", Ok(Some(Finish::Length)));
    check(&[call, completed()], "", "", Ok(Some(Finish::ToolCalls)));
    check(
        &[delta("refusal", 0, "No."), completed()],
        "No.",
        "",
        Ok(Some(Finish::Refusal)),
    );
}

#[test]
fn errors_are_errors_whatever_their_form() {
    let check = |event: Value, kind| check(&[event], "", "", Err(kind));
    check(
        json!({"type": "error", "code": "rate_limit_exceeded", "message": "slow"}),
        ErrorKind::RateLimited,
    );
    check(
        json!({"type": "error", "error": {"code": "insufficient_quota", "message": "m"}}),
        ErrorKind::Quota,
    );
    check(
        json!({"error": {"code": "server_error"}}),
        ErrorKind::UpstreamError,
    );
    check(
        ended(
            "failed",
            json!({"status": "failed", "error": {"code": "context_length_exceeded", "message": "m"}}),
        ),
        ErrorKind::ContextLength,
    );
    check(
        ended("failed", json!({"status": "failed", "error": null})),
        ErrorKind::UpstreamError,
    );
    check(ended("completed", json!({})), ErrorKind::UpstreamEmpty);
    check(json!([1, 2]), ErrorKind::UpstreamMalformed);
}

#[test]
fn text_that_comes_only_at_the_end_is_not_lost() {
    let response = json!({
        "status": "completed",
        "output": [
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm"}]},
            {"type": "message", "content": [{"type": "output_text", "text": "Hi"}]},
        ],
        "usage": {"input_tokens": 5, "output_tokens": 2, "output_tokens_details": {"reasoning_tokens": 1}},
    });
    check(
        &[ended("completed", response.clone())],
        "Hi",
        "Hm",
        Ok(Some(Finish::Stop)),
    );
    let mut mapper = ResponsesMapper::default();
    let mut text = String::new();
    mapper
        .map_completion(response.to_string().as_bytes(), &mut |event| {
            if let ChatEvent::Text(piece) = event {
                text.push_str(&piece);
            }
        })
        .expect("a response");
    assert_eq!(text, "Hi");
    let usage = mapper.ending().usage.expect("usage");
    assert_eq!(
        (
            usage.prompt_tokens,
            usage.completion_tokens,
            usage.reasoning_tokens
        ),
        (Some(5), Some(2), Some(1))
    );
}

#[test]
fn half_a_character_does_not_cost_the_rest() {
    let mut mapper = ResponsesMapper::default();
    let mut text = String::new();
    let event = sse::Event {
        name: "response.output_text.delta",
        data: r#"{"type":"response.output_text.delta","delta":"a\ud83d"}"#,
        id: "",
    };
    mapper
        .map(event, &mut |event| {
            if let ChatEvent::Text(piece) = event {
                text.push_str(&piece);
            }
        })
        .expect("text");
    assert_eq!(text, "a\u{fffd}");
}

#[test]
fn the_request_stores_nothing_and_sends_only_what_was_set() {
    let mut prompt = ChatRequest::new(vec![ChatMessage {
        role: Role::User,
        content: "Hi".into(),
    }]);
    let body = |prompt: &ChatRequest, quirks| {
        serde_json::from_slice::<Value>(&request(prompt, "m", quirks, Caching::default()))
            .expect("JSON")
    };
    let plain = json!({"model": "m", "input": [{"role": "user", "content": "Hi"}], "stream": true, "store": false});
    let without_summary = Quirks::default().without(Optional::ReasoningSummary);
    assert_eq!(body(&prompt, without_summary), plain);
    assert_eq!(
        body(&prompt, Quirks::default())["reasoning"],
        json!({"summary": "auto"})
    );
    prompt.max_tokens = Some(99);
    prompt.reasoning_effort = Some(ReasoningEffort::Low);
    let full = body(&prompt, without_summary);
    assert_eq!(full["max_output_tokens"], 99);
    assert_eq!(full["reasoning"], json!({"effort": "low"}));
}

#[test]
fn an_answer_that_has_as_many_tokens_as_it_may_was_cut_off() {
    let check = |limit: Option<u64>, tokens: u64, status: &str, expect: Finish| {
        let mut mapper = ResponsesMapper {
            limit,
            ..ResponsesMapper::default()
        };
        let body = json!({
            "status": status, "usage": {"output_tokens": tokens},
            "output": [{"type": "message", "content": [{"type": "output_text", "text": "Hi"}]}],
        });
        let body = body.to_string();
        mapper
            .map_completion(body.as_bytes(), &mut |_| ())
            .expect("a response");
        let got = mapper.ending().verdict();
        assert_eq!(got, Some(Ok(expect)), "{limit:?} {tokens} {status}");
    };
    check(Some(8), 8, "completed", Finish::Length);
    check(Some(8), 9, "completed", Finish::Length);
    check(Some(8), 7, "completed", Finish::Stop);
    check(None, 8, "completed", Finish::Stop);
    check(Some(8), 3, "incomplete", Finish::Length);
}
