//! What the page needs from the network.
//!
//! The trait stands here and its real implementation in `frontend`, so that this crate does no I/O.
//! On the server nobody provides one: a page that is being rendered there sends nothing.

use std::sync::Arc;

use futures::stream::LocalBoxStream;
use leptos::prelude::{provide_context, use_context};

use crate::protocol::{ChatEvent, ChatRequest};

/// A way to ask the server for a reply.
pub trait ChatTransport: Send + Sync {
    /// Sends the request and gives the events of the reply as they come.
    ///
    /// * What goes wrong before the server has accepted the request is an `Error` event without a
    ///   `Start` before it.
    /// * A stream that ends without a terminal event was cut.
    /// * Dropping the stream aborts the request, and by that the upstream's.
    fn chat(&self, request: ChatRequest) -> LocalBoxStream<'static, ChatEvent<'static>>;
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
