//! The events of a reply as a stream of bytes, with pings while there are no events.

use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt};
use tokio::time::{Instant, timeout};

use super::log::LogReader;

/// The silence before the first ping. Some proxies expect bytes early.
const FIRST_PING: Duration = Duration::from_secs(1);
/// The silence before each further ping. Proxies commonly close a connection after 30 s or 60 s of silence.
const PING: Duration = Duration::from_secs(15);
const PING_COMMENT: &[u8] = b": ping\n\n";

/// The least time between two batches. A frame on the screen takes longer, and each batch costs a browser
/// more than the text in it.
const GATHER: Duration = Duration::from_millis(12);

/// The events of a reader as bytes, with pings. The guard is dropped with the stream.
pub(crate) fn events_of<G>(
    reader: LogReader,
    guard: G,
) -> impl Stream<Item = std::io::Result<Bytes>> + use<G> {
    let events = stream::unfold((reader, None), |(mut reader, sent_at)| async move {
        if let Some(sent_at) = sent_at {
            reader.gather(sent_at + GATHER).await;
        }
        let bytes = reader.next().await?;
        Some((Ok(bytes), (reader, Some(Instant::now()))))
    });
    with_pings(events, guard)
}

/// Adds a comment to a stream after each period of silence. The first period is shorter, also after the start
/// event. The guard is dropped with the stream.
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
