//! Scores as text, against redis-server: thousands of random numbers of every size are written by
//! both alike, and texts of every form, well formed and not, are read by both alike.

use ferrite_engine::Options;
use ferrite_tests::answer::Answer;
use ferrite_tests::engine::Engine;
use ferrite_tests::oracle::Oracle;
use ferrite_tests::random::Random;
use ferrite_tests::subject::Subject;

const ROUNDS: usize = 6_000;

#[test]
fn scores_are_written_and_read_as_redis_does() {
    let Some(mut oracle) = Oracle::start_or_skip() else { return };
    let mut engine = Engine::new(&Options::default());
    let mut random = Random::new(1);
    let (mut written, mut refused) = (0, 0);
    for _ in 0..ROUNDS {
        let text = if random.one_in(2) { number(&mut random) } else { form(&mut random) };
        for request in [["ZADD", "z", &text, "m"], ["ZCOUNT", "z", &text, "inf"]] {
            let request = request.map(|word| word.as_bytes().to_vec());
            let expected = oracle.ask(&request);
            assert_eq!(engine.ask(&request), expected, "{text:?}");
            refused += usize::from(matches!(expected, Answer::Error(_)));
        }
        let request = ["ZSCORE", "z", "m"].map(|word| word.as_bytes().to_vec());
        let expected = oracle.ask(&request);
        assert_eq!(engine.ask(&request), expected, "{text:?}");
        written += usize::from(matches!(expected, Answer::Bulk(_)));
    }
    assert!(written > ROUNDS / 2 && refused > ROUNDS / 20, "{written} written, {refused} refused");
}

/// Any number: of any exponent, near a whole number, a half between two of 17 digits.
fn number(random: &mut Random) -> String {
    let any = f64::from_bits(random.number());
    let number = match random.below(6) {
        0 => any,
        1 => random.below(1 << 53) as f64 / random.pick(&[1.0, 2.0, 8.0, 1024.0, 3.0]),
        2 => (random.number() >> random.below(64)) as f64,
        3 => (random.number() % 1_000_000) as f64 / 1000.0,
        4 => f64::from_bits(random.number() >> random.below(64)),
        _ => 2f64.powi(random.below(120) as i32 - 60) * (1 + random.below(99)) as f64,
    };
    // A NaN is left for the other forms. A list in Redis forgets the sign of zero, others do not.
    let number = if number.is_nan() || number == 0.0 { 1.5 } else { number };
    let number = if random.one_in(3) { -number } else { number };
    format!("{number:e}")
}

/// A text that may be a number, put together from pieces of numbers.
fn form(random: &mut Random) -> String {
    const PIECES: &str = "1|0|9|42|.|e|E|-|+|0x|0X|a|F|p|P|inf|Infinity|nan|nan(1)| |5e|e5|\
        e-5|e308|e-320|p-1070|p1020|00|.5|123456789012345678|0x1.8|(|\t|,|_|fffffffffffff8|\
        0x1fffffffffffff|8";
    let pieces: Vec<&str> = PIECES.split('|').collect();
    (0..random.below(5)).map(|_| random.pick(&pieces)).collect()
}
