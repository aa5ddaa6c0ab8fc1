//! Dispatch among several upstreams: the choice of the upstream, the fields that the configuration adds, and
//! fallbacks.

use serde_json::{Value, json};

use crate::support::program::Program;
use crate::support::rill::{Reply, Rill, chat, question};
use crate::support::scripted_upstream::ScriptedUpstream;
use crate::support::scripts::{self, DONE, End, Response, STOP, delta, stream};
use crate::support::{log, soon};

/// The question, put to this model.
fn to_model(model: &str) -> Value {
    let mut body = question();
    body["model"] = model.into();
    body
}

async fn ask(rill: &Rill, model: &str) -> Reply {
    soon(
        soon(rill.begin_with(&chat(&to_model(model))))
            .await
            .finish(),
    )
    .await
}

fn entry(name: &str, upstream: &ScriptedUpstream, more: &str) -> String {
    let url = upstream.base_url();
    format!("[[upstream]]\nname = \"{name}\"\nbase_url = \"{url}\"\n{more}\n")
}

#[tokio::test]
async fn headers_fields_and_keys_are_added_as_configured() {
    let upstream = ScriptedUpstream::playing(vec![scripts::saying("fine")]).await;
    let file = entry(
        "work",
        &upstream,
        r#"
        key_env = "KEY"
        models = ["m"]
        headers = { "openai-organization" = "org-1" }
        body = { service_tier = "flex", metadata = { a = "b" } }
        "#,
    );
    let rill = Rill::with_file(&file, &[]).await;
    assert_eq!(soon(rill.ask()).await.transcript.text, "fine");
    let exchange = &upstream.exchanges()[0];
    assert_eq!(exchange.body["model"], "m");
    assert_eq!(exchange.body["service_tier"], "flex");
    assert_eq!(exchange.body["metadata"], json!({"a": "b"}));
    assert_eq!(exchange.header("openai-organization"), Some("org-1"));
    assert_eq!(
        exchange.header("authorization"),
        Some(format!("Bearer {}", log::KEY).as_str())
    );
}

#[tokio::test]
async fn a_key_can_stand_in_a_file() {
    let upstream = ScriptedUpstream::playing(vec![scripts::saying("fine")]).await;
    let path = std::env::temp_dir().join(format!("rill-key-{}", std::process::id()));
    std::fs::write(&path, format!("{}\n", log::KEY)).expect("a file");
    let file = entry("work", &upstream, &format!("key_file = {path:?}"));
    let rill = Rill::with_file(&file, &[]).await;
    std::fs::remove_file(&path).expect("it was read");
    soon(rill.ask()).await;
    assert_eq!(
        upstream.exchanges()[0].header("authorization"),
        Some(format!("Bearer {}", log::KEY).as_str())
    );
}

#[tokio::test]
async fn reasoning_in_the_text_is_split_off_where_that_is_configured() {
    let thinking = ["<thi", "nk>hm", "m</th", "ink>\n\nH", "i"]
        .iter()
        .fold(stream(), |response, piece| response.then(&delta(piece)))
        .then(STOP)
        .then(DONE);
    let upstream = ScriptedUpstream::playing(vec![thinking]).await;
    for (setting, text, reasoning) in [
        ("think_tags = true", "Hi", "hmm"),
        ("", "<think>hmm</think>\n\nHi", ""),
    ] {
        let rill = Rill::with_file(&entry("local", &upstream, setting), &[]).await;
        let reply = soon(rill.ask()).await;
        assert_eq!(
            (
                reply.transcript.text.as_str(),
                reply.transcript.reasoning.as_str()
            ),
            (text, reasoning)
        );
    }
    let cut = ScriptedUpstream::playing(vec![stream().then(&delta("<thi")).ending(End::Cut)]).await;
    let rill = Rill::with_file(&entry("local", &cut, "think_tags = true"), &[]).await;
    let reply = soon(rill.ask()).await;
    assert_eq!(
        (reply.outcome(), reply.transcript.text.as_str()),
        ("partial", "<thi")
    );
}

const LIMITS: [&str; 2] = ["--backoff-base=1ms", "--first-byte-timeout=300ms"];

/// A first upstream that does this, and a second one that says "second".
async fn with_fallback(response: Response) -> (ScriptedUpstream, ScriptedUpstream, Rill) {
    let first = ScriptedUpstream::playing(vec![response]).await;
    let second = ScriptedUpstream::playing(vec![scripts::saying("second")]).await;
    let file = entry("one", &first, "models = [\"x\"]")
        + &entry("two", &second, "models = [\"x\", \"y\"]")
        + "[fallback]\n\"x\" = [\"y\"]\n";
    let rill = Rill::with_file(&file, &LIMITS).await;
    (first, second, rill)
}

