//! Requests, read from the bytes that a connection has received so far.
//!
//! Invariant: arguments are never copied; a request is a list of ranges of the input. A request
//! that is not complete is not read twice either: the parser remembers how far it came, counted
//! from where the request begins, so that its bytes may move meanwhile.
//!
//! Not here: who reads the bytes, and what is done with them.

use std::ops::Range;

use thiserror::Error;

use crate::limits::{
    ARGUMENTS_MAX, INLINE_BYTES_MAX, STRANGER_ARGUMENTS_MAX, STRANGER_BULK_BYTES_MAX,
};
use crate::resp::inline;

/// What is no request. The connection is closed after the error was sent, in Redis's words.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[allow(missing_docs, reason = "each is its text")]
pub enum Malformed {
    #[error("Protocol error: too big mbulk count string")]
    LongCount,
    #[error("Protocol error: invalid multibulk length")]
    InvalidCount,
    #[error("Protocol error: unauthenticated multibulk length")]
    StrangerCount,
    #[error("Protocol error: too big bulk count string")]
    LongLength,
    #[error("Protocol error: invalid bulk length")]
    InvalidLength,
    #[error("Protocol error: unauthenticated bulk length")]
    StrangerLength,
    #[error("Protocol error: expected '$', got '{}'", *.0 as char)]
    ExpectedBulk(u8),
    #[error("Protocol error: too big inline request")]
    LongInline,
    #[error("Protocol error: unbalanced quotes in request")]
    UnbalancedQuotes,
}

/// What the parser found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Parsed {
    /// A request of so many bytes; without arguments for an empty line.
    Request(usize),
    /// The request goes on; so many more bytes are known to come.
    Incomplete(usize),
}

/// What a connection may send.
#[derive(Clone, Copy, Debug)]
pub struct Allowed {
    /// Longest argument (`proto-max-bulk-len`).
    pub bulk_bytes_max: usize,
    /// Whether it has yet to say the password.
    pub is_stranger: bool,
}

/// Reads requests one after the other.
#[derive(Default)]
pub struct Parser {
    /// The arguments found so far, counted from where the request begins.
    ranges: Vec<Range<usize>>,
    /// Arguments still to come; none between requests.
    missing: usize,
    /// How far the request was read.
    position: usize,
    /// Bytes that are known to come before the request is complete.
    pub wanted: usize,
    /// The words of an inline request, quotes resolved; they are its arguments.
    words: Option<Vec<u8>>,
}

/// A line's end was looked for.
enum Line {
    /// The line is at the range, and the next begins here.
    Ends(Range<usize>, usize),
    Open,
}

impl Parser {
    /// Reads on, in `input`, which begins where the request does.
    ///
    /// # Errors
    /// What is no request is [`Malformed`]. Nothing can be read behind it.
    #[inline]
    pub fn read(&mut self, input: &[u8], allowed: &Allowed) -> Result<Parsed, Malformed> {
        if self.missing == 0 {
            self.ranges.clear();
            self.words = None;
            self.position = 0;
            self.wanted = 0;
            match input.first() {
                None => return Ok(Parsed::Incomplete(0)),
                Some(b'*') => {}
                Some(_) => return self.read_inline(input),
            }
            if !self.read_count(input, allowed)? {
                return Ok(Parsed::Incomplete(0));
            }
        }
        while self.missing > 0 {
            if let Some(wanted) = self.read_bulk(input, allowed)? {
                self.wanted = wanted;
                return Ok(Parsed::Incomplete(wanted));
            }
        }
        Ok(Parsed::Request(self.position))
    }

    /// Whether a request was begun.
    pub fn is_amid(&self) -> bool {
        self.missing > 0
    }

    /// The arguments of the request that was just read from `input`.
    #[inline]
    pub fn arguments<'a>(&'a self, input: &'a [u8], arguments: &mut Vec<&'a [u8]>) {
        let text = self.words.as_deref().unwrap_or(input);
        arguments.clear();
        arguments
            .extend(self.ranges.iter().map(|range| text.get(range.clone()).unwrap_or_default()));
    }

    /// The line `*3`: how many arguments follow. False if it is not complete.
    #[inline]
    fn read_count(&mut self, input: &[u8], allowed: &Allowed) -> Result<bool, Malformed> {
        let (number, next) = match line(input, 1) {
            Line::Ends(digits, next) => (integer(input.get(digits).unwrap_or_default()), next),
            Line::Open if input.len() > INLINE_BYTES_MAX => return Err(Malformed::LongCount),
            Line::Open => return Ok(false),
        };
        let count = number.ok_or(Malformed::InvalidCount)?.max(0);
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if count > ARGUMENTS_MAX {
            return Err(Malformed::InvalidCount);
        }
        if allowed.is_stranger && count > STRANGER_ARGUMENTS_MAX {
            return Err(Malformed::StrangerCount);
        }
        self.missing = count;
        self.position = next;
        Ok(true)
    }

    /// One argument: `$3`, and its bytes. `None` if it is complete, else how many bytes are known
    /// to be missing.
    #[inline]
    fn read_bulk(&mut self, input: &[u8], allowed: &Allowed) -> Result<Option<usize>, Malformed> {
        let at = self.position;
        match input.get(at) {
            None => return Ok(Some(0)),
            Some(b'$') => {}
            Some(&other) => return Err(Malformed::ExpectedBulk(other)),
        }
        let (number, start) = match line(input, at + 1) {
            Line::Ends(digits, next) => (integer(input.get(digits).unwrap_or_default()), next),
            Line::Open if input.len() - at > INLINE_BYTES_MAX => return Err(Malformed::LongLength),
            Line::Open => return Ok(Some(0)),
        };
        let len = number.and_then(|len| usize::try_from(len).ok());
        let len = len.filter(|&len| len <= allowed.bulk_bytes_max);
        let len = len.ok_or(Malformed::InvalidLength)?;
        if allowed.is_stranger && len > STRANGER_BULK_BYTES_MAX {
            return Err(Malformed::StrangerLength);
        }
        let next = start + len + 2;
        if next > input.len() {
            return Ok(Some(next - input.len()));
        }
        self.ranges.push(start..start + len);
        self.missing -= 1;
        self.position = next;
        Ok(None)
    }

    #[cold]
    fn read_inline(&mut self, input: &[u8]) -> Result<Parsed, Malformed> {
        let Some(end) = input.iter().position(|&byte| byte == b'\n') else {
            let is_long = input.len() > INLINE_BYTES_MAX;
            return if is_long { Err(Malformed::LongInline) } else { Ok(Parsed::Incomplete(0)) };
        };
        let line = input.get(..end).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let (text, ranges) = inline::split(line).ok_or(Malformed::UnbalancedQuotes)?;
        self.words = Some(text);
        self.ranges = ranges;
        Ok(Parsed::Request(end + 1))
    }
}

