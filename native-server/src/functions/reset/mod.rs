//! Calls that start from a clean instance, without making one: the instance of the call before is
//! set back to how it was when it had been initialised.
//!
//! A module is rewritten when it is loaded ([`rewrite`]): its stores mark the KiB that they write
//! to. After a call the host copies the marked ones back from the [`Image`] and sets the globals
//! back ([`Reset`]). What host functions wrote they tell when it is done. It also looks, wherever
//! it could go on for long, at a byte that says whether it has to stop (`stop.rs` beside this
//! folder).
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

use wasmtime::{Config, WasmFeatures};

/// Has an engine take what is rewritten: two memories, and an atomic load, which the compiler
/// leaves where it stands. What was loaded has neither: it was validated without them.
pub fn accept(config: &mut Config) {
    // Loads from memory that is not shared are all that is used of the proposal: they need nothing
    // of what Wasmtime has for threads.
    config.wasm_multi_memory(true).wasm_features(WasmFeatures::THREADS, true);
}

/// Memory is set back in blocks of 1 KiB, each of which has a card that says whether it must be.
const CARD_BITS: u32 = 10;
const BLOCK_BYTES: usize = 1 << CARD_BITS;

/// What a mark stands for beyond the block's end: the rest of a store that starts in the block, and
/// stores to what lies a little behind a place that was marked.
const REACH: u64 = 128;

/// Where in the memory of the cards the byte stands that is not 0 when the instance has to stop:
/// beyond all cards, on a line of the processor's cache that nothing else is on.
pub(super) const STOP_AT: usize = 65_536 - 64;

/// The largest memory of an instance that is kept: 16 MiB.
const MEMORY_PAGES_MAX: u64 = 256;

/// The name under which a guest exports its memory.
const MEMORY_EXPORT: &str = "memory";

/// The names of what only the host may use.
const PRIVATE_PREFIX: &str = "ferrite:";
pub(super) const CARDS_EXPORT: &str = "ferrite:cards";
pub(super) const START_EXPORT: &str = "ferrite:start";
const GLOBAL_PREFIX: &str = "ferrite:global:";
