//! Calls that start from a clean instance, without making one: the instance of the call before is
//! set back to how it was when it had been initialised.
//!
//! A module is rewritten when it is loaded ([`rewrite`]): its stores mark the KiB that they write
//! to. After a call the host copies the marked ones back from the [`Image`] and sets the globals
//! back ([`Reset`]). What host functions wrote they tell when it is done.
//!
//! Invariant: every call of a module starts from its image. An instance that trapped, whose host
//! failed, or whose memory grew is not set back but dropped, with its store. In builds with
//! debug assertions the whole memory is compared after each reset.
//!
//! Not here: which instance serves which call, and modules that do not qualify ([`Unfit`]): each of
//! their calls gets an instance of its own.

mod bases;
mod image;
mod qualify;
mod rewrite;

pub use image::{Image, Mismatch, Reset};
pub use qualify::Unfit;
pub use rewrite::rewrite;

/// Memory is set back in blocks of 1 KiB, each of which has a card that says whether it must be.
const CARD_BITS: u32 = 10;
const BLOCK_BYTES: usize = 1 << CARD_BITS;

/// What a mark stands for beyond the block's end: the rest of a store that starts in the block, and
/// stores to what lies a little behind a place that was marked.
const REACH: u64 = 128;

/// The largest memory of an instance that is kept: 16 MiB.
const MEMORY_PAGES_MAX: u64 = 256;

/// The name under which a guest exports its memory.
const MEMORY_EXPORT: &str = "memory";

/// The names of what only the host may use.
const PRIVATE_PREFIX: &str = "ferrite:";
const CARDS_EXPORT: &str = "ferrite:cards";
const GLOBAL_PREFIX: &str = "ferrite:global:";
