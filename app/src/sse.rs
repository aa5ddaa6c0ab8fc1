//! Server-Sent Events: bytes to events and back, without I/O. Server and page both read streams
//! through [`Decoder`]; the server writes them with [`write_event`].
//!
//! The rules are those of the WHATWG HTML standard, section 9.2.6. This module does not connect or
//! reconnect, and knows nothing of what an event means.

mod decoder;
mod encoder;

pub use decoder::{Decoder, TooLarge};
pub use encoder::write_event;

/// One event, borrowed for as long as the callback of [`Decoder::feed`] runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event<'a> {
    /// The type of the event, `message` when the stream gives none.
    pub name: &'a str,
    /// The data lines, joined by line feeds.
    pub data: &'a str,
    /// The last event ID, as it is with this event. Empty when the stream has given none.
    pub id: &'a str,
}

/// What a stream holds: an event, or a comment beside them, which a reader passes over unless it knows
/// who wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item<'a> {
    /// An event.
    Event(Event<'a>),
    /// The text of a comment's line.
    Comment(&'a str),
}
