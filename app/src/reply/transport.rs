//! The transport of replies: a connection per request.
//!
//! The trait is here and its implementation in `frontend`, because this crate does no I/O. There is no transport while
//! the server renders a page.

use std::sync::Arc;

use futures::future::LocalBoxFuture;
use futures::stream::LocalBoxStream;
use leptos::prelude::{provide_context, use_context};

use crate::protocol::saved::SendMessage;
use crate::protocol::{ChatRequest, ErrorKind, ReplyError};
use crate::reply::decode::NumberedEvent;

/// A request for a reply.
#[derive(Debug, Clone, PartialEq)]
pub enum ReplyRequest {
    /// A reply that is not saved: it ends with its connection, and cannot be resumed.
    Ephemeral(ChatRequest),
    /// A message of a saved conversation. The request is idempotent by its id.
    Send {
        /// The id of the conversation.
        conversation: String,
        /// The message.
        message: SendMessage,
    },
    /// A saved reply that has started.
    Resume {
        /// The id of the generation.
        generation: String,
        /// The seq of the last event that was received.
        after: Option<u64>,
    },
}

/// An item of a connection.
#[derive(Debug, Clone, PartialEq)]
pub enum Received {
    /// The server accepted the request: the response headers arrived.
    Accepted,
    /// Bytes arrived. The events that they complete follow.
    Bytes,
    /// An event.
    Event(NumberedEvent),
}

/// Why a connection failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectionError {
    /// The network failed, or the server is overloaded or restarting: a retry can succeed.
    Transient(ReplyError),
    /// The server rejected the request, and would reject it again.
    Rejected(ReplyError),
}

impl ConnectionError {
    /// The server could not be reached.
    #[must_use]
    pub fn unreachable() -> Self {
        Self::Transient(ReplyError::of(ErrorKind::ServerUnreachable))
    }
}

/// The items of one connection. The stream ends with the connection; dropping it aborts the request.
pub type Connection = LocalBoxStream<'static, Result<Received, ConnectionError>>;

/// Requests replies from the server.
pub trait ChatTransport: Send + Sync {
    /// Sends a request over a new connection.
    ///
    /// * A stream that ends without a terminal event was cut off.
    /// * Dropping the stream aborts the request. That cancels an ephemeral reply, up to the provider; a saved reply
    ///   continues.
    fn open(&self, request: ReplyRequest) -> Connection;

    /// Stops a saved reply; repeated calls are harmless. All readers of the reply get its end.
    fn stop(&self, generation: String) -> LocalBoxFuture<'static, Result<(), ConnectionError>>;
}

/// Provides the transport as a context.
pub fn provide_transport(transport: impl ChatTransport + 'static) {
    provide_context::<Arc<dyn ChatTransport>>(Arc::new(transport));
}

/// The transport; `None` while the server renders.
#[must_use]
pub fn use_transport() -> Option<Arc<dyn ChatTransport>> {
    use_context()
}
