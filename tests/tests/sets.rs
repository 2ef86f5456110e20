//! Random operations on sets, with `validate()` as they go: packed, on one page, on many, and
//! back; members of every length; budgets that suffice and that do not. A model made of the
//! standard library's sets follows the effects alone, and must always hold what the engine holds.

use std::collections::{BTreeMap, BTreeSet};

use ferrite_engine::{Options, Policy};
use ferrite_tests::answer::Answer;
use ferrite_tests::engine::{Engine, Words};
use ferrite_tests::random::Random;
use ferrite_tests::subject::Subject;

type Set = BTreeSet<Vec<u8>>;

struct Run {
    engine: Engine,
    sets: BTreeMap<Vec<u8>, Set>,
    random: Random,
    label: String,
}

#[test]
fn sets_hold_what_the_effects_say() {
    for seed in 0..6 {
        let options = Options { max_memory_bytes: 64 << 20, seed, ..Options::default() };
        let run = Run::new(&options).go(3_000);
        assert_eq!(run.engine.keys.stats().evicted_keys, 0);
    }
}

#[test]
fn under_pressure_sets_are_whole_or_gone() {
    for (seed, (name, policy)) in (0..).zip(Policy::ALL) {
        let options = Options { max_memory_bytes: 1 << 20, policy, seed, ..Options::default() };
        let run = Run::new(&options).go(3_000);
        let has_evicted = run.engine.keys.stats().evicted_keys > 0;
        assert_eq!(has_evicted, name.starts_with("allkeys"), "{name}");
    }
}

#[test]
fn a_union_of_many_sets_needs_no_memory() {
    let options = Options { max_memory_bytes: 1 << 20, ..Options::default() };
    for fills_up in [false, true] {
        let mut engine = Engine::new(&options);
        let (mut request, mut expected) = (vec![b"SUNION".to_vec()], Set::new());
        for number in 0..40 {
            let name = format!("set:{number}").into_bytes();
            let members: Set =
                (0..50).map(|i| format!("member:{}", number * 20 + i).into_bytes()).collect();
            let words = [b"SADD".to_vec(), name.clone()].into_iter().chain(members.clone());
            engine.ask(&words.collect::<Vec<_>>());
            request.push(name);
            expected.extend(members);
        }
        for number in 0.. {
            let words = [b"SET".to_vec(), format!("fill:{number}").into_bytes(), vec![b'x'; 1000]];
            if !fills_up || matches!(engine.ask(&words), Answer::Error(_)) {
                break;
            }
        }
        let expected = expected.iter().map(|member| Answer::bulk(member)).collect();
        let given = engine.ask(&request);
        assert!(Answer::Unordered(expected).accepts(&given), "{given}");
        engine.keys.validate().expect("a sound keyspace");
    }
}

