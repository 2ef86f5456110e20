//! Scores: their text, read as C's `strtod` reads it, and written as its `%.17g` writes it.
//!
//! Invariant: what is written reads back as the same number. A score is never NaN and never minus
//! zero, which would equal zero and read differently.
//!
//! Not here: the order of members (tree.rs), and decimal arithmetic on strings.

use core::fmt::{self, Write};

use crate::bytes;
use crate::error::{Error, Result};
use crate::num::Digits;

/// Reads the score of a member, an increment or a weight: a number and nothing else, in range.
pub(crate) fn parse_score(text: &[u8]) -> Option<f64> {
    let is_padded = text.first().is_none_or(|&first| is_space(first));
    let number = read(text).filter(|number| !is_padded && number.len == text.len())?;
    number.is_in_range.then_some(number.value)
}

/// Reads the end of a range of scores: the number, and whether it is excluded. As in Redis it may
/// be padded on the left, missing, out of range, or cut off by a zero byte.
pub(crate) fn parse_limit(text: &[u8]) -> Result<(f64, bool)> {
    let (is_excluded, text) = match text {
        [b'(', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    let text = text.split(|&byte| byte == 0).next().unwrap_or_default();
    let number = match read(text) {
        Some(number) if number.len == text.len() => number.value,
        None if text.is_empty() => 0.0,
        _ => return Err(Error::NotAFloatRange),
    };
    Ok((number, is_excluded))
}

/// Reads a number as C's `strtod` does, if it takes all of the text up to a zero byte, and is in
/// range: what SORT goes by.
#[cfg(feature = "sort")]
pub(crate) fn parse_double(text: &[u8]) -> Option<f64> {
    let text = text.split(|&byte| byte == 0).next().unwrap_or_default();
    let number = match read(text) {
        Some(number) => (number.len == text.len() && number.is_in_range).then_some(number.value),
        None => text.is_empty().then_some(0.0),
    };
    number.filter(|number| !number.is_nan())
}

/// A sum or a product as a score: zero has no sign, and what is no number is none.
pub(crate) fn as_score(number: f64) -> Option<f64> {
    // Minus zero plus zero is zero.
    Some(number + 0.0).filter(|number| !number.is_nan())
}

/// What stands at the front of a text.
struct Number {
    value: f64,
    len: usize,
    is_in_range: bool,
}

fn read(text: &[u8]) -> Option<Number> {
    let start = text.iter().take_while(|&&byte| is_space(byte)).count();
    let signed = text.get(start..)?;
    let (is_negative, rest) = match signed {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, signed),
    };
    let before = text.len() - rest.len();
    let number = read_infinity(rest).or_else(|| read_hex(rest)).or_else(|| read_decimal(rest))?;
    let value = if is_negative { -number.value } else { number.value };
    Some(Number { value: value + 0.0, len: before + number.len, ..number })
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

fn read_infinity(text: &[u8]) -> Option<Number> {
    let starts = |word: &[u8]| text.get(..word.len()).is_some_and(|t| t.eq_ignore_ascii_case(word));
    let len = [&b"infinity"[..], b"inf"].into_iter().find(|word| starts(word))?.len();
    Some(Number { value: f64::INFINITY, len, is_in_range: true })
}

/// The digits of a number with a point somewhere, and those behind the point.
fn digits(text: &[u8], is_digit: fn(&u8) -> bool) -> Option<(usize, usize)> {
    let whole = text.iter().take_while(|byte| is_digit(byte)).count();
    let mut len = whole;
    let mut fraction = 0;
    if text.get(whole) == Some(&b'.') {
        fraction = text.iter().skip(whole + 1).take_while(|byte| is_digit(byte)).count();
        len += 1 + fraction;
    }
    (whole + fraction > 0).then_some((len, fraction))
}

/// How long an exponent is that follows its mark, and its value; none without digits.
fn exponent(text: &[u8], mark: u8) -> Option<(usize, i64)> {
    let rest = text.strip_prefix(&[mark]).or_else(|| text.strip_prefix(&[mark - 32]))?;
    let (is_negative, rest) = match rest {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, rest),
    };
    let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let digits = rest.get(..count).filter(|digits| !digits.is_empty())?;
    let size = digits.iter().fold(0i64, |sum, digit| {
        sum.saturating_mul(10).saturating_add(i64::from(digit - b'0')).min(EXPONENT_MAX)
    });
    let len = text.len() - rest.len() + count;
    Some((len, if is_negative { -size } else { size }))
}

/// Far beyond every exponent that makes a difference.
const EXPONENT_MAX: i64 = 1 << 40;

fn read_decimal(text: &[u8]) -> Option<Number> {
    let (mantissa, _) = digits(text, u8::is_ascii_digit)?;
    let (tail, _) = text.get(mantissa..).and_then(|rest| exponent(rest, b'e')).unwrap_or_default();
    let len = mantissa + tail;
    let value: f64 = core::str::from_utf8(text.get(..len)?).ok()?.parse().ok()?;
    let is_zero = text.get(..mantissa)?.iter().all(|&byte| byte == b'0' || byte == b'.');
    let is_in_range = value.is_finite() && (value != 0.0 || is_zero);
    Some(Number { value, len, is_in_range })
}

fn read_hex(text: &[u8]) -> Option<Number> {
    let rest = text.strip_prefix(b"0x").or_else(|| text.strip_prefix(b"0X"))?;
    let (mantissa, fraction) = digits(rest, u8::is_ascii_hexdigit)?;
    let (tail, power) = rest.get(mantissa..).and_then(|t| exponent(t, b'p')).unwrap_or_default();
    let (mut bits, mut dropped, mut is_inexact) = (0u64, 0i64, false);
    for &byte in rest.get(..mantissa)?.iter().filter(|&&byte| byte != b'.') {
        let digit = u64::from(char::from(byte).to_digit(16).unwrap_or_default());
        if bits >> 60 == 0 {
            bits = bits << 4 | digit;
        } else {
            dropped += 4;
            is_inexact |= digit != 0;
        }
    }
    let value = scale(bits, power + dropped - 4 * fraction as i64, is_inexact);
    let is_in_range = value.is_finite() && (value != 0.0 || bits == 0);
    Some(Number { value, len: text.len() - rest.len() + mantissa + tail, is_in_range })
}

/// `bits` times two to the power, rounded to the nearest, half to even. `is_inexact` says that
/// some more was cut off below.
fn scale(bits: u64, power: i64, is_inexact: bool) -> f64 {
    if bits == 0 {
        return 0.0;
    }
    let zeros = bits.leading_zeros();
    let bits = bits << zeros;
    let exponent = power + 63 - i64::from(zeros);
    if exponent > 1023 {
        return f64::INFINITY;
    }
    // Of 64 bits a number keeps 53, fewer below the smallest normal one.
    let kept = (exponent + 1075).min(53);
    if kept < 0 {
        return 0.0;
    }
    let cut = 64 - kept as u32;
    let whole = bits.checked_shr(cut).unwrap_or_default();
    let rest = bits.checked_shl(kept as u32).unwrap_or_default();
    const HALF: u64 = 1 << 63;
    let is_up = rest > HALF || rest == HALF && (is_inexact || whole & 1 == 1);
    let start = (exponent + 1022).max(0) as u64;
    f64::from_bits((start << 52) + whole + u64::from(is_up))
}

/// Longest text: sign, 17 digits, a point, and an exponent or the zeros in its stead.
const TEXT_BYTES_MAX: usize = 32;
/// Digits that tell every number from every other.
const DIGITS: usize = 17;
/// Whole numbers below this are exact, and written as integers.
const EXACT_MAX: f64 = (1u64 << 53) as f64;

/// A score as text.
pub(crate) struct ScoreText {
    bytes: [u8; TEXT_BYTES_MAX],
    len: usize,
}

impl ScoreText {
    pub(crate) fn new(score: f64) -> ScoreText {
        let mut text = ScoreText { bytes: [0; TEXT_BYTES_MAX], len: 0 };
        let whole = score as i64;
        if whole as f64 == score && (-EXACT_MAX..=EXACT_MAX).contains(&score) {
            text.push(Digits::new(whole).as_bytes());
        } else if score.is_infinite() {
            text.push(if score < 0.0 { b"-inf" } else { b"inf" });
        } else {
            text.write(score);
        }
        text
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// Writes 17 digits without the zeros at their end: plain, or with an exponent where plain
    /// would need zeros at either end.
    fn write(&mut self, score: f64) {
        let mut scientific = ScoreText { bytes: [0; TEXT_BYTES_MAX], len: 0 };
        // It cannot fail: the text is never longer than the buffer.
        let _ = write!(scientific, "{:.16e}", score.abs());
        let mut parts = scientific.as_bytes().split(|&byte| byte == b'e');
        let mut digits = [b'0'; DIGITS];
        let mantissa = parts.next().unwrap_or_default().iter().filter(|&&byte| byte != b'.');
        digits.iter_mut().zip(mantissa).for_each(|(digit, &byte)| *digit = byte);
        let (_, exponent) = parts
            .next()
            .and_then(|rest| {
                let mut marked = [b'e'; 8];
                bytes::write_at(&mut marked, 1, rest);
                exponent(marked.get(..=rest.len())?, b'e')
            })
            .unwrap_or_default();
        let zeros = digits.iter().rev().take_while(|&&digit| digit == b'0').count();
        let digits = digits.get(..DIGITS - zeros).unwrap_or_default();
        if score < 0.0 {
            self.push(b"-");
        }
        match exponent {
            0..17 => self.push_with_point(digits, exponent as usize + 1),
            -4..0 => {
                self.push(b"0.000".get(..(1 - exponent) as usize).unwrap_or_default());
                self.push(digits);
            }
            _ => {
                self.push_with_point(digits, 1);
                self.push(if exponent < 0 { b"e-" } else { b"e+" });
                let size = Digits::of_unsigned(exponent.unsigned_abs());
                if size.as_bytes().len() < 2 {
                    self.push(b"0");
                }
                self.push(size.as_bytes());
            }
        }
    }

    /// Writes digits with a point behind so many of them, if there are more.
    fn push_with_point(&mut self, digits: &[u8], whole: usize) {
        match digits.split_at_checked(whole) {
            Some((whole, [])) => self.push(whole),
            Some((whole, fraction)) => {
                self.push(whole);
                self.push(b".");
                self.push(fraction);
            }
            None => {
                self.push(digits);
                (digits.len()..whole).for_each(|_| self.push(b"0"));
            }
        }
    }

    fn push(&mut self, part: &[u8]) {
        bytes::write_at(&mut self.bytes, self.len, part);
        self.len = (self.len + part.len()).min(TEXT_BYTES_MAX);
    }
}

impl Write for ScoreText {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        self.push(part.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_written_with_17_digits() {
        let check = |score: f64, expected: &str| {
            let text = ScoreText::new(score);
            assert_eq!(core::str::from_utf8(text.as_bytes()), Ok(expected));
            assert_eq!(parse_score(text.as_bytes()), Some(score), "{expected}");
        };
        check(0.0, "0");
        check(-1.5, "-1.5");
        check(0.1, "0.10000000000000001");
        check(1e-4, "0.0001");
        check(1.25e-3, "0.00125");
        check(1e-5, "1.0000000000000001e-05");
        check(123456.789, "123456.789");
        check(1e16, "10000000000000000");
        check(1e17, "1e+17");
        check(123456789012345678.0, "1.2345678901234568e+17");
        check(12345678901234566.0, "12345678901234566");
        check(90071992547409920.0, "90071992547409920");
        check(5e-324, "4.9406564584124654e-324");
        check(-f64::MAX, "-1.7976931348623157e+308");
        check(f64::INFINITY, "inf");
        check(f64::NEG_INFINITY, "-inf");
    }

    #[test]
    fn scores_are_read_as_by_strtod() {
        let check = |text: &str, expected: Option<f64>| {
            assert_eq!(parse_score(text.as_bytes()), expected, "{text:?}");
        };
        for (text, score) in
            [("0x10", 16.0), ("0X.8", 0.5), ("0x1.8p1", 3.0), ("0x1p-1074", 5e-324)]
        {
            check(text, Some(score));
        }
        check("0x1.fffffffffffff8p0", Some(2.0));
        check("0x1.fffffffffffff7p0", Some(2.0 - f64::EPSILON));
        check("0x1.00000000000008p0", Some(1.0));
        check("0x1.00000000000008000000000001p0", Some(1.0 + f64::EPSILON));
        check("0x1.fffffffffffff8p1023", None);
        check("0x0p99999999999999999999", Some(0.0));
        check("0x1p-1075", None);
        check("0x1.1p-1075", Some(5e-324));
        check("0x00000000000000000000000000001", Some(1.0));
        for text in ["0x", "0xp1", "0x1p", "1e", "1e+", ".", "", " 1", "1 ", "nan", "infi", "e5"] {
            check(text, None);
        }
        check("5.", Some(5.0));
        check(".5", Some(0.5));
        check("+7", Some(7.0));
        check("-InFiniTy", Some(f64::NEG_INFINITY));
        for text in ["1e400", "-1e400", "2e-324", "1e-99999999999999999999"] {
            check(text, None);
        }
        check("0e99999999999999999999", Some(0.0));
        assert_eq!(parse_score(b"-0").map(f64::to_bits), Some(0));
        assert_eq!(parse_limit(b"( 2\0rest"), Ok((2.0, true)));
        assert_eq!(parse_limit(b""), Ok((0.0, false)));
        assert_eq!(parse_limit(b"1e400"), Ok((f64::INFINITY, false)));
        for text in [&b"nan"[..], b"((1", b" ", b"x"] {
            assert_eq!(parse_limit(text), Err(Error::NotAFloatRange));
        }
    }
}
