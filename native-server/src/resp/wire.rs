//! Replies, written into a connection's output in RESP2 or RESP3.
//!
//! Invariant: what a command answers is complete in the output when it returns; a reply that turns
//! into an error on the way is cut off by whoever called the command, at the mark it took before.
//!
//! Not here: when the output is sent.

use ferrite_engine::{Reply, Value};

/// The protocol that a connection speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Protocol {
    /// RESP2, which every connection starts with.
    #[default]
    Resp2,
    /// RESP3, which HELLO turns on.
    Resp3,
}

impl Protocol {
    /// Its number in HELLO.
    pub fn number(self) -> i64 {
        match self {
            Protocol::Resp2 => 2,
            Protocol::Resp3 => 3,
        }
    }
}

/// A sink for replies over an output buffer.
pub struct Wire<'o> {
    /// The output.
    pub out: &'o mut Vec<u8>,
    /// What it is written in.
    pub protocol: Protocol,
    /// Where the last error stands, until somebody counts it.
    pub error_at: Option<usize>,
}

impl<'o> Wire<'o> {
    /// A sink that writes behind what is in `out`.
    pub fn new(out: &'o mut Vec<u8>, protocol: Protocol) -> Wire<'o> {
        Wire { out, protocol, error_at: None }
    }

    fn is_resp3(&self) -> bool {
        self.protocol == Protocol::Resp3
    }

    /// A line of a mark and a number: most headers are short, so these are written at once.
    #[inline]
    fn head(&mut self, mark: u8, number: usize) {
        if number < 10 {
            self.out.extend_from_slice(&[mark, b'0' + number as u8, b'\r', b'\n']);
        } else {
            self.long_head(mark, number);
        }
    }

    fn long_head(&mut self, mark: u8, number: usize) {
        self.out.push(mark);
        self.out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        self.out.extend_from_slice(b"\r\n");
    }

    fn line(&mut self, mark: u8, text: &[u8]) {
        self.out.push(mark);
        self.out.extend_from_slice(text);
        self.out.extend_from_slice(b"\r\n");
    }

    /// `+OK`
    pub fn ok(&mut self) {
        self.out.extend_from_slice(b"+OK\r\n");
    }

    /// A simple string that is put together.
    pub fn status(&mut self, text: &str) {
        self.line(b'+', text.as_bytes());
    }

    /// A simple string of bytes that hold no control character.
    pub fn simple_bytes(&mut self, text: &[u8]) {
        self.line(b'+', text);
    }

    /// A bulk string.
    pub fn text(&mut self, text: impl AsRef<[u8]>) {
        self.bulk(text.as_ref().into());
    }

    /// An error line.
    pub fn error_text(&mut self, text: &str) {
        self.error(&[text.as_bytes()]);
    }

    /// A text for people, of which RESP3 says so.
    pub fn verbatim(&mut self, text: &str) {
        if self.is_resp3() {
            self.long_head(b'=', text.len() + 4);
            self.out.extend_from_slice(b"txt:");
            self.out.extend_from_slice(text.as_bytes());
            self.out.extend_from_slice(b"\r\n");
        } else {
            self.text(text);
        }
    }

    /// A message that answers no request: an array in RESP2.
    pub fn push(&mut self, len: usize) {
        let mark = if self.is_resp3() { b'>' } else { b'*' };
        self.head(mark, len);
    }

    /// True or false: one or zero in RESP2.
    pub fn boolean(&mut self, is_true: bool) {
        if self.is_resp3() {
            self.out.extend_from_slice(if is_true { b"#t\r\n" } else { b"#f\r\n" });
        } else {
            self.integer(is_true.into());
        }
    }

    /// An integer of any length: a bulk string in RESP2.
    pub fn big_number(&mut self, digits: &str) {
        if self.is_resp3() { self.line(b'(', digits.as_bytes()) } else { self.text(digits) }
    }

    /// Attributes of the reply that follows: `len` keys, each followed by its value. False, and
    /// they must not be written, in RESP2, which has none.
    pub fn attributes(&mut self, len: usize) -> bool {
        if self.is_resp3() {
            self.head(b'|', len);
        }
        self.is_resp3()
    }

    /// Several bulk strings in an array.
    pub fn texts<T: AsRef<[u8]>>(&mut self, texts: &[T]) {
        self.array(texts.len());
        texts.iter().for_each(|text| self.text(text));
    }
}

impl Reply for Wire<'_> {
    #[inline]
    fn simple(&mut self, text: &'static str) {
        self.line(b'+', text.as_bytes());
    }

