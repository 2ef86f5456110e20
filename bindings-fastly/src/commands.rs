//! The commands of the edge as methods: one entry a command, named as Redis names it.
//!
//! Invariant: every row of the engine's table that is offered at the edge has a method (a test
//! below counts them). What a command does is the engine's; here is only how its arguments and its
//! answer look in Rust.
//! Not here: GET, SET, SETNX, INCR and INCRBY, which go past the table (cache.rs).

use crate::cache::Cache;
use crate::engine::{Expiry, Side};
use crate::error::Result;
use crate::reply::Pairs;

/// Bytes, or a key: what Redis calls a string.
type Bytes = Vec<u8>;

/// Under which condition a deadline is set.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum When {
    /// Always.
    #[default]
    Always,
    /// NX: if there is none.
    None,
    /// XX: if there is one.
    Some,
    /// GT: if it is later than the one there is.
    Later,
    /// LT: if it is earlier than the one there is, or there is none.
    Earlier,
}

/// The arguments of a command, one behind the other.
struct Request {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Request {
    /// One with the words of its name.
    fn new(name: &str) -> Request {
        let mut request = Request { bytes: Vec::new(), ends: Vec::new() };
        name.split(' ').for_each(|word| request.text(word));
        request
    }

    fn arguments(&self) -> Vec<&[u8]> {
        let mut start = 0;
        let cut = |&end| &self.bytes[std::mem::replace(&mut start, end)..end];
        self.ends.iter().map(cut).collect()
    }

    fn text(&mut self, text: impl AsRef<[u8]>) {
        self.bytes.extend_from_slice(text.as_ref());
        self.ends.push(self.bytes.len());
    }

    fn number(&mut self, number: i64) {
        self.text(number.to_string());
    }

    fn cursor(&mut self, cursor: u64) {
        self.text(cursor.to_string());
    }

    fn float(&mut self, number: f64) {
        self.text(number.to_string());
    }

    fn texts(&mut self, texts: impl IntoIterator<Item = impl AsRef<[u8]>>) {
        texts.into_iter().for_each(|text| self.text(text));
    }

    fn options(&mut self, words: &[&str]) {
        self.texts(words);
    }

    fn pairs(&mut self, pairs: impl IntoIterator<Item = (impl AsRef<[u8]>, impl AsRef<[u8]>)>) {
        for (name, value) in pairs {
            self.text(name);
            self.text(value);
        }
    }

    /// Texts behind their number.
    fn counted(&mut self, texts: impl IntoIterator<Item = impl AsRef<[u8]>>) {
        let texts: Vec<_> = texts.into_iter().collect();
        self.text(texts.len().to_string());
        self.texts(texts);
    }

    fn fields(&mut self, fields: impl IntoIterator<Item = impl AsRef<[u8]>>) {
        self.text("FIELDS");
        self.counted(fields);
    }

    fn side(&mut self, side: Side) {
        self.text(if side == Side::Left { "LEFT" } else { "RIGHT" });
    }

    fn beside(&mut self, side: Side) {
        self.text(if side == Side::Left { "BEFORE" } else { "AFTER" });
    }

    fn when(&mut self, when: When) {
        match when {
            When::Always => {}
            When::None => self.text("NX"),
            When::Some => self.text("XX"),
            When::Later => self.text("GT"),
            When::Earlier => self.text("LT"),
        }
    }

