//! Routes, and the access layer before them.

mod access;
mod body;
mod content_coding;
mod event_stream;
mod formats;
mod functions;
mod ids;
mod import_export;
mod limits;
mod openai;
mod pages;
mod parts;
mod shutdown;
mod targets;