/// The line that begins here. As in Redis, whatever follows its CR is taken for the LF.
#[inline]
fn line(input: &[u8], start: usize) -> Line {
    // Headers are a few digits: what is found at once need not be searched for.
    let rest = input.get(start..).unwrap_or_default();
    match rest.iter().position(|&byte| byte == b'\r') {
        Some(len) if rest.len() > len + 1 => Line::Ends(start..start + len, start + len + 2),
        _ => Line::Open,
    }
}

/// A 64-bit integer, as Redis reads one.
#[inline]
fn integer(text: &[u8]) -> Option<i64> {
    match text {
        [digit @ b'0'..=b'9'] => return Some(i64::from(digit - b'0')),
        [tens @ b'1'..=b'9', ones @ b'0'..=b'9'] => {
            return Some(i64::from(tens - b'0') * 10 + i64::from(ones - b'0'));
        }
        _ => {}
    }
    crate::number::integer(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWED: Allowed = Allowed { bulk_bytes_max: 1000, is_stranger: false };

    /// Reads all requests of `input`, given in one piece and byte by byte, with the same outcome.
    fn check(input: &[u8], expected: Result<&[&[&str]], Malformed>) {
        for step in [input.len().max(1), 1, 3] {
            let given = requests(input, step, &ALLOWED);
            let expected = expected.map(|requests| {
                let words = |words: &&[&str]| words.iter().map(|w| w.as_bytes().to_vec()).collect();
                requests.iter().map(words).collect::<Vec<Vec<_>>>()
            });
            assert_eq!(given, expected, "{:?} by {step}", String::from_utf8_lossy(input));
        }
    }

    fn requests(
        input: &[u8],
        step: usize,
        allowed: &Allowed,
    ) -> Result<Vec<Vec<Vec<u8>>>, Malformed> {
        let (mut parser, mut buffer, mut found) = (Parser::default(), Vec::new(), Vec::new());
        for piece in input.chunks(step) {
            buffer.extend_from_slice(piece);
            while let Parsed::Request(len) = parser.read(&buffer, allowed)? {
                let mut arguments = Vec::new();
                parser.arguments(&buffer, &mut arguments);
                found.push(arguments.iter().map(|argument| argument.to_vec()).collect());
                buffer.drain(..len);
            }
        }
        Ok(found)
    }

    #[test]
    fn requests_are_read_in_any_pieces() {
        check(b"", Ok(&[]));
        check(b"*1\r\n$4\r\nPING\r\n", Ok(&[&["PING"]]));
        check(
            b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*1\r\n$4\r\nPING\r\n",
            Ok(&[&["GET", "k"], &["PING"]]),
        );
        check(b"*2\r\n$3\r\nGET\r\n$10\r\n0123456789\r\n*", Ok(&[&["GET", "0123456789"]]));
        check(b"PING\r\nGET \"a b\"\n\r\n", Ok(&[&["PING"], &["GET", "a b"], &[]]));
        check(b"*0\r\n*-1\r\n*1\r\n$0\r\n\r\n", Ok(&[&[], &[], &[""]]));
    }

    #[test]
    fn what_is_no_request_is_refused_as_redis_does() {
        check(b"*x\r\n", Err(Malformed::InvalidCount));
        check(b"*16777217\r\n", Err(Malformed::InvalidCount));
        check(b"*1\r\n:4\r\n", Err(Malformed::ExpectedBulk(b':')));
        check(b"*1\r\n$x\r\n", Err(Malformed::InvalidLength));
        check(b"*1\r\n$-1\r\n", Err(Malformed::InvalidLength));
        check(b"*1\r\n$1001\r\n", Err(Malformed::InvalidLength));
        check(b"SET \"k\r\n", Err(Malformed::UnbalancedQuotes));
        let long = |head: &[u8]| [head, &vec![b'1'; INLINE_BYTES_MAX + 1]].concat();
        let all = |input: &[u8]| requests(input, input.len(), &ALLOWED);
        assert_eq!(all(&long(b"*")), Err(Malformed::LongCount));
        assert_eq!(all(&long(b"*1\r\n$")), Err(Malformed::LongLength));
        assert_eq!(all(&long(b"")), Err(Malformed::LongInline));
    }

    #[test]
    fn strangers_may_send_little() {
        let stranger = Allowed { is_stranger: true, ..ALLOWED };
        assert_eq!(requests(b"*11\r\n", 9, &stranger), Err(Malformed::StrangerCount));
        let stranger = Allowed { bulk_bytes_max: 1 << 20, ..stranger };
        let refused = requests(b"*1\r\n$16385\r\n", 99, &stranger);
        assert_eq!(refused, Err(Malformed::StrangerLength));
    }
}
