//! The decoder and the encoder of Server-Sent Events through their public interface, natively and as wasm.

#[path = "sse/harness.rs"]
mod harness;
#[path = "sse/properties.rs"]
mod properties;
#[path = "sse/reference.rs"]
mod reference;
#[path = "sse/vectors.rs"]
mod vectors;
