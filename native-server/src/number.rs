//! Numbers as Redis reads them from arguments.

/// A 64-bit integer: no spaces, no plus sign, no leading zeros, no minus zero.
pub fn integer(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    // No longer number fits, and so many digits fit in 64 bits without a sign.
    if *digits.first()? == b'0' && text.len() > 1 || digits.len() > 19 {
        return None;
    }
    let mut magnitude = 0_u64;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        magnitude = magnitude.wrapping_mul(10).wrapping_add(digit.into());
    }
    match digits.len() == text.len() {
        true => i64::try_from(magnitude).ok(),
        false => 0_i64.checked_sub_unsigned(magnitude),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_as_redis_reads_them() {
        for number in [0, 1, -1, 42, i64::MAX, i64::MIN] {
            assert_eq!(integer(number.to_string().as_bytes()), Some(number));
        }
        for bad in [
            "",
            "-",
            "-0",
            "00",
            "01",
            "-01",
            "+1",
            " 1",
            "1 ",
            "1a",
            "--1",
            "9223372036854775808",
            "-9223372036854775809",
            "9999999999999999999",
            "-9999999999999999999",
            "18446744073709551616",
            "-18446744073709551617",
            "100000000000000000000",
        ] {
            assert_eq!(integer(bad.as_bytes()), None, "{bad:?}");
        }
    }
}
