//! `scripts/bench engine`: the engine beside what a Rust engineer would take instead.
//!
//! Peers are the crates `lru` and `quick_cache`, bounded by count, and a plain `hashbrown` map; all
//! three keep keys and values on the heap. All run in one process in turn, round by round; times
//! are of the CPU, so that a busy neighbour only widens the spread. Losing rows are printed like
//! the others. The same file runs natively and as wasm in Node, whose clock is the CPU's as well
//! (`tests/bench-wasm`).
//!
//! Not here: reading the rows of a run in wasm; `scripts/bench` puts both lists together.

mod report;

use std::hint::black_box;

use ferrite_engine::{Expiry, Keyspace, Options, Policy, SetOptions};
use hashbrown::HashMap;
use lru::LruCache;
use quick_cache::unsync::Cache as QuickCache;
use report::{cpu_time_of, resident_bytes, row, save, short, title};

const VALUE: [u8; 100] = [b'x'; 100];
const OPERATIONS: usize = 1_000_000;
const KEY_BYTES: usize = 16;
const PAYLOAD_BYTES: usize = KEY_BYTES + VALUE.len();
const IS_WASM: bool = cfg!(target_family = "wasm");
const RUNTIME: &str = if IS_WASM { "wasm" } else { "native" };

type Boxed = Box<[u8]>;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    let (sizes, rounds) = match (has("--quick"), has("--growth")) {
        (true, _) => (vec![20_000], 3),
        (_, true) => (vec![1_000, 10_000, 100_000, 1_000_000, 10_000_000], 3),
        _ => (vec![200_000, 1_000_000], 7),
    };
    title();
    let mut rows = Vec::new();
    // First of all, while what the process holds is not blurred by what it has freed.
    if let (Some(&size), false) = (sizes.last(), IS_WASM || has("--growth")) {
        rows.extend(overheads(size));
    }
    for size in sizes {
        rows.extend(measure(size, rounds));
    }
    save(&arguments, &rows);
}

/// What one store took for each kind of work, in nanoseconds of CPU an operation; and the longest
/// single insertion, in microseconds.
#[derive(Default)]
struct Times {
    get: f64,
    set: f64,
    churn: f64,
    insert_max: f64,
}

/// The work, for any store: `get` answers whether the key was there.
trait Store {
    fn get(&mut self, key: &[u8]) -> bool;
    fn set(&mut self, key: &[u8], value: &[u8]);
}

struct Workload {
    keys: Vec<[u8; KEY_BYTES]>,
    order: Vec<usize>,
    size: usize,
}

fn measure(size: usize, rounds: usize) -> Vec<String> {
    let workload = Workload::new(size);
    let (mut ours, mut lru, mut quick, mut map) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        ours.push(workload.run(Ferrite::new(budget_bytes(size))));
        lru.push(workload.run(LruCache::new(size.try_into().expect("not zero"))));
        quick.push(workload.run(QuickCache::new(size)));
        map.push(workload.run(HashMap::default()));
    }
    let name = short(size);
    let mut rows = Vec::new();
    let mut compare = |case: &str, metric: &str, peer: &[Times], peer_name, pick: Pick| {
        let pairs: Vec<(f64, f64)> =
            ours.iter().zip(peer).map(|(a, b)| (pick(a), pick(b))).collect();
        rows.push(row(&format!("{RUNTIME} {case} {name}"), metric, peer_name, &pairs));
    };
    for (peer_name, peer) in [("lru", &lru), ("quick_cache", &quick), ("hashbrown", &map)] {
        compare("get", "cpu_ns", peer, peer_name, |times| times.get);
        compare("set", "cpu_ns", peer, peer_name, |times| times.set);
        // A plain map has no capacity at which to insert.
        if peer_name != "hashbrown" {
            compare("churn", "cpu_ns", peer, peer_name, |times| times.churn);
        }
    }
    if !IS_WASM {
        compare("longest insertion", "cpu_us", &map, "hashbrown", |times| times.insert_max);
    }
    rows
}

type Pick = fn(&Times) -> f64;

impl Workload {
    fn new(size: usize) -> Workload {
        let keys = (0..2 * size).map(|number| {
            format!("key:{number:012}").as_bytes().try_into().expect("sixteen bytes")
        });
        let mut state = 1u64;
        let order = (0..OPERATIONS).map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as usize % size
        });
        Workload { keys: keys.collect(), order: order.collect(), size }
    }

    fn run(&self, mut store: impl Store) -> Times {
        // What the store before has freed, malloc tidies up in its next large allocation: this one.
        drop(black_box(Vec::<u8>::with_capacity(100_000)));
        let (resident, fresh) = self.keys.split_at(self.size);
        let mut times = Times { insert_max: fill(&mut store, resident), ..Times::default() };
        let operations = OPERATIONS as f64;
        times.set =
            cpu_time_of(|| self.order.iter().for_each(|&i| store.set(&resident[i], &VALUE)))
                / operations;
        times.get = cpu_time_of(|| {
            let hits = self.order.iter().filter(|&&i| store.get(&resident[i])).count();
            assert!(hits > OPERATIONS * 9 / 10, "the keys are there");
        }) / operations;
        times.churn =
            cpu_time_of(|| fresh.iter().for_each(|key| store.set(key, &VALUE))) / self.size as f64;
        times
    }
}

