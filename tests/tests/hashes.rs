//! Random operations on hashes against maps of the standard library, with `validate()` after every
//! step: sizes cross from packed to pages and back down to nothing, fields and values are short
//! and long, fields expire, keys are evicted, memory runs out.
//! The effects say what was evicted or expired; replayed on an empty engine they give the same
//! hashes. `FERRITE_MODEL_SEED` asks for other runs.

use std::collections::BTreeMap;
use std::env;

use ferrite_engine::{Options, Policy};
use ferrite_tests::answer::{Answer, request_text};
use ferrite_tests::engine::{Engine, Words};
use ferrite_tests::random::Random;
use ferrite_tests::subject::{START_MS, Subject};

type Bytes = Vec<u8>;
/// A field's value, and the last millisecond in which it is there.
type Field = (Bytes, Option<i64>);
type Hash = BTreeMap<Bytes, Field>;

/// Sizes of values, one phase of a run after the other.
const PHASES: &[&[usize]] =
    &[&[5], &[40, 200], &[5, 600], &[500, 6_000], &[10, 30_000], &[0, 12], &[3]];

struct Run {
    engine: Engine,
    hashes: BTreeMap<Bytes, Hash>,
    random: Random,
    now_ms: i64,
    keys: usize,
    fields: usize,
    effects: Vec<Words>,
    refused: usize,
    label: String,
}

#[test]
fn with_memory_to_spare_hashes_agree_with_maps() {
    for (seed, fields) in [(1, 8), (2, 60), (3, 400), (4, 3_000)] {
        let mut run = Run::new(Policy::NoEviction, 64 << 20, seed, 3, fields);
        run.go(500);
        assert_eq!(run.refused, 0, "nothing is refused below the budget");
        assert_eq!(run.engine.keys.stats().evicted_keys, 0);
        run.check_replica();
        run.empty();
    }
}

#[test]
fn under_every_policy_hashes_agree_with_maps() {
    for (seed, (name, policy)) in (10..).zip(Policy::ALL) {
        let mut run = Run::new(policy, 1 << 20, seed, 30, 300);
        run.go(250);
        let pressed = run.refused + run.engine.keys.stats().evicted_keys as usize;
        assert!(pressed > 0, "{name}: the budget was never felt");
        run.check_replica();
        run.empty();
    }
}

#[test]
fn one_large_hash_fills_a_small_budget() {
    for (seed, policy) in [(30, Policy::NoEviction), (31, Policy::AllKeysLru)] {
        let mut run = Run::new(policy, 1 << 20, seed, 1, 20_000);
        run.go(700);
        assert!(run.refused > 0, "it does not fit");
        run.check_replica();
        run.empty();
    }
}

/// Nobody asks: `tick` alone gives expired fields back, and keys that have none left.
#[test]
fn tick_gives_expired_fields_back() {
    let mut engine = Engine::new(&Options { seed: 5, ..Options::default() });
    let ask = |engine: &mut Engine, line: &str| {
        let words: Words = line.split(' ').map(Into::into).collect();
        engine.ask(&words)
    };
    for key in 0..300 {
        for part in 0..[1, 2, 200][key % 3] {
            let names: Vec<_> = (0..10).map(|field| format!("{part}:{field}")).collect();
            ask(&mut engine, &format!("HSET key:{key} {} x", names.join(" x ")));
            let dying = &names[..if key % 2 == 0 { 10 } else { 9 }];
            let ttl_ms = 10 + (part * 7) % 50;
            let line = format!("HPEXPIRE key:{key} {ttl_ms} FIELDS {} ", dying.len());
            ask(&mut engine, &(line + &dying.join(" ")));
        }
    }
    assert_eq!(engine.keys.stats().keys, 300);
    let before = engine.keys.stats().used_memory_dataset;
    engine.set_clock(START_MS + 35);
    (0..40).for_each(|_| _ = engine.tick(usize::MAX));
    engine.keys.validate().expect("a sound keyspace");
    engine.set_clock(START_MS + 100);
    (0..40).for_each(|_| _ = engine.tick(usize::MAX));
    engine.keys.validate().expect("a sound keyspace");
    let stats = engine.keys.stats();
    assert_eq!(stats.keys, 150, "half of the keys have lost all fields");
    assert!(stats.used_memory_dataset * 5 < before, "{stats:?}, {before} before");
    // What is left never expires, as a look with the clock at its end shows.
    engine.set_clock(i64::MAX / 2);
    assert_eq!(ask(&mut engine, "HLEN key:5"), Answer::Integer(200));
    assert_eq!(ask(&mut engine, "HLEN key:1"), Answer::Integer(2));
    assert_eq!(ask(&mut engine, "HLEN key:0"), Answer::Integer(0));
}

