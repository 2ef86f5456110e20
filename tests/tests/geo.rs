//! Distances of random places, engine and redis-server being asked: as text, where all of it must
//! be the same, and as scores that STOREDIST stores, whose last bit is the C library's own.

use ferrite_engine::Options;
use ferrite_tests::answer::Answer;
use ferrite_tests::engine::{Engine, Words};
use ferrite_tests::oracle::Oracle;
use ferrite_tests::random::Random;
use ferrite_tests::subject::Subject;

const PLACES: usize = 2_000;
const PAIRS: usize = 20_000;
const SEARCHES: usize = 40;

#[test]
fn distances_are_those_of_redis() {
    let Some(mut oracle) = Oracle::start_or_skip() else { return };
    let mut engine = Engine::new(&Options { max_memory_bytes: 64 << 20, ..Options::default() });
    let mut random = Random::new(1);
    oracle.reset();
    let mut ask = |request: &Words| (oracle.ask(request), engine.ask(request));
    for number in 0..PLACES {
        // Some near each other, others anywhere.
        let scale = random.pick(&[1e-4, 1e-2, 1.0]);
        let mut coordinate = |most: f64| {
            let part = random.below(1 << 40) as f64 / (1u64 << 39) as f64 - 1.0;
            format!("{:.12}", scale * most * part)
        };
        let request = format!("GEOADD places {} {} {number}", coordinate(180.0), coordinate(85.0));
        let (expected, given) = ask(&words(&request));
        assert_eq!(expected, given, "{request}");
    }
    for _ in 0..PAIRS {
        let unit = random.pick(&["m", "km", "ft", "mi"]);
        let (a, b) = (random.below(PLACES), random.below(PLACES));
        let request = format!("GEODIST places {a} {b} {unit}");
        let (expected, given) = ask(&words(&request));
        assert_eq!(expected, given, "{request}");
    }
    for _ in 0..SEARCHES {
        let (centre, unit) = (random.below(PLACES), random.pick(&["m", "km", "ft", "mi"]));
        let shape = random.pick(&["BYRADIUS 9000", "BYRADIUS 15000000", "BYBOX 80000 9000000"]);
        let search = format!("places FROMMEMBER {centre} {shape} {unit}");
        let request = format!("GEOSEARCH {search} WITHDIST WITHCOORD ASC");
        let (expected, given) = ask(&words(&request));
        assert_eq!(expected, given, "{request}");
        let request = format!("GEOSEARCHSTORE near {search} STOREDIST");
        let (expected, given) = ask(&words(&request));
        assert_eq!(expected, given, "{request}");
        let (expected, given) = ask(&words("ZRANGE near 0 -1 WITHSCORES"));
        same_but_for_a_bit(&expected, &given, &search);
    }
}

/// The same members, with scores that differ by four in their last place at most.
fn same_but_for_a_bit(expected: &Answer, given: &Answer, search: &str) {
    let (Answer::Array(expected), Answer::Array(given)) = (expected, given) else {
        panic!("{search}: {expected} and {given} are not both arrays");
    };
    assert_eq!(expected.len(), given.len(), "{search}");
    for (expected, given) in expected.chunks(2).zip(given.chunks(2)) {
        assert_eq!(expected[0], given[0], "{search}");
        let [a, b] = [&expected[1], &given[1]].map(score);
        assert!((a - b).abs() <= 4.0 * f64::EPSILON * a, "{search}: {a} and {b}");
    }
}

fn score(answer: &Answer) -> f64 {
    let Answer::Bulk(text) = answer else { panic!("a score is a bulk string, not {answer}") };
    String::from_utf8_lossy(text).parse().expect("a score")
}

fn words(request: &str) -> Words {
    request.split(' ').map(Into::into).collect()
}
