//! Random operations on sorted sets, with `validate()` as they go: packed, in trees of one node and
//! of many, and back; members of every length, with fronts in common, with the same scores; budgets
//! that suffice and that do not. A naive model, a sorted list a key, answers the same requests;
//! under pressure another that follows the effects alone must hold what the engine holds.

use std::collections::BTreeMap;

use ferrite_engine::{Options, Policy};
use ferrite_tests::answer::{Answer, request_text};
use ferrite_tests::engine::{Engine, Words};
use ferrite_tests::random::Random;
use ferrite_tests::subject::Subject;

/// Members and scores in order.
type Members = Vec<(Vec<u8>, f64)>;
type Model = BTreeMap<Vec<u8>, Members>;

const MEMBERS: usize = 900;
const SCORES: &[f64] = &[0.0, 1.0, 2.0, 2.5, -3.0, 1e17, 0.1, f64::INFINITY, f64::NEG_INFINITY];

struct Run {
    engine: Engine,
    model: Model,
    random: Random,
    label: String,
    has_pressure: bool,
}

#[test]
fn sorted_sets_agree_with_a_sorted_list() {
    for seed in 0..4 {
        let options = Options { max_memory_bytes: 64 << 20, seed, ..Options::default() };
        let run = Run::new(&options, false).go(2_500);
        assert_eq!(run.engine.keys.stats().evicted_keys, 0);
    }
}

#[test]
fn under_pressure_sorted_sets_are_whole_or_gone() {
    for (seed, (name, policy)) in (0..).zip(Policy::ALL) {
        let options = Options { max_memory_bytes: 1 << 20, policy, seed, ..Options::default() };
        let run = Run::new(&options, true).go(2_500);
        let has_evicted = run.engine.keys.stats().evicted_keys > 0;
        assert_eq!(has_evicted, name.starts_with("allkeys"), "{name}");
    }
}

/// Trees of several levels, grown at either end and in the middle, and taken apart in as many ways.
#[test]
fn trees_grow_and_shrink_in_every_order() {
    const COUNT: usize = 12_000;
    for (seed, order) in (0..).zip(["up", "down", "random", "inward"]) {
        let mut engine = Engine::new(&Options { seed, ..Options::default() });
        let mut random = Random::new(seed);
        let numbers = ordered(order, COUNT, &mut random);
        for (step, number) in numbers.iter().enumerate() {
            let answer = engine.ask(&words(&format!("ZADD z {} member:{number}", number / 3)));
            assert_eq!(answer, Answer::Integer(1), "{order}: {number}");
            if step % 1_000 == 0 {
                engine.keys.validate().unwrap_or_else(|broken| panic!("{order}: {broken}"));
            }
        }
        let mut expected: Members =
            (0..COUNT).map(|n| (format!("member:{n}").into_bytes(), (n / 3) as f64)).collect();
        expected.sort_by(compare);
        for rank in (0..COUNT).step_by(97) {
            let answer = engine.ask(&words(&format!("ZRANGE z {rank} {rank} WITHSCORES")));
            assert_eq!(pairs(&answer), expected[rank..=rank], "{order}: {rank}");
        }
        let leaving = ["random", "inward", "up", "down"][seed as usize];
        for (step, number) in ordered(leaving, COUNT, &mut random).iter().enumerate() {
            let answer = engine.ask(&words(&format!("ZREM z member:{number}")));
            assert_eq!(answer, Answer::Integer(1), "{leaving}: {number}");
            if step % 1_000 == 0 {
                engine.keys.validate().unwrap_or_else(|broken| panic!("{leaving}: {broken}"));
            }
        }
        assert_eq!(engine.keys.stats().keys, 0);
        while engine.tick(1) > 0 {}
        engine.keys.validate().expect("a sound keyspace");
    }
}

