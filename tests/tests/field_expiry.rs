//! Fields that expire against a naive model, since redis-server 7.0 does not know them. Where
//! `FERRITE_REDIS_SERVER` names one that does (7.4 or later), the model is held to that.
//! Clock and deadlines are never the same millisecond: whether a field's last one counts differs
//! between Redis's own encodings. How many of the dead are still counted is left open, as there.
//! `FERRITE_MODEL_ROUNDS` asks for longer runs than CI takes.

use std::collections::BTreeMap;
use std::env;

use ferrite_engine::Options;
use ferrite_tests::answer::{Answer, request_text};
use ferrite_tests::engine::{Engine, Words};
use ferrite_tests::oracle::Oracle;
use ferrite_tests::random::Random;
use ferrite_tests::subject::{START_MS, Subject, ask_whole};

#[derive(Clone)]
struct Field {
    value: i64,
    deadline_ms: Option<i64>,
}

/// The hashes, dead fields included until they are written or removed.
#[derive(Default)]
struct Model {
    hashes: BTreeMap<usize, BTreeMap<String, Field>>,
    now_ms: i64,
}

impl Model {
    fn live(&self, key: usize, field: &str) -> Option<&Field> {
        let found = self.hashes.get(&key)?.get(field)?;
        found.deadline_ms.is_none_or(|at| self.now_ms <= at).then_some(found)
    }

    /// Whether the field is there, dead or alive.
    fn holds(&self, key: usize, field: &str) -> bool {
        self.hashes.get(&key).is_some_and(|hash| hash.contains_key(field))
    }

    fn dead(&self) -> Vec<(usize, String)> {
        let pairs =
            self.hashes.iter().flat_map(|(key, hash)| hash.keys().map(|f| (*key, f.clone())));
        pairs.filter(|(key, field)| self.live(*key, field).is_none()).collect()
    }

    fn live_fields(&self, key: usize) -> Vec<(&String, &Field)> {
        let fields = self.hashes.get(&key).into_iter().flatten();
        fields.filter(|(field, _)| self.live(key, field).is_some()).collect()
    }

    fn put(&mut self, key: usize, field: &str, value: i64, deadline_ms: Option<i64>) {
        let hash = self.hashes.entry(key).or_default();
        hash.insert(field.into(), Field { value, deadline_ms });
    }

    fn remove(&mut self, key: usize, field: &str) {
        if let Some(hash) = self.hashes.get_mut(&key) {
            hash.remove(field);
        }
    }

    /// HPEXPIREAT of one field.
    fn expire(&mut self, key: usize, field: &str, at: i64, condition: &str) -> i64 {
        let Some(found) = self.live(key, field).cloned() else { return -2 };
        let is_met = match (condition, found.deadline_ms) {
            ("NX", old) => old.is_none(),
            ("XX", old) => old.is_some(),
            ("GT", old) => old.is_some_and(|old| at > old),
            ("LT", old) => old.is_none_or(|old| at < old),
            _ => true,
        };
        match is_met {
            false => 0,
            true if at <= self.now_ms => {
                self.remove(key, field);
                2
            }
            true => {
                self.put(key, field, found.value, Some(at));
                1
            }
        }
    }

    fn ttl_ms(&self, key: usize, field: &str) -> i64 {
        self.live(key, field)
            .map_or(-2, |found| found.deadline_ms.map_or(-1, |at| at - self.now_ms))
    }
}

#[test]
fn fields_expire_as_the_model_says() {
    if ferrite_engine::find(b"HPEXPIRE").is_none() {
        println!("fields do not expire in this build");
        return;
    }
    let mut engine = Engine::new(&Options::default());
    run(&mut engine, false, &mut |engine, random| {
        engine.tick(random.below(8));
        engine.keys.validate()
    });
}

#[test]
fn the_model_says_what_redis_does() {
    let Some(mut oracle) = Oracle::start_or_skip() else { return };
    let answer = oracle.ask(&words("HPEXPIRE 0 1 FIELDS 1 a"));
    if matches!(answer, Answer::Error(_)) {
        println!("skipped: this redis-server does not know fields that expire");
        return;
    }
    run(&mut oracle, true, &mut |_, _| Ok(()));
}

