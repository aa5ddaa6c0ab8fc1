use super::request::{LEAST_ANSWER, MOST_TOKENS};
use super::*;
use crate::providers::api::Api;
use crate::providers::api::mapped::mapped;
use crate::providers::caching::Caching;
use crate::providers::quirks::{Quirks, Thinking};
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
    assert_eq!(mapped(Api::Messages, &events), expect);
}

fn delta(index: u64, delta: Value) -> Value {
    json!({"type": "content_block_delta", "index": index, "delta": delta})
}

fn text(index: u64, text: &str) -> Value {
    delta(index, json!({"type": "text_delta", "text": text}))
}

fn stopped(reason: &str) -> Value {
    json!({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": null}, "usage": {"output_tokens": 6}})
}

#[test]
fn text_and_thinking_come_out_of_their_blocks() {
    check(
        &[
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}}),
            delta(0, json!({"type": "thinking_delta", "thinking": "Hm"})),
            delta(0, json!({"type": "signature_delta", "signature": "c2ln"})),
            json!({"type": "content_block_stop", "index": 0}),
            json!({"type": "content_block_start", "index": 1, "content_block": {"type": "redacted_thinking", "data": "x"}}),
            json!({"type": "content_block_start", "index": 2, "content_block": {"type": "text", "text": "O"}}),
            text(2, "ne\n"),
            delta(
                2,
                json!({"type": "citations_delta", "citation": {"type": "page_location"}}),
            ),
            text(3, "Two"),
            stopped("end_turn"),
            json!({"type": "message_stop"}),
            text(3, "late"),
        ],
        "One\n\n\nTwo",
        "Hm",
        Ok(Some(Finish::Stop)),
    );
}

#[test]
fn pings_tools_and_what_is_not_known_change_nothing() {
    check(
        &[
            json!({"type": "ping"}),
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": "t", "name": "f", "input": {}}}),
            delta(
                0,
                json!({"type": "input_json_delta", "partial_json": "{\"a\""}),
            ),
            json!({"type": "brand_new", "delta": 5, "usage": []}),
            json!({}),
        ],
        "",
        "",
        Ok(None),
    );
}

#[test]
fn the_finish_is_read_whatever_its_word() {
    let check = |word: &str, finish| check(&[stopped(word)], "", "", Ok(Some(finish)));
    check("end_turn", Finish::Stop);
    check("stop_sequence", Finish::Stop);
    check("pause_turn", Finish::Stop);
    check("max_tokens", Finish::Length);
    check("model_context_window_exceeded", Finish::Length);
    check("tool_use", Finish::ToolCalls);
    check("refusal", Finish::Refusal);
}

#[test]
fn errors_are_errors_whatever_their_form() {
    let check = |event: Value, kind| check(&[text(0, "a"), event], "a", "", Err(kind));
    let error = |kind: &str| json!({"type": "error", "error": {"type": kind, "message": "m"}});
    check(error("overloaded_error"), ErrorKind::Overloaded);
    check(error("rate_limit_error"), ErrorKind::RateLimited);
    check(error("authentication_error"), ErrorKind::Auth);
    check(error("api_error"), ErrorKind::UpstreamError);
    check(json!({"error": {"message": "x"}}), ErrorKind::UpstreamError);
    check(json!([1]), ErrorKind::UpstreamMalformed);
}

