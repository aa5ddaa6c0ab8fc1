//! Start and stop of the server: the errors of wrong settings, and the effect of signals on running replies.

use std::time::Duration;

use app::protocol::ErrorKind;
use serde_json::json;

use crate::support::http::{self, Request};
use crate::support::program::Program;
use crate::support::program_data::rows;
use crate::support::rill::{Rill, chat, open_reply, question, read_reply};
use crate::support::scripted_upstream::ScriptedUpstream;
use crate::support::scripts::{self, DONE, End, STOP, delta};
use crate::support::{log, soon};

/// An answer that takes a moment.
fn short_answer() -> scripts::Response {
    scripts::stream()
        .then(&delta("one "))
        .after(Duration::from_millis(200), &delta("two"))
        .then(STOP)
        .then(DONE)
}

fn endless_answer() -> scripts::Response {
    scripts::stream().then(&delta("one ")).ending(End::Hang)
}

#[tokio::test]
async fn a_running_reply_may_finish() {
    let upstream = ScriptedUpstream::playing(vec![short_answer()]).await;
    let mut rill = Rill::before(&upstream).await;
    let mut reply = soon(rill.begin()).await;
    soon(reply.until(|reply| !reply.transcript.text.is_empty())).await;
    rill.state.drain.cancel();
    let reply = soon(reply.finish()).await;
    assert_eq!(
        (reply.outcome(), reply.transcript.text.as_str()),
        ("complete", "one two")
    );
    soon(&mut rill.serving)
        .await
        .expect("serving ends by itself");
}

#[tokio::test]
async fn every_reply_that_does_not_finish_in_time_is_told_why() {
    let upstream = ScriptedUpstream::playing(vec![endless_answer(), scripts::silence()]).await;
    let mut rill = Rill::before(&upstream).await;
    let mut with_text = soon(rill.begin()).await;
    soon(with_text.until(|reply| !reply.transcript.text.is_empty())).await;
    let waiting = soon(rill.begin()).await;
    rill.state.drain.cancel();
    rill.state.shutdown.cancel();
    for (reply, outcome) in [(with_text, "partial"), (waiting, "failed")] {
        let reply = soon(reply.finish()).await;
        assert_eq!(
            (reply.outcome(), reply.error_kind()),
            (outcome, Some(ErrorKind::Shutdown))
        );
        assert!(reply.offers_retry());
    }
    soon(upstream.is_free()).await;
    soon(&mut rill.serving)
        .await
        .expect("serving ends by itself");
}

#[tokio::test]
async fn a_stopping_server_takes_no_new_request() {
    let upstream = ScriptedUpstream::playing(vec![endless_answer()]).await;
    let rill = Rill::before(&upstream).await;
    let mut running = soon(rill.begin()).await;
    soon(running.until(|reply| !reply.transcript.text.is_empty())).await;
    rill.state.drain.cancel();
    soon(async {
        // The port closes when the loop that accepts has heard of it.
        while let Ok(answer) = http::send(rill.address, &chat(&question())).await {
            assert_eq!(answer.status, 503);
            assert_eq!(answer.json().await["error"]["kind"], "shutdown");
        }
    })
    .await;
    assert_eq!(upstream.request_count(), 1);
}

#[tokio::test]
async fn a_signal_lets_a_running_reply_finish() {
    let upstream = ScriptedUpstream::playing(vec![short_answer()]).await;
    let program = Program::before(&upstream, &[]).await;
    let mut reply = soon(open_reply(program.address)).await;
    soon(reply.until(|reply| !reply.transcript.text.is_empty())).await;
    program.terminate();
    let reply = soon(reply.finish()).await;
    assert_eq!(
        (reply.outcome(), reply.transcript.text.as_str()),
        ("complete", "one two")
    );
    let end = soon(program.end()).await;
    assert_eq!(end.code, Some(0), "{}", end.log);
}

#[tokio::test]
async fn a_signal_lets_a_saved_reply_finish_that_nobody_reads() {
    let slow = scripts::stream()
        .then(&delta("one "))
        .after(Duration::from_millis(500), &delta("two"))
        .then(STOP)
        .then(DONE);
    let upstream = ScriptedUpstream::playing(vec![slow]).await;
    let mut program = Program::before(&upstream, &[]).await;
    let conversation = server::store::new_id();
    let body = json!({ "request_id": server::store::new_id(), "content": log::PROMPT });
    let request = Request::post(
        &format!("/api/conversations/{conversation}/messages"),
        &body,
    );
    let answer = soon(http::send(program.address, &request)).await;
    let mut reply = read_reply(answer.expect("an answer"));
    soon(reply.until(|reply| !reply.transcript.text.is_empty())).await;
    drop(reply);
    program.terminate();
    soon(program.logs("stopping")).await;
    let data = std::sync::Arc::clone(&program.data);
    let end = soon(program.end()).await;
    assert_eq!(end.code, Some(0), "{}", end.log);
    let rows = rows(data.path()).await;
    let is_whole = |row: &String| row.contains("one two") && row.contains("done");
    assert!(rows.iter().any(is_whole), "{rows:?} {}", end.log);
}

#[tokio::test]
async fn after_the_drain_limit_a_signal_ends_the_replies_and_the_program() {
    let upstream = ScriptedUpstream::playing(vec![endless_answer()]).await;
    let program = Program::before(&upstream, &["--drain-timeout", "100ms"]).await;
    let mut reply = soon(open_reply(program.address)).await;
    soon(reply.until(|reply| !reply.transcript.text.is_empty())).await;
    program.terminate();
    let reply = soon(reply.finish()).await;
    assert_eq!(
        (reply.outcome(), reply.error_kind()),
        ("partial", Some(ErrorKind::Shutdown))
    );
    let end = soon(program.end()).await;
    assert_eq!(end.code, Some(0), "{}", end.log);
}

