//! Inline requests: one line, as somebody types it. Words may be quoted, as redis-cli does it.
//!
//! Invariant: what `split` accepts and refuses is what Redis's `sdssplitargs` does.

use std::fmt::Write;
use std::ops::Range;

/// The words of a line: their bytes one behind the other, and where each stands. `None` if a quote
/// is not closed, or goes on behind its end.
pub fn split(line: &[u8]) -> Option<(Vec<u8>, Vec<Range<usize>>)> {
    let (mut text, mut words) = (Vec::new(), Vec::new());
    let mut rest = line;
    loop {
        rest = rest.trim_ascii_start();
        // As C's strings do, a line ends at a zero byte.
        if rest.first().is_none_or(|&byte| byte == 0) {
            return Some((text, words));
        }
        let start = text.len();
        rest = word(rest, &mut text)?;
        words.push(start..text.len());
    }
}

/// A string as Redis shows one to people, and as [`split`] reads it back.
pub fn quote(line: &mut String, bytes: &[u8]) {
    line.push('"');
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => line.extend(['\\', byte as char]),
            b'\n' => line.push_str("\\n"),
            b'\r' => line.push_str("\\r"),
            b'\t' => line.push_str("\\t"),
            0x07 => line.push_str("\\a"),
            0x08 => line.push_str("\\b"),
            b' '..=b'~' => line.push(byte as char),
            // Writing to a string cannot fail.
            _ => drop(write!(line, "\\x{byte:02x}")),
        }
    }
    line.push('"');
}

/// Reads one word; what is behind it.
fn word<'a>(line: &'a [u8], text: &mut Vec<u8>) -> Option<&'a [u8]> {
    let mut rest = line;
    while let Some((&byte, behind)) = rest.split_first() {
        match byte {
            b' ' | b'\n' | b'\r' | b'\t' | 0 => break,
            b'"' => return closed(double_quoted(behind, text)?),
            b'\'' => return closed(single_quoted(behind, text)?),
            _ => {
                text.push(byte);
                rest = behind;
            }
        }
    }
    Some(rest)
}

/// Behind a closing quote there is a space, or nothing.
fn closed(rest: &[u8]) -> Option<&[u8]> {
    rest.first().is_none_or(|byte| byte.is_ascii_whitespace() || *byte == 0x0b).then_some(rest)
}

fn double_quoted<'a>(mut rest: &'a [u8], text: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        match rest {
            [b'"', behind @ ..] => return Some(behind),
            [b'\\', b'x', high, low, behind @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                text.push(hex(*high) << 4 | hex(*low));
                rest = behind;
            }
            [b'\\', letter, behind @ ..] => {
                text.push(match letter {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 0x08,
                    b'a' => 0x07,
                    other => *other,
                });
                rest = behind;
            }
            [byte, behind @ ..] => {
                text.push(*byte);
                rest = behind;
            }
            [] => return None,
        }
    }
}

fn single_quoted<'a>(mut rest: &'a [u8], text: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        match rest {
            [b'\\', b'\'', behind @ ..] => {
                text.push(b'\'');
                rest = behind;
            }
            [b'\'', behind @ ..] => return Some(behind),
            [byte, behind @ ..] => {
                text.push(*byte);
                rest = behind;
            }
            [] => return None,
        }
    }
}

fn hex(digit: u8) -> u8 {
    (digit as char).to_digit(16).unwrap_or_default() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: Option<&[&str]>) {
        let words = split(line.as_bytes()).map(|(text, words)| {
            let word = |range: Range<usize>| String::from_utf8_lossy(&text[range]).into_owned();
            words.into_iter().map(word).collect::<Vec<_>>()
        });
        assert_eq!(
            words,
            expected.map(|words| words.iter().map(|&w| w.into()).collect()),
            "{line}"
        );
    }

    #[test]
    fn words_are_split_as_redis_does() {
        check("", Some(&[]));
        check("  PING\t", Some(&["PING"]));
        check("SET k \"a b\"", Some(&["SET", "k", "a b"]));
        check(r#"SET k "\x41\n\"\\""#, Some(&["SET", "k", "A\n\"\\"]));
        check(r"SET k 'it\'s \n'", Some(&["SET", "k", "it's \\n"]));
        check("SET k ''", Some(&["SET", "k", ""]));
        check("SET k\"v\"", Some(&["SET", "kv"]));
        check("SET \"k\"v", None);
        check("SET \"k", None);
        check("SET 'k", None);
    }
}
