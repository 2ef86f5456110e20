//! Numbers with decimals, as INCRBYFLOAT counts in them: the 80-bit format of x87, 64 bits of
//! mantissa. They are read as C's `strtold` reads them, added with one rounding to the nearest
//! even, and printed with 17 decimals less the zeros at their end: each as Redis on x86-64 does,
//! to the last digit.
//!
//! Reading and printing is done in decimal, as in musl's `floatscan.c`: limbs of nine digits that
//! are doubled or halved until 64 bits stand before the point.
//!
//! Invariant: the highest bit of a mantissa is set, unless the number is zero.
//!
//! Not here: subnormal numbers. One that small is kept as zero, since it shows neither in a sum
//! nor in 17 decimals; only whether it can be read at all is decided as in Redis.

use core::cmp::Ordering;

use crate::bytes;
use crate::command::word;
use crate::keyspace::Millis;
use crate::value::Value;

/// Texts from this length on are no numbers (Redis's `MAX_LONG_DOUBLE_CHARS`).
const TEXT_BYTES: usize = 5 * 1024;
const HALF: u64 = 1 << 63;
/// The exponent of the largest numbers, and the place of the one bit of half the smallest: what is
/// no more than that is refused as too small.
const EXPONENT_MAX: i32 = 16_383 - 63;
const HALF_OF_SMALLEST: i32 = -16_446;
/// Powers of ten outside of which numbers do not begin.
const POWER_MIN: i32 = -4_951;
const POWER_MAX: i32 = 4_932;

/// A number: `mantissa * 2^exponent`.
#[derive(Clone, Copy)]
pub(crate) struct Float {
    is_negative: bool,
    exponent: i32,
    mantissa: u64,
}

impl Float {
    pub(crate) const ZERO: Float = Float { is_negative: false, exponent: -1 << 20, mantissa: 0 };
    const INFINITE: Float = Float { is_negative: false, exponent: 1 << 20, mantissa: HALF };

    /// Reads a number as Redis's `string2ld` does: no spaces, no NaN, nothing too large or small;
    /// hexadecimals and infinities are numbers.
    pub(crate) fn parse(text: &[u8]) -> Option<Float> {
        if text.len() >= TEXT_BYTES {
            return None;
        }
        let (is_negative, text) = split_sign(text);
        if word(text, &["inf", "infinity"]) < 2 {
            return Some(Float { is_negative, ..Float::INFINITE });
        }
        let (text, base) = match text {
            [b'0', b'x' | b'X', text @ ..] => (text, 16),
            _ => (text, 10),
        };
        let number = Scanned::read(text, base)?.number()?;
        Some(Float { is_negative, ..number })
    }

    /// Whether it is no infinity.
    pub(crate) fn is_finite(&self) -> bool {
        self.exponent <= EXPONENT_MAX
    }

    /// The sum, rounded once. `None` if that is not finite.
    pub(crate) fn add(&self, other: &Float) -> Option<Float> {
        if !self.is_finite() || !other.is_finite() {
            return None;
        }
        let (large, small) =
            if self.exponent >= other.exponent { (self, other) } else { (other, self) };
        let mut low = u128::from(small.mantissa) << 62;
        // Beyond that nothing is left of it; the last bit says that there was something.
        for _ in 0..(large.exponent - small.exponent).min(128) {
            low = low >> 1 | low & 1;
        }
        let high = u128::from(large.mantissa) << 62;
        let sum = large.signed(high) + small.signed(low);
        let number = Float::rounded(sum.unsigned_abs(), large.exponent - 62);
        Some(Float { is_negative: sum < 0, ..number }).filter(Float::is_finite)
    }

    fn signed(&self, number: u128) -> i128 {
        if self.is_negative { -(number as i128) } else { number as i128 }
    }

    /// The number nearest to `wide * 2^exponent`, to an even one if there are two.
    fn rounded(wide: u128, exponent: i32) -> Float {
        if wide == 0 {
            return Float::ZERO;
        }
        let (mut wide, mut exponent) = (wide, exponent + 64);
        while wide >> 127 == 0 {
            wide <<= 1;
            exponent -= 1;
        }
        let (high, low) = ((wide >> 64) as u64, wide as u64);
        let is_up = low > HALF || low == HALF && high & 1 == 1;
        let (mantissa, exponent) = match high.wrapping_add(is_up.into()) {
            0 => (HALF, exponent + 1),
            mantissa => (mantissa, exponent),
        };
        Float { is_negative: false, exponent, mantissa }
    }

