//! The SSE decoder and encoder as their users see them, natively and as wasm.

#[path = "sse/harness.rs"]
mod harness;
#[path = "sse/properties.rs"]
mod properties;
#[path = "sse/reference.rs"]
mod reference;
#[path = "sse/vectors.rs"]
mod vectors;
