//! Who is let in.

mod matrix;
