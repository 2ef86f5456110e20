//! The families' commands with their weights, in the notation of Redis's documentation.
//! `numkeys` stands for the number and the keys that follow it, `weights` for one weight a key,
//! `numfields` for the number and its fields.
//! The members of a `lex-key` have one score, since elsewhere lexical ranges mean nothing.

use crate::family::Family;

/// The families, as `scripts/fuzz differential` names them.
pub const FAMILIES: &[Family] = &[
    Family { name: "string", commands: STRINGS },
    Family { name: "hash", commands: HASHES },
    Family { name: "list", commands: LISTS },
    Family { name: "set", commands: SETS },
    Family { name: "zset", commands: SORTED_SETS },
    Family { name: "bitmap", commands: BITMAPS },
    Family { name: "hyperloglog", commands: HYPERLOGLOGS },
    Family { name: "geo", commands: PLACES },
];

/// What works on keys of any type; every family has these as well.
pub(super) const KEYS: &[(usize, &str)] = &[
    (6, "DEL key [key ...]"),
    (1, "UNLINK key [key ...]"),
    (2, "EXISTS key [key ...]"),
    (1, "TOUCH key [key ...]"),
    (2, "TYPE key"),
    (2, "EXPIRE key seconds [NX | XX | GT | LT]"),
    (3, "PEXPIRE key milliseconds [NX | XX | GT | LT]"),
    (1, "EXPIREAT key time-seconds [NX | XX | GT | LT]"),
    (2, "PEXPIREAT key time-milliseconds [NX | XX | GT | LT]"),
    (1, "TTL key"),
    (3, "PTTL key"),
    (1, "EXPIRETIME key"),
    (1, "PEXPIRETIME key"),
    (3, "PERSIST key"),
    (3, "COPY source destination [REPLACE]"),
    (3, "RENAME key destination"),
    (2, "RENAMENX key destination"),
    (1, "RANDOMKEY"),
    (1, "KEYS pattern"),
    (1, "SCAN cursor [MATCH pattern] [COUNT len] [TYPE type]"),
    (2, "SORT key [ASC | DESC] [ALPHA] [LIMIT offset count] [STORE destination]"),
    (1, "SORT key [LIMIT offset count] [GET get-pattern ...] [ASC | DESC] [ALPHA]"),
    (1, "SORT key BY weight-pattern [LIMIT offset count] [GET get-pattern ...] [ASC | DESC]"),
    (1, "SORT_RO key ALPHA [LIMIT offset count]"),
    (2, "DUMP key"),
    (1, "SET key value"),
    (1, "SET key value [NX | XX] [PX milliseconds | KEEPTTL]"),
    (1, "GET key"),
];

const STRINGS: &[(usize, &str)] = &[
    (20, "SET key value [NX | XX] [GET] [EX seconds | PX milliseconds | KEEPTTL]"),
    (4, "SET key value [NX | XX] [GET] [EXAT time-seconds | PXAT time-milliseconds]"),
    (6, "SET key integer"),
    (12, "GET key"),
    (3, "GETDEL key"),
    (4, "GETEX key [EX seconds | PX milliseconds | PERSIST]"),
    (2, "GETEX key [EXAT time-seconds | PXAT time-milliseconds]"),
    (3, "GETSET key value"),
    (3, "SETNX key value"),
    (2, "SETEX key seconds value"),
    (2, "PSETEX key milliseconds value"),
    (6, "APPEND key value"),
    (4, "STRLEN key"),
    (5, "GETRANGE key start stop"),
    (1, "SUBSTR key start stop"),
    (5, "SETRANGE key position value"),
    (2, "INCR key"),
    (2, "DECR key"),
    (3, "INCRBY key integer"),
    (3, "DECRBY key integer"),
    (5, "INCRBYFLOAT key decimal"),
    (4, "MGET key [key ...]"),
    (3, "MSET key value [key value ...]"),
    (2, "MSETNX key value [key value ...]"),
    (2, "LCS key destination [LEN | IDX] [MINMATCHLEN len] [WITHMATCHLEN]"),
    (1, "RPUSH key element"),
    (1, "SADD key member"),
];

