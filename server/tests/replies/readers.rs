//! Readers of a saved reply: they leave, come back, come later, stop the reply, or never read.

use std::time::Duration;

use app::protocol::Finish;
use app::protocol::saved::{MessageState, events_path, generation_path};
use serde_json::json;

use crate::support::conversations::{begin, id, last, message};
use crate::support::http::{self, Request};
use crate::support::rill::{OpenReply, Rill};
use crate::support::scripted_upstream::{Ending, ScriptedUpstream};
use crate::support::scripts::{self, DONE, End, Response, STOP, delta};
use crate::support::{soon, within_a_second};

/// A few words, with a rest between them.
pub(super) fn slow_words(words: &[&str]) -> Response {
    let begun = scripts::stream();
    words
        .iter()
        .fold(begun, |response, word| {
            response.after(Duration::from_millis(60), &delta(word))
        })
        .then(STOP)
        .then(DONE)
}

/// One word, and then nothing more.
pub(super) fn endless() -> Response {
    scripts::stream().then(&delta("one ")).ending(End::Hang)
}

pub(super) async fn follow(rill: &Rill, generation: &str, after: Option<&str>) -> OpenReply {
    let request = Request::get(&events_path(generation));
    let request = match after {
        Some(after) => request.header("last-event-id", after),
        None => request,
    };
    soon(rill.begin_with(&request)).await
}

#[tokio::test]
async fn a_reply_whose_reader_leaves_goes_on_and_is_kept() {
    let upstream = ScriptedUpstream::playing(vec![slow_words(&["a ", "b ", "c"])]).await;
    let rill = Rill::before(&upstream).await;
    let (conversation, mut reply) = begin(&rill).await;
    soon(reply.until(|reply| !reply.transcript.text.is_empty())).await;
    let generation = reply.reply.generation().to_owned();
    drop(reply);
    let whole = soon(follow(&rill, &generation, None).await.finish()).await;
    assert_eq!(whole.transcript.text, "a b c");
    assert_eq!(last(&rill, &conversation).await.text, "a b c");
    assert_eq!(upstream.exchanges()[0].end.expect("over").1, Ending::Played);
}

#[tokio::test]
async fn a_reader_who_comes_back_misses_nothing_and_gets_nothing_twice() {
    let words = ["a ", "b ", "c ", "d ", "é東 ", "f"];
    let upstream = ScriptedUpstream::playing(vec![slow_words(&words)]).await;
    let rill = Rill::before(&upstream).await;
    let (conversation, mut first) = begin(&rill).await;
    let mut text = String::new();
    let generation = {
        soon(first.until(|reply| !reply.transcript.text.is_empty())).await;
        first.reply.generation().to_owned()
    };
    text.push_str(&first.reply.transcript.text);
    let mut after = first.reply.ids().last().expect("an id").to_string();
    drop(first);
    // Again and again, after one piece each.
    loop {
        let mut reader = follow(&rill, &generation, Some(&after)).await;
        soon(
            reader
                .until(|reply| !reply.transcript.text.is_empty() || reply.transcript.end.is_some()),
        )
        .await;
        text.push_str(&reader.reply.transcript.text);
        if reader.reply.transcript.end.is_some() {
            break;
        }
        after = reader.reply.ids().last().expect("an id").to_string();
    }
    assert_eq!(text, words.concat());
    assert_eq!(last(&rill, &conversation).await.text, words.concat());
    assert_eq!(upstream.request_count(), 1);
}

