//! Streams that clients left: after 2,000 of them the server has no more descriptors and tasks than before.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use app::protocol::saved::{CHANGES_PATH, events_path, generation_path};
use futures::future::join_all;
use serde_json::json;

use crate::support::conversations::{id, message};
use crate::support::http::{self, Answer, Request};
use crate::support::program::Program;
use crate::support::rill::{Rill, chat, question, read_reply};
use crate::support::scripted_upstream::ScriptedUpstream;
use crate::support::scripts::{End, delta, stream};
use crate::support::soon;

/// The streams that are open at once, and the number of rounds.
const AT_ONCE: usize = 200;
const TIMES: usize = 10;

async fn upstream() -> ScriptedUpstream {
    let endless = stream().then(&delta("a")).ending(End::Hang);
    ScriptedUpstream::playing(vec![endless]).await
}

async fn send(address: SocketAddr, request: &Request) -> Answer {
    soon(http::send(address, request)).await.expect("an answer")
}

/// Opens all streams and leaves them. A tenth of them are replies, which the server asks the provider for.
async fn open_and_leave(address: SocketAddr) {
    let saved = send(address, &message(&id(), &json!({}))).await;
    let mut saved = read_reply(saved);
    soon(saved.until(|reply| reply.transcript.generation.is_some())).await;
    let running = saved.reply.generation().to_owned();
    drop(saved);
    let requests = [
        Request::get(CHANGES_PATH),
        Request::get(&events_path(&running)),
    ];
    for _ in 0..TIMES {
        let opening = (0..AT_ONCE).map(|number| {
            let request = if number % 10 == 0 {
                chat(&question())
            } else {
                requests[number % 2].clone()
            };
            async move {
                let mut answer = send(address, &request).await;
                assert_eq!(answer.status, 200, "{request:?}");
                let first = soon(answer.next_frame()).await.expect("no cut");
                assert!(first.is_some(), "{request:?}");
                answer
            }
        });
        drop(join_all(opening).await);
    }
    let stop = Request::new("DELETE", &generation_path(&running));
    assert_eq!(send(address, &stop).await.status, 204);
}

/// Waits until a number is not above this one any more.
async fn until_at_most(before: usize, what: &str, now: impl Fn() -> usize) {
    let mut last = now();
    let all_left = async {
        while last > before {
            tokio::time::sleep(Duration::from_millis(10)).await;
            last = now();
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), all_left).await;
    assert!(waited.is_ok(), "{what}: {before} before, {last} after");
}

/// The sockets of a process, and its other descriptors.
#[cfg(target_os = "linux")]
fn descriptors(process: u32) -> (usize, usize) {
    let folder = format!("/proc/{process}/fd");
    let open = std::fs::read_dir(folder).expect("Linux").flatten();
    // One may be closed while this reads.
    let names = open.filter_map(|entry| std::fs::read_link(entry.path()).ok());
    let is_socket = |name: &Path| name.to_string_lossy().starts_with("socket:");
    let (sockets, others): (Vec<_>, Vec<_>) = names.partition(|name| is_socket(name));
    (sockets.len(), others.len())
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn after_2000_streams_the_server_has_as_many_descriptors_as_before() {
    /// What the store opens when it is first used by many at once, and keeps for a while.
    const OF_THE_STORE: usize = 48;
    let upstream = upstream().await;
    let program = Program::before(&upstream, &[]).await;
    let process = program.id();
    let (sockets, others) = descriptors(process);
    open_and_leave(program.address).await;
    until_at_most(sockets, "sockets", || descriptors(process).0).await;
    until_at_most(others + OF_THE_STORE, "other descriptors", || {
        descriptors(process).1
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_2000_streams_the_server_has_as_many_tasks_as_before() {
    let upstream = upstream().await;
    let rill = Rill::before(&upstream).await;
    // The runtime is this test's own: its tasks are those of the server and of its upstream.
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    let before = tasks();
    open_and_leave(rill.address).await;
    until_at_most(before, "tasks", tasks).await;
}