/// Every field comes up about as often as any other, whichever page it is on.
#[test]
fn random_fields_are_evenly_spread() {
    for fields in [7, 50, 700] {
        let mut engine = Engine::new(&Options { seed: 9, ..Options::default() });
        for field in 0..fields * 4 {
            engine.ask(&["HSET", "h", &format!("f{field}"), "value"].map(Into::into));
        }
        for field in fields..fields * 4 {
            engine.ask(&["HDEL", "h", &format!("f{field}")].map(Into::into));
        }
        let draws = 200 * fields;
        for (count, requests) in [(-(draws as i64), 1), ((fields / 10).max(1) as i64, 2_000)] {
            let mut seen: BTreeMap<Bytes, usize> = BTreeMap::new();
            for _ in 0..requests {
                let answer = engine.ask(&["HRANDFIELD", "h", &count.to_string()].map(Into::into));
                let Answer::Array(items) = answer else { panic!("an array, not {answer}") };
                assert_eq!(items.len() as u64, count.unsigned_abs());
                items.iter().for_each(|item| *seen.entry(text(item)).or_default() += 1);
            }
            let wanted = count.unsigned_abs() as f64 * f64::from(requests) / fields as f64;
            assert_eq!(seen.len(), fields);
            // Counts of draws stay within six standard deviations.
            let far = |&times: &usize| (times as f64 - wanted).abs() > 6.0 * wanted.sqrt() + 1.0;
            assert!(!seen.values().any(far), "{fields} fields, {count}: {wanted}, {seen:?}");
        }
    }
}

impl Run {
    fn new(policy: Policy, max_memory_bytes: u64, seed: u64, keys: usize, fields: usize) -> Run {
        let seed =
            seed + env::var("FERRITE_MODEL_SEED").map_or(0, |seed| seed.parse().expect("a seed"));
        let options = Options { max_memory_bytes, policy, seed, ..Options::default() };
        Run {
            engine: Engine::new(&options),
            hashes: BTreeMap::new(),
            random: Random::new(seed),
            now_ms: START_MS,
            keys,
            fields,
            effects: Vec::new(),
            refused: 0,
            label: format!("seed {seed}, {policy:?}"),
        }
    }

    fn go(&mut self, phase_steps: usize) {
        for (phase, sizes) in PHASES.iter().enumerate() {
            for step in 0..phase_steps {
                let at = format!("{}, phase {phase}, step {step}", self.label);
                if self.random.one_in(10) {
                    self.now_ms += self.random.pick(&[1, 10, 100, 2_000]);
                    self.engine.set_clock(self.now_ms);
                }
                if self.random.one_in(10) {
                    self.engine.tick(1 + self.random.below(8));
                    self.follow(&at);
                }
                let request = self.request(sizes);
                self.step(&request, &at);
                if let Err(broken) = self.engine.keys.validate() {
                    panic!("{at}: {broken}, after {}", short(&request));
                }
            }
            self.compare();
        }
    }

    fn key(&mut self) -> Bytes {
        format!("key:{}", self.random.below(self.keys)).into_bytes()
    }

    /// Long names are rare, but there; the number alone decides what a name looks like.
    fn field(&mut self) -> Bytes {
        let number = self.random.below(self.fields);
        let len = match number % 32 {
            28 => 251,
            29 => 512,
            30 => 600,
            31 => 5_000,
            _ => 0,
        };
        let mut field = format!("{number}").into_bytes();
        field.resize(field.len().max(len), b'.');
        field
    }

