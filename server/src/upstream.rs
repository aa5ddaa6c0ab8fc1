//! Where replies come from. `directory` knows who has which model, `asking` asks it; `http` and
//! `answer` do the I/O; `chat_completions`, `responses` and `messages` are the APIs, each as two pure
//! parts, and `kind` is the seam before them; `failure`, `provider_error`, `retry` and `dialect`
//! hold the rules for what goes wrong; `ollama` finds one that is there, and `demo` is a provider of our own.
//!
//! Nobody outside can tell which provider it was: what comes out are the events of
//! [`app::protocol`].

pub mod base_url;
pub mod settings;

mod asking;
mod directory;
mod models;

mod answer;
mod connections;
mod http;
mod retry;
mod secrets;

pub mod dialect;
pub mod failure;
mod failure_table;
pub mod provider_error;

pub mod kind;
#[cfg(test)]
mod kind_tests;
// The APIs, and what they share.
pub mod chat_completions;
pub mod messages;
pub mod responses;
pub mod think_tags;

mod ending;
mod finish;
mod json;
mod lenient;
mod parts;
mod prompt;
mod said;

pub mod demo;
pub mod ollama;

use std::time::Duration;

pub use answer::MAX_ANSWER_BYTES;
pub(crate) use answer::{Answer, Progress};
pub(crate) use asking::Step;
pub use directory::Directory;
pub(crate) use directory::{Choice, Route};
pub use http::Upstream;
pub(crate) use secrets::Secrets;

use crate::config::Config;

/// The limits that a provider is held to. Their meaning stands at the fields of [`Config`].
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub(crate) connect: Duration,
    pub(crate) first_byte: Duration,
    pub(crate) idle: Duration,
    pub(crate) comment: Duration,
    pub(crate) total: Duration,
    pub(crate) grace_after_finish: Duration,
    pub(crate) max_retries: u32,
    pub(crate) backoff_base: Duration,
    pub(crate) retry_after_cap: Duration,
    /// How many connections to one provider are kept open between two requests.
    pub(crate) idle_connections: usize,
}

impl From<&Config> for Limits {
    fn from(config: &Config) -> Self {
        Self {
            connect: config.connect_timeout,
            first_byte: config.first_byte_timeout,
            idle: config.idle_timeout,
            comment: config.comment_timeout,
            total: config.total_timeout,
            grace_after_finish: config.grace_after_finish,
            max_retries: config.max_retries,
            backoff_base: config.backoff_base,
            retry_after_cap: config.retry_after_cap,
            idle_connections: usize::MAX,
        }
    }
}

#[cfg(test)]
impl Limits {
    /// Limits that no unit test meets.
    pub(crate) fn for_tests() -> Self {
        use clap::Parser;
        Self::from(&Config::parse_from(["rill"]))
    }
}
