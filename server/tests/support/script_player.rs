//! Plays scripts of providers to the real server, and compares the replies with what the scripts expect.
//!
//! Several scripts run at the same time, each with an upstream and a server of its own, and all that
//! fail are named together.

use std::time::Duration;

use serde_json::Value;
use server::providers::MAX_ANSWER_BYTES;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::rill::{Reply, Rill, test_profile};
use super::scripted_upstream::ScriptedUpstream;
use super::scripts::{Content, Script};
use super::{log, soon};

/// The most scripts that run at the same time, in all tests together. Their time limits are short: on a
/// small machine the servers of all scripts would not start within them.
static PLACES: Semaphore = Semaphore::const_new(8);

/// Runs several scripts at the same time, and fails with the names of those that fail.
pub(crate) async fn each_of<F>(scripts: Vec<Script>, run: impl Fn(Script) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    assert!(!scripts.is_empty());
    let mut names = std::collections::HashMap::new();
    let mut running = JoinSet::new();
    for script in scripts {
        let name = script.name.clone();
        let run = run(script);
        let task = running.spawn(async move {
            let _place = PLACES.acquire().await.expect("it is never closed");
            soon(run).await;
        });
        names.insert(task.id(), name);
    }
    let mut failed = Vec::new();
    while let Some(ended) = running.join_next_with_id().await {
        if let Err(error) = ended {
            failed.push(format!(
                "{}: {}",
                names[&error.id()],
                words_of(error.into_panic())
            ));
        }
    }
    assert!(
        failed.is_empty(),
        "{} of {} scripts:\n{}",
        failed.len(),
        names.len(),
        failed.join("\n")
    );
}

fn words_of(panic: Box<dyn std::any::Any + Send>) -> String {
    match panic.downcast::<String>() {
        Ok(words) => *words,
        Err(panic) => panic
            .downcast::<&str>()
            .map_or_else(|_| "panicked".into(), |words| (*words).into()),
    }
}

/// Plays a script, and fails unless the reply is what the script expects.
pub(crate) async fn play(script: Script) {
    let profile = profile_of(&script);
    play_with(script, profile).await;
}

/// Plays a script that is not about silence: its pauses are near the limit for it, which a busy machine
/// would pass.
pub(crate) async fn play_patiently(script: Script) {
    let mut profile = profile_of(&script);
    profile.retain(|flag| !flag.starts_with("--idle-timeout"));
    profile.push("--idle-timeout=5s".into());
    play_with(script, profile).await;
}

async fn play_with(script: Script, profile: Vec<String>) {
    let upstream = ScriptedUpstream::playing(script.responses.clone()).await;
    let arguments: Vec<&str> = profile.iter().map(String::as_str).collect();
    let rill = Rill::of_api(script.api(), &upstream, &arguments).await;
    let reply = rill.ask().await;
    let requests = if upstream.refuses_connections() {
        log::outcome_of(reply.generation()).await["attempts"].clone()
    } else {
        upstream.request_count().to_string()
    };
    let wrong = what_is_wrong(&script, &reply, requests);
    assert!(wrong.is_empty(), "{}", wrong.join("; "));
    assert_waits_are_kept(&script, &upstream, &reply);
    let address = upstream.base_url();
    assert_errors_are_our_own_words(&address, &reply);
}

/// The time limits for a script. The one for the whole reply is kept only where the script is about it:
/// a debug build on a busy machine is slow with a hundred thousand chunks.
pub(crate) fn profile_of(script: &Script) -> Vec<String> {
    let mut profile = test_profile();
    if script.expect.error_kind.as_deref() != Some("upstream_timeout_total") {
        profile.retain(|flag| !flag.starts_with("--total-timeout"));
    }
    profile
}

/// The differences between a reply and what the script expects.
pub(crate) fn what_is_wrong(script: &Script, reply: &Reply, requests: String) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut check = |what: &str, got: String, expect: String| {
        if got != expect {
            wrong.push(format!("{what} is {got}, not {expect}"));
        }
    };
    let Script { expect, .. } = script;
    check("outcome", reply.outcome().into(), expect.outcome.clone());
    check(
        "error",
        format!(
            "{:?}",
            reply.error_kind().map(app::protocol::ErrorKind::as_str)
        ),
        format!("{:?}", expect.error_kind.as_deref()),
    );
    check(
        "text",
        short(&reply.transcript.text),
        short(&expected_text(script, &reply.transcript.text)),
    );
    check(
        "reasoning",
        short(&reply.transcript.reasoning),
        short(&expected_reasoning(script, reply)),
    );
    if let Some(retry) = expect.retry_button {
        check("retry", reply.offers_retry().to_string(), retry.to_string());
    }
    if let Some(usage) = &expect.usage {
        let got = reply.transcript.usage.expect("usage");
        // Each API has its own names for these.
        let number = |names: [&str; 2]| names.into_iter().find_map(|name| usage[name].as_u64());
        check(
            "prompt_tokens",
            format!("{:?}", got.prompt_tokens),
            format!("{:?}", number(["prompt_tokens", "input_tokens"])),
        );
        check(
            "completion_tokens",
            format!("{:?}", got.completion_tokens),
            format!("{:?}", number(["completion_tokens", "output_tokens"])),
        );
    }
    if let Some(count) = expect.upstream_requests {
        check("number of upstream requests", requests, count.to_string());
    }
    check("order of events", order_of(reply), String::new());
    wrong
}