    #[inline]
    fn integer(&mut self, number: i64) {
        if (0..10).contains(&number) {
            self.out.extend_from_slice(&[b':', b'0' + number as u8, b'\r', b'\n']);
            return;
        }
        self.line(b':', itoa::Buffer::new().format(number).as_bytes());
    }

    #[inline]
    fn bulk(&mut self, value: Value<'_>) {
        self.head(b'$', value.len());
        match value.as_slice() {
            Some(bytes) => self.out.extend_from_slice(bytes),
            None => value.parts().for_each(|part| self.out.extend_from_slice(part)),
        }
        self.out.extend_from_slice(b"\r\n");
    }

    #[inline]
    fn null(&mut self) {
        self.out.extend_from_slice(if self.is_resp3() { b"_\r\n" } else { b"$-1\r\n" });
    }

    fn array(&mut self, len: usize) {
        self.head(b'*', len);
    }

    fn error(&mut self, parts: &[&[u8]]) {
        self.error_at = Some(self.out.len());
        self.out.push(b'-');
        let start = self.out.len();
        parts.iter().for_each(|part| self.out.extend_from_slice(part));
        // An error is one line, whatever was quoted in it.
        if let Some(text) = self.out.get_mut(start..) {
            text.iter_mut().filter(|byte| matches!(byte, b'\r' | b'\n')).for_each(|b| *b = b' ');
        }
        self.out.extend_from_slice(b"\r\n");
    }

    fn null_array(&mut self) {
        self.out.extend_from_slice(if self.is_resp3() { b"_\r\n" } else { b"*-1\r\n" });
    }

    fn map(&mut self, len: usize) {
        if self.is_resp3() { self.head(b'%', len) } else { self.array(len.saturating_mul(2)) }
    }

    fn set(&mut self, len: usize) {
        self.head(if self.is_resp3() { b'~' } else { b'*' }, len);
    }

    fn pairs(&mut self, len: usize) {
        self.array(if self.is_resp3() { len } else { len.saturating_mul(2) });
    }

    fn pair(&mut self) {
        if self.is_resp3() {
            self.array(2);
        }
    }

    fn entries(&mut self, len: usize) {
        self.head(if self.is_resp3() { b'%' } else { b'*' }, len);
    }

    fn entry(&mut self) {
        if !self.is_resp3() {
            self.array(2);
        }
    }

    fn double(&mut self, text: Value<'_>) {
        match text.as_slice() {
            Some(text) if self.is_resp3() => self.line(b',', text),
            _ => self.bulk(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(write: impl Fn(&mut Wire<'_>), resp2: &str, resp3: &str) {
        for (protocol, expected) in [(Protocol::Resp2, resp2), (Protocol::Resp3, resp3)] {
            let mut out = Vec::new();
            write(&mut Wire::new(&mut out, protocol));
            assert_eq!(String::from_utf8_lossy(&out), expected);
        }
    }

    #[test]
    fn both_protocols() {
        let same = |write: &dyn Fn(&mut Wire<'_>), text: &str| check(write, text, text);
        same(&|wire| wire.simple("OK"), "+OK\r\n");
        same(&|wire| wire.integer(7), ":7\r\n");
        same(&|wire| wire.integer(-70), ":-70\r\n");
        same(&|wire| wire.text("hello, world"), "$12\r\nhello, world\r\n");
        same(&|wire| wire.error_text("ERR a\r\nb"), "-ERR a  b\r\n");
        same(&|wire| wire.array(12), "*12\r\n");
        check(|wire| wire.null(), "$-1\r\n", "_\r\n");
        check(|wire| wire.null_array(), "*-1\r\n", "_\r\n");
        check(|wire| wire.map(2), "*4\r\n", "%2\r\n");
        check(|wire| wire.set(2), "*2\r\n", "~2\r\n");
        check(|wire| wire.push(3), "*3\r\n", ">3\r\n");
        check(|wire| wire.boolean(true), ":1\r\n", "#t\r\n");
        check(|wire| wire.double("1.5".into()), "$3\r\n1.5\r\n", ",1.5\r\n");
        check(|wire| wire.verbatim("hi"), "$2\r\nhi\r\n", "=6\r\ntxt:hi\r\n");
        let pairs = |wire: &mut Wire<'_>| {
            wire.pairs(1);
            wire.pair();
        };
        check(pairs, "*2\r\n", "*1\r\n*2\r\n");
    }
}
