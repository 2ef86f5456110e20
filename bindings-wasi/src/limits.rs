//! Every limit of the C ABI.

/// Buffers that a host may hold at a time.
pub(crate) const BUFFERS_MAX: usize = 16;

/// Longest buffer, and longest reply: the longest string (512 MiB) and what stands around it.
pub(crate) const BUFFER_BYTES_MAX: usize = (512 << 20) + (64 << 10);

/// Most arguments of one request, as in Redis.
pub(crate) const ARGUMENTS_MAX: usize = 1 << 20;

/// All memory is taken in multiples of what the engine takes it in (16 KiB). Anything shorter,
/// given back after a call, would leave blocks that are too short for the engine, and linear memory
/// would grow by what they have in all.
pub(crate) const BLOCK_BYTES: usize = 16 << 10;

/// Largest budget: half of what 32-bit addresses reach.
pub(crate) const MEMORY_BYTES_MAX: u64 = 2 << 30;
