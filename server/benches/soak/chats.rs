//! What clients do: ask, read, leave and come back, stop, rename, continue; and many streams at once.

use std::io::Result;
use std::sync::Arc;
use std::time::{Duration, Instant};

use app::protocol::saved::{events_path, generation_path, messages_path};
use app::protocol::{ErrorBody, ErrorKind};
use app::reply::decode::ReplyDecoder;
use app::reply::transcript::ReplyEnd;
use rand::random_range;
use serde_json::{Value, json};
use server::store::new_id;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::client::{self, Answer};
use crate::provider::Script;
use crate::received::{Meanings, Received};
use crate::world::{World, lock};

/// How long a reply may take from the question to its end, whatever goes wrong.
const REPLY: Duration = Duration::from_secs(120);
/// How long a short request may take while thousands of streams are open.
const SHORT: Duration = Duration::from_secs(5);

/// Stands for the title that a conversation has by its first question.
pub(crate) const BY_ITS_QUESTION: &str = "Say words";

/// One conversation with some questions.
pub(crate) async fn chat(world: &Arc<World>) {
    let conversation = new_id();
    lock(&world.conversations).insert(conversation.clone());
    let mut parent: Option<String> = None;
    for _ in 0..random_range(1..4) {
        let script = Script {
            words: random_range(1..120),
            pace: Duration::from_millis(random_range(0..40)),
            is_cut: random_range(0..8) == 0,
        };
        let body = json!({ "content": script.question(), "parent": parent });
        let Some(received) = ask(world, &conversation, body).await else {
            return;
        };
        // What could not be saved is no ground for more.
        let Some(message) = received
            .start
            .as_ref()
            .and_then(|start| start.message.clone())
        else {
            return;
        };
        let (has_notice, is_interrupted) = (received.has_notice, was_cut(&received));
        lock(&world.received).push(received);
        if has_notice || world.is_ending() {
            return;
        }
        if is_interrupted && random_range(0..2) == 0 {
            let Some(more) = ask(world, &conversation, json!({ "continue": message })).await else {
                return;
            };
            world.count("replies that were continued");
            let has_notice = more.has_notice;
            {
                // The message is what the last generation made of it.
                let mut all = lock(&world.received);
                all.retain(|received| {
                    let start = received.start.as_ref();
                    start.is_none_or(|start| start.message.as_ref() != Some(&message))
                });
                all.push(more);
            }
            if has_notice {
                return;
            }
        }
        parent = Some(message);
        if random_range(0..4) == 0 {
            rename(world, &conversation).await;
        }
    }
}

fn was_cut(received: &Received) -> bool {
    let is_cut = |kind| matches!(kind, ErrorKind::Interrupted | ErrorKind::UpstreamCut);
    matches!(&received.transcript.end, Some(ReplyEnd::Error(error)) if is_cut(error.kind))
        && !received.transcript.text.is_empty()
}

/// Asks and reads to the end; nothing where the question was refused, or the world ends before it is
/// accepted.
async fn ask(world: &Arc<World>, conversation: &str, mut body: Value) -> Option<Received> {
    body["request_id"] = new_id().into();
    let meanings = Meanings::default();
    let mut received = Received::new(Arc::clone(&meanings));
    let begun = Instant::now();
    let path = messages_path(conversation);
    let mut others = JoinSet::new();
    let mut is_to_be_stopped = random_range(0..10) == 0;
    while !received.is_over() {
        if begun.elapsed() > REPLY {
            world.violated(format!("{:?} has no end", received.start));
            return None;
        }
        let answer = match &received.start {
            None => client::send(world.address, "POST", &path, Some(&body)).await,
            Some(start) => resume(world, &start.generation, received.last).await,
        };
        let Ok(answer) = answer else {
            sleep(Duration::from_millis(50)).await;
            continue;
        };
        match answer.status {
            200 => {}
            status => {
                if !may_try_again(world, &received, status, answer).await {
                    return None;
                }
                continue;
            }
        }
        // Now and then a reader leaves in the middle.
        let stay = (random_range(0..3) == 0).then(|| random_range(2..30));
        let _ = read(world, answer, &mut received, stay).await;
        let Some(start) = &received.start else {
            continue;
        };
        if others.is_empty() && random_range(0..3) == 0 {
            let (world, generation) = (Arc::clone(world), start.generation.clone());
            let meanings = Arc::clone(&meanings);
            others.spawn(async move { follow(&world, &generation, meanings).await });
        }
        if std::mem::take(&mut is_to_be_stopped) && !received.is_over() {
            let path = generation_path(&start.generation);
            let _ = client::send(world.address, "DELETE", &path, None).await;
        }
    }
    world.count("replies");
    // Another reader of the same reply receives the same.
    while let Some(other) = others.join_next().await {
        if let Ok(Some(other)) = other {
            world.count("second readers");
            let (here, there) = (&received.transcript, &other.transcript);
            let is_told_again = world.kill_after(begun).is_some();
            if (&here.text, &here.end) != (&there.text, &there.end) && !is_told_again {
                world.violated(format!("{:?}: readers differ", received.start));
            }
        }
    }
    Some(received)
}

/// Another reader of a reply, from its start to its end.
async fn follow(world: &World, generation: &str, meanings: Meanings) -> Option<Received> {
    let mut received = Received::new(meanings);
    let begun = Instant::now();
    while !received.is_over() {
        if begun.elapsed() > REPLY {
            world.violated(format!("{generation} has no end for a second reader"));
            return None;
        }
        let Ok(answer) = resume(world, generation, received.last).await else {
            sleep(Duration::from_millis(50)).await;
            continue;
        };
        if answer.status == 200 {
            let stay = (random_range(0..3) == 0).then(|| random_range(2..30));
            let _ = read(world, answer, &mut received, stay).await;
        } else {
            let status = answer.status;
            if !may_try_again(world, &received, status, answer).await {
                return None;
            }
        }
    }
    Some(received)
}

