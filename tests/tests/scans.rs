//! The guarantee of SCAN, HSCAN, SSCAN and ZSCAN: what is there from the first call to the last is
//! returned, while everything else is inserted, deleted, made longer, evicted or moved. And the
//! limit of answers that would otherwise never end.
//! Not here: what a scan filters and how it fails, which the transcripts say.

use std::collections::BTreeSet;

use ferrite_engine::{Options, Policy};
use ferrite_tests::answer::Answer;
use ferrite_tests::engine::Engine;
use ferrite_tests::random::Random;
use ferrite_tests::subject::Subject;

const ROUNDS: u64 = 12;

/// How the number of others develops while a scan is under way.
const TRENDS: &[&str] = &["grows", "shrinks", "comes and goes"];

#[test]
fn what_stays_is_returned() {
    for seed in 0..ROUNDS {
        for scan in ["SCAN", "HSCAN", "SSCAN", "ZSCAN"] {
            for trend in TRENDS {
                let mut random = Random::new(seed);
                // From a packed collection that becomes a table, up to one of many pages.
                let others = random.pick(&[5, 60, 600, 6_000]);
                let stays = random.pick(&[1, 40, 900]);
                Scan::new(scan, seed, 64 << 20).run(&mut random, trend, stays, others);
            }
        }
    }
}

/// The collection stays, and so do its members, while all around it is evicted and moved.
#[test]
fn eviction_hides_nothing() {
    for scan in ["HSCAN", "SSCAN", "ZSCAN"] {
        let mut random = Random::new(5);
        let mut scan = Scan::new(scan, 5, 2 << 20);
        scan.presses = true;
        scan.run(&mut random, "comes and goes", 900, 2_000);
        let stats = scan.engine.keys.stats();
        assert!(stats.evicted_keys > 100 && stats.compacted_bytes > 0, "{stats:?}");
    }
}

struct Scan {
    engine: Engine,
    command: &'static str,
    /// Whether strings compete for memory.
    presses: bool,
}

impl Scan {
    fn new(command: &'static str, seed: u64, max_memory_bytes: u64) -> Scan {
        let policy = Policy::VolatileRandom;
        let options = Options { max_memory_bytes, policy, seed, ..Options::default() };
        Scan { engine: Engine::new(&options), command, presses: false }
    }

    fn ask(&mut self, words: &[&str]) -> Answer {
        let words: Vec<Vec<u8>> = words.iter().map(|word| word.as_bytes().to_vec()).collect();
        self.engine.ask(&words)
    }

    /// Inserts an element, or gives it another value, which may be longer.
    fn add(&mut self, name: &str, random: &mut Random) {
        let long = "v".repeat(random.pick(&[1, 20, 300]));
        let number = random.below(1000).to_string();
        let answer = match self.command {
            "SCAN" => self.ask(&["SET", name, &long]),
            "HSCAN" => self.ask(&["HSET", "all", name, &long]),
            "SSCAN" => self.ask(&["SADD", "all", name]),
            _ => self.ask(&["ZADD", "all", &number, name]),
        };
        assert!(!matches!(answer, Answer::Error(_)), "{answer}");
    }

    fn remove(&mut self, name: &str) {
        match self.command {
            "SCAN" => self.ask(&["DEL", name]),
            "HSCAN" => self.ask(&["HDEL", "all", name]),
            "SSCAN" => self.ask(&["SREM", "all", name]),
            _ => self.ask(&["ZREM", "all", name]),
        };
    }

