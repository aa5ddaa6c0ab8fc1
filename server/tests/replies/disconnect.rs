//! Readers that disconnect, and readers that do not read: the upstream is freed, and no queue grows.

use std::time::Duration;

use crate::support::rill::{Rill, chat, question};
use crate::support::scripted_upstream::{Ending, ScriptedUpstream};
use crate::support::scripts::{self, Chunk, Content, End, Forever, Repeat, Response, Times, delta};
use crate::support::{http, soon, within_a_second};

/// A stream that begins and then says nothing more.
fn begun() -> Response {
    scripts::stream().ending(End::Hang)
}

/// An endless answer at reading speed.
fn flowing() -> Response {
    let repeat = Repeat {
        data: delta("word "),
        every_ms: 20,
        times: Times::Forever(Forever::Forever),
    };
    let mut response = scripts::stream();
    response.chunks.push(Chunk {
        delay_ms: 0,
        content: Content::Repeat(repeat),
    });
    response
}

async fn check_freed(upstream: &ScriptedUpstream) {
    within_a_second(upstream.is_free()).await;
    let exchanges = upstream.exchanges();
    assert_eq!(exchanges.len(), 1);
    assert_eq!(
        exchanges[0].end.expect("it is free").1,
        Ending::ClosedByClient
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn leaving_before_the_upstream_answers_frees_it() {
    let upstream = ScriptedUpstream::playing(vec![scripts::silence()]).await;
    let rill = Rill::before(&upstream).await;
    let reply = soon(rill.begin()).await;
    soon(upstream.was_asked()).await;
    drop(reply);
    check_freed(&upstream).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leaving_before_the_first_token_frees_the_upstream() {
    for response in [
        begun(),
        begun().then(": keep-alive\n\n"),
        begun().then(&delta("")),
    ] {
        let upstream = ScriptedUpstream::playing(vec![response]).await;
        let rill = Rill::before(&upstream).await;
        let reply = soon(rill.begin()).await;
        soon(upstream.has_begun()).await;
        drop(reply);
        check_freed(&upstream).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn leaving_in_the_middle_of_the_text_frees_the_upstream() {
    for response in [flowing(), begun().then(&delta("word"))] {
        let upstream = ScriptedUpstream::playing(vec![response]).await;
        let rill = Rill::before(&upstream).await;
        let mut reply = soon(rill.begin()).await;
        soon(reply.until(|reply| !reply.transcript.text.is_empty())).await;
        drop(reply);
        check_freed(&upstream).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn leaving_while_a_retry_is_due_ends_the_retries() {
    let busy = scripts::refusal(503, &serde_json::json!({ "message": "busy" }));
    let upstream = ScriptedUpstream::playing(vec![busy]).await;
    let rill = Rill::with(&upstream, &["--backoff-base=30s", "--retry-after-cap=60s"]).await;
    let mut reply = soon(rill.begin()).await;
    soon(upstream.has_begun()).await;
    soon(reply.until(|reply| reply.transcript.was_accepted())).await;
    let generation = reply.reply.generation().to_owned();
    drop(reply);
    let line = within_a_second(crate::support::log::outcome_of(&generation)).await;
    assert_eq!(line["attempts"], "1");
}

/// An answer of 200 MiB. Each byte of its text needs six bytes on both wires, so that all sockets
/// are full long before the answer is too long.
fn torrent() -> Response {
    let piece = delta(&"\u{1}".repeat(1024));
    let times = Times::Count((TORRENT_BYTES / piece.len()) as u64);
    scripts::stream()
        .then_times(times, &piece)
        .ending(End::Hang)
}

const TORRENT_BYTES: usize = 200 * 1024 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_who_never_reads_stalls_the_upstream() {
    let upstream = ScriptedUpstream::playing(vec![torrent()]).await;
    let rill = Rill::before(&upstream).await;
    let request = chat(&question());
    let reader = soon(http::send_with_small_buffer(rill.address, &request))
        .await
        .expect("an answer");
    // The upstream can write until all buffers are full, and no more.
    let mut written = 0;
    soon(async {
        loop {
            tokio::time::sleep(Duration::from_millis(250)).await;
            let now = upstream
                .exchanges()
                .first()
                .map_or(0, |exchange| exchange.written);
            if now > 0 && now == written {
                return;
            }
            written = now;
        }
    })
    .await;
    assert!(
        upstream.exchanges()[0].end.is_none(),
        "the upstream is not stalled but done"
    );
    assert!(
        written < TORRENT_BYTES / 8,
        "the upstream could write {written} bytes that nobody read"
    );
    drop(reader);
    check_freed(&upstream).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_who_never_reads_holds_the_upstream_no_longer_than_a_reply_may_take() {
    let upstream = ScriptedUpstream::playing(vec![torrent()]).await;
    let rill = Rill::with(&upstream, &["--total-timeout=1s"]).await;
    let request = chat(&question());
    let reader = soon(http::send_with_small_buffer(rill.address, &request))
        .await
        .expect("an answer");
    soon(upstream.is_free()).await;
    assert_eq!(
        upstream.exchanges()[0].end.expect("it is free").1,
        Ending::ClosedByClient
    );
    drop(reader);
}
