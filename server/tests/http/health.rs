//! What watches over the server, and what a person asks when something is wrong: `/healthz`, `/readyz`,
//! `rill health`, `rill doctor`, the log, and the reference that leads from an error to its line.

use std::net::SocketAddr;

use serde_json::{Value, json};
use sqlx::Executor;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

use crate::support::http::{self, Request};
use crate::support::program::{Ended, Program};
use crate::support::program_data::open;
use crate::support::rill::{Rill, chat, question, read_reply};
use crate::support::scripted_upstream::ScriptedUpstream;
use crate::support::{scripts, soon};

async fn status_of(address: SocketAddr, path: &str) -> u16 {
    let answer = soon(http::send(address, &Request::get(path))).await;
    answer.expect("an answer").status
}

#[tokio::test]
async fn a_server_that_stops_is_alive_and_not_ready() {
    let upstream = ScriptedUpstream::playing(vec![scripts::saying("fine")]).await;
    let rill = Rill::before(&upstream).await;
    assert_eq!(status_of(rill.address, "/healthz").await, 200);
    assert_eq!(status_of(rill.address, "/readyz").await, 200);
    rill.state.drain.cancel();
    // The router itself, since the port closes soon after.
    let router = server::http::router(rill.state.clone());
    for (path, status) in [("/healthz", 200), ("/readyz", 503)] {
        let request = axum::http::Request::get(path).header("host", "localhost");
        let request = request.body(axum::body::Body::empty()).expect("a request");
        let answer = router.clone().oneshot(request).await.expect("an answer");
        assert_eq!(answer.status().as_u16(), status, "{path}");
    }
}

#[tokio::test]
async fn a_server_that_cannot_save_is_not_ready_and_says_so() {
    let upstream = ScriptedUpstream::playing(vec![scripts::saying("fine")]).await;
    let program = Program::before(&upstream, &[]).await;
    let mut other = open(program.data.path()).await;
    other.execute("begin immediate").await.expect("the lock");
    let answer = soon(http::send(program.address, &Request::get("/readyz"))).await;
    let answer = answer.expect("an answer");
    assert_eq!(answer.status, 503);
    let body = soon(answer.json()).await;
    assert_eq!(body["error"]["kind"], "not_saved");
    let message = body["error"]["message"].as_str().expect("a sentence");
    assert!(
        message.contains("rill doctor") && message.contains("Reference "),
        "{message}"
    );
    assert_eq!(status_of(program.address, "/healthz").await, 200);
    let health = health(program.address).await;
    assert_eq!(health.code, Some(1), "{}", health.log);
    assert!(health.log.contains("cannot be saved"), "{}", health.log);
}

async fn health(address: SocketAddr) -> Ended {
    soon(Program::run(
        &["health", "--listen", &address.to_string()],
        &[],
    ))
    .await
}

#[tokio::test]
async fn rill_health_says_whether_the_server_is_ready() {
    let upstream = ScriptedUpstream::playing(vec![scripts::saying("fine")]).await;
    let program = Program::before(&upstream, &[]).await;
    let ready = health(program.address).await;
    assert_eq!(
        (ready.code, ready.output.trim()),
        (
            Some(0),
            format!("Rill at {} is ready.", program.address).as_str()
        )
    );
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let nobody = free.local_addr().expect("an address");
    drop(free);
    let nothing = health(nobody).await;
    assert_eq!(nothing.code, Some(1));
    assert!(
        nothing.log.contains("Nothing answers") && nothing.log.contains("--listen"),
        "{}",
        nothing.log
    );
}

/// Runs `rill doctor` over an upstream with this answer to a request for its models.
async fn doctor(answer: scripts::Response, more: &[&str]) -> Ended {
    let upstream = ScriptedUpstream::playing(vec![answer]).await;
    let url = upstream.base_url();
    let variables = [
        ("OPENAI_BASE_URL", url.as_str()),
        ("OPENAI_API_KEY", crate::support::log::KEY),
    ];
    let arguments: Vec<&str> = ["doctor", "--ollama=off"]
        .iter()
        .chain(more)
        .copied()
        .collect();
    soon(Program::run(&arguments, &variables)).await
}

#[tokio::test]
async fn rill_doctor_finds_out_what_is_wrong_with_an_upstream() {
    let check = async |answer: scripts::Response, code: i32, words: &str| {
        let end = doctor(answer, &["--listen=127.0.0.1:1"]).await;
        assert_eq!(end.code, Some(code), "{} {}", end.output, end.log);
        assert!(end.output.contains(words), "{words} in {}", end.output);
        assert!(
            !end.output.contains(crate::support::log::KEY),
            "{}",
            end.output
        );
        assert!(
            end.output.contains("Conversations will be stored in"),
            "{}",
            end.output
        );
    };
    let models = json!({ "data": [{ "id": "m-1" }, { "id": "m-2" }] });
    check(
        scripts::json(&models),
        0,
        "ok     local answers and lists 2 models.",
    )
    .await;
    let refused = || json!({ "message": "no" });
    check(
        scripts::refusal(401, &refused()),
        1,
        "WRONG  local refuses the key (status 401)",
    )
    .await;
    check(
        scripts::refusal(404, &refused()),
        0,
        "note   local answers at",
    )
    .await;
    let early = "Thu, 01 Jan 2026 00:00:00 GMT";
    check(
        scripts::json(&models).with("date", early),
        0,
        "The clocks of this machine and of local differ",
    )
    .await;
    let variables = [("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")];
    let end = soon(Program::run(&["doctor", "--ollama=off"], &variables)).await;
    assert_eq!(end.code, Some(1));
    assert!(
        end.output
            .contains("WRONG  There is no connection to local"),
        "{}",
        end.output
    );
    let demo = soon(Program::run(&["doctor", "--ollama=off"], &[])).await;
    assert!(
        demo.output.contains("note   No upstream is configured"),
        "{}",
        demo.output
    );
}