    /// Prints it with 17 decimals, correctly rounded, less the zeros at their end.
    pub(crate) fn print<'t>(&self, text: &'t mut FloatText) -> &'t [u8] {
        let mut decimal = Decimal::new(2);
        decimal.multiply(2, 1, self.mantissa);
        decimal.scale(self.exponent);
        decimal.round_to_tens();
        decimal.print(text);
        if self.is_negative && text.as_bytes() != b"0" {
            text.push(b'-');
        }
        text.as_bytes()
    }
}

/// Reads a time in seconds, as INCRBYFLOAT reads numbers, and says how many milliseconds it is,
/// rounded up; what is beyond all numbers is the last of them. `None` if it is no number.
pub fn seconds_in_ms(text: &[u8]) -> Option<Millis> {
    let Float { is_negative, exponent, mantissa } = Float::parse(text)?;
    let ms = Float::rounded(u128::from(mantissa) * 1000, exponent);
    let magnitude = match u32::try_from(-ms.exponent) {
        // Its highest bit is set: it is larger than any number with a sign.
        Err(_) | Ok(0) => i64::MIN,
        Ok(shift) => {
            let whole = ms.mantissa.checked_shr(shift).unwrap_or(0);
            let has_rest = whole.checked_shl(shift).unwrap_or(0) != ms.mantissa;
            -(whole as i64) - i64::from(has_rest && !is_negative)
        }
    };
    Some(if is_negative { magnitude } else { magnitude.checked_neg().unwrap_or(i64::MAX) })
}

/// A number's text without its sign, looked through once.
struct Scanned<'a> {
    /// Digits and perhaps a point.
    digits: &'a [u8],
    base: u8,
    /// How many digits there are from the first that is not zero on, and how many of all stand
    /// behind the point.
    significant: i32,
    behind_point: i32,
    exponent: i32,
}

impl<'a> Scanned<'a> {
    fn read(text: &'a [u8], base: u8) -> Option<Scanned<'a>> {
        let mark = if base == 10 { b'e' } else { b'p' };
        let mut scanned =
            Scanned { digits: text, base, significant: 0, behind_point: 0, exponent: 0 };
        let (mut has_digits, mut has_point) = (false, false);
        for (at, &byte) in text.iter().enumerate() {
            if let Some(digit) = digit_of(byte, base) {
                has_digits = true;
                scanned.significant += i32::from(scanned.significant > 0 || digit > 0);
                scanned.behind_point += i32::from(has_point);
            } else if byte == b'.' && !has_point {
                has_point = true;
            } else if byte | 32 == mark {
                scanned.digits = text.get(..at)?;
                scanned.exponent = parse_exponent(text.get(at + 1..)?)?;
                break;
            } else {
                return None;
            }
        }
        has_digits.then_some(scanned)
    }

    fn number(&self) -> Option<Float> {
        if self.significant == 0 {
            return Some(Float::ZERO);
        }
        let mut decimal = Decimal::new(2);
        let doubled = if self.base == 10 {
            self.place_digits(&mut decimal)?
        } else {
            self.add_digits(&mut decimal)
        };
        let (mantissa, exponent) = decimal.normalise();
        let low = HALF.saturating_add_signed(decimal.compare_fraction_to_half() as i64);
        let wide = u128::from(mantissa) << 64 | u128::from(low);
        let number = Float::rounded(wide, exponent + doubled - 64);
        let highest_bit = number.exponent + 63;
        let is_too_small = highest_bit < HALF_OF_SMALLEST
            || highest_bit == HALF_OF_SMALLEST && number.mantissa == HALF;
        Some(number).filter(|number| number.is_finite() && !is_too_small)
    }

    /// Puts each digit in its place. How many times the number is to be doubled then.
    fn place_digits(&self, decimal: &mut Decimal) -> Option<i32> {
        let last = self.exponent - self.behind_point;
        let first = last + self.significant - 1;
        if !(POWER_MIN..=POWER_MAX).contains(&first) {
            return None;
        }
        decimal.point += last.min(0).unsigned_abs() as usize / LIMB_DIGITS;
        let mut place = (last + (decimal.point * LIMB_DIGITS) as i32) as usize;
        for &byte in self.digits.iter().rev() {
            let Some(digit) = digit_of(byte, 10) else { continue };
            // Zeros at the front may be more than there is room for.
            if let Some(limb) = decimal.limbs.get_mut(place / LIMB_DIGITS) {
                *limb += u32::from(digit) * 10u32.pow((place % LIMB_DIGITS) as u32);
            }
            place += 1;
        }
        decimal.len = LIMBS;
        decimal.trim();
        Some(0)
    }

    /// Adds digit by digit, of hexadecimals. How many times the number is to be doubled then.
    fn add_digits(&self, decimal: &mut Decimal) -> i32 {
        let mut doubled = self.exponent - 4 * self.behind_point;
        for &byte in self.digits {
            let Some(digit) = digit_of(byte, 16) else { continue };
            // Digits that are far below 64 bits count by being there.
            if decimal.len < 8 {
                decimal.multiply(decimal.point, 16, digit.into());
            } else {
                decimal.is_cut |= digit > 0;
                doubled += 4;
            }
        }
        doubled
    }
}

/// The value of a digit, if it is one.
fn digit_of(byte: u8, base: u8) -> Option<u8> {
    let digit = match byte {
        b'0'..=b'9' => byte - b'0',
        _ => (byte | 32).wrapping_sub(b'a').saturating_add(10),
    };
    (digit < base).then_some(digit)
}

fn split_sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    }
}