    fn value(&mut self, sizes: &[usize]) -> Bytes {
        if self.random.one_in(4) {
            return self.random.below(1_000).to_string().into_bytes();
        }
        let about = self.random.pick(sizes);
        let len = about / 2 + self.random.below(about + 1);
        vec![b'a' + (len % 26) as u8; len]
    }

    fn request(&mut self, sizes: &[usize]) -> Words {
        let (key, field) = (self.key(), self.field());
        let words = |name: &str, rest: &[&[u8]]| -> Words {
            [name.as_bytes()].iter().chain(rest).map(|word| word.to_vec()).collect()
        };
        // Fewer fields are added than removed in the last phase.
        let is_waning = sizes == PHASES[PHASES.len() - 1];
        match self.random.below(100) {
            0..30 => {
                let mut request = words("HSET", &[&key]);
                let most = if is_waning { 2 } else { 30.min(self.fields) };
                for _ in 0..=self.random.below(most) {
                    request.extend([self.field(), self.value(sizes)]);
                }
                request
            }
            30..45 => {
                let mut request = words("HDEL", &[&key]);
                let most = if is_waning { 200 } else { 20 };
                (0..=self.random.below(most)).for_each(|_| request.push(self.field()));
                request
            }
            45..49 => words("HSETNX", &[&key, &field, &self.value(sizes)]),
            49..53 => words("HGET", &[&key, &field]),
            53..55 => words("HMGET", &[&key, &field, &self.field(), &field]),
            55..57 => words("HSTRLEN", &[&key, &field]),
            57..59 => words("HEXISTS", &[&key, &field]),
            59..62 => words("HLEN", &[&key]),
            62..63 => words(self.random.pick(&["HGETALL", "HKEYS", "HVALS"]), &[&key]),
            63..65 => {
                words("HRANDFIELD", &[&key, self.random.pick(&["2", "-5", "1000"]).as_bytes()])
            }
            65..67 => words("HSCAN", &[&key, b"0", b"COUNT", b"3"]),
            67..73 => {
                let change = self.random.below(50).to_string().into_bytes();
                words("HINCRBY", &[&key, &field, &change])
            }
            73..86 => {
                let ttl_ms = self.random.pick(&[0, 5, 50, 500, 5_000]) + self.random.below(5);
                let at = (self.now_ms + ttl_ms as i64).to_string().into_bytes();
                let mut request = words("HPEXPIREAT", &[&key, &at]);
                let condition = self.random.pick(&["", "", "", "NX", "XX", "GT", "LT"]);
                request.extend((!condition.is_empty()).then(|| condition.as_bytes().to_vec()));
                self.add_fields(request)
            }
            86..90 => self.add_fields(words("HPERSIST", &[&key])),
            90..94 => self.add_fields(words("HPEXPIRETIME", &[&key])),
            94..96 => {
                let (name, other) = (self.random.pick(&["COPY", "RENAME"]), self.key());
                let mut request = words(name, &[&key, &other]);
                request.extend((name == "COPY").then(|| b"REPLACE".to_vec()));
                request
            }
            96..98 => words("DEL", &[&key]),
            _ => words("SET", &[&key, &self.value(sizes)]),
        }
    }

    fn add_fields(&mut self, mut request: Words) -> Words {
        let count = 1 + self.random.below(4);
        request.extend([b"FIELDS".to_vec(), count.to_string().into_bytes()]);
        (0..count).for_each(|_| request.push(self.field()));
        request
    }

    fn step(&mut self, request: &Words, at: &str) {
        let given = match request[0].as_slice() {
            b"HSCAN" => self.scan(request),
            _ => self.engine.ask(request),
        };
        if matches!(&given, Answer::Error(text) if text.starts_with("OOM ")) {
            let may_grow = ["HSET", "HSETNX", "HINCRBY", "HPEXPIREAT", "SET", "COPY", "RENAME"];
            let is_growing = may_grow.iter().any(|name| request[0] == name.as_bytes());
            assert!(is_growing, "{at}: refused {}", short(request));
            self.refused += 1;
        } else {
            let expected = self.apply(request);
            let is_right = expected.accepts(&given);
            assert!(is_right, "{at}: {}\n  map    {expected}\n  engine {given}", short(request));
        }
        self.follow(at);
        if request[0] == b"SET" {
            // Only there to take the place of a hash; it may be evicted already.
            self.engine.ask(&[b"DEL".to_vec(), request[1].clone()]);
            self.follow(at);
        }
    }