const HASHES: &[(usize, &str)] = &[
    (24, "HSET key field value [field value ...]"),
    (4, "HSETNX key field value"),
    (4, "HMSET key field value [field value ...]"),
    (10, "HGET key field"),
    (5, "HMGET key field [field ...]"),
    (3, "HGETALL key"),
    (2, "HKEYS key"),
    (2, "HVALS key"),
    (4, "HLEN key"),
    (4, "HEXISTS key field"),
    (12, "HDEL key field [field ...]"),
    (3, "HSTRLEN key field"),
    (6, "HINCRBY key field integer"),
    (5, "HINCRBYFLOAT key field decimal"),
    (3, "HRANDFIELD key [count [WITHVALUES]]"),
    (2, "HSCAN key cursor [MATCH pattern] [COUNT len]"),
    (1, "SADD key member"),
];

/// What redis-server 7.0 does not know: only ever asked of an engine alone.
pub(super) const FIELDS_THAT_EXPIRE: &Family = &Family {
    name: "hash",
    commands: &[
        (6, "HPEXPIRE key milliseconds [NX | XX | GT | LT] FIELDS numfields"),
        (2, "HEXPIRE key seconds [NX | XX | GT | LT] FIELDS numfields"),
        (3, "HPEXPIREAT key time-milliseconds [NX | XX | GT | LT] FIELDS numfields"),
        (1, "HEXPIREAT key time-seconds [NX | XX | GT | LT] FIELDS numfields"),
        (3, "HPTTL key FIELDS numfields"),
        (1, "HTTL key FIELDS numfields"),
        (1, "HPEXPIRETIME key FIELDS numfields"),
        (1, "HEXPIRETIME key FIELDS numfields"),
        (3, "HPERSIST key FIELDS numfields"),
    ],
};

const LISTS: &[(usize, &str)] = &[
    (12, "RPUSH key element [element ...]"),
    (10, "LPUSH key element [element ...]"),
    (2, "RPUSHX key element [element ...]"),
    (2, "LPUSHX key element [element ...]"),
    (6, "LPOP key [count]"),
    (6, "RPOP key [count]"),
    (4, "LLEN key"),
    (6, "LINDEX key index"),
    (6, "LSET key index element"),
    (6, "LRANGE key start stop"),
    (1, "LRANGE key 0 -1"),
    (3, "LTRIM key start stop"),
    (5, "LREM key index element"),
    (6, "LINSERT key <BEFORE | AFTER> pivot element"),
    (5, "LPOS key element [RANK index] [COUNT len] [MAXLEN len]"),
    (4, "LMOVE source destination <LEFT | RIGHT> <LEFT | RIGHT>"),
    (3, "RPOPLPUSH source destination"),
    (3, "LMPOP numkeys <LEFT | RIGHT> [COUNT count]"),
    (1, "ZADD key score member"),
];

const SETS: &[(usize, &str)] = &[
    (24, "SADD key member [member ...]"),
    (12, "SREM key member [member ...]"),
    (6, "SISMEMBER key member"),
    (4, "SMISMEMBER key member [member ...]"),
    (3, "SMEMBERS key"),
    (4, "SCARD key"),
    (4, "SPOP key [count]"),
    (4, "SRANDMEMBER key [count]"),
    (4, "SMOVE source destination member"),
    (2, "SINTER key [key ...]"),
    (2, "SUNION key [key ...]"),
    (2, "SDIFF key [key ...]"),
    (2, "SINTERSTORE destination key [key ...]"),
    (2, "SUNIONSTORE destination key [key ...]"),
    (2, "SDIFFSTORE destination key [key ...]"),
    (3, "SINTERCARD numkeys [LIMIT len]"),
    (2, "SSCAN key cursor [MATCH pattern] [COUNT len]"),
    (1, "HSET key field value"),
];

