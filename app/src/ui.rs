//! The components of the page and their texts. Components use the operations of the chat and know nothing of the network;
//! shared state, such as the scroll position and the message field, is in contexts.
//!
//! The rows of the lists in panels and the fields of the settings are created and read directly. As views with signals
//! they would cost the page tens of kilobytes.

pub(crate) mod dom;
mod server_rendered;
pub mod text;

pub mod composer;
pub mod content;
pub mod controls;
pub mod header;
pub mod message;
pub mod panels;
pub mod sidebar;
pub mod suggestions;
pub mod transcript;
