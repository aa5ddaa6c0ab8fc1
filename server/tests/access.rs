//! Who is let in.

mod commands;
mod matrix;
mod models;
mod openid;
mod proxy;
mod sessions;
mod sign_in;
