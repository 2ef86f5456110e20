//! What authors of WebAssembly functions for Ferrite use.
//!
//! A function runs inside the server, next to the data: one request, all of its writes or none.
//!
//! ```
//! use ferrite_udf_sdk::prelude::*;
//!
//! #[ferrite_udf]
//! fn rate_limit(key: &str, limit: i64, window_secs: i64) -> UdfResult {
//!     let current: i64 = ferrite::get(key)
//!         .and_then(|v| v.parse().ok())
//!         .unwrap_or(0);
//!
//!     if current >= limit {
//!         return UdfResult::error("rate limit exceeded");
//!     }
//!
//!     let new_val = current + 1;
//!     ferrite::set(key, &new_val.to_string());
//!
//!     // Set TTL to window duration if this is the first increment
//!     if current == 0 {
//!         ferrite::expire(key, window_secs);
//!     }
//!
//!     UdfResult::ok(new_val)
//! }
//! ```
//!
//! Build it as a `cdylib` for `wasm32-unknown-unknown` or `wasm32-wasip1`, then
//! `redis-cli -x FUNCTION LOAD WASM < x.wasm`, and `FCALL rate_limit 1 api:user:42 100 60`.
//!
//! What server and module owe each other is in `docs/functions.md` of the repository (ABI 1); how
//! to keep modules small, in this crate's README. The crate is `no_std` with `alloc`; functions may
//! use `std` or not.
//!
//! Not here: anything of the server. Outside of WebAssembly the crate compiles, so that the logic
//! around the calls can be tested, but a call of the host panics.

#![no_std]
#![deny(unsafe_code)]

extern crate alloc;

mod arena;
mod error;
pub mod ferrite;
mod raw;
mod reply;
mod value;

pub use error::{Error, Result};
pub use ferrite_udf_macro::{ferrite_function, ferrite_udf};
pub use raw::Level;
pub use reply::{Reply, UdfResult};
pub use value::Value;

/// What a function needs: `use ferrite_udf_sdk::prelude::*;`.
pub mod prelude {
    pub use crate::{
        Error, Level, Reply, UdfResult, Value, ferrite, ferrite_function, ferrite_udf,
    };
}

#[doc(hidden)]
pub mod __private {
    pub use crate::raw::{bytes, bytes_list, optional_bytes, optional_str, str, str_list};
    pub use crate::reply::finish;
}

/// What the README shows compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
