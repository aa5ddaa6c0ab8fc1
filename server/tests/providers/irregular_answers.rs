//! Irregular answers, of the kinds that users of comparable software reported: bodies with a wrong type,
//! odd events, and texts in unusual places.

use serde_json::{Value, json};

use crate::support::script_player::{each_of, play};
use crate::support::scripts::{
    DONE, End, Response, STOP, completes, delta, fails, json as whole, saying, stream,
};

/// An event of the stream.
pub(super) fn event(data: &Value) -> String {
    format!("data: {data}\n\n")
}

/// A refusal with this status and body.
pub(super) fn refusing(status: u16, body: &str) -> Response {
    let mut response = stream().then(body);
    response.status = status;
    response
        .headers
        .insert("content-type".into(), "text/plain".into());
    response
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_what_its_first_bytes_say() {
    let events = || delta("a") + STOP + DONE;
    let message =
        json!({ "choices": [{ "message": { "content": "a" }, "finish_reason": "stop" }] });
    let typed = |name: &str, body: &str| {
        let response = stream().with("content-type", name).then(body);
        completes(
            &format!("{name} that begins with {body:.5}"),
            vec![response],
            "a",
        )
    };
    let status = |status: u16| {
        let mut response = saying("a");
        response.status = status;
        completes(&format!("status {status}"), vec![response], "a")
    };
    let lines = format!(
        "{}\n{}\n",
        json!({ "choices": [{ "delta": { "content": "a" } }] }),
        json!({ "choices": [{ "delta": {}, "finish_reason": "stop" }] })
    );
    let mut scripts = vec![
        typed("application/json", &events()),
        typed("application/octet-stream", &events()),
        typed("text/html; charset=utf-8", &events()),
        typed("text/event-stream", &message.to_string()),
        typed("text/html", &message.to_string()),
        typed("text/event-stream", &format!("\u{feff}{message}")),
        typed("application/x-ndjson", &lines),
        completes(
            "JSON whose end is never announced",
            vec![whole(&message).ending(End::Hang)],
            "a",
        ),
        completes(
            "JSON that is cut after its end",
            vec![whole(&message).ending(End::Cut)],
            "a",
        ),
        fails(
            "half of it",
            vec![stream().then("{\"choices\":[").ending(End::Cut)],
            "",
            "upstream_cut",
        ),
        fails(
            "HTML said to be events",
            vec![stream().then("\n<!doctype html><p>Sign in")],
            "",
            "upstream_not_stream",
        ),
        fails(
            "words said to be HTML",
            vec![
                stream()
                    .with("content-type", "text/html")
                    .then("Please sign in"),
            ],
            "",
            "upstream_not_stream",
        ),
    ];
    scripts.extend([202, 203, 206].map(status));
    each_of(scripts, play).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_events_are_passed_over() {
    let around = |name: &str, odd: &str| {
        let response = stream()
            .then(&delta("a"))
            .then(odd)
            .then(&delta("b"))
            .then(STOP)
            .then(DONE);
        completes(name, vec![response], "ab")
    };
    each_of(
        vec![
            around("no data", "data:\n\n"),
            around("blank data", "data:   \n\n"),
            around("null", "data: null\n\n"),
            around("a number", "data: 7\n\n"),
            around("a word", "data: ping\n\n"),
            around("a text", "data: \"working\"\n\n"),
            around("an empty list", &event(&json!({ "choices": [] }))),
            around("a message about something", &event(&json!({ "message": "searching" }))),
            around("an event with a name", "event: tool\ndata: {\"message\":\"x\",\"code\":5}\n\n"),
            around("an error with another name", "event: tool\ndata: {\"error\":\"not found\"}\n\n"),
            around("no error", &event(&json!({ "error": { "message": "", "code": null } }))),
            around("success", &event(&json!({ "code": 0, "message": "success" }))),
            around("all is well", &event(&json!({ "base_resp": { "status_code": 0, "status_msg": "" } }))),
            around("a number too large", "data: {\"choices\":[{\"delta\":{},\"x\":1}],\"usage\":{\"prompt_tokens\":1e999}}\n\n"),
            around("a number that is none", "data: {\"choices\":[{\"delta\":{},\"logprobs\":[-Infinity, NaN]}]}\n\n"),
        ],
        play,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn text_is_found_in_any_form_and_never_twice() {
    let of = |name: &str, events: &[Value], text: &str| {
        let response = events
            .iter()
            .fold(stream(), |response, one| response.then(&event(one)));
        completes(name, vec![response.then(STOP).then(DONE)], text)
    };
    let choice = |choice: Value| json!({ "choices": [choice] });
    let content = |content: Value| choice(json!({ "delta": { "content": content } }));
    each_of(
        vec![
            of(
                "a list of parts",
                &[content(json!([{ "type": "text", "text": "a" }, "b"]))],
                "ab",
            ),
            of(
                "a number",
                &[content(json!("n = ")), content(json!(42))],
                "n = 42",
            ),
            of(
                "a delta that is a text",
                &[choice(json!({ "delta": "a" }))],
                "a",
            ),
            of(
                "the older API",
                &[choice(json!({ "text": "a", "index": 0 }))],
                "a",
            ),
            of(
                "an object of choices",
                &[json!({ "choices": { "delta": { "content": "a" } } })],
                "a",
            ),
            of(
                "the second choice alone",
                &[choice(json!({ "index": 1, "delta": { "content": "a" } }))],
                "a",
            ),
            of(
                "all that came so far in each event",
                &["Hel", "Hello", "Hello wor", "Hello world"]
                    .map(|text| choice(json!({ "message": { "content": text } }))),
                "Hello world",
            ),
            of(
                "all once more as the last piece",
                &[
                    content(json!("Hello ")),
                    content(json!("world")),
                    choice(
                        json!({ "delta": { "content": "Hello world" }, "finish_reason": "stop" }),
                    ),
                ],
                "Hello world",
            ),
            of(
                "a repetition that is meant",
                &[
                    content(json!("ha")),
                    choice(json!({ "delta": { "content": "ha" }, "finish_reason": "stop" })),
                ],
                "haha",
            ),
            of(
                "two events in one",
                &[json!([
                    { "choices": [{ "delta": { "content": "a" } }] },
                    { "choices": [{ "delta": { "content": "b" } }] },
                ])],
                "ab",
            ),
        ],
        play,
    )
    .await;
}
