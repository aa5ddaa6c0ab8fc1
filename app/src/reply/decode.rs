//! Decodes the bytes of a connection into numbered chat events.
//!
//! One decoder reads one connection. It does no I/O: the caller feeds it.

use std::collections::VecDeque;

use crate::protocol::{ChatEvent, ErrorKind, ReplyError, UNREADABLE_STREAM};
use crate::sse::{Decoder, Item};

/// The most bytes of one event. The server's events are much smaller; the limit guards against responses that are not
/// from our server.
const EVENT_LIMIT: usize = 16 * 1024 * 1024;

/// An event with its sequence number.
#[derive(Debug, Clone, PartialEq)]
pub struct NumberedEvent {
    /// The seq of the event, or of the last event that was joined into it. `None` if the stream has no id.
    pub seq: Option<u64>,
    /// The event.
    pub event: ChatEvent<'static>,
}

/// Reads the bytes of one connection.
#[derive(Debug)]
pub struct ReplyDecoder {
    decoder: Decoder,
    /// Decoded events that were not taken yet.
    ready: VecDeque<NumberedEvent>,
}

impl Default for ReplyDecoder {
    fn default() -> Self {
        Self {
            decoder: Decoder::with_comments(EVENT_LIMIT),
            ready: VecDeque::new(),
        }
    }
}

impl ReplyDecoder {
    /// Decodes the next bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        let Self { decoder, ready } = self;
        let decoded = decoder.feed_items(bytes, |item| match item {
            // Transient events are comments and have no number.
            Item::Comment(comment) => {
                let transient = ChatEvent::from_comment(comment);
                ready.extend(transient.map(|event| NumberedEvent { seq: None, event }));
            }
            Item::Event(event) => {
                let seq = event.id.parse().ok();
                match ChatEvent::from_sse(event.name, event.data) {
                    Ok(Some(event)) => ready.push_back(NumberedEvent { seq, event }),
                    Ok(None) => {}
                    Err(_) => ready.push_back(unreadable()),
                }
            }
        });
        if decoded.is_err() {
            ready.push_back(unreadable());
        }
    }
}

impl Iterator for ReplyDecoder {
    type Item = NumberedEvent;

    /// The next complete event.
    fn next(&mut self) -> Option<NumberedEvent> {
        self.ready.pop_front()
    }
}

/// The terminal event for a stream that cannot be decoded.
fn unreadable() -> NumberedEvent {
    NumberedEvent {
        seq: None,
        event: ChatEvent::Error(ReplyError {
            message: UNREADABLE_STREAM.to_owned(),
            ..ReplyError::of(ErrorKind::Internal)
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Finish;

    fn read(bytes: &[u8]) -> Vec<NumberedEvent> {
        let mut incoming = ReplyDecoder::default();
        incoming.feed(bytes);
        incoming.collect()
    }

    #[test]
    fn each_event_has_its_seq() {
        let got = read(
            b"id: 3\ndata: \"a\"\n\n: ping\n\nid: 4\nevent: done\ndata: {\"finish\":\"stop\"}\n\n",
        );
        let expect = [
            (Some(3), ChatEvent::Text("a".into())),
            (Some(4), ChatEvent::Done(Finish::Stop)),
        ];
        assert_eq!(got, expect.map(|(seq, event)| NumberedEvent { seq, event }));
        assert_eq!(read(b"data: \"a\"\n\n")[0].seq, None);
    }

    #[test]
    fn unknown_events_are_ignored() {
        assert_eq!(read(b"event: weather\ndata: rain\n\n"), []);
    }

    #[test]
    fn an_undecodable_stream_ends_the_reply_with_an_error() {
        let got = read(b"data: {\n\n");
        let [NumberedEvent { event, .. }] = got.as_slice() else {
            panic!("one event: {got:?}")
        };
        assert!(event.is_terminal());
    }
}