fn ordered(order: &str, count: usize, random: &mut Random) -> Vec<usize> {
    let mut numbers: Vec<usize> = (0..count).collect();
    match order {
        "down" => numbers.reverse(),
        "random" => (1..count).for_each(|last| numbers.swap(last, random.below(last + 1))),
        "inward" => {
            let flip = |n: usize| if n.is_multiple_of(2) { n / 2 } else { count - 1 - n / 2 };
            numbers.iter_mut().for_each(|number| *number = flip(*number));
        }
        _ => {}
    }
    numbers
}

fn words(text: &str) -> Words {
    text.split(' ').map(Into::into).collect()
}

fn compare(a: &(Vec<u8>, f64), b: &(Vec<u8>, f64)) -> std::cmp::Ordering {
    a.1.total_cmp(&b.1).then_with(|| a.0.cmp(&b.0))
}

fn number(word: &[u8]) -> f64 {
    String::from_utf8_lossy(word).parse().expect("a number")
}

fn text(score: f64) -> Vec<u8> {
    format!("{score}").into_bytes()
}

impl Run {
    fn new(options: &Options, has_pressure: bool) -> Run {
        let label = format!("seed {}, {:?}", options.seed, options.policy);
        let random = Random::new(options.seed);
        Run { engine: Engine::new(options), model: Model::new(), random, label, has_pressure }
    }

    fn go(mut self, steps: usize) -> Run {
        let mut grown = 0;
        for step in 0..steps {
            // Now and then one key has all the attention, so that it grows.
            let keys = if step / 400 % 2 == 0 { 3 } else { 30 };
            let request = self.request(keys, step);
            let shown: String = request_text(&request).chars().take(120).collect();
            let at = format!("{}, step {step}: {shown}", self.label);
            let answer = self.engine.ask(&request);
            let refused = matches!(&answer, Answer::Error(text) if text.starts_with("OOM "));
            assert!(!refused || self.has_pressure, "{at}: {answer}");
            let is_small = matches!(&answer, Answer::Error(_)) && !refused;
            assert!(!is_small, "{at}: {answer}");
            if !refused {
                let before = self.model.clone();
                self.check(&at, &request, &answer, &before);
            }
            self.follow(&at);
            self.compare(&at, &request[1]);
            self.engine.keys.validate().unwrap_or_else(|broken| panic!("{at}: {broken}"));
            grown = grown.max(self.model.values().map(Vec::len).max().unwrap_or_default());
        }
        assert!(grown > 150, "{}: no sorted set grew", self.label);
        for name in self.model.keys() {
            self.engine.ask(&[b"DEL".to_vec(), name.clone()]);
        }
        while self.engine.tick(1) > 0 {}
        self.engine.keys.validate().expect("a sound keyspace");
        self
    }

    fn key(&mut self, keys: usize) -> Vec<u8> {
        format!("z:{}", self.random.below(keys)).into_bytes()
    }

    /// A member that suits a key: those of some keys have a long front in common, so that a branch
    /// cannot hold what tells them apart.
    fn member(&mut self, key: &[u8]) -> Vec<u8> {
        let number = self.random.below(MEMBERS);
        let front = if key.ends_with(b"1") { "front ".repeat(30) } else { String::new() };
        let mut member = format!("{front}{number}").into_bytes();
        // The number alone decides how long it is.
        let len = match number % 60 {
            0 => 249 + number / 60,
            1 => 505 + number / 60,
            2 => 4_080 + number / 60 * 3,
            _ => member.len(),
        };
        member.resize(len, b'x');
        member
    }

    fn score(&mut self) -> f64 {
        match self.random.below(3) {
            0 => self.random.pick(SCORES),
            1 => self.random.below(20) as f64,
            _ => self.random.below(1_000_000) as f64 / 7.0,
        }
    }

    fn rank(&mut self) -> Vec<u8> {
        (self.random.below(700) as i64 - 350).to_string().into_bytes()
    }

    fn count(&mut self) -> Vec<u8> {
        self.random.below(40).to_string().into_bytes()
    }