#[tokio::test(flavor = "multi_thread")]
async fn another_model_stands_in_where_an_upstream_is_down_or_overloaded_before_any_text() {
    let error = |code: &str| format!("data: {{\"error\":{{\"code\":\"{code}\"}}}}\n\n");
    for (response, requests) in [
        (scripts::refusal(503, &json!({"message": "busy"})), 3),
        (scripts::refusal(429, &json!({"message": "busy"})), 3),
        (scripts::silence().ending(End::Refuse), 0),
        (scripts::silence(), 1),
        (stream().then(&error("overloaded_error")), 1),
        // Accepted, and then an error of any kind in the place of an answer.
        (stream().then(&error("insufficient_quota")), 1),
        (
            scripts::json(&json!({"code": 401, "msg": "token expired"})),
            1,
        ),
        (scripts::json(&json!({"choices": []})), 1),
        (stream().ending(End::Cut), 1),
        (stream(), 1),
    ] {
        let (first, second, rill) = with_fallback(response).await;
        let reply = ask(&rill, "x").await;
        assert_eq!(
            (reply.outcome(), reply.transcript.text.as_str()),
            ("complete", "second")
        );
        assert_eq!(first.request_count(), requests);
        assert_eq!(second.exchanges()[0].body["model"], "y");
        // It says so at once in a comment, and at the end in an event.
        assert_eq!(
            reply.transcript.model.as_deref(),
            Some("x"),
            "the start came before"
        );
        assert!(reply.raw().contains(": model \"y\"\n\n"), "{}", reply.raw());
        assert!(
            reply
                .raw()
                .contains("data: {\"finish\":\"stop\",\"model\":\"y\"}"),
            "{}",
            reply.raw()
        );
        let whole = chat(&to_model("x")).header("accept", "application/json");
        let whole = soon(soon(rill.send(&whole)).await.json()).await;
        assert_eq!(
            (&whole["content"], &whole["model"]),
            (&json!("second"), &json!("y"))
        );
        let line = soon(log::outcome_of(reply.generation())).await;
        assert_eq!(line["model"], "y");
    }
}

#[tokio::test]
async fn nobody_stands_in_for_a_refusal_or_for_half_an_answer() {
    let begun = || stream().then(&delta("half")).ending(End::Cut);
    let thought = "data: {\"choices\":[{\"delta\":{\"reasoning\":\"hm\"}}]}\n\n";
    for (response, outcome) in [
        (scripts::refusal(401, &json!({})), "failed"),
        (scripts::refusal(400, &json!({})), "failed"),
        (begun(), "partial"),
        (stream().then(thought).ending(End::Cut), "failed"),
    ] {
        let (_first, second, rill) = with_fallback(response).await;
        assert_eq!(ask(&rill, "x").await.outcome(), outcome);
        assert_eq!(second.request_count(), 0);
    }
}

#[tokio::test]
async fn where_all_fail_the_last_failure_is_told() {
    let busy = || scripts::refusal(503, &json!({"message": "busy"}));
    let first = ScriptedUpstream::playing(vec![busy()]).await;
    let second = ScriptedUpstream::playing(vec![scripts::refusal(401, &json!({}))]).await;
    let file = entry("one", &first, "models = [\"x\"]")
        + &entry("two", &second, "models = [\"y\"]")
        + "[fallback]\nx = [\"y\"]\n";
    let rill = Rill::with_file(&file, &LIMITS).await;
    let reply = ask(&rill, "x").await;
    assert_eq!(reply.error().expect("an error").kind.as_str(), "auth");
}

#[tokio::test]
async fn a_pause_before_a_retry_is_a_comment_in_the_stream() {
    let mut busy = scripts::refusal(429, &json!({"message": "busy"}));
    busy.headers.insert("retry-after-ms".into(), "150".into());
    let upstream = ScriptedUpstream::playing(vec![busy, scripts::saying("ok")]).await;
    let rill = Rill::before(&upstream).await;
    let reply = soon(rill.ask()).await;
    assert_eq!(reply.transcript.text, "ok");
    assert!(
        reply.raw().contains("\n: retry {\"in_ms\":150}\n\n"),
        "{}",
        reply.raw()
    );
    assert_eq!(
        reply.names(),
        ["start", "done"],
        "no reader of plain events sees it"
    );
    assert_eq!(reply.ids(), ["0", "1", "2"]);
}

