//! Compression: nobody can tell but by the memory it saves and the figures that say so.

use ferrite_engine::{Keyspace, Options, Policy, SetOptions};
use ferrite_tests::answer::request_text;
use ferrite_tests::documents::Shape;
use ferrite_tests::engine::Engine;
use ferrite_tests::family::{Requests, compare};
use ferrite_tests::op;
use ferrite_tests::random::Random;
use ferrite_tests::subject::{START_MS, Subject};

fn options(policy: Policy, max_memory_bytes: u64, seed: u64, compression: bool) -> Options {
    Options { policy, max_memory_bytes, seed, compression, ..Options::default() }
}

/// Two engines that differ in nothing but compression; one compresses all it can all the time.
struct Pair {
    plain: Engine,
    compressed: Engine,
    now_ms: i64,
    most_compressed: u64,
}

impl Pair {
    fn new(policy: Policy, seed: u64) -> Pair {
        let engine = |compression| Engine::new(&options(policy, 256 << 20, seed, compression));
        let (plain, compressed) = (engine(false), engine(true));
        Pair { plain, compressed, now_ms: START_MS, most_compressed: 0 }
    }

    fn pass(&mut self, ms: i64, buckets: usize) {
        self.now_ms += ms;
        self.plain.set_clock(self.now_ms);
        self.compressed.set_clock(self.now_ms);
        self.compressed.keys.at(self.now_ms).compress(buckets);
        let ticked = [&mut self.plain, &mut self.compressed].map(|engine| engine.tick(buckets));
        assert_eq!(ticked[0], ticked[1], "tick drops the same keys");
        let compressed = self.compressed.keys.stats().compressed_keys;
        self.most_compressed = self.most_compressed.max(compressed);
    }

    fn ask(&mut self, request: &[Vec<u8>], at: &str) {
        let [expected, given] = [&mut self.plain, &mut self.compressed].map(|engine| {
            let answer = engine.ask(request);
            (answer, engine.take_effects())
        });
        assert!(
            expected == given,
            "{at}: {}\n  plain      {}\n  compressed {}",
            request_text(request),
            expected.0,
            given.0
        );
    }

    fn finish(mut self, at: &str) -> u64 {
        self.compressed.keys.validate().unwrap_or_else(|broken| panic!("{at}: {broken}"));
        let [expected, given] =
            [&mut self.plain, &mut self.compressed].map(|engine| compare::contents(engine));
        assert!(expected == given, "{at}: the contents differ");
        self.most_compressed
    }
}

#[test]
fn any_requests_are_answered_the_same() {
    let rounds = 4;
    for seed in 0..rounds {
        for (name, policy) in Policy::ALL {
            let mut pair = Pair::new(policy, seed);
            let is_known = |name: &str| ferrite_engine::find(name.as_bytes()).is_some();
            let mut requests = Requests::mixed(Random::new(seed), is_known);
            for step in 0..1_000 {
                let at = format!("{name}, seed {seed}, step {step}");
                if requests.random().one_in(6) {
                    let ms = requests.random().pick(&[0, 1, 10, 5_000]);
                    pair.pass(ms, 1 + requests.random().below(40));
                }
                let request = requests.request(pair.now_ms);
                pair.ask(&request, &at);
            }
            pair.finish(name);
        }
    }
}

#[test]
fn requests_for_strings_are_answered_the_same() {
    const SIZES: &[usize] = &[70, 100, 300, 1_000, 3_900, 5_000];
    for seed in 0..6 {
        let (name, policy) = Policy::ALL[seed as usize % Policy::ALL.len()];
        let mut pair = Pair::new(policy, seed);
        let mut random = Random::new(seed);
        let shape = op::Shape { keys: 200, value_bytes: SIZES };
        for step in 0..6_000 {
            let at = format!("{name}, seed {seed}, step {step}");
            if random.one_in(8) {
                pair.pass(random.pick(&[0, 1, 1_000]), 1 + random.below(60));
            }
            let mut request = op::Op::random(&mut random, &shape, pair.now_ms).words();
            if random.one_in(20) {
                let [from, to] = [0; 2].map(|_| format!("key:{}:", random.below(50)));
                let name = random.pick(&["COPY", "RENAME", "LCS", "OBJECT", "DUMP"]);
                request = match name {
                    "OBJECT" => vec!["OBJECT".into(), "ENCODING".into(), from.into()],
                    "DUMP" => vec!["DUMP".into(), from.into()],
                    name => vec![name.into(), from.into(), to.into()],
                };
                request.extend((name == "COPY").then(|| b"REPLACE".to_vec()));
            }
            pair.ask(&request, &at);
            if step % 50 == 0 {
                let sound = pair.compressed.keys.validate();
                sound.unwrap_or_else(|broken| panic!("{at}: {broken}, {}", request_text(&request)));
            }
        }
        let most = pair.finish(name);
        assert!(most > 20, "{name}: {most} keys were compressed at most");
    }
}

