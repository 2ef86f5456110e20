//! Sines, cosines and arcsines to the last bit.
//!
//! Distances are answered with four decimals of a metre, which must be those of Redis. Its C
//! library rounds correctly but for one number in seven hundred; `libm` is off by the last bit for
//! one in twenty, which would show now and then. So angles are computed with here as 128-bit
//! fractions, by the series that everybody knows, and rounded once.
//!
//! Not here: angles beyond half a turn, and speed: who needs no last bit takes `libm`.

/// Half a turn, with 124 bits behind the point.
const PI: u128 = 0x3243_f6a8_885a_308d_3131_98a2_e037_0734;
const ANGLE_BITS: i32 = 124;
/// Bits behind the point of a result.
const RESULT_BITS: i32 = 127;

/// Below this an angle and its sine are the same number, and its cosine is one.
const TINY: f64 = 1.0 / (1u64 << 27) as f64;

/// Terms of a series behind the first: up to a quarter of a half turn, what follows is below the
/// hundredth bit.
const TERMS: usize = 12;
const SINE: [u128; TERMS] = inverse_factorials(3);
const COSINE: [u128; TERMS] = inverse_factorials(2);

/// One over the factorials of every second number from the first on, as 128-bit fractions.
const fn inverse_factorials(first: usize) -> [u128; TERMS] {
    let mut inverses = [0; TERMS];
    let (mut factorial, mut number, mut term) = (1, 1, 0);
    while term < TERMS {
        number += 1;
        factorial *= number as u128;
        if number == first + 2 * term {
            #[allow(clippy::indexing_slicing, reason = "this runs while it is compiled")]
            {
                inverses[term] = u128::MAX / factorial;
            }
            term += 1;
        }
    }
    inverses
}

/// The sine of an angle of up to half a turn.
pub(super) fn sine(angle: f64) -> f64 {
    let size = angle.abs();
    if size < TINY {
        return angle;
    }
    let sine = number(sine_of(fraction(size, ANGLE_BITS)));
    if angle < 0.0 { -sine } else { sine }
}

/// The cosine of an angle of up to half a turn.
pub(super) fn cosine(angle: f64) -> f64 {
    let size = angle.abs();
    if size < TINY {
        return 1.0;
    }
    let angle = fraction(size, ANGLE_BITS);
    let cosine = number(sine_of(angle.abs_diff(PI / 2)));
    if angle > PI / 2 { -cosine } else { cosine }
}

/// The angle up to a quarter of a turn that has a sine: a guess, and one step of Newton's.
pub(super) fn arcsine(sine: f64) -> f64 {
    let guess = libm::asin(sine);
    // What is no sine has no angle: the guess says so.
    if !(TINY..1.0).contains(&sine) {
        return guess;
    }
    let (wanted, given) = (fraction(sine, RESULT_BITS), sine_of(fraction(guess, ANGLE_BITS)));
    let missing = number(wanted.abs_diff(given)) / libm::cos(guess);
    if wanted > given { guess + missing } else { guess - missing }
}

/// The sine of an angle of up to half a turn.
fn sine_of(angle: u128) -> u128 {
    let angle = angle.min(PI.saturating_sub(angle));
    if angle <= PI / 4 {
        let angle = angle << (128 - ANGLE_BITS);
        let square = times(angle, angle);
        return (angle - times(times(angle, square), series(square, &SINE))) >> 1;
    }
    let angle = (PI / 2).saturating_sub(angle) << (128 - ANGLE_BITS);
    let square = times(angle, angle);
    (1 << RESULT_BITS) - (times(square, series(square, &COSINE)) >> 1)
}

/// The first term less the square times the second less the square times the third and so on.
fn series(square: u128, terms: &[u128]) -> u128 {
    terms.iter().rev().fold(0, |rest, term| term - times(square, rest))
}

/// The product of two fractions.
fn times(a: u128, b: u128) -> u128 {
    const LOW: u128 = u64::MAX as u128;
    let (a_high, a_low, b_high, b_low) = (a >> 64, a & LOW, b >> 64, b & LOW);
    let first = a_high * b_low + ((a_low * b_low) >> 64);
    let second = a_low * b_high + (first & LOW);
    a_high * b_high + (first >> 64) + (second >> 64)
}

/// A number that is neither tiny nor more than half a turn, with so many bits behind the point.
fn fraction(number: f64, bits: i32) -> u128 {
    let (exponent, mantissa) = (number.to_bits() >> 52, number.to_bits() & ((1 << 52) - 1));
    let shift = exponent as i32 - 1075 + bits;
    u128::from(mantissa | 1 << 52).checked_shl(shift as u32).unwrap_or(0)
}

/// A result as a number, rounded to the nearest.
fn number(result: u128) -> f64 {
    const UNIT: f64 = f64::from_bits((1023 - RESULT_BITS as u64) << 52);
    result as f64 * UNIT
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use crate::random::Random;

    /// How many of a million numbers are not the C library's, given the ends of what they are
    /// drawn from.
    fn differing(ends: (f64, f64), ours: fn(f64) -> f64, theirs: fn(f64) -> f64) -> usize {
        let mut random = Random::new(1);
        let draw = |_: &i32| {
            let part = (random.next() >> 11) as f64 / (1u64 << 53) as f64;
            let number = ends.0 + part * (ends.1 - ends.0);
            let (ours, theirs) = (ours(number), theirs(number));
            assert!((ours - theirs).abs() <= theirs.abs() * f64::EPSILON, "{number}: {ours}");
            ours != theirs
        };
        (0..1_000_000).filter(draw).count()
    }

    #[test]
    fn they_are_the_c_librarys_but_for_a_few() {
        let pi = core::f64::consts::PI;
        for ends in [(-pi, pi), (-1e-3, 1e-3), (0.0, 1e-6)] {
            for count in [differing(ends, sine, f64::sin), differing(ends, cosine, f64::cos)] {
                assert!(count < 2_000, "{ends:?}: {count}");
            }
        }
        for ends in [(0.0, 1.0), (0.0, 1e-3), (0.0, 1e-6), (0.999, 1.0)] {
            let count = differing(ends, arcsine, f64::asin);
            assert!(count < 2_000, "{ends:?}: {count}");
        }
        assert_eq!([sine(0.0), cosine(0.0), arcsine(0.0)], [0.0, 1.0, 0.0]);
        assert_eq!([sine(pi), cosine(pi), arcsine(1.0)], [pi.sin(), -1.0, pi / 2.0]);
        assert!(arcsine(1.5).is_nan());
    }
}
