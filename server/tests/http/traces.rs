//! Traces: a collector gets the spans of a request with the right parents, and nothing that was said. Without a
//! collector nothing is sent, and a dead one holds nothing up.

use std::net::TcpListener;

use serde_json::json;

use crate::support::collector::{Collector, SentSpan};
use crate::support::conversations::id;
use crate::support::http::{self, Request};
use crate::support::log;
use crate::support::program::{Ended, Program};
use crate::support::program_data::ask;
use crate::support::rill::{chat, question, read_reply};
use crate::support::scripted_upstream::ScriptedUpstream;
use crate::support::scripts::{refusal, saying};
use crate::support::soon;

const ANSWER: &str = "an answer that no collector may read";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

/// The program before this upstream, with these variables.
async fn program(upstream: &ScriptedUpstream, variables: &[(&str, &str)]) -> Program {
    let base_url = upstream.base_url();
    let mut all = vec![
        ("OPENAI_BASE_URL", base_url.as_str()),
        ("OPENAI_API_KEY", log::KEY),
        ("RILL_MODEL", "gpt-5-mini"),
    ];
    all.extend(variables);
    Program::with_variables(&all, &["--backoff-base=1ms"]).await
}

/// Stops the program, which sends its last spans then.
async fn stop(program: Program) -> Ended {
    program.terminate();
    let ended = soon(program.end()).await;
    assert_eq!(ended.code, Some(0));
    ended
}

fn traceparent(flags: &str) -> String {
    format!("00-{TRACE}-{CALLER}-{flags}")
}

fn named<'a>(spans: &'a [SentSpan], name: &str) -> Vec<&'a SentSpan> {
    spans.iter().filter(|span| span.name == name).collect()
}

fn children<'a>(spans: &'a [SentSpan], parent: &SentSpan, name: &str) -> Vec<&'a SentSpan> {
    let named = named(spans, name).into_iter();
    named.filter(|span| span.parent == parent.id).collect()
}

#[tokio::test]
async fn a_request_its_reply_its_attempts_and_its_transactions_are_one_trace() {
    let overloaded = refusal(503, &json!({ "message": "no" }));
    let upstream = ScriptedUpstream::playing(vec![overloaded, saying(ANSWER)]).await;
    let collector = Collector::start().await;
    let program = program(
        &upstream,
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url()),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-team=a%20b"),
            ("OTEL_SERVICE_NAME", "rill-test"),
            ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test"),
        ],
    )
    .await;
    let path = format!("/api/conversations/{}/messages", id());
    let body = json!({ "request_id": id(), "content": log::PROMPT });
    let request = Request::post(&path, &body)
        .header("traceparent", &traceparent("01"))
        .header("x-request-id", "ref-of-this-test");
    let answer = soon(http::send(program.address, &request)).await;
    let reply = soon(read_reply(answer.expect("an answer")).finish()).await;
    assert_eq!(reply.transcript.text, ANSWER);
    stop(program).await;

    let (resource, spans) = collector.spans();
    assert_eq!(resource["service.name"], "rill-test");
    assert_eq!(resource["deployment.environment"], "test");
    assert!(
        collector
            .headers()
            .iter()
            .all(
                |headers| headers["content-type"] == "application/x-protobuf"
                    && headers["x-team"] == "a b"
            )
    );
    assert!(spans.iter().all(|span| span.trace == TRACE), "{spans:#?}");
    assert!(spans.iter().all(|span| span.nanoseconds < 60_000_000_000));
    let request = named(&spans, "POST /api/conversations/{id}/messages");
    let [request] = request[..] else {
        panic!("{spans:#?}")
    };
    assert_eq!((request.parent.as_str(), request.kind), (CALLER, 2));
    assert_eq!(request.attribute("http.response.status_code"), "200");
    assert_eq!(request.attribute("rill.reference"), "ref-of-this-test");
    let replies = children(&spans, request, "reply");
    let [reply] = replies[..] else {
        panic!("{spans:#?}")
    };
    assert_eq!(reply.attribute("rill.outcome"), "stop");
    assert_eq!(reply.attribute("rill.attempts"), "2");
    assert_eq!(reply.attribute("rill.reference"), "ref-of-this-test");
    let attempts = children(&spans, reply, "chat gpt-5-mini");
    let [failed, answered] = attempts[..] else {
        panic!("{spans:#?}")
    };
    assert!(failed.has_failed && !answered.has_failed, "{spans:#?}");
    assert_eq!(failed.attribute("error.type"), "overloaded");
    assert_eq!(
        (answered.kind, answered.attribute("gen_ai.operation.name")),
        (3, "chat")
    );
    // The message is stored for the request, and its end for the reply.
    for parent in [request, reply] {
        let writes = children(&spans, parent, "write");
        assert!(!writes.is_empty(), "{spans:#?}");
        assert_eq!(writes[0].attribute("db.system.name"), "sqlite");
    }
    // The provider continues the trace of its attempt.
    let passed: Vec<String> = upstream
        .exchanges()
        .iter()
        .map(|exchange| {
            exchange
                .header("traceparent")
                .unwrap_or_default()
                .to_owned()
        })
        .collect();
    let expect = [failed, answered].map(|attempt| format!("00-{TRACE}-{}-01", attempt.id));
    assert_eq!(passed, expect);
    let sent = collector.bytes();
    for secret in [log::PROMPT, ANSWER, log::KEY] {
        let found = sent
            .windows(secret.len())
            .any(|part| part == secret.as_bytes());
        assert!(!found, "{secret}");
    }
}

