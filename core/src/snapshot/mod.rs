//! Snapshots: all of a keyspace as it was at one moment, written step by step while it is used.
//!
//! A snapshot is made of pieces of pages as they lie in memory, so an image of it is opened without
//! inserting a key. Nothing is copied when it begins. Then the host asks for one bounded step after
//! the other; and whoever changes a block of a page that was not written yet lets its old bytes out
//! first (door.rs). So each byte of that moment is written once, in no particular order.
//!
//! One that is not full holds what changed since the last: pieces to be laid over its image.
//!
//! Ages of keys are not as they were at that moment but as they were when they were written: reads
//! change them, and cost nothing more for it. What goes with them (the clock, the policy) is
//! written last, and what a policy remembers of evicted keys is left out.
//!
//! FLUSHDB meanwhile leaves what is still to be written frozen beside the new keyspace; it counts
//! as used memory, and whoever needs room writes some of it.
//!
//! Not here: files and their checksums, and who waits for whom: the sink is the host's.

use core::ops::Range;

#[cfg(feature = "snapshot")]
pub(crate) use door::{Door, Mark};
#[cfg(feature = "snapshot")]
pub use image::{IMAGE_VERSION, Image, Prepared};
#[cfg(not(feature = "snapshot"))]
pub(crate) use none::{Door, Mark};
#[cfg(feature = "snapshot")]
pub use piece::{Broken, Pages};
#[cfg(feature = "snapshot")]
pub(crate) use piece::{Fields, Piece, Place};
#[cfg(feature = "snapshot")]
pub(crate) use running::Snapshot;

#[cfg(feature = "snapshot")]
mod door;
#[cfg(feature = "snapshot")]
mod image;
#[cfg(not(feature = "snapshot"))]
mod none;
#[cfg(feature = "snapshot")]
mod piece;
#[cfg(feature = "snapshot")]
mod running;

/// Blocks of a page, a bit each.
pub(crate) type Blocks = u16;
pub(crate) const BLOCKS_PER_PAGE: usize = 16;

/// The bits of a run of blocks.
#[inline]
pub(crate) fn blocks(run: &Range<usize>) -> Blocks {
    let most = BLOCKS_PER_PAGE as u32 - 1;
    let first = (run.start as u32).min(most);
    let last = (run.end as u32).saturating_sub(1).min(most);
    (Blocks::MAX << first) & (Blocks::MAX >> (most - last))
}
