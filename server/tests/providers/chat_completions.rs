//! Chat Completions: more ways in which an answer ends, floods, stalls or is refused than the conformance
//! file has.

use std::time::Duration;

use serde_json::json;

use crate::support::script_player::{each_of, play};
use crate::support::scripts::{
    DONE, End, FOREVER, Response, STOP, completes, delta, fails, refusal, saying, silence, stream,
};

fn failing(status: u16) -> Response {
    refusal(status, &json!({ "message": "not now" }))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_complete_once_its_end_was_announced() {
    let ended = || stream().then(&delta("a")).then(STOP);
    let script = |name: &str, response| completes(name, vec![response], "a");
    each_of(
        vec![
            script("then silence", ended().ending(End::Hang)),
            script("then a cut", ended().ending(End::Cut)),
            script("then a reset", ended().ending(End::Reset)),
            script("then the end of the body", ended()),
            script("then comments for ever", ended().then_times(FOREVER, ": x\n\n")),
            script("then empty events for ever", ended().then_times(FOREVER, "data: {}\n\n")),
            script("then garbage after the last event", ended().then(DONE).then("data: {nonsense\n\n")),
            script("by the last event alone", stream().then(&delta("a")).then(DONE).ending(End::Hang)),
            script(
                "in the event that holds the text",
                stream().then("data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\n\n"),
            ),
        ],
        play,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_off_keeps_its_text_and_says_why() {
    let begun = || stream().then(&delta("a"));
    let cut = "upstream_cut";
    each_of(
        vec![
            fails("cut", vec![begun().ending(End::Cut)], "a", cut),
            fails(
                "cut in an event",
                vec![begun().then("data: {\"cho").ending(End::Cut)],
                "a",
                cut,
            ),
            fails(
                "ended in an event",
                vec![begun().then("data: {\"cho")],
                "a",
                cut,
            ),
            fails(
                "cut before any event",
                vec![stream().ending(End::Cut)],
                "",
                cut,
            ),
            fails(
                "reset before any event",
                vec![stream().ending(End::Reset)],
                "",
                cut,
            ),
            fails(
                "cut before the headers",
                vec![silence().ending(End::Cut)],
                "",
                cut,
            ),
            fails("nothing", vec![stream()], "", "upstream_empty"),
            fails(
                "only comments",
                vec![stream().then(": x\n\n").then(": y\n\n")],
                "",
                "upstream_empty",
            ),
            fails(
                "an error that is no JSON",
                vec![begun().then("event: error\ndata: boom\n\n")],
                "a",
                "upstream_error",
            ),
            fails(
                "not gzip",
                vec![begun().with("content-encoding", "gzip")],
                "",
                "upstream_malformed",
            ),
        ],
        play,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_progress_or_without_end_keeps_its_text_and_says_why() {
    let begun = || stream().then(&delta("a"));
    let idle = "upstream_timeout_idle";
    each_of(
        vec![
            fails("silence", vec![begun().ending(End::Hang)], "a", idle),
            fails(
                "silence in an event",
                vec![begun().then("data: {\"cho").ending(End::Hang)],
                "a",
                idle,
            ),
            fails(
                "comments for ever",
                vec![begun().then_times(FOREVER, ": x\n\n")],
                "a",
                idle,
            ),
            fails(
                "only comments for ever",
                vec![stream().then_times(FOREVER, ": x\n\n")],
                "",
                idle,
            ),
            fails(
                "one comment for ever",
                vec![begun().then(":").then_times(FOREVER, "xxxxxxxx")],
                "a",
                idle,
            ),
            fails(
                "blank space for ever",
                vec![
                    stream()
                        .without("content-type")
                        .then_times(FOREVER, "  \n\n"),
                ],
                "",
                idle,
            ),
            fails(
                "blank lines for ever",
                vec![begun().then_times(FOREVER, "\n\n\n\n")],
                "a",
                idle,
            ),
            fails(
                "an event of many lines without an end",
                vec![begun().then_times(FOREVER, &format!("data: {}\n", "x".repeat(1024)))],
                "a",
                "too_large",
            ),
            fails(
                "reasoning without an end",
                vec![
                    stream()
                        .then_times(FOREVER, &thought(&"hm ".repeat(1024)))
                        .ending(End::Hang),
                ],
                "",
                "too_large",
            )
            .with_any_reasoning(),
        ],
        play,
    )
    .await;
}

fn thought(text: &str) -> String {
    format!(
        "data: {}\n\n",
        json!({ "choices": [{ "delta": { "reasoning_content": text } }] })
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_before_the_answer_began_is_asked_again_only_where_that_may_help() {
    let ok = || saying("ok");
    let overloaded = "overloaded";
    let failed = "upstream_error";
    each_of(
        vec![
            completes("500 twice", vec![failing(500), failing(500), ok()], "ok"),
            completes("408", vec![failing(408), ok()], "ok"),
            completes("409", vec![failing(409), ok()], "ok"),
            completes("503", vec![failing(503), ok()], "ok"),
            completes("529", vec![failing(529), ok()], "ok"),
            completes(
                "400 that asks for it",
                vec![failing(400).with("x-should-retry", "true"), ok()],
                "ok",
            ),
            completes(
                "a wait in ms",
                vec![failing(429).with("retry-after-ms", "200"), ok()],
                "ok",
            ),
            completes(
                "a wait of nothing",
                vec![failing(429).with("retry-after", "0"), ok()],
                "ok",
            ),
            fails("500 for ever", vec![failing(500)], "", failed).after_requests(3),
            fails("529 for ever", vec![failing(529)], "", overloaded).after_requests(3),
            fails(
                "500 that forbids it",
                vec![failing(500).with("x-should-retry", "false"), ok()],
                "",
                failed,
            )
            .after_requests(1),
            fails(
                "a wait above the cap",
                vec![failing(429).with("retry-after", "6"), ok()],
                "",
                "rate_limited",
            )
            .after_requests(1),
            fails("400", vec![failing(400), ok()], "", "bad_request")
                .after_requests(1)
                .for_good(),
            fails("422", vec![failing(422), ok()], "", "bad_request")
                .after_requests(1)
                .for_good(),
            fails(
                "a text that broke off",
                vec![stream().then(&delta("a")).ending(End::Cut), ok()],
                "a",
                "upstream_cut",
            )
            .after_requests(1),
            fails(
                "500 with a body without an end",
                vec![failing(500).ending(End::Hang)],
                "",
                failed,
            )
            .after_requests(3),
            fails(
                "401 with a body without an end",
                vec![failing(401).ending(End::Hang)],
                "",
                "auth",
            )
            .for_good(),
        ],
        play,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_redirect_is_followed() {
    let to = |status| {
        silence()
            .with_status(status)
            .ending(End::Fin)
            .with("location", "http://evil.test/")
    };
    let script = |status: u16| {
        fails(
            &status.to_string(),
            vec![to(status), saying("stolen")],
            "",
            "upstream_redirect",
        )
        .after_requests(1)
        .for_good()
    };
    each_of([301, 302, 303, 307, 308].map(script).to_vec(), play).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_read_whatever_its_form() {
    let text = "line\n\"né 😀\"";
    let events = || delta(text) + STOP + DONE;
    let script = |name: &str, response| completes(name, vec![response], text);
    let bare = || stream().without("content-type");
    let completion =
        json!({ "choices": [{ "message": { "content": text }, "finish_reason": "stop" }] })
            .to_string();
    let (head, tail) = completion.split_at(completion.len() / 2);
    let pause = Duration::from_millis(20);
    each_of(
        vec![
            script("all in one write", stream().then(&events())),
            script("without a content type", bare().then(&events())),
            script(
                "as plain text",
                stream().with("content-type", "text/plain").then(&events()),
            ),
            script(
                "with lines that end in CR",
                stream().then(&events().replace('\n', "\r")),
            ),
            script(
                "with lines that end in CRLF",
                stream().then(&events().replace('\n', "\r\n")),
            ),
            script(
                "without spaces",
                stream().then(&events().replace("data: ", "data:")),
            ),
            script(
                "with an event of several lines",
                stream().then(&events().replace("{\"choices\":", "{\ndata: \"choices\":\ndata: ")),
            ),
            script(
                "with named messages",
                stream().then(&events().replace("data: ", "event: message\nid: 1\ndata: ")),
            ),
            script(
                "as JSON in two pieces",
                bare()
                    .with("content-type", "application/json")
                    .then(head)
                    .after(pause, tail),
            ),
            script("as JSON of no type", bare().then("\n ").then(&completion)),
        ],
        play,
    )
    .await;
}