#[tokio::test]
async fn what_is_not_saved_and_what_is_passed_on_is_traced_too() {
    let upstream = ScriptedUpstream::playing(vec![saying(ANSWER)]).await;
    let collector = Collector::start().await;
    let endpoint = format!("{}/v1/traces", collector.url());
    let program = program(
        &upstream,
        &[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &endpoint)],
    )
    .await;
    let answer = soon(http::send(program.address, &chat(&question()))).await;
    soon(read_reply(answer.expect("an answer")).finish()).await;
    let body = json!({ "model": "a name that a person wrote", "messages": [], "stream": true });
    let request = Request::post("/v1/chat/completions", &body);
    let answer = soon(http::send(program.address, &request))
        .await
        .expect("an answer");
    soon(answer.body()).await.expect("a body");
    stop(program).await;

    let (_, spans) = collector.spans();
    let check = |name: &str, between: &[&str], attempt: &str| {
        let mut parent = named(&spans, name)[0];
        assert_eq!(parent.parent, "", "{name} begins its trace");
        for inner in between {
            parent = children(&spans, parent, inner)[0];
        }
        let attempts = children(&spans, parent, attempt);
        assert_eq!(attempts.len(), 1, "{spans:#?}");
        attempts[0].id.clone()
    };
    let ids = [
        check("POST /api/chat", &["reply"], "chat gpt-5-mini"),
        // As in metrics, only configured models have names.
        check("POST /v1/chat/completions", &[], "chat other"),
    ];
    for (exchange, id) in upstream.exchanges().iter().zip(ids) {
        let header = exchange.header("traceparent").expect("a header");
        assert!(header.contains(&id), "{header} {id}");
    }
}

#[tokio::test]
async fn without_a_collector_and_for_a_caller_that_does_not_trace_nothing_is_sent() {
    let upstream = ScriptedUpstream::playing(vec![saying(ANSWER)]).await;
    let collector = Collector::start().await;
    let url = collector.url();
    let check = async |variables: &[(&str, &str)], flags: &str, expect: Option<&str>| {
        let program = program(&upstream, variables).await;
        let request = chat(&question()).header("traceparent", &traceparent(flags));
        let answer = soon(http::send(program.address, &request)).await;
        soon(read_reply(answer.expect("an answer")).finish()).await;
        stop(program).await;
        assert!(collector.bytes().is_empty(), "{variables:?}");
        let exchanges = upstream.exchanges();
        let header = exchanges.last().expect("a request").header("traceparent");
        match (header, expect) {
            (None, None) => {}
            (Some(header), Some(flags)) => {
                assert!(header.starts_with(&format!("00-{TRACE}-")), "{header}");
                assert!(header.ends_with(flags), "{header}");
            }
            _ => panic!("{variables:?}: {header:?}"),
        }
    };
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str());
    check(&[], "01", None).await;
    check(&[endpoint, ("OTEL_SDK_DISABLED", "true")], "01", None).await;
    check(&[endpoint, ("OTEL_TRACES_EXPORTER", "none")], "01", None).await;
    check(&[endpoint], "00", Some("-00")).await;
    check(
        &[endpoint, ("OTEL_TRACES_SAMPLER", "always_off")],
        "01",
        Some("-00"),
    )
    .await;
}

#[tokio::test]
async fn a_dead_collector_costs_no_reply_and_is_logged_once() {
    let upstream = ScriptedUpstream::playing(vec![saying(ANSWER)]).await;
    // One that refuses connections, and one that takes them and never answers.
    let closed = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let refusing = format!("http://{}", closed.local_addr().expect("bound"));
    drop(closed);
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let hanging = format!("http://{}", silent.local_addr().expect("bound"));
    for endpoint in [&refusing, &hanging] {
        let program = program(
            &upstream,
            &[
                ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
                ("OTEL_EXPORTER_OTLP_TIMEOUT", "50"),
                ("OTEL_BSP_SCHEDULE_DELAY", "1"),
                ("OTEL_BSP_MAX_QUEUE_SIZE", "4"),
            ],
        )
        .await;
        for _ in 0..5 {
            assert_eq!(ask(&program, &id()).await.transcript.text, ANSWER);
        }
        let ended = stop(program).await;
        let told = ended.log.matches("traces are lost").count();
        assert_eq!(told, 1, "{}", ended.log);
    }
}

#[tokio::test]
async fn a_wrong_variable_is_told_by_its_name() {
    let check = async |name: &str, value: &str| {
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"),
            (name, value),
        ];
        let ended = Program::run(&[], &variables).await;
        assert_eq!(ended.code, Some(2), "{name}: {}", ended.log);
        assert!(ended.log.contains(name), "{}", ended.log);
    };
    check("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc").await;
    check("OTEL_TRACES_SAMPLER", "sometimes").await;
    check("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "collector:4318").await;
}
