//! Requests of the usual form, several at once: those that a pipeline brings, one behind the other.
//!
//! They are found in one go, and the keyspace is shown their keys before the first of them is run,
//! so that memory delivers what it has of them side by side. What is here is read as the parser
//! (parser.rs) reads it; what looks unusual, or is not complete, ends the look and is left to it.
//!
//! Invariant: the arguments are slices of the input, and what is found stays within limits that no
//! configuration is below.

/// Requests that are looked at together.
pub const AHEAD_MAX: usize = 16;

/// Arguments of all of them; a request with more is the parser's.
const ARGUMENTS_MAX: usize = 1024;

/// The longest number in a header that is read here, in digits: less than `proto-max-bulk-len` may
/// be.
const DIGITS_MAX: usize = 6;

/// Whole requests at the start of some input.
#[derive(Default)]
pub struct Ahead {
    /// Where the arguments of each end, among those of all, and where the request does.
    ends: [(usize, usize); AHEAD_MAX],
    count: usize,
}

impl Ahead {
    /// Finds the requests that `input` begins with, and puts their arguments into a list.
    pub fn read<'a>(input: &'a [u8], arguments: &mut Vec<&'a [u8]>) -> Ahead {
        arguments.clear();
        let mut ahead = Ahead::default();
        let mut at = 0;
        while ahead.count < AHEAD_MAX {
            let Some(end) = request(input, at, arguments) else {
                // What was found of one that is not whole.
                let whole = ahead.count.checked_sub(1).map_or(0, |last| ahead.ends[last].0);
                arguments.truncate(whole);
                break;
            };
            ahead.ends[ahead.count] = (arguments.len(), end);
            ahead.count += 1;
            at = end;
        }
        ahead
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The arguments of one of them, among those of all, and where it ends in the input.
    pub fn request<'r, 'a>(&self, number: usize, all: &'r [&'a [u8]]) -> (&'r [&'a [u8]], usize) {
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before].0);
        let (end, at) = self.ends[number];
        (all.get(start..end).unwrap_or_default(), at)
    }

    /// The arguments of each.
    pub fn requests<'r, 'a>(&self, all: &'r [&'a [u8]]) -> [&'r [&'a [u8]]; AHEAD_MAX] {
        let mut requests: [&[&[u8]]; AHEAD_MAX] = [&[]; AHEAD_MAX];
        for (number, request) in requests.iter_mut().enumerate().take(self.count) {
            *request = self.request(number, all).0;
        }
        requests
    }
}

/// Reads the request at `at`. Where it ends.
fn request<'a>(input: &'a [u8], at: usize, arguments: &mut Vec<&'a [u8]>) -> Option<usize> {
    let (count, mut at) = header(input, at, b'*')?;
    if arguments.len() + count > ARGUMENTS_MAX {
        return None;
    }
    for _ in 0..count {
        let (len, start) = header(input, at, b'$')?;
        arguments.push(input.get(start..start + len)?);
        at = start + len + 2;
    }
    (at <= input.len()).then_some(at)
}

/// The number behind a mark, and where the next line begins.
#[inline]
fn header(input: &[u8], at: usize, mark: u8) -> Option<(usize, usize)> {
    let line = input.get(at..)?;
    // Most numbers have one digit or two.
    match *line {
        [first, digit @ b'0'..=b'9', b'\r', _, ..] if first == mark => {
            return Some((usize::from(digit - b'0'), at + 4));
        }
        [first, tens @ b'1'..=b'9', ones @ b'0'..=b'9', b'\r', _, ..] if first == mark => {
            return Some((usize::from(tens - b'0') * 10 + usize::from(ones - b'0'), at + 5));
        }
        [first, b'1'..=b'9', ..] if first == mark => {}
        _ => return None,
    }
    let mut number = 0;
    for digits in 1..=DIGITS_MAX + 1 {
        let byte = *line.get(digits)?;
        if byte == b'\r' {
            return (line.len() > digits + 1).then_some((number, at + digits + 2));
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

    fn check<'a>(input: &'a [u8], keys: &[&[u8]], len: usize) {
        let mut arguments = Vec::new();
        let ahead = Ahead::read(input, &mut arguments);
        let end = ahead.count().checked_sub(1).map_or(0, |last| ahead.request(last, &arguments).1);
        let requests = &ahead.requests(&arguments)[..ahead.count()];
        let key = |request: &&[&'a [u8]]| request.get(1).copied().unwrap_or_default();
        let found: Vec<&[u8]> = requests.iter().map(key).collect();
        assert_eq!((&found[..], end), (keys, len), "{}", input.escape_ascii());
        let all: usize = requests.iter().map(|request| request.len()).sum();
        assert_eq!(all, arguments.len(), "{}", input.escape_ascii());
    }

    #[test]
    fn whole_requests_are_looked_at() {
        let get = b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n";
        check(get, &[b"a"], get.len());
        check(&[&get[..], b"*1\r\n$4\r\nPING\r\n"].concat(), &[b"a", b""], get.len() + 14);
        check(&[&get[..], &get[..10]].concat(), &[b"a"], get.len());
        check(&get[..get.len() - 1], &[], 0);
        check(&get.repeat(20), &[&b"a"[..]; AHEAD_MAX], AHEAD_MAX * get.len());
        check(b"*0\r\n*0\r", &[b""], 4);
        let long = [&b"*2\r\n$3\r\nGET\r\n$123\r\n"[..], &[b'k'; 123], b"\r\n"].concat();
        check(&long, &[&[b'k'; 123]], long.len());
        let many = [&b"*2000\r\n"[..], &b"$1\r\nx\r\n".repeat(2000)].concat();
        check(&[&get[..], &many].concat(), &[b"a"], get.len());
    }

    #[test]
    fn what_is_unusual_ends_the_look() {
        for input in [
            &b""[..],
            b"PING\r\n",
            b"*-1\r\n",
            b"*\r\n",
            b"*01\r\n$4\r\nPING\r\n",
            b"*1\r\n$04\r\nPING\r\n",
            b"*2\r\n$3\r\nGET\r\n$x\r\n",
            b"*2\r\n$3\r\nGET\r\n$9999999\r\n",
            b"*1\r\n$999999\r\nabc\r\n",
            b"*1\r\n+3\r\nGET\r\n",
        ] {
            check(input, &[], 0);
        }
    }
}
