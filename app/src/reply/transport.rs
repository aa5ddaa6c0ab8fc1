//! What the page needs from the network to get replies.
//!
//! The trait stands here and its real implementation in `frontend`, so that this crate does no I/O.
//! On the server nobody provides one: a page that is being rendered there sends nothing.

use std::sync::Arc;

use futures::future::LocalBoxFuture;
use futures::stream::LocalBoxStream;
use leptos::prelude::{provide_context, use_context};

use crate::protocol::saved::SendMessage;
use crate::protocol::{ChatRequest, ErrorKind, ReplyError};
use crate::reply::decode::NumberedEvent;

/// How a reply is asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum ReplyRequest {
    /// A reply that nobody keeps: it ends with its connection, and cannot be read again.
    Ephemeral(ChatRequest),
    /// A new message of a saved conversation. Sent twice it is one message, and starts one reply.
    Send {
        /// The id of the conversation.
        conversation: String,
        /// The message.
        message: SendMessage,
    },
    /// A saved reply that has begun.
    Resume {
        /// The reply.
        generation: String,
        /// The number of the last event that is known.
        after: Option<u64>,
    },
}

/// What a connection brings.
#[derive(Debug, Clone, PartialEq)]
pub enum Received {
    /// The server accepted the request: the headers came.
    Accepted,
    /// Bytes came. The events that they complete follow.
    Bytes,
    /// An event.
    Event(NumberedEvent),
}

/// Why there is no connection, or no more of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectionError {
    /// The network failed, or the server is not there at the moment: it makes sense to try again.
    Transient(ReplyError),
    /// The server said no, and would say it again.
    Rejected(ReplyError),
}

impl ConnectionError {
    /// The network failed, and nothing more is known.
    #[must_use]
    pub fn unreachable() -> Self {
        Self::Transient(ReplyError::of(ErrorKind::ServerUnreachable))
    }
}

/// What comes over one connection. It ends where the connection does; dropping it aborts the request.
pub type Connection = LocalBoxStream<'static, Result<Received, ConnectionError>>;

/// A way to ask the server for replies.
pub trait ChatTransport: Send + Sync {
    /// Asks, over a new connection.
    ///
    /// * A stream that ends without a terminal event was cut.
    /// * Dropping it aborts the request. A reply that nobody keeps ends with that, up to the provider;
    ///   a saved one goes on.
    fn open(&self, request: ReplyRequest) -> Connection;

    /// Stops a saved reply, as often as it is said. All its readers get the end of it.
    fn stop(&self, generation: String) -> LocalBoxFuture<'static, Result<(), ConnectionError>>;
}

/// Makes the transport available to the page.
pub fn provide_transport(transport: impl ChatTransport + 'static) {
    provide_context::<Arc<dyn ChatTransport>>(Arc::new(transport));
}

/// The transport, if there is one here; there is none while the server renders.
#[must_use]
pub fn use_transport() -> Option<Arc<dyn ChatTransport>> {
    use_context()
}
