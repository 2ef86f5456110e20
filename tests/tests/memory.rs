//! The memory contract, measured with an allocator that counts what the engine holds.
//! `used_memory` tells the truth, the budget holds at every moment, and nothing is left behind.
//! Only allocations inside calls of the engine count: the test's own values do not.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use ferrite_engine::{Keyspace, Options, Pages, Policy, Reply, Value, execute};
use ferrite_tests::op::{Op, Shape};
use ferrite_tests::random::Random;
use ferrite_tests::subject::START_MS;

struct Counting;

thread_local! {
    static IS_COUNTING: Cell<bool> = const { Cell::new(false) };
    static LIVE_BYTES: Cell<i64> = const { Cell::new(0) };
    static PEAK_BYTES: Cell<i64> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call goes to the system's allocator as it came; the counters hold plain numbers
// and never allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as i64));
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

fn count(bytes: i64) {
    if IS_COUNTING.get() {
        LIVE_BYTES.set(LIVE_BYTES.get() + bytes);
        PEAK_BYTES.set(PEAK_BYTES.get().max(LIVE_BYTES.get()));
    }
}

fn counted<T>(work: impl FnOnce() -> T) -> T {
    IS_COUNTING.set(true);
    let result = work();
    IS_COUNTING.set(false);
    result
}

/// Where replies go that nobody reads.
struct Nowhere;

impl Reply for Nowhere {
    fn simple(&mut self, _: &'static str) {}
    fn integer(&mut self, _: i64) {}
    fn bulk(&mut self, _: Value<'_>) {}
    fn null(&mut self) {}
    fn array(&mut self, _: usize) {}
    fn error(&mut self, _: &[&[u8]]) {}
}

impl Pages for Nowhere {
    fn piece(&mut self, _: &[u8], _: &[u8]) {}
}

const PHASES: &[&[usize]] =
    &[&[100], &[10_000], &[1_000], &[100_000], &[100], &[30_000, 50], &[300]];

#[test]
fn used_memory_is_true_and_the_budget_holds() {
    for (seed, (name, policy)) in (0..).zip(Policy::ALL) {
        for (max_memory_bytes, compression) in [(1 << 20, false), (8 << 20, false), (3 << 20, true)]
        {
            let base = Options { policy, seed, ..Options::default() };
            run(&Options { max_memory_bytes, compression, ..base }, name);
        }
    }
}

fn run(options: &Options, name: &str) {
    LIVE_BYTES.set(0);
    PEAK_BYTES.set(0);
    let mut keys = counted(|| Keyspace::new(options)).expect("a keyspace");
    let (mut random, mut now_ms) = (Random::new(options.seed), START_MS);
    let budget = options.max_memory_bytes as i64;
    let bound = budget + (budget / 50).max(512 << 10);
    for (phase, &value_bytes) in PHASES.iter().enumerate() {
        let shape = Shape { keys: 20_000, value_bytes };
        for step in 0..4_000 {
            now_ms += i64::from(random.one_in(10));
            let request = Op::random(&mut random, &shape, now_ms).words();
            let arguments: Vec<&[u8]> = request.iter().map(Vec::as_slice).collect();
            counted(|| execute(&mut keys.at(now_ms), &arguments, &mut Nowhere));
            let at = format!("{name}, {budget} bytes, phase {phase}, step {step}");
            check(&keys, bound, &at);
            if step % 2_000 == 0 {
                compare_two(&mut keys, now_ms);
                check(&keys, bound, &at);
            }
        }
        assert!(keys.stats().used_memory_dataset > 0, "{name}: nothing was stored");
    }
    give_back(&mut keys, now_ms + 10_000_000, name);
    counted(|| drop(keys));
    assert_eq!(LIVE_BYTES.get(), 0, "{name}: a dropped keyspace leaves nothing behind");
}

/// LCS allocates a table for a moment: 300 KB for these.
fn compare_two(keys: &mut Keyspace, now_ms: i64) {
    let text = b"ab".repeat(775);
    let requests: [&[&[u8]]; 3] =
        [&[b"SET", b"one", &text], &[b"SET", b"other", &text], &[b"LCS", b"one", b"other"]];
    for arguments in requests {
        counted(|| execute(&mut keys.at(now_ms), arguments, &mut Nowhere));
    }
}

/// Sizes of values, and of the members of large collections.
const SHIFTS: &[usize] = &[100, 10_000, 1_000, 20, 10_000, 100];
const COLLECTION_ADDS: usize = 3_000;

#[test]
fn collections_keep_the_budget_as_well() {
    for (seed, (name, policy)) in (0..).zip(Policy::ALL) {
        for (max_memory_bytes, compression) in [(1 << 20, false), (6 << 20, true)] {
            let base = Options { policy, seed, ..Options::default() };
            let options = Options { max_memory_bytes, compression, ..base };
            Collections::new(&options, name, false).run();
        }
    }
}

/// What a snapshot has still to write is no second copy: it is let out before it changes, and what
/// FLUSHDB sets aside counts.
#[test]
fn snapshots_keep_the_budget_as_well() {
    for (seed, (name, policy)) in (0..).zip(Policy::ALL) {
        let base = Options { policy, seed, ..Options::default() };
        let options = Options { max_memory_bytes: 4 << 20, ..base };
        Collections::new(&options, name, true).run();
    }
}

/// Commands on large collections, with what they allocate for a moment.
const TRANSIENT: &[&str] = &[
    "SUNIONSTORE set:9 set:0 set:1 set:2",
    "SDIFFSTORE set:8 set:0 set:1",
    "SINTERSTORE set:8 set:0 set:9",
    "SRANDMEMBER set:0 300",
    "SRANDMEMBER set:0 -300",
    "HRANDFIELD hash:0 300 WITHVALUES",
    "SPOP set:1 500",
    "COPY hash:0 hash:9 REPLACE",
    "COPY list:0 list:9 REPLACE",
    "COPY set:0 set:7 REPLACE",
    "RENAME set:9 set:6",
    "LRANGE list:0 0 -1",
    "LTRIM list:1 200 -200",
    "LREM list:0 0 nothing",
    "LINSERT list:0 BEFORE nothing x",
    "ZUNIONSTORE zset:9 2 zset:0 zset:1",
    "ZINTERSTORE zset:8 2 zset:0 set:0",
    "ZRANGESTORE zset:7 zset:0 0 500",
    "ZRANDMEMBER zset:0 300 WITHSCORES",
    "ZREMRANGEBYRANK zset:1 0 500",
    "SORT list:0 ALPHA STORE list:8",
    "SORT set:0 ALPHA LIMIT 0 10",
    "SORT set:0 BY hash:0->* ALPHA STORE list:7",
    "HGETALL hash:0",
    "COPY stream:0 stream:9 REPLACE",
    "XGROUP CREATE stream:0 g 0",
    "XREADGROUP GROUP g anna COUNT 500 STREAMS stream:0 >",
    "XREADGROUP GROUP g bert COUNT 500 STREAMS stream:0 >",
    "XAUTOCLAIM stream:0 g bert 0 0 COUNT 300",
    "XREADGROUP GROUP g bert STREAMS stream:0 0",
    "XGROUP DELCONSUMER stream:0 g anna",
    "XRANGE stream:0 - +",
    "XTRIM stream:1 MAXLEN 20",
    "COPY stream:0 stream:8 REPLACE",
    "XGROUP DESTROY stream:0 g",
    "HPEXPIRE hash:1 5 FIELDS 2 m1 m2",
    "PEXPIRE list:1 10",
    "DEL set:2",
    "KEYS *",
    "LCS one other",
    "SETBIT bits:0 2000000 1",
    "BITOP NOT bits:1 bits:0",
    "BITOP XOR bits:0 bits:0 bits:1 string:0 bits:2",
    "BITFIELD bits:2 SET u8 #90000 7 INCRBY i64 1 5",
    "BITOP AND bits:1 bits:2",
    "PFADD counted:0 a b c",
    "PFDEBUG DECODE counted:0",
    "PFDEBUG TODENSE counted:0",
    "PFMERGE counted:1 counted:0",
    "PFCOUNT counted:0 counted:1",
    "GEORADIUS zset:0 0 0 30000 KM WITHDIST",
    "GEORADIUS zset:0 0 0 30000 KM COUNT 20",
    "GEORADIUS zset:0 0 0 30000 KM DESC STOREDIST zset:6",
    "GEOSEARCHSTORE zset:5 zset:0 FROMLONLAT 0 0 BYBOX 50000 50000 KM",
];

struct Collections {
    keys: Keyspace,
    random: Random,
    now_ms: i64,
    bound: i64,
    name: String,
    takes_snapshots: bool,
}

impl Collections {
    fn new(options: &Options, name: &str, takes_snapshots: bool) -> Collections {
        LIVE_BYTES.set(0);
        PEAK_BYTES.set(0);
        let budget = options.max_memory_bytes as i64;
        Collections {
            keys: counted(|| Keyspace::new(options)).expect("a keyspace"),
            random: Random::new(options.seed),
            now_ms: START_MS,
            bound: budget + (budget / 50).max(512 << 10),
            name: format!("{name}, {budget} bytes"),
            takes_snapshots,
        }
    }

    /// Snapshots follow one upon the other; now and then there is a FLUSHDB in the middle of one.
    fn snapshot(&mut self) {
        let (keys, now_ms) = (&mut self.keys, self.now_ms);
        if keys.is_snapshot_running() {
            counted(|| keys.write_snapshot(20_000));
            if self.random.one_in(2_000) {
                counted(|| keys.at(now_ms).flush());
            }
        } else {
            let is_full = self.random.one_in(2);
            counted(|| keys.begin_snapshot(is_full, &mut || Box::new(Nowhere)));
        }
    }

    fn ask(&mut self, arguments: &[&[u8]], reply: &mut dyn Reply) {
        if self.takes_snapshots {
            self.snapshot();
        }
        let (keys, now_ms) = (&mut self.keys, self.now_ms);
        counted(|| execute(&mut keys.at(now_ms), arguments, reply));
        let text = String::from_utf8_lossy(arguments[0]);
        check(&self.keys, self.bound, &format!("{}, after {text}", self.name));
    }

    fn run(mut self) {
        for &bytes in SHIFTS {
            for _ in 0..COLLECTION_ADDS {
                self.add(bytes);
            }
            compare_two(&mut self.keys, self.now_ms);
            for line in TRANSIENT {
                let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
                self.ask(&words, &mut Nowhere);
                self.now_ms += 1;
            }
            for key in ["hash:0", "list:0", "set:0", "zset:0", "stream:8", "string:7"] {
                self.restore(key);
            }
            self.keys.validate().expect("a sound keyspace");
        }
        let Collections { mut keys, now_ms, name, .. } = self;
        while counted(|| keys.write_snapshot(1 << 20)) {}
        give_back(&mut keys, now_ms + 10_000_000, &name);
        counted(|| drop(keys));
        assert_eq!(LIVE_BYTES.get(), 0, "{name}: a dropped keyspace leaves nothing behind");
    }

    /// One more entry of some collection, or a string.
    fn add(&mut self, bytes: usize) {
        let which = self.random.below(3);
        let member = format!("m{}", self.random.below(5_000));
        let value = vec![b'v'; bytes / 2 + self.random.below(bytes)];
        // Members are shorter than values, but some stand apart.
        let long = if self.random.one_in(50) { "l".repeat(bytes) } else { member.clone() };
        let score = self.random.below(1_000).to_string();
        let (member, score, long) = (member.as_bytes(), score.as_bytes(), long.as_bytes());
        let key = |kind: &str| format!("{kind}:{which}").into_bytes();
        match self.random.below(7) {
            0 => self.ask(&[b"HSET", &key("hash"), member, &value], &mut Nowhere),
            1 => self.ask(&[b"RPUSH", &key("list"), &value], &mut Nowhere),
            2 => self.ask(&[b"SADD", &key("set"), long], &mut Nowhere),
            3 => self.ask(&[b"ZADD", &key("zset"), score, long], &mut Nowhere),
            4 => self.ask(&[b"LPOP", &key("list")], &mut Nowhere),
            5 => self.ask(&[b"XADD", &key("stream"), b"*", member, &value], &mut Nowhere),
            _ => {
                let key = format!("string:{}", self.random.below(2_000));
                self.ask(&[b"SET", key.as_bytes(), &value, b"PX", b"90000"], &mut Nowhere);
            }
        }
    }

    /// DUMP, and RESTORE of what it gave beside the original.
    fn restore(&mut self, key: &str) {
        let mut dumped = Dumped::default();
        self.ask(&[b"DUMP", key.as_bytes()], &mut dumped);
        if !dumped.0.is_empty() {
            let arguments: [&[u8]; 5] = [b"RESTORE", b"restored", b"0", &dumped.0, b"REPLACE"];
            self.ask(&arguments, &mut Nowhere);
        }
    }
}

/// The bytes of one reply, which are the test's own.
#[derive(Default)]
struct Dumped(Vec<u8>);

impl Reply for Dumped {
    fn simple(&mut self, _: &'static str) {}
    fn integer(&mut self, _: i64) {}
    fn bulk(&mut self, value: Value<'_>) {
        IS_COUNTING.set(false);
        self.0 = value.parts().flatten().copied().collect();
        IS_COUNTING.set(true);
    }
    fn null(&mut self) {}
    fn array(&mut self, _: usize) {}
    fn error(&mut self, _: &[&[u8]]) {}
}

fn check(keys: &Keyspace, bound: i64, at: &str) {
    let (live, peak) = (LIVE_BYTES.get(), PEAK_BYTES.get());
    // The struct itself counts as used, but lies on this test's stack.
    let used = keys.stats().used_memory as i64 - size_of::<Keyspace>() as i64;
    assert!((used - live).abs() <= used / 100, "{at}: {live} bytes live, {used} are told");
    assert!(peak <= bound, "{at}: {peak} bytes were held, {bound} are the bound");
}

/// What expires is given back, first the keys with a deadline, then everything.
fn give_back(keys: &mut Keyspace, now_ms: i64, name: &str) {
    counted(|| keys.tick(now_ms, usize::MAX));
    assert_eq!(keys.stats().expires, 0, "{name}: one whole turn finds every expired key");
    let arguments: [&[u8]; 1] = [b"FLUSHDB"];
    counted(|| execute(&mut keys.at(now_ms), &arguments, &mut Nowhere));
    let left = LIVE_BYTES.get();
    assert!(left <= 64 << 10, "{name}: an empty keyspace still holds {left} bytes");
}