const SORTED_SETS: &[(usize, &str)] = &[
    (20, "ZADD key score member [score member ...]"),
    (10, "ZADD key [NX | XX] [GT | LT] [CH] [INCR] score member [score member ...]"),
    (6, "ZADD lex-key 0 member [0 member ...]"),
    (3, "ZREM lex-key member [member ...]"),
    (1, "DEL lex-key"),
    (1, "PEXPIRE lex-key milliseconds"),
    (1, "COPY lex-key lex-key [REPLACE]"),
    (5, "ZINCRBY key increment member"),
    (10, "ZREM key member [member ...]"),
    (3, "ZCARD key"),
    (5, "ZSCORE key member"),
    (3, "ZMSCORE key member [member ...]"),
    (4, "ZRANK key member"),
    (4, "ZREVRANK key member"),
    (4, "ZRANGE key start stop [REV] [WITHSCORES]"),
    (4, "ZRANGE key min max BYSCORE [REV] [LIMIT offset count] [WITHSCORES]"),
    (4, "ZRANGE lex-key lex lex BYLEX [REV] [LIMIT offset count]"),
    (1, "ZRANGE key 0 -1 WITHSCORES"),
    (2, "ZREVRANGE key start stop [WITHSCORES]"),
    (2, "ZRANGEBYSCORE key min max [WITHSCORES] [LIMIT offset count]"),
    (2, "ZREVRANGEBYSCORE key max min [WITHSCORES] [LIMIT offset count]"),
    (2, "ZRANGEBYLEX lex-key lex lex [LIMIT offset count]"),
    (2, "ZREVRANGEBYLEX lex-key lex lex [LIMIT offset count]"),
    (2, "ZRANGESTORE destination source start stop [REV]"),
    (2, "ZRANGESTORE destination source min max BYSCORE [REV] [LIMIT offset count]"),
    (1, "ZRANGESTORE destination lex-key lex lex BYLEX [LIMIT offset count]"),
    (3, "ZCOUNT key min max"),
    (3, "ZLEXCOUNT lex-key lex lex"),
    (2, "ZREMRANGEBYRANK key start stop"),
    (1, "ZREMRANGEBYSCORE key min max"),
    (1, "ZREMRANGEBYLEX lex-key lex lex"),
    (3, "ZPOPMIN key [count]"),
    (3, "ZPOPMAX key [count]"),
    (3, "ZMPOP numkeys <MIN | MAX> [COUNT count]"),
    (2, "ZUNION numkeys [WEIGHTS weights] [AGGREGATE <SUM | MIN | MAX>] [WITHSCORES]"),
    (2, "ZINTER numkeys [WEIGHTS weights] [AGGREGATE <SUM | MIN | MAX>] [WITHSCORES]"),
    (2, "ZDIFF numkeys [WITHSCORES]"),
    (2, "ZUNIONSTORE destination numkeys [WEIGHTS weights] [AGGREGATE <SUM | MIN | MAX>]"),
    (2, "ZINTERSTORE destination numkeys [WEIGHTS weights] [AGGREGATE <SUM | MIN | MAX>]"),
    (2, "ZDIFFSTORE destination numkeys"),
    (2, "ZINTERCARD numkeys [LIMIT len]"),
    (3, "ZRANDMEMBER key [count [WITHSCORES]]"),
    (2, "ZSCAN key cursor [MATCH pattern] [COUNT len]"),
    (2, "SADD key member [member ...]"),
    (1, "LPUSH key element"),
];

