//! Every limit and fixed place of the wasm face, in one file.
//!
//! The scratch area starts with a header, in which `get` says where a value lies. Behind it stands
//! what JavaScript passes in, and behind that is room for the reply.

/// Bytes of the scratch area.
pub(crate) const SCRATCH_BYTES: usize = 64 << 10;

/// Bytes of the header: two words.
pub(crate) const HEADER_BYTES: usize = 8;

/// Bytes that one call may pass in: they always leave some for the reply. Four are for the number
/// of arguments.
pub(crate) const PASSED_BYTES_MAX: usize = SCRATCH_BYTES - HEADER_BYTES - (4 << 10) + 4;

/// Most arguments of one call.
pub(crate) const ARGUMENTS_MAX: usize = 8 << 10;

/// The list of arguments has room for a multiple of so many: it takes whole blocks of the size in
/// which the engine takes memory (16 KiB). A shorter list, gone after the call, would leave the
/// last block of each page that memory grows by too short for the engine.
pub(crate) const ARGUMENTS_STEP: usize = (16 << 10) / size_of::<&[u8]>();

/// Largest budget: half of what 32-bit addresses reach.
pub(crate) const MEMORY_BYTES_MAX: u64 = 2 << 30;
