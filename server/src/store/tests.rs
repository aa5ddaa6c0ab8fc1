//! What the store does when statements fail, and when the disk is full.

pub(super) mod faults;
mod full_disk;