async fn resume(world: &World, generation: &str, after: Option<u64>) -> Result<Answer> {
    let after = after.map_or_else(String::new, |after| format!("?after={after}"));
    let path = events_path(generation) + &after;
    world.count("connections to replies that run");
    client::send(world.address, "GET", &path, None).await
}

/// Reads what comes, or only so many events of it.
async fn read(
    world: &World,
    mut answer: Answer,
    received: &mut Received,
    mut stay: Option<u32>,
) -> Result<()> {
    let mut incoming = ReplyDecoder::default();
    while let Some(bytes) = answer.next().await? {
        incoming.feed(&bytes);
        for event in incoming.by_ref() {
            received.take(world, event);
            if let Some(left) = &mut stay {
                *left -= 1;
                if *left == 0 {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

/// What a refusal means: whether to wait and try again.
async fn may_try_again(world: &World, received: &Received, status: u16, answer: Answer) -> bool {
    let body = answer.all().await.unwrap_or_default();
    let kind = serde_json::from_slice::<ErrorBody>(&body).map(|body| body.error.kind);
    match status {
        204 => {
            world.violated(format!(
                "{:?}: nothing follows, and no end came",
                received.start
            ));
            false
        }
        429 | 503 => {
            world.count("refused for a while");
            sleep(Duration::from_millis(250)).await;
            // A question that cannot be known without the store is given up by its person.
            kind.ok() != Some(ErrorKind::NotSaved) || received.start.is_some()
        }
        // What was said to be unsaved, to this reader or to another one, may be lost.
        404 if received.is_unsaved() => {
            world.count("lost as was said");
            false
        }
        _ => {
            let start = &received.start;
            world.violated(format!("refused with {status}, {kind:?}: {start:?}"));
            false
        }
    }
}

async fn rename(world: &World, conversation: &str) {
    let title = format!("Title {}", new_id());
    let body = json!({ "id": conversation, "title": title });
    let path = "/api/conversations/rename";
    let answer = client::send(world.address, "POST", path, Some(&body)).await;
    let mut titles = lock(&world.titles);
    let titles = titles
        .entry(conversation.to_owned())
        .or_insert_with(|| vec![BY_ITS_QUESTION.to_owned()]);
    if answer.is_ok_and(|answer| answer.status == 200) {
        titles.clear();
        world.count("renamed");
    }
    // Without that answer it may have happened or not.
    titles.push(title);
}

/// Opens very many streams of one reply, and asks for something short meanwhile.
pub(crate) async fn many_streams(world: &Arc<World>, count: usize) {
    let conversation = new_id();
    lock(&world.conversations).insert(conversation.clone());
    let script = Script {
        words: 100_000,
        pace: Duration::from_millis(20),
        is_cut: false,
    };
    let body = json!({ "content": script.question(), "request_id": new_id() });
    let path = messages_path(&conversation);
    let Ok(answer) = client::send(world.address, "POST", &path, Some(&body)).await else {
        return world.violated("no reply for many streams".to_owned());
    };
    let mut received = Received::new(Meanings::default());
    let _ = read(world, answer, &mut received, Some(5)).await;
    let Some(start) = received.start.clone() else {
        return world.count("many streams were left out");
    };
    let mut opening = JoinSet::new();
    for _ in 0..count {
        let (world, generation) = (Arc::clone(world), start.generation.clone());
        opening.spawn(async move {
            let mut answer = resume(&world, &generation, None).await?;
            let first = answer.next().await?;
            Ok::<_, std::io::Error>((answer.status, first.is_some(), answer))
        });
    }
    let mut open = Vec::new();
    let (mut refused, mut broken) = (0, Vec::new());
    let all = async {
        while let Some(opened) = opening.join_next().await {
            match opened {
                Ok(Ok((200, true, answer))) => open.push(answer),
                Ok(Ok((429 | 503, ..))) => refused += 1,
                other => broken.push(other.map(|opened| opened.map(|(status, ..)| status))),
            }
        }
    };
    if timeout(Duration::from_secs(60), all).await.is_err() {
        world.violated("many streams do not open".to_owned());
    }
    if let Some(first) = broken.first() {
        world.violated(format!("{} of many streams: {first:?}", broken.len()));
    }
    let mut slowest = Duration::ZERO;
    for _ in 0..20 {
        let asked = Instant::now();
        let status = timeout(SHORT, client::get(world.address, "/healthz")).await;
        if !matches!(status, Ok(Ok(200))) {
            world.violated(format!("beside many streams: {status:?}"));
        }
        slowest = slowest.max(asked.elapsed());
        sleep(Duration::from_millis(200)).await;
    }
    world.note(
        "streams at once, refused",
        format!("{}, {refused}", open.len()),
    );
    world.note(
        "slowest short request beside them, ms",
        slowest.as_millis().to_string(),
    );
    drop(open);
    let path = generation_path(&start.generation);
    let _ = client::send(world.address, "DELETE", &path, None).await;
    while !received.is_over() {
        let Ok(answer) = resume(world, &start.generation, received.last).await else {
            continue;
        };
        let _ = read(world, answer, &mut received, None).await;
    }
    lock(&world.received).push(received);
}
