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
//! | `bitmap` | yes | the commands on bits of strings |
//! | `compression` | no | strings that are not in use can be compressed ([`Options`]) |
//! | `docs` | yes | the documentation fields of the command table |
//! | `edge` | yes | all features of the edge build, which are the following ten |
//! | `copy` | yes | the command COPY |
//! | `float` | yes | the commands INCRBYFLOAT and HINCRBYFLOAT |
//! | `hash` | yes | hashes |
//! | `learn` | yes | the policies `allkeys-s3fifo` and `allkeys-gdsf` |
//! | `lite` | yes | what the lite edge build has of them: short ways for GET and SET |
//! | `list` | yes | lists |
//! | `object` | yes | the command OBJECT |
//! | `range` | yes | the commands on parts of strings: APPEND, GETRANGE, SETRANGE |
//! | `rename` | yes | the commands RENAME and RENAMENX |
//! | `set` | yes | sets |
//! | `dump` | yes | the commands DUMP and RESTORE |
//! | `effects` | yes | somebody may listen to [`Effects`] |
//! | `geo` | yes | places on earth; they need `zset` |
//! | `hyperloglog` | yes | the commands PFADD, PFCOUNT, PFMERGE |
//! | `lcs` | yes | the command LCS |
//! | `sort` | yes | the commands SORT and SORT_RO |
//! | `stream` | yes | streams and their groups of consumers |
//! | `zset` | yes | sorted sets; `dump` and `sort` need them |
//! | `snapshot` | yes | a keyspace can be written as it is at one moment, while it is used |
//! | `supply` | yes | segments can be made ahead, by another thread |
//! | `simulate` | no | keys can be evicted one by one, to drive the policies by a trace |

#![no_std]
#![forbid(unsafe_code)]
// In a smaller build, what only the families use that it leaves out stays for the linker to drop.
#![cfg_attr(not(feature = "edge"), allow(dead_code, unused_imports))]

extern crate alloc;

mod arena;
#[cfg(feature = "bitmap")]
mod bitmap;
mod bytes;
#[cfg(feature = "dump")]
mod checksum;
mod command;
mod compress;
mod deque;
#[cfg(feature = "dump")]
mod dump;
mod effects;
#[cfg(feature = "object")]
mod encoding;
mod error;
mod evict;
mod expire;
mod float;
#[cfg(any(feature = "hyperloglog", feature = "stream"))]
mod forms;
#[cfg(feature = "geo")]
mod geo;
mod glob;
#[cfg(feature = "hash")]
mod hash;
mod hasher;
mod history;
#[cfg(feature = "hyperloglog")]
mod hyperloglog;
mod index;
#[cfg(feature = "dump")]
mod keep;
mod keys;
mod keyspace;
pub mod limits;
mod linear;
mod list;
mod num;
mod object;
mod options;
mod packed;
mod preload;
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
#[cfg(feature = "set")]
mod set;
mod snapshot;
#[cfg(feature = "sort")]
mod sort;
#[cfg(feature = "zset")]
mod sorted_set;
mod stats;
#[cfg(feature = "stream")]
mod stream;
mod string;
mod table;
#[cfg(feature = "zset")]
mod tree;
mod validate;
mod value;
mod write;

#[cfg(fuzzing)]
pub mod fuzzing;

#[cfg(feature = "supply")]
pub use arena::SpareSegment;
#[cfg(feature = "bitmap")]
pub use bitmap::field::{Field, Overflow};
#[cfg(feature = "bitmap")]
pub use bitmap::{BitRange, BitUnit};
#[cfg(feature = "dump")]
pub use checksum::{Checksum as RdbChecksum, checksum as crc64};
pub use command::{
    Args, Arity, DENYOOM, Docs, EDGE, FAST, Group, Keys, READ, Run, STORES, Spec, WRITE, all,
    check, docs, execute, find, refuse_unknown,
};
pub use deque::Side;
#[cfg(feature = "dump")]
pub use dump::rdb_version_of;
pub use effects::{Cause, Effects};
pub use error::{Error, Result};
pub use evict::Age;
pub use expire::{ExpireOptions, Ttl};
pub use float::{FloatText, seconds_in_ms};
#[cfg(any(feature = "hyperloglog", feature = "stream"))]
pub use forms::Forms;
#[cfg(feature = "geo")]
pub use geo::Position;
#[cfg(feature = "hash")]
pub use hash::field_expiry::FieldOutcome;
#[cfg(feature = "dump")]
pub use keep::Kept;
pub use keyspace::{Cx, Keyspace, Millis};
pub use list::{Positions, ShowElement};
pub use options::{Options, Policy, parse_memory};
#[cfg(feature = "dump")]
pub use rdb::{
    Input as RdbInput, Loaded, Output as RdbOutput, Reader as RdbReader,
    knows_form as rdb_knows_form, put_number as rdb_put_number,
};
pub use reply::Reply;
#[cfg(feature = "snapshot")]
pub use snapshot::{Broken, IMAGE_VERSION, Image, Pages, Prepared};
#[cfg(feature = "zset")]
pub use sorted_set::{AddOptions, Added};
pub use stats::Stats;
#[cfg(feature = "stream")]
pub use stream::{Id as StreamId, IdText as StreamIdText, NewId as NewStreamId, StreamRead};
pub use string::ShowOld;
#[cfg(feature = "lcs")]
pub use string::lcs::{Lcs, LcsMatch};
pub use string::set::{Condition, Expiry, SetOptions};
pub use value::{Parts, Source, Value};