/// Redis lets HPEXPIRE revive a dead field that nobody has looked at yet: with `is_reaped` all of
/// them are looked at as soon as they die.
fn run<S: Subject>(
    subject: &mut S,
    is_reaped: bool,
    maintain: &mut dyn FnMut(&mut S, &mut Random) -> Result<(), &'static str>,
) {
    let rounds = env::var("FERRITE_MODEL_ROUNDS").map_or(1, |text| text.parse().expect(&text));
    for seed in 0..20 * rounds {
        let mut random = Random::new(seed);
        // Few fields stay packed, many are paged.
        let fields = random.pick(&[4, 30, 600]);
        subject.reset();
        let mut model = Model { now_ms: START_MS + 1, ..Model::default() };
        for step in 0..600 {
            if random.one_in(6) {
                model.now_ms += 2 * (1 + random.below(60) as i64);
            }
            subject.set_clock(model.now_ms);
            for (key, field) in model.dead().into_iter().filter(|_| is_reaped) {
                assert_eq!(subject.ask(&words(&format!("HGET {key} {field}"))), Answer::Null);
                model.remove(key, &field);
            }
            let (request, allowed) = step_of(&mut random, &mut model, fields);
            let given = ask_whole(subject, &request);
            let asked = request_text(&request);
            assert!(
                allowed.contains(&given),
                "seed {seed}, step {step}: {asked}\n  model {}\n  given {given}",
                allowed[0]
            );
            if let Err(broken) = maintain(subject, &mut random) {
                panic!("seed {seed}, step {step}: {broken}, after {asked}");
            }
        }
    }
}

fn words(text: &str) -> Words {
    text.split(' ').map(|word| word.as_bytes().to_vec()).collect()
}

fn integers(numbers: &[i64]) -> Answer {
    Answer::Array(numbers.iter().map(|&number| Answer::Integer(number)).collect())
}

/// A request, done on the model, and the answers that are right.
fn step_of(random: &mut Random, model: &mut Model, fields: usize) -> (Words, Vec<Answer>) {
    let key = random.below(3);
    let name = |random: &mut Random| format!("f{}", random.below(fields));
    let (a, b, value) = (name(random), name(random), random.below(1_000) as i64);
    let now_ms = model.now_ms;
    let (text, answer) = match random.below(13) {
        0..3 => {
            let is_new = [model.live(key, &a).is_none(), !model.holds(key, &a)];
            model.put(key, &a, value, None);
            let allowed = is_new.map(|is_new| Answer::Integer(is_new.into()));
            return (words(&format!("HSET {key} {a} {value}")), allowed.to_vec());
        }
        3..6 => {
            let condition = random.pick(&["", "", "NX ", "XX ", "GT ", "LT "]);
            let at = now_ms + 2 * random.below(100) as i64 - 9;
            let done = [&a, &b].map(|field| model.expire(key, field, at, condition.trim()));
            (format!("HPEXPIREAT {key} {at} {condition}FIELDS 2 {a} {b}"), integers(&done))
        }
        6 => {
            let left_ms = 2 * random.below(100) as i64 + 1;
            let done = model.expire(key, &a, now_ms + left_ms, "");
            (format!("HPEXPIRE {key} {left_ms} FIELDS 1 {a}"), integers(&[done]))
        }
        7 => {
            let done = match model.ttl_ms(key, &a) {
                left_ms @ ..0 => left_ms,
                _ => {
                    let value = model.live(key, &a).map_or(0, |found| found.value);
                    model.put(key, &a, value, None);
                    1
                }
            };
            (format!("HPERSIST {key} FIELDS 1 {a}"), integers(&[done]))
        }
        8 => {
            let left = [model.ttl_ms(key, &a), model.ttl_ms(key, &b)];
            (format!("HPTTL {key} FIELDS 2 {a} {b}"), integers(&left))
        }
        9 => {
            let old = model.live(key, &a).cloned().unwrap_or(Field { value: 0, deadline_ms: None });
            model.put(key, &a, old.value + value, old.deadline_ms);
            (format!("HINCRBY {key} {a} {value}"), Answer::Integer(old.value + value))
        }
        10 => {
            let found = model.live(key, &a).map(|found| found.value.to_string());
            let answer = found.map_or(Answer::Null, |text| Answer::bulk(text.as_bytes()));
            (format!("HGET {key} {a}"), answer)
        }
        11 => {
            let was_there = [model.live(key, &a).is_some(), model.holds(key, &a)];
            model.remove(key, &a);
            let allowed = was_there.map(|removed| Answer::Integer(removed.into()));
            return (words(&format!("HDEL {key} {a}")), allowed.to_vec());
        }
        _ => {
            let pairs = model.live_fields(key);
            let items = pairs.iter().flat_map(|(field, found)| {
                [Answer::bulk(field.as_bytes()), Answer::bulk(found.value.to_string().as_bytes())]
            });
            (format!("HGETALL {key}"), Answer::Array(items.collect()).sorted_by(2))
        }
    };
    (words(&text), vec![answer])
}
