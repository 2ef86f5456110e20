//! Every limit of the server, in one place. What users may change stands in the configuration
//! (config/), with these as its bounds.
//!
//! Not here: the engine's limits.

use std::time::Duration;

/// Bytes that one read takes from a socket. The buffer belongs to the I/O thread, not to the
/// connection, so that idle connections hold none.
pub const READ_BYTES: usize = 64 * 1024;

/// Input that is kept between two reads and goes in front of the next one in the shared buffer;
/// more is read where it is.
pub const SHARED_START_BYTES_MAX: usize = READ_BYTES / 4;

/// Longest header of a request, and longest inline request (Redis's `PROTO_INLINE_MAX_SIZE`).
pub const INLINE_BYTES_MAX: usize = 64 * 1024;

/// Arguments of one request (Redis's own limit until version 7).
pub const ARGUMENTS_MAX: usize = 16 * 1024 * 1024;

/// What one who has not yet said the password may send (Redis's figures).
pub const STRANGER_ARGUMENTS_MAX: usize = 10;
/// The same for the length of one argument.
pub const STRANGER_BULK_BYTES_MAX: usize = 16 * 1024;

/// Input of a connection that waits to be run: while it is blocked, paused, or its peer does not
/// read. It is not read from beyond that.
pub const WAITING_INPUT_BYTES_MAX: usize = 1024 * 1024;

/// Output of one connection, whatever the configuration allows.
pub const OUTPUT_BYTES_MAX: usize = 1024 * 1024 * 1024;

/// Output of one connection that is never beyond a configured limit (Redis's static buffer).
pub const FREE_OUTPUT_BYTES: usize = 16 * 1024;

/// Replies that a batch gathers before the lock of its database is given back for a moment.
pub const BATCH_OUTPUT_BYTES: usize = 256 * 1024;

/// What all clients may take together at least, whatever `maxmemory-clients` says: less, and nobody
/// could tell the server otherwise.
pub const CLIENT_BYTES_LEAST: u64 = 128 << 10;

/// Replies that a batch gathers before it sends them: so they go out while they are still in the
/// processor's caches, and from a buffer that is kept.
pub const SENT_AMID_BYTES: usize = 512 * 1024;

/// A buffer that grew beyond this is given back once it is empty.
pub const KEPT_BUFFER_BYTES: usize = 256 * 1024;
/// But an I/O thread keeps one for input and one for output up to this: the system needs longer to
/// make such a buffer than it takes to copy a long value into it.
pub const SPARE_BUFFER_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Bytes that the databases have freed when all that is free goes back to the system.
pub const TRIM_BYTES_MIN: u64 = 64 * 1024 * 1024;

/// Reads of one connection before others get their turn.
pub const TURNS_MAX: usize = 4;

/// Addresses that `bind` may name (Redis's `CONFIG_BINDADDR_MAX`).
pub const BIND_ADDRESSES_MAX: usize = 16;

/// Open files that the server needs beside its clients' and its threads': the sockets that it
/// listens on, its own files, the system's events.
pub const OPEN_FILES_RESERVED: u64 = 64;
/// Open files of an I/O thread.
pub const OPEN_FILES_THREAD: u64 = 4;

/// Databases that may be configured.
pub const DATABASES_MAX: usize = 64;

/// I/O threads that may be configured.
pub const IO_THREADS_MAX: usize = 128;

/// Commands that one transaction may queue, and their bytes.
pub const QUEUED_COMMANDS_MAX: usize = 1024 * 1024;
/// See [`QUEUED_COMMANDS_MAX`].
pub const QUEUED_BYTES_MAX: usize = 1024 * 1024 * 1024;

/// Longest line of a configuration file.
pub const CONFIG_LINE_BYTES_MAX: usize = 64 * 1024;

/// Keys that one DEBUG POPULATE makes, and those that it makes under one lock.
pub const POPULATE_KEYS_MAX: u64 = 1 << 30;
/// See [`POPULATE_KEYS_MAX`].
pub const POPULATE_STEPS: u64 = 1024;

/// Bytes of a name that ACL LOG keeps: of a user, a command, a key or a channel.
pub const DENIED_NAME_BYTES_MAX: usize = 128;

/// Longest text that DEBUG STRINGMATCH-LEN makes.
pub const MATCHED_BYTES_MAX: usize = 1 << 20;

/// Longest line of the log, its end not counted (Redis's `LOG_MAX_LEN`).
pub const LOG_LINE_BYTES_MAX: usize = 1024;

/// Buckets of one database that a step of the active expiry looks at, and such steps in a row.
pub const EXPIRY_BUCKETS: usize = 64;
/// See [`EXPIRY_BUCKETS`].
pub const EXPIRY_STEPS_MAX: usize = 64;