    /// A whole turn, so that nobody need know where it pauses.
    fn scan(&mut self, request: &Words) -> Answer {
        let (mut request, mut found) = (request.clone(), Vec::new());
        loop {
            let Answer::Array(parts) = self.engine.ask(&request) else { panic!("no scan") };
            let [Answer::Bulk(cursor), Answer::Array(items)] = &parts[..] else {
                panic!("HSCAN answers a cursor and an array")
            };
            found.extend(items.chunks(2).map(<[Answer]>::to_vec));
            if cursor == b"0" {
                found.sort();
                found.dedup();
                return Answer::Array(found.concat());
            }
            request[2].clone_from(cursor);
        }
    }

    fn live(&self, key: &[u8], field: &[u8]) -> Option<&Field> {
        self.hashes.get(key)?.get(field).filter(|field| !self.is_past(field.1))
    }

    fn is_past(&self, deadline: Option<i64>) -> bool {
        deadline.is_some_and(|at| at < self.now_ms)
    }

    fn put(&mut self, key: &[u8], field: &[u8], value: &[u8], deadline: Option<i64>) -> bool {
        let is_new = self.live(key, field).is_none();
        let hash = self.hashes.entry(key.to_vec()).or_default();
        hash.insert(field.to_vec(), (value.to_vec(), deadline));
        is_new
    }

    fn remove(&mut self, key: &[u8], field: &[u8]) {
        if let Some(hash) = self.hashes.get_mut(key) {
            hash.remove(field);
            if hash.is_empty() {
                self.hashes.remove(key);
            }
        }
    }

    fn apply(&mut self, request: &Words) -> Answer {
        let (key, rest) = (&request[1], &request[2..]);
        match request[0].as_slice() {
            b"HSET" => {
                let is_new = |pair: &&[Bytes]| self.put(key, &pair[0], &pair[1], None);
                number(rest.chunks(2).filter(is_new).count())
            }
            b"HSETNX" => {
                let is_set = self.live(key, &rest[0]).is_none();
                number(usize::from(is_set && self.put(key, &rest[0], &rest[1], None)))
            }
            b"HDEL" => {
                let was_live = |field: &&Bytes| {
                    let was_live = self.live(key, field).is_some();
                    self.remove(key, field);
                    was_live
                };
                number(rest.iter().filter(was_live).count())
            }
            b"HINCRBY" => self.add(key, &rest[0], &rest[1]),
            b"HPEXPIREAT" => self.expire(key, &rest[0], &rest[1..]),
            b"HPERSIST" => {
                Answer::Array(rest[2..].iter().map(|name| self.persist(key, name)).collect())
            }
            b"SET" => {
                self.hashes.remove(key);
                Answer::ok()
            }
            _ => self.look(request),
        }
    }

