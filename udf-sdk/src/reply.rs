//! What a function answers, encoded as it is made: there is no tree of values in between, and only
//! what a function uses is part of its module.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use crate::error::Error;
use crate::raw;
use crate::value::Value;

/// A reply: RESP3, ready for the server, which shows it to clients of RESP2 in their form.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply(Vec<u8>);

impl Reply {
    /// Null: there is no such thing.
    pub fn null() -> Reply {
        Reply(b"_\r\n".to_vec())
    }

    /// A short text without control characters, such as `OK`. What has some becomes a bulk string.
    pub fn simple(text: &str) -> Reply {
        if text.bytes().any(|byte| byte.is_ascii_control()) {
            return Reply::bulk(text);
        }
        line(&[b"+", text.as_bytes()])
    }

    /// Bytes of any kind.
    pub fn bulk(bytes: impl AsRef<[u8]>) -> Reply {
        let bytes = bytes.as_ref();
        Reply(joined(&[Head::new(b'$', bytes.len() as i64).bytes(), bytes, END]))
    }

    /// Values in their order.
    pub fn array<T: Into<Reply>>(
        values: impl IntoIterator<Item = T, IntoIter: ExactSizeIterator>,
    ) -> Reply {
        sequence(b'*', values)
    }

    /// Values without order.
    pub fn set<T: Into<Reply>>(
        values: impl IntoIterator<Item = T, IntoIter: ExactSizeIterator>,
    ) -> Reply {
        sequence(b'~', values)
    }

    /// Names and values.
    pub fn map<K: Into<Reply>, V: Into<Reply>>(
        pairs: impl IntoIterator<Item = (K, V), IntoIter: ExactSizeIterator>,
    ) -> Reply {
        let pairs = pairs.into_iter();
        let mut reply = Head::new(b'%', pairs.len() as i64).bytes().to_vec();
        for (name, value) in pairs {
            reply.extend_from_slice(&name.into().0);
            reply.extend_from_slice(&value.into().0);
        }
        Reply(reply)
    }
}

/// What a function returns: a value, or an error, which discards all that it wrote.
///
/// A function may as well return `Result<T, Error>`, for `?`, or a plain value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UdfResult(Reply);

impl UdfResult {
    /// A value: a number, a text, bytes, an `Option` of these, or a [`Reply`].
    pub fn ok(value: impl Into<Reply>) -> UdfResult {
        UdfResult(value.into())
    }

    /// An error of the code `ERR`.
    pub fn error(message: &str) -> UdfResult {
        UdfResult::error_with_code("ERR", message)
    }

    /// An error of another code, which is one word in capitals: `DENIED`.
    pub fn error_with_code(code: &str, message: &str) -> UdfResult {
        UdfResult(line(&[b"-", code.as_bytes(), b" ", message.as_bytes()]))
    }

    /// Null.
    pub fn null() -> UdfResult {
        UdfResult(Reply::null())
    }
}

/// The reply as the server takes it from the function's result.
#[doc(hidden)]
pub fn finish(reply: impl Into<Reply>) -> i64 {
    raw::packed(reply.into().0)
}

const END: &[u8] = b"\r\n";

/// A type's letter, a number in digits, the end of a line: written from behind, and without a
/// vector that could grow, since code that grows one is most of a small module.
struct Head {
    bytes: [u8; HEAD_BYTES_MAX],
    start: usize,
}

const HEAD_BYTES_MAX: usize = 1 + 20 + 2;