/// Steps of one MEMORY PURGE in a database; each gives back a few MiB at most.
pub const PURGE_STEPS_MAX: usize = 1 << 16;

/// Times that a command which lacks memory is tried again after another database has made room, and
/// bytes that it has to give back for that.
pub const ROOM_TRIES: usize = 64;
/// See [`ROOM_TRIES`].
pub const ROOM_BYTES: usize = 1024 * 1024;
/// Keys or segments that it touches for that, at most.
pub const ROOM_STEPS: usize = 4096;

/// Steps towards a lowered budget that are taken under one lock.
pub const SHRINK_STEPS: usize = 64;

/// Bytes of a checkpoint that are written in one go.
pub const CHECKPOINT_BLOCK_BYTES: usize = 256 * 1024;

/// Blocks of a checkpoint that wait to be written, at most; whoever has another one waits. Of these
/// the walk through the pages takes only the first few, so that commands need not wait for it.
pub const CHECKPOINT_BLOCKS_MAX: usize = 128;
/// See [`CHECKPOINT_BLOCKS_MAX`].
pub const CHECKPOINT_WALK_BLOCKS_MAX: usize = 8;

/// Bytes of pages that are written under one lock.
pub const CHECKPOINT_STEP_BYTES: usize = 64 * 1024;

/// Bytes of a checkpoint after which the disk is asked for what it has.
pub const CHECKPOINT_SYNC_BYTES: usize = 32 * 1024 * 1024;

/// Once what followed a full checkpoint is longer than this part of it, the next is full.
pub const CHECKPOINT_CHANGES_DIVISOR: u64 = 2;

/// Checkpoints that follow each other; then the next is full.
pub const CHECKPOINT_CHAIN_MAX: usize = 64;

/// Milliseconds after a checkpoint that failed in which the rules of `save` do not try again
/// (Redis's `CONFIG_BGSAVE_RETRY_DELAY`).
pub const CHECKPOINT_RETRY_MS: i64 = 5_000;

/// Milliseconds after a checkpoint that failed in which a log that has grown does not try again:
/// it is written to as before, so there is time.
pub const REWRITE_RETRY_MS: i64 = 60_000;

/// Segments of memory that are made ahead at once while a file is loaded, and how often that.
pub const SUPPLY_SEGMENTS: usize = 64;
/// See [`SUPPLY_SEGMENTS`].
pub const SUPPLY_BATCHES_MAX: usize = 8;
/// Bytes of a file from which on it is worth it.
pub const SUPPLY_BYTES_MIN: u64 = 16 * 1024 * 1024;

/// Threads that make blocks ready to be put in their places, and for each the blocks that wait for
/// it, and those that it has made ready.
pub const CHECKPOINT_READ_THREADS_MAX: usize = 4;
/// See [`CHECKPOINT_READ_THREADS_MAX`].
pub const CHECKPOINT_READ_BLOCKS: usize = 8;

/// How long those who connect to a server that loads merely wait, before they are told: most starts
/// are over by then, and clients need not try again.
pub const LOBBY_GRACE: Duration = Duration::from_millis(200);
/// How long somebody may take to read what they were told when all is loaded.
pub const LOBBY_FAREWELL: Duration = Duration::from_secs(1);

/// Connections that are told that the server loads, at a time, and bytes that one may send before
/// its request is complete.
pub const LOBBY_CONNECTIONS_MAX: usize = 1024;
/// See [`LOBBY_CONNECTIONS_MAX`].
pub const LOBBY_INPUT_BYTES_MAX: usize = 64 * 1024;

/// Different error codes that are counted apart.
pub const ERROR_CODES_MAX: usize = 128;

/// Where a code ends at the latest: what has none by then counts as any error.
pub const ERROR_CODE_BYTES_MAX: usize = 31;

/// Bytes that the log holds in memory before whoever appends has to wait for the disk.
pub const LOG_BUFFER_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Bytes that are brought to the disk without waiting for more, where replies do not wait for it.
pub const LOG_WRITE_BYTES: usize = 512 * 1024;
/// With `always`, bytes that are enough for a write to begin while others are on their way, however
/// much those have.
pub const LOG_OVERLAP_BYTES_MAX: usize = 64 * 1024;
/// Length of a file of the log.
pub const LOG_SEGMENT_BYTES: u64 = 32 * 1024 * 1024;
/// Bytes of a segment that are read at once when a server starts: several of the longest records.
pub const LOG_READ_BYTES: usize = 4 * 1024 * 1024;
/// Such pieces that were read, and wait until what they say is done.
pub const LOG_LOADS_MAX: usize = 2;
/// Effects of a batch that are gathered before they go to the log and others get their turn.
pub const BATCH_EFFECTS_BYTES: usize = 256 * 1024;

