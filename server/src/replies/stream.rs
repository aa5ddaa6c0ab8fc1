//! The reader's end of a reply: its events as a stream of bytes, with pings while there are none.

use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt};
use tokio::time::{Instant, timeout};

use super::log::Reader;

/// The first sign of life when the provider is silent; proxies and people want one early.
const FIRST_PING: Duration = Duration::from_secs(1);
/// The further ones. Proxies commonly give up after 30 s or 60 s of silence.
const PING: Duration = Duration::from_secs(15);
const PING_COMMENT: &[u8] = b": ping\n\n";

/// What comes so soon after something was sent waits and is sent as one, up to this time. A picture on
/// the screen takes longer, and each piece that arrives alone costs a browser more than the text in it.
const GATHER: Duration = Duration::from_millis(12);

/// The events that a reader gets, with a sign of life while there are none. The guard is
/// dropped with the stream.
pub(crate) fn events_of<G>(
    reader: Reader,
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
