//! The browser as the page needs it: traits that tests implement, too.

pub mod clock;
pub mod keys;
pub mod lifecycle;
pub mod storage;
