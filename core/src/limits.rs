//! Every limit of the engine, in one place.
//!
//! Not here: what follows from a limit. The file that owns the structure checks it.

/// Longest key, in bytes. A key and a short value share one cell.
pub const KEY_BYTES_MAX: usize = 8_000;

/// Longest string, in bytes (512 MiB, as in Redis).
pub const VALUE_BYTES_MAX: usize = 512 << 20;

/// The window through which an RDB file is read, at least. A longer string takes a longer one.
#[cfg(feature = "dump")]
pub(crate) const READ_WINDOW_BYTES: usize = 256 << 10;

/// Pages of a large value that are given back in one step when it is deleted.
pub const REAP_PAGES: usize = 64;

/// Such steps that one operation short of memory takes before it empties a segment instead.
pub const REAPS_MAX: usize = 4;

/// Random elements that one negative count of SRANDMEMBER and its sisters may ask for.
pub const RANDOM_DRAWS_MAX: usize = 1 << 24;

/// Keys that RANDOMKEY draws at most where those that have expired are kept.
pub(crate) const EXPIRED_DRAWS_MAX: usize = 100;

/// Largest table that LCS fills in, in cells: Redis's cells have four bytes, and its table may take
/// no more than the longest string (512 MB).
#[cfg(feature = "lcs")]
pub const LCS_TABLE_CELLS_MAX: u64 = (512 << 20) / 4;

/// Smallest budget the engine can work in, in bytes (1 MiB): below it, one segment for each size
/// of value in use would already be most of the memory.
pub const MEMORY_BYTES_MIN: u64 = 1 << 20;

/// Largest budget one keyspace can address, in bytes (16 GiB): cell addresses count units of
/// four bytes in 32 bits.
pub const MEMORY_BYTES_MAX: u64 = 16 << 30;

/// Keys that the eviction loop compares before it drops the worst of them.
pub const EVICTION_SAMPLE_KEYS: usize = 16;

/// Longest collection that is packed in its record, in bytes of entries.
pub const PACKED_BYTES_MAX: usize = 1024;

/// Longest list that is packed in its record, in bytes of elements and their count. One that has
/// outgrown it is packed again when it has become half as long.
pub const LIST_PACKED_BYTES_MAX: usize = 2048;
pub(crate) const LIST_REPACKED_BYTES_MAX: usize = LIST_PACKED_BYTES_MAX / 2;

/// Bytes of entries for each page of a large hash or set, on average, above which a page is split.
/// At the edge pages have no tags, and are read from their first entry on.
pub const TABLE_PAGE_BYTES: usize = if cfg!(target_arch = "wasm32") { 200 } else { 300 };

/// Keys that it looks at, at most, when it looks for keys of one kind among others.
pub const EVICTION_LOOK_KEYS: usize = 96;

/// Pages that one step of a snapshot looks at, most of which may have nothing to be written.
#[cfg(feature = "snapshot")]
pub const SNAPSHOT_LOOKS_MAX: usize = 1024;

/// Entries that one node of a stream ever has: what Redis's `stream-node-max-entries` says unless
/// it is configured, where it can only be fewer.
#[cfg(feature = "stream")]
pub const STREAM_NODE_ENTRIES_MAX: usize = 100;

/// Bytes of one node of a stream: a page less its head. Redis's `stream-node-max-bytes` is as much
/// unless it is configured.
#[cfg(feature = "stream")]
pub const STREAM_NODE_BYTES_MAX: usize = 4096;

/// Longest entry of a stream that stands among others, in bytes of fields and values.
#[cfg(feature = "stream")]
pub const STREAM_ENTRY_BYTES_MAX: usize = 1024;

/// Longest name of a group of a stream, or of a consumer.
#[cfg(feature = "stream")]
pub const STREAM_NAME_BYTES_MAX: usize = 512;

/// Pages of a large hash in which one step looks for expired fields.
pub const SWEEP_PAGES: usize = 64;

/// Longest sparse HyperLogLog, in bytes, unless another length was set: what Redis's
/// `hll-sparse-max-bytes` is by default.
#[cfg(feature = "hyperloglog")]
pub const SPARSE_SKETCH_BYTES: usize = 3000;

/// The longest that can be set: a dense one is hardly longer.
#[cfg(feature = "hyperloglog")]
pub const SPARSE_SKETCH_BYTES_MAX: usize = 12_000;

/// Sets of a union, at most, where what comes again is found by looking into those before.
#[cfg(feature = "set")]
pub(crate) const UNION_SETS_SEARCHED_MAX: usize = 2;

/// Members of sets, at most, that a command which combines them puts side by side.
#[cfg(all(feature = "set", not(target_arch = "wasm32")))]
pub(crate) const COMBINED_MEMBERS_MAX: usize = 16_384;

/// Members of a sorted set that a search on earth looks at before it makes room for more places.
#[cfg(feature = "geo")]
pub const SEARCH_STEP_MEMBERS: usize = 256;

/// Dictionaries that compression has at a time.
pub(crate) const DICTIONARIES_MAX: usize = if cfg!(feature = "compression") { 4 } else { 0 };

/// Values that a dictionary is made of, at most, and bytes that it takes of each.
pub(crate) const LESSON_LOOKS_MAX: usize = 256;
pub(crate) const LESSON_STRETCH_BYTES: usize = 1024;

/// Shortest string that is compressed, in bytes: longer than any number.
pub(crate) const COMPRESSED_TEXT_BYTES_MIN: usize = 64;

/// Strings that one step compresses at most, but for those in the same bucket, and buckets in which
/// it looks for them.
pub(crate) const COMPRESSIONS_PER_STEP: usize = 4;
pub(crate) const COMPRESSION_LOOKS_MAX: usize = 16;

/// Such steps that one operation short of memory takes while it could evict; how many are left out
/// when they turn out to be in vain, and how many cells of a class.
pub(crate) const COMPRESSION_STEPS_MAX: usize = 8;
pub(crate) const COMPRESSION_RESTS_MAX: u8 = 255;
pub(crate) const CLASS_RESTS_MAX: u8 = 31;

/// Buckets that `tick` looks at for each such step.
pub(crate) const BUCKETS_PER_COMPRESSION: usize = 4;

/// Requests whose keys and members are looked at side by side before they are run; members in
/// collections of so many bytes at least, since smaller ones are at hand.
pub(crate) const PRELOADED_REQUESTS: usize = 16;
pub(crate) const PRELOADED_BYTES_MIN: usize = 128 * 1024;
