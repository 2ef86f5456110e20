//! Random operations on lists against `VecDeque`, with `validate()` after every step: under every
//! policy, in budgets that are soon used up, with elements from nothing to several pages.
//! A write that memory is refused for must have changed nothing; the effects tell what was evicted.
//! `FERRITE_LIST_ROUNDS` asks for longer runs than CI takes, `FERRITE_LIST_SEED` for others.

use std::collections::{BTreeMap, VecDeque};
use std::env;

use ferrite_engine::{Options, Policy};
use ferrite_tests::answer::{Answer, request_text};
use ferrite_tests::engine::{Engine, Words};
use ferrite_tests::random::Random;
use ferrite_tests::subject::Subject;

type Element = Vec<u8>;
type List = VecDeque<Element>;

/// How long elements are, and how many a push adds at most; a run goes through all of them.
const PHASES: &[(&[usize], usize)] = &[
    (&[0, 1, 8, 16], 60),
    (&[3, 100, 249, 250, 251, 252, 253, 254, 255, 512, 513], 12),
    (&[16], 400),
    (&[5, 600, 9_000, 40_000], 4),
    (&[0, 2, 16], 200),
];
const LISTS: usize = 5;

struct Run {
    engine: Engine,
    lists: BTreeMap<Vec<u8>, List>,
    random: Random,
    label: String,
    refusals: usize,
}

#[test]
fn lists_agree_with_the_model_under_every_policy() {
    let rounds = asked_for("FERRITE_LIST_ROUNDS", 1);
    let mut refusals = 0;
    for seed in 0..rounds {
        for (_, policy) in Policy::ALL {
            for max_memory_bytes in [1 << 20, 2 << 20, 64 << 20] {
                let run = Run::new(policy, max_memory_bytes, seed).go(250);
                assert!(max_memory_bytes < 64 << 20 || run.refusals == 0, "{}", run.label);
                refusals += run.refusals;
            }
        }
    }
    assert!(refusals > 50, "a run in which memory is never refused shows little: {refusals}");
}

/// A million elements, pushed and popped at both ends, cut, searched and edited.
#[test]
fn a_large_list_keeps_its_elements() {
    let options = Options { max_memory_bytes: 64 << 20, ..Options::default() };
    let (mut engine, mut list) = (Engine::new(&options), List::new());
    for first in (0..1_000_000).step_by(1_000) {
        let elements: Vec<Element> =
            (first..first + 1_000).map(|number| format!("element {number:08}").into()).collect();
        let mut request = vec![b"RPUSH".to_vec(), b"list".to_vec()];
        request.extend(elements.iter().cloned());
        list.extend(elements);
        assert_eq!(engine.ask(&request), Answer::Integer(list.len() as i64));
    }
    let overhead = engine.keys.stats().used_memory_dataset as f64 / list.len() as f64 - 16.0;
    assert!(overhead <= 4.0, "{overhead} bytes of overhead a member");
    assert_eq!(engine.ask(&words(&["LRANGE", "list", "0", "-1"])), array(list.iter()));
    for index in [0, 1, 499_999, 777_777, 999_998, 999_999] {
        let answer = engine.ask(&words(&["LINDEX", "list", &index.to_string()]));
        assert_eq!(answer, Answer::bulk(&list[index]));
    }
    list[600_000] = vec![b'x'; 700];
    let long = vec![b'x'; 700];
    engine.ask(&[b"LSET".to_vec(), b"list".to_vec(), b"600000".to_vec(), long]);
    engine.ask(&words(&["LTRIM", "list", "300000", "-2"]));
    list.pop_back();
    list.drain(..300_000);
    engine.keys.validate().expect("a sound keyspace");
    engine.ask(&words(&["LTRIM", "list", "-650000", "300049"]));
    list.truncate(300_050);
    list.drain(..list.len() - 300_050 + 49_999);
    engine.keys.validate().expect("a sound keyspace");
    assert_eq!(engine.ask(&words(&["LRANGE", "list", "0", "-1"])), array(list.iter()));
    let popped = engine.ask(&words(&["LPOP", "list", "9223372036854775807"]));
    assert_eq!(popped, array(list.iter()));
    engine.keys.validate().expect("a sound keyspace");
    assert_eq!(engine.keys.stats().keys, 0);
}