/// Packed sets and large ones, some missing, some named twice; few members and more than are put
/// side by side; with memory for that and, the keyspace being full, without.
#[test]
fn sets_are_combined_as_the_model_combines_them() {
    for (round, (members_max, budget_bytes)) in (0..).zip([
        (12, 8 << 20),
        (60, 8 << 20),
        (800, 8 << 20),
        (12_000, 32 << 20),
        (800, 1 << 20),
    ]) {
        let options = Options { max_memory_bytes: budget_bytes, ..Options::default() };
        let (mut engine, mut random) = (Engine::new(&options), Random::new(round));
        let mut sets = BTreeMap::new();
        for number in 0..8 {
            let size = if number == 0 { members_max } else { random.below(members_max) };
            let range = (0..size).map(|_| random.below(2 * members_max));
            let set: Set = range.map(member_of).collect();
            let name = format!("set:{number}").into_bytes();
            for members in set.iter().collect::<Vec<_>>().chunks(1_000) {
                let words = [b"SADD".to_vec(), name.clone()].into_iter();
                engine.ask(&words.chain(members.iter().copied().cloned()).collect::<Vec<_>>());
            }
            sets.insert(name, set);
        }
        let is_full = budget_bytes == 1 << 20;
        let mut fill = vec![b"SET".to_vec(), vec![], vec![b'x'; 1000]];
        for number in (0..).take_while(|_| is_full) {
            fill[1] = format!("fill:{number}").into_bytes();
            if matches!(engine.ask(&fill), Answer::Error(_)) {
                break;
            }
        }
        for _ in 0..if members_max > 1_000 { 20 } else { 300 } {
            let count = 1 + random.below(5);
            let names: Vec<_> =
                (0..count).map(|_| format!("set:{}", random.below(10)).into_bytes()).collect();
            let parts: Vec<_> =
                names.iter().map(|name| sets.get(name).cloned().unwrap_or_default()).collect();
            let (first, others) = parts.split_first().expect("at least one");
            let common = others.iter().fold(first.clone(), |set, other| &set & other);
            let counted = [b"SINTERCARD".to_vec(), count.to_string().into_bytes()];
            let given = engine.ask(&counted.into_iter().chain(names.clone()).collect::<Vec<_>>());
            assert_eq!(given, Answer::Integer(common.len() as i64), "SINTERCARD in round {round}");
            let expected: [(&str, Set); 3] = [
                ("SUNION", parts.iter().flatten().cloned().collect()),
                ("SINTER", common),
                ("SDIFF", others.iter().fold(first.clone(), |set, other| &set - other)),
            ];
            for (command, expected) in expected {
                let request = [command.as_bytes().to_vec()].into_iter().chain(names.clone());
                let given = engine.ask(&request.collect::<Vec<_>>());
                let expected = expected.iter().map(|member| Answer::bulk(member)).collect();
                let expected = Answer::Unordered(expected);
                assert!(expected.accepts(&given), "{command} in round {round}");
                if is_full {
                    continue;
                }
                let store = [format!("{command}STORE").into_bytes(), b"stored".to_vec()];
                engine.ask(&store.into_iter().chain(names.clone()).collect::<Vec<_>>());
                let stored = engine.ask(&["SMEMBERS", "stored"].map(Into::into));
                assert!(expected.accepts(&stored), "{command}STORE in round {round}");
                engine.keys.validate().expect("a sound keyspace");
            }
        }
        engine.keys.validate().expect("a sound keyspace");
    }
}

/// The name of a number: some are short, some stand on pages of their own.
fn member_of(number: usize) -> Vec<u8> {
    let mut member = number.to_string().into_bytes();
    if number % 50 == 7 {
        member.resize(600, b'-');
    }
    member
}

impl Run {
    fn new(options: &Options) -> Run {
        let label = format!("seed {}, {:?}", options.seed, options.policy);
        let random = Random::new(options.seed);
        Run { engine: Engine::new(options), sets: BTreeMap::new(), random, label }
    }

    fn go(mut self, steps: usize) -> Run {
        for step in 0..steps {
            // Now and then one key has all the attention, so that it grows.
            let keys = if step / 500 % 2 == 0 { 3 } else { 40 };
            let request = self.request(keys, step);
            let before = self.sets.clone();
            let answer = self.engine.ask(&request);
            let shown: Vec<_> =
                request.iter().take(4).map(|word| String::from_utf8_lossy(word)).collect();
            let at = format!("{}, step {step}: {shown:.60?}", self.label);
            self.follow(&at);
            self.check(&at, &request, &answer, &before);
            if step % 4 == 0 {
                self.engine.keys.validate().unwrap_or_else(|broken| panic!("{at}: {broken}"));
            }
        }
        let names: Vec<_> = self.sets.keys().cloned().collect();
        for name in names {
            self.engine.ask(&[b"DEL".to_vec(), name]);
        }
        while self.engine.tick(1) > 0 {}
        self.engine.keys.validate().expect("a sound keyspace");
        self
    }

    fn key(&mut self, keys: usize) -> Vec<u8> {
        format!("set:{}", self.random.below(keys)).into_bytes()
    }

    fn member(&mut self) -> Vec<u8> {
        let number = self.random.below(400);
        let mut member = format!("member:{number}").into_bytes();
        // The number alone decides how long it is.
        let len = match number % 40 {
            0 => 249 + number / 40,
            1 => 505 + number / 40 * 2,
            2 => 4_080 + number / 40 * 3,
            3 => 9_000,
            _ => member.len(),
        };
        member.resize(len, b'x');
        member
    }

