//! What can go wrong, in Redis's words.
//!
//! `Display` is the exact line Redis 7 sends. Not here: anything that allocates or formats; the
//! text is put together from parts, so that the edge build carries no formatter. Errors are plain
//! numbers, which every call can return in a register.

use core::fmt;

/// An error of a command or an option. The keyspace is as it was before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Error {
    /// A string command on another type.
    WrongType,
    /// An argument or a stored value that should be a 64-bit integer is none.
    NotAnInteger,
    /// A field's value that should be a 64-bit integer is none.
    HashNotAnInteger,
    /// A field's value that should be a number is none.
    HashNotAFloat,
    /// HINCRBYFLOAT by what is no finite number.
    NanOrInfinity,
    /// HEXPIRE with a time below zero.
    NegativeExpire,
    /// No FIELDS where HEXPIRE and its kin have it.
    NoFields,
    /// A count of fields that is none, or not above zero: as HEXPIRE says it.
    NotAFieldCount,
    /// The same, as HTTL and HPERSIST say it.
    NoFieldCount,
    /// A count of fields other than that of the arguments behind it.
    FieldCountMismatch,
    /// A count whose double is out of range.
    OutOfHalfRange,
    /// An increment would leave the range of 64-bit integers.
    Overflow,
    /// DECRBY with the one amount that has no negative.
    DecrementOverflow,
    /// An argument or a stored value that should be a number is none.
    NotAFloat,
    /// The sum of INCRBYFLOAT would be infinite.
    NotFinite,
    /// SETRANGE before the start of a string.
    OffsetOutOfRange,
    /// LCS of a value that is no string.
    #[cfg(feature = "lcs")]
    LcsNotAString,
    /// LCS with LEN and IDX.
    #[cfg(feature = "lcs")]
    LcsLenIdxConflict,
    /// LCS of strings whose table would exceed
    /// [`LCS_TABLE_CELLS_MAX`](crate::limits::LCS_TABLE_CELLS_MAX).
    #[cfg(feature = "lcs")]
    LcsTooLarge,
    /// LCS of strings whose table the budget has no room for.
    #[cfg(feature = "lcs")]
    LcsOutOfMemory,
    /// Options that are unknown, repeated or exclude each other.
    Syntax,
    /// EXPIRE's NX with XX, GT or LT.
    ExpireNxConflict,
    /// EXPIRE's GT with LT.
    ExpireGtLtConflict,
    /// A time to live that is not positive, or a deadline beyond 64 bits.
    InvalidExpire,
    /// The wrong number of arguments.
    WrongArity,
    /// A cursor that SCAN did not hand out.
    InvalidCursor,
    /// RENAME or LSET of a key that is not there.
    NoSuchKey,
    /// COPY of a key onto itself.
    SameObject,
    /// COPY to another database: a keyspace is one.
    OtherDatabase,
    /// OBJECT FREQ where uses are not counted.
    NotLfu,
    /// OBJECT IDLETIME where the last use is not dated.
    NoIdleTime,
    /// RESTORE of a key that is there.
    BusyKey,
    /// A payload of RESTORE whose frame is not sound.
    BadChecksum,
    /// A payload of RESTORE whose value is not sound.
    BadPayload,
    /// A time to live of RESTORE below zero.
    NegativeTtl,
    /// An idle time of RESTORE below zero.
    NegativeIdleTime,
    /// A frequency of RESTORE that is not in 0 to 255.
    InvalidFrequency,
    /// SORT by something that is no number.
    NotADouble,
    /// A count of keys that is none, or not above zero.
    NoKeys,
    /// A count of keys above that of the arguments behind it.
    TooManyKeys,
    /// A limit below zero, or none at all.
    NegativeLimit,
    /// A count below zero, or none at all.
    NotPositive,
    /// LSET beyond the ends of a list.
    IndexOutOfRange,
    /// LPOS from the zeroth match.
    ZeroRank,
    /// LPOS with a COUNT below zero, or none at all.
    NegativeCount,
    /// LPOS with a MAXLEN below zero, or none at all.
    NegativeMaxLen,
    /// A COUNT that is not above zero, or none at all.
    NoCount,
    /// A count that has no opposite.
    OutOfRange,
    /// More random elements, repeated ones among them, than
    /// [`RANDOM_DRAWS_MAX`](crate::limits::RANDOM_DRAWS_MAX).
    TooManyDraws,
    /// A count that is none, or not above zero.
    CountNotPositive,
    /// A count whose double leaves the range of 64-bit integers.
    ValueOutOfRange,
    /// A score at the end of a range that is no number.
    #[cfg(feature = "zset")]
    NotAFloatRange,
    /// A text at the end of a range that begins with none of `[`, `(`, `-` and `+`.
    #[cfg(feature = "zset")]
    NotATextRange,
    /// The sum of two opposite infinities.
    #[cfg(feature = "zset")]
    NotANumber,
    /// ZADD's NX with XX.
    #[cfg(feature = "zset")]
    AddNxXxConflict,
    /// Two of ZADD's GT, LT and NX.
    #[cfg(feature = "zset")]
    AddGtLtNxConflict,
    /// ZADD's INCR with several members.
    #[cfg(feature = "zset")]
    IncrementOfSeveral,
    /// ZRANGE's LIMIT without BYSCORE or BYLEX.
    #[cfg(feature = "zset")]
    LimitOfRanks,
    /// ZRANGE's WITHSCORES with BYLEX.
    #[cfg(feature = "zset")]
    ScoresOfTexts,
    /// A count of sorted sets that is not above zero.
    #[cfg(feature = "zset")]
    NoInputs,
    /// A weight that is no number.
    #[cfg(feature = "zset")]
    WeightNotAFloat,
    /// The budget is used up and the policy lets nothing go.
    OutOfMemory,
    /// A key longer than [`KEY_BYTES_MAX`](crate::limits::KEY_BYTES_MAX).
    KeyTooLong,
    /// A value longer than [`VALUE_BYTES_MAX`](crate::limits::VALUE_BYTES_MAX).
    ValueTooLong,
    /// A memory size that cannot be read.
    InvalidMemory,
    /// A budget outside what the engine can work in.
    MemoryOutOfRange,
    /// A policy that does not exist.
    UnknownPolicy,
}

