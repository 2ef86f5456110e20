//! A reply that a function gives: RESP3, looked at to the end before anything of it is sent.
//!
//! Invariant: what is written is one complete reply. On an error the output is cut off by whoever
//! called, at the mark it took before.

use ferrite_engine::Reply;

use crate::functions::failure::{Failure, error_line};
use crate::limits::functions::{REPLY_DEPTH_MAX, REPLY_VALUES_MAX};
use crate::number;
use crate::resp::wire::Wire;

/// Writes a reply of RESP3 in the protocol of the wire.
///
/// # Errors
/// [`Failure::Line`] if its outermost value is an error, [`Failure::Trap`] if it is malformed.
pub fn write(reply: &[u8], wire: &mut Wire<'_>) -> Result<(), Failure> {
    if reply.is_empty() {
        wire.null();
        return Ok(());
    }
    let mut reader = Reader { rest: reply };
    if reply.first() == Some(&b'-') {
        let line = reader.line().and_then(|line| reader.end().map(|()| line)).map_err(malformed)?;
        return Err(Failure::Line(error_line(line.get(1..).unwrap_or_default())));
    }
    reader.values(wire).and_then(|()| reader.end()).map_err(malformed)
}

fn malformed(what: &'static str) -> Failure {
    Failure::Trap(format!("malformed reply: {what}"))
}

struct Reader<'r> {
    rest: &'r [u8],
}

type Read<T> = Result<T, &'static str>;

impl<'r> Reader<'r> {
    fn end(&self) -> Read<()> {
        if self.rest.is_empty() { Ok(()) } else { Err("there is something behind it") }
    }

    /// A line without its end; no control character may stand in it.
    fn line(&mut self) -> Read<&'r [u8]> {
        let end = self.rest.iter().position(|byte| byte.is_ascii_control());
        let (line, rest) = self.rest.split_at(end.ok_or("a line has no end")?);
        self.rest = rest.strip_prefix(b"\r\n").ok_or("a line has a control character")?;
        Ok(line)
    }

    /// Values until the outermost is complete, without recursion.
    fn values(&mut self, wire: &mut Wire<'_>) -> Read<()> {
        let mut open = [0_usize; REPLY_DEPTH_MAX + 1];
        let (mut depth, mut count) = (0, 0);
        open[0] = 1;
        loop {
            while open[depth] == 0 {
                if depth == 0 {
                    return Ok(());
                }
                depth -= 1;
            }
            open[depth] -= 1;
            count += 1;
            if count > REPLY_VALUES_MAX {
                return Err("it has too many values");
            }
            let inside = self.value(wire)?;
            if inside > 0 {
                if depth == REPLY_DEPTH_MAX {
                    return Err("it is too deep");
                }
                depth += 1;
                open[depth] = inside;
            }
        }
    }

    /// One value, or the head of several: how many follow as its own.
    fn value(&mut self, wire: &mut Wire<'_>) -> Read<usize> {
        let (&mark, text) = self.line()?.split_first().ok_or("a value has no type")?;
        match mark {
            b'_' if text.is_empty() => wire.null(),
            b'#' if text == b"t" => wire.boolean(true),
            b'#' if text == b"f" => wire.boolean(false),
            b':' => wire.integer(number::integer(text).ok_or("an integer is none")?),
            b',' => {
                if !is_double(text) {
                    return Err("a double is none");
                }
                wire.double(text.into());
            }
            b'+' => wire.simple_bytes(text),
            b'-' => wire.error(&[error_line(text).as_bytes()]),
            b'$' => {
                let len = length(text, self.rest.len())?;
                let (bytes, rest) = self.rest.split_at(len);
                self.rest = rest.strip_prefix(b"\r\n").ok_or("a string has no end")?;
                wire.bulk(bytes.into());
            }
            // Each value takes three bytes at least.
            b'*' => {
                let len = length(text, self.rest.len() / 3)?;
                wire.array(len);
                return Ok(len);
            }
            b'~' => {
                let len = length(text, self.rest.len() / 3)?;
                wire.set(len);
                return Ok(len);
            }
            b'%' => {
                let len = length(text, self.rest.len() / 6)?;
                wire.map(len);
                return Ok(len * 2);
            }
            _ => return Err("a value has an unknown type"),
        }
        Ok(0)
    }
}