/// Inserts every key. The longest insertion, in microseconds of CPU, where that can be told: the
/// clock that wasm has is too coarse.
fn fill(store: &mut impl Store, keys: &[[u8; KEY_BYTES]]) -> f64 {
    let mut longest: f64 = 0.0;
    for key in keys {
        if IS_WASM {
            store.set(key, &VALUE);
        } else {
            longest = longest.max(cpu_time_of(|| store.set(key, &VALUE)) / 1000.0);
        }
    }
    longest
}

struct Ferrite {
    keys: Keyspace,
    options: SetOptions,
}

impl Ferrite {
    fn new(max_memory_bytes: u64) -> Ferrite {
        let policy = Policy::AllKeysLru;
        let options = Options { max_memory_bytes, policy, seed: 7, ..Options::default() };
        let keys = Keyspace::new(&options).expect("options in range");
        Ferrite { keys, options: SetOptions::default() }
    }
}

impl Store for Ferrite {
    fn get(&mut self, key: &[u8]) -> bool {
        let mut cx = self.keys.at(0);
        let value = cx.get(key).expect("a string");
        value.and_then(|value| value.as_slice()).is_some_and(|bytes| black_box(bytes[50]) == b'x')
    }

    fn set(&mut self, key: &[u8], value: &[u8]) {
        self.keys.at(0).set(key, value, &self.options).expect("room");
    }
}

impl Store for LruCache<Boxed, Boxed> {
    fn get(&mut self, key: &[u8]) -> bool {
        LruCache::get(self, key).is_some_and(|bytes| black_box(bytes[50]) == b'x')
    }

    fn set(&mut self, key: &[u8], value: &[u8]) {
        self.put(key.into(), value.into());
    }
}

impl Store for QuickCache<Boxed, Boxed> {
    fn get(&mut self, key: &[u8]) -> bool {
        QuickCache::get(self, key).is_some_and(|bytes| black_box(bytes[50]) == b'x')
    }

    fn set(&mut self, key: &[u8], value: &[u8]) {
        self.insert(key.into(), value.into());
    }
}

impl Store for HashMap<Boxed, Boxed> {
    fn get(&mut self, key: &[u8]) -> bool {
        HashMap::get(self, key).is_some_and(|bytes| black_box(bytes[50]) == b'x')
    }

    fn set(&mut self, key: &[u8], value: &[u8]) {
        self.insert(key.into(), value.into());
    }
}

/// A budget that holds `size` keys and little more: inserting others then churns.
fn budget_bytes(size: usize) -> u64 {
    (size * (PAYLOAD_BYTES + 24)) as u64 + (1 << 20)
}

/// Bytes beyond keys and values, for each key, when nothing has been evicted: ours by what the
/// engine says it holds (a test compares that with the allocator), also when each key has a
/// deadline; the peers' by what the process grows by.
fn overheads(size: usize) -> Vec<String> {
    let workload = Workload::new(size);
    let keys = &workload.keys[..size];
    let ours = |expiry: Expiry| {
        let mut store = Ferrite::new((size * (PAYLOAD_BYTES + 48)) as u64 + (1 << 20));
        store.options.expiry = expiry;
        fill(&mut store, keys);
        let stats = store.keys.stats();
        assert_eq!(stats.keys, size as u64, "nothing was evicted");
        overhead(stats.used_memory as f64, size)
    };
    let peers = [
        ("lru", resident_growth(keys, LruCache::<Boxed, Boxed>::unbounded)),
        ("quick_cache", resident_growth(keys, || QuickCache::<Boxed, Boxed>::new(2 * size))),
        ("hashbrown", resident_growth(keys, HashMap::<Boxed, Boxed>::default)),
    ];
    let (plain, timed) = (ours(Expiry::Never), ours(Expiry::At(1 << 40)));
    let name = short(size);
    let rows = |case: &str, bytes: f64| {
        let case = format!("native {case} {name}");
        peers.map(|(peer_name, peer)| {
            row(&case, "overhead_bytes", peer_name, &[(bytes, overhead(peer, size))])
        })
    };
    [rows("entry", plain), rows("entry with a deadline", timed)].concat()
}

fn overhead(bytes: f64, size: usize) -> f64 {
    bytes / size as f64 - PAYLOAD_BYTES as f64
}

fn resident_growth<S: Store>(keys: &[[u8; KEY_BYTES]], new: impl FnOnce() -> S) -> f64 {
    let before = resident_bytes();
    let mut store = new();
    fill(&mut store, keys);
    let grown = resident_bytes() - before;
    // Kept, as are those after it, so that none of them finds freed memory to grow into.
    std::mem::forget(store);
    grown
}
