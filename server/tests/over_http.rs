//! The real router over real HTTP, against an upstream that plays scripts.
//!
//! One program holds all of these tests, so that they are linked once.

mod support;

mod bodies;
mod compressed_bodies;
mod conversations;
mod forms;
mod guard;
mod leaving;
mod limits;
mod long_work;
mod more_scripts;
mod openai_surface;
mod other_kinds;
mod pages;
mod refused_fields;
mod reported_kinds;
mod several_upstreams;
mod shutdown;
mod sse_contract;
mod stale;
mod stores;
mod targets;
mod upstream_scripts;
