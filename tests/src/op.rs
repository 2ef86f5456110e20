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
    /// GETEX with "EX", "PX", "EXAT", "PXAT" and the number, "PERSIST" or "" without.
    GetEx(Vec<u8>, (&'static str, i64)),
    /// GETDEL.
    GetDel(Vec<u8>),
    /// SETNX, GETSET, SETEX or PSETEX, the last two with a number.
    OldSet(&'static str, Vec<u8>, i64, Vec<u8>),
    /// DEL or UNLINK.
    Del(&'static str, Vec<Vec<u8>>),
    /// EXISTS or TOUCH.
    Exists(&'static str, Vec<Vec<u8>>),
    /// One of the EXPIRE family: name, key, its number, condition or "".
    Expire(&'static str, Vec<u8>, i64, &'static str),
    /// TTL, PTTL, EXPIRETIME, PEXPIRETIME, TYPE, STRLEN or PERSIST of a key.
    Ask(&'static str, Vec<u8>),
    /// INCRBY, or DECRBY of the negative.
    Add(Vec<u8>, i64, bool),
    /// INCRBYFLOAT by so many quarters, of a key that nothing else gives a value: those sums are
    /// exact. (All the others: `tests/strings.rs`.)
    AddQuarters(Vec<u8>, i64),
    /// APPEND.
    Append(Vec<u8>, Vec<u8>),
    /// GETRANGE or SUBSTR: key, first, last.
    GetRange(&'static str, Vec<u8>, i64, i64),
    /// SETRANGE.
    SetRange(Vec<u8>, usize, Vec<u8>),
    /// MGET.
    MultiGet(Vec<Vec<u8>>),
    /// MSET or MSETNX.
    MultiSet(&'static str, Vec<(Vec<u8>, Vec<u8>)>),
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
            0..30 => Op::Set(key, random_value(random, shape), SetOptions::random(random, now_ms)),
            30..40 => Op::Get(key),
            40..42 => Op::GetEx(key, random_expiry(random, now_ms, "PERSIST")),
            42 => Op::GetDel(key),
            43..46 => {
                let name = random.pick(&["SETNX", "GETSET", "SETEX", "PSETEX"]);
                let ttl_ms = random_ttl_ms(random).max(1);
                let number = if name == "SETEX" { ttl_ms / 1000 + 1 } else { ttl_ms };
                Op::OldSet(name, key, number, random_value(random, shape))
            }
            46..51 => Op::Del(random.pick(&["DEL", "UNLINK"]), random_keys(random, shape)),
            51..54 => Op::Exists(random.pick(&["EXISTS", "TOUCH"]), random_keys(random, shape)),
            54..63 => random_expire(random, key, now_ms),
            63..71 => Op::Ask(random.pick(QUESTIONS), key),
            71..78 => Op::Add(key, random_amount(random), random.one_in(2)),
            78..80 => {
                Op::AddQuarters(quarters_key(random), random.below(1 << 30) as i64 - (1 << 29))
            }
            80..84 => Op::Append(key, random_value(random, shape)),
            84..87 => {
                let (first, last) =
                    (random_position(random, shape), random_position(random, shape));
                Op::GetRange(random.pick(&["GETRANGE", "SUBSTR"]), key, first, last)
            }
            87..90 => {
                let start = random_position(random, shape).unsigned_abs() as usize;
                Op::SetRange(key, start, random_value(random, shape))
            }
            90..92 => Op::MultiGet(random_keys(random, shape)),
            92..96 => {
                let keys = random_keys(random, shape);
                let pair = |key| (key, random_value(random, shape));
                let pairs = keys.into_iter().map(pair).collect();
                Op::MultiSet(random.pick(&["MSET", "MSETNX"]), pairs)
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
            Op::GetEx(key, expiry) => append_expiry(words("GETEX", [key]), *expiry),
            Op::GetDel(key) => words("GETDEL", [key]),
            Op::OldSet(name, key, number, value) if name.ends_with("EX") => {
                words(name, [key, &number.to_string().into_bytes(), value])
            }
            Op::OldSet(name, key, _, value) => words(name, [key, value]),
            Op::Del(name, keys) | Op::Exists(name, keys) => words(name, keys),
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
            Op::AddQuarters(key, quarters) => {
                words("INCRBYFLOAT", [key, &quarters_text(*quarters).into_bytes()])
            }
            Op::Append(key, value) => words("APPEND", [key, value]),
            Op::GetRange(name, key, first, last) => {
                words(name, [key, &first.to_string().into_bytes(), &last.to_string().into_bytes()])
            }
            Op::SetRange(key, start, value) => {
                words("SETRANGE", [key, &start.to_string().into_bytes(), value])
            }
            Op::MultiGet(keys) => words("MGET", keys),
            Op::MultiSet(name, pairs) => {
                words(name, pairs.iter().flat_map(|(key, value)| [key, value]))
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
        let expiry = random_expiry(random, now_ms, "KEEPTTL");
        let condition = random.pick(&["", "", "", "", "NX", "XX"]);
        SetOptions { condition, get: random.one_in(6), expiry }
    }

    fn append_to(&self, mut words: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        let get = if self.get { "GET" } else { "" };
        let given = [self.condition, get].into_iter().filter(|word| !word.is_empty());
        words.extend(given.map(|word| word.as_bytes().to_vec()));
        append_expiry(words, self.expiry)
    }
}

/// A unit and its number, or a word that needs none.
fn random_expiry(random: &mut Random, now_ms: i64, word: &'static str) -> (&'static str, i64) {
    let ttl_ms = random_ttl_ms(random).max(1);
    match random.below(10) {
        0 => ("EX", ttl_ms / 1000 + 1),
        1 => ("PX", ttl_ms),
        2 => ("EXAT", (now_ms + ttl_ms) / 1000),
        3 => ("PXAT", now_ms + ttl_ms - 20),
        4 => (word, 0),
        _ => ("", 0),
    }
}

fn append_expiry(mut words: Vec<Vec<u8>>, (unit, number): (&str, i64)) -> Vec<Vec<u8>> {
    words.extend((!unit.is_empty()).then(|| unit.as_bytes().to_vec()));
    words.extend((number > 0).then(|| number.to_string().into_bytes()));
    words
}

/// What can be asked of a key of any kind.
const QUESTIONS: &[&str] =
    &["TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME", "TYPE", "STRLEN", "PERSIST"];

/// A number of quarters as INCRBYFLOAT prints it.
pub fn quarters_text(quarters: i64) -> String {
    let sign = if quarters < 0 { "-" } else { "" };
    let (whole, rest) = (quarters.unsigned_abs() / 4, quarters.unsigned_abs() % 4);
    format!("{sign}{whole}{}", ["", ".25", ".5", ".75"][rest as usize])
}

fn quarters_key(random: &mut Random) -> Vec<u8> {
    format!("quarters:{}", random.below(4)).into_bytes()
}

/// About as far from either end as values are long.
fn random_position(random: &mut Random, shape: &Shape) -> i64 {
    let about = random.pick(shape.value_bytes) * 2;
    random.below(2 * about + 1) as i64 - about as i64
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
    let key = if random.one_in(16) { quarters_key(random) } else { key };
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
