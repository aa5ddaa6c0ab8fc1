//! Who is let in.

mod commands;
mod matrix;
mod sign_in;
