//! Rendered Markdown on the page: elements, and the controls of code, images and diagrams.

mod code_block;
mod diagram;
mod highlighter;
pub(super) mod markdown_dom;
mod picture;
pub mod streamed_text;
