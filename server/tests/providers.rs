//! The providers: what they are asked, and what their answers mean.

mod caching;
mod chat_completions;
mod conformance;
mod connections;
mod dispatch;
mod irregular_answers;
mod irregular_ends;
mod quirks;
mod recorded;
mod responses_and_messages;
