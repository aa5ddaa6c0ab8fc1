//! The conformance vectors: samples of every rule, split into chunks in every way.

use base64::prelude::{BASE64_STANDARD, Engine};
use serde::Deserialize;

use crate::harness::{Dispatched, Outcome, State, assert_chunks_give, decode_bytewise};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[derive(Deserialize)]
struct File {
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
pub(crate) struct Vector {
    pub(crate) name: String,
    input: Option<String>,
    input_b64: Option<String>,
    chunks_b64: Option<Vec<String>>,
    expect: Vec<ExpectedEvent>,
    #[serde(rename = "final")]
    end: ExpectedEnd,
}

#[derive(Deserialize)]
struct ExpectedEvent {
    event: String,
    data: String,
    id: String,
    retry: Option<f64>,
}

#[derive(Deserialize)]
struct ExpectedEnd {
    last_event_id: String,
    retry: Option<f64>,
}

impl Vector {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        match (&self.input, &self.input_b64) {
            (Some(text), None) => text.clone().into_bytes(),
            (None, Some(base64)) => unbase64(base64),
            _ => panic!("{}: text or base64", self.name),
        }
    }
}

pub(crate) fn vectors() -> Vec<Vector> {
    let file: File = serde_json::from_str(include_str!("../conformance/sse_vectors.json"))
        .expect("the vectors have this form");
    file.vectors
}

fn unbase64(text: &str) -> Vec<u8> {
    BASE64_STANDARD.decode(text).expect("valid base64")
}

/// A number that is too large is clamped, as in the decoder.
fn milliseconds(retry: Option<f64>) -> Option<u64> {
    retry.map(|number| number as u64)
}

/// Calls `check` with each vector, its bytes, and the result of decoding them byte by byte.
fn for_each(check: impl Fn(&Vector, &[u8], &Outcome)) {
    for vector in vectors() {
        let bytes = vector.bytes();
        check(&vector, &bytes, &decode_bytewise(&bytes));
    }
}

#[test]
fn one_byte_at_a_time_gives_what_each_vector_expects() {
    for_each(|vector, _, got| {
        let events: Vec<Dispatched> = vector
            .expect
            .iter()
            .map(|expect| Dispatched {
                name: expect.event.clone(),
                data: expect.data.clone(),
                id: expect.id.clone(),
                retry: milliseconds(expect.retry),
            })
            .collect();
        assert_eq!(got.events, events, "{}", vector.name);
        let end = State {
            events: events.len(),
            last_event_id: vector.end.last_event_id.clone(),
            retry: milliseconds(vector.end.retry),
        };
        assert_eq!(got.states.last(), Some(&end), "{}", vector.name);
    });
}

#[test]
fn one_chunk_gives_the_same() {
    for_each(|_, bytes, outcome| assert_chunks_give(outcome, [bytes]));
}

#[test]
fn two_chunks_with_an_empty_one_between_give_the_same_wherever_they_part() {
    for_each(|_, bytes, outcome| {
        for at in 0..=bytes.len() {
            let (left, right) = bytes.split_at(at);
            assert_chunks_give(outcome, [left, &[], right]);
        }
    });
}

#[test]
fn the_chunks_that_once_broke_a_parser_give_the_same() {
    for_each(|vector, _, outcome| {
        if let Some(chunks) = &vector.chunks_b64 {
            let chunks: Vec<Vec<u8>> = chunks.iter().map(|chunk| unbase64(chunk)).collect();
            assert_chunks_give(outcome, chunks.iter().map(Vec::as_slice));
        }
    });
}