    fn request(&mut self, keys: usize, step: usize) -> Words {
        let words = |name: &str, rest: Vec<Vec<u8>>| -> Words {
            std::iter::once(name.as_bytes().to_vec()).chain(rest).collect()
        };
        let is_growing = (step / 250).is_multiple_of(2);
        let key = self.key(keys);
        match self.random.below(20) {
            0..10 if is_growing => {
                let count = 1 + self.random.below(12);
                let members = (0..count).map(|_| self.member());
                words("SADD", std::iter::once(key).chain(members).collect())
            }
            0..10 => {
                let count = 1 + self.random.below(12);
                let members = (0..count).map(|_| self.member());
                words("SREM", std::iter::once(key).chain(members).collect())
            }
            10 => words("SPOP", vec![key, self.random.below(30).to_string().into_bytes()]),
            11 => words("SMOVE", vec![key, self.key(keys), self.member()]),
            12 => words("SUNIONSTORE", vec![key, self.key(keys), self.key(keys)]),
            13 => words("SINTERSTORE", vec![key, self.key(keys), self.key(keys)]),
            14 => words("SDIFFSTORE", vec![key, self.key(keys), self.key(keys)]),
            15 => words("SINTER", vec![key, self.key(keys)]),
            16 => words("SUNION", vec![key, self.key(keys), self.key(keys)]),
            17 => words("SRANDMEMBER", vec![key, self.random.below(40).to_string().into_bytes()]),
            18 => words("SISMEMBER", vec![key, self.member()]),
            _ => words("SMEMBERS", vec![key]),
        }
    }

    fn follow(&mut self, at: &str) {
        for effect in self.engine.take_effects() {
            let key = &effect[1];
            match &effect[0][..] {
                b"SADD" => {
                    assert!(self.sets.entry(key.clone()).or_default().insert(effect[2].clone()));
                }
                b"SREM" => {
                    let set = self.sets.get_mut(key).expect("a set to take from");
                    assert!(set.remove(&effect[2]), "{at}: it was there");
                    if set.is_empty() {
                        self.sets.remove(key);
                    }
                }
                b"DEL" => drop(self.sets.remove(key)),
                other => panic!("{at}: {}", String::from_utf8_lossy(other)),
            }
        }
    }

    /// What the engine says against what the model has, for the request and for a key.
    fn check(
        &mut self,
        at: &str,
        request: &Words,
        answer: &Answer,
        before: &BTreeMap<Vec<u8>, Set>,
    ) {
        if matches!(answer, Answer::Error(_)) {
            assert!(self.label.contains("NoEviction") || self.label.contains("Volatile"), "{at}");
        }
        let empty = Set::new();
        let set = |position: usize| before.get(&request[position]).unwrap_or(&empty);
        let expected = match &request[0][..] {
            b"SINTER" => Some(set(1).intersection(set(2)).cloned().collect()),
            b"SUNION" => Some(set(1) | &(set(2) | set(3))),
            b"SMEMBERS" => Some(set(1).clone()),
            b"SISMEMBER" => {
                assert_eq!(*answer, Answer::Integer(set(1).contains(&request[2]).into()), "{at}");
                None
            }
            b"SRANDMEMBER" => {
                let Answer::Array(items) = answer else { panic!("{at}: {answer}") };
                let count: usize = String::from_utf8_lossy(&request[2]).parse().expect("a count");
                let chosen = members(answer);
                assert_eq!(chosen.len(), items.len(), "{at}: no member twice");
                assert_eq!(chosen.len(), count.min(set(1).len()), "{at}");
                assert!(chosen.is_subset(set(1)), "{at}");
                None
            }
            _ => None,
        };
        if let Some(expected) = expected {
            assert!(members(answer) == expected, "{at}");
        }
        let name = &request[1];
        let now = self.engine.ask(&[b"SMEMBERS".to_vec(), name.clone()]);
        assert!(members(&now) == *self.sets.get(name).unwrap_or(&empty), "{at}: the members");
        let count = self.engine.ask(&[b"SCARD".to_vec(), name.clone()]);
        assert_eq!(count, Answer::Integer(members(&now).len() as i64), "{at}");
        self.engine.take_effects();
    }
}

fn members(answer: &Answer) -> Set {
    let Answer::Array(items) = answer else { panic!("an array, not {answer}") };
    let members = items.iter().map(|item| match item {
        Answer::Bulk(member) => member.clone(),
        other => panic!("a member, not {other}"),
    });
    members.collect()
}
