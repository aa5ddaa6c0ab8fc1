//! Limits: the most replies and streams at once, of one client and of all, and the capacity that is reserved for
//! other requests.

use std::net::SocketAddr;
use std::time::Duration;

use app::protocol::saved::{CHANGES_PATH, IMPORT_PATH, events_path, messages_path};
use serde_json::{Value, json};

use crate::support::http::{self, Answer, Request};
use crate::support::program::Program;
use crate::support::rill::{Rill, chat, question, read_reply};
use crate::support::scripted_upstream::ScriptedUpstream;
use crate::support::scripts::{self, End, delta, stream};
use crate::support::{log, soon};

fn changes() -> Request {
    Request::get(CHANGES_PATH)
}

fn endless() -> scripts::Response {
    stream().then(&delta("a")).ending(End::Hang)
}

/// A first message of a new conversation.
fn message(request_id: &str) -> Request {
    let body = json!({ "request_id": request_id, "content": log::PROMPT });
    Request::post(&messages_path(&server::store::new_id()), &body)
}

async fn send(address: SocketAddr, request: &Request) -> Answer {
    soon(http::send(address, request)).await.expect("an answer")
}

/// The request is refused with this status, in the format of its API, with `Retry-After`.
async fn assert_refused(answer: Answer, status: u16, kind: &str) {
    let body = refusal(answer, status).await;
    assert_eq!(body["error"]["kind"], kind, "{body}");
}

