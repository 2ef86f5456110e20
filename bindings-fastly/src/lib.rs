#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod cache;
mod commands;
mod error;
mod host;
mod reply;
#[cfg(feature = "fastly")]
pub mod tiers;
#[cfg(feature = "workers")]
mod workers;

pub(crate) use ferrite_engine as engine;

pub use cache::{Cache, Options};
pub use commands::When;
pub use engine::{Condition, Expiry, Millis, Policy, SetOptions, Side, Stats, parse_memory};
pub use error::{Error, Result};
pub use reply::{FromReply, Pairs, Reply};
