//! Decodes whole streams in given chunks and compares the results.

use app::sse::{Decoder, Event};

/// Larger than any stream of these tests.
const NO_LIMIT: usize = 1 << 30;

/// An event, with the state of the decoder at that moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dispatched {
    pub(crate) name: String,
    pub(crate) data: String,
    pub(crate) id: String,
    pub(crate) retry: Option<u64>,
}

/// The state of a decoder after some bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) events: usize,
    pub(crate) last_event_id: String,
    pub(crate) retry: Option<u64>,
}

/// The result of a stream that is decoded byte by byte.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) events: Vec<Dispatched>,
    /// The state after each number of bytes, from 0 to all.
    pub(crate) states: Vec<State>,
}

/// Feeds one byte per chunk. An event has at least one byte of its own, so the ID and the retry time
/// of each event are visible.
pub(crate) fn decode_bytewise(input: &[u8]) -> Outcome {
    let mut decoder = Decoder::new(NO_LIMIT);
    let mut events: Vec<Dispatched> = Vec::new();
    let mut states = vec![state(&decoder, 0)];
    for byte in input.chunks(1) {
        let mut new = None;
        decoder
            .feed(byte, |event| {
                assert!(new.replace(owned(event)).is_none(), "two events by a byte")
            })
            .expect("below the limit");
        events.extend(new.map(|(name, data)| Dispatched {
            name,
            data,
            id: decoder.last_event_id().into(),
            retry: decoder.retry(),
        }));
        states.push(state(&decoder, events.len()));
    }
    Outcome { events, states }
}

/// Feeds these chunks, and asserts that the decoder is in the same state after each as after the same bytes one
/// by one.
pub(crate) fn assert_chunks_give<'a>(expect: &Outcome, chunks: impl IntoIterator<Item = &'a [u8]>) {
    let mut decoder = Decoder::new(NO_LIMIT);
    let (mut fed, mut count) = (0, 0);
    for chunk in chunks {
        decoder
            .feed(chunk, |event| {
                let Dispatched { name, data, id, .. } = &expect.events[count];
                assert_eq!(
                    (event.name, event.data, event.id),
                    (name.as_str(), data.as_str(), id.as_str())
                );
                count += 1;
            })
            .expect("below the limit");
        fed += chunk.len();
        assert_eq!(
            state(&decoder, count),
            expect.states[fed],
            "after {fed} bytes"
        );
    }
    assert_eq!(
        fed + 1,
        expect.states.len(),
        "the chunks are the whole stream"
    );
}

fn owned(event: Event<'_>) -> (String, String) {
    (event.name.into(), event.data.into())
}

fn state(decoder: &Decoder, events: usize) -> State {
    State {
        events,
        last_event_id: decoder.last_event_id().into(),
        retry: decoder.retry(),
    }
}

/// Feeds these chunks with a limit. Returns the events, and whether the limit was exceeded.
pub(crate) fn decode_until_too_large<'a>(
    limit: usize,
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<(String, String)>, bool) {
    let mut decoder = Decoder::new(limit);
    let mut events = Vec::new();
    let result = chunks
        .into_iter()
        .try_for_each(|chunk| decoder.feed(chunk, |event| events.push(owned(event))));
    (events, result.is_err())
}