fn length(text: &[u8], most: usize) -> Read<usize> {
    let len = number::integer(text).and_then(|len| usize::try_from(len).ok());
    len.filter(|len| *len <= most).ok_or("a length lies")
}

fn is_double(text: &[u8]) -> bool {
    let is_word = matches!(text, b"inf" | b"-inf" | b"nan");
    let is_digit = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
    let parsed = || std::str::from_utf8(text).ok().and_then(|text| text.parse::<f64>().ok());
    is_word || text.iter().all(is_digit) && parsed().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::wire::Protocol;

    fn written(reply: &str, protocol: Protocol) -> Result<String, String> {
        let mut out = Vec::new();
        match write(reply.as_bytes(), &mut Wire::new(&mut out, protocol)) {
            Ok(()) => Ok(String::from_utf8(out).expect("text")),
            Err(Failure::Trap(what)) => Err(what),
            Err(Failure::Line(line)) => Err(format!("-{line}")),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn values_go_through_in_both_protocols() {
        let check = |reply: &str, resp2: &str| {
            assert_eq!(written(reply, Protocol::Resp2).as_deref(), Ok(resp2), "{reply}");
            assert_eq!(written(reply, Protocol::Resp3).as_deref(), Ok(reply));
        };
        check("_\r\n", "$-1\r\n");
        check("#t\r\n", ":1\r\n");
        check(":-12\r\n", ":-12\r\n");
        check(",3.99\r\n", "$4\r\n3.99\r\n");
        check(",-inf\r\n", "$4\r\n-inf\r\n");
        check("+OK\r\n", "+OK\r\n");
        check("$3\r\na\r\n\r\n", "$3\r\na\r\n\r\n");
        check("$0\r\n\r\n", "$0\r\n\r\n");
        check("*2\r\n:1\r\n*0\r\n", "*2\r\n:1\r\n*0\r\n");
        check("%1\r\n+a\r\n~1\r\n:2\r\n", "*2\r\n+a\r\n*1\r\n:2\r\n");
        check("*1\r\n-E x\r\n", "*1\r\n-E x\r\n");
        let deep = format!("{}:1\r\n", "*1\r\n".repeat(16));
        check(&deep, &deep);
    }

    #[test]
    fn what_lies_is_refused() {
        let check = |reply: &str, what: &str| {
            let expected = format!("malformed reply: {what}");
            assert_eq!(written(reply, Protocol::Resp2), Err(expected), "{reply:?}");
        };
        check("x", "a line has no end");
        check("?\r\n", "a value has an unknown type");
        check("\r\n", "a value has no type");
        check(":1\r\n:2\r\n", "there is something behind it");
        check(":1x\r\n", "an integer is none");
        check(":1\r", "a line has a control character");
        check("$4\r\nabc\r\n", "a string has no end");
        check("$99999\r\nabc\r\n", "a length lies");
        check("$-1\r\n", "a length lies");
        check("*4294967296\r\n", "a length lies");
        check("*2\r\n:1\r\n", "a length lies");
        check("*1\r\n*1\r\n\r\n", "a length lies");
        check(",1x\r\n", "a double is none");
        check(&format!("{}:1\r\n", "*1\r\n".repeat(17)), "it is too deep");
        let many = format!("*{REPLY_VALUES_MAX}\r\n{}", ":1\r\n".repeat(REPLY_VALUES_MAX));
        check(&many, "it has too many values");
        assert_eq!(written("-LIMITED no\r\n", Protocol::Resp2), Err("-LIMITED no".into()));
        assert_eq!(written("-no\r\n", Protocol::Resp2), Err("-ERR no".into()));
    }
}
