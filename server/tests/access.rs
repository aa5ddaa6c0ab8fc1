//! Who is let in.

mod commands;
mod matrix;
mod models;
mod nginx;
mod openid;
mod proxy;
mod sessions;
mod sign_in;
