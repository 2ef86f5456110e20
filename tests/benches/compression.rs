//! `scripts/bench compression`: the engine with compression beside the engine without it.
//! Not here: the npm package beside others, which `scripts/bench edge` measures.

use std::hint::black_box;

use ferrite_engine::{Keyspace, Options, Policy, SetOptions};
use ferrite_tests::documents::Shape;
use ferrite_tests::random::Random;

#[allow(dead_code, reason = "not all of it is needed here")]
mod report;

const BUDGET_BYTES: u64 = 64 << 20;
const NOW_MS: i64 = 1_700_000_000_000;
/// Keys that are read all the time.
const HOT_KEYS: usize = 1_000;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let is_quick = arguments.iter().any(|argument| argument == "--quick");
    let (rounds, shapes) = if is_quick { (1, 1) } else { (3, Shape::ALL.len()) };
    report::title();
    let mut rows = Vec::new();
    for (name, shape) in &Shape::ALL[..shapes] {
        // Nothing here depends on the machine.
        rows.push(report::row(name, "entry_bytes", "plain", &[entry_bytes(*shape, 1)]));
    }
    let mut times: Vec<[(f64, f64); 4]> = Vec::new();
    for seed in 0..rounds {
        let mut caches = [Cache::full(true, seed), Cache::full(false, seed)];
        // In turn, and the first one is not always the same.
        let order = if seed % 2 == 0 { [0, 1] } else { [1, 0] };
        let mut given = [[0.0; 2]; 4];
        for cache in order {
            given[0][cache] = caches[cache].read_hot();
            given[1][cache] = caches[cache].read_late();
            given[2][cache] = caches[cache].read_cold();
            given[3][cache] = caches[cache].churn();
        }
        times.push(given.map(|[ferrite, peer]| (ferrite, peer)));
    }
    let cases = [
        "native get hot 1 KB",
        "native get hot after cold 1 KB",
        "native get cold 1 KB",
        "native churn 1 KB",
    ];
    for (position, case) in cases.iter().enumerate() {
        let pairs: Vec<_> = times.iter().map(|given| given[position]).collect();
        rows.push(report::row(case, "cpu_ns", "plain", &pairs));
    }
    report::save(&arguments, &rows);
}

fn keyspace(compression: bool, seed: u64) -> Keyspace {
    let policy = Policy::AllKeysLru;
    let options =
        Options { max_memory_bytes: BUDGET_BYTES, policy, seed, compression, host_bytes: 0 };
    Keyspace::new(&options).expect("a keyspace")
}

fn set(keys: &mut Keyspace, number: usize, value: &[u8]) {
    let key = key(number);
    keys.at(NOW_MS).set(&key, value, &SetOptions::default()).expect("set");
}

fn key(number: usize) -> [u8; 16] {
    let mut key = *b"key:000000000000";
    let mut rest = number;
    for digit in key[4..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    key
}

/// Bytes of the budget for each value that a full cache holds: with compression, and without.
fn entry_bytes(shape: Shape, seed: u64) -> (f64, f64) {
    let held = |compression| {
        let mut keys = keyspace(compression, seed);
        let mut random = Random::new(seed);
        // Enough to choose from; drawing each anew would take most of the time.
        let values: Vec<_> = (0..20_000).map(|_| shape.value(&mut random)).collect();
        let mut number = 0;
        while keys.stats().evicted_keys < 30_000 {
            set(&mut keys, number, &values[random.below(values.len())]);
            number += 1;
        }
        BUDGET_BYTES as f64 / keys.stats().keys as f64
    };
    (held(true), held(false))
}

/// A cache of customers' records at capacity, where some keys were read all the time.
struct Cache {
    keys: Keyspace,
    values: Vec<Vec<u8>>,
    random: Random,
    hot: Vec<usize>,
    next: usize,
}

impl Cache {
    fn full(compression: bool, seed: u64) -> Cache {
        let mut random = Random::new(seed);
        let values = (0..20_000).map(|_| Shape::Customer.value(&mut random)).collect();
        let hot = (0..HOT_KEYS).collect();
        let keys = keyspace(compression, seed);
        let mut cache = Cache { keys, values, random, hot, next: 0 };
        while cache.keys.stats().evicted_keys < 60_000 {
            cache.put();
            let used = cache.hot[cache.next % HOT_KEYS];
            cache.keys.at(NOW_MS).get(&key(used)).expect("a string");
        }
        cache
    }

    fn put(&mut self) {
        let value = self.random.below(self.values.len());
        set(&mut self.keys, self.next, &self.values[value]);
        self.next += 1;
    }

    /// CPU time of reading the keys that were read all the time.
    fn read_hot(&mut self) -> f64 {
        self.read(&self.hot.clone(), 300)
    }

    /// The same of others that were not in use until now, once they are.
    fn read_late(&mut self) -> f64 {
        let late: Vec<_> = (self.next - 40_000..self.next - 40_000 + HOT_KEYS).collect();
        for _ in 0..20 {
            self.read(&late, 1);
            (0..200).for_each(|_| self.put());
        }
        self.read(&late, 300)
    }

    /// The same of keys that are not in use, each once.
    fn read_cold(&mut self) -> f64 {
        let cold: Vec<_> = (self.next - 35_000..self.next - 15_000).collect();
        self.read(&cold, 1)
    }

    fn read(&mut self, numbers: &[usize], times: usize) -> f64 {
        let names: Vec<_> = numbers.iter().map(|&number| key(number)).collect();
        let (mut hits, keys) = (0, &mut self.keys);
        let elapsed = report::cpu_time_of(|| {
            for _ in 0..times {
                for name in &names {
                    let mut cx = keys.at(NOW_MS);
                    let value = cx.get(name).expect("a string");
                    // Each line of the processor's cache is touched, as by who copies it.
                    let sum =
                        |value: &[u8]| value.iter().step_by(64).map(|&byte| u64::from(byte)).sum();
                    let sum: Option<u64> = value.and_then(|value| value.as_slice().map(sum));
                    hits += usize::from(black_box(sum).is_some());
                }
            }
        });
        assert!(hits * 10 > names.len() * times * 9, "{hits} of {} are there", names.len() * times);
        elapsed / (names.len() * times) as f64
    }

    /// CPU time of an insertion at capacity.
    fn churn(&mut self) -> f64 {
        const INSERTIONS: usize = 50_000;
        let elapsed = report::cpu_time_of(|| (0..INSERTIONS).for_each(|_| self.put()));
        elapsed / INSERTIONS as f64
    }
}
