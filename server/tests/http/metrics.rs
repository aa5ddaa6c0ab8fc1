//! Metrics: what a run with load counts equals what the scripted provider saw, as a reader of either format and
//! Prometheus itself see it; and the files for Prometheus and Grafana name metrics that exist.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::conversations::id;
use crate::support::http::{self, Request};
use crate::support::program::Program;
use crate::support::program_data::ask;
use crate::support::rill::{chat, open_reply, question, read_reply};
use crate::support::scripted_upstream::ScriptedUpstream;
use crate::support::scripts::{self, DONE, End, STOP, delta};
use crate::support::soon;

const USAGE: &str =
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3}}\n\n";

async fn with_metrics(upstream: &ScriptedUpstream) -> (Program, SocketAddr) {
    let arguments = [
        "--metrics-listen=127.0.0.1:0",
        "--model=gpt-5-mini",
        "--backoff-base=1ms",
    ];
    let mut program = Program::before(upstream, &arguments).await;
    let line = soon(program.logs("metrics are at http://")).await;
    let (_, rest) = line.split_once("http://").expect("it was looked for");
    let address = rest.split('/').next().expect("an address");
    (program, address.parse().expect("an address"))
}

async fn get(address: SocketAddr, accept: &str) -> (String, String) {
    let request = Request::get("/metrics").header("accept", accept);
    let answer = soon(http::send(address, &request)).await.expect("metrics");
    assert_eq!(answer.status, 200);
    let media_type = answer.header("content-type").expect("a type").to_owned();
    let body = soon(answer.body()).await.expect("a body");
    (media_type, String::from_utf8(body).expect("text"))
}

/// The value of the series that has this name and, among others, these labels; the sum if there are several.
fn value(text: &str, name: &str, labels: &[&str]) -> f64 {
    let samples = text.lines().filter(|line| {
        line.split(['{', ' ']).next() == Some(name)
            && labels.iter().all(|label| line.contains(label))
    });
    let values = samples.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    values.sum()
}

/// Plays a run: a success with usage, a retry, a refusal, a reader that leaves, a saved reply that is resumed, and
/// a request of another program.
async fn run(program: &Program, upstream: &ScriptedUpstream) {
    soon(soon(open_reply(program.address)).await.finish()).await;
    let retried = soon(soon(open_reply(program.address)).await.finish()).await;
    assert_eq!(retried.outcome(), "complete");
    let mut unknown = question();
    unknown["model"] = "a model that only a person named".into();
    let answer = soon(http::send(program.address, &chat(&unknown))).await;
    let refused = soon(read_reply(answer.expect("an answer")).finish()).await;
    assert_eq!(refused.outcome(), "failed");

    let mut left = soon(open_reply(program.address)).await;
    soon(left.until(|reply| !reply.transcript.text.is_empty())).await;
    drop(left);
    soon(upstream.is_free()).await;

    let saved = ask(program, &id()).await;
    let path = format!("/api/generations/{}/events?after=1", saved.generation());
    let resumed = soon(http::send(program.address, &Request::get(&path))).await;
    assert_eq!(resumed.expect("an answer").status, 200);

    let body = json!({ "model": "gpt-5-mini", "messages": question()["messages"], "stream": true });
    let passed = soon(http::send(
        program.address,
        &Request::post("/v1/chat/completions", &body),
    ))
    .await;
    soon(passed.expect("an answer").body())
        .await
        .expect("a whole body");
}

fn scripted() -> Vec<scripts::Response> {
    let with_usage = scripts::stream()
        .then(&delta("one "))
        .then(&delta("two"))
        .then(STOP)
        .then(USAGE)
        .then(DONE);
    let refused = json!({ "message": "no", "code": "invalid_api_key" });
    vec![
        with_usage,
        scripts::refusal(503, &json!({ "message": "busy" })),
        scripts::saying("fine"),
        scripts::refusal(401, &refused),
        scripts::stream().then(&delta("one ")).ending(End::Hang),
        scripts::saying("saved"),
        scripts::saying("passed"),
    ]
}

