//! Markdown, as it is shown while it grows and when it is whole.
//!
//! In reading order: the tree that a text means ([`node`], [`parse`]), how it is written as HTML
//! ([`html`]) or kept up to date in a document ([`patch`]), and how a growing text is read so that the
//! work for a piece does not depend on what came before it ([`stream`]).
//!
//! The parser is pulldown-cmark. It reads whole texts only; here is what makes it read the end of
//! one. This module knows no browser: a document is anything that is a [`patch::Dom`].

pub mod node;
pub mod parse;

mod definitions;
mod direction;
mod dollars;
mod emphasis;
pub mod formula;
mod formulas;
mod html_block;
mod link;
mod masks;
mod tex;

pub mod html;
pub mod patch;
pub mod unclosed;

mod commit_point;
mod depth;
mod open;
mod parts;
mod predict;
pub mod stream;
mod waiting;

#[cfg(test)]
mod as_written_tests;
#[cfg(test)]
mod direction_tests;
#[cfg(any(test, fuzzing))]
mod fake_dom;
#[cfg(test)]
mod nesting_tests;
#[cfg(test)]
mod parts_tests;
#[cfg(any(test, fuzzing))]
pub mod proof;
#[cfg(test)]
mod random_tests;
#[cfg(test)]
mod tests;