/// Words of a single request from which on the keyspace is shown what it asks for.
pub const PRELOADED_WORDS_MIN: usize = 8;

/// Keys or members of it that are shown, before the caches that hold them are full.
pub const PRELOADED_ARGUMENTS_MAX: usize = 2048;

/// What functions may take. The contract (docs/functions.md) names these.
pub mod functions {
    use std::time::Duration;

    /// A module, in bytes.
    pub const MODULE_BYTES_MAX: usize = 8 << 20;
    /// How long its compilation may take, and how many compile at a time.
    pub const COMPILE_MS_MAX: u64 = 10_000;
    /// See [`COMPILE_MS_MAX`].
    pub const COMPILATIONS_MAX: usize = 2;
    /// Functions that a module defines for itself.
    pub const DEFINED_MAX: usize = 50_000;
    /// Instructions of one function, by which the memory that its compilation takes grows: up to
    /// 700 bytes for each.
    pub const INSTRUCTIONS_MAX: usize = 200_000;
    /// Branches of one function, each times the values that there are at it, by which the time that
    /// its compilation takes grows; and their sum over all functions.
    pub const COMPLEXITY_MAX: u64 = 8_000_000;
    /// See [`COMPLEXITY_MAX`].
    pub const COMPLEXITY_SUM_MAX: u64 = 64_000_000;
    /// Functions that can be called, in one library.
    pub const FUNCTIONS_MAX: usize = 256;
    /// Bytes of a library's metadata.
    pub const METADATA_BYTES_MAX: usize = 128 << 10;
    /// Parameters of a function.
    pub const PARAMETERS_MAX: usize = 32;
    /// Letters of a name.
    pub const NAME_BYTES_MAX: usize = 64;
    /// Letters of a description.
    pub const DESCRIPTION_BYTES_MAX: usize = 512;
    /// Values that a library is loaded with, and the bytes of one.
    pub const CONFIG_VALUES_MAX: usize = 32;
    /// See [`CONFIG_VALUES_MAX`].
    pub const CONFIG_VALUE_BYTES_MAX: usize = 256;
    /// Libraries.
    pub const LIBRARIES_MAX: usize = 1024;

    /// Memory of an instance, in bytes.
    pub const MEMORY_BYTES_MAX: usize = 16 << 20;
    /// Memory that stays with an unused instance, and is cleared instead of given back.
    pub const RESIDENT_BYTES: usize = 256 << 10;
    /// Elements of a table.
    pub const TABLE_ELEMENTS_MAX: usize = 10_000;
    /// Instances of all libraries together.
    pub const INSTANCES_MAX: u32 = 256;
    /// Unused instances that a thread keeps of one library.
    pub const IDLE_INSTANCES_MAX: usize = 4;
    /// The stack of a call.
    pub const STACK_BYTES_MAX: usize = 512 << 10;
    /// How long a function may compute while its database is locked, from the first tick on that
    /// finds it there. One that takes longer starts again on a copy of its keys. It is a little
    /// less than a tick, so that what computes all the time ends at the second one.
    pub const LOCKED_TIME: Duration = Duration::from_micros(900);
    /// The same in a transaction, where the lock must stay.
    pub const TRANSACTION_TICKS: u64 = 100;
    /// Times that a function on a copy starts again, since its keys have changed meanwhile.
    pub const TRIES_MAX: usize = 16;
    /// Calls that wait for a thread of the slow functions.
    pub const SLOW_CALLS_MAX: usize = 1024;
    /// Threads for slow functions.
    pub const SLOW_THREADS: usize = 2;

    /// Commands that one call may write by, and their bytes.
    pub const WRITES_MAX: usize = 65_536;
    /// See [`WRITES_MAX`].
    pub const WRITTEN_BYTES_MAX: usize = 64 << 20;
    /// Bytes of all values that are kept while a call changes them.
    pub const JOURNAL_BYTES_MAX: usize = 64 << 20;
    /// Levels of a reply that a function gives, and its values.
    pub const REPLY_DEPTH_MAX: usize = 16;
    /// See [`REPLY_DEPTH_MAX`].
    pub const REPLY_VALUES_MAX: usize = 1 << 20;
    /// What a command answers to a function.
    pub const CALL_REPLY_BYTES_MAX: usize = 16 << 20;
    /// Arguments of a command that a function calls.
    pub const CALL_ARGUMENTS_MAX: usize = 1 << 20;
    /// An error line.
    pub const ERROR_BYTES_MAX: usize = 512;
    /// A line of the log, and lines of one call.
    pub const LOG_LINE_BYTES_MAX: usize = 4096;
    /// See [`LOG_LINE_BYTES_MAX`].
    pub const LOG_LINES_MAX: usize = 128;
    /// Metrics of a library.
    pub const METRICS_MAX: usize = 64;
}

