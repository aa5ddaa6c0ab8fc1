//! What must hold of every API: no value but the text, the word on the end and errors can cost any of
//! the answer.

use app::protocol::ChatEvent;
use app::sse;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::providers::api::Api;

/// A stream in which all is well, and its text.
struct Good {
    api: Api,
    events: Vec<(&'static str, Value)>,
    /// The ends of the paths of required values, which are left alone.
    needed: &'static [&'static str],
}

const TEXT: &str = "One, two, three.";
const THOUGHT: &str = "Hm.";

fn chat() -> Good {
    let chunk = |delta: Value, finish: Value| {
        let value = json!({
            "id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "system_fingerprint": "fp", "service_tier": "default", "provider": "p",
            "choices": [{"index": 0, "delta": delta, "logprobs": {"content": []}, "finish_reason": finish,
                "native_finish_reason": null, "content_filter_results": {"hate": {"filtered": false}}}],
            "usage": null, "obfuscation": "xyz",
        });
        ("message", value)
    };
    Good {
        api: Api::ChatCompletions,
        events: vec![
            chunk(json!({"role": "assistant", "content": ""}), Value::Null),
            chunk(json!({"reasoning_content": THOUGHT}), Value::Null),
            chunk(json!({"content": "One, ", "tool_calls": null}), Value::Null),
            chunk(
                json!({"content": "two, ", "role": "assistant"}),
                Value::Null,
            ),
            chunk(json!({"content": "three."}), Value::Null),
            chunk(json!({}), json!("stop")),
            (
                "message",
                json!({"id": "c1", "choices": [], "usage": {
                    "prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7,
                    "prompt_tokens_details": {"cached_tokens": 1},
                    "completion_tokens_details": {"reasoning_tokens": 1},
                }}),
            ),
        ],
        needed: &["/content", "/reasoning_content", "/delta", "/0"],
    }
}

fn responses() -> Good {
    let delta = |api: &'static str, item: u64, text: &str| {
        let value = json!({"type": api, "sequence_number": 4, "item_id": "i", "output_index": item,
            "content_index": 0, "summary_index": 0, "delta": text, "logprobs": [], "obfuscation": "x"});
        (api, value)
    };
    let event = |api: &'static str, mut value: Value| {
        value["type"] = api.into();
        value["sequence_number"] = 1.into();
        (api, value)
    };
    Good {
        api: Api::Responses,
        events: vec![
            event(
                "response.created",
                json!({"response": {"id": "r", "status": "in_progress", "output": [], "usage": null}}),
            ),
            event(
                "response.output_item.added",
                json!({"output_index": 1, "item": {"id": "i", "type": "message", "content": []}}),
            ),
            delta("response.reasoning_summary_text.delta", 0, THOUGHT),
            delta("response.output_text.delta", 1, "One, "),
            delta("response.output_text.delta", 1, "two, "),
            delta("response.output_text.delta", 1, "three."),
            event(
                "response.output_text.done",
                json!({"output_index": 1, "content_index": 0, "text": TEXT}),
            ),
            event(
                "response.completed",
                json!({"response": {"id": "r", "status": "completed", "incomplete_details": null,
                    "output": [{"type": "message", "id": "i", "role": "assistant",
                        "content": [{"type": "output_text", "text": TEXT, "annotations": []}]}],
                    "usage": {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7,
                        "input_tokens_details": {"cached_tokens": 1},
                        "output_tokens_details": {"reasoning_tokens": 1}}}}),
            ),
        ],
        needed: &["/delta"],
    }
}