/// The text that must come, with the file's ways to describe a long one written out.
fn expected_text(script: &Script, got: &str) -> String {
    let expect = &script.expect.text;
    match expect.as_str() {
        "x..." => "x".repeat(got.len().max(1)),
        "x*100000" => "x".repeat(100_000),
        // As much of the answer as the limit allows, give or take the last piece.
        "(first N bytes)" => {
            let piece = repeated_text(script);
            let length = got.len().clamp(
                MAX_ANSWER_BYTES - piece.len(),
                MAX_ANSWER_BYTES + piece.len(),
            );
            piece.chars().cycle().take(length).collect()
        }
        // Half a character in each of two pieces: joined, or replaced twice.
        text if text.contains("\u{fffd}\u{fffd}") && got.contains('\u{1f600}') => {
            text.replace("\u{fffd}\u{fffd}", "\u{1f600}")
        }
        text => text.to_owned(),
    }
}

/// The reasoning that must come; where it only must come, a script says "…".
fn expected_reasoning(script: &Script, reply: &Reply) -> String {
    match script.expect.reasoning.as_deref() {
        None => reply.transcript.reasoning.clone(),
        Some("…") if !reply.transcript.reasoning.is_empty() => reply.transcript.reasoning.clone(),
        Some(reasoning) => reasoning.to_owned(),
    }
}

/// The text in the piece that a script repeats.
fn repeated_text(script: &Script) -> String {
    let repeated = script.responses[0]
        .chunks
        .iter()
        .find_map(|chunk| match &chunk.content {
            Content::Repeat(repeat) => repeat.data.strip_prefix("data: "),
            _ => None,
        });
    let event: Value = serde_json::from_str(repeated.expect("a repeated event")).expect("JSON");
    event["choices"][0]["delta"]["content"]
        .as_str()
        .expect("a text")
        .to_owned()
}

/// A long text by its beginning and its length, so that a failure can be read.
fn short(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((at, _)) => format!(
            "{:?}… ({} bytes, checksum {})",
            &text[..at],
            text.len(),
            checksum(text)
        ),
        None => format!("{text:?}"),
    }
}

fn checksum(text: &str) -> u64 {
    text.bytes().fold(0, |sum: u64, byte| {
        sum.wrapping_mul(31).wrapping_add(byte.into())
    })
}

/// The error in the order of the events: empty if they are numbered from 0, begin with
/// the start, and end with the only terminal one.
fn order_of(reply: &Reply) -> String {
    let ids_are_right = reply
        .ids()
        .iter()
        .enumerate()
        .all(|(number, id)| *id == number.to_string());
    let starts = reply
        .names()
        .iter()
        .filter(|name| **name == "start")
        .count();
    let ends = reply
        .events
        .iter()
        .filter(|event| event.is_terminal())
        .count();
    match reply.events.last() {
        _ if !ids_are_right || reply.ids().len() != reply.events.len() => {
            "ids are not 0, 1, 2, …".into()
        }
        _ if starts != 1 || reply.names()[0] != "start" => {
            "the start is not the first event".into()
        }
        Some(last) if ends == 1 && last.is_terminal() => String::new(),
        _ => format!("{ends} terminal events, or something after one"),
    }
}

/// Asserts that a wait that the upstream asks for precedes another request, or is part of the error.
fn assert_waits_are_kept(script: &Script, upstream: &ScriptedUpstream, reply: &Reply) {
    let header = |name| {
        script.responses[0]
            .headers
            .get(name)
            .and_then(|text| text.parse().ok())
    };
    let milliseconds =
        header("retry-after-ms").or(header("retry-after").map(|seconds: u64| 1000 * seconds));
    let Some(wait) = milliseconds.map(Duration::from_millis) else {
        return;
    };
    match upstream.exchanges().as_slice() {
        [_] => {
            let told = reply
                .error()
                .expect("an error")
                .retry_after_ms
                .map(Duration::from_millis);
            assert_eq!(told, Some(wait), "the wait that the person is told");
        }
        [first, second, ..] => {
            let waited = second.asked_at - first.end.expect("an end").0;
            assert!(waited >= wait, "the second request came after {waited:?}");
        }
        [] => panic!("no request"),
    }
}

/// Nothing of an upstream's error body, its address or a key is in an error.
pub(crate) fn assert_errors_are_our_own_words(base_url: &str, reply: &Reply) {
    let Some(error) = reply.error() else { return };
    let address = base_url.replace("http://", "").replace("/v1", "");
    for foreign in [address.as_str(), "sk-", "evil.test", "<", "{", "127.0.0.1"] {
        assert!(
            !error.message.contains(foreign),
            "{foreign} in {}",
            error.message
        );
    }
    assert!(
        error.message.contains(' '),
        "no sentence: {}",
        error.message
    );
}