#[tokio::test]
async fn what_is_counted_equals_what_the_provider_saw() {
    let upstream = ScriptedUpstream::playing(scripted()).await;
    let (program, address) = with_metrics(&upstream).await;
    run(&program, &upstream).await;
    // The reply that was left is counted when its task has ended.
    let (_, text) = loop {
        let read = get(address, "text/plain").await;
        if value(&read.1, "rill_replies_total", &[r#"outcome="left""#]) == 1.0
            && value(&read.1, "rill_operations_active", &[]) == 0.0
            && value(&read.1, "rill_readers_open", &[]) == 0.0
        {
            break read;
        }
        tokio::task::yield_now().await;
    };
    let check = |name: &str, labels: &[&str], expect: f64| {
        let found = value(&text, name, labels);
        assert!(
            (found - expect).abs() < 1e-9,
            "{name} {labels:?} is {found}: {text}"
        );
    };
    let operations = "gen_ai_client_operation_duration_seconds_count";
    check(operations, &[], upstream.request_count() as f64);
    check(operations, &[r#"error_type="""#], 4.0);
    check(operations, &[r#"error_type="auth""#], 1.0);
    check(operations, &[r#"error_type="cancelled""#], 1.0);
    check(operations, &[r#"gen_ai_request_model="other""#], 1.0);
    check(
        "gen_ai_client_token_usage_sum",
        &[r#"gen_ai_token_type="input""#],
        7.0,
    );
    check(
        "gen_ai_client_token_usage_sum",
        &[r#"gen_ai_token_type="output""#],
        3.0,
    );
    check(
        "gen_ai_client_operation_time_to_first_chunk_seconds_count",
        &[],
        5.0,
    );
    check("rill_replies_total", &[r#"outcome="stop""#], 3.0);
    check(
        "rill_replies_total",
        &[r#"reply="saved",outcome="stop""#],
        1.0,
    );
    check(
        "rill_replies_total",
        &[r#"outcome="error",error_type="auth""#],
        1.0,
    );
    check("rill_reply_time_to_first_token_seconds_count", &[], 4.0);
    check("rill_retries_total", &[], 1.0);
    check("rill_fallbacks_total", &[], 0.0);
    check("rill_resumes_total", &[], 1.0);
    check("rill_store_failures_total", &[], 0.0);
    check("rill_replies_unsaved_total", &[], 0.0);
    check("rill_replies_running", &[], 0.0);
    check(
        "rill_streams_limit",
        &[],
        value(&text, "rill_streams_limit", &[]).max(1.0),
    );
    let chats = [
        r#"http_route="/api/chat""#,
        r#"http_response_status_code="200""#,
    ];
    check("http_server_request_duration_seconds_count", &chats, 4.0);
    assert!(value(&text, "rill_provider_connections_opened_total", &[]) >= 1.0);
    assert!(value(&text, "db_client_connection_wait_time_seconds_count", &[]) > 1.0);
    assert!(value(&text, "process_resident_memory_bytes", &[]) > 1e6);
    for sent in ["only a person named", "nobody may log"] {
        assert!(!text.contains(sent), "{sent} is a label");
    }
}

#[tokio::test]
async fn a_reader_gets_the_format_that_it_asks_for() {
    let upstream = ScriptedUpstream::playing(vec![scripts::saying("fine")]).await;
    let (_program, address) = with_metrics(&upstream).await;
    let (media_type, text) = get(address, "application/openmetrics-text; version=1.0.0").await;
    assert_eq!(
        media_type,
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    assert!(text.ends_with("# EOF\n"), "{text}");
    let (media_type, text) = get(address, "*/*").await;
    assert_eq!(media_type, "text/plain; version=0.0.4; charset=utf-8");
    assert!(!text.contains("# EOF"), "{text}");
}

#[tokio::test]
async fn metrics_are_for_programs_of_this_machine_and_not_on_the_usual_address() {
    let upstream = ScriptedUpstream::playing(vec![scripts::saying("fine")]).await;
    let (program, address) = with_metrics(&upstream).await;
    let check = async |address: SocketAddr, request: Request, status: u16| {
        let answer = soon(http::send(address, &request))
            .await
            .expect("an answer");
        assert_eq!(answer.status, status);
    };
    let metrics = || Request::get("/metrics");
    check(address, metrics(), 200).await;
    check(address, metrics().header("host", "evil.test"), 421).await;
    check(address, metrics().header("origin", "http://evil.test"), 403).await;
    check(address, Request::get("/"), 404).await;
    check(address, Request::new("POST", "/metrics"), 405).await;
    check(program.address, metrics(), 404).await;
}

/// The names of metrics in expressions: what has one of our prefixes.
fn names_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let prefixes = [
        "rill_",
        "gen_ai_client_",
        "http_server_",
        "db_client_",
        "process_",
    ];
    let is_metric = |word: &&str| prefixes.iter().any(|prefix| word.starts_with(prefix));
    let is_label = |word: &&str| *word == "db_client_connection_pool_name";
    let names = words.filter(is_metric).filter(|word| !is_label(word));
    names.map(str::to_owned).collect()
}

#[tokio::test]
async fn each_metric_that_the_dashboard_and_the_alerts_name_exists() {
    let upstream = ScriptedUpstream::playing(scripted()).await;
    let (program, address) = with_metrics(&upstream).await;
    run(&program, &upstream).await;
    let (_, text) = get(address, "text/plain").await;
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let known: BTreeSet<&str> = samples
        .filter_map(|line| line.split(['{', ' ']).next())
        .collect();
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    let read = |file: &str| std::fs::read_to_string(deploy.join(file)).expect("a file");
    let dashboard = read("grafana/rill.json");
    let parsed: Value = serde_json::from_str(&dashboard).expect("JSON");
    assert!(
        parsed["panels"]
            .as_array()
            .is_some_and(|panels| panels.len() > 10)
    );
    for (file, least) in [("grafana/rill.json", 20), ("prometheus/alerts.yml", 10)] {
        let named = names_in(&read(file));
        assert!(named.len() >= least, "{file}: {named:?}");
        for name in named {
            assert!(
                known.contains(name.as_str()),
                "{file} names {name}, which does not exist"
            );
        }
    }
}

/// Where `RILL_TEST_PROMETHEUS` names the program `prometheus`, a real one reads the metrics.
#[tokio::test]
async fn a_prometheus_that_reads_the_metrics_has_the_figures_of_the_provider() {
    let Ok(prometheus) = std::env::var("RILL_TEST_PROMETHEUS") else {
        return;
    };
    let upstream = ScriptedUpstream::playing(scripted()).await;
    let (program, address) = with_metrics(&upstream).await;
    let folder = tempfile::TempDir::new().expect("a folder");
    let config = format!(
        "global: {{scrape_interval: 100ms, scrape_timeout: 100ms}}\n\
         scrape_configs: [{{job_name: rill, static_configs: [{{targets: ['{address}']}}]}}]\n"
    );
    let file = folder.path().join("prometheus.yml");
    std::fs::write(&file, config).expect("a file");
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let own = port.local_addr().expect("an address");
    drop(port);
    let _prometheus = tokio::process::Command::new(prometheus)
        .arg(format!("--config.file={}", file.display()))
        .arg(format!(
            "--storage.tsdb.path={}",
            folder.path().join("data").display()
        ))
        .arg(format!("--web.listen-address={own}"))
        .stderr(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("it starts");
    run(&program, &upstream).await;
    let asked = upstream.request_count() as f64;
    let query = async |query: &str| -> Option<f64> {
        let answer = http::send(own, &Request::get(&format!("/api/v1/query?query={query}"))).await;
        let answer = answer.ok()?.body().await.ok()?;
        let answer: Value = serde_json::from_slice(&answer).ok()?;
        answer["data"]["result"][0]["value"][1]
            .as_str()?
            .parse()
            .ok()
    };
    let expected = [
        ("sum(gen_ai_client_operation_duration_seconds_count)", asked),
        ("sum(rill_retries_total)", 1.0),
        ("sum(rill_replies_total)", 5.0),
        ("sum(gen_ai_client_token_usage_sum)", 10.0),
        ("sum(up)", 1.0),
    ];
    for (what, expect) in expected {
        soon(async {
            while query(what).await != Some(expect) {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        })
        .await;
    }
}