impl Run {
    fn new(policy: Policy, max_memory_bytes: u64, seed: u64) -> Run {
        let seed = seed + asked_for("FERRITE_LIST_SEED", 0);
        let options = Options { max_memory_bytes, policy, seed, ..Options::default() };
        let label = format!("seed {seed}, {policy:?}, {max_memory_bytes} bytes");
        let (engine, random) = (Engine::new(&options), Random::new(seed));
        Run { engine, lists: BTreeMap::new(), random, label, refusals: 0 }
    }

    fn go(mut self, phase_steps: usize) -> Run {
        for (phase, &(sizes, pushed_max)) in PHASES.iter().enumerate() {
            for step in 0..phase_steps {
                let request = self.request(sizes, pushed_max);
                let at = format!(
                    "{}, phase {phase}, step {step}: {:.200}",
                    self.label,
                    request_text(&request)
                );
                self.step(&request, &at);
            }
            for (key, list) in self.lists.clone() {
                let request = [b"LRANGE".to_vec(), key, b"0".to_vec(), b"-1".to_vec()];
                assert!(self.engine.ask(&request) == array(list.iter()), "{}", self.label);
            }
        }
        self
    }

    fn step(&mut self, request: &Words, at: &str) {
        let given = self.engine.ask(request);
        let effects = self.engine.take_effects();
        if let Err(broken) = self.engine.keys.validate() {
            panic!("{at}: {broken}");
        }
        let is_eviction = |effect: &&Words| effect[0] == b"DEL" && request[0] != b"DEL";
        let before = effects.iter().take_while(is_eviction).count();
        let (before, after) = effects.split_at(before);
        before.iter().for_each(|effect| drop(self.lists.remove(&effect[1])));
        if matches!(&given, Answer::Error(text) if text.starts_with("OOM ")) {
            self.refusals += 1;
            assert!(after.is_empty(), "{at}: refused, yet {:?}", after[0]);
        } else {
            let expected = self.expected(request);
            assert!(expected == given, "{at}\n  model  {expected:.300}\n  engine {given:.300}");
        }
        let evicted = after.iter().filter(is_eviction);
        evicted.for_each(|effect| drop(self.lists.remove(&effect[1])));
        for key in [request.get(1), request.get(2)].into_iter().flatten() {
            let asked = self.engine.ask(&[b"LLEN".to_vec(), key.clone()]);
            if !key.starts_with(b"filler") {
                let len = self.lists.get(key).map_or(0, List::len);
                assert_eq!(asked, Answer::Integer(len as i64), "{at}");
            }
        }
    }

    fn key(&mut self) -> Vec<u8> {
        format!("list:{}", self.random.below(LISTS)).into()
    }

    fn element(&mut self, sizes: &[usize]) -> Element {
        vec![b'a' + self.random.below(4) as u8; self.random.pick(sizes)]
    }

    fn number(&mut self, key: &[u8]) -> Vec<u8> {
        let len = self.lists.get(key).map_or(0, List::len);
        let number = match self.random.below(12) {
            0 => self.random.pick(&[i64::MAX, i64::MIN + 1, 0, -1, 1]),
            1..4 => self.random.below(4) as i64 - 2,
            _ => self.random.below(2 * len + 2) as i64 - len as i64 - 1,
        };
        number.to_string().into()
    }

