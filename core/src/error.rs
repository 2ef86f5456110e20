//! What can go wrong, in Redis's words.
//!
//! `Display` is the exact line Redis 7 sends. Not here: anything that allocates or formats; the
//! text is put together from parts, so that the edge build carries no formatter. Errors are plain
//! numbers, which every call can return in a register.

use core::fmt;

// `#[raised]` says in which builds an error can come about whose name all know: others have no text
// for it.
macro_rules! errors {
    ($(
        $(#[doc = $doc:literal])+ $(#[cfg($when:meta)])? $(#[raised($raised:meta)])?
        $name:ident = $text:expr,
    )+) => {
        /// An error of a command or an option. The keyspace is as it was before.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[non_exhaustive]
        pub enum Error {
            $($(#[doc = $doc])+ $(#[cfg($when)])? $name,)+
        }

        /// The lines, in the order of the errors: a table weighs less than a `match`.
        const TEXTS: &[&str] = &[
            $($(#[cfg($when)])? if true $(&& cfg!($raised))? { $text } else { "" },)+
        ];
    };
}

// A line that ends in a quote goes on with the name of the command.
errors! {
    /// A string command on another type.
    WrongType = "WRONGTYPE Operation against a key holding the wrong kind of value",
    /// An argument or a stored value that should be a 64-bit integer is none.
    NotAnInteger = "ERR value is not an integer or out of range",
    /// A field's value that should be a 64-bit integer is none.
    #[cfg(feature = "hash")]
    HashNotAnInteger = "ERR hash value is not an integer",
    /// A field's value that should be a number is none.
    #[cfg(feature = "hash")]
    HashNotAFloat = "ERR hash value is not a float",
    /// HINCRBYFLOAT by what is no finite number.
    #[cfg(feature = "hash")]
    NanOrInfinity = "ERR value is NaN or Infinity",
    /// HEXPIRE with a time below zero.
    #[cfg(feature = "hash")]
    NegativeExpire = "ERR invalid expire time, must be >= 0",
    /// No FIELDS where HEXPIRE and its kin have it.
    #[cfg(feature = "hash")]
    NoFields = "ERR Mandatory argument FIELDS is missing or not at the right position",
    /// A count of fields that is none, or not above zero: as HEXPIRE says it.
    #[cfg(feature = "hash")]
    NotAFieldCount = "ERR Parameter `numFields` should be greater than 0",
    /// The same, as HTTL and HPERSIST say it.
    #[cfg(feature = "hash")]
    NoFieldCount = "ERR Number of fields must be a positive integer",
    /// A count of fields other than that of the arguments behind it.
    #[cfg(feature = "hash")]
    FieldCountMismatch = "ERR The `numfields` parameter must match the number of arguments",
    /// A count whose double is out of range.
    #[raised(feature = "hash")]
    OutOfHalfRange = "ERR value is out of range",
    /// An increment would leave the range of 64-bit integers.
    Overflow = "ERR increment or decrement would overflow",
    /// DECRBY with the one amount that has no negative.
    DecrementOverflow = "ERR decrement would overflow",
    /// An argument or a stored value that should be a number is none.
    #[raised(any(feature = "float", feature = "zset"))]
    NotAFloat = "ERR value is not a valid float",
    /// The sum of INCRBYFLOAT would be infinite.
    #[raised(feature = "float")]
    NotFinite = "ERR increment would produce NaN or Infinity",
    /// SETRANGE before the start of a string.
    #[raised(feature = "range")]
    OffsetOutOfRange = "ERR offset is out of range",
    /// LCS of a value that is no string.
    #[cfg(feature = "lcs")]
    LcsNotAString = "ERR The specified keys must contain string values",
    /// LCS with LEN and IDX.
    #[cfg(feature = "lcs")]
    LcsLenIdxConflict = "ERR If you want both the length and indexes, please just use IDX.",
    /// LCS of strings whose table would exceed
    /// [`LCS_TABLE_CELLS_MAX`](crate::limits::LCS_TABLE_CELLS_MAX).
    #[cfg(feature = "lcs")]
    LcsTooLarge = "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len",
    /// LCS of strings whose table the budget has no room for.
    #[cfg(feature = "lcs")]
    LcsOutOfMemory = "ERR Insufficient memory, failed allocating transient memory for LCS",
    /// Options that are unknown, repeated or exclude each other.
    Syntax = "ERR syntax error",
    /// EXPIRE's NX with XX, GT or LT.
    ExpireNxConflict = "ERR NX and XX, GT or LT options at the same time are not compatible",
    /// EXPIRE's GT with LT.
    ExpireGtLtConflict = "ERR GT and LT options at the same time are not compatible",
    /// A time to live that is not positive, or a deadline beyond 64 bits.
    InvalidExpire = "ERR invalid expire time in '",
    /// The wrong number of arguments.
    WrongArity = "ERR wrong number of arguments for '",
    /// A cursor that SCAN did not hand out.
    InvalidCursor = "ERR invalid cursor",
    /// RENAME or LSET of a key that is not there.
    NoSuchKey = "ERR no such key",
    /// COPY of a key onto itself.
    #[raised(feature = "copy")]
    SameObject = "ERR source and destination objects are the same",
    /// COPY to another database: a keyspace is one.
    #[raised(feature = "copy")]
    OtherDatabase = "ERR DB index is out of range",
    /// OBJECT FREQ where uses are not counted.
    #[cfg(feature = "object")]
    NotLfu =
        "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note \
         that when switching between policies at runtime LRU and LFU data will take some time to \
         adjust.",
    /// OBJECT IDLETIME where the last use is not dated.
    #[cfg(feature = "object")]
    NoIdleTime =
        "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when \
         switching between policies at runtime LRU and LFU data will take some time to adjust.",
    /// RESTORE of a key that is there.
    #[cfg(feature = "dump")]
    BusyKey = "BUSYKEY Target key name already exists.",
    /// A payload of RESTORE whose frame is not sound.
    #[cfg(feature = "dump")]
    BadChecksum = "ERR DUMP payload version or checksum are wrong",
    /// A payload of RESTORE whose value is not sound.
    #[cfg(any(feature = "dump", feature = "zset"))]
    BadPayload = "ERR Bad data format",
    /// A time to live of RESTORE below zero.
    #[cfg(feature = "dump")]
    NegativeTtl = "ERR Invalid TTL value, must be >= 0",
    /// An idle time of RESTORE below zero.
    #[cfg(feature = "dump")]
    NegativeIdleTime = "ERR Invalid IDLETIME value, must be >= 0",
    /// A frequency of RESTORE that is not in 0 to 255.
    #[cfg(feature = "dump")]
    InvalidFrequency = "ERR Invalid FREQ value, must be >= 0 and <= 255",
    /// SORT by something that is no number.
    #[cfg(feature = "sort")]
    NotADouble = "ERR One or more scores can't be converted into double",
    /// A count of keys that is none, or not above zero.
    #[raised(any(feature = "list", feature = "set", feature = "zset"))]
    NoKeys = "ERR numkeys should be greater than 0",
    /// A count of keys above that of the arguments behind it.
    #[raised(any(feature = "list", feature = "set", feature = "zset"))]
    TooManyKeys = "ERR Number of keys can't be greater than number of args",
    /// A limit below zero, or none at all.
    #[cfg(any(feature = "set", feature = "zset"))]
    NegativeLimit = "ERR LIMIT can't be negative",
    /// A count below zero, or none at all.
    #[raised(any(feature = "list", feature = "set", feature = "zset"))]
    NotPositive = "ERR value is out of range, must be positive",
    /// LSET beyond the ends of a list.
    #[raised(feature = "list")]
    IndexOutOfRange = "ERR index out of range",
    /// LPOS from the zeroth match.
    #[cfg(feature = "list")]
    ZeroRank =
        "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or \
         use negative to start from the end of the list",
    /// LPOS with a COUNT below zero, or none at all.
    #[cfg(feature = "list")]
    NegativeCount = "ERR COUNT can't be negative",
    /// LPOS with a MAXLEN below zero, or none at all.
    #[cfg(feature = "list")]
    NegativeMaxLen = "ERR MAXLEN can't be negative",
    /// A COUNT that is not above zero, or none at all.
    #[cfg(feature = "list")]
    NoCount = "ERR count should be greater than 0",
    /// A count that has no opposite.
    #[raised(any(feature = "hash", feature = "set", feature = "zset"))]
    OutOfRange =
        "ERR value is out of range, value must between -9223372036854775807 and \
         9223372036854775807",
    /// More random elements, repeated ones among them, than
    /// [`RANDOM_DRAWS_MAX`](crate::limits::RANDOM_DRAWS_MAX).
    #[raised(any(feature = "hash", feature = "set", feature = "zset"))]
    TooManyDraws = "ERR value is out of range, must be at least -16777216",
    /// A count that is none, or not above zero.
    #[cfg(any(feature = "list", feature = "zset"))]
    CountNotPositive = "ERR count should be greater than 0",
    /// A count whose double leaves the range of 64-bit integers.
    #[raised(feature = "zset")]
    ValueOutOfRange = "ERR value is out of range",
    /// A score at the end of a range that is no number.
    #[cfg(feature = "zset")]
    NotAFloatRange = "ERR min or max is not a float",
    /// A text at the end of a range that begins with none of `[`, `(`, `-` and `+`.
    #[cfg(feature = "zset")]
    NotATextRange = "ERR min or max not valid string range item",
    /// The sum of two opposite infinities.
    #[cfg(feature = "zset")]
    NotANumber = "ERR resulting score is not a number (NaN)",
    /// ZADD's NX with XX.
    #[cfg(feature = "zset")]
    AddNxXxConflict = "ERR XX and NX options at the same time are not compatible",
    /// Two of ZADD's GT, LT and NX.
    #[cfg(feature = "zset")]
    AddGtLtNxConflict = "ERR GT, LT, and/or NX options at the same time are not compatible",
    /// ZADD's INCR with several members.
    #[cfg(feature = "zset")]
    IncrementOfSeveral = "ERR INCR option supports a single increment-element pair",
    /// ZRANGE's LIMIT without BYSCORE or BYLEX.
    #[cfg(feature = "zset")]
    LimitOfRanks =
        "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
    /// ZRANGE's WITHSCORES with BYLEX.
    #[cfg(feature = "zset")]
    ScoresOfTexts = "ERR syntax error, WITHSCORES not supported in combination with BYLEX",
    /// A count of sorted sets that is not above zero.
    #[cfg(feature = "zset")]
    NoInputs = "ERR at least 1 input key is needed for '",
    /// A weight that is no number.
    #[cfg(feature = "zset")]
    WeightNotAFloat = "ERR weight value is not a float",
    /// The offset of a bit that is none, or beyond the longest string.
    #[cfg(feature = "bitmap")]
    BitOffset = "ERR bit offset is not an integer or out of range",
    /// SETBIT to what is neither zero nor one.
    #[cfg(feature = "bitmap")]
    NotABit = "ERR bit is not an integer or out of range",
    /// BITPOS of what is neither zero nor one.
    #[cfg(feature = "bitmap")]
    NoSuchBit = "ERR The bit argument must be 1 or 0.",
    /// BITOP NOT of several keys.
    #[cfg(feature = "bitmap")]
    NotOfSeveral = "ERR BITOP NOT must be called with a single source key.",
    /// A type of BITFIELD that it does not know.
    #[cfg(feature = "bitmap")]
    BitFieldType =
        "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but \
         i64 is.",
    /// An OVERFLOW of BITFIELD that it does not know.
    #[cfg(feature = "bitmap")]
    BitFieldOverflow = "ERR Invalid OVERFLOW type specified",
    /// BITFIELD_RO that is to write.
    #[cfg(feature = "bitmap")]
    BitFieldReadOnly = "ERR BITFIELD_RO only supports the GET subcommand",
    /// A string that does not begin as a HyperLogLog does, or is too long or short for one.
    #[cfg(feature = "hyperloglog")]
    NotAHyperLogLog = "WRONGTYPE Key is not a valid HyperLogLog string value.",
    /// A HyperLogLog whose registers are too many or too few.
    #[cfg(feature = "hyperloglog")]
    CorruptHyperLogLog = "INVALIDOBJ Corrupted HLL object detected",
    /// PFDEBUG of a key that is not there.
    #[cfg(feature = "hyperloglog")]
    NoSuchHyperLogLog = "ERR The specified key does not exist",
    /// PFDEBUG DECODE of a dense HyperLogLog.
    #[cfg(feature = "hyperloglog")]
    NotSparse = "ERR HLL encoding is not sparse",
    /// A position that no map has. (What a request says wrong is repeated in its line.)
    #[cfg(feature = "geo")]
    OffTheMap = "ERR invalid longitude,latitude pair",
    /// A radius that is no number.
    #[cfg(feature = "geo")]
    RadiusNotANumber = "ERR need numeric radius",
    /// A radius below zero.
    #[cfg(feature = "geo")]
    NegativeRadius = "ERR radius cannot be negative",
    /// The width of a box that is no number.
    #[cfg(feature = "geo")]
    WidthNotANumber = "ERR need numeric width",
    /// The height of a box that is no number.
    #[cfg(feature = "geo")]
    HeightNotANumber = "ERR need numeric height",
    /// A side of a box below zero.
    #[cfg(feature = "geo")]
    NegativeSide = "ERR height or width cannot be negative",
    /// A unit of length that it does not know.
    #[cfg(feature = "geo")]
    UnknownUnit = "ERR unsupported unit provided. please use M, KM, FT, MI",
    /// The member that is to be the centre is not there.
    #[cfg(feature = "geo")]
    NoSuchCentre = "ERR could not decode requested zset member",
    /// A COUNT of places that is not above zero.
    #[cfg(feature = "geo")]
    PlaceCountNotPositive = "ERR COUNT must be > 0",
    /// ANY without COUNT.
    #[cfg(feature = "geo")]
    AnyWithoutCount = "ERR the ANY argument requires COUNT argument",
    /// STORE with what is only ever answered.
    #[cfg(feature = "geo")]
    StoreWithAnswer =
        "ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD \
         options",
    /// The same of GEOSEARCHSTORE.
    #[cfg(feature = "geo")]
    SearchStoreWithAnswer =
        "ERR GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD options",
    /// GEOSEARCH from nowhere.
    #[cfg(feature = "geo")]
    SearchWithoutCentre =
        "ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for GEOSEARCH",
    /// GEOSEARCHSTORE from nowhere.
    #[cfg(feature = "geo")]
    SearchStoreWithoutCentre =
        "ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for GEOSEARCHSTORE",
    /// GEOSEARCH in no shape.
    #[cfg(feature = "geo")]
    SearchWithoutShape = "ERR exactly one of BYRADIUS and BYBOX can be specified for GEOSEARCH",
    /// GEOSEARCHSTORE in no shape.
    #[cfg(feature = "geo")]
    SearchStoreWithoutShape =
        "ERR exactly one of BYRADIUS and BYBOX can be specified for GEOSEARCHSTORE",
    /// A text that should be the id of an entry and is none.
    #[cfg(feature = "stream")]
    InvalidStreamId = "ERR Invalid stream ID specified as stream command argument",
    /// A range that begins behind the highest id.
    #[cfg(feature = "stream")]
    InvalidStart = "ERR invalid start ID for the interval",
    /// A range that ends before the lowest id.
    #[cfg(feature = "stream")]
    InvalidEnd = "ERR invalid end ID for the interval",
    /// XADD of the one id that no entry has.
    #[cfg(feature = "stream")]
    StreamIdZero = "ERR The ID specified in XADD must be greater than 0-0",
    /// XADD of an id that is not above all others.
    #[cfg(feature = "stream")]
    StreamIdTooLow =
        "ERR The ID specified in XADD is equal or smaller than the target stream top item",
    /// XADD to a stream whose last id is the highest.
    #[cfg(feature = "stream")]
    StreamExhausted =
        "ERR The stream has exhausted the last possible ID, unable to add more items",
    /// An entry longer than [`VALUE_BYTES_MAX`](crate::limits::VALUE_BYTES_MAX).
    #[cfg(feature = "stream")]
    EntryTooLong = "ERR Elements are too large to be stored",
    /// A group or a consumer whose name is longer than
    /// [`STREAM_NAME_BYTES_MAX`](crate::limits::STREAM_NAME_BYTES_MAX).
    #[cfg(feature = "stream")]
    NameTooLong = "ERR name of a group or a consumer exceeds maximum allowed size (512 bytes)",
    /// MAXLEN with MINID.
    #[cfg(feature = "stream")]
    TrimConflict =
        "ERR syntax error, MAXLEN and MINID options at the same time are not compatible",
    /// MAXLEN below zero.
    #[cfg(feature = "stream")]
    TrimLenNegative = "ERR The MAXLEN argument must be >= 0.",
    /// LIMIT of a trim below zero.
    #[cfg(feature = "stream")]
    TrimLimitNegative = "ERR The LIMIT argument must be >= 0.",
    /// LIMIT without MAXLEN or MINID.
    #[cfg(feature = "stream")]
    TrimLimitAlone =
        "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy",
    /// XTRIM without MAXLEN or MINID.
    #[cfg(feature = "stream")]
    TrimMissing = "ERR syntax error, XTRIM must be called with a trimming strategy",
    /// LIMIT of an exact trim.
    #[cfg(feature = "stream")]
    TrimLimitExact = "ERR syntax error, LIMIT cannot be used without the special ~ option",
    /// XSETID with fewer than no entries.
    #[cfg(feature = "stream")]
    AddedNegative = "ERR entries_added must be positive",
    /// XSETID with fewer entries than there are.
    #[cfg(feature = "stream")]
    AddedBelowLen =
        "ERR The entries_added specified in XSETID is smaller than the target stream length",
    /// XSETID with a deleted id above the last.
    #[cfg(feature = "stream")]
    LastBelowDeleted =
        "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id",
    /// XSETID with an entry above the last id.
    #[cfg(feature = "stream")]
    LastBelowTop = "ERR The ID specified in XSETID is smaller than the target stream top item",
    /// A time to wait that is no integer.
    #[cfg(feature = "stream")]
    TimeoutNotAnInteger = "ERR timeout is not an integer or out of range",
    /// A time to wait below zero.
    #[cfg(feature = "stream")]
    TimeoutNegative = "ERR timeout is negative",
    /// XREAD with another number of ids than of streams.
    #[cfg(feature = "stream")]
    UnbalancedStreams =
        "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be \
         specified.",
    /// XREAD with GROUP.
    #[cfg(feature = "stream")]
    ReadGroupOption =
        "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.",
    /// XREAD with NOACK.
    #[cfg(feature = "stream")]
    ReadNoackOption =
        "ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.",
    /// XREADGROUP without GROUP.
    #[cfg(feature = "stream")]
    ReadGroupMissing = "ERR Missing GROUP option for XREADGROUP",
    /// XREAD of what is new to a group.
    #[cfg(feature = "stream")]
    ReadNewWithoutGroup =
        "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> \
         <consumer> option.",
    /// XREADGROUP from the last id.
    #[cfg(feature = "stream")]
    ReadLastWithGroup =
        "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the \
         history of this consumer by specifying a proper ID, or use the > ID to get new \
         messages. The $ ID would just return an empty result set.",
    /// XGROUP of a key that is not there.
    #[cfg(feature = "stream")]
    GroupOfNoKey =
        "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may \
         want to use the MKSTREAM option to create an empty stream automatically.",
    /// XGROUP CREATE of a group that is there.
    #[cfg(feature = "stream")]
    BusyGroup = "BUSYGROUP Consumer Group name already exists",
    /// ENTRIESREAD below zero.
    #[cfg(feature = "stream")]
    ReadNegative = "ERR value for ENTRIESREAD must be positive or -1",
    /// XCLAIM of entries idle for what is no integer.
    #[cfg(feature = "stream")]
    ClaimMinIdle = "ERR Invalid min-idle-time argument for XCLAIM",
    /// IDLE that is no integer.
    #[cfg(feature = "stream")]
    ClaimIdle = "ERR Invalid IDLE option argument for XCLAIM",
    /// TIME that is no integer.
    #[cfg(feature = "stream")]
    ClaimTime = "ERR Invalid TIME option argument for XCLAIM",
    /// RETRYCOUNT that is no integer.
    #[cfg(feature = "stream")]
    ClaimRetryCount = "ERR Invalid RETRYCOUNT option argument for XCLAIM",
    /// XAUTOCLAIM of entries idle for what is no integer.
    #[cfg(feature = "stream")]
    AutoClaimMinIdle = "ERR Invalid min-idle-time argument for XAUTOCLAIM",
    /// XAUTOCLAIM of so few entries, or of too many.
    #[cfg(feature = "stream")]
    AutoClaimCount = "ERR COUNT must be > 0",
    /// The budget is used up and the policy lets nothing go.
    OutOfMemory = "OOM command not allowed when used memory > 'maxmemory'.",
    /// A key longer than [`KEY_BYTES_MAX`](crate::limits::KEY_BYTES_MAX).
    KeyTooLong = "ERR key exceeds maximum allowed size (8000 bytes)",
    /// A value longer than [`VALUE_BYTES_MAX`](crate::limits::VALUE_BYTES_MAX).
    ValueTooLong = "ERR string exceeds maximum allowed size (proto-max-bulk-len)",
    /// A memory size that cannot be read.
    InvalidMemory = "ERR argument must be a memory value",
    /// A budget outside what the engine can work in.
    MemoryOutOfRange = "ERR argument must be between 1048576 and 17179869184",
    /// Compression, where the feature `compression` is not built in.
    NoCompression = "ERR compression is not built in",
    /// A policy that does not exist.
    UnknownPolicy = if cfg!(feature = "learn") {
        "ERR argument(s) must be one of the following: volatile-lru, volatile-lfu, \
         volatile-random, volatile-ttl, allkeys-lru, allkeys-lfu, allkeys-random, \
         allkeys-s3fifo, allkeys-gdsf, noeviction"
    } else {
        "ERR argument(s) must be one of the following: volatile-lru, volatile-lfu, \
         volatile-random, volatile-ttl, allkeys-lru, allkeys-lfu, allkeys-random, noeviction"
    },
}

impl Error {
    /// The line as the command of this name sends it, in the pieces it is put together from.
    #[inline(never)]
    pub fn parts<'a>(&self, command: &'a str) -> [&'a str; 3] {
        let text = TEXTS.get(*self as usize).copied().unwrap_or_default();
        if text.ends_with('\'') { [text, command, "' command"] } else { [text, "", ""] }
    }

    /// The first word of the line, by which clients tell errors apart.
    pub fn code(&self) -> &'static str {
        match self {
            Error::WrongType => "WRONGTYPE",
            Error::OutOfMemory => "OOM",
            #[cfg(feature = "dump")]
            Error::BusyKey => "BUSYKEY",
            #[cfg(feature = "hyperloglog")]
            Error::NotAHyperLogLog => "WRONGTYPE",
            #[cfg(feature = "hyperloglog")]
            Error::CorruptHyperLogLog => "INVALIDOBJ",
            #[cfg(feature = "stream")]
            Error::BusyGroup => "BUSYGROUP",
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