impl Error {
    /// The line as the command of this name sends it, in the pieces it is put together from.
    #[inline(never)]
    pub fn parts<'a>(&self, command: &'a str) -> [&'a str; 3] {
        let text = match self {
            Error::WrongType => "WRONGTYPE Operation against a key holding the wrong kind of value",
            Error::NotAnInteger => "ERR value is not an integer or out of range",
            Error::HashNotAnInteger => "ERR hash value is not an integer",
            Error::HashNotAFloat => "ERR hash value is not a float",
            Error::NanOrInfinity => "ERR value is NaN or Infinity",
            Error::NegativeExpire => "ERR invalid expire time, must be >= 0",
            Error::NoFields => {
                "ERR Mandatory argument FIELDS is missing or not at the right position"
            }
            Error::NotAFieldCount => "ERR Parameter `numFields` should be greater than 0",
            Error::NoFieldCount => "ERR Number of fields must be a positive integer",
            Error::FieldCountMismatch => {
                "ERR The `numfields` parameter must match the number of arguments"
            }
            Error::OutOfHalfRange => "ERR value is out of range",
            Error::Overflow => "ERR increment or decrement would overflow",
            Error::DecrementOverflow => "ERR decrement would overflow",
            Error::NotAFloat => "ERR value is not a valid float",
            Error::NotFinite => "ERR increment would produce NaN or Infinity",
            Error::OffsetOutOfRange => "ERR offset is out of range",
            #[cfg(feature = "lcs")]
            Error::LcsNotAString => "ERR The specified keys must contain string values",
            #[cfg(feature = "lcs")]
            Error::LcsLenIdxConflict => {
                "ERR If you want both the length and indexes, please just use IDX."
            }
            #[cfg(feature = "lcs")]
            Error::LcsTooLarge => {
                "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len"
            }
            #[cfg(feature = "lcs")]
            Error::LcsOutOfMemory => {
                "ERR Insufficient memory, failed allocating transient memory for LCS"
            }
            Error::Syntax => "ERR syntax error",
            Error::ExpireNxConflict => {
                "ERR NX and XX, GT or LT options at the same time are not compatible"
            }
            Error::ExpireGtLtConflict => {
                "ERR GT and LT options at the same time are not compatible"
            }
            Error::InvalidExpire => return ["ERR invalid expire time in '", command, "' command"],
            Error::WrongArity => {
                return ["ERR wrong number of arguments for '", command, "' command"];
            }
            Error::InvalidCursor => "ERR invalid cursor",
            Error::NoSuchKey => "ERR no such key",
            Error::SameObject => "ERR source and destination objects are the same",
            Error::OtherDatabase => "ERR DB index is out of range",
            Error::NotLfu => {
                "ERR An LFU maxmemory policy is not selected, access frequency not tracked. \
                 Please note that when switching between policies at runtime LRU and LFU data will \
                 take some time to adjust."
            }
            Error::NoIdleTime => {
                "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that \
                 when switching between policies at runtime LRU and LFU data will take some time \
                 to adjust."
            }
            Error::BusyKey => "BUSYKEY Target key name already exists.",
            Error::BadChecksum => "ERR DUMP payload version or checksum are wrong",
            Error::BadPayload => "ERR Bad data format",
            Error::NegativeTtl => "ERR Invalid TTL value, must be >= 0",
            Error::NegativeIdleTime => "ERR Invalid IDLETIME value, must be >= 0",
            Error::InvalidFrequency => "ERR Invalid FREQ value, must be >= 0 and <= 255",
            Error::NotADouble => "ERR One or more scores can't be converted into double",
            Error::NoKeys => "ERR numkeys should be greater than 0",
            Error::TooManyKeys => "ERR Number of keys can't be greater than number of args",
            Error::NegativeLimit => "ERR LIMIT can't be negative",
            Error::NotPositive => "ERR value is out of range, must be positive",
            Error::IndexOutOfRange => "ERR index out of range",
            Error::ZeroRank => {
                "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second \
                 ... or use negative to start from the end of the list"
            }
            Error::NegativeCount => "ERR COUNT can't be negative",
            Error::NegativeMaxLen => "ERR MAXLEN can't be negative",
            Error::NoCount => "ERR count should be greater than 0",
            Error::OutOfRange => {
                "ERR value is out of range, value must between -9223372036854775807 and \
                 9223372036854775807"
            }
            Error::TooManyDraws => "ERR value is out of range, must be at least -16777216",
            Error::CountNotPositive => "ERR count should be greater than 0",
            Error::ValueOutOfRange => "ERR value is out of range",
            #[cfg(feature = "zset")]
            Error::NotAFloatRange => "ERR min or max is not a float",
            #[cfg(feature = "zset")]
            Error::NotATextRange => "ERR min or max not valid string range item",
            #[cfg(feature = "zset")]
            Error::NotANumber => "ERR resulting score is not a number (NaN)",
            #[cfg(feature = "zset")]
            Error::AddNxXxConflict => "ERR XX and NX options at the same time are not compatible",
            #[cfg(feature = "zset")]
            Error::AddGtLtNxConflict => {
                "ERR GT, LT, and/or NX options at the same time are not compatible"
            }
            #[cfg(feature = "zset")]
            Error::IncrementOfSeveral => "ERR INCR option supports a single increment-element pair",
            #[cfg(feature = "zset")]
            Error::LimitOfRanks => {
                "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or \
                 BYLEX"
            }
            #[cfg(feature = "zset")]
            Error::ScoresOfTexts => {
                "ERR syntax error, WITHSCORES not supported in combination with BYLEX"
            }
            #[cfg(feature = "zset")]
            Error::NoInputs => {
                return ["ERR at least 1 input key is needed for '", command, "' command"];
            }
            #[cfg(feature = "zset")]
            Error::WeightNotAFloat => "ERR weight value is not a float",
            Error::OutOfMemory => "OOM command not allowed when used memory > 'maxmemory'.",
            Error::KeyTooLong => "ERR key exceeds maximum allowed size (8000 bytes)",
            Error::ValueTooLong => "ERR string exceeds maximum allowed size (proto-max-bulk-len)",
            Error::InvalidMemory => "ERR argument must be a memory value",
            Error::MemoryOutOfRange => "ERR argument must be between 1048576 and 17179869184",
            Error::UnknownPolicy => {
                "ERR argument(s) must be one of the following: volatile-lru, volatile-lfu, \
                 volatile-random, volatile-ttl, allkeys-lru, allkeys-lfu, allkeys-random, \
                 allkeys-s3fifo, allkeys-gdsf, noeviction"
            }
        };
        [text, "", ""]
    }

    /// The first word of the line, by which clients tell errors apart.
    pub fn code(&self) -> &'static str {
        match self {
            Error::WrongType => "WRONGTYPE",
            Error::OutOfMemory => "OOM",
            Error::BusyKey => "BUSYKEY",
            _ => "ERR",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Of the methods of the engine only `set` fails in a way that names a command.
        self.parts("set").iter().try_for_each(|part| formatter.write_str(part))
    }
}

impl core::error::Error for Error {}

/// The result of everything that can fail in the engine.
pub type Result<T, E = Error> = core::result::Result<T, E>;
