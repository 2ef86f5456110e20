//! Streams: entries of fields and values under ids that only grow, and groups of consumers that
//! share them.
//!
//! Entries stand packed on nodes (node.rs, entries.rs). Everything else, the way to the nodes
//! included, are items of ordered maps (map/, ledger.rs).
//!
//! Not here: waiting for entries. A host that lets clients wait reads [`StreamRead`].

mod add;
mod check;
mod claim;
mod copy;
mod entries;
mod fields;
mod group;
mod id;
mod info;
mod ledger;
mod manage;
mod map;
mod node;
#[cfg(feature = "dump")]
mod payload;
mod range;
mod read;
mod rows;

pub use id::{Id, IdText, NewId};
pub use read::StreamRead;

pub(crate) use rows::COMMANDS;

#[cfg(fuzzing)]
pub(crate) use node::decode;