fn put(keys: &mut Keyspace, number: usize, value: &[u8]) {
    let key = format!("key:{number:08}");
    keys.at(START_MS).set(key.as_bytes(), value, &SetOptions::default()).expect("set");
}

fn get(keys: &mut Keyspace, number: usize) -> Option<Vec<u8>> {
    let key = format!("key:{number:08}");
    let mut cx = keys.at(START_MS);
    cx.get(key.as_bytes())
        .expect("a string")
        .map(|value| value.parts().flatten().copied().collect())
}

/// How many values of a shape a cache holds, when more were put in than it can.
fn held(shape: Shape, compression: bool) -> u64 {
    let mut keys =
        Keyspace::new(&options(Policy::AllKeysLru, 4 << 20, 1, compression)).expect("a keyspace");
    let mut random = Random::new(11);
    let mut number = 0;
    while keys.stats().evicted_keys < 8_000 {
        put(&mut keys, number, &shape.value(&mut random));
        number += 1;
    }
    keys.validate().expect("a sound keyspace");
    keys.stats().keys
}

#[test]
fn more_values_are_held_where_they_repeat_and_no_fewer_where_not() {
    for (name, shape) in Shape::ALL {
        let least = match shape {
            Shape::Customer | Shape::Product | Shape::Session | Shape::Fragment => 1.7,
            Shape::Listing => 1.5,
            Shape::Counter => 1.2,
            Shape::Token | Shape::Noise => 0.97,
        };
        let gain = held(shape, true) as f64 / held(shape, false) as f64;
        println!("{name}: {gain:.2} times as many");
        assert!(gain >= least, "{name}: {gain:.2} times as many");
    }
}

/// A small budget has few segments to spare for what is compressed.
#[test]
fn every_budget_and_policy_comes_to_compress() {
    for (name, policy) in Policy::ALL {
        for (budget, seed) in [(1, 1), (1, 2), (1, 3), (2, 4), (6, 5)] {
            let mut keys =
                Keyspace::new(&options(policy, budget << 20, seed, true)).expect("a keyspace");
            let mut random = Random::new(seed);
            let values: Vec<_> = (0..200).map(|_| Shape::Customer.value(&mut random)).collect();
            for number in 0..4_000 * budget as usize {
                let key = format!("key:{number:08}");
                let value = &values[random.below(values.len())];
                // Where nothing is evicted some are refused in the end.
                let _ = keys.at(START_MS).set(key.as_bytes(), value, &SetOptions::default());
            }
            keys.validate().unwrap_or_else(|broken| panic!("{name}: {broken}"));
            let stats = keys.stats();
            assert!(stats.compressed_keys * 10 > stats.keys * 7, "{name}, {budget} MB: {stats:?}");
        }
    }
}

#[test]
fn what_is_in_use_is_plain_and_everything_comes_back() {
    for (name, policy) in Policy::ALL {
        let mut keys = Keyspace::new(&options(policy, 4 << 20, 3, true)).expect("a keyspace");
        let mut random = Random::new(3);
        let values: Vec<_> = (0..400).map(|_| Shape::Customer.value(&mut random)).collect();
        let hot = 40;
        for number in 0..40_000 {
            let value = &values[number % values.len()];
            let is_evicting = keys.stats().evicted_keys > 0;
            if policy == Policy::NoEviction && number > 5_000 {
                break;
            }
            let _ = keys.at(START_MS).set(
                format!("key:{number:08}").as_bytes(),
                value,
                &SetOptions::default(),
            );
            let used = number % hot;
            if let Some(given) = get(&mut keys, used) {
                assert!(given == values[used], "{name}, {number}, evicting: {is_evicting}");
            }
            let other = random.below(number + 1);
            if let Some(given) = get(&mut keys, other) {
                assert!(given == values[other % values.len()], "{name}, {number}");
            }
        }
        keys.validate().unwrap_or_else(|broken| panic!("{name}: {broken}"));
        let stats = keys.stats();
        println!("{name}: {stats:?}");
        assert!(stats.compressed_keys > 0, "{name}: {stats:?}");
    }
}
