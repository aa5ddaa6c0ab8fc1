//! Any bytes in any chunks: the decoder does not panic, chunks change nothing, and the events are
//! those of the standard's algorithm.

#![no_main]

#[path = "../../tests/sse/harness.rs"]
mod harness;
#[path = "../../tests/sse/reference.rs"]
mod reference;

use harness::{assert_chunks_give, decode_bytewise, decode_until_too_large};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, Vec<u8>, &[u8])| {
    let (limit, chunk_lens, stream) = input;
    let chunks = cut(stream, &chunk_lens);

    let outcome = decode_bytewise(stream);
    let (events, end) = reference::parse(stream);
    assert_eq!(outcome.events, events);
    assert_eq!(outcome.states.last(), Some(&end));

    assert_chunks_give(&outcome, [stream]);
    assert_chunks_give(&outcome, chunks.iter().copied());

    let limited = decode_until_too_large(limit.into(), [stream]);
    assert_eq!(decode_until_too_large(limit.into(), chunks), limited);
});

/// Cuts chunks of these lengths off; what is left is the last one.
fn cut<'a>(mut stream: &'a [u8], lens: &[u8]) -> Vec<&'a [u8]> {
    let mut chunks = Vec::new();
    for &len in lens {
        let (chunk, rest) = stream.split_at(stream.len().min(len.into()));
        chunks.push(chunk);
        stream = rest;
    }
    chunks.push(stream);
    chunks
}