#[tokio::test]
async fn only_the_models_that_are_named_may_be_asked_of_an_upstream() {
    let upstream = ScriptedUpstream::playing(vec![scripts::saying("fine")]).await;
    let rill = Rill::with_file(&entry("a", &upstream, "models = [\"x\", \"y\"]"), &[]).await;
    for model in ["expensive", "a/expensive", "gpt-5-pro", "X"] {
        let reply = ask(&rill, model).await;
        let error = reply.error().expect("an error");
        assert_eq!(error.kind.as_str(), "model_not_found", "{model}");
        assert!(!error.retryable);
        let whole = chat(&to_model(model)).header("accept", "application/json");
        let answer = soon(rill.send(&whole)).await;
        assert_eq!(answer.status, 400, "{model}");
        assert_eq!(
            soon(answer.json()).await["error"]["kind"],
            "model_not_found"
        );
    }
    assert_eq!(upstream.request_count(), 0);
    for model in ["x", "y", "a/y"] {
        assert_eq!(ask(&rill, model).await.transcript.text, "fine", "{model}");
    }
}

#[tokio::test]
async fn an_unknown_model_is_looked_for_in_the_lists_of_the_upstreams() {
    let list = |ids: &[&str]| {
        let data: Vec<Value> = ids.iter().map(|id| json!({"id": id})).collect();
        scripts::json(&json!({"data": data}))
    };
    let first = ScriptedUpstream::playing(vec![list(&["x"]), scripts::saying("one")]).await;
    let second = ScriptedUpstream::playing(vec![list(&["y"]), scripts::saying("two")]).await;
    let file = entry("one", &first, "") + &entry("two", &second, "");
    let rill = Rill::with_file(&file, &[]).await;
    for (model, text) in [
        ("y", "two"),
        ("x", "one"),
        ("two/y", "two"),
        ("nobody's", "one"),
    ] {
        assert_eq!(ask(&rill, model).await.transcript.text, text, "{model}");
    }
    let asked: Vec<String> = second
        .exchanges()
        .into_iter()
        .map(|e| e.request_line)
        .collect();
    assert_eq!(
        asked,
        [
            "GET /v1/models HTTP/1.1",
            "POST /v1/chat/completions HTTP/1.1",
            "POST /v1/chat/completions HTTP/1.1"
        ],
        "the list is kept"
    );
}

#[tokio::test]
async fn an_ollama_that_runs_is_found_by_itself() {
    let list = json!({"object": "list", "data": [{"id": "llama3.2:latest"}]});
    let ollama =
        ScriptedUpstream::playing(vec![scripts::json(&list), scripts::saying("from ollama")]).await;
    let url = ollama.base_url().replace("/v1", "");
    let mut program = Program::with_variables(&[("RILL_OLLAMA", &url)], &[]).await;
    soon(program.logs("found Ollama")).await;
    let reply = crate::support::rill::open_reply(program.address).await;
    let reply = soon(reply.finish()).await;
    assert_eq!(reply.transcript.text, "from ollama");
    assert_eq!(reply.transcript.model.as_deref(), Some("llama3.2:latest"));
}

#[tokio::test]
async fn a_mistake_in_the_file_is_told_with_its_place_and_the_server_does_not_start() {
    let path = std::env::temp_dir().join(format!("rill-{}.toml", std::process::id()));
    std::fs::write(&path, "model = \"m\"\n\n[[upstream]]\nnaem = \"a\"\n").expect("a file");
    let path_text = path.to_str().expect("a path");
    let ended = soon(Program::run(&["--config", path_text], &[])).await;
    assert_eq!(ended.code, Some(2));
    assert!(
        ended
            .log
            .contains(&format!("{path_text}:4:1: unknown field `naem`")),
        "{}",
        ended.log
    );
    std::fs::remove_file(&path).expect("it is there");
    let ended = soon(Program::run(&["--config", path_text], &[])).await;
    assert_eq!(ended.code, Some(2));
    assert!(ended.log.contains("cannot be read"), "{}", ended.log);
}

#[tokio::test]
async fn it_listens_before_it_has_found_anybody() {
    let silent = ScriptedUpstream::playing(vec![scripts::silence()]).await;
    let url = silent.base_url().replace("/v1", "");
    let program = Program::with_variables(&[("RILL_OLLAMA", &url)], &[]).await;
    let healthy = crate::support::http::Request::get("/healthz");
    let answer = soon(crate::support::http::send(program.address, &healthy)).await;
    assert_eq!(answer.expect("an answer").status, 200);
}
