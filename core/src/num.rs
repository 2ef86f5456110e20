//! Redis's text form of integers, exact in both directions.

use crate::error::{Error, Result};

/// Reads a 64-bit integer as Redis's `string2ll` does: no spaces, no plus sign, no leading zeros,
/// no minus zero.
pub(crate) fn parse_integer(text: &[u8]) -> Option<i64> {
    let (is_negative, digits) = match text.split_first()? {
        (b'-', rest) => (true, rest),
        _ => (false, text),
    };
    match digits.first()? {
        b'0' if text.len() == 1 => return Some(0),
        b'1'..=b'9' => {}
        _ => return None,
    }
    let mut number = 0i64;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        // Counted below zero, where there is room for one more. (A checked multiplication is a
        // wide one, which costs wasm a function of its own.)
        let digit = i64::from(digit - b'0');
        if number < (i64::MIN + digit) / 10 {
            return None;
        }
        number = number * 10 - digit;
    }
    if is_negative { Some(number) } else { number.checked_neg() }
}

/// The same, for an argument or a value that must be one.
pub(crate) fn integer(text: &[u8]) -> Result<i64> {
    parse_integer(text).ok_or(Error::NotAnInteger)
}

/// Reads a count, which is not negative. One beyond what addresses reach, which is less in wasm
/// than in native code, is as good as the largest.
pub(crate) fn parse_count(text: &[u8]) -> Option<usize> {
    let count = parse_integer(text).filter(|&count| count >= 0)?;
    Some(usize::try_from(count).unwrap_or(usize::MAX))
}

/// A count of seconds in milliseconds, if 64 bits hold it.
pub(crate) fn millis(seconds: i64) -> Option<i64> {
    (i64::MIN / 1000..=i64::MAX / 1000).contains(&seconds).then(|| seconds * 1000)
}

/// Reads a number of digits and nothing else.
pub(crate) fn parse_digits(digits: &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for &digit in digits {
        let digit = u64::from(digit.wrapping_sub(b'0'));
        if digit > 9 || number > (u64::MAX - digit) / 10 {
            return None;
        }
        number = number * 10 + digit;
    }
    Some(number)
}

/// An integer's digits, without an allocation.
pub(crate) struct Digits {
    bytes: [u8; 20],
    start: usize,
}

impl Digits {
    /// Those of a number that an effect names. None are made in a build where nobody can listen:
    /// the compiler does not see that the work is for nothing.
    pub(crate) fn told(number: i64) -> Digits {
        if cfg!(feature = "effects") {
            return Digits::new(number);
        }
        Digits { bytes: [0; 20], start: 20 }
    }

    pub(crate) fn new(number: i64) -> Digits {
        let mut digits = Digits::of_unsigned(number.unsigned_abs());
        if number < 0 {
            digits.push(b'-');
        }
        digits
    }

    pub(crate) fn of_unsigned(number: u64) -> Digits {
        let mut digits = Digits { bytes: [0; 20], start: 20 };
        let mut rest = number;
        loop {
            digits.push(b'0' + (rest % 10) as u8);
            rest /= 10;
            if rest == 0 {
                return digits;
            }
        }
    }

    fn push(&mut self, byte: u8) {
        self.start = self.start.saturating_sub(1);
        if let Some(target) = self.bytes.get_mut(self.start) {
            *target = byte;
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn integers_are_read_as_redis_reads_them() {
        for good in [0, 1, -1, 10, i64::MAX, i64::MIN, i64::MIN + 1, 9_007_199_254_740_993] {
            assert_eq!(parse_integer(good.to_string().as_bytes()), Some(good));
            assert_eq!(Digits::new(good).as_bytes(), good.to_string().as_bytes());
        }
        assert_eq!(Digits::of_unsigned(u64::MAX).as_bytes(), u64::MAX.to_string().as_bytes());
        for bad in ["", "-", "-0", "01", "+1", " 1", "1 ", "1.0", "9223372036854775808"] {
            assert_eq!(parse_integer(bad.as_bytes()), None, "{bad:?}");
        }
        assert_eq!(parse_integer(b"-9223372036854775809"), None);
    }
}
