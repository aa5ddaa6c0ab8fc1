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

/// Events that come at least so far apart are sent at once, each by itself. Few models write faster.
const APART: Duration = Duration::from_millis(4);
/// So many events may come faster before they are gathered. Networks and providers send some in pairs.
const QUICK: u8 = 3;
/// The least time between two batches of events that come faster. A frame on the screen takes longer, and each
/// batch costs a browser more than the text in it.
const GATHER: Duration = Duration::from_millis(12);

/// The events of a reader as bytes, with pings. The guard is dropped with the stream.
pub(crate) fn events_of<G>(
    reader: LogReader,
    guard: G,
) -> impl Stream<Item = std::io::Result<Bytes>> + use<G> {
    let events = stream::unfold((reader, None), |(mut reader, last)| async move {
        let mut quick = 0;
        if let Some((sent_at, before)) = last {
            reader.ready().await;
            if Instant::now() < sent_at + APART {
                quick = QUICK.min(before + 1);
            }
            if quick == QUICK {
                reader.gather(sent_at + GATHER).await;
            }
        }
        let bytes = reader.next().await?;
        Some((Ok(bytes), (reader, Some((Instant::now(), quick)))))
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