/// A proxy before this server. If it holds answers back, it passes one on when it is complete.
async fn proxy(server: SocketAddr, holds_back: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut upstream = TcpStream::connect(server).await.expect("the server");
            let mut request = vec![0; 4096];
            let length = client.read(&mut request).await.expect("a request");
            let request = String::from_utf8_lossy(&request[..length]).into_owned();
            let request = request.replacen("\r\n", "\r\nconnection: close\r\n", 1);
            upstream.write_all(request.as_bytes()).await.expect("open");
            if holds_back {
                let mut answer = Vec::new();
                let _ = upstream.read_to_end(&mut answer).await;
                let _ = client.write_all(&answer).await;
            } else {
                let _ = tokio::io::copy(&mut upstream, &mut client).await;
            }
        }
    });
    address
}

#[tokio::test]
async fn rill_doctor_sees_whether_a_proxy_holds_streams_back() {
    let upstream = ScriptedUpstream::playing(vec![scripts::saying("fine")]).await;
    let program = Program::before(&upstream, &[]).await;
    let models = || scripts::json(&json!({ "data": [{ "id": "m" }] }));
    for (holds_back, code, words) in [
        (false, 0, "ok     Streams arrive piece by piece"),
        (true, 1, "WRONG  The proxy at"),
    ] {
        let proxy = proxy(program.address, holds_back).await;
        let public = format!("--public-url=http://{proxy}");
        let listen = format!("--listen={}", program.address);
        let end = doctor(models(), &[&public, &listen]).await;
        assert_eq!(end.code, Some(code), "{} {}", end.output, end.log);
        assert!(end.output.contains(words), "{words} in {}", end.output);
    }
}

#[tokio::test]
async fn an_error_and_its_response_and_its_line_have_the_same_reference() {
    let refused = scripts::refusal(401, &json!({ "message": "no" }));
    let upstream = ScriptedUpstream::playing(vec![refused]).await;
    let mut program = Program::before(&upstream, &["--log-format=json"]).await;
    for given in [None, Some("proxy-7.1"), Some("not \"plain\"")] {
        let mut request = chat(&question());
        if let Some(given) = given {
            request = request.header("x-request-id", given);
        }
        let answer = soon(http::send(program.address, &request))
            .await
            .expect("an answer");
        let reference = answer
            .header("x-request-id")
            .expect("a reference")
            .to_owned();
        assert_eq!(
            given == Some(reference.as_str()),
            given == Some("proxy-7.1")
        );
        let reply = soon(read_reply(answer).finish()).await;
        let message = &reply.error().expect("an error").message;
        assert!(
            message.ends_with(&format!(" Reference {reference}.")),
            "{message}"
        );
        let line = soon(program.logs(&format!("\"reference\":\"{reference}\""))).await;
        let line: Value = serde_json::from_str(&line).expect("a line is JSON");
        assert_eq!(
            (&line["message"], &line["kind"]),
            (&json!("reply"), &json!("auth"))
        );
    }
    program.terminate();
    let end = soon(program.end()).await;
    for line in end.log.lines() {
        serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    }
}

#[tokio::test]
async fn a_saved_reply_has_the_reference_of_the_request_that_began_it() {
    let refused = scripts::refusal(401, &json!({ "message": "no" }));
    let upstream = ScriptedUpstream::playing(vec![refused]).await;
    let rill = Rill::before(&upstream).await;
    let id = server::store::new_id;
    let body = json!({ "request_id": id(), "content": crate::support::log::PROMPT });
    let request = Request::post(&format!("/api/conversations/{}/messages", id()), &body);
    let answer = soon(rill.send(&request)).await;
    let reference = answer
        .header("x-request-id")
        .expect("a reference")
        .to_owned();
    let reply = soon(read_reply(answer).finish()).await;
    let message = &reply.error().expect("an error").message;
    assert!(
        message.ends_with(&format!(" Reference {reference}.")),
        "{message}"
    );
}

#[tokio::test]
async fn the_log_says_what_was_decided_and_has_no_colours_where_nobody_sees_them() {
    let upstream = ScriptedUpstream::playing(vec![scripts::saying("fine")]).await;
    let mut program = Program::before(&upstream, &["--model=gpt-5-mini"]).await;
    soon(program.logs("the default model is gpt-5-mini")).await;
    program.terminate();
    let end = soon(program.end()).await;
    for words in [
        "conversations are kept in",
        "Rill is at http://",
        "without signing in",
        "the upstream local is at",
        "with a key",
    ] {
        assert_eq!(end.log.matches(words).count(), 1, "{words} in {}", end.log);
    }
    assert!(!end.log.contains('\u{1b}'), "{}", end.log);
    assert!(!end.log.contains(crate::support::log::KEY), "{}", end.log);
}

#[tokio::test]
async fn systemd_is_told_when_the_server_is_ready_and_when_it_stops() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let path = folder.path().join("notify");
    let socket = tokio::net::UnixDatagram::bind(&path).expect("a socket");
    let upstream = ScriptedUpstream::playing(vec![scripts::saying("fine")]).await;
    let path = path.to_str().expect("a plain path");
    let program = Program::preloaded(&upstream, &[("NOTIFY_SOCKET", path)]).await;
    let told = async || {
        let mut message = [0; 64];
        let length = soon(socket.recv(&mut message)).await.expect("a message");
        String::from_utf8_lossy(&message[..length]).into_owned()
    };
    assert_eq!(told().await.trim(), "READY=1");
    assert_eq!(status_of(program.address, "/readyz").await, 200);
    program.terminate();
    assert_eq!(told().await.trim(), "STOPPING=1");
}