    /// What leaves the maps as they are; DEL, COPY and RENAME, too, since `follow` does them.
    fn look(&self, request: &Words) -> Answer {
        let (key, rest) = (&request[1], &request[2..]);
        let first = rest.first().cloned().unwrap_or_default();
        let fields = self.hashes.get(key).into_iter().flatten();
        let all: Vec<_> = fields.filter(|(_, field)| !self.is_past(field.1)).collect();
        let names = || all.iter().map(|(name, _)| Answer::bulk(name)).collect();
        let values = || all.iter().map(|(_, (value, _))| Answer::bulk(value)).collect();
        let pair = |(name, field): &(&Bytes, &Field)| [Answer::bulk(name), Answer::bulk(&field.0)];
        let value = |name: &Bytes| {
            self.live(key, name).map_or(Answer::Null, |field| Answer::bulk(&field.0))
        };
        let time = |name: &Bytes| self.live(key, name).map_or(-2, |field| field.1.unwrap_or(-1));
        let old = self.live(key, &first);
        let (done, otherwise) = match request[0].as_slice() {
            b"HGET" => return value(&first),
            b"HMGET" => return Answer::Array(rest.iter().map(value).collect()),
            b"HSTRLEN" => return number(old.map_or(0, |field| field.0.len())),
            b"HEXISTS" => return number(usize::from(old.is_some())),
            b"HLEN" => return number(all.len()),
            b"HGETALL" => return Answer::Unordered(all.iter().flat_map(pair).collect()),
            b"HSCAN" => return Answer::Array(all.iter().flat_map(pair).collect()),
            b"HKEYS" => return Answer::Unordered(names()),
            b"HVALS" => return Answer::Unordered(values()),
            b"HRANDFIELD" if all.is_empty() => return Answer::Array(Vec::new()),
            b"HRANDFIELD" => {
                let count: i64 = String::from_utf8_lossy(&first).parse().expect("a count");
                return Answer::Several(count.min(all.len() as i64), names());
            }
            b"HPEXPIRETIME" => {
                return Answer::Array(rest[2..].iter().map(time).map(Answer::Integer).collect());
            }
            b"COPY" if *key == first => {
                return Answer::Error("ERR source and destination objects are the same".into());
            }
            b"DEL" | b"COPY" => (number(1), number(0)),
            b"RENAME" => (Answer::ok(), Answer::Error("ERR no such key".into())),
            other => panic!("no map for {}", String::from_utf8_lossy(other)),
        };
        match self.hashes.get(key) {
            // A hash whose fields have all expired may be there or not.
            Some(_) if all.is_empty() => Answer::OneOf(vec![done, otherwise]),
            Some(_) => done,
            None => otherwise,
        }
    }

    fn persist(&mut self, key: &[u8], name: &[u8]) -> Answer {
        Answer::Integer(match self.live(key, name).cloned() {
            None => -2,
            Some((_, None)) => -1,
            Some((value, Some(_))) => {
                self.put(key, name, &value, None);
                1
            }
        })
    }

    fn add(&mut self, key: &[u8], field: &[u8], change: &[u8]) -> Answer {
        let change: i64 = String::from_utf8_lossy(change).parse().expect("a number");
        let old = self.live(key, field).cloned();
        let (text, deadline) = old.unwrap_or((b"0".to_vec(), None));
        let Ok(old) = String::from_utf8_lossy(&text).parse::<i64>() else {
            return Answer::Error("ERR hash value is not an integer".into());
        };
        self.put(key, field, (old + change).to_string().as_bytes(), deadline);
        Answer::Integer(old + change)
    }

    fn expire(&mut self, key: &[u8], at: &[u8], rest: &[Bytes]) -> Answer {
        let at: i64 = String::from_utf8_lossy(at).parse().expect("a time");
        let has_condition = rest[0] != b"FIELDS";
        let condition = if has_condition { rest[0].as_slice() } else { b"" };
        let fields = &rest[2 + usize::from(has_condition)..];
        let outcomes = fields.iter().map(|name| {
            let Some((value, old)) = self.live(key, name).cloned() else { return -2 };
            let is_allowed = match (condition, old) {
                (b"NX", old) => old.is_none(),
                (b"XX", old) => old.is_some(),
                (b"GT", old) => old.is_some_and(|old| at > old),
                (b"LT", old) => old.is_none_or(|old| at < old),
                _ => true,
            };
            if !is_allowed {
                return 0;
            }
            if at <= self.now_ms {
                self.remove(key, name);
                return 2;
            }
            self.put(key, name, &value, Some(at));
            1
        });
        Answer::Array(outcomes.map(Answer::Integer).collect())
    }

