use futures::FutureExt;
use proptest::prelude::*;

use app::protocol::Finish;
use app::protocol::Retrying;
use app::reply::transcript::Transcript;

use super::*;

fn start() -> Start {
    Start {
        generation: "g".into(),
        model: "m".into(),
        ..Start::default()
    }
}

/// What a reader has, as a page folds it, and the number of the last event it saw.
#[derive(Debug, Default, Clone)]
struct Seen {
    transcript: Transcript,
    last: Option<u64>,
    ends: usize,
}

impl Seen {
    fn take(&mut self, bytes: &[u8]) {
        let text = std::str::from_utf8(bytes).expect("UTF-8");
        for block in text.split_terminator("\n\n") {
            let mut lines = block.lines();
            let id = lines.next().and_then(|line| line.strip_prefix("id: "));
            let id: u64 = id.expect("an id").parse().expect("a number");
            assert!(self.last < Some(id), "{id} after {:?}", self.last);
            self.last = Some(id);
            let rest: Vec<&str> = lines.collect();
            let (name, data) = match rest.as_slice() {
                [data] => ("message", data),
                [name, data] => (name.strip_prefix("event: ").expect("a name"), data),
                other => panic!("no event of ours: {other:?}"),
            };
            let data = data.strip_prefix("data: ").expect("data");
            let event = ChatEvent::from_sse(name, data)
                .expect("our JSON")
                .expect("our event");
            self.ends += usize::from(event.is_terminal());
            self.transcript.apply(&event);
        }
    }
}

/// Reads the available events.
fn poll(reader: &mut LogReader, seen: &mut Seen) {
    while let Some(Some(bytes)) = reader.next().now_or_never() {
        seen.take(&bytes);
    }
}