    fn request(&mut self, sizes: &[usize], pushed_max: usize) -> Words {
        let key = self.key();
        let mut words: Words = Vec::new();
        let mut with = |name: &str, rest: Vec<Vec<u8>>| {
            words.push(name.into());
            words.push(key.clone());
            words.extend(rest);
        };
        match self.random.below(100) {
            0..34 => {
                let name = self.random.pick(&["LPUSH", "RPUSH", "LPUSH", "RPUSH", "RPUSHX"]);
                let count = 1 + self.random.below(pushed_max);
                with(name, (0..count).map(|_| self.element(sizes)).collect());
            }
            34..44 => with(self.random.pick(&["LPOP", "RPOP"]), Vec::new()),
            44..49 => {
                let count = self.random.pick(&["0", "1", "7", "50", "300", "9223372036854775807"]);
                with(self.random.pick(&["LPOP", "RPOP"]), vec![count.into()]);
            }
            49..54 => with("LINDEX", vec![self.number(&key)]),
            54..59 => with("LRANGE", vec![self.number(&key), self.number(&key)]),
            59..66 => with("LSET", vec![self.number(&key), self.element(sizes)]),
            66..76 => {
                let word = self.random.pick(&["BEFORE", "AFTER"]);
                with("LINSERT", vec![word.into(), self.element(sizes), self.element(sizes)]);
            }
            76..82 => {
                let count = self.random.pick(&["0", "1", "-1", "3", "-3", "40", "-40"]);
                with("LREM", vec![count.into(), self.element(sizes)]);
            }
            82..85 => with("LTRIM", vec![self.number(&key), self.number(&key)]),
            85..88 => {
                let rank = self.random.pick(&["1", "2", "-1", "-2", "9"]);
                let element = self.element(sizes);
                with("LPOS", ["", "RANK", rank, "COUNT", "5"].map(Into::into).to_vec());
                words[2] = element;
            }
            88..94 => {
                let other = self.key();
                let sides = [0, 1].map(|_| self.random.pick(&["LEFT", "RIGHT"]).into());
                with("LMOVE", [vec![other], sides.to_vec()].concat());
            }
            94..96 => with("PEXPIRE", vec![b"1000000000".to_vec()]),
            96 => with("DEL", Vec::new()),
            97 => {
                let other = self.key();
                match self.random.one_in(2) {
                    true => with("COPY", vec![other, b"REPLACE".to_vec()]),
                    false => with("RENAME", vec![other]),
                }
            }
            _ => {
                with("SET", vec![vec![b'f'; self.random.below(20_000)]]);
                words[1] = format!("filler:{}", self.random.below(60)).into();
            }
        }
        words
    }

    /// What the model answers, and becomes.
    fn expected(&mut self, request: &Words) -> Answer {
        let (name, key) = (String::from_utf8_lossy(&request[0]), &request[1]);
        let was_there = self.lists.contains_key(key);
        let mut list = self.lists.remove(key).unwrap_or_default();
        let rest = &request[2..];
        let answer = match &*name {
            "SET" => Answer::ok(),
            "DEL" | "PEXPIRE" => {
                if &*name == "DEL" {
                    list.clear();
                }
                Answer::Integer(was_there.into())
            }
            "COPY" | "RENAME" => {
                let is_same = *key == request[2];
                let is_copy = &*name == "COPY";
                self.lists.extend(
                    (was_there && (is_copy || is_same)).then(|| (key.clone(), list.clone())),
                );
                return match (was_there, is_same, is_copy) {
                    (_, true, true) => {
                        Answer::Error("ERR source and destination objects are the same".into())
                    }
                    (false, _, true) => Answer::Integer(0),
                    (false, _, false) => Answer::Error("ERR no such key".into()),
                    _ => {
                        self.lists.insert(request[2].clone(), list);
                        if is_copy { Answer::Integer(1) } else { Answer::ok() }
                    }
                };
            }
            "LMOVE" => {
                self.lists.extend(was_there.then(|| (key.clone(), list)));
                return self.expected_move(request);
            }
            _ => reply(&name, &mut list, was_there, rest),
        };
        if !list.is_empty() {
            self.lists.insert(key.clone(), list);
        }
        answer
    }

    fn expected_move(&mut self, request: &Words) -> Answer {
        let Some(source) = self.lists.get_mut(&request[1]) else { return Answer::Null };
        let is_left = |word: &[u8]| word == b"LEFT";
        let element = if is_left(&request[3]) { source.pop_front() } else { source.pop_back() };
        let element = element.expect("no list is empty");
        let target = self.lists.entry(request[2].clone()).or_default();
        match is_left(&request[4]) {
            true => target.push_front(element.clone()),
            false => target.push_back(element.clone()),
        }
        self.lists.retain(|_, list| !list.is_empty());
        Answer::Bulk(element)
    }
}

