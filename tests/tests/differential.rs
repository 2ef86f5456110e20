//! Random requests, well formed and not, answered by two subjects under one clock: the engine and
//! redis-server agree on every reply, and so do the naive model and redis-server.
//! `FERRITE_DIFFERENTIAL_STEPS` asks for more steps than CI takes; `scripts/fuzz differential` runs
//! the families with more commands and other seeds.

use std::env;

use ferrite_engine::Options;
use ferrite_tests::answer::{Answer, request_text};
use ferrite_tests::engine::{Engine, Words};
use ferrite_tests::family::duel::{self, Duel};
use ferrite_tests::family::{FAMILIES, Requests};
use ferrite_tests::model::Model;
use ferrite_tests::op::{Op, Shape};
use ferrite_tests::oracle::Oracle;
use ferrite_tests::random::Random;
use ferrite_tests::subject::{START_MS, Subject, ask_whole};

const SHAPE: Shape = Shape { keys: 64, value_bytes: &[3, 30, 200, 1_500, 5_000] };
const SEEDS: u64 = 4;

#[test]
fn the_engine_answers_as_redis_does() {
    let Some(mut oracle) = Oracle::start_or_skip() else { return };
    let options = Options { max_memory_bytes: 64 << 20, ..Options::default() };
    for seed in 0..SEEDS {
        let mut engine = Engine::new(&Options { seed, ..options });
        let mut random = Random::new(seed);
        let mut now_ms = START_MS;
        oracle.reset();
        oracle.set_clock(now_ms);
        for step in 0..steps() {
            if random.one_in(12) {
                now_ms += random.pick(&[1, 10, 100, 5_000]);
                oracle.set_clock(now_ms);
                engine.set_clock(now_ms);
            }
            let op = Op::random(&mut random, &SHAPE, now_ms);
            let mut request = op.words();
            if random.one_in(6) {
                disturb(&mut random, &mut request);
            }
            if request[0] == b"DBSIZE" {
                // It counts the dead that nobody noticed: make both notice all of them first.
                ask_whole(&mut oracle, &Op::Scan(1_000).words());
                engine.tick(usize::MAX);
            }
            let expected = ask_whole(&mut oracle, &request);
            check(&request, &expected, &ask_whole(&mut engine, &request), seed, step);
        }
    }
}

#[test]
fn the_model_answers_as_redis_does() {
    let Some(mut oracle) = Oracle::start_or_skip() else { return };
    for seed in 0..SEEDS {
        let mut random = Random::new(seed);
        let mut model = Model { now_ms: START_MS, ..Model::default() };
        oracle.reset();
        oracle.set_clock(START_MS);
        for step in 0..steps() {
            if random.one_in(12) {
                model.now_ms += random.pick(&[1, 10, 100, 5_000]);
                oracle.set_clock(model.now_ms);
            }
            let op = Op::random(&mut random, &SHAPE, model.now_ms);
            if matches!(op, Op::DbSize) {
                continue;
            }
            let (request, given) = (op.words(), model.apply(&op));
            let expected = ask_whole(&mut oracle, &request);
            check(&request, &expected, &given, seed, step);
        }
    }
}

/// Requests of one family after the other, from a table of syntaxes.
#[test]
fn each_family_answers_as_redis_does() {
    let Some(mut oracle) = Oracle::start_or_skip() else { return };
    let seed = asked_for("FERRITE_DIFFERENTIAL_SEED", 0);
    let wanted = env::var("FERRITE_DIFFERENTIAL_FAMILY").unwrap_or_default();
    let families = FAMILIES.iter().filter(|family| wanted.is_empty() || wanted == family.name);
    assert!(families.clone().next().is_some(), "there is no family {wanted:?}");
    for family in families {
        let is_known = |name: &str| ferrite_engine::find(name.as_bytes()).is_some();
        let Some(requests) = Requests::new(family, seed, is_known) else {
            println!("{}: not in the engine", family.name);
            continue;
        };
        let options = Options { max_memory_bytes: 1 << 30, seed, ..Options::default() };
        let mut engine = Engine::new(&options);
        duel::run(family.name, requests, &duel(seed), &mut oracle, &mut engine, &mut |engine| {
            engine.keys.validate()
        });
    }
}

