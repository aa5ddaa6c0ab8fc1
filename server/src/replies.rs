//! One reply being made: a task that reads the provider and hands events on, in one of two ways.
//!
//! `relay` is the reading, with its limits and its line in the log. `stateless` gives the events to the
//! one reader of a stateless reply, and ends with them. `log` keeps the events of a saved reply, for
//! any number of readers, and `saved` runs it whether anybody reads or not.
//!
//! None of it knows HTTP.

pub mod frame;
pub mod log;
mod relay;

pub(crate) mod saved;
mod stateless;
pub(crate) mod title;
mod title_text;

use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt};
use tokio::time::timeout;

pub use self::saved::Generations;
pub(crate) use self::stateless::start;

/// The first sign of life when the provider is silent; proxies and people want one early.
const FIRST_PING: Duration = Duration::from_secs(1);
/// The further ones. Proxies commonly give up after 30 s or 60 s of silence.
const PING: Duration = Duration::from_secs(15);
const PING_COMMENT: &[u8] = b": ping\n\n";

/// 128 random bits in the form of all ids: who knows the id of a reply may read it.
pub(crate) fn new_id() -> String {
    uuid::Uuid::from_u128(rand::random()).to_string()
}

/// Adds a comment to a stream whenever it was silent for a while; the first silence is the shortest,
/// also when it follows the start of the reply. The guard is dropped with the stream.
pub(crate) fn with_pings<S, G>(
    events: S,
    guard: G,
) -> impl Stream<Item = std::io::Result<Bytes>> + use<S, G>
where
    S: Stream<Item = std::io::Result<Bytes>>,
{
    stream::unfold(
        (Box::pin(events), FIRST_PING, guard),
        |(mut events, wait, guard)| async move {
            match timeout(wait, events.next()).await {
                Ok(bytes) => bytes.map(|bytes| (bytes, (events, wait, guard))),
                Err(_) => Some((Ok(Bytes::from_static(PING_COMMENT)), (events, PING, guard))),
            }
        },
    )
}
