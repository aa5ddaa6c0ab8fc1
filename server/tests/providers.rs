//! Providers: the requests to them, and the meaning of their answers.

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
