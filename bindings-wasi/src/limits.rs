//! Every limit of the C ABI.

/// Buffers that a host may hold at a time.
pub(crate) const BUFFERS_MAX: usize = 16;

/// Longest buffer, and longest reply: the longest string (512 MiB) and what stands around it.
pub(crate) const BUFFER_BYTES_MAX: usize = (512 << 20) + (64 << 10);

/// Most arguments of one request, as in Redis.
pub(crate) const ARGUMENTS_MAX: usize = 1 << 20;

/// What is kept of the reply's memory from one call to the next.
pub(crate) const REPLY_BYTES_KEPT: usize = 64 << 10;

/// Largest budget: half of what 32-bit addresses reach.
pub(crate) const MEMORY_BYTES_MAX: u64 = 2 << 30;
