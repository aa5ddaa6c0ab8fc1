//! Everything that uses HTTP: routes, access control, request bodies, the page and its frames, the API for
//! other programs, and the sockets.

pub mod descriptors;
pub mod listen;
mod router;
mod routes;
pub mod state;
pub mod tls;
pub mod workers;

// Layers that every request passes.
mod access;
mod authorize;
mod below;
mod body;
mod content_coding;
mod cookies;
mod error;
mod forwarded;
pub mod health;
mod limits;
pub mod metrics;
mod until_ended;

// Replies.
mod chat;
mod formats;
mod generations;
mod messages;
mod models;
mod negotiate;
mod streamed;

// Saved conversations and files.
mod changes;
mod export;
mod file_name;
mod functions;
mod import;
mod library;

// Other programs, the page, and the pages of accounts.
mod account;
mod frames;
mod openai;
mod pages;

pub use self::export::to_file as export_to_file;
pub use self::router::{route_table, router};
pub use self::routes::{Needs, RouteInfo};
