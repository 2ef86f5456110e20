//! Numbers as text, in C's formats: what scripts, commands and JSON make of them.

use mlua::Value;

/// Lua's message when there is no memory left.
pub const NO_MEMORY: &str = "not enough memory";

/// What Lua makes of a value that is a string or a number.
pub fn of(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::String(text) => Some(text.as_bytes().to_vec()),
        Value::Integer(number) => Some(general(*number as f64, 14).into_bytes()),
        Value::Number(number) => Some(general(*number, 14).into_bytes()),
        _ => None,
    }
}

/// `%.{precision}g`.
pub fn general(number: f64, precision: usize) -> String {
    if number.is_nan() {
        return if number.is_sign_negative() { "-nan" } else { "nan" }.into();
    }
    if number.is_infinite() {
        return if number < 0.0 { "-inf" } else { "inf" }.into();
    }
    let precision = precision.max(1);
    // Most numbers are whole, and zero alone has a sign that an integer has not.
    let whole = number as i64;
    let is_whole = whole as f64 == number && (whole != 0 || number.is_sign_positive());
    if is_whole && whole.unsigned_abs() < 10_u64.pow(precision.min(15) as u32) {
        return itoa::Buffer::new().format(whole).into();
    }
    // The shortest text that is this number and no other is found much sooner than all digits. If
    // it has no more than are asked for, and those are no more than tell all numbers apart that
    // have so many, the rest are zeros.
    let shortest = format!("{number:e}");
    let digits = shortest.bytes().take_while(|&byte| byte != b'e').filter(u8::is_ascii_digit);
    let is_short = number.is_normal() && precision <= 15 && digits.count() <= precision;
    let scientific = if is_short { shortest } else { format!("{number:.*e}", precision - 1) };
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if exponent < -4 || exponent >= precision as i32 {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", trimmed(mantissa), exponent.unsigned_abs());
    }
    if is_short {
        return number.to_string();
    }
    let decimals = (precision as i32 - 1 - exponent).max(0) as usize;
    trimmed(&format!("{number:.decimals$}")).into()
}

/// Without the zeros that say nothing.
fn trimmed(text: &str) -> &str {
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_in_c() {
        let check = |number: f64, precision: usize, expected: &str| {
            assert_eq!(general(number, precision), expected, "{number} {precision}");
        };
        check(0.0, 14, "0");
        check(-0.0, 14, "-0");
        check(3.0, 17, "3");
        check(0.1, 17, "0.10000000000000001");
        check(0.1, 14, "0.1");
        check(1e20, 17, "1e+20");
        check(123456789012345.0, 14, "1.2345678901234e+14");
        check(1e-5, 14, "1e-05");
        check(0.0001, 14, "0.0001");
        check(99999999999999.9, 14, "1e+14");
        check(f64::INFINITY, 14, "inf");
        check(1e100, 17, "1e+100");
        check(-42.0, 14, "-42");
        check(99999999999999.0, 14, "99999999999999");
        check(100000000000000.0, 14, "1e+14");
        check(1e15, 17, "1000000000000000");
        check(9007199254740993.0, 17, "9007199254740992");
        check(1234.5, 3, "1.23e+03");
        check(-1234.5, 5, "-1234.5");
        check(0.00012345, 14, "0.00012345");
        check(-1.5e-7, 14, "-1.5e-07");
        check(2.5e300, 14, "2.5e+300");
        check(5e-324, 14, "4.9406564584125e-324");
        check(f64::MIN_POSITIVE, 17, "2.2250738585072014e-308");
    }

    /// What has few digits is written with those; so with all that are asked for, rounded.
    #[test]
    fn a_short_text_says_the_same_as_a_long_one() {
        let mut state = 1_u64;
        for round in 0..200_000 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let (digits, scale) = ((state >> 20) % 1_000_000_000, (state % 24) as i32 - 12);
            let number = match round % 3 {
                0 => f64::from_bits(state),
                1 => digits as f64 * 10_f64.powi(scale),
                _ => digits as f64 / 1000.0,
            };
            for precision in [6, 14, 15, 17] {
                let rounded: f64 = format!("{number:.*e}", precision - 1).parse().unwrap_or(0.0);
                let read: f64 = general(number, precision).parse().unwrap_or(0.0);
                assert!(!number.is_finite() || read == rounded, "{number:e} {precision}");
            }
        }
    }
}
