//! Random operations: what the model, the differential test and the effects test feed in.
//! Invariant: `words` is the request that redis-server would be sent for the operation.
//! Not here: malformed requests, which the transcripts list one by one.

use crate::random::Random;

/// One operation on the keyspace.
#[derive(Clone, Debug)]
pub enum Op {
    /// SET with its options.
    Set(Vec<u8>, Vec<u8>, SetOptions),
    /// GET.
    Get(Vec<u8>),
    /// DEL.
    Del(Vec<Vec<u8>>),
    /// EXISTS.
    Exists(Vec<Vec<u8>>),
    /// One of the EXPIRE family: name, key, its number, condition or "".
    Expire(&'static str, Vec<u8>, i64, &'static str),
    /// TTL, PTTL, TYPE, STRLEN or PERSIST of a key.
    Ask(&'static str, Vec<u8>),
    /// INCRBY, or DECRBY of the negative.
    Add(Vec<u8>, i64, bool),
    /// APPEND.
    Append(Vec<u8>, Vec<u8>),
    /// MGET.
    MultiGet(Vec<Vec<u8>>),
    /// MSET.
    MultiSet(Vec<(Vec<u8>, Vec<u8>)>),
    /// KEYS with a pattern: a prefix and a star.
    Keys(Vec<u8>),
    /// SCAN of everything, so many at a time.
    Scan(usize),
    /// DBSIZE.
    DbSize,
    /// FLUSHDB.
    Flush,
}

/// What may stand behind SET's value.
#[derive(Clone, Copy, Debug)]
pub struct SetOptions {
    /// "NX", "XX" or "".
    pub condition: &'static str,
    /// GET.
    pub get: bool,
    /// "EX", "PX", "EXAT", "PXAT" with the number, "KEEPTTL" or "" without.
    pub expiry: (&'static str, i64),
}

/// What a workload looks like.
#[derive(Clone, Copy)]
pub struct Shape {
    /// How many different keys there are.
    pub keys: usize,
    /// Sizes of values; the second half of a run may use others.
    pub value_bytes: &'static [usize],
}

impl Op {
    /// The next operation of a workload at this time.
    pub fn random(random: &mut Random, shape: &Shape, now_ms: i64) -> Op {
        let key = random_key(random, shape);
        match random.below(100) {
            0..35 => Op::Set(key, random_value(random, shape), SetOptions::random(random, now_ms)),
            35..50 => Op::Get(key),
            50..56 => Op::Del(random_keys(random, shape)),
            56..59 => Op::Exists(random_keys(random, shape)),
            59..69 => random_expire(random, key, now_ms),
            69..76 => Op::Ask(random.pick(&["TTL", "PTTL", "TYPE", "STRLEN", "PERSIST"]), key),
            76..84 => Op::Add(key, random_amount(random), random.one_in(2)),
            84..89 => Op::Append(key, random_value(random, shape)),
            89..92 => Op::MultiGet(random_keys(random, shape)),
            92..96 => {
                let keys = random_keys(random, shape);
                let pair = |key| (key, random_value(random, shape));
                Op::MultiSet(keys.into_iter().map(pair).collect())
            }
            96 => Op::Keys(key[..random.below(key.len().min(6) + 1)].to_vec()),
            97 => Op::Scan(random.pick(&[1, 10, 1_000, usize::MAX >> 1])),
            98 => Op::DbSize,
            _ if random.one_in(50) => Op::Flush,
            _ => Op::Get(key),
        }
    }

