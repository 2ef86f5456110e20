//! Redis's protocol: requests in (`parser.rs`, and `ahead.rs` for those behind), replies out
//! (`wire.rs`).
//!
//! Not here: sockets, and what a request means.

pub mod ahead;
pub mod inline;
pub mod parser;
pub mod wire;