    fn request(&mut self, keys: usize, step: usize) -> Words {
        let key = self.key(keys);
        let is_growing = (step / 200).is_multiple_of(2);
        // While they grow, half of what would shrink them adds instead.
        let choice = self.random.below(24);
        let choice = if is_growing && choice < 16 && self.random.one_in(2) { 0 } else { choice };
        let (name, rest) = match choice {
            0..9 if is_growing => ("ZADD", self.additions(&key)),
            0..7 => {
                let count = 1 + self.random.below(14);
                ("ZREM", (0..count).map(|_| self.member(&key)).collect())
            }
            7..9 => ("ZINCRBY", vec![b"1.5".to_vec(), self.member(&key)]),
            9..16 => self.change(keys),
            _ => self.question(&key),
        };
        [name.as_bytes().to_vec(), key].into_iter().chain(rest).collect()
    }

    fn additions(&mut self, key: &[u8]) -> Words {
        let mut words = Words::new();
        for _ in 0..1 + self.random.below(30) {
            // Some keys have the same score for all.
            let score = if key.ends_with(b"1") { 7.0 } else { self.score() };
            words.extend([text(score), self.member(key)]);
        }
        words
    }

    /// What takes many members out, or makes a sorted set of others.
    fn change(&mut self, keys: usize) -> (&'static str, Words) {
        match self.random.below(7) {
            0 => {
                let first = self.count();
                ("ZREMRANGEBYRANK", vec![first.clone(), first])
            }
            1 => ("ZREMRANGEBYSCORE", vec![b"3".to_vec(), b"5".to_vec()]),
            2 => ("ZPOPMIN", vec![self.count()]),
            3 => ("ZPOPMAX", vec![self.count()]),
            4 => ("ZRANGESTORE", vec![self.key(keys), self.rank(), self.rank()]),
            _ => {
                let name = self.random.pick(&["ZUNIONSTORE", "ZINTERSTORE", "ZDIFFSTORE"]);
                (name, vec![b"2".to_vec(), self.key(keys), self.key(keys)])
            }
        }
    }

    fn question(&mut self, key: &[u8]) -> (&'static str, Words) {
        let (a, b) = (self.score(), self.score());
        match self.random.below(7) {
            0 => ("ZRANGE", vec![self.rank(), self.rank()]),
            1 => ("ZREVRANGE", vec![self.rank(), self.rank()]),
            2 => ("ZCOUNT", vec![text(a.min(b)), text(a.max(b))]),
            3 => ("ZREVRANGEBYSCORE", vec![text(a.max(b)), text(a.min(b))]),
            4 => ("ZSCORE", vec![self.member(key)]),
            5 => ("ZRANDMEMBER", vec![self.count()]),
            _ => ("ZRANK", vec![self.member(key)]),
        }
    }

    /// What the effects say.
    fn follow(&mut self, at: &str) {
        for effect in self.engine.take_effects() {
            let key = &effect[1];
            let set = self.model.entry(key.clone()).or_default();
            match &effect[0][..] {
                b"ZADD" => put(set, &effect[3], number(&effect[2])),
                b"ZREM" => {
                    let len = set.len();
                    set.retain(|(member, _)| *member != effect[2]);
                    assert_eq!(set.len() + 1, len, "{at}: it was there");
                }
                b"ZREMRANGEBYRANK" => {
                    let (first, last) = (number(&effect[2]) as usize, number(&effect[3]) as usize);
                    set.drain(first..=last);
                }
                b"DEL" => set.clear(),
                other => panic!("{at}: {}", String::from_utf8_lossy(other)),
            }
            if set.is_empty() {
                self.model.remove(key);
            }
        }
    }

    /// The engine's members of a key against the model's.
    fn compare(&mut self, at: &str, name: &[u8]) {
        let all = ["0", "-1", "WITHSCORES"].map(|word| word.as_bytes().to_vec());
        let request: Words = [b"ZRANGE".to_vec(), name.to_vec()].into_iter().chain(all).collect();
        let given = pairs(&self.engine.ask(&request));
        let expected = self.model.get(name).cloned().unwrap_or_default();
        assert!(given == expected, "{at}: the members differ");
    }