const BITMAPS: &[(usize, &str)] = &[
    (20, "SETBIT key bit-offset bit"),
    (8, "GETBIT key bit-offset"),
    (6, "BITCOUNT key"),
    (6, "BITCOUNT key index index [BYTE | BIT]"),
    (4, "BITPOS key bit [index]"),
    (8, "BITPOS key bit index index [BYTE | BIT]"),
    (8, "BITOP <AND | OR | XOR> destination source [source ...]"),
    (3, "BITOP NOT destination source"),
    (4, "BITFIELD key GET bit-type field-offset [GET bit-type field-offset ...]"),
    (4, "BITFIELD_RO key [GET bit-type field-offset ...]"),
    (6, "BITFIELD key <SET | INCRBY> bit-type field-offset integer GET bit-type field-offset"),
    (
        8,
        "BITFIELD key [OVERFLOW <WRAP | SAT | FAIL>] <SET | INCRBY> bit-type field-offset integer \
         [OVERFLOW <WRAP | SAT | FAIL> INCRBY bit-type field-offset small ...]",
    ),
    (4, "SETRANGE key position value"),
    (3, "APPEND key value"),
    (2, "GETRANGE key start stop"),
    (1, "INCR key"),
    (1, "RPUSH key element"),
];

/// With nothing that would write into them: of what is corrupt Redis changes a part before it says
/// so.
const HYPERLOGLOGS: &[(usize, &str)] = &[
    (60, "PFADD key visitor [visitor ...]"),
    (4, "PFADD key [element ...]"),
    (20, "PFCOUNT key"),
    (6, "PFCOUNT key [key ...]"),
    (6, "PFMERGE destination [source ...]"),
    (2, "PFDEBUG <ENCODING | DECODE> key"),
    (1, "PFDEBUG TODENSE key"),
    (1, "PFDEBUG GETREG key"),
    (20, "GETRANGE key 0 -1"),
    (4, "STRLEN key"),
    (1, "SADD key member"),
];

/// Without STOREDIST: its scores differ in their last bit between C libraries (tests/tests/geo.rs).
const PLACES: &[(usize, &str)] = &[
    (12, "GEOADD key longitude latitude member"),
    (24, "GEOADD key [NX | XX] [CH] longitude latitude member [longitude latitude member ...]"),
    (8, "GEOPOS key member [member ...]"),
    (4, "GEOHASH key [member ...]"),
    (12, "GEODIST key member member [M | KM | FT | MI]"),
    (
        12,
        "GEOSEARCH key FROMLONLAT longitude latitude BYRADIUS radius <M | KM | FT | MI> \
         [ASC | DESC] [COUNT len] [WITHCOORD] [WITHDIST] [WITHHASH]",
    ),
    (
        8,
        "GEOSEARCH key FROMMEMBER member BYBOX radius radius <M | KM | FT | MI> [ASC | DESC] \
         [COUNT len ANY] [WITHCOORD] [WITHDIST] [WITHHASH]",
    ),
    (
        8,
        "GEOSEARCHSTORE destination source <FROMMEMBER member | FROMLONLAT longitude latitude> \
         <BYRADIUS radius KM | BYBOX radius radius KM> [ASC | DESC] [COUNT len]",
    ),
    (
        6,
        "GEORADIUS key longitude latitude radius <M | KM | FT | MI> [WITHCOORD] [WITHDIST] \
         [COUNT len [ANY]] [ASC | DESC] [STORE destination]",
    ),
    (
        6,
        "GEORADIUSBYMEMBER key member radius KM [WITHHASH] [WITHDIST] [COUNT len [ANY]] \
         [ASC | DESC] [STORE destination]",
    ),
    (3, "GEORADIUS_RO key longitude latitude radius KM [WITHDIST] [ASC | DESC]"),
    (3, "GEORADIUSBYMEMBER_RO key member radius KM [WITHCOORD] [ASC | DESC]"),
    (3, "ZADD key score member"),
    (6, "ZREM key member [member ...]"),
    (3, "ZRANGE key start stop [WITHSCORES]"),
    (1, "SADD key member"),
];
