//! Who is let in.

mod matrix;
mod sign_in;