#[tokio::test]
async fn a_second_signal_ends_the_program_at_once() {
    let upstream = ScriptedUpstream::playing(vec![endless_answer()]).await;
    let mut program = Program::before(&upstream, &["--drain-timeout", "10m"]).await;
    let mut reply = soon(open_reply(program.address)).await;
    soon(reply.until(|reply| !reply.transcript.text.is_empty())).await;
    program.terminate();
    soon(program.logs("stopping")).await;
    program.terminate();
    let end = soon(program.end()).await;
    assert!(end.log.contains("stopped at once"), "{}", end.log);
}

#[tokio::test]
async fn not_even_the_fullest_log_holds_a_prompt_an_answer_or_a_key() {
    let answers = vec![
        scripts::saying("an answer that nobody may log"),
        scripts::refusal(
            401,
            &json!({ "message": "Incorrect API key provided: sk-proj-abcd****wxyz" }),
        ),
    ];
    let upstream = ScriptedUpstream::playing(answers).await;
    let program = Program::with_trace_log(&upstream).await;
    for _ in 0..2 {
        soon(soon(open_reply(program.address)).await.finish()).await;
    }
    let bad =
        chat(&json!({ "messages": [{ "role": "user", "content": log::PROMPT }], log::PROMPT: 1 }));
    let refused = soon(http::send(program.address, &bad))
        .await
        .expect("an answer");
    assert_eq!(refused.status, 400);
    soon(http::send(program.address, &Request::get("/")))
        .await
        .expect("a page");
    program.terminate();
    let end = soon(program.end()).await;
    assert!(end.log.contains("TRACE"), "the log is not full");
    assert!(end.log.contains("auth"), "the outcome is not logged");
    for secret in [
        log::PROMPT,
        "an answer that nobody may log",
        log::KEY,
        "sk-proj",
    ] {
        let line = end.log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret} is in the log");
    }
}

#[tokio::test]
async fn a_wrong_setting_is_one_clear_sentence_and_exit_code_2() {
    type Variables<'a> = &'a [(&'a str, &'a str)];
    let cases: &[(&[&str], Variables<'_>, &str)] = &[
        (&["--idle-timeout", "ten"], &[], "--idle-timeout"),
        (&["--total-timeout", "0s"], &[], "--total-timeout"),
        (&["--max-retries=-1"], &[], "--max-retries"),
        (&["--max-retries", "many"], &[], "--max-retries"),
        (&["--listen", "here"], &[], "--listen"),
        (&["--listen", "0.0.0.0:3000"], &[], "loopback"),
        (&["--listen", "[::]:3000"], &[], "loopback"),
        (&["--metrics-listen", "0.0.0.0:9464"], &[], "loopback"),
        (&["--model", ""], &[], "--model"),
        (&["--no-such-flag"], &[], "--no-such-flag"),
        (&["surplus"], &[], "surplus"),
        (&[], &[("RILL_LISTEN", "192.168.0.1:3000")], "loopback"),
        (
            &[],
            &[("RILL_CONNECT_TIMEOUT", "soon")],
            "--connect-timeout",
        ),
        (
            &[],
            &[("OPENAI_BASE_URL", "localhost:11434")],
            "OPENAI_BASE_URL",
        ),
        (
            &[],
            &[("OPENAI_BASE_URL", "http://user:sk-test-SECRET@h/v1")],
            "OPENAI_BASE_URL",
        ),
        (
            &[],
            &[("OPENAI_API_KEY", "sk-test-SECRET and more")],
            "OPENAI_API_KEY",
        ),
    ];
    for (arguments, variables, word) in cases {
        let end = soon(Program::run(arguments, variables)).await;
        assert_eq!(
            end.code,
            Some(2),
            "{arguments:?} {variables:?}: {}",
            end.log
        );
        assert!(end.log.contains(word), "{word} in {}", end.log);
        assert!(!end.log.contains("SECRET"), "{}", end.log);
        assert!(!end.log.contains("panicked"), "{}", end.log);
        assert_eq!(
            end.log
                .lines()
                .filter(|line| line.starts_with("error: "))
                .count(),
            1,
            "{}",
            end.log
        );
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_one_clear_sentence() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("a bound socket").to_string();
    let end = soon(Program::run(&["--listen", &address], &[])).await;
    assert_eq!(end.code, Some(1), "{}", end.log);
    assert!(
        end.log.contains(&address) && end.log.contains("--listen"),
        "{}",
        end.log
    );
}

#[tokio::test]
async fn help_names_every_setting() {
    let end = soon(Program::run(&["--help"], &[])).await;
    assert_eq!(end.code, Some(0));
    for word in [
        "--listen",
        "--model",
        "--connect-timeout",
        "--first-byte-timeout",
        "--idle-timeout",
        "--comment-timeout",
        "--total-timeout",
        "--max-retries",
        "--drain-timeout",
        "--max-replies",
        "--max-replies-per-client",
        "--max-streams",
        "--max-streams-per-client",
        "--metrics-listen",
        "--log-format",
        "--retention",
        "OPENAI_API_KEY",
        "OPENAI_BASE_URL",
        "127.0.0.1:3000",
    ] {
        assert!(end.output.contains(word), "{word} in {}", end.output);
    }
    for hidden in ["--backoff-base", "--grace-after-finish"] {
        assert!(!end.output.contains(hidden), "{hidden} is for tests");
    }
}
