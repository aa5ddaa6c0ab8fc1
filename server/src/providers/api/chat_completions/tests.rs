use std::borrow::Cow;

use super::*;
use crate::providers::api::Api;
use crate::providers::api::lenient::Text;
use crate::providers::api::mapped::{Mapped, mapped};
use crate::providers::caching::Caching;
use crate::providers::quirks::{Optional, Quirks};
use app::protocol::{ChatMessage, ChatRequest, Finish, Role};

fn map(events: &[(&str, &str)]) -> Mapped {
    mapped(Api::ChatCompletions, events)
}

fn check(data: &[&str], text: &str, reasoning: &str, end: Result<Option<Finish>, ErrorKind>) {
    let events: Vec<_> = data.iter().map(|data| ("message", *data)).collect();
    assert_eq!(
        map(&events),
        (text.to_owned(), reasoning.to_owned(), end),
        "{data:?}"
    );
}

const STOP: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;

#[test]
fn text_and_reasoning_come_out_of_their_fields() {
    check(
        &[r#"{"choices":[{"delta":{"content":"a\n\"b"}}]}"#, STOP],
        "a\n\"b",
        "",
        Ok(Some(Finish::Stop)),
    );
    check(
        &[r#"{"choices":[{"delta":{"reasoning":"r","content":null}}]}"#],
        "",
        "r",
        Ok(None),
    );
    for name in ["reasoning_content", "reasoning_text", "thinking"] {
        let data = format!(r#"{{"choices":[{{"delta":{{"{name}":"r","content":""}}}}]}}"#);
        check(&[&data], "", "r", Ok(None));
    }
    check(
        &[r#"{"choices":[{"delta":{"reasoning":"r","reasoning_content":"r"}}]}"#],
        "",
        "r",
        Ok(None),
    );
    check(
        &[
            r#"{"choices":[{"delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"t"}]},{"type":"text","text":"x"}]}}]}"#,
        ],
        "x",
        "t",
        Ok(None),
    );
    check(
        &[r#"{"choices":[{"delta":{"content":"x","reasoning":{"odd":1}}}]}"#],
        "x",
        "",
        Ok(None),
    );
}

#[test]
fn keep_alives_of_any_shape_change_nothing() {
    check(
        &[
            r#"{"choices":null}"#,
            "{}",
            r#"{"choices":[]}"#,
            r#"{"choices":[{}]}"#,
        ],
        "",
        "",
        Ok(None),
    );
}

#[test]
fn the_finish_is_read_whatever_its_word() {
    let finish = |word: &str| {
        let data = format!(r#"{{"choices":[{{"delta":{{}},"finish_reason":"{word}"}}]}}"#);
        map(&[("message", &data)]).2
    };
    assert_eq!(finish("stop"), Ok(Some(Finish::Stop)));
    assert_eq!(finish("eos"), Ok(Some(Finish::Stop)));
    assert_eq!(finish("length"), Ok(Some(Finish::Length)));
    assert_eq!(finish("content_filter"), Ok(Some(Finish::ContentFilter)));
    assert_eq!(finish("tool_calls"), Ok(Some(Finish::ToolCalls)));
    assert_eq!(finish("error"), Err(ErrorKind::UpstreamError));
    check(&["[DONE]"], "", "", Err(ErrorKind::UpstreamEmpty));
}

#[test]
fn a_refusal_is_text_and_a_finish_of_its_own() {
    check(
        &[r#"{"choices":[{"delta":{"refusal":"No."}}]}"#, STOP],
        "No.",
        "",
        Ok(Some(Finish::Refusal)),
    );
}

#[test]
fn other_choices_and_events_after_the_end_are_ignored() {
    check(
        &[
            r#"{"choices":[{"index":0,"delta":{"content":"A"}}]}"#,
            r#"{"choices":[{"index":2147483647,"delta":{"content":"B"}}]}"#,
            "[DONE]",
            r#"{"choices":[{"delta":{"content":"late"}}]}"#,
        ],
        "A",
        "",
        Ok(Some(Finish::Stop)),
    );
    let (text, _, end) = map(&[
        ("execute", r#"{"code":"x"}"#),
        ("done", "{}"),
        ("message", STOP),
    ]);
    assert_eq!((text.as_str(), end), ("", Ok(Some(Finish::Stop))));
}

#[test]
fn errors_in_the_stream_are_errors_whatever_their_form() {
    check(
        &[r#"{"error":{"message":"x","type":"server_error"}}"#],
        "",
        "",
        Err(ErrorKind::UpstreamError),
    );
    check(
        &[r#"{"error":"out of memory","choices":[]}"#],
        "",
        "",
        Err(ErrorKind::UpstreamError),
    );
    check(&["{unparsable}"], "", "", Err(ErrorKind::UpstreamMalformed));
    check(&["[1,2]"], "", "", Err(ErrorKind::UpstreamMalformed));
    let (.., end) = map(&[(
        "error",
        r#"{"message":"boom","code":"rate_limit_exceeded"}"#,
    )]);
    assert_eq!(end, Err(ErrorKind::RateLimited));
    check(
        &[
            r#"{"object":"error","message":"maximum context length is 9","type":"BadRequestError","code":400}"#,
        ],
        "",
        "",
        Err(ErrorKind::ContextLength),
    );
    check(
        &[r#"{"error":null,"choices":[{"delta":{"content":"fine"}}]}"#],
        "fine",
        "",
        Ok(None),
    );
}

#[test]
fn json_that_rust_refuses_is_still_read() {
    check(
        &[r#"{"choices":[{"delta":{"content":"a","content":"b"}}]}"#],
        "b",
        "",
        Ok(None),
    );
    check(
        &[
            r#"{"choices":[{"delta":{"content":"a\ud83d"}}]}"#,
            r#"{"choices":[{"delta":{"content":"\ude00b"}}]}"#,
        ],
        "a\u{fffd}\u{fffd}b",
        "",
        Ok(None),
    );
}

#[test]
fn counts_of_tokens_are_found_where_servers_write_them() {
    let check = |data: &str, prompt, cached| {
        let mut mapper = ChatCompletionsMapper::default();
        let event = sse::Event {
            name: "message",
            data,
            id: "",
        };
        mapper.map(event, &mut |_| ()).expect("an event");
        let usage = mapper.ending().usage.expect("counts");
        assert_eq!(
            (usage.prompt_tokens, usage.cached_tokens),
            (prompt, cached),
            "{data}"
        );
    };
    check(
        r#"{"choices":[],"usage":{"prompt_tokens":3.0,"cached_tokens":"2"}}"#,
        Some(3),
        Some(2),
    );
    check(
        r#"{"choices":[{"delta":{},"finish_reason":"stop","usage":{"prompt_tokens":3}}]}"#,
        Some(3),
        None,
    );
    check(
        r#"{"usage":{"input_tokens":3,"prompt_cache_hit_tokens":1}}"#,
        Some(3),
        Some(1),
    );
    check(
        r#"{"usage":{"prompt_tokens":9,"prompt_tokens_details":{"cached_tokens":0},"prompt_cache_hit_tokens":4}}"#,
        Some(9),
        Some(4),
    );
    check(
        r#"{"usage":{"prompt_tokens":9,"input_tokens_details":{"cached_tokens":4}}}"#,
        Some(9),
        Some(4),
    );
    // Gateways to Anthropic's API, with and without cached tokens in the sum.
    check(
        r#"{"usage":{"prompt_tokens":109,"cache_read_input_tokens":90,"cache_creation_input_tokens":10}}"#,
        Some(109),
        Some(90),
    );
    check(
        r#"{"usage":{"prompt_tokens":9,"cache_read_input_tokens":90,"cache_creation_input_tokens":10}}"#,
        Some(109),
        Some(90),
    );
}

#[test]
fn a_whole_completion_is_an_answer_too() {
    let mut mapper = ChatCompletionsMapper::default();
    let mut text = String::new();
    let body = br#"{"choices":[{"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":2}}"#;
    mapper
        .map_completion(body, &mut |event| {
            if let ChatEvent::Text(piece) = event {
                text.push_str(&piece);
            }
        })
        .expect("a completion");
    assert_eq!(
        (text.as_str(), mapper.ending().verdict()),
        ("Hi", Some(Ok(Finish::Stop)))
    );
    assert_eq!(
        mapper.ending().usage.and_then(|usage| usage.prompt_tokens),
        Some(5)
    );
}

#[test]
fn text_without_escapes_is_borrowed() {
    let chunk: ChatChunk<'_> =
        serde_json::from_str(r#"{"choices":[{"delta":{"content":"plain"}}]}"#).expect("valid");
    let content = chunk.choices.0[0].delta.get().map(|delta| &delta.content);
    assert!(matches!(content, Some(Text::Plain(Cow::Borrowed("plain")))));
}

#[test]
fn the_request_is_written_as_the_server_wants_it() {
    let mut prompt = ChatRequest::new(vec![ChatMessage {
        role: Role::User,
        content: "Hi".into(),
    }]);
    prompt.max_tokens = Some(9);
    let body = |quirks| {
        serde_json::from_slice::<Value>(&request(&prompt, "m", quirks, Caching::default()))
            .expect("JSON")
    };
    let first = body(Quirks::default());
    assert_eq!(first["stream_options"]["include_usage"], true);
    assert_eq!(first["max_tokens"], 9);
    let renamed = Quirks {
        max_completion_tokens: true,
        ..Quirks::default()
    };
    let other = body(renamed.without(Optional::StreamOptions));
    assert_eq!(other.get("stream_options"), None);
    assert_eq!(
        (
            other["max_completion_tokens"].as_u64(),
            other.get("max_tokens")
        ),
        (Some(9), None)
    );
}
