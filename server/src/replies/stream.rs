//! The events of a reply as a stream of bytes, with pings while there are no events.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, Stream};
use tokio::time::{Instant, Sleep, sleep};

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
    let mut events = Box::pin(events);
    let mut silence = Silence::new();
    stream::poll_fn(move |context| {
        let _guard = &guard;
        match events.as_mut().poll_next(context) {
            Poll::Ready(bytes) => {
                silence.is_over();
                Poll::Ready(bytes)
            }
            Poll::Pending => silence
                .poll_ping(context)
                .map(|()| Some(Ok(Bytes::from_static(PING_COMMENT)))),
        }
    })
}

/// Measures the silence of a stream. An event does not touch the timer: when it rings, it is set to the time that the
/// last event has put off.
struct Silence {
    timer: Pin<Box<Sleep>>,
    /// When the reader began to wait. `None`: it does not wait.
    since: Option<Instant>,
    /// The silence before the next ping.
    wait: Duration,
}

impl Silence {
    fn new() -> Self {
        Self {
            timer: Box::pin(sleep(FIRST_PING)),
            since: None,
            wait: FIRST_PING,
        }
    }

    fn is_over(&mut self) {
        self.since = None;
    }

    /// Waits until a ping is due.
    fn poll_ping(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let since = *self.since.get_or_insert_with(Instant::now);
        while self.timer.as_mut().poll(context).is_ready() {
            let due = since + self.wait;
            if Instant::now() >= due {
                self.wait = PING;
                self.since = None;
                self.timer.as_mut().reset(Instant::now() + PING);
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(due);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use tokio::sync::mpsc;

    use super::*;

    const EVENT: &[u8] = b"data: 1\n\n";

    #[tokio::test(start_paused = true)]
    async fn a_ping_comes_after_each_silence_and_an_event_puts_it_off() {
        let (send, mut sent) = mpsc::unbounded_channel();
        let events = stream::poll_fn(move |context| {
            sent.poll_recv(context).map(|event: Option<&'static [u8]>| {
                event.map(|event| Ok(Bytes::from_static(event)))
            })
        });
        let began = Instant::now();
        tokio::spawn(async move {
            // In milliseconds after the beginning.
            for at in [0, 700, 1_500, 2_400, 20_000] {
                tokio::time::sleep_until(began + Duration::from_millis(at)).await;
                send.send(EVENT).expect("it is read");
            }
            tokio::time::sleep_until(began + Duration::from_millis(40_000)).await;
        });
        let mut got = Vec::new();
        let mut stream = Box::pin(with_pings(events, ()));
        while let Some(bytes) = stream.next().await {
            let is_ping = bytes.expect("no error") == PING_COMMENT;
            got.push((began.elapsed().as_millis() as u64, is_ping));
        }
        let expect = [
            (0, false),
            (700, false),
            (1_500, false),
            (2_400, false),
            // The first silence that lasts a second, then 15 of them.
            (3_400, true),
            (18_400, true),
            (20_000, false),
            (35_000, true),
        ];
        let is_near = |(at, is_ping): &(u64, bool), (expected, expect_ping): &(u64, bool)| {
            at.abs_diff(*expected) <= 5 && is_ping == expect_ping
        };
        let all = got.len() == expect.len() && got.iter().zip(&expect).all(|(a, b)| is_near(a, b));
        assert!(all, "{got:?}");
    }
}