/// Reads an exponent. One that is beyond reach for any number of digits may be any other such.
fn parse_exponent(text: &[u8]) -> Option<i32> {
    const BEYOND: i32 = 1_000_000;
    let (is_negative, digits) = split_sign(text);
    let mut exponent = 0;
    for &byte in digits {
        exponent = (exponent * 10 + i32::from(digit_of(byte, 10)?)).min(BEYOND);
    }
    (!digits.is_empty()).then_some(if is_negative { -exponent } else { exponent })
}

const BILLION: u64 = 1_000_000_000;
const LIMB_DIGITS: usize = 9;
/// Limbs for all digits that a text may have, behind as many zeros as a number may begin with, and
/// some to spare.
const LIMBS: usize = (TEXT_BYTES + POWER_MIN.unsigned_abs() as usize) / LIMB_DIGITS + 6;
/// A limb and what is carried into it fit 64 bits when they are doubled so many times.
const SHIFT_MAX: u32 = 29;

/// A decimal number of any size: limbs of nine digits, the lowest first; those from `len` on are
/// zero.
struct Decimal {
    limbs: [u32; LIMBS],
    len: usize,
    /// How many limbs stand behind the point: two at least, so that rounding errs by no digit.
    point: usize,
    /// Whether it was a little more than the limbs say.
    is_cut: bool,
}

impl Decimal {
    fn new(point: usize) -> Decimal {
        Decimal { limbs: [0; LIMBS], len: point, point, is_cut: false }
    }

    fn limb(&self, position: usize) -> u64 {
        self.limbs.get(position).copied().unwrap_or(0).into()
    }

    /// Multiplies by `2^shift`, which is exact, or divides, which may cut.
    fn scale(&mut self, shift: i32) {
        let mut rest = shift.unsigned_abs();
        while rest > 0 && self.len > 0 {
            let bits = rest.min(SHIFT_MAX);
            rest -= bits;
            if shift > 0 { self.multiply(0, 1 << bits, 0) } else { self.halve(bits) }
        }
    }

    fn used(&mut self) -> &mut [u32] {
        self.limbs.get_mut(..self.len).unwrap_or_default()
    }

    /// Multiplies the limbs from one on, and adds to that one.
    fn multiply(&mut self, from: usize, factor: u64, sum: u64) {
        let mut carry = sum;
        for limb in self.used().get_mut(from..).unwrap_or_default() {
            let wide = u64::from(*limb) * factor + carry;
            *limb = (wide % BILLION) as u32;
            carry = wide / BILLION;
        }
        while carry > 0
            && let Some(limb) = self.limbs.get_mut(self.len)
        {
            *limb = (carry % BILLION) as u32;
            carry /= BILLION;
            self.len += 1;
        }
    }

    fn halve(&mut self, bits: u32) {
        let mut rest = 0;
        for limb in self.used().iter_mut().rev() {
            let wide = rest * BILLION + u64::from(*limb);
            *limb = (wide >> bits) as u32;
            rest = wide & ((1 << bits) - 1);
        }
        self.is_cut |= rest > 0;
        self.trim();
    }

    fn trim(&mut self) {
        while self.len > 0 && self.limb(self.len - 1) == 0 {
            self.len -= 1;
        }
    }