fn publish(log: &Arc<Log>, events: &[ChatEvent<'_>]) {
    let mut writer = log.writer();
    events.iter().for_each(|event| writer.push(event));
    writer.publish();
}

#[test]
fn a_reader_who_keeps_up_gets_the_numbers_without_a_gap() {
    let log = Log::new(start());
    let mut reader = log.read_after(None).expect("the beginning");
    let mut out = Vec::new();
    let mut read = |reader: &mut LogReader| {
        while let Some(Some(bytes)) = reader.next().now_or_never() {
            out.extend_from_slice(&bytes);
        }
    };
    read(&mut reader);
    publish(&log, &[ChatEvent::Reasoning("r".into())]);
    read(&mut reader);
    publish(&log, &[ChatEvent::Text("a\n".into())]);
    read(&mut reader);
    log.note_usage(Usage::default());
    log.end(GenerationEnd::Done(Finish::Stop));
    read(&mut reader);
    assert_eq!(
        String::from_utf8(out).expect("UTF-8"),
        "id: 0\nevent: start\ndata: {\"generation\":\"g\",\"model\":\"m\"}\n\n\
         id: 1\nevent: reasoning\ndata: \"r\"\n\n\
         id: 2\ndata: \"a\\n\"\n\n\
         id: 3\nevent: usage\ndata: {}\n\n\
         id: 4\nevent: done\ndata: {\"finish\":\"stop\"}\n\n"
    );
}

#[test]
fn who_comes_during_a_pause_is_told_how_long_it_still_lasts() {
    let told = |log: &Arc<Log>, after| {
        let mut reader = log.read_after(after).expect("there");
        let bytes = reader.next().now_or_never().flatten().unwrap_or_default();
        String::from_utf8(bytes.to_vec()).expect("UTF-8")
    };
    let log = Log::new(start());
    publish(&log, &[ChatEvent::Retrying(Retrying { in_ms: 60_000 })]);
    // That it is not saved is nothing that was said.
    log.note_not_saved();
    for after in [None, Some(0)] {
        let told = told(&log, after);
        let left = told.split_once(": retry {\"in_ms\":").map(|(_, left)| left);
        assert!(
            left.is_some_and(|left| left.starts_with("5") || left.starts_with("60000")),
            "{told}"
        );
    }
    publish(&log, &[ChatEvent::Model("b".into())]);
    assert_eq!(told(&log, Some(1)), ": model \"b\"\n\n");
    publish(&log, &[ChatEvent::Text("a".into())]);
    assert_eq!(told(&log, Some(1)), "id: 2\ndata: \"a\"\n\n");
}

#[test]
fn a_reader_who_is_behind_gets_joined_text_under_the_last_number() {
    let log = Log::new(start());
    for piece in ["a", "b", "c"] {
        publish(&log, &[ChatEvent::Text(piece.into())]);
    }
    let mut reader = log.read_after(Some(1)).expect("the first piece");
    let bytes = reader.next().now_or_never().flatten().expect("the rest");
    assert_eq!(bytes, "id: 3\ndata: \"bc\"\n\n");
}

#[test]
fn there_is_nothing_after_what_is_not_there() {
    let log = Log::new(start());
    publish(&log, &[ChatEvent::Text("a".into())]);
    assert!(log.read_after(Some(1)).is_ok());
    assert!(log.read_after(Some(2)).is_err());
    assert!(log.read_after(Some(u64::MAX)).is_err());
    log.end(GenerationEnd::Done(Finish::Stop));
    let mut after_the_end = log.read_after(Some(2)).expect("the end is event 2");
    assert_eq!(after_the_end.next().now_or_never(), Some(None));
}

#[test]
fn the_first_end_counts_and_nothing_follows_it() {
    let log = Log::new(start());
    log.end(GenerationEnd::Done(Finish::Stopped));
    log.end(GenerationEnd::Done(Finish::Stop));
    publish(&log, &[ChatEvent::Text("late".into())]);
    log.note_not_saved();
    let mut seen = Seen::default();
    poll(&mut log.read_after(None).expect("the beginning"), &mut seen);
    assert_eq!((seen.ends, seen.transcript.text.as_str()), (1, ""));
    assert_eq!(log.ended(), Some(GenerationEnd::Done(Finish::Stopped)));
}

#[tokio::test(start_paused = true)]
async fn events_gather_for_a_while_but_not_where_there_is_much_or_the_end() {
    let check = async |text: &str, end: Option<GenerationEnd>, expect: Duration| {
        let log = Log::new(start());
        let mut reader = log.read_after(None).expect("from the beginning");
        poll(&mut reader, &mut Seen::default());
        let begun = tokio::time::Instant::now();
        let (gathered, ()) = tokio::join!(
            async {
                reader.gather(begun + Duration::from_millis(12)).await;
                begun.elapsed()
            },
            async {
                tokio::time::sleep(Duration::from_millis(5)).await;
                publish(&log, &[ChatEvent::Text(text.into())]);
                if let Some(end) = end {
                    log.end(end);
                }
            }
        );
        assert_eq!(gathered, expect, "{} bytes", text.len());
    };
    let (soon, late) = (Duration::from_millis(5), Duration::from_millis(12));
    check("", None, late).await;
    check("a word", None, late).await;
    check(&"long ".repeat(1000), None, soon).await;
    check("", Some(GenerationEnd::Done(Finish::Stop)), soon).await;
    check("a word", Some(GenerationEnd::Done(Finish::Stop)), soon).await;
}

#[test]
fn a_log_that_was_stored_is_the_same_log() {
    let log = Log::new(start());
    publish(
        &log,
        &[
            ChatEvent::Reasoning("hm".into()),
            ChatEvent::Text("naïve".into()),
            ChatEvent::Text(" 東京".into()),
        ],
    );
    publish(&log, &[ChatEvent::Text(" \u{1f469}".into())]);
    let (piece, last) = log.whole();
    let again = Log::restored(
        start(),
        piece,
        None,
        Some(GenerationEnd::Done(Finish::Stop)),
    );
    assert_eq!(last, 3);
    assert_eq!(again.last_seq(), 4);
    for after in 0..=4 {
        let mut seen = Seen::default();
        poll(
            &mut again.read_after(Some(after)).expect("there"),
            &mut seen,
        );
        assert_eq!(seen.ends, usize::from(after < 4));
    }
}

#[test]
fn a_log_needs_little_more_than_its_text() {
    let log = Log::new(start());
    let words = 20_000;
    for _ in 0..words {
        publish(&log, &[ChatEvent::Text(" word".into())]);
    }
    let text = words * " word".len();
    // Buffers grow by doubling; that is part of what the text needs.
    let beyond = log.size() - text.next_power_of_two();
    assert!(beyond < 64 * 1024, "{beyond} bytes beyond the text");
}

#[test]
fn the_end_of_an_interrupted_reply_is_numbered_beyond_all_that_can_have_been_sent() {
    let stored = |count: usize| Piece {
        text: "a".repeat(count),
        reasoning: String::new(),
        spans: vec![1 << 2; count],
    };
    let interrupted = || {
        Some(GenerationEnd::Failed(ReplyError {
            kind: ErrorKind::Interrupted,
            message: "m".into(),
            retryable: true,
            retry_after_ms: None,
        }))
    };
    for count in [0, 1, 1000] {
        let log = Log::restored(start(), stored(count), None, interrupted());
        let check = |after: u64, expect_first: u64, expect_text: usize| {
            let mut seen = Seen::default();
            let mut reader = log.resume(Some(after)).expect("the end follows");
            let bytes = reader.next().now_or_never().flatten().expect("the end");
            assert!(bytes.starts_with(format!("id: {expect_first}\n").as_bytes()));
            seen.take(&bytes);
            poll(&mut reader, &mut seen);
            assert_eq!((seen.ends, seen.last), (1, Some(INTERRUPTED_SEQ)));
            assert_eq!(seen.transcript.text.len(), expect_text, "after {after}");
        };
        let stored = count as u64;
        check(stored, INTERRUPTED_SEQ, 0);
        // A seq that a crash lost, and one that never existed: from the start again.
        for after in [
            stored + 1,
            stored + 2,
            INTERRUPTED_SEQ - 1,
            INTERRUPTED_SEQ + 1,
            u64::MAX,
        ] {
            check(after, 0, count);
        }
        assert!(log.resume(Some(INTERRUPTED_SEQ)).is_none());
    }
}

#[test]
fn an_end_that_could_not_be_stored_leaves_its_number_to_the_one_that_is_stored() {
    let log = Log::new(start());
    publish(&log, &[ChatEvent::Text("a".into())]);
    log.end_unsaved(GenerationEnd::Done(Finish::Stop));
    assert!(log.is_not_saved());
    let told = |after: Option<u64>| {
        let mut seen = Seen::default();
        poll(&mut log.resume(after).expect("the end follows"), &mut seen);
        assert_eq!(seen.ends, 1);
        seen
    };
    for after in [None, Some(0), Some(1)] {
        let seen = told(after);
        assert!(seen.transcript.notice.is_some(), "{after:?}");
        assert_eq!(seen.last, Some(UNSAVED_END_SEQ), "{after:?}");
    }
    assert_eq!(told(Some(UNSAVED_NOTICE_SEQ)).transcript.notice, None);
    assert!(log.resume(Some(UNSAVED_END_SEQ)).is_none());
    // It was said before: then the end has the next number, here and where it is stored.
    let log = Log::new(start());
    log.note_not_saved();
    log.end_unsaved(GenerationEnd::Done(Finish::Stop));
    assert_eq!(log.last_seq(), 2);
    let again = Log::restored(start(), log.whole().0, None, log.ended());
    assert_eq!(again.last_seq(), 2);
}

#[test]
fn a_character_is_replaced_without_another_number_for_any_event() {
    let log = Log::new(start());
    publish(
        &log,
        &[
            ChatEvent::Text("a\0b".into()),
            ChatEvent::Reasoning("\0".into()),
            ChatEvent::Text("\0\0".into()),
        ],
    );
    log.note_not_saved();
    let (piece, _) = log.whole();
    let replaced = piece.replaced('\0', "\u{fffd}");
    assert_eq!(replaced.text, "a\u{fffd}b\u{fffd}\u{fffd}");
    assert_eq!(replaced.reasoning, "\u{fffd}");
    assert_eq!(replaced.last_seq(), piece.last_seq());
    let again = Log::restored(start(), replaced, None, None);
    let mut seen = Seen::default();
    poll(&mut again.read_after(Some(2)).expect("there"), &mut seen);
    assert_eq!(seen.transcript.text, "\u{fffd}\u{fffd}");
    assert!(seen.transcript.notice.is_some());
}

/// What can happen, in any order.
#[derive(Debug, Clone)]
enum LogStep {
    /// Pieces arrive together. Empty ones too.
    Arrive(Vec<(bool, String)>),
    /// A reader joins.
    Join,
    /// A reader reads the available events.
    Read(prop::sample::Index),
    /// A reader leaves, and comes back after what they saw.
    Resume(prop::sample::Index),
    /// A reader leaves for good.
    Leave(prop::sample::Index),
    /// A reader joins that has seen the reply up to some event.
    JoinAfter(prop::sample::Index),
    /// The store fails.
    FailToSave,
    /// The reply ends.
    End,
    /// The person stops it.
    Stop,
}

fn steps() -> impl Strategy<Value = Vec<LogStep>> {
    let piece = (any::<bool>(), "[a-c東é\n\"]{0,40}");
    let index = any::<prop::sample::Index>;
    let step = prop_oneof![
        6 => prop::collection::vec(piece, 0..4).prop_map(LogStep::Arrive),
        2 => Just(LogStep::Join),
        6 => index().prop_map(LogStep::Read),
        3 => index().prop_map(LogStep::Resume),
        1 => index().prop_map(LogStep::Leave),
        2 => index().prop_map(LogStep::JoinAfter),
        1 => Just(LogStep::FailToSave),
        1 => Just(LogStep::End),
        1 => Just(LogStep::Stop),
    ];
    prop::collection::vec(step, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_reader_gets_an_exact_prefix_or_the_whole_and_then_one_end(steps in steps()) {
        let log = Log::new(start());
        let mut readers: Vec<(LogReader, Seen)> = Vec::new();
        let mut truth = Transcript::default();
        // The text up to each event, for readers that join in the middle.
        let mut history = vec![(0_u64, String::new(), String::new())];
        let mut end = None;
        for step in steps {
            match step {
                LogStep::Arrive(pieces) => {
                    let events: Vec<ChatEvent<'_>> = pieces
                        .iter()
                        .map(|(is_text, piece)| if *is_text {
                            ChatEvent::Text(piece.as_str().into())
                        } else {
                            ChatEvent::Reasoning(piece.as_str().into())
                        })
                        .collect();
                    publish(&log, &events);
                    if end.is_none() {
                        events.iter().for_each(|event| truth.apply(event));
                        history.push((log.last_seq(), truth.text.clone(), truth.reasoning.clone()));
                    }
                }
                LogStep::Join => {
                    readers.push((log.read_after(None).expect("the beginning"), Seen::default()));
                }
                LogStep::JoinAfter(index) => {
                    let (after, text, reasoning) = index.get(&history).clone();
                    let mut seen = Seen { last: Some(after), ..Seen::default() };
                    seen.transcript.text = text;
                    seen.transcript.reasoning = reasoning;
                    readers.push((log.read_after(Some(after)).expect("it was there"), seen));
                }
                LogStep::Read(index) if !readers.is_empty() => {
                    let (reader, seen) = index.get_mut(&mut readers);
                    poll(reader, seen);
                }
                LogStep::Resume(index) if !readers.is_empty() => {
                    let (reader, seen) = index.get_mut(&mut readers);
                    *reader = log.read_after(seen.last).expect("they saw it");
                }
                LogStep::Leave(index) if !readers.is_empty() => {
                    let at = index.index(readers.len());
                    readers.swap_remove(at);
                }
                LogStep::FailToSave => log.note_not_saved(),
                LogStep::End => {
                    log.note_usage(Usage::default());
    log.end(GenerationEnd::Done(Finish::Stop));
                    end.get_or_insert(Finish::Stop);
                }
                LogStep::Stop => {
                    log.end(GenerationEnd::Done(Finish::Stopped));
                    end.get_or_insert(Finish::Stopped);
                }
                LogStep::Read(_) | LogStep::Resume(_) | LogStep::Leave(_) => {}
            }
            for (_, seen) in &readers {
                prop_assert!(truth.text.starts_with(&seen.transcript.text));
                prop_assert!(truth.reasoning.starts_with(&seen.transcript.reasoning));
            }
        }
        let expect_ends = usize::from(end.is_some());
        for (mut reader, mut seen) in readers {
            poll(&mut reader, &mut seen);
            prop_assert_eq!(&seen.transcript.text, &truth.text);
            prop_assert_eq!(&seen.transcript.reasoning, &truth.reasoning);
            prop_assert_eq!(seen.ends, expect_ends);
            prop_assert_eq!(
                seen.transcript.end,
                end.map(app::reply::transcript::ReplyEnd::Done)
            );
        }
        // The stored reply equals the one that was read.
        let (piece, _) = log.whole();
        prop_assert_eq!((piece.text, piece.reasoning), (truth.text, truth.reasoning));
    }
}