fn messages() -> Good {
    let event = |api: &'static str, mut value: Value| {
        value["type"] = api.into();
        (api, value)
    };
    let delta = |index: u64, delta: Value| {
        event(
            "content_block_delta",
            json!({"index": index, "delta": delta}),
        )
    };
    let text = |text: &str| delta(1, json!({"type": "text_delta", "text": text}));
    Good {
        api: Api::Messages,
        events: vec![
            event(
                "message_start",
                json!({"message": {"id": "m", "type": "message", "role": "assistant", "content": [],
                    "model": "m", "stop_reason": null, "stop_sequence": null,
                    "usage": {"input_tokens": 3, "cache_creation_input_tokens": 0,
                        "cache_read_input_tokens": 1, "output_tokens": 1, "service_tier": "standard"}}}),
            ),
            event(
                "content_block_start",
                json!({"index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}}),
            ),
            event("ping", json!({})),
            delta(0, json!({"type": "thinking_delta", "thinking": THOUGHT})),
            delta(0, json!({"type": "signature_delta", "signature": "c2ln"})),
            event("content_block_stop", json!({"index": 0})),
            event(
                "content_block_start",
                json!({"index": 1, "content_block": {"type": "text", "text": ""}}),
            ),
            text("One, "),
            text("two, "),
            text("three."),
            event("content_block_stop", json!({"index": 1})),
            event(
                "message_delta",
                json!({"delta": {"stop_reason": "end_turn", "stop_sequence": null},
                    "usage": {"output_tokens": 6}}),
            ),
            event("message_stop", json!({})),
        ],
        needed: &[
            "/delta",
            "/delta/text",
            "/delta/thinking",
            "/content_block/text",
            "/content_block/thinking",
        ],
    }
}

/// The paths of all values in an event that are not needed.
fn replaceable(event: &Value, needed: &[&str]) -> Vec<String> {
    fn walk(value: &Value, path: &str, into: &mut Vec<String>) {
        let mut enter = |name: &str, value: &Value| {
            let path = format!("{path}/{name}");
            walk(value, &path, into);
            into.push(path);
        };
        match value {
            Value::Object(fields) => fields.iter().for_each(|(name, value)| enter(name, value)),
            Value::Array(list) => list
                .iter()
                .enumerate()
                .for_each(|(at, value)| enter(&at.to_string(), value)),
            _ => {}
        }
    }
    let mut all = Vec::new();
    walk(event, "", &mut all);
    let is_needed = |path: &String| {
        let holds_choices = event["choices"].get(0).is_some() && path == "/choices";
        holds_choices || needed.iter().any(|needed| path.ends_with(needed))
    };
    all.retain(|path| !is_needed(path));
    all
}

/// JSON of any form, and some that is nearly JSON.
fn any_json() -> impl Strategy<Value = String> {
    let odd = [
        "null",
        "true",
        "false",
        "0",
        "-35",
        "-0.0",
        "3.5",
        "1e999",
        "-1e999",
        "NaN",
        "-Infinity",
        "18446744073709551616",
        "\"\"",
        "\"0\"",
        "\"x\"",
        "\"\\ud83d\"",
        "[]",
        "{}",
        "[null]",
        "[{}]",
        "{\"type\":\"x\"}",
        "{\"0\":{}}",
        "\"12\"",
        "12",
    ];
    let deep = "[".repeat(2000) + &"]".repeat(2000);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[ -~é]{0,6}".prop_map(Value::from),
    ];
    let any = leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[a-z]{1,4}", inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    });
    prop_oneof![
        proptest::sample::select(odd.to_vec()).prop_map(str::to_owned),
        Just(deep),
        any.prop_map(|value| value.to_string()),
    ]
}

/// Whether a value is an index, with which a provider says that a piece belongs elsewhere.
fn is_index(json: &str) -> bool {
    let number = json.trim_matches('"').trim().parse::<f64>();
    number.is_ok_and(|number| number >= 0.0 && number.fract() == 0.0)
}

/// Plays the events with one value replaced, and returns the result.
fn play(good: &Good, at: usize, path: &str, json: &str) -> Result<(String, String), String> {
    let mut mapper = good.api.mapper();
    let (mut text, mut thought) = (String::new(), String::new());
    for (number, (name, event)) in good.events.iter().enumerate() {
        let mut event = event.clone();
        if number == at {
            *event.pointer_mut(path).expect("it is there") = "@@".into();
        }
        let data = event.to_string().replace("\"@@\"", json);
        let event = sse::Event {
            name,
            data: &data,
            id: "",
        };
        let mapped = mapper.map(event, &mut |event| match event {
            ChatEvent::Text(piece) => text.push_str(&piece),
            ChatEvent::Reasoning(piece) => thought.push_str(&piece),
            _ => {}
        });
        mapped.map_err(|failure| format!("{failure:?} at {data}"))?;
    }
    Ok((text, thought))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]
    #[test]
    fn no_value_that_is_not_needed_can_cost_any_text(
        api in 0..3_usize,
        event in any::<prop::sample::Index>(),
        path in any::<prop::sample::Index>(),
        json in any_json(),
    ) {
        let good = [chat(), responses(), messages()].into_iter().nth(api).expect("three");
        let at = event.index(good.events.len());
        let paths = replaceable(&good.events[at].1, good.needed);
        prop_assume!(!paths.is_empty());
        let path = path.get(&paths);
        prop_assume!(!path.ends_with("index") || !is_index(&json));
        prop_assert_eq!(
            play(&good, at, path, &json),
            Ok((TEXT.to_owned(), THOUGHT.to_owned())),
            "{} of event {} is {}", path, at, json
        );
    }
}

#[test]
fn every_value_that_is_not_needed_may_be_missing() {
    for good in [chat(), responses(), messages()] {
        for (at, (_, event)) in good.events.iter().enumerate() {
            for path in replaceable(event, good.needed) {
                let mut with = Good {
                    events: good.events.clone(),
                    ..good
                };
                let (parent, name) = path.rsplit_once('/').expect("a path");
                let Some(fields) = with.events[at]
                    .1
                    .pointer_mut(parent)
                    .and_then(Value::as_object_mut)
                else {
                    continue;
                };
                fields.remove(name);
                let got = play(&with, usize::MAX, "", "");
                assert_eq!(
                    got,
                    Ok((TEXT.to_owned(), THOUGHT.to_owned())),
                    "{path} of {at}"
                );
            }
        }
    }
}