/// What a list answers, and becomes.
fn reply(name: &str, list: &mut List, was_there: bool, rest: &[Vec<u8>]) -> Answer {
    let number = |at: usize| -> i64 { String::from_utf8_lossy(&rest[at]).parse().expect("number") };
    let len = list.len() as i64;
    match name {
        "RPUSHX" if !was_there => Answer::Integer(0),
        "LPUSH" | "RPUSH" | "RPUSHX" => {
            let is_left = name == "LPUSH";
            rest.iter().cloned().for_each(|element| {
                if is_left { list.push_front(element) } else { list.push_back(element) }
            });
            Answer::Integer(list.len() as i64)
        }
        "LPOP" | "RPOP" => {
            let mut pop = || if name == "LPOP" { list.pop_front() } else { list.pop_back() };
            match rest.is_empty() {
                _ if !was_there => Answer::Null,
                true => Answer::Bulk(pop().expect("an element")),
                false => {
                    let count = number(0).min(len);
                    let popped: Vec<_> = (0..count).filter_map(|_| pop()).collect();
                    array(popped.iter())
                }
            }
        }
        _ => looked_up(name, list, was_there, rest),
    }
}

/// What a list answers to the commands that name a place or an element in it, and becomes.
fn looked_up(name: &str, list: &mut List, was_there: bool, rest: &[Vec<u8>]) -> Answer {
    let number = |at: usize| -> i64 { String::from_utf8_lossy(&rest[at]).parse().expect("number") };
    let len = list.len() as i64;
    let place = |index: i64| if index < 0 { index.saturating_add(len) } else { index };
    let range = |from: i64, to: i64| {
        let (from, to) = (place(from).max(0), place(to).min(len - 1));
        if from > to { 0..0 } else { from as usize..to as usize + 1 }
    };
    match name {
        "LINDEX" => {
            let place = usize::try_from(place(number(0)));
            let element = place.ok().and_then(|place| list.get(place));
            element.map_or(Answer::Null, |element| Answer::bulk(element))
        }
        "LRANGE" => array(list.range(range(number(0), number(1)))),
        "LSET" if !was_there => Answer::Error("ERR no such key".into()),
        "LSET" => match usize::try_from(place(number(0))).ok().and_then(|at| list.get_mut(at)) {
            Some(element) => {
                element.clone_from(&rest[1]);
                Answer::ok()
            }
            None => Answer::Error("ERR index out of range".into()),
        },
        "LINSERT" => match list.iter().position(|element| *element == rest[1]) {
            _ if !was_there => Answer::Integer(0),
            None => Answer::Integer(-1),
            Some(at) => {
                list.insert(at + usize::from(rest[0] == b"AFTER"), rest[2].clone());
                Answer::Integer(len + 1)
            }
        },
        "LREM" => {
            let (count, element) = (number(0), &rest[1]);
            let mut left = if count == 0 { i64::MAX } else { count.abs() };
            let mut kept: List = List::new();
            for _ in 0..len {
                let next = if count < 0 { list.pop_back() } else { list.pop_front() };
                let next = next.expect("an element");
                if next == *element && left > 0 {
                    left -= 1;
                } else if count < 0 {
                    kept.push_front(next);
                } else {
                    kept.push_back(next);
                }
            }
            *list = kept;
            Answer::Integer(len - list.len() as i64)
        }
        "LTRIM" => {
            *list = list.range(range(number(0), number(1))).cloned().collect();
            Answer::ok()
        }
        "LPOS" => {
            let (rank, count) = (number(2), number(4) as usize);
            let mut found: Vec<i64> = (0..len).filter(|&at| list[at as usize] == rest[0]).collect();
            if rank < 0 {
                found.reverse();
            }
            let skipped = rank.unsigned_abs() as usize - 1;
            Answer::Array(
                found.into_iter().skip(skipped).take(count).map(Answer::Integer).collect(),
            )
        }
        _ => panic!("the model does not know {name}"),
    }
}

fn array<'a>(elements: impl Iterator<Item = &'a Element>) -> Answer {
    Answer::Array(elements.map(|element| Answer::bulk(element)).collect())
}

fn words(request: &[&str]) -> Words {
    request.iter().map(|&word| word.into()).collect()
}

/// A number from the environment.
fn asked_for(name: &str, otherwise: u64) -> u64 {
    env::var(name).map_or(otherwise, |text| text.parse().expect(name))
}