/// What is said where a request is refused since too much is going on.
async fn refusal(answer: Answer, status: u16) -> Value {
    assert_eq!(answer.status, status);
    let after: u64 = answer
        .header("retry-after")
        .expect("a time to try again")
        .parse()
        .expect("seconds");
    assert!((1..60).contains(&after), "{after}");
    // Else it would keep a place that others need.
    assert_eq!(answer.header("connection"), Some("close"));
    let body = soon(answer.json()).await;
    let message = body["error"]["message"].as_str().expect("a message");
    assert!(message.contains(' '), "no sentence: {message}");
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn more_streams_than_descriptors_leave_room_for_requests() {
    let upstream = ScriptedUpstream::playing(vec![scripts::saying("fine")]).await;
    let program = Program::with_descriptors(&upstream, (256, 256), &[]).await;
    let changes = changes();
    let mut open = Vec::new();
    let mut refused = 0;
    for _ in 0..400 {
        let asked = tokio::time::timeout(
            Duration::from_secs(5),
            http::send(program.address, &changes),
        );
        let answer = asked.await.expect("each is answered").expect("an answer");
        if answer.status == 200 {
            open.push(answer);
        } else {
            assert_refused(answer, 429, "too_many").await;
            refused += 1;
        }
    }
    assert!(open.len() > 30 && refused > 100, "{} open", open.len());
    for target in ["/healthz", "/", "/api/models"] {
        let answer = send(program.address, &Request::get(target)).await;
        assert_eq!(answer.status, 200, "{target}");
        soon(answer.body()).await.expect("all of it");
    }
    // A place that is given back can be had.
    drop(open);
    soon(async {
        while send(program.address, &chat(&question())).await.status != 200 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_low_limit_of_descriptors_is_raised_at_the_start() {
    let upstream = ScriptedUpstream::playing(vec![scripts::saying("fine")]).await;
    let program = Program::with_descriptors(&upstream, (80, 600), &[]).await;
    let changes = changes();
    let mut open = Vec::new();
    for _ in 0..150 {
        let asked = tokio::time::timeout(
            Duration::from_secs(5),
            http::send(program.address, &changes),
        );
        let answer = asked.await.expect("each is answered").expect("an answer");
        assert_eq!(answer.status, 200);
        open.push(answer);
    }
}

/// Requests that each need a place among the streams, and those of them that need one among the replies.
fn all_streams() -> (Vec<Request>, Vec<Request>) {
    let form = |form: &str| chat(&question()).header("accept", form);
    let body = json!({"model": "m", "messages": []});
    let replies = vec![
        form("text/event-stream"),
        form("text/plain"),
        form("application/x-ndjson"),
        form("application/json"),
        Request::get("/api/chat?q=hi").header("accept", "text/event-stream"),
        message(&server::store::new_id()),
        Request::post("/v1/chat/completions", &body),
        Request::post("/v1/responses", &body),
    ];
    let others = [
        changes(),
        Request::get(&events_path("00000000000000000000000000000000")),
        Request::post(IMPORT_PATH, &json!([])),
    ];
    (others.into_iter().chain(replies.clone()).collect(), replies)
}

async fn assert_all_refused(rill: &Rill, requests: &[Request], status: u16, kind: &str) {
    for request in requests {
        let answer = soon(rill.send(request)).await;
        assert_eq!(answer.status, status, "{request:?}");
        let body = refusal(answer, status).await;
        let error = &body["error"];
        // OpenAI's libraries know their own words.
        let told = if error["kind"].is_null() {
            &error["code"]
        } else {
            &error["kind"]
        };
        let own = if kind == "too_many" {
            "rate_limit_exceeded"
        } else {
            kind
        };
        assert!(told == kind || told == own, "{request:?}: {body}");
    }
}

#[tokio::test]
async fn beyond_the_streams_of_a_client_or_of_all_the_next_one_is_refused_on_every_route() {
    for (limits, status, kind) in [
        (
            ["--max-streams=9", "--max-streams-per-client=3"],
            429,
            "too_many",
        ),
        (
            ["--max-streams=3", "--max-streams-per-client=9"],
            503,
            "busy",
        ),
    ] {
        let upstream = ScriptedUpstream::playing(vec![endless()]).await;
        let rill = Rill::with(&upstream, &limits).await;
        let mut first = soon(rill.begin_with(&message(&server::store::new_id()))).await;
        soon(first.until(|reply| !reply.transcript.text.is_empty())).await;
        let generation = first.reply.generation().to_owned();
        let reader = soon(rill.send(&Request::get(&events_path(&generation)))).await;
        let feed = soon(rill.send(&changes())).await;
        assert_eq!((reader.status, feed.status), (200, 200));
        let (streams, _) = all_streams();
        assert_all_refused(&rill, &streams, status, kind).await;
        assert_eq!(upstream.request_count(), 1, "a refusal cost a request");
        // Other requests do not count.
        let page = soon(rill.send(&Request::get("/"))).await;
        assert_eq!(page.status, 200);
        drop((first, reader));
        soon(async {
            while soon(rill.send(&changes())).await.status != 200 {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

#[tokio::test]
async fn beyond_the_replies_of_a_client_or_of_all_the_next_one_is_refused_and_not_saved() {
    for (limits, status, kind) in [
        (
            ["--max-replies=9", "--max-replies-per-client=2"],
            429,
            "too_many",
        ),
        (
            ["--max-replies=2", "--max-replies-per-client=9"],
            503,
            "busy",
        ),
    ] {
        let upstream = ScriptedUpstream::playing(vec![endless()]).await;
        let rill = Rill::with(&upstream, &limits).await;
        let joined = message(&server::store::new_id());
        let saved = soon(rill.begin_with(&joined)).await;
        let mut stateless = soon(rill.begin()).await;
        soon(stateless.until(|reply| !reply.transcript.text.is_empty())).await;
        let (_, replies) = all_streams();
        assert_all_refused(&rill, &replies, status, kind).await;
        // A saved reply has its place whether anybody reads it or not, and who asks again for the same
        // one needs none.
        drop(saved);
        assert_all_refused(&rill, &replies[..1], status, kind).await;
        let again = soon(rill.send(&joined)).await;
        assert_eq!(again.status, 200);
        let mut again = read_reply(again);
        soon(again.until(|reply| reply.transcript.generation.is_some())).await;
        // What was refused can be sent again, and is the first that is saved of its conversation.
        drop(stateless);
        let refused = &replies[5];
        let reply = soon(async {
            loop {
                let answer = soon(rill.send(refused)).await;
                if answer.status == 200 {
                    return read_reply(answer);
                }
            }
        });
        let mut reply = reply.await;
        soon(reply.until(|reply| !reply.transcript.text.is_empty())).await;
        assert_eq!(rill.state.replies.running.count(), 2);
        soon(upstream.wait_for(|exchanges| exchanges.len() == 3)).await;
    }
}

#[tokio::test]
async fn a_reply_that_has_ended_leaves_its_place() {
    let upstream = ScriptedUpstream::playing(vec![scripts::saying("fine")]).await;
    let rill = Rill::with(&upstream, &["--max-replies=1", "--max-streams=1"]).await;
    for _ in 0..20 {
        for request in all_streams().1 {
            let ended = async {
                // The last byte may be read a moment before the place is free.
                loop {
                    let answer = soon(rill.send(&request)).await;
                    if !matches!(answer.status, 429 | 503) {
                        return answer;
                    }
                    tokio::task::yield_now().await;
                }
            };
            let answer = soon(ended).await;
            assert_eq!(answer.status, 200, "{request:?}");
            soon(answer.body()).await.expect("a whole answer");
        }
    }
}
