//! A question, a reply, and what stands around them.

pub mod ask_again;
pub mod figures;
pub mod go_on;
pub mod question;
pub mod reasoning;
pub mod reply;
pub mod versions;
pub mod waiting;
