//! Routes, and the access layer before them.

mod access;
mod alone;
mod below;
mod body;
mod chat_request;
mod content_coding;
mod conversations;
mod event_stream;
mod formats;
mod health;
mod limits;
mod malformed;
mod metrics;
mod openai;
mod pages;
mod reload;
mod retention;
mod routes;
mod shutdown;
mod streams_left;
mod targets;
mod tls;
mod traces;