    fn run(&mut self, random: &mut Random, trend: &str, stays: usize, others: usize) {
        let kept: BTreeSet<String> = (0..stays).map(|number| format!("stays:{number}")).collect();
        kept.iter().for_each(|name| self.add(name, random));
        let begin = if trend == "grows" { 0 } else { others };
        (0..begin).for_each(|number| self.add(&format!("other:{number}"), random));
        let (mut seen, mut cursor) = (BTreeSet::new(), "0".to_string());
        loop {
            let (next, names) = self.step(&cursor, random);
            seen.extend(names);
            cursor = next;
            if cursor == "0" {
                break;
            }
            for _ in 0..random.below(others / 4 + 2) {
                let name = format!("other:{}", random.below(others));
                let inserts = match trend {
                    "grows" => !random.one_in(8),
                    "shrinks" => random.one_in(8),
                    _ => random.one_in(2),
                };
                if inserts { self.add(&name, random) } else { self.remove(&name) }
            }
            if self.presses {
                self.press(random);
            }
        }
        let missing: Vec<_> = kept.difference(&seen).take(3).collect();
        let command = self.command;
        assert!(missing.is_empty(), "{command}: {missing:?} not seen, {others} others, {trend}");
        self.engine.keys.validate().expect("a sound keyspace");
    }

    /// One call: the next cursor, and the elements' names.
    fn step(&mut self, cursor: &str, random: &mut Random) -> (String, Vec<String>) {
        let count = random.pick(&["1", "10", "100"]);
        let answer = match self.command {
            "SCAN" => self.ask(&["SCAN", cursor, "COUNT", count]),
            command => self.ask(&[command, "all", cursor, "COUNT", count]),
        };
        let Answer::Array(parts) = &answer else { panic!("a scan answers an array: {answer}") };
        let [Answer::Bulk(next), Answer::Array(items)] = &parts[..] else {
            panic!("a cursor and the elements: {answer}")
        };
        let width = if matches!(self.command, "HSCAN" | "ZSCAN") { 2 } else { 1 };
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("names are ASCII");
        let names = items.iter().step_by(width).map(|item| match item {
            Answer::Bulk(name) => text(name),
            other => panic!("a name, not {other}"),
        });
        (text(next), names.collect())
    }

    /// Strings of several sizes that may be evicted.
    fn press(&mut self, random: &mut Random) {
        for _ in 0..40 {
            let value = "p".repeat(random.pick(&[100, 1_000, 10_000]));
            let name = format!("string:{}", random.below(5_000));
            self.ask(&["SET", &name, &value, "EX", "1000"]);
        }
    }
}

/// Redis goes on until its memory is used up.
#[test]
fn an_answer_has_an_end() {
    let mut scan = Scan::new("SCAN", 1, 1 << 20);
    scan.ask(&["SADD", "set", "a", "b"]);
    scan.ask(&["HSET", "hash", "a", "1", "b", "2"]);
    scan.ask(&["ZADD", "zset", "1", "a", "2", "b"]);
    let refused = Answer::Error("ERR value is out of range, must be at least -16777216".into());
    for count in ["-16777217", "-4294967297", "-4611686018427387903", "-9223372036854775807"] {
        assert_eq!(scan.ask(&["SRANDMEMBER", "set", count]), refused);
        assert_eq!(scan.ask(&["HRANDFIELD", "hash", count]), refused);
        assert_eq!(scan.ask(&["ZRANDMEMBER", "zset", count]), refused);
        // Of nothing there is nothing to repeat.
        for command in ["SRANDMEMBER", "HRANDFIELD", "ZRANDMEMBER"] {
            assert_eq!(scan.ask(&[command, "nothing", count]), Answer::Array(vec![]));
        }
    }
    assert_eq!(scan.ask(&["HRANDFIELD", "hash", "-16777217", "WITHVALUES"]), refused);
    assert_eq!(scan.ask(&["ZRANDMEMBER", "zset", "-16777217", "WITHSCORES"]), refused);
    for command in ["SRANDMEMBER set", "HRANDFIELD hash", "ZRANDMEMBER zset"] {
        let (name, key) = command.split_once(' ').expect("a name and a key");
        let Answer::Array(items) = scan.ask(&[name, key, "-70000"]) else { panic!("an array") };
        assert_eq!(items.len(), 70_000);
    }
}
