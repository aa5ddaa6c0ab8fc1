//! The server, from the outside in: [`http`] answers requests, [`replies`] makes replies, [`providers`]
//! asks language models, [`access`] knows who may use the server, and [`store`] keeps conversations. [`config`]
//! reads the configuration and builds the settings of each of them, and [`metrics`] counts what all of them do, which [`traces`]
//! tells a collector.
//!
//! A layer uses those below it and never one above: `tests/layers.rs` checks that.

pub mod access;
pub mod config;
pub mod doctor;
pub mod http;
pub mod metrics;
pub mod providers;
mod reference;
pub mod replies;
mod roots;
pub mod store;
pub mod traces;