/// Files of one log that can be noted: 512 TB.
pub const LOG_SEGMENTS_MAX: u64 = 1 << 24;

/// Bytes of an append-only file that are read at once; a longer command takes as many as it has.
pub const READ_BLOCK_BYTES: usize = 1024 * 1024;

/// Bytes of a file after which a load tells how far it is.
pub const PROGRESS_BYTES: u64 = 16 * 1024 * 1024;

/// Longest note in an append-only file, longest manifest of one, and bytes of a key that a message
/// shows.
pub const NOTE_BYTES_MAX: usize = 1024;
/// See [`NOTE_BYTES_MAX`].
pub const MANIFEST_BYTES_MAX: u64 = 1024 * 1024;
/// See [`NOTE_BYTES_MAX`].
pub const SHOWN_KEY_BYTES_MAX: usize = 64;

/// Bytes of a file that are written at once.
pub const WRITE_BLOCK_BYTES: usize = 1024 * 1024;

/// Keys that a message names.
pub const SHOWN_KEYS_MAX: usize = 10;

/// What scripts in Lua may take (docs/scripting.md names these).
pub mod scripting {
    /// Bytes of a script, or of a library's code.
    pub const SCRIPT_BYTES_MAX: usize = 16 << 20;
    /// Memory of one Lua state. A thread has one for scripts and one for functions, once it needs
    /// them.
    pub const MEMORY_BYTES_MAX: usize = 512 << 20;
    /// What a byte of a request, a reply or JSON takes as a value, at most: a table in a table that
    /// grows.
    pub const VALUE_BYTES_MAX: usize = 256;
    /// Memory of a state beyond which everything is collected that a script has left.
    pub const KEPT_BYTES: usize = 32 << 20;
    /// Scripts that EVAL leaves in the cache; of more the one goes that was not used for longest
    /// (Redis's `LRU_LIST_LENGTH`).
    pub const CACHED_SCRIPTS_MAX: usize = 500;
    /// Scripts that SCRIPT LOAD put there, which stay, and the bytes of all.
    pub const LOADED_SCRIPTS_MAX: usize = 16_384;
    /// See [`LOADED_SCRIPTS_MAX`].
    pub const LOADED_BYTES_MAX: usize = 256 << 20;
    /// Scripts that a thread keeps compiled.
    pub const COMPILED_SCRIPTS_MAX: usize = 1024;
    /// Instructions between two looks at how long a script runs (Redis's figure).
    pub const HOOK_INSTRUCTIONS: u32 = 100_000;
    /// How long a script runs before others are told to wait, in milliseconds, and how often they
    /// are served while it runs on.
    pub const QUANTUM_MS: u64 = 5;
    /// How long the code of a library may run when it is loaded (Redis's figure).
    pub const LOAD_MS_MAX: u64 = 500;
    /// Levels of a reply that a script gives.
    pub const REPLY_DEPTH_MAX: usize = 256;
    /// Levels of what is read or written as JSON, whatever a script sets.
    pub const JSON_DEPTH_MAX: i64 = 1000;
    /// Levels of what is unpacked from MessagePack.
    pub const UNPACKED_DEPTH_MAX: usize = 1000;
    /// Values that are unpacked at once, since all go on Lua's stack.
    pub const UNPACKED_MAX: usize = 7000;
    /// Bytes of what one call packs, encodes or replaces.
    pub const PACKED_BYTES_MAX: usize = 256 << 20;
    /// Items of a pattern that are tried inside each other.
    pub const PATTERN_DEPTH_MAX: usize = 400;
}

/// Users of the access lists.
pub const ACL_USERS_MAX: usize = 100_000;

/// Rules of one user at a time, and of all the selectors that it has.
pub const ACL_RULES_MAX: usize = 10_000;

/// The longest file of users.
pub const ACL_FILE_BYTES_MAX: u64 = 16 << 20;

/// Bytes that an encrypted connection has taken and could not send yet.
pub const TLS_OUTPUT_BYTES_MAX: usize = 64 * 1024;
/// Bytes that are encrypted together, at most (RFC 8446, 5.1).
pub const TLS_RECORD_BYTES_MAX: usize = 16 * 1024;
/// Sessions of encrypted connections that are kept, so that who comes again need not agree anew.
pub const TLS_SESSIONS_MAX: usize = 20 * 1024;