impl Head {
    fn new(kind: u8, number: i64) -> Head {
        let mut head = Head { bytes: [0; HEAD_BYTES_MAX], start: HEAD_BYTES_MAX };
        head.put(b'\n');
        head.put(b'\r');
        let mut rest = number.unsigned_abs();
        loop {
            head.put(b'0' + (rest % 10) as u8);
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if number < 0 {
            head.put(b'-');
        }
        head.put(kind);
        head
    }

    fn put(&mut self, byte: u8) {
        self.start = self.start.saturating_sub(1);
        if let Some(place) = self.bytes.get_mut(self.start) {
            *place = byte;
        }
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }
}

/// The parts as one, with room for the end of a line. The standard library's `concat` checks more,
/// and weighs ten times as much.
pub(crate) fn joined(parts: &[&[u8]]) -> Vec<u8> {
    let length = parts.iter().map(|part| part.len()).fold(END.len(), usize::wrapping_add);
    let mut whole = Vec::with_capacity(length);
    for part in parts {
        whole.extend_from_slice(part);
    }
    whole
}

/// A line; without control characters, so that its end is its only one.
fn line(parts: &[&[u8]]) -> Reply {
    let mut reply = joined(parts);
    for byte in reply.iter_mut().filter(|byte| byte.is_ascii_control()) {
        *byte = b' ';
    }
    reply.extend_from_slice(END);
    Reply(reply)
}

fn sequence<T: Into<Reply>>(
    kind: u8,
    values: impl IntoIterator<Item = T, IntoIter: ExactSizeIterator>,
) -> Reply {
    let values = values.into_iter();
    let mut reply = Head::new(kind, values.len() as i64).bytes().to_vec();
    for value in values {
        reply.extend_from_slice(&value.into().0);
    }
    Reply(reply)
}

impl From<i64> for Reply {
    fn from(value: i64) -> Reply {
        Reply(Head::new(b':', value).bytes().to_vec())
    }
}

impl From<i32> for Reply {
    fn from(value: i32) -> Reply {
        i64::from(value).into()
    }
}

impl From<u32> for Reply {
    fn from(value: u32) -> Reply {
        i64::from(value).into()
    }
}

impl From<bool> for Reply {
    fn from(value: bool) -> Reply {
        Reply((if value { b"#t\r\n" } else { b"#f\r\n" }).to_vec())
    }
}

impl From<f64> for Reply {
    fn from(value: f64) -> Reply {
        let mut text = String::new();
        let written = if value.is_nan() {
            text.write_str("nan")
        } else if value != 0.0 && !(1e-7..1e17).contains(&value.abs()) {
            write!(text, "{value:e}")
        } else {
            write!(text, "{value}")
        };
        // Writing to a string does not fail.
        written.map_or_else(|_| Reply::null(), |()| line(&[b",", text.as_bytes()]))
    }
}

impl From<&str> for Reply {
    fn from(value: &str) -> Reply {
        Reply::bulk(value)
    }
}

impl From<String> for Reply {
    fn from(value: String) -> Reply {
        Reply::bulk(value)
    }
}

impl From<&[u8]> for Reply {
    fn from(value: &[u8]) -> Reply {
        Reply::bulk(value)
    }
}

impl From<Vec<u8>> for Reply {
    fn from(value: Vec<u8>) -> Reply {
        Reply::bulk(value)
    }
}

impl From<()> for Reply {
    fn from((): ()) -> Reply {
        Reply::simple("OK")
    }
}

impl From<Error> for Reply {
    fn from(error: Error) -> Reply {
        line(&[b"-", error.bytes()])
    }
}

impl<T: Into<Reply>> From<Option<T>> for Reply {
    fn from(value: Option<T>) -> Reply {
        value.map_or_else(Reply::null, Into::into)
    }
}

impl<T: Into<Reply>, E: Into<Error>> From<Result<T, E>> for Reply {
    fn from(result: Result<T, E>) -> Reply {
        match result {
            Ok(value) => value.into(),
            Err(error) => error.into().into(),
        }
    }
}

impl From<UdfResult> for Reply {
    fn from(result: UdfResult) -> Reply {
        result.0
    }
}

impl From<Value> for Reply {
    fn from(value: Value) -> Reply {
        match value {
            Value::Null => Reply::null(),
            Value::Bool(value) => value.into(),
            Value::Int(value) => value.into(),
            Value::Double(value) => value.into(),
            Value::Simple(text) => Reply::simple(&text),
            Value::Bulk(bytes) => bytes.into(),
            Value::Error(error) => error.into(),
            Value::Array(values) => Reply::array(values),
            Value::Set(values) => Reply::set(values),
            Value::Map(pairs) => Reply::map(pairs),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn check(reply: impl Into<Reply>, expected: &str) {
        let bytes = reply.into().0;
        assert_eq!(String::from_utf8_lossy(&bytes), expected);
    }

    #[test]
    fn numbers() {
        check(0, ":0\r\n");
        check(i64::MIN, ":-9223372036854775808\r\n");
        check(i64::MAX, ":9223372036854775807\r\n");
        check(-10_i32, ":-10\r\n");
        check(3.99, ",3.99\r\n");
        check(1e300, ",1e300\r\n");
        check(-2.5e-9, ",-2.5e-9\r\n");
        check(-0.0, ",-0\r\n");
        check(f64::NEG_INFINITY, ",-inf\r\n");
        check(f64::NAN, ",nan\r\n");
        check(true, "#t\r\n");
    }

    #[test]
    fn texts_and_errors() {
        check("a\r\nb", "$4\r\na\r\nb\r\n");
        check(vec![0_u8; 0], "$0\r\n\r\n");
        check((), "+OK\r\n");
        check(Reply::simple("a\nb"), "$3\r\na\nb\r\n");
        check(None::<i64>, "_\r\n");
        check(UdfResult::error("no\r\n:1"), "-ERR no  :1\r\n");
        check(Err::<i64, _>("no"), "-ERR no\r\n");
        check(Ok::<_, Error>("yes"), "$3\r\nyes\r\n");
    }

    #[test]
    fn collections() {
        check(Reply::array([1, 2]), "*2\r\n:1\r\n:2\r\n");
        check(
            Reply::map([("a", Reply::array([0; 0])), ("b", Reply::set([true]))]),
            "%2\r\n$1\r\na\r\n*0\r\n$1\r\nb\r\n~1\r\n#t\r\n",
        );
    }
}