#[tokio::test]
async fn a_reply_that_has_ended_is_told_again_from_any_event_on() {
    let upstream = ScriptedUpstream::playing(vec![slow_words(&["a", "b"])]).await;
    let rill = Rill::before(&upstream).await;
    let (_, reply) = begin(&rill).await;
    let reply = soon(reply.finish()).await;
    let generation = reply.generation().to_owned();
    let check = async |after: Option<&str>, text: &str| {
        let again = soon(follow(&rill, &generation, after).await.finish()).await;
        assert_eq!(again.transcript.text, text, "after {after:?}");
        assert_eq!(again.outcome(), "complete");
    };
    assert_eq!(reply.ids(), ["0", "1", "2", "3"]);
    check(None, "ab").await;
    check(Some("0"), "ab").await;
    check(Some("1"), "b").await;
    check(Some("2"), "").await;
    // Status 204 after the end makes a browser stop reconnecting.
    let request = Request::get(&events_path(&generation)).header("last-event-id", "3");
    assert_eq!(soon(rill.send(&request)).await.status, 204);
    // By the address instead of the header.
    let request = Request::get(&format!("{}?after=1", events_path(&generation)));
    let again = soon(soon(rill.begin_with(&request)).await.finish()).await;
    assert_eq!(again.transcript.text, "b");
}

#[tokio::test]
async fn a_position_that_makes_no_sense_is_refused_and_one_to_come_begins_anew() {
    let upstream = ScriptedUpstream::playing(vec![scripts::saying("ab")]).await;
    let rill = Rill::before(&upstream).await;
    let (_, reply) = begin(&rill).await;
    let generation = soon(reply.finish()).await.generation().to_owned();
    for bad in [
        "-1",
        "x",
        "1.5",
        "0x1",
        "99999999999999999999999",
        "1\u{7f}",
        "",
    ] {
        let request = Request::get(&events_path(&generation)).header("last-event-id", bad);
        let answer = soon(rill.send(&request)).await;
        assert_eq!(answer.status, 400, "{bad:?}");
    }
    let request =
        Request::get(&events_path(&generation)).header("last-event-id", &"1".repeat(10_000));
    assert_eq!(soon(rill.send(&request)).await.status, 400);
    for future in ["77", "18446744073709551615"] {
        let again = soon(follow(&rill, &generation, Some(future)).await.finish()).await;
        assert_eq!(again.names().first(), Some(&"start"), "{future}");
        assert_eq!(again.transcript.text, "ab");
    }
}

#[tokio::test]
async fn a_stop_by_somebody_else_frees_the_upstream_and_ends_every_reader() {
    let upstream = ScriptedUpstream::playing(vec![endless()]).await;
    let rill = Rill::before(&upstream).await;
    let (conversation, mut first) = begin(&rill).await;
    soon(first.until(|reply| !reply.transcript.text.is_empty())).await;
    let generation = first.reply.generation().to_owned();
    let second = follow(&rill, &generation, None).await;
    let stop = Request::new("DELETE", &generation_path(&generation));
    assert_eq!(within_a_second(rill.send(&stop)).await.status, 204);
    within_a_second(upstream.is_free()).await;
    assert_eq!(
        upstream.exchanges()[0].end.expect("over").1,
        Ending::ClosedByClient
    );
    for reader in [first, second] {
        let reply = soon(reader.finish()).await;
        assert_eq!(
            (reply.outcome(), reply.transcript.text.as_str()),
            ("stopped", "one ")
        );
    }
    let kept = last(&rill, &conversation).await;
    assert_eq!(kept.text, "one ");
    assert_eq!(
        kept.state,
        MessageState::Done {
            finish: Finish::Stopped
        }
    );
    // Again: nothing changes.
    assert_eq!(soon(rill.send(&stop)).await.status, 204);
}

#[tokio::test]
async fn a_stop_before_the_first_token_frees_the_upstream() {
    for response in [scripts::silence(), scripts::stream().ending(End::Hang)] {
        let upstream = ScriptedUpstream::playing(vec![response]).await;
        let rill = Rill::before(&upstream).await;
        let (conversation, mut reply) = begin(&rill).await;
        soon(reply.until(|reply| reply.transcript.was_accepted())).await;
        soon(upstream.was_asked()).await;
        let stop = Request::new("DELETE", &generation_path(reply.reply.generation()));
        assert_eq!(within_a_second(rill.send(&stop)).await.status, 204);
        within_a_second(upstream.is_free()).await;
        assert_eq!(soon(reply.finish()).await.outcome(), "stopped");
        assert_eq!(last(&rill, &conversation).await.text, "");
    }
}

