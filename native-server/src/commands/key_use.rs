//! What commands do with their keys, in Redis's words: read only (RO), read and write (RW), write
//! over (OW) or remove (RM) them, and what they do with the values.
//!
//! Most do what their row's flags say; the others are listed here.

use ferrite_engine::WRITE;

use crate::commands::Command;

/// Words for one key.
pub type Use = &'static [&'static str];

const READ: Use = &["RO", "access"];
const LOOK: Use = &["RO"];
const OVERWRITE: Use = &["OW", "update"];
const CREATE: Use = &["OW", "insert"];
const REMOVE: Use = &["RM", "delete"];
const CHANGE: Use = &["RW", "update"];
const EXCHANGE: Use = &["RW", "access", "update"];
const TAKE: Use = &["RW", "access", "delete"];
const GIVE: Use = &["RW", "insert"];
const SHED: Use = &["RW", "delete"];

/// Commands by what they do with all of their keys.
const ALIKE: &[(Use, &[&str])] = &[
    (
        LOOK,
        &[
            "exists",
            "hexists",
            "hlen",
            "hstrlen",
            "llen",
            "memory|usage",
            "object|encoding",
            "object|freq",
            "object|idletime",
            "object|refcount",
            "scard",
            "sismember",
            "strlen",
            "touch",
            "type",
            "watch",
            "xlen",
            "zcard",
        ],
    ),
    (READ, &["fcall_ro", "xreadgroup"]),
    (OVERWRITE, &["mset", "psetex", "restore", "setex"]),
    (CREATE, &["msetnx", "setnx"]),
    (REMOVE, &["del", "unlink"]),
    (
        EXCHANGE,
        &[
            "decr",
            "decrby",
            "eval",
            "evalsha",
            "fcall",
            "getex",
            "getset",
            "hincrby",
            "hincrbyfloat",
            "incr",
            "incrby",
            "incrbyfloat",
            "move",
            "setbit",
            "zincrby",
        ],
    ),
    (
        TAKE,
        &[
            "blmpop", "blpop", "brpop", "bzmpop", "bzpopmax", "bzpopmin", "getdel", "lmpop",
            "lpop", "rpop", "spop", "zmpop", "zpopmax", "zpopmin",
        ],
    ),
    (&["RW", "access"], &["pfcount", "pfdebug"]),
    (
        GIVE,
        &[
            "append",
            "hsetnx",
            "linsert",
            "lpush",
            "lpushx",
            "pfadd",
            "rpush",
            "rpushx",
            "sadd",
            "xgroup|create",
            "xgroup|createconsumer",
        ],
    ),
    (
        SHED,
        &[
            "hdel",
            "lrem",
            "ltrim",
            "srem",
            "xautoclaim",
            "xdel",
            "xgroup|delconsumer",
            "xgroup|destroy",
            "xtrim",
            "zrem",
            "zremrangebylex",
            "zremrangebyrank",
            "zremrangebyscore",
        ],
    ),
];

/// Commands by what they do with the first of their keys and with the others.
const UNLIKE: &[(Use, Use, &[&str])] = &[
    (READ, OVERWRITE, &["copy"]),
    (TAKE, CREATE, &["renamenx"]),
    (TAKE, OVERWRITE, &["rename"]),
    (TAKE, GIVE, &["blmove", "brpoplpush", "lmove", "rpoplpush", "smove"]),
    (&["RW", "access", "insert"], READ, &["pfmerge"]),
    (CHANGE, READ, &["sinterstore"]),
    (READ, READ, &["georadius", "georadiusbymember", "sort"]),
    (
        OVERWRITE,
        READ,
        &[
            "bitop",
            "geosearchstore",
            "sdiffstore",
            "sunionstore",
            "zdiffstore",
            "zinterstore",
            "zrangestore",
            "zunionstore",
        ],
    ),
];

/// What an option that stores a result does with the key it names.
pub const STORED: Use = OVERWRITE;

/// What a command does with the first of its keys, and with the others.
pub fn of(command: &Command, request: &[&[u8]]) -> [Use; 2] {
    let name = command.name;
    if let Some((first, others, _)) = UNLIKE.iter().find(|(.., names)| names.contains(&name)) {
        return [*first, *others];
    }
    let has = |word: &str| {
        // A value may be any word.
        let mut options = request.iter().skip(if name == "set" { 3 } else { 2 });
        options.any(|option| option.eq_ignore_ascii_case(word.as_bytes()))
    };
    let alike = match name {
        "set" if has("get") => EXCHANGE,
        "set" => OVERWRITE,
        "bitfield" if has("set") || has("incrby") => EXCHANGE,
        "bitfield" => READ,
        _ => {
            let listed = ALIKE.iter().find(|(_, names)| names.contains(&name));
            let by_flags = if command.has(WRITE) { CHANGE } else { READ };
            listed.map_or(by_flags, |(own, _)| own)
        }
    };
    [alike; 2]
}
