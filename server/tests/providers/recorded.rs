//! Answers that were recorded from real servers. Each file names its server.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::rill::{Rill, chat, question};
use crate::support::scripted_upstream::ScriptedUpstream;
use crate::support::scripts::Script;
use crate::support::soon;

/// A recording: a script, and the request.
#[derive(Deserialize)]
struct Recording {
    #[serde(flatten)]
    script: Script,
    max_tokens: Option<u32>,
}

/// What comes of a recording that should not, if anything.
async fn wrong_of(Recording { script, max_tokens }: Recording) -> Option<String> {
    let upstream = ScriptedUpstream::playing(script.responses.clone()).await;
    let rill = Rill::of_api(script.api(), &upstream, &["--max-retries=0"]).await;
    let mut body = question();
    body["max_tokens"] = json!(max_tokens);
    let reply = soon(soon(rill.begin_with(&chat(&body))).await.finish()).await;
    let expect = &script.expect;
    let kind = reply.error_kind().map(app::protocol::ErrorKind::as_str);
    let got = (reply.outcome(), reply.transcript.text.as_str(), kind);
    let wanted = (
        expect.outcome.as_str(),
        expect.text.as_str(),
        expect.error_kind.as_deref(),
    );
    let usage = reply.transcript.usage.map(|usage| json!(usage));
    let reasoning = expect.reasoning.as_deref().unwrap_or_default();
    let is_right = got == wanted
        && reply.transcript.reasoning == reasoning
        && usage.unwrap_or(Value::Null) == expect.usage.clone().unwrap_or(Value::Null)
        && upstream.request_count() == expect.upstream_requests.unwrap_or(1);
    (!is_right).then(|| format!("{}: {got:?}, not {wanted:?}", script.name))
}

async fn check(file: &str) {
    #[derive(Deserialize)]
    struct File {
        scripts: Vec<Recording>,
    }
    let file: File = serde_json::from_str(file).expect("a file of recordings");
    assert!(!file.scripts.is_empty());
    let mut wrong = Vec::new();
    for recording in file.scripts {
        wrong.extend(wrong_of(recording).await);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_llama_cpp_answers_is_read_right() {
    check(include_str!("../conformance/recorded_llama_cpp.json")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_litellm_answers_is_read_right() {
    check(include_str!("../conformance/recorded_litellm.json")).await;
}
