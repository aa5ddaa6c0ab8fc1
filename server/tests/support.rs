//! The harness of the tests: a scripted upstream, a plain HTTP client, the server under test, and its log.

pub(crate) mod caching_provider;
pub(crate) mod collector;
pub(crate) mod conversations;
pub(crate) mod guarded;
pub(crate) mod http;
pub(crate) mod log;
pub(crate) mod openid_provider;
pub(crate) mod over_http2;
pub(crate) mod panics;
pub(crate) mod people;
pub(crate) mod program;
pub(crate) mod program_data;
pub(crate) mod rill;
pub(crate) mod script_player;
pub(crate) mod scripted_upstream;
pub(crate) mod scripts;

use std::time::Duration;

/// Waits for what must happen without saying when. The limit only turns a hang into a failure.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future)
        .await
        .expect("this hangs")
}

/// Waits for what must happen within a second.
pub(crate) async fn within_a_second<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(1), future)
        .await
        .expect("this takes a second or more")
}