    /// The request.
    pub fn words(&self) -> Vec<Vec<u8>> {
        match self {
            Op::Set(key, value, options) => options.append_to(words("SET", [key, value])),
            Op::Get(key) => words("GET", [key]),
            Op::Del(keys) => words("DEL", keys),
            Op::Exists(keys) => words("EXISTS", keys),
            Op::Expire(name, key, number, condition) => {
                let mut words = words(name, [key, &number.to_string().into_bytes()]);
                words.extend((!condition.is_empty()).then(|| condition.as_bytes().to_vec()));
                words
            }
            Op::Ask(name, key) => words(name, [key]),
            Op::Add(key, amount, false) => words("INCRBY", [key, &amount.to_string().into_bytes()]),
            Op::Add(key, amount, true) => {
                words("DECRBY", [key, &(-amount).to_string().into_bytes()])
            }
            Op::Append(key, value) => words("APPEND", [key, value]),
            Op::MultiGet(keys) => words("MGET", keys),
            Op::MultiSet(pairs) => {
                words("MSET", pairs.iter().flat_map(|(key, value)| [key, value]))
            }
            Op::Keys(prefix) => words("KEYS", [&[prefix.as_slice(), b"*"].concat()]),
            Op::Scan(count) => ["SCAN", "0", "COUNT", &count.to_string()].map(Into::into).to_vec(),
            Op::DbSize => words("DBSIZE", []),
            Op::Flush => words("FLUSHDB", []),
        }
    }
}

impl SetOptions {
    fn random(random: &mut Random, now_ms: i64) -> SetOptions {
        let ttl_ms = random_ttl_ms(random).max(1);
        let expiry = match random.below(10) {
            0 => ("EX", ttl_ms / 1000 + 1),
            1 => ("PX", ttl_ms),
            2 => ("EXAT", (now_ms + ttl_ms) / 1000),
            3 => ("PXAT", now_ms + ttl_ms - 20),
            4 => ("KEEPTTL", 0),
            _ => ("", 0),
        };
        let condition = random.pick(&["", "", "", "", "NX", "XX"]);
        SetOptions { condition, get: random.one_in(6), expiry }
    }

    fn append_to(&self, mut words: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        let (unit, number) = self.expiry;
        let number =
            if matches!(unit, "" | "KEEPTTL") { String::new() } else { number.to_string() };
        let get = if self.get { "GET" } else { "" };
        let options = [self.condition, get, unit, &number];
        let given = options.into_iter().filter(|word| !word.is_empty());
        words.extend(given.map(|word| word.as_bytes().to_vec()));
        words
    }
}

fn words<'a>(name: &str, rest: impl IntoIterator<Item = &'a Vec<u8>>) -> Vec<Vec<u8>> {
    let mut words = vec![name.as_bytes().to_vec()];
    words.extend(rest.into_iter().cloned());
    words
}

fn random_key(random: &mut Random, shape: &Shape) -> Vec<u8> {
    let number = random.below(shape.keys);
    // Long and binary keys are rare, but there; the number alone decides what a key looks like.
    let padding = match number % 16 {
        14 => 40,
        15 => 300,
        _ => 0,
    };
    let mut key = format!("key:{number}:").into_bytes();
    key.resize(key.len() + padding, (number % 256) as u8);
    key
}

fn random_keys(random: &mut Random, shape: &Shape) -> Vec<Vec<u8>> {
    (0..=random.below(4)).map(|_| random_key(random, shape)).collect()
}

fn random_value(random: &mut Random, shape: &Shape) -> Vec<u8> {
    if random.one_in(3) {
        return random_amount(random).to_string().into_bytes();
    }
    let about = random.pick(shape.value_bytes);
    let length = about / 2 + random.below(about + 1);
    let first = if random.one_in(3) { 128 } else { b'a' };
    let (step, start) = (random.below(25) as u8, random.below(25) as u8);
    (0..length).map(|i| first + (start.wrapping_add(step.wrapping_mul(i as u8)) % 26)).collect()
}

fn random_amount(random: &mut Random) -> i64 {
    let edges = [0, 1, 7, i64::MAX, i64::MAX - 1, -i64::MAX, 1 << 40];
    let amount = random.pick(&edges);
    if random.one_in(2) { -amount } else { amount }
}

fn random_expire(random: &mut Random, key: Vec<u8>, now_ms: i64) -> Op {
    let ttl_ms = random_ttl_ms(random);
    let (name, number) = match random.below(4) {
        0 => ("EXPIRE", ttl_ms / 1000),
        1 => ("PEXPIRE", ttl_ms),
        2 => ("EXPIREAT", (now_ms + ttl_ms) / 1000),
        _ => ("PEXPIREAT", now_ms + ttl_ms),
    };
    Op::Expire(name, key, number, random.pick(&["", "", "", "NX", "XX", "GT", "LT"]))
}

fn random_ttl_ms(random: &mut Random) -> i64 {
    let scale = random.pick(&[10, 100, 1_000, 10_000, 1_000_000]);
    random.below(scale) as i64 - 3
}
