//! Small controls that several components use.

pub mod copy_button;
pub mod link;
pub mod local_number;
pub mod ticking;
