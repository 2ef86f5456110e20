//! Requests and replies as every client of Redis knows them: RESP2.
//!
//! A request is one array of bulk strings. A missing array is told as a null string.
//! Not here: inline commands, pipelines, RESP3.

use alloc::vec::Vec;

use ferrite_engine::{Reply, Value};

use crate::limits::{ARGUMENTS_MAX, BLOCK_BYTES, BUFFER_BYTES_MAX};

/// The least that an argument takes: `$0`, and two ends of line.
const ARGUMENT_BYTES_MIN: usize = 6;

/// The arguments of a request; none unless it is exactly one array of bulk strings.
pub(crate) fn arguments(request: &[u8]) -> Option<Vec<&[u8]>> {
    let mut rest = request;
    let count = header(&mut rest, b'*')?;
    // What it announces it must hold: nothing is allocated for a number alone.
    if count == 0 || count > ARGUMENTS_MAX || count > rest.len() / ARGUMENT_BYTES_MIN {
        return None;
    }
    let mut found = Vec::new();
    found.try_reserve_exact(count.next_multiple_of(BLOCK_BYTES / size_of::<&[u8]>())).ok()?;
    for _ in 0..count {
        let len = header(&mut rest, b'$')?;
        let (argument, behind) = rest.split_at_checked(len)?;
        rest = behind.strip_prefix(b"\r\n")?;
        found.push(argument);
    }
    rest.is_empty().then_some(found)
}

/// Takes a tag, a number and the end of the line off the front.
fn header(rest: &mut &[u8], tag: u8) -> Option<usize> {
    let line = rest.strip_prefix(&[tag])?;
    let digits = line.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, behind) = line.split_at_checked(digits)?;
    *rest = behind.strip_prefix(b"\r\n")?;
    let add = |sum: usize, digit: &u8| sum.checked_mul(10)?.checked_add(usize::from(digit - b'0'));
    if number.is_empty() { None } else { number.iter().try_fold(0, add) }
}

/// The bytes of the last reply.
pub(crate) struct Replies {
    pub(crate) bytes: Vec<u8>,
    /// Something did not fit, so `bytes` is no reply.
    pub(crate) is_cut: bool,
}

impl Replies {
    pub(crate) const fn new() -> Replies {
        Replies { bytes: Vec::new(), is_cut: false }
    }

    /// Forgets the last reply. Its memory stays: linear memory never shrinks, and were it given to
    /// the engine, the next reply as large would take as much again.
    pub(crate) fn clear(&mut self) {
        self.is_cut = false;
        self.bytes.clear();
    }

    /// Adds bytes as they are, unless memory or the limit forbids it.
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        if self.is_cut || !self.has_room(bytes.len()) {
            self.is_cut = true;
            return;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Whether so many bytes more can be had: whole blocks, and twice what there is if there is
    /// more to come.
    fn has_room(&mut self, bytes: usize) -> bool {
        let Replies { bytes: held, .. } = self;
        let needed = held.len().saturating_add(bytes);
        if needed <= held.capacity() || needed > BUFFER_BYTES_MAX {
            return needed <= BUFFER_BYTES_MAX;
        }
        let capacity = needed.max(2 * held.capacity()).next_multiple_of(BLOCK_BYTES);
        held.try_reserve_exact(capacity - held.len()).is_ok()
    }

    /// A tag, a number and the end of the line.
    fn line(&mut self, tag: u8, number: i64) {
        const LONGEST: usize = "-9223372036854775808".len();
        let mut digits = [0; LONGEST];
        let mut left = number.unsigned_abs();
        let mut len = 0;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (left % 10) as u8;
            left /= 10;
            len += 1;
            if left == 0 {
                break;
            }
        }
        let sign: &[u8] = if number < 0 { b"-" } else { b"" };
        for part in [&[tag][..], sign, digits.get(LONGEST - len..).unwrap_or_default(), b"\r\n"] {
            self.put(part);
        }
    }
}

impl Reply for Replies {
    fn simple(&mut self, text: &'static str) {
        for part in [b"+", text.as_bytes(), b"\r\n"] {
            self.put(part);
        }
    }

    fn integer(&mut self, number: i64) {
        self.line(b':', number);
    }

    fn bulk(&mut self, value: Value<'_>) {
        self.line(b'$', value.len() as i64);
        value.parts().for_each(|part| self.put(part));
        self.put(b"\r\n");
    }

    fn null(&mut self) {
        self.put(b"$-1\r\n");
    }

    fn array(&mut self, len: usize) {
        self.line(b'*', len as i64);
    }

    fn error(&mut self, parts: &[&[u8]]) {
        self.put(b"-");
        for byte in parts.iter().copied().flatten() {
            self.put(&[if matches!(byte, b'\r' | b'\n') { b' ' } else { *byte }]);
        }
        self.put(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_exactly_one_array_of_strings() {
        let check = |request: &str, expected: Option<&[&str]>| {
            let given = arguments(request.as_bytes());
            let expected =
                expected.map(|words| words.iter().map(|word| word.as_bytes()).collect::<Vec<_>>());
            assert_eq!(given, expected, "{request:?}");
        };
        check("*1\r\n$4\r\nPING\r\n", Some(&["PING"]));
        check("*2\r\n$3\r\nGET\r\n$0\r\n\r\n", Some(&["GET", ""]));
        check("*2\r\n$3\r\nGET\r\n$2\r\n\r\n\r\n", Some(&["GET", "\r\n"]));
        for wrong in [
            "",
            "PING\r\n",
            "*0\r\n",
            "*-1\r\n",
            "*\r\n",
            "*1\r\n",
            "*1\n$4\nPING\n",
            "*1\r\n$4\r\nPIN\r\n",
            "*1\r\n$4\r\nPINGx\r",
            "*1\r\n$4\r\nPING\r\n ",
            "*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPING\r\n",
            "*2\r\n$4\r\nPING\r\n",
            "*1\r\n$-1\r\n",
            "*1\r\n:1\r\n",
            "*1\r\n$18446744073709551617\r\nx\r\n",
            "*99999999999999999999\r\n$4\r\nPING\r\n",
            "*1048577\r\n$4\r\nPING\r\n",
        ] {
            check(wrong, None);
        }
    }

    #[test]
    fn numbers_are_written_whole() {
        for number in [0, 7, -7, 10, i64::MAX, i64::MIN] {
            let mut replies = Replies::new();
            replies.integer(number);
            assert_eq!(replies.bytes, std::format!(":{number}\r\n").into_bytes());
        }
    }

    #[test]
    fn an_error_is_one_line() {
        let mut replies = Replies::new();
        replies.error(&[b"ERR unknown 'a\r\nb'", b""]);
        assert_eq!(replies.bytes, b"-ERR unknown 'a  b'\r\n");
    }
}
