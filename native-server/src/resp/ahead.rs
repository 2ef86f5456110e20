//! The requests behind the next one, as far as they can be told without reading them in earnest:
//! for each its first argument, which mostly is its key, or a function's first key.
//!
//! Nothing depends on what is found here: the keyspace is shown the keys that are about to be asked
//! for, so that memory delivers what it has of them side by side. What looks unusual ends the look.

/// Requests that are looked at together.
pub const AHEAD_MAX: usize = 16;

/// The longest number in a header that is read here, in digits.
const DIGITS_MAX: usize = 6;

/// The first arguments of whole requests at the start of some input.
pub struct Ahead<'a> {
    keys: [&'a [u8]; AHEAD_MAX],
    count: usize,
    /// Bytes of the requests that were looked at.
    pub len: usize,
}

impl<'a> Ahead<'a> {
    /// Looks at the requests that `input` begins with.
    pub fn of(input: &'a [u8]) -> Ahead<'a> {
        let mut ahead = Ahead { keys: [&[]; AHEAD_MAX], count: 0, len: 0 };
        while ahead.count < AHEAD_MAX {
            let Some((key, end)) = request(input, ahead.len) else { break };
            ahead.keys[ahead.count] = key;
            ahead.count += 1;
            ahead.len = end;
        }
        ahead
    }

    /// What seem to be their keys.
    pub fn keys(&self) -> &[&'a [u8]] {
        &self.keys[..self.count]
    }
}

/// The first argument of the request at `at`, and where the request ends.
fn request(input: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let (count, mut at) = header(input, at, b'*')?;
    let (mut key, mut place): (&[u8], _) = (&[], 1);
    for number in 0..count {
        let (len, start) = header(input, at, b'$')?;
        at = start + len + 2;
        if at > input.len() {
            return None;
        }
        if number == 0 && is_call(&input[start..start + len]) {
            place = FIRST_KEY;
        }
        if number == place {
            key = &input[start..start + len];
        }
    }
    Some((key, at))
}

/// Behind a function's name and the number of its keys.
const FIRST_KEY: usize = 3;

#[inline]
fn is_call(name: &[u8]) -> bool {
    matches!(name.len(), 5 | 8)
        && [&b"fcall"[..], b"fcall_ro"].iter().any(|call| name.eq_ignore_ascii_case(call))
}

/// The number behind a mark, and where the next line begins.
#[inline]
fn header(input: &[u8], at: usize, mark: u8) -> Option<(usize, usize)> {
    if *input.get(at)? != mark {
        return None;
    }
    let mut number = 0;
    for digits in 1..=DIGITS_MAX + 1 {
        let byte = *input.get(at + digits)?;
        if byte == b'\r' {
            return Some((number, at + digits + 2));
        }
        number = 10 * number + usize::from(byte.wrapping_sub(b'0'));
        if !byte.is_ascii_digit() {
            return None;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &[u8], keys: &[&[u8]], len: usize) {
        let ahead = Ahead::of(input);
        assert_eq!((ahead.keys(), ahead.len), (keys, len), "{}", input.escape_ascii());
    }

    #[test]
    fn whole_requests_are_looked_at() {
        let get = b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n";
        check(get, &[b"a"], get.len());
        check(&[&get[..], b"*1\r\n$4\r\nPING\r\n"].concat(), &[b"a", b""], get.len() + 14);
        check(&[&get[..], &get[..10]].concat(), &[b"a"], get.len());
        let fcall = b"*5\r\n$5\r\nFCALL\r\n$1\r\nf\r\n$1\r\n1\r\n$1\r\nk\r\n$1\r\na\r\n";
        check(fcall, &[b"k"], fcall.len());
        check(&get.repeat(20), &[&b"a"[..]; AHEAD_MAX], AHEAD_MAX * get.len());
    }

    #[test]
    fn what_is_unusual_ends_the_look() {
        for input in [
            &b""[..],
            b"PING\r\n",
            b"*-1\r\n",
            b"*2\r\n$3\r\nGET\r\n$x\r\n",
            b"*2\r\n$3\r\nGET\r\n$9999999\r\n",
            b"*1\r\n$999999\r\nabc\r\n",
            b"*1\r\n+3\r\nGET\r\n",
        ] {
            check(input, &[], 0);
        }
    }
}
