//! The engine of Ferrite: a Redis-shaped cache under a hard memory budget.
//!
//! It is a pure state machine. It knows no clock, no protocol, no thread and no file: the time is
//! an argument, replies go to a sink the host provides ([`Reply`]), changes to another
//! ([`Effects`]). So the same engine runs inside an edge function and behind a server.
//!
//! - [`Keyspace`] is the cache; [`Keyspace::at`] gives its operations at a moment, [`Cx`].
//! - [`execute`] runs a command as Redis would, from its arguments; [`all`] and [`find`] are the
//!   command table.
//!
//! ```
//! use ferrite_engine::{Keyspace, Options, Policy, SetOptions};
//!
//! let options = Options { policy: Policy::AllKeysLru, seed: 42, ..Options::default() };
//! let mut keys = Keyspace::new(&options)?;
//! let mut cx = keys.at(1_700_000_000_000);
//! cx.set(b"visits", b"41", &SetOptions::default())?;
//! assert_eq!(cx.incr_by(b"visits", 1)?, 42);
//! # Ok::<(), ferrite_engine::Error>(())
//! ```
//!
//! | feature | default | what it adds |
//! | --- | --- | --- |
//! | `docs` | yes | the documentation fields of the command table |
//! | `dump` | yes | the commands DUMP and RESTORE |
//! | `effects` | yes | somebody may listen to [`Effects`] |
//! | `lcs` | yes | the command LCS |
//! | `sort` | yes | the commands SORT and SORT_RO |
//! | `zset` | yes | sorted sets; `dump` and `sort` need them |
//! | `simulate` | no | keys can be evicted one by one, to drive the policies by a trace |

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod arena;
mod bytes;
mod command;
mod deque;
#[cfg(feature = "dump")]
mod dump;
mod effects;
mod encoding;
mod error;
mod evict;
mod expire;
mod float;
mod glob;
mod hash;
mod hasher;
mod history;
mod index;
mod keys;
mod keyspace;
pub mod limits;
mod linear;
mod list;
mod num;
mod object;
mod options;
mod packed;
mod random;
#[cfg(feature = "dump")]
mod rdb;
mod record;
mod rename;
mod reply;
mod room;
mod scan;
#[cfg(feature = "zset")]
mod score;
mod set;
#[cfg(feature = "sort")]
mod sort;
#[cfg(feature = "zset")]
mod sorted_set;
mod stats;
mod string;
mod table;
#[cfg(feature = "zset")]
mod tree;
mod validate;
mod value;
mod write;

#[cfg(fuzzing)]
pub mod fuzzing;

pub use command::{
    Args, Arity, DENYOOM, Docs, EDGE, FAST, Group, Keys, READ, Spec, WRITE, all, check, execute,
    find,
};
pub use deque::Side;
pub use effects::Effects;
pub use error::{Error, Result};
pub use expire::{ExpireOptions, Ttl};
pub use float::FloatText;
pub use hash::field_expiry::FieldOutcome;
pub use keyspace::{Cx, Keyspace, Millis};
pub use list::{Positions, ShowElement};
pub use options::{Options, Policy, parse_memory};
pub use reply::Reply;
#[cfg(feature = "zset")]
pub use sorted_set::{AddOptions, Added};
pub use stats::Stats;
pub use string::ShowOld;
#[cfg(feature = "lcs")]
pub use string::lcs::{Lcs, LcsMatch};
pub use string::set::{Condition, Expiry, SetOptions};
pub use value::{Parts, Source, Value};
