//! What the page needs of the browser, as traits and plain functions that tests can stand in for.

pub mod clock;
pub mod keys;
pub mod lifecycle;
pub mod storage;