#[tokio::test]
async fn a_conversation_that_is_opened_in_mid_reply_can_be_followed_from_there() {
    let upstream = ScriptedUpstream::playing(vec![slow_words(&["a ", "b ", "c ", "d"])]).await;
    let rill = Rill::before(&upstream).await;
    let (conversation, mut reply) = begin(&rill).await;
    soon(reply.until(|reply| !reply.transcript.text.is_empty())).await;
    let opened = last(&rill, &conversation).await;
    let MessageState::Streaming {
        generation,
        last_seq,
    } = opened.state
    else {
        panic!("it does not run: {opened:?}");
    };
    let rest = follow(&rill, &generation, Some(&last_seq.to_string())).await;
    let rest = soon(rest.finish()).await;
    assert_eq!(opened.text + &rest.transcript.text, "a b c d");
}

#[tokio::test]
async fn a_reader_who_never_reads_does_not_hold_a_saved_reply() {
    let upstream = ScriptedUpstream::playing(vec![scripts::saying(&"x".repeat(900_000))]).await;
    let rill = Rill::before(&upstream).await;
    let conversation = id();
    let request = message(&conversation, &json!({}));
    let reader = soon(http::send_with_small_buffer(rill.address, &request))
        .await
        .expect("an answer");
    soon(upstream.is_free()).await;
    soon(async {
        while last(&rill, &conversation).await.text.len() < 900_000 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    drop(reader);
}

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % below
    }
}

/// Reads a reply to its end over many connections. Returns the text and how it
/// ended.
async fn read_with_leaps(rill: &Rill, generation: &str, mut dice: Dice) -> (String, &'static str) {
    let mut text = String::new();
    let mut after: Option<String> = None;
    loop {
        let mut reader = follow(rill, generation, after.as_deref()).await;
        let stay = dice.roll(4) as usize + 1;
        soon(reader.until(|reply| reply.events.len() >= stay || reply.transcript.end.is_some()))
            .await;
        text.push_str(&reader.reply.transcript.text);
        if reader.reply.transcript.end.is_some() {
            return (text, reader.reply.outcome());
        }
        after = reader.reply.ids().last().map(ToString::to_string).or(after);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn however_readers_leave_and_come_back_and_stop_it_all_of_them_and_the_store_agree() {
    for seed in 0..12 {
        let mut dice = Dice(seed);
        let words: Vec<String> = (0..=dice.roll(12)).map(|at| format!("w{at}é ")).collect();
        let begun = scripts::stream();
        let response = words
            .iter()
            .fold(begun, |response, word| {
                response.after(Duration::from_millis(dice.roll(20)), &delta(word))
            })
            .then(STOP)
            .then(DONE);
        let upstream = ScriptedUpstream::playing(vec![response]).await;
        let rill = Rill::before(&upstream).await;
        let (conversation, mut first) = begin(&rill).await;
        soon(first.until(|reply| reply.transcript.was_accepted())).await;
        let generation = first.reply.generation().to_owned();
        let pause = Duration::from_millis(dice.roll(120));
        let is_stopped = seed % 3 == 0;
        let stop = async {
            tokio::time::sleep(pause).await;
            if is_stopped {
                let stop = Request::new("DELETE", &generation_path(&generation));
                assert_eq!(soon(rill.send(&stop)).await.status, 204);
            }
        };
        let (one, two, three, ()) = tokio::join!(
            read_with_leaps(&rill, &generation, Dice(seed + 100)),
            read_with_leaps(&rill, &generation, Dice(seed + 200)),
            first.finish(),
            stop,
        );
        let kept = last(&rill, &conversation).await;
        assert!(
            words.concat().starts_with(&kept.text),
            "{seed}: {}",
            kept.text
        );
        if !is_stopped {
            assert_eq!(kept.text, words.concat(), "{seed}");
        }
        let three = (three.transcript.text.clone(), three.outcome());
        for (text, outcome) in [&one, &two, &three] {
            assert_eq!((text, *outcome), (&kept.text, three.1), "{seed}");
        }
        assert_eq!(upstream.request_count(), 1);
    }
}
