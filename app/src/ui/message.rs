//! The views of questions and replies, with their buttons.

pub mod continue_reply;
pub mod figures;
pub mod more;
pub mod question;
pub mod reasoning;
pub mod regenerate;
pub mod reply;
pub mod versions;
pub mod waiting;
