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
    let scientific = format!("{number:.*e}", precision - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if exponent < -4 || exponent >= precision as i32 {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", trimmed(mantissa), exponent.unsigned_abs());
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
    }
}
