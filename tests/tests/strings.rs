//! What random operations on a few keys do not reach: INCRBYFLOAT in all its digits and LCS in all
//! its choices, both against redis-server, and RANDOMKEY, which has no right answer but a fair one.
//! `FERRITE_STRINGS_STEPS` asks for more pairs of numbers and of strings than CI takes.

use std::collections::BTreeMap;
use std::env;

use ferrite_engine::Options;
use ferrite_tests::answer::{Answer, request_text};
use ferrite_tests::engine::{Engine, Words};
use ferrite_tests::oracle::Oracle;
use ferrite_tests::random::Random;
use ferrite_tests::subject::{START_MS, Subject};

fn steps() -> usize {
    match env::var("FERRITE_STRINGS_STEPS") {
        Ok(steps) => steps.parse().expect("FERRITE_STRINGS_STEPS is a number"),
        Err(_) => 3_000,
    }
}

fn words(words: &[&str]) -> Words {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

/// Asks both, and expects the same answer.
fn ask_both(oracle: &mut Oracle, engine: &mut Engine, request: &Words) -> Answer {
    let (expected, given) = (oracle.ask(request), engine.ask(request));
    let asked = request_text(request);
    assert!(expected == given, "> {asked}\n  redis-server {expected}\n  engine       {given}");
    given
}

#[test]
fn numbers_are_added_as_redis_adds_them() {
    let Some(mut oracle) = Oracle::start_or_skip() else { return };
    let mut engine = Engine::new(&Options { max_memory_bytes: 64 << 20, ..Options::default() });
    oracle.reset();
    let mut random = Random::new(1);
    let mut sums = 0;
    for step in 0..steps() {
        // A sum is added to now and then, so that what was printed is read again.
        if step % 3 > 0 {
            let text = random_number(&mut random);
            ask_both(&mut oracle, &mut engine, &words(&["SET", "n", &text]));
        }
        let change = random_number(&mut random);
        let sum = ask_both(&mut oracle, &mut engine, &words(&["INCRBYFLOAT", "n", &change]));
        sums += usize::from(matches!(sum, Answer::Bulk(_)));
    }
    assert!(sums > steps() / 2, "most of the pairs must have a sum, not {sums}");
}

/// A number as text: of any size, with any number of digits, sometimes none at all.
fn random_number(random: &mut Random) -> String {
    let sign = random.pick(&["", "", "", "-", "-", "+"]);
    let number = match random.below(24) {
        0..4 => (random.number() >> random.below(64)).to_string(),
        4..8 => format!("{}.{}", random.below(1_000), random.number() >> random.below(64)),
        8..10 => {
            // What lies between two numbers that 64 bits can tell apart, or close to it.
            let power = 1u128 << (64 + random.below(40));
            let half = power >> 64 << random.below(2);
            (power - random.below(3) as u128 * half + random.below(2) as u128).to_string()
        }
        10..12 => {
            // A half of the last decimal that is printed: 2^-18 has 18 of them.
            let eighteenths = random.number() >> (40 + random.below(24));
            let fraction = ((eighteenths as u128 % (1 << 18)) * 10u128.pow(18)) >> 18;
            format!("{}.{fraction:018}", eighteenths >> 18)
        }
        12..14 => format!("{}e{}", random.below(100), random.below(40) as i64 - 20),
        14..16 => {
            format!("{}e{}", digits(random, 30), random.below(10_000) as i64 - 5_000)
        }
        16 => format!("{}e{}", digits(random, 3_000), -(random.below(8_000) as i64)),
        17 => format!("0.{}{}", "0".repeat(random.below(40)), digits(random, 60)),
        18 => format!("1.{}e{}", digits(random, 25), 4_925 + random.below(8)),
        19 => format!("1.{}e-{}", digits(random, 25), 4_945 + random.below(8)),
        20..22 => {
            let number = random.number() >> random.below(64);
            let exponent = random.below(200) as i64 - 100;
            let tail = random.pick(&["", ".", ".8", ".80000000000000001", ".7fffffffffffffffffff"]);
            format!("0x{number:x}{tail}p{exponent}")
        }
        22 => random
            .pick(&["inf", "Infinity", "nan", "0x", "0x.p1", ".", "1e", "1e+", "", " 1", "1 "])
            .into(),
        _ => random
            .pick(&["0", "0.1", "0.2", "1.1", "3.0e3", "5.", ".5", "00.10", "1e-17", "5e-18"])
            .into(),
    };
    format!("{sign}{number}")
}

fn digits(random: &mut Random, len_max: usize) -> String {
    let run = random.one_in(4);
    let first = random.below(10);
    let digit = |_| {
        let digit = if run { first } else { random.below(10) };
        char::from(b'0' + digit as u8)
    };
    let len = 1 + first * len_max / 10;
    (0..len).map(digit).collect()
}

#[test]
fn common_subsequences_are_those_that_redis_chooses() {
    let Some(mut oracle) = Oracle::start_or_skip() else { return };
    let mut engine = Engine::new(&Options { max_memory_bytes: 64 << 20, ..Options::default() });
    oracle.reset();
    let mut random = Random::new(2);
    for _ in 0..steps() / 10 {
        let letters = random.pick(&[1, 2, 3, 4, 26, 200]);
        let len_max = random.pick(&[4, 20, 20, 100, 700]);
        for key in ["a", "b"] {
            let len = random.below(len_max);
            let text = (0..len).map(|_| b'A'.wrapping_add(random.below(letters) as u8)).collect();
            ask_both(&mut oracle, &mut engine, &vec![b"SET".to_vec(), key.into(), text]);
        }
        let least = random.below(6).to_string();
        for options in [
            &[][..],
            &["LEN"],
            &["IDX"],
            &["IDX", "WITHMATCHLEN"],
            &["idx", "minmatchlen", &least],
            &["MINMATCHLEN", &least, "WITHMATCHLEN", "IDX"],
        ] {
            let request = [&["LCS", "a", "b"], options].concat();
            ask_both(&mut oracle, &mut engine, &words(&request));
        }
    }
}

/// The table is part of the budget: LCS makes room like any other command, or says that it cannot.
#[test]
fn the_table_of_lcs_stays_within_the_budget() {
    let mut engine = Engine::new(&Options { max_memory_bytes: 1 << 20, ..Options::default() });
    let text = "ab".repeat(2_500);
    for key in ["a", "b"] {
        assert_eq!(engine.ask(&words(&["SET", key, &text])), Answer::ok());
    }
    // 3 MB for the table, but one row for the length.
    let refused = "ERR Insufficient memory, failed allocating transient memory for LCS";
    assert_eq!(engine.ask(&words(&["LCS", "a", "b"])), Answer::Error(refused.into()));
    assert_eq!(engine.ask(&words(&["LCS", "a", "b", "LEN"])), Answer::Integer(5_000));
    engine.keys.validate().expect("a sound keyspace");
}

#[test]
fn every_key_is_as_likely_to_be_the_random_one() {
    let mut engine = Engine::new(&Options { seed: 3, ..Options::default() });
    assert_eq!(engine.ask(&words(&["RANDOMKEY"])), Answer::Null);
    for key in 0..100 {
        engine.ask(&words(&["SET", &key.to_string(), "value"]));
        engine.ask(&words(&["SET", &format!("short-lived:{key}"), "value", "PX", "5"]));
    }
    engine.set_clock(START_MS + 6);
    let mut counts = BTreeMap::new();
    for _ in 0..100_000 {
        let Answer::Bulk(key) = engine.ask(&words(&["RANDOMKEY"])) else { panic!("a key") };
        assert!(!key.starts_with(b"short-lived"), "a key that has expired");
        *counts.entry(key).or_insert(0) += 1;
    }
    assert_eq!(counts.len(), 100);
    // Each is drawn 1000 times, give or take 32 (one standard deviation).
    assert!(counts.values().all(|count| (840..1160).contains(count)), "{counts:?}");
    // 99 degrees of freedom: above 149 once in a thousand seeds.
    let squares = counts.values().map(|count| f64::from(count - 1000).powi(2) / 1000.0);
    let chi_square: f64 = squares.sum();
    assert!(chi_square < 149.0, "{chi_square}");
    assert_eq!(engine.take_effects().len(), 200 + drops(&mut engine), "effects of drops");
}

/// Keys that have expired, and that RANDOMKEY came upon.
fn drops(engine: &mut Engine) -> usize {
    engine.keys.stats().expired_keys as usize
}
