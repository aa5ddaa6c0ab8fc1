//! Saved conversations over HTTP.

mod branches;
mod functions;
mod ids;
mod import_export;
mod imports;
mod parts;
mod presets;