    /// What stands before the point, if 64 bits hold it.
    fn whole(&self) -> Option<u64> {
        let mut whole = 0;
        for position in (self.point..self.len).rev() {
            if whole > u64::MAX / BILLION {
                return None;
            }
            whole = (whole * BILLION).checked_add(self.limb(position))?;
        }
        Some(whole)
    }

    /// Doubles or halves it until 64 bits stand before the point: them, and the exponent of two
    /// that makes up for it. It is not zero.
    fn normalise(&mut self) -> (u64, i32) {
        let mut exponent = 0;
        loop {
            let shift = match self.whole() {
                // What is left before the point has 54 bits at least: with two limbs behind it the
                // few that it is doubled by do not bring a digit that was cut to the point.
                None if self.len > self.point + 3 => -(SHIFT_MAX as i32),
                None => -10,
                Some(whole) if whole >= HALF => return (whole, exponent),
                Some(whole) => whole.leading_zeros().min(SHIFT_MAX) as i32,
            };
            self.scale(shift);
            exponent -= shift;
        }
    }

    fn compare_fraction_to_half(&self) -> Ordering {
        let first = self.point.saturating_sub(1);
        let rest = self.limbs.get(..first).unwrap_or_default();
        let has_more = self.is_cut || rest.iter().any(|&limb| limb > 0);
        self.limb(first).cmp(&(BILLION / 2)).then(u8::from(has_more).cmp(&0))
    }

    /// Rounds to the nearest ten of the last place, to an even one if there are two.
    fn round_to_tens(&mut self) {
        let lowest = self.limb(0);
        let (tens, ones) = (lowest / 10, lowest % 10);
        let is_up = ones > 5 || ones == 5 && (self.is_cut || tens % 2 == 1);
        if let Some(limb) = self.limbs.first_mut() {
            *limb -= ones as u32;
        }
        self.multiply(0, 1, if is_up { 10 } else { 0 });
    }

    /// Prints it, less the zeros at its end behind the point.
    fn print(&self, text: &mut FloatText) {
        text.start = TEXT_BYTES;
        for position in 0..self.len.max(self.point + 1) {
            let mut rest = self.limb(position);
            for _ in 0..LIMB_DIGITS {
                let digit = b'0' + (rest % 10) as u8;
                rest /= 10;
                if digit > b'0' || position >= self.point || !text.as_bytes().is_empty() {
                    text.push(digit);
                }
            }
            if position + 1 == self.point && !text.as_bytes().is_empty() {
                text.push(b'.');
            }
        }
        while let [b'0', b'0'..=b'9', ..] = text.as_bytes() {
            text.start += 1;
        }
    }
}

/// Room for the text of any number that INCRBYFLOAT answers.
pub struct FloatText {
    bytes: [u8; TEXT_BYTES],
    start: usize,
}

impl FloatText {
    /// Empty room.
    pub fn new() -> FloatText {
        FloatText { bytes: [0; TEXT_BYTES], start: TEXT_BYTES }
    }

    /// What was printed last.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    /// Adds to the front.
    fn push(&mut self, byte: u8) {
        self.start = self.start.saturating_sub(1);
        if let Some(target) = self.bytes.get_mut(self.start) {
            *target = byte;
        }
    }

    /// Reads a number that may stand in pages.
    pub(crate) fn read(&mut self, value: Value<'_>) -> Option<Float> {
        let mut len = 0;
        for part in value.parts() {
            bytes::write_at(&mut self.bytes, len, part);
            len += part.len();
        }
        Float::parse(self.bytes.get(..len)?)
    }
}

impl Default for FloatText {
    fn default() -> FloatText {
        FloatText::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rounded_up_to_milliseconds() {
        let check = |text: &str, expected| assert_eq!(seconds_in_ms(text.as_bytes()), expected);
        for (text, ms) in [
            ("0", 0),
            ("0.0001", 1),
            ("1.5", 1500),
            ("+.5", 500),
            ("0x1p3", 8000),
            ("0x.8", 500),
            ("1e3", 1_000_000),
            ("-1", -1000),
            ("-0.0001", 0),
            ("-1.0001", -1000),
            ("9223372036854775.807", i64::MAX),
            ("1e300", i64::MAX),
            ("inf", i64::MAX),
            ("-inf", i64::MIN),
        ] {
            check(text, Some(ms));
        }
        for bad in ["", "x", " 1", "1 ", "nan", "1e5000", "0x", "1e", "1,5"] {
            check(bad, None);
        }
    }
}
