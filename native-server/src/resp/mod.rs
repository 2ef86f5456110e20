//! Redis's protocol: requests in (`parser.rs`), replies out (`wire.rs`).
//!
//! Not here: sockets, and what a request means.

pub mod inline;
pub mod parser;
pub mod wire;
