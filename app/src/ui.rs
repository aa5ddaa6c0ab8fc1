//! The page's components and its words. Each knows the verbs of the chat and nothing of the network; what they
//! share (where the view stands, where one writes) comes by context.

pub(crate) mod dom;
mod server_rendered;
pub mod text;

pub mod composer;
pub mod content;
pub mod controls;
pub mod message;
pub mod settings;
pub mod sidebar;
pub mod transcript;