    fn expiry(&mut self, expiry: Expiry) {
        let (word, number) = match expiry {
            Expiry::Keep => return,
            Expiry::Never => return self.text("PERSIST"),
            Expiry::In(number) => ("PX", number),
            Expiry::At(number) => ("PXAT", number),
        };
        self.text(word);
        self.number(number);
    }
}

/// The Rust type of an argument: the method of `Request` that takes it has the same name.
macro_rules! argument {
    (text) => { impl AsRef<[u8]> };
    (number) => { i64 };
    (cursor) => { u64 };
    (float) => { f64 };
    (texts) => { impl IntoIterator<Item = impl AsRef<[u8]>> };
    (options) => { &[&str] };
    (pairs) => { impl IntoIterator<Item = (impl AsRef<[u8]>, impl AsRef<[u8]>)> };
    (counted) => { impl IntoIterator<Item = impl AsRef<[u8]>> };
    (fields) => { impl IntoIterator<Item = impl AsRef<[u8]>> };
    (side) => { Side };
    (beside) => { Side };
    (when) => { When };
    (expiry) => { Expiry };
}

/// Methods from their signatures; the command is named where the method is not called like it.
macro_rules! commands {
    ($(
        $(#[$doc:meta])+
        $method:ident $([$name:literal])? ($($argument:ident: $kind:ident),*) -> $result:ty;
    )+) => {
        impl Cache {
            $(
                $(#[$doc])+
                pub fn $method(&self, $($argument: argument!($kind)),*) -> Result<$result> {
                    let name = [$($name,)? stringify!($method)][0];
                    #[allow(unused_mut)]
                    let mut request = Request::new(name);
                    $(request.$kind($argument);)*
                    self.ask(&request.arguments())
                }
            )+
        }

        /// Method and command of each entry, for the test.
        #[cfg(test)]
        const METHODS: &[(&str, &str)] =
            &[$((stringify!($method), [$($name,)? stringify!($method)][0]),)+];
    };
}

// Strings.
commands! {
    /// APPEND: adds to the end of a string. Its length.
    append(key: text, suffix: text) -> i64;
    /// DECR: takes one off. The difference.
    decr(key: text) -> i64;
    /// DECRBY: takes a number off. The difference.
    decrby(key: text, change: number) -> i64;
    /// GETDEL: the value of a key, which is then gone.
    getdel(key: text) -> Option<Bytes>;
    /// GETEX: the value of a key, and a new deadline for it.
    getex(key: text, expiry: expiry) -> Option<Bytes>;
    /// GETRANGE: a part of a string; positions below zero count from its end.
    getrange(key: text, first: number, last: number) -> Bytes;
    /// GETSET: gives a key a value. The one it had.
    getset(key: text, value: text) -> Option<Bytes>;
    /// INCRBYFLOAT: adds a number that may have decimals. The sum.
    incrbyfloat(key: text, change: float) -> f64;
    /// MGET: the values of several keys.
    mget(keys: texts) -> Vec<Option<Bytes>>;
    /// MSET: gives several keys their values.
    mset(pairs: pairs) -> ();
    /// MSETNX: the same, if none of them has one. Whether it did.
    msetnx(pairs: pairs) -> bool;
    /// PSETEX: gives a key a value for so many milliseconds.
    psetex(key: text, ms: number, value: text) -> ();
    /// SETEX: gives a key a value for so many seconds.
    setex(key: text, seconds: number, value: text) -> ();
    /// SETRANGE: writes over a part of a string. Its length.
    setrange(key: text, start: number, bytes: text) -> i64;
    /// STRLEN: how long a string is.
    strlen(key: text) -> i64;
    /// SUBSTR: the old name of GETRANGE.
    substr(key: text, first: number, last: number) -> Bytes;

    // Keys.
    /// COPY: copies a value to another key; REPLACE is its option. Whether it did.
    copy(from: text, to: text, options: options) -> bool;
    /// DBSIZE: how many keys there are.
    dbsize() -> i64;
    /// DEL: drops keys. How many were there.
    del(keys: texts) -> i64;
    /// EXISTS: how many of these keys are there.
    exists(keys: texts) -> i64;
    /// EXPIRE: a key lives for so many seconds more. Whether it is so now.
    expire(key: text, seconds: number, when: when) -> bool;
    /// EXPIREAT: a key lives until a time in seconds. Whether it is so now.
    expireat(key: text, unix_seconds: number, when: when) -> bool;
    /// EXPIRETIME: the time in seconds when a key expires; -1 without one, -2 without the key.
    expiretime(key: text) -> i64;
    /// FLUSHDB: drops all keys.
    flushdb() -> ();
    /// KEYS: all keys that fit a pattern. It looks at every key.
    keys(pattern: text) -> Vec<Bytes>;
    /// OBJECT ENCODING: how a value is stored.
    object_encoding ["object encoding"] (key: text) -> Option<String>;
    /// OBJECT FREQ: how often a key is used, on a logarithmic scale. Policies of LFU only.
    object_freq ["object freq"] (key: text) -> Option<i64>;
    /// OBJECT IDLETIME: the seconds since a key was used, at least.
    object_idletime ["object idletime"] (key: text) -> Option<i64>;
    /// OBJECT REFCOUNT: one.
    object_refcount ["object refcount"] (key: text) -> Option<i64>;
    /// PERSIST: a key loses its deadline. Whether it had one.
    persist(key: text) -> bool;
    /// PEXPIRE: a key lives for so many milliseconds more. Whether it is so now.
    pexpire(key: text, ms: number, when: when) -> bool;
    /// PEXPIREAT: a key lives until a time in milliseconds. Whether it is so now.
    pexpireat(key: text, unix_ms: number, when: when) -> bool;
    /// PEXPIRETIME: as EXPIRETIME, in milliseconds.
    pexpiretime(key: text) -> i64;
    /// PING.
    ping() -> String;
    /// PTTL: for how many milliseconds a key lives on; -1 without end, -2 without the key.
    pttl(key: text) -> i64;
    /// RANDOMKEY: some key.
    randomkey() -> Option<Bytes>;
    /// RENAME: gives a value another key.
    rename(from: text, to: text) -> ();
    /// RENAMENX: the same, if there is no such key yet. Whether it did.
    renamenx(from: text, to: text) -> bool;
    /// SCAN: some keys, and the cursor to go on with, which is zero at the end. Options as in
    /// Redis: `["MATCH", "user:*", "COUNT", "100"]`.
    scan(cursor: cursor, options: options) -> (u64, Vec<Bytes>);
    /// TOUCH: counts as a use of these keys. How many are there.
    touch(keys: texts) -> i64;
    /// TTL: for how many seconds a key lives on; -1 without end, -2 without the key.
    ttl(key: text) -> i64;
    /// TYPE: of what type a value is; `none` without one.
    type_of ["type"] (key: text) -> String;
    /// UNLINK: as DEL.
    unlink(keys: texts) -> i64;

    // Hashes.
    /// HDEL: drops fields. How many were there.
    hdel(key: text, fields: texts) -> i64;
    /// HEXISTS: whether a field is there.
    hexists(key: text, field: text) -> bool;
    /// HGET: the value of a field.
    hget(key: text, field: text) -> Option<Bytes>;
    /// HGETALL: all fields with their values.
    hgetall(key: text) -> Pairs;
    /// HINCRBY: adds a number to a field. The sum.
    hincrby(key: text, field: text, change: number) -> i64;
    /// HINCRBYFLOAT: adds a number that may have decimals to a field. The sum.
    hincrbyfloat(key: text, field: text, change: float) -> f64;
    /// HKEYS: all fields.
    hkeys(key: text) -> Vec<Bytes>;
    /// HLEN: how many fields there are.
    hlen(key: text) -> i64;
    /// HMGET: the values of several fields.
    hmget(key: text, fields: texts) -> Vec<Option<Bytes>>;
    /// HMSET: gives fields their values.
    hmset(key: text, pairs: pairs) -> ();
    /// HRANDFIELD: some field.
    hrandfield(key: text) -> Option<Bytes>;
    /// HRANDFIELD with a count: different fields, or, below zero, fields that may repeat.
    hrandfield_count ["hrandfield"] (key: text, count: number) -> Vec<Bytes>;
    /// HSCAN: some fields with their values, and the cursor to go on with.
    hscan(key: text, cursor: cursor, options: options) -> (u64, Pairs);
    /// HSET: gives fields their values. How many were not there.
    hset(key: text, pairs: pairs) -> i64;
    /// HSETNX: gives a field a value if it has none. Whether it did.
    hsetnx(key: text, field: text, value: text) -> bool;
    /// HSTRLEN: how long the value of a field is.
    hstrlen(key: text, field: text) -> i64;
    /// HVALS: all values.
    hvals(key: text) -> Vec<Bytes>;
    /// HEXPIRE: fields live for so many seconds more. For each: 1 if it is so now, 0 if the
    /// condition did not hold, 2 if it is gone already, -2 without the field.
    hexpire(key: text, seconds: number, when: when, fields: fields) -> Vec<i64>;
    /// HEXPIREAT: as HEXPIRE, until a time in seconds.
    hexpireat(key: text, unix_seconds: number, when: when, fields: fields) -> Vec<i64>;
    /// HEXPIRETIME: when fields expire, in seconds; -1 without a deadline, -2 without the field.
    hexpiretime(key: text, fields: fields) -> Vec<i64>;
    /// HPERSIST: fields lose their deadlines. For each: 1, or -1 without one, -2 without the field.
    hpersist(key: text, fields: fields) -> Vec<i64>;
    /// HPEXPIRE: as HEXPIRE, in milliseconds.
    hpexpire(key: text, ms: number, when: when, fields: fields) -> Vec<i64>;
    /// HPEXPIREAT: as HEXPIREAT, in milliseconds.
    hpexpireat(key: text, unix_ms: number, when: when, fields: fields) -> Vec<i64>;
    /// HPEXPIRETIME: as HEXPIRETIME, in milliseconds.
    hpexpiretime(key: text, fields: fields) -> Vec<i64>;
    /// HPTTL: as HTTL, in milliseconds.
    hpttl(key: text, fields: fields) -> Vec<i64>;
    /// HTTL: for how many seconds fields live on; -1 without end, -2 without the field.
    httl(key: text, fields: fields) -> Vec<i64>;

    // Lists.
    /// LINDEX: the element at an index, which counts from the right if it is below zero.
    lindex(key: text, index: number) -> Option<Bytes>;
    /// LINSERT: adds an element on one side of another. How many there are; -1 without the other.
    linsert(key: text, side: beside, pivot: text, element: text) -> i64;
    /// LLEN: how many elements there are.
    llen(key: text) -> i64;
    /// LMOVE: takes an element off one list and adds it to another.
    lmove(from: text, to: text, from_side: side, to_side: side) -> Option<Bytes>;
    /// LMPOP: takes elements off the first list that is there (`["COUNT", "10"]`). Which, and what.
    lmpop(keys: counted, side: side, options: options) -> Option<(Bytes, Vec<Bytes>)>;
    /// LPOP: takes an element off the left.
    lpop(key: text) -> Option<Bytes>;
    /// LPOP with a count.
    lpop_count ["lpop"] (key: text, count: number) -> Option<Vec<Bytes>>;
    /// LPOS: the index of an element. Options as in Redis: `["RANK", "2"]`.
    lpos(key: text, element: text, options: options) -> Option<i64>;
    /// LPOS with `["COUNT", "0"]` among its options: the indexes of all that are equal.
    lpos_count ["lpos"] (key: text, element: text, options: options) -> Vec<i64>;
    /// LPUSH: adds elements at the left. How many there are.
    lpush(key: text, elements: texts) -> i64;
    /// LPUSHX: the same, if the list is there.
    lpushx(key: text, elements: texts) -> i64;
    /// LRANGE: the elements between two indexes, those included.
    lrange(key: text, first: number, last: number) -> Vec<Bytes>;
    /// LREM: drops the first so many equal elements, the last if `count` is below zero, all if it
    /// is zero. How many.
    lrem(key: text, count: number, element: text) -> i64;
    /// LSET: puts another element in the place of one.
    lset(key: text, index: number, element: text) -> ();
    /// LTRIM: drops all but the elements between two indexes.
    ltrim(key: text, first: number, last: number) -> ();
    /// RPOP: takes an element off the right.
    rpop(key: text) -> Option<Bytes>;
    /// RPOP with a count.
    rpop_count ["rpop"] (key: text, count: number) -> Option<Vec<Bytes>>;
    /// RPOPLPUSH: LMOVE from the right of one list to the left of another.
    rpoplpush(from: text, to: text) -> Option<Bytes>;
    /// RPUSH: adds elements at the right. How many there are.
    rpush(key: text, elements: texts) -> i64;
    /// RPUSHX: the same, if the list is there.
    rpushx(key: text, elements: texts) -> i64;

    // Sets.
    /// SADD: adds members. How many were not there.
    sadd(key: text, members: texts) -> i64;
    /// SCARD: how many members there are.
    scard(key: text) -> i64;
    /// SDIFF: the members of the first set that are in none of the others.
    sdiff(keys: texts) -> Vec<Bytes>;
    /// SDIFFSTORE: the same, given to a key. How many.
    sdiffstore(to: text, keys: texts) -> i64;
    /// SINTER: the members of all sets.
    sinter(keys: texts) -> Vec<Bytes>;
    /// SINTERCARD: how many members all sets have; `["LIMIT", "10"]` stops there.
    sintercard(keys: counted, options: options) -> i64;
    /// SINTERSTORE: the members of all sets, given to a key. How many.
    sinterstore(to: text, keys: texts) -> i64;
    /// SISMEMBER: whether it is a member.
    sismember(key: text, member: text) -> bool;
    /// SMEMBERS: all members.
    smembers(key: text) -> Vec<Bytes>;
    /// SMISMEMBER: for each, whether it is a member.
    smismember(key: text, members: texts) -> Vec<bool>;
    /// SMOVE: moves a member to another set. Whether it was there.
    smove(from: text, to: text, member: text) -> bool;
    /// SPOP: takes some member out.
    spop(key: text) -> Option<Bytes>;
    /// SPOP with a count.
    spop_count ["spop"] (key: text, count: number) -> Vec<Bytes>;
    /// SRANDMEMBER: some member.
    srandmember(key: text) -> Option<Bytes>;
    /// SRANDMEMBER with a count: different members, or, below zero, members that may repeat.
    srandmember_count ["srandmember"] (key: text, count: number) -> Vec<Bytes>;
    /// SREM: takes members out. How many were there.
    srem(key: text, members: texts) -> i64;
    /// SSCAN: some members, and the cursor to go on with.
    sscan(key: text, cursor: cursor, options: options) -> (u64, Vec<Bytes>);
    /// SUNION: the members of any of the sets.
    sunion(keys: texts) -> Vec<Bytes>;
    /// SUNIONSTORE: the same, given to a key. How many.
    sunionstore(to: text, keys: texts) -> i64;
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Those of cache.rs.
    const DIRECT: &[&str] = &["get", "set", "setnx", "incr", "incrby"];

    #[test]
    fn every_command_of_the_edge_has_a_method_and_every_method_a_command() {
        let rows = crate::engine::all().filter(|row| row.flags & crate::engine::EDGE != 0);
        let rows: BTreeSet<&str> = rows.map(|row| row.name).collect();
        let commands = METHODS.iter().map(|(_, command)| command.split(' ').next().unwrap_or(""));
        let commands: BTreeSet<&str> = commands.chain(DIRECT.iter().copied()).collect();
        assert_eq!(commands, rows);
    }
}