/// Two servers hash with different seeds and draw different numbers: what the comparison says of
/// them, it would say of an engine that is right.
#[test]
fn two_servers_are_told_apart_by_nothing() {
    let Some(mut oracle) = Oracle::start_or_skip() else { return };
    let Some(mut other) = Oracle::start_or_skip() else { return };
    let seed = asked_for("FERRITE_DIFFERENTIAL_SEED", 0);
    for family in FAMILIES {
        let requests = Requests::new(family, seed, |_| true).expect("commands in every family");
        duel::run(family.name, requests, &duel(seed), &mut oracle, &mut other, &mut |_| Ok(()));
    }
}

const COMMANDS: u64 = 4_000;
const VALIDATE_EVERY: u64 = 100;

fn duel(seed: u64) -> Duel {
    Duel {
        seed,
        commands: asked_for("FERRITE_DIFFERENTIAL_COMMANDS", COMMANDS) as usize,
        validate_every: asked_for("FERRITE_DIFFERENTIAL_VALIDATE_EVERY", VALIDATE_EVERY) as usize,
    }
}

/// A number from the environment.
fn asked_for(name: &str, otherwise: u64) -> u64 {
    env::var(name).map_or(otherwise, |text| text.parse().expect(name))
}

fn steps() -> usize {
    match env::var("FERRITE_DIFFERENTIAL_STEPS") {
        Ok(steps) => steps.parse().expect("FERRITE_DIFFERENTIAL_STEPS is a number"),
        Err(_) => 4_000,
    }
}

fn check(request: &Words, expected: &Answer, given: &Answer, seed: u64, step: usize) {
    let asked = request_text(request);
    assert!(
        expected == given,
        "seed {seed}, step {step}: > {asked}\n  redis-server {expected}\n  given        {given}"
    );
}

/// What may get into a request by chance; a bar between them, because one is empty.
const STRAY_WORDS: &str = "|0|-1|1|01| 1|NX|xx|GT|lt|EX|px|EXAT|PXAT|GET|keepttl|COUNT|MATCH|TYPE|\
    string|hash|*|key:1?|[k|10000000000|9223372036854775807|-9223372036854775808|\
    9223372036854775808|junk|SYNC";
const NAMES: &str = "PING|GET|SET|DEL|EXISTS|EXPIRE|PEXPIRE|EXPIREAT|PEXPIREAT|TTL|PTTL|PERSIST|\
    TYPE|INCR|DECR|INCRBY|DECRBY|APPEND|STRLEN|MGET|MSET|KEYS|DBSIZE|FLUSHDB|nosuch";

fn one_of(random: &mut Random, words: &'static str) -> Vec<u8> {
    let words: Vec<&str> = words.split('|').collect();
    random.pick(&words).into()
}

/// Makes a request wrong, or differently right: a word more, less, or another one.
fn disturb(random: &mut Random, request: &mut Words) {
    let word = one_of(random, STRAY_WORDS);
    // A cursor in the middle of a turn is each implementation's own.
    let first = if request[0] == b"SCAN" { 2 } else { 1 };
    let position = first + random.below(request.len().max(first + 1) - first);
    match random.below(4) {
        0 => request.insert(position.min(request.len()), word),
        1 if position < request.len() => request[position] = word,
        2 if position < request.len() => drop(request.remove(position)),
        // Error lines that repeat an argument are compared as text, so it has to be text.
        3 if first == 1 && request.iter().all(|word| word.is_ascii()) => {
            request[0] = one_of(random, NAMES);
        }
        _ => request.push(word),
    }
}