    /// The answer against a naive one; and, where nothing is evicted, what became of the key.
    fn check(&mut self, at: &str, request: &Words, answer: &Answer, before: &Model) {
        let set = before.get(&request[1]).cloned().unwrap_or_default();
        let (expected, after) = naive(before, set.clone(), request);
        match expected {
            Some(expected) => assert!(
                expected == *answer,
                "{at}\n  expected {:.300}\n  given {:.300}",
                expected.to_string(),
                answer.to_string()
            ),
            None => {
                let Answer::Array(items) = answer else { panic!("{at}: {answer}") };
                let wanted = (number(&request[2]) as usize).min(set.len());
                let mut chosen = items.clone();
                chosen.sort();
                chosen.dedup();
                assert_eq!(chosen.len(), wanted, "{at}: no member twice");
                let is_member =
                    |item: &Answer| set.iter().any(|(member, _)| Answer::bulk(member) == *item);
                assert!(chosen.iter().all(is_member), "{at}");
            }
        }
        if !self.has_pressure {
            self.follow(at);
            let given = self.model.get(&request[1]).cloned().unwrap_or_default();
            assert!(given == after, "{at}: the effects are other than the model's");
        }
    }
}

fn put(set: &mut Members, member: &[u8], score: f64) {
    set.retain(|(other, _)| other != member);
    let entry = (member.to_vec(), score);
    let at = set.partition_point(|other| compare(other, &entry).is_lt());
    set.insert(at, entry);
}

fn pairs(answer: &Answer) -> Members {
    let Answer::Array(items) = answer else { panic!("an array, not {answer}") };
    let pair = |pair: &[Answer]| match pair {
        [Answer::Bulk(member), Answer::Bulk(score)] => (member.clone(), number(score)),
        other => panic!("a member and its score, not {other:?}"),
    };
    items.chunks(2).map(pair).collect()
}

fn bulks<'a>(members: impl Iterator<Item = &'a (Vec<u8>, f64)>) -> Answer {
    Answer::Array(members.map(|(member, _)| Answer::bulk(member)).collect())
}

fn with_scores<'a>(members: impl Iterator<Item = &'a (Vec<u8>, f64)>) -> Answer {
    Answer::Array(
        members.flat_map(|(member, score)| [Answer::bulk(member), score_text(*score)]).collect(),
    )
}

/// A score as C prints it, for the few kinds of scores that occur here.
fn score_text(score: f64) -> Answer {
    if score.fract() == 0.0 && score.abs() < 1e17 || score.is_infinite() {
        return Answer::Bulk(text(score));
    }
    Answer::Bulk(seventeen(score))
}

/// Seventeen digits, plain where the exponent allows: the naive way.
fn seventeen(score: f64) -> Vec<u8> {
    let scientific = format!("{score:.16e}");
    let (digits, exponent) = scientific.split_once('e').expect("an exponent");
    let exponent: i32 = exponent.parse().expect("a number");
    if (-4..17).contains(&exponent) {
        let plain = format!("{score:.*}", (16 - exponent) as usize);
        return plain.trim_end_matches('0').trim_end_matches('.').into();
    }
    let digits = digits.trim_end_matches('0').trim_end_matches('.');
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs()).into_bytes()
}

fn score_of(set: &Members, member: &[u8]) -> Option<f64> {
    set.iter().find(|(other, _)| other == member).map(|(_, score)| *score)
}

fn ranks(len: usize, first: &[u8], last: &[u8]) -> std::ops::Range<usize> {
    let len = len as i64;
    let from_start = |rank: i64| if rank < 0 { len + rank } else { rank };
    let first = from_start(number(first) as i64).max(0);
    let last = from_start(number(last) as i64).min(len - 1);
    if first > last { 0..0 } else { first as usize..last as usize + 1 }
}

