//! The real program is killed in the middle of a reply, and started again.

use std::net::SocketAddr;
use std::time::Duration;

use app::protocol::ErrorKind;
use app::protocol::saved::{ConversationDetail, MessageState, events_path, messages_path};
use serde_json::json;

use crate::support::conversations::id;
use crate::support::http::{self, Request};
use crate::support::program::Program;
use crate::support::rill::{OpenReply, read_reply};
use crate::support::scripted_upstream::ScriptedUpstream;
use crate::support::scripts::{self, End, Forever, Repeat, Response, Times, delta};
use crate::support::{log, soon};

fn flowing() -> Response {
    let mut response = scripts::stream().ending(End::Hang);
    response.chunks.push(scripts::Chunk {
        delay_ms: 0,
        content: scripts::Content::Repeat(Repeat {
            data: delta("word "),
            every_ms: 20,
            times: Times::Forever(Forever::Forever),
        }),
    });
    response
}

async fn ask(address: SocketAddr, conversation: &str, fields: &serde_json::Value) -> OpenReply {
    let mut body = fields.clone();
    body["request_id"] = id().into();
    let request = Request::post(&messages_path(conversation), &body);
    read_reply(
        soon(http::send(address, &request))
            .await
            .expect("an answer"),
    )
}

async fn kept(address: SocketAddr, conversation: &str) -> ConversationDetail {
    let request = Request::post("/api/conversations/get", &json!({ "id": conversation }));
    let answer = soon(http::send(address, &request))
        .await
        .expect("an answer");
    serde_json::from_value(soon(answer.json()).await).expect("a conversation")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_had_come_before_a_kill_is_there_after_it_and_marked() {
    let upstream = ScriptedUpstream::playing(vec![flowing(), scripts::saying("Done.")]).await;
    let program = Program::before(&upstream, &[]).await;
    let data = program.data.clone();
    let conversation = id();
    let question = json!({ "content": log::PROMPT });
    let mut reply = ask(program.address, &conversation, &question).await;
    // Some seconds, so that there are snapshots, and some text after the last of them.
    let begun = std::time::Instant::now();
    soon(reply.until(|_| begun.elapsed() > Duration::from_millis(2_500))).await;
    let seen = reply.reply.transcript.text.clone();
    let last_id = reply.reply.ids().last().expect("an id").to_string();
    let generation = reply.reply.generation().to_owned();
    program.kill().await;
    drop(reply);

    let program = Program::over(data, &upstream, &[]).await;
    let found = kept(program.address, &conversation).await;
    let message = found.messages.last().expect("a reply");
    assert_eq!(message.state, MessageState::Interrupted);
    assert!(seen.starts_with(&message.text), "{} / {seen}", message.text);
    // A word comes every 20 ms: a second and a bit of them may be lost.
    let lost = seen.len() - message.text.len();
    assert!(lost <= 75 * "word ".len(), "{lost} bytes of {}", seen.len());
    assert!(!message.text.is_empty());

    // A reader that had seen more than was stored gets the stored reply from its start.
    let request = Request::get(&events_path(&generation)).header("last-event-id", &last_id);
    let answer = soon(http::send(program.address, &request)).await;
    let again = soon(read_reply(answer.expect("an answer")).finish()).await;
    assert_eq!(again.names().first(), Some(&"start"));
    assert_eq!(again.transcript.text, message.text);
    assert_eq!(again.error_kind(), Some(ErrorKind::Interrupted));

    // And it can go on.
    let go_on = json!({ "continue": message.id });
    let whole = ask(program.address, &conversation, &go_on).await;
    let whole = soon(whole.finish()).await;
    assert_eq!(whole.transcript.text, format!("{}Done.", message.text));
    let found = kept(program.address, &conversation).await;
    assert_eq!(found.messages.len(), 2);
    assert_eq!(found.messages[1].text, whole.transcript.text);
    assert_eq!(upstream.request_count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_whose_last_event_was_lost_in_a_crash_is_told_of_the_interruption() {
    // The first word is stored before the second one comes, and the second one is not.
    let words = scripts::stream()
        .then(&delta("one "))
        .after(Duration::from_millis(1_500), &delta("two"))
        .ending(End::Hang);
    let upstream = ScriptedUpstream::playing(vec![words]).await;
    let program = Program::before(&upstream, &[]).await;
    let data = program.data.clone();
    let question = json!({ "content": log::PROMPT });
    let mut reply = ask(program.address, &id(), &question).await;
    soon(reply.until(|reply| reply.transcript.text == "one two")).await;
    let generation = reply.reply.generation().to_owned();
    let last_id = reply.reply.ids().last().expect("an id").to_string();
    program.kill().await;
    drop(reply);

    let program = Program::over(data, &upstream, &[]).await;
    let resumed = async |after: &str| {
        let request = Request::get(&events_path(&generation)).header("last-event-id", after);
        soon(http::send(program.address, &request))
            .await
            .expect("an answer")
    };
    let again = soon(read_reply(resumed(&last_id).await).finish()).await;
    assert_eq!(again.names(), ["start", "error"]);
    assert_eq!(again.transcript.text, "one ");
    assert_eq!(again.error_kind(), Some(ErrorKind::Interrupted));
    let ids: Vec<u64> = again
        .ids()
        .iter()
        .map(|id| id.parse().expect("a number"))
        .collect();
    assert_eq!(ids[..2], [0, 1]);
    assert!(ids[2] > last_id.parse().expect("a number"), "{ids:?}");
    // Nothing follows that end, and it is exact in JavaScript.
    assert_eq!(resumed(&ids[2].to_string()).await.status, 204);
    assert!(ids[2] < 1 << 53);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_programs_do_not_share_a_folder() {
    let upstream = ScriptedUpstream::playing(vec![flowing()]).await;
    let program = Program::before(&upstream, &[]).await;
    let folder = program
        .data
        .path()
        .to_str()
        .expect("a plain path")
        .to_owned();
    let end = soon(Program::run(
        &["--listen", "127.0.0.1:0", "--data-dir", &folder],
        &[],
    ))
    .await;
    assert_eq!(end.code, Some(1), "{}", end.log);
    assert!(end.log.contains("another Rill") && end.log.contains("--data-dir"));
}
