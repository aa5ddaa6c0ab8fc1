//! A response that is a stream of events, with the headers that keep proxies from buffering it.

use std::io;

use app::protocol::EVENT_STREAM;
use axum::body::{Body, Bytes};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures::Stream;

/// A response with a stream of events.
pub(super) fn event_stream(
    bytes: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
) -> Response {
    let headers = [
        (CONTENT_TYPE.as_str(), EVENT_STREAM),
        (CACHE_CONTROL.as_str(), "no-store, no-transform"),
        ("x-accel-buffering", "no"),
    ];
    (headers, Body::from_stream(bytes)).into_response()
}
