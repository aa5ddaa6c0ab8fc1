//! Who is let in.

mod commands;
mod matrix;
mod proxy;
mod sessions;
mod sign_in;
