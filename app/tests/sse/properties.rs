//! Properties of all streams, for all ways to split them into chunks.

use app::sse::write_event;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::harness::{assert_chunks_give, decode_bytewise, decode_until_too_large};
use crate::reference;
use crate::vectors::vectors;

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// The pieces of streams, valid and invalid: each can follow each other.
const PIECES: &[&[u8]] = &[
    b"data",
    b"data:",
    b"data: ",
    b"da",
    b"ta",
    b"event",
    b"event:",
    b"id",
    b"id: ",
    b"retry:",
    b"0",
    b"71",
    b"99999999999999999999",
    b":",
    b" ",
    b"x",
    b"\n",
    b"\n",
    b"\n\n",
    b"\r",
    b"\r\n",
    b"\0",
    b"\xef\xbb\xbf",
    b"\xef",
    b"\xbb",
    b"\xff",
    b"\xf0\x9f\x98",
    b"\xe2\x9c\x93",
    b"\xc0\xaf",
];

fn stream() -> impl Strategy<Value = Vec<u8>> {
    vec(select(PIECES), 0..40).prop_map(|pieces| pieces.concat())
}

/// Where to split. The same index twice makes an empty chunk.
fn cuts() -> impl Strategy<Value = Vec<Index>> {
    vec(any::<Index>(), 0..8)
}

fn cut<'a>(bytes: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places
        .windows(2)
        .map(|ends| &bytes[ends[0]..ends[1]])
        .collect()
}

proptest! {
    // In wasm there is no file system for failures; they are printed after shrinking.
    #![proptest_config(ProptestConfig {
        cases: 1000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn after_every_byte_the_decoder_is_where_the_standard_is(stream in stream()) {
        let got = decode_bytewise(&stream);
        for (len, state) in got.states.iter().enumerate() {
            let (events, expect) = reference::parse(&stream[..len]);
            prop_assert_eq!(state, &expect);
            prop_assert_eq!(&got.events[..state.events], events);
        }
    }

    #[test]
    fn chunks_change_nothing(stream in stream(), cuts in cuts()) {
        assert_chunks_give(&decode_bytewise(&stream), cut(&stream, &cuts));
    }

    #[test]
    fn chunks_change_nothing_in_any_vector(index in any::<Index>(), cuts in cuts()) {
        let stream = index.get(&vectors()).bytes();
        assert_chunks_give(&decode_bytewise(&stream), cut(&stream, &cuts));
    }

    #[test]
    fn chunks_do_not_change_where_the_limit_is_passed(
        stream in stream(),
        cuts in cuts(),
        limit in 0_usize..12,
    ) {
        let bytewise = decode_until_too_large(limit, stream.chunks(1));
        prop_assert_eq!(&decode_until_too_large(limit, [stream.as_slice()]), &bytewise);
        prop_assert_eq!(&decode_until_too_large(limit, cut(&stream, &cuts)), &bytewise);
    }

    #[test]
    fn what_is_written_is_read(
        events in vec(("message|[^\r\n]{0,12}", "[^\r]{0,40}"), 0..8),
        cuts in cuts(),
    ) {
        let mut stream = Vec::new();
        for (id, (name, data)) in events.iter().enumerate() {
            write_event(&mut stream, id as u64, name, data);
        }
        let outcome = decode_bytewise(&stream);
        prop_assert_eq!(outcome.events.len(), events.len());
        for (id, (got, (name, data))) in outcome.events.iter().zip(&events).enumerate() {
            let name = if name.is_empty() { "message" } else { name };
            prop_assert_eq!((got.name.as_str(), &got.data), (name, data));
            prop_assert_eq!(&got.id, &id.to_string());
        }
        assert_chunks_give(&outcome, cut(&stream, &cuts));
    }
}