    /// Does to the maps what the effects say was done, in order: they know what was evicted, what
    /// expired, and what came of a command that was refused half way.
    fn follow(&mut self, at: &str) {
        for effect in self.engine.take_effects() {
            let key = &effect[1];
            match effect[0].as_slice() {
                b"DEL" => _ = self.hashes.remove(key),
                b"HDEL" => self.remove(key, &effect[2]),
                b"HSET" => _ = self.put(key, &effect[2], &effect[3], None),
                b"COPY" | b"RENAME" => {
                    let mut hash = self.hashes.get(key).cloned().unwrap_or_default();
                    hash.retain(|_, field| !self.is_past(field.1));
                    if effect[0] == b"RENAME" {
                        self.hashes.remove(key);
                    }
                    self.hashes.remove(&effect[2]);
                    if !hash.is_empty() {
                        self.hashes.insert(effect[2].clone(), hash);
                    }
                }
                b"HPEXPIREAT" | b"HPERSIST" | b"HINCRBY" | b"SET" => {}
                _ => panic!("{at}: an effect {}", short(&effect)),
            }
            self.effects.push(effect);
        }
    }

    /// Every hash with its fields and their deadlines, as the engine has them.
    fn contents(engine: &mut Engine) -> BTreeMap<Bytes, Hash> {
        let Answer::Array(keys) = engine.ask(&["KEYS", "*"].map(Into::into)) else {
            panic!("KEYS answers an array")
        };
        let mut contents = BTreeMap::new();
        for key in keys.iter().map(text) {
            let Answer::Array(items) = engine.ask(&[b"HGETALL".to_vec(), key.clone()]) else {
                panic!("HGETALL answers an array")
            };
            let mut hash = Hash::new();
            for pair in items.chunks(2) {
                let (name, value) = (text(&pair[0]), text(&pair[1]));
                let asked = [b"HPEXPIRETIME".as_slice(), &key, b"FIELDS", b"1", &name];
                let answer = engine.ask(&asked.map(<[u8]>::to_vec));
                let Answer::Array(times) = answer else { panic!("an array, not {answer}") };
                let Answer::Integer(deadline) = times[0] else { panic!("no time: {}", times[0]) };
                hash.insert(name, (value, Some(deadline).filter(|&at| at >= 0)));
            }
            if !hash.is_empty() {
                contents.insert(key, hash);
            }
        }
        contents
    }

    fn compare(&mut self) {
        let given = Run::contents(&mut self.engine);
        self.follow("reading everything");
        let now_ms = self.now_ms;
        self.hashes.retain(|_, hash| {
            hash.retain(|_, field| field.1.is_none_or(|at| now_ms <= at));
            !hash.is_empty()
        });
        assert!(given == self.hashes, "{}: the contents differ", self.label);
    }

    fn check_replica(&mut self) {
        let options = Options { max_memory_bytes: 256 << 20, seed: 77, ..Options::default() };
        let mut replica = Engine::new(&options);
        replica.set_clock(0);
        for effect in &self.effects {
            let answer = replica.ask(effect).to_string();
            assert!(!answer.starts_with('-'), "{}: {answer}", short(effect));
        }
        replica.keys.validate().expect("a sound replica");
        replica.set_clock(self.now_ms);
        let given = Run::contents(&mut replica);
        assert!(self.effects.len() > 1_000, "a workload that does little shows nothing");
        assert!(given == self.hashes, "{}: the replica differs", self.label);
    }

    /// Field by field down to nothing: no byte is left behind.
    fn empty(&mut self) {
        for (key, hash) in self.hashes.clone() {
            for name in hash.keys() {
                let answer = self.engine.ask(&[b"HDEL".to_vec(), key.clone(), name.clone()]);
                assert_eq!(answer, Answer::Integer(1), "{}", self.label);
                self.engine.keys.validate().expect("a sound keyspace");
            }
        }
        while self.engine.keys.stats().used_memory_dataset > 0 {
            let before = self.engine.keys.stats();
            self.engine.ask(&["DEL", "nothing"].map(Into::into));
            self.engine.tick(usize::MAX);
            assert!(self.engine.keys.stats() != before, "{}: {before:?}", self.label);
        }
        assert_eq!(self.engine.keys.stats().keys, 0);
    }
}

fn number(number: usize) -> Answer {
    Answer::Integer(number as i64)
}

fn text(answer: &Answer) -> Bytes {
    let Answer::Bulk(bytes) = answer else { panic!("a bulk string, not {answer}") };
    bytes.clone()
}

/// A request that may be too long to print.
fn short(request: &Words) -> String {
    let mut text = request_text(request);
    text.truncate(300);
    text
}
