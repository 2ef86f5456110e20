//! Every limit and fixed place of the wasm face, in one file.
//!
//! The scratch area starts with a header, in which `get` says where a value lies. Behind it stands
//! what JavaScript passes in, and behind that is room for the reply.

/// Bytes of the scratch area for each byte of the budget, as its divisor, and their bounds.
const SCRATCH_SHARE: u64 = 256;
const SCRATCH_BYTES_MIN: u64 = 64 << 10;
const SCRATCH_BYTES_MAX: u64 = 256 << 10;

/// Bytes of the area before the budget is known.
pub(crate) const TEXT_BYTES: usize = 8 << 10;

/// Bytes of the header: two words.
pub(crate) const HEADER_BYTES: usize = 8;

/// Bytes that arguments always leave for the reply.
pub(crate) const REPLY_BYTES_MIN: usize = 4 << 10;

/// Most arguments of one call, and how many of them need no memory but the stack.
pub(crate) const ARGUMENTS_MAX: usize = 16 << 10;
pub(crate) const ARGUMENTS_ON_STACK: usize = 32;

/// Largest budget: half of what 32-bit addresses reach.
pub(crate) const MEMORY_BYTES_MAX: u64 = 2 << 30;

/// Bytes of the scratch area for a budget.
pub(crate) fn scratch_bytes(max_memory_bytes: u64) -> u64 {
    (max_memory_bytes / SCRATCH_SHARE).clamp(SCRATCH_BYTES_MIN, SCRATCH_BYTES_MAX)
}