#[test]
fn the_input_is_the_sum_of_what_was_told() {
    let check = |told: &[Value], prompt, cached, written| {
        let mut mapper = MessagesMapper::default();
        let (first, later) = told.split_first().expect("counts");
        let started = json!({"type": "message_start", "message": {"usage": first}});
        let later = later.iter().map(|usage| {
            json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage})
        });
        for event in std::iter::once(started).chain(later) {
            let data = event.to_string();
            let event = sse::Event {
                name: "message",
                data: &data,
                id: "",
            };
            mapper.map(event, &mut |_| ()).expect("an event");
        }
        let expect = Usage {
            prompt_tokens: prompt,
            completion_tokens: Some(6),
            reasoning_tokens: None,
            cached_tokens: cached,
            cache_write_tokens: written,
        };
        assert_eq!(mapper.ending().usage, Some(expect), "{told:?}");
    };
    let all = json!({"input_tokens": 11, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 7, "output_tokens": 1});
    let end = json!({"output_tokens": 6});
    check(&[all.clone(), end.clone()], Some(118), Some(100), Some(7));
    // A gateway that knows the cache only in the end.
    check(
        &[
            json!({"input_tokens": 11}),
            json!({"cache_read_input_tokens": 100, "output_tokens": 6}),
        ],
        Some(111),
        Some(100),
        None,
    );
    let zeros = json!({"input_tokens": 0, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0, "output_tokens": 6});
    check(&[all, zeros], Some(118), Some(100), Some(7));
    check(
        &[
            json!({"input_tokens": 11, "cache_creation": {"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 3}}),
            end,
        ],
        Some(18),
        None,
        Some(7),
    );
}

#[test]
fn a_whole_message_is_an_answer_too() {
    let mut mapper = MessagesMapper::default();
    let mut text = String::new();
    let body = json!({
        "type": "message", "role": "assistant", "stop_reason": "max_tokens",
        "content": [{"type": "thinking", "thinking": "Hm", "signature": "x"}, {"type": "text", "text": "Hi"}],
        "usage": {"input_tokens": 5, "output_tokens": 2},
    });
    mapper
        .map_completion(body.to_string().as_bytes(), &mut |event| {
            if let ChatEvent::Text(piece) = event {
                text.push_str(&piece);
            }
        })
        .expect("a message");
    assert_eq!(
        (text.as_str(), mapper.ending().verdict()),
        ("Hi", Some(Ok(Finish::Length)))
    );
    let failure = MessagesMapper::default()
        .map_completion(
            br#"{"type":"error","error":{"type":"overloaded_error"}}"#,
            &mut |_| (),
        )
        .expect_err("an error");
    assert_eq!(failure.kind, ErrorKind::Overloaded);
    assert!(
        MessagesMapper::default()
            .map_completion(b"{}", &mut |_| ())
            .is_err()
    );
}

fn body(prompt: &ChatRequest, quirks: Quirks) -> Value {
    serde_json::from_slice(&request(prompt, "m", quirks, Caching::default())).expect("JSON")
}

fn prompt(messages: &[(Role, &str)]) -> ChatRequest {
    let messages = messages.iter().map(|(role, content)| ChatMessage {
        role: *role,
        content: (*content).to_owned(),
    });
    ChatRequest::new(messages.collect())
}

#[test]
fn the_system_prompt_is_a_field_of_its_own() {
    let prompt = prompt(&[
        (Role::System, "Be brief."),
        (Role::User, "Hi"),
        (Role::Assistant, " "),
        (Role::System, "In French."),
    ]);
    assert_eq!(
        body(&prompt, Quirks::default()),
        json!({
            "model": "m",
            "max_tokens": MOST_TOKENS,
            "system": "Be brief.\n\nIn French.",
            "messages": [{"role": "user", "content": "Hi"}],
            "stream": true,
        })
    );
    let plain = ChatRequest::new(prompt.messages[1..2].to_vec());
    assert_eq!(body(&plain, Quirks::default()).get("system"), None);
}

#[test]
fn an_effort_is_written_as_the_model_wants_it() {
    let mut prompt = prompt(&[(Role::User, "Hi")]);
    prompt.temperature = Some(1.5);
    assert_eq!(body(&prompt, Quirks::default())["temperature"], 1.0);
    prompt.reasoning_effort = Some(ReasoningEffort::High);
    let adaptive = body(&prompt, Quirks::default());
    assert_eq!(adaptive["thinking"]["type"], "adaptive");
    assert_eq!(adaptive["output_config"], json!({"effort": "high"}));
    assert_eq!(adaptive.get("temperature"), None);

    let of = |thinking| Quirks {
        thinking,
        ..Quirks::default()
    };
    let budget = body(&prompt, of(Thinking::Budget));
    assert_eq!(
        budget["thinking"],
        json!({"type": "enabled", "budget_tokens": 16_384})
    );
    assert_eq!(budget.get("output_config"), None);
    assert_eq!(body(&prompt, of(Thinking::Never)).get("thinking"), None);

    prompt.max_tokens = Some(4000);
    let little = body(&prompt, of(Thinking::Budget));
    assert_eq!(little["thinking"]["budget_tokens"], 4000 - LEAST_ANSWER);
    prompt.max_tokens = Some(100);
    assert_eq!(body(&prompt, of(Thinking::Budget)).get("thinking"), None);
}
