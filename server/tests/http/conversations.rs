//! Saved conversations over HTTP.

mod functions;
mod ids;
mod import_export;
mod imports;
mod parts;
