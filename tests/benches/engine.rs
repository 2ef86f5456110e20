//! `scripts/bench engine`: the engine beside what a Rust engineer would take instead.
//!
//! Peers are the `lru` crate bounded by count, with keys and values on the heap, and a plain
//! `hashbrown` map of the same. All run in one process in turn, round by round; times are of the
//! CPU, so that a busy neighbour only widens the spread. Losing rows are printed like the others.

use std::fs;
use std::hint::black_box;

use ferrite_engine::{Keyspace, Options, Policy, SetOptions};
use hashbrown::HashMap;
use lru::LruCache;

const VALUE: [u8; 100] = [b'x'; 100];
const OPERATIONS: usize = 1_000_000;
const KEY_BYTES: usize = 16;

type Boxed = Box<[u8]>;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let is_quick = arguments.iter().any(|argument| argument == "--quick");
    let json = arguments.iter().position(|argument| argument == "--json");
    let (sizes, rounds) = if is_quick { (vec![20_000], 3) } else { (vec![200_000, 1_000_000], 7) };
    println!(
        "{:<32} {:<14} {:>9} {:>9}  {:<10} {:>6}  spread of the ratio",
        "case", "metric", "ferrite", "peer", "peer_name", "ratio"
    );
    let mut rows = Vec::new();
    // First of all, while what the process holds is not blurred by what it has freed.
    if let Some(&size) = sizes.last() {
        let workload = Workload::new(size);
        let lru = lru_overhead_bytes(&workload);
        let case = format!("native entry {}", short(size));
        rows.push(row(&case, "overhead_bytes", "lru", &[(ferrite_overhead_bytes(&workload), lru)]));
    }
    for size in sizes {
        rows.extend(measure(size, rounds));
    }
    if let Some(path) = json.and_then(|position| arguments.get(position + 1)) {
        fs::write(path, format!("[\n{}\n]\n", rows.join(",\n"))).expect("the file can be written");
    }
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
    let mut ours = Vec::new();
    let mut lru = Vec::new();
    let mut map = Vec::new();
    for _ in 0..rounds {
        ours.push(workload.run(Ferrite::new(budget_bytes(size))));
        lru.push(workload.run(LruCache::new(size.try_into().expect("not zero"))));
        map.push(workload.run(HashMap::default()));
    }
    let name = short(size);
    let compare = |case: &str, metric: &str, peer: &[Times], peer_name, pick: fn(&Times) -> f64| {
        let pairs: Vec<(f64, f64)> =
            ours.iter().zip(peer).map(|(a, b)| (pick(a), pick(b))).collect();
        row(&format!("native {case} {name}"), metric, peer_name, &pairs)
    };
    vec![
        compare("get", "cpu_ns", &lru, "lru", |times| times.get),
        compare("set", "cpu_ns", &lru, "lru", |times| times.set),
        compare("churn", "cpu_ns", &lru, "lru", |times| times.churn),
        compare("get", "cpu_ns", &map, "hashbrown", |times| times.get),
        compare("set", "cpu_ns", &map, "hashbrown", |times| times.set),
        compare("longest insertion", "cpu_us", &map, "hashbrown", |times| times.insert_max),
    ]
}

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
        let mut times = Times::default();
        for key in resident {
            let took = cpu_time_of(|| store.set(key, &VALUE));
            times.insert_max = times.insert_max.max(took / 1000.0);
        }
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

struct Ferrite(Keyspace);

impl Ferrite {
    fn new(max_memory_bytes: u64) -> Ferrite {
        let policy = Policy::AllKeysLru;
        let options = Options { max_memory_bytes, policy, seed: 7, ..Options::default() };
        Ferrite(Keyspace::new(&options).expect("options in range"))
    }
}

impl Store for Ferrite {
    fn get(&mut self, key: &[u8]) -> bool {
        let mut cx = self.0.at(0);
        let value = cx.get(key).expect("a string");
        value.and_then(|value| value.as_slice()).is_some_and(|bytes| black_box(bytes[50]) == b'x')
    }

    fn set(&mut self, key: &[u8], value: &[u8]) {
        self.0.at(0).set(key, value, &SetOptions::default()).expect("room");
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
    (size * (KEY_BYTES + VALUE.len() + 24)) as u64 + (1 << 20)
}

fn short(size: usize) -> String {
    if size < 1_000_000 { format!("{}k", size / 1000) } else { format!("{}M", size / 1_000_000) }
}

/// Bytes beyond keys and values, for each key, when nothing has been evicted.
fn ferrite_overhead_bytes(workload: &Workload) -> f64 {
    let mut store = Ferrite::new(budget_bytes(workload.size));
    let keys = &workload.keys[..workload.size];
    keys.iter().for_each(|key| store.set(key, &VALUE));
    let payload = keys.len() * (KEY_BYTES + VALUE.len());
    (store.0.stats().used_memory as f64 - payload as f64) / keys.len() as f64
}

/// The same for `lru`, by what the process grows by.
fn lru_overhead_bytes(workload: &Workload) -> f64 {
    let before = resident_bytes();
    let mut store = LruCache::<Boxed, Boxed>::unbounded();
    let keys = &workload.keys[..workload.size];
    keys.iter().for_each(|key| Store::set(&mut store, key, &VALUE));
    let grown = resident_bytes() - before;
    black_box(store);
    (grown - (keys.len() * (KEY_BYTES + VALUE.len())) as f64) / keys.len() as f64
}

fn resident_bytes() -> f64 {
    let statm = fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: f64 =
        statm.split(' ').nth(1).and_then(|field| field.parse().ok()).expect("a number");
    pages * 4096.0
}

/// Nanoseconds of CPU that this thread spends in `work`.
fn cpu_time_of(work: impl FnOnce()) -> f64 {
    let start = cpu_time::ThreadTime::now();
    work();
    start.elapsed().as_nanos() as f64
}

/// Prints a row, and gives it as JSON. A ratio above one means that Ferrite is better.
fn row(case: &str, metric: &str, peer_name: &str, pairs: &[(f64, f64)]) -> String {
    let ferrite = median(pairs.iter().map(|pair| pair.0));
    let peer = median(pairs.iter().map(|pair| pair.1));
    let ratios = || pairs.iter().map(|(ferrite, peer)| peer / ferrite);
    let (ratio, rounds) = (median(ratios()), pairs.len());
    let least = ratios().fold(f64::INFINITY, f64::min);
    let most = ratios().fold(0.0, f64::max);
    println!(
        "{case:<32} {metric:<14} {ferrite:>9.1} {peer:>9.1}  {peer_name:<10} {ratio:>6.2}  \
         {least:.2}-{most:.2}"
    );
    let unit = metric.rsplit('_').next().unwrap_or_default();
    format!(
        "  {{\"case\": \"{case}\", \"metric\": \"{metric}\", \"unit\": \"{unit}\", \
         \"ferrite\": {ferrite:.3}, \"peer\": {peer:.3}, \"peer_name\": \"{peer_name}\", \
         \"ratio\": {ratio:.4}, \"rounds\": {rounds}}}"
    )
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
