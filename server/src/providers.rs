//! The external models. `registry` knows which provider has which model, `dispatch` requests an answer from one
//! of them with retries and fallbacks, `client` sends the request, and `answer` reads the events of the answer.
//! `api` has the three APIs as pure functions over bytes. `error`, `retry` and `quirks` have the rules for
//! failures, and `caching` the fields for prompt caches. `ollama` finds a local Ollama, and `demo` is an
//! embedded provider.
//!
//! Callers cannot tell providers apart: all of them give the events of [`app::protocol`].

pub mod api;
pub mod error;
pub mod quirks;

pub mod base_url;
pub mod caching;
pub mod settings;

mod dispatch;
pub(crate) mod model_facts;
mod models;
mod registry;

mod answer;
mod client;
mod connections;
mod retry;
mod secrets;

pub mod demo;
pub mod ollama;

use std::time::Duration;

pub use answer::MAX_ANSWER_BYTES;
pub(crate) use answer::{Progress, UpstreamAnswer};
pub(crate) use caching::Reuse;
pub use client::Upstream;
pub(crate) use dispatch::DispatchStep;
pub use models::UpstreamProbe;
pub use registry::Registry;
pub(crate) use registry::{AvailableModel, Route};
pub(crate) use secrets::Secrets;

/// The limits for a provider. The configuration describes each of them.
#[derive(Debug, Clone, Copy)]
pub struct UpstreamLimits {
    pub(crate) connect: Duration,
    pub(crate) first_byte: Duration,
    pub(crate) idle: Duration,
    pub(crate) comment: Duration,
    pub(crate) total: Duration,
    pub(crate) grace_after_finish: Duration,
    pub(crate) max_retries: u32,
    pub(crate) backoff_base: Duration,
    pub(crate) retry_after_cap: Duration,
    /// The most idle connections to one provider.
    pub(crate) idle_connections: usize,
}

#[cfg(test)]
impl UpstreamLimits {
    /// Limits that no unit test reaches.
    pub(crate) fn for_tests() -> Self {
        let long = Duration::from_secs(600);
        Self {
            connect: long,
            first_byte: long,
            idle: long,
            comment: long,
            total: long,
            grace_after_finish: long,
            max_retries: 2,
            backoff_base: long,
            retry_after_cap: long,
            idle_connections: usize::MAX,
        }
    }
}
