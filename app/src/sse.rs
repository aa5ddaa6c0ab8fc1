//! Server-Sent Events: bytes to events and back, without I/O. Server and page both read streams
//! through [`Decoder`]; the server writes them with [`write_event`].
//!
//! The rules are those of the WHATWG HTML standard, section 9.2.6. This module does not connect or
//! reconnect, and does not know what an event means.

mod decoder;
mod encoder;

pub use decoder::{Decoder, TooLarge};
pub use encoder::write_event;

/// One event, borrowed for as long as the callback of [`Decoder::feed`] runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event<'a> {
    /// The type of the event; `message` by default.
    pub name: &'a str,
    /// The data lines, joined by line feeds.
    pub data: &'a str,
    /// The last event ID at this event. Empty if the stream has sent none.
    pub id: &'a str,
}

/// An item of a stream: an event or a comment. Only readers of our own stream use comments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item<'a> {
    /// An event.
    Event(Event<'a>),
    /// The text of a comment.
    Comment(&'a str),
}
