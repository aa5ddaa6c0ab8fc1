//! The real router over real HTTP, with scripted upstreams. The folders mirror those of `src`.
//!
//! One program holds all of these tests, so that they are linked once.

mod support;

mod access;
mod http;
mod providers;
mod replies;
mod store;
