//! Responses whose body is sent while it is made, with the headers that keep proxies from buffering it.

use std::io;
use std::sync::Arc;

use app::protocol::EVENT_STREAM;
use axum::body::{Body, Bytes};
use axum::http::HeaderName;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures::Stream;

use crate::metrics::Metrics;

/// The header that keeps nginx and others from buffering a response. Its value is `no`.
pub(super) const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// A response of this media type whose body is sent piece by piece.
pub(super) fn streamed(
    media_type: &'static str,
    bytes: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
) -> Response {
    let headers = [
        (CONTENT_TYPE, media_type),
        (CACHE_CONTROL, "no-store, no-transform"),
        (X_ACCEL_BUFFERING, "no"),
    ];
    (headers, Body::from_stream(bytes)).into_response()
}

/// A response with a stream of events.
pub(super) fn event_stream(
    bytes: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
) -> Response {
    streamed(EVENT_STREAM, bytes)
}

/// Counts an open stream of a saved reply until it is dropped.
#[derive(Debug)]
pub(super) struct OpenReader(Arc<Metrics>);

impl OpenReader {
    pub(super) fn count(metrics: &Arc<Metrics>) -> Self {
        metrics.readers.inc();
        Self(Arc::clone(metrics))
    }
}

impl Drop for OpenReader {
    fn drop(&mut self) {
        self.0.readers.dec();
    }
}
