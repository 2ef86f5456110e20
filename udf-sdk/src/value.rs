//! What a command replied, as a tree: for functions that use `ferrite::call`.

use alloc::string::String;
use alloc::vec::Vec;

use crate::error::Error;

/// A command's reply.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Value {
    /// There is no such thing.
    Null,
    /// Yes or no.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A number with decimals.
    Double(f64),
    /// A short text such as `OK`.
    Simple(String),
    /// Bytes of any kind.
    Bulk(Vec<u8>),
    /// An error inside a collection.
    Error(Error),
    /// Values in their order.
    Array(Vec<Value>),
    /// Values without order.
    Set(Vec<Value>),
    /// Names and values.
    Map(Vec<(Value, Value)>),
}

/// As deep as the server's replies are.
const DEPTH_MAX: usize = 16;

impl Value {
    /// The integer, if it is one, or a text that is one.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(value) => Some(*value),
            _ => self.as_str()?.parse().ok(),
        }
    }

    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Simple(text) => Some(text),
            Value::Bulk(bytes) => core::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// The bytes, if it has some.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Value::Simple(text) => Some(text.as_bytes()),
            Value::Bulk(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The values of an array or a set.
    pub fn as_array(&self) -> Option<&[Value]> {
        match self {
            Value::Array(values) | Value::Set(values) => Some(values),
            _ => None,
        }
    }

    /// Reads RESP3. `None` if that is not what it is.
    pub(crate) fn decode(mut bytes: &[u8]) -> Option<Value> {
        let value = decode(&mut bytes, DEPTH_MAX)?;
        bytes.is_empty().then_some(value)
    }
}

fn decode(rest: &mut &[u8], depth: usize) -> Option<Value> {
    let line = take_line(rest)?;
    let (kind, text) = line.split_first()?;
    let text = core::str::from_utf8(text).ok()?;
    let length = || text.parse::<usize>().ok();
    Some(match kind {
        b'_' => Value::Null,
        b'#' => Value::Bool(text == "t"),
        b':' => Value::Int(text.parse().ok()?),
        b',' => Value::Double(text.parse().ok()?),
        b'+' => Value::Simple(text.into()),
        b'-' => {
            let (code, message) = text.split_once(' ').unwrap_or((text, ""));
            Value::Error(Error::with_code(code, message))
        }
        b'$' => {
            let (bytes, behind) = rest.split_at_checked(length()?)?;
            *rest = behind.strip_prefix(b"\r\n")?;
            Value::Bulk(bytes.into())
        }
        b'*' => Value::Array(decode_many(rest, length()?, depth.checked_sub(1)?)?),
        b'~' => Value::Set(decode_many(rest, length()?, depth.checked_sub(1)?)?),
        b'%' => {
            let depth = depth.checked_sub(1)?;
            let mut pairs = Vec::new();
            for _ in 0..length()? {
                pairs.push((decode(rest, depth)?, decode(rest, depth)?));
            }
            Value::Map(pairs)
        }
        _ => return None,
    })
}

fn decode_many(rest: &mut &[u8], count: usize, depth: usize) -> Option<Vec<Value>> {
    // No room is made for what is only said to come.
    let mut values = Vec::new();
    for _ in 0..count {
        values.push(decode(rest, depth)?);
    }
    Some(values)
}

fn take_line<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = rest.iter().position(|byte| *byte == b'\r')?;
    let (line, behind) = rest.split_at_checked(end)?;
    *rest = behind.strip_prefix(b"\r\n")?;
    Some(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn every_kind_is_read() {
        let bytes = b"*8\r\n_\r\n#t\r\n:-3\r\n,2.5\r\n+OK\r\n$2\r\n\r\n\r\n\
            -ERR x y\r\n%1\r\n$1\r\na\r\n~0\r\n";
        let expected = vec![
            Value::Null,
            Value::Bool(true),
            Value::Int(-3),
            Value::Double(2.5),
            Value::Simple("OK".into()),
            Value::Bulk(b"\r\n".into()),
            Value::Error(Error::new("x y")),
            Value::Map(vec![(Value::Bulk(b"a".into()), Value::Set(vec![]))]),
        ];
        assert_eq!(Value::decode(bytes), Some(Value::Array(expected)));
    }

    #[test]
    fn what_is_cut_or_lies_or_is_too_deep_is_nothing() {
        let bytes = b"*2\r\n$2\r\nab\r\n:1\r\n";
        assert!(Value::decode(bytes).is_some());
        for end in 0..bytes.len() {
            assert_eq!(Value::decode(&bytes[..end]), None, "{end}");
        }
        assert_eq!(Value::decode(b"*99999999999\r\n:1\r\n"), None);
        assert_eq!(Value::decode(b"$3\r\nab\r\n"), None);
        assert_eq!(Value::decode(b":1\r\n:2\r\n"), None);
        assert!(Value::decode(&[&b"*1\r\n".repeat(16)[..], b":1\r\n"].concat()).is_some());
        assert_eq!(Value::decode(&[&b"*1\r\n".repeat(17)[..], b":1\r\n"].concat()), None);
    }
}