/// What a request answers, and what the key it names first then has.
fn naive(model: &Model, mut set: Members, request: &Words) -> (Option<Answer>, Members) {
    let len = set.len();
    let other = |position: usize| model.get(&request[position]).cloned().unwrap_or_default();
    let count = |count: usize| Some(Answer::Integer(count as i64));
    let answer = match &request[0][..] {
        b"ZADD" => {
            for pair in request[2..].chunks(2) {
                put(&mut set, &pair[1], number(&pair[0]));
            }
            count(set.len() - len)
        }
        b"ZREM" => {
            set.retain(|(member, _)| !request[2..].contains(member));
            count(len - set.len())
        }
        b"ZINCRBY" => {
            let sum = number(&request[2]) + score_of(&set, &request[3]).unwrap_or(0.0);
            put(&mut set, &request[3], sum);
            Some(score_text(sum))
        }
        b"ZREMRANGEBYRANK" => {
            set.drain(ranks(len, &request[2], &request[3]));
            count(len - set.len())
        }
        b"ZREMRANGEBYSCORE" => {
            set.retain(|(_, score)| !(3.0..=5.0).contains(score));
            count(len - set.len())
        }
        b"ZPOPMIN" => {
            let gone: Members = set.drain(..len.min(number(&request[2]) as usize)).collect();
            Some(with_scores(gone.iter()))
        }
        b"ZPOPMAX" => {
            let gone = set.split_off(len.saturating_sub(number(&request[2]) as usize));
            Some(with_scores(gone.iter().rev()))
        }
        b"ZUNIONSTORE" | b"ZINTERSTORE" | b"ZDIFFSTORE" => {
            set = combine(&request[0], &other(3), &other(4));
            count(set.len())
        }
        b"ZRANGESTORE" => {
            let from = other(2);
            set = from[ranks(from.len(), &request[3], &request[4])].to_vec();
            count(set.len())
        }
        _ => naive_question(&set, request),
    };
    (answer, set)
}

fn naive_question(set: &Members, request: &Words) -> Option<Answer> {
    match &request[0][..] {
        b"ZRANGE" => Some(bulks(set[ranks(set.len(), &request[2], &request[3])].iter())),
        b"ZREVRANGE" => {
            let reversed: Members = set.iter().rev().cloned().collect();
            Some(bulks(reversed[ranks(set.len(), &request[2], &request[3])].iter()))
        }
        b"ZCOUNT" => {
            let range = number(&request[2])..=number(&request[3]);
            let count = set.iter().filter(|(_, score)| range.contains(score)).count();
            Some(Answer::Integer(count as i64))
        }
        b"ZREVRANGEBYSCORE" => {
            let range = number(&request[3])..=number(&request[2]);
            Some(bulks(set.iter().rev().filter(|(_, score)| range.contains(score))))
        }
        b"ZSCORE" => Some(score_of(set, &request[2]).map_or(Answer::Null, score_text)),
        b"ZRANK" => {
            let rank = set.iter().position(|(member, _)| *member == request[2]);
            Some(rank.map_or(Answer::Null, |rank| Answer::Integer(rank as i64)))
        }
        _ => None,
    }
}

fn combine(name: &[u8], a: &Members, b: &Members) -> Members {
    let sum = |a: f64, b: f64| if (a + b).is_nan() { 0.0 } else { a + b };
    let mut result = Members::new();
    for (member, score) in a {
        match (name, score_of(b, member)) {
            (b"ZDIFFSTORE", None) | (b"ZUNIONSTORE", None) => put(&mut result, member, *score),
            (b"ZUNIONSTORE" | b"ZINTERSTORE", Some(other)) => {
                put(&mut result, member, sum(*score, other));
            }
            _ => {}
        }
    }
    for (member, score) in b.iter().filter(|_| name == b"ZUNIONSTORE") {
        if score_of(a, member).is_none() {
            put(&mut result, member, *score);
        }
    }
    result
}
