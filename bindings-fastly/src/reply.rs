//! Replies as values, and what methods make of them.

use crate::engine;
use crate::error::{Error, Result};

/// What a command answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply {
    /// A short fixed text such as `OK`.
    Simple(&'static str),
    /// An integer.
    Integer(i64),
    /// A string of bytes.
    Bulk(Vec<u8>),
    /// Nothing: what a missing key has for a value.
    Null,
    /// Several replies.
    Array(Vec<Reply>),
}

/// Builds a reply from the calls of the engine; an open array waits for its elements.
#[derive(Default)]
pub(crate) struct Sink {
    open: Vec<(usize, Vec<Reply>)>,
    done: Option<Result<Reply>>,
}

impl Sink {
    pub(crate) fn finish(self) -> Result<Reply> {
        // A command always answers.
        self.done.unwrap_or(Ok(Reply::Null))
    }

    fn put(&mut self, reply: Reply) {
        let mut reply = reply;
        while let Some((wanted, mut items)) = self.open.pop() {
            items.push(reply);
            if items.len() < wanted {
                self.open.push((wanted, items));
                return;
            }
            reply = Reply::Array(items);
        }
        self.done = Some(Ok(reply));
    }
}

impl engine::Reply for Sink {
    fn simple(&mut self, text: &'static str) {
        self.put(Reply::Simple(text));
    }

    fn integer(&mut self, number: i64) {
        self.put(Reply::Integer(number));
    }

    fn bulk(&mut self, value: engine::Value<'_>) {
        self.put(Reply::Bulk(bytes(&value)));
    }

    fn null(&mut self) {
        self.put(Reply::Null);
    }

    fn array(&mut self, len: usize) {
        if len == 0 {
            self.put(Reply::Array(Vec::new()));
        } else {
            self.open.push((len, Vec::new()));
        }
    }

    fn error(&mut self, parts: &[&[u8]]) {
        let line = String::from_utf8_lossy(&parts.concat()).replace(['\r', '\n'], " ");
        self.done = Some(Err(Error::new(line)));
    }
}

/// A copy of a value.
pub(crate) fn bytes(value: &engine::Value<'_>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(value.len());
    value.parts().for_each(|part| bytes.extend_from_slice(part));
    bytes
}

/// What a method makes of its command's reply. The reply is handed back where it is of another
/// shape, which is a fault of the method.
pub trait FromReply: Sized {
    /// The reply as this type.
    fn from_reply(reply: Reply) -> Result<Self, Reply>;
}

impl FromReply for Reply {
    fn from_reply(reply: Reply) -> Result<Reply, Reply> {
        Ok(reply)
    }
}

impl FromReply for () {
    fn from_reply(reply: Reply) -> Result<(), Reply> {
        if let Reply::Simple(_) = reply { Ok(()) } else { Err(reply) }
    }
}

impl FromReply for i64 {
    fn from_reply(reply: Reply) -> Result<i64, Reply> {
        if let Reply::Integer(number) = reply { Ok(number) } else { Err(reply) }
    }
}

impl FromReply for u64 {
    /// A cursor.
    fn from_reply(reply: Reply) -> Result<u64, Reply> {
        let Reply::Bulk(text) = &reply else { return Err(reply) };
        let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
        number.ok_or(reply)
    }
}

impl FromReply for f64 {
    /// A number with decimals, which is a text in Redis.
    fn from_reply(reply: Reply) -> Result<f64, Reply> {
        let Reply::Bulk(text) = &reply else { return Err(reply) };
        let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
        number.ok_or(reply)
    }
}

impl FromReply for bool {
    /// One for yes; `OK` and nothing for a write that depends on a condition.
    fn from_reply(reply: Reply) -> Result<bool, Reply> {
        match reply {
            Reply::Integer(number) => Ok(number != 0),
            Reply::Simple(_) => Ok(true),
            Reply::Null => Ok(false),
            other => Err(other),
        }
    }
}

impl FromReply for Vec<u8> {
    fn from_reply(reply: Reply) -> Result<Vec<u8>, Reply> {
        match reply {
            Reply::Bulk(bytes) => Ok(bytes),
            Reply::Simple(text) => Ok(text.into()),
            other => Err(other),
        }
    }
}

impl FromReply for String {
    /// A text that the engine itself wrote.
    fn from_reply(reply: Reply) -> Result<String, Reply> {
        let bytes = Vec::from_reply(reply)?;
        String::from_utf8(bytes).map_err(|error| Reply::Bulk(error.into_bytes()))
    }
}

impl<T: FromReply> FromReply for Option<T> {
    fn from_reply(reply: Reply) -> Result<Option<T>, Reply> {
        if reply == Reply::Null { Ok(None) } else { T::from_reply(reply).map(Some) }
    }
}

impl<T: FromReply> FromReply for Vec<T> {
    fn from_reply(reply: Reply) -> Result<Vec<T>, Reply> {
        match reply {
            Reply::Array(items) => items.into_iter().map(T::from_reply).collect(),
            other => Err(other),
        }
    }
}

/// A list of names with their values, one after the other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pairs<T = Vec<u8>>(pub Vec<(Vec<u8>, T)>);

impl<T: FromReply> FromReply for Pairs<T> {
    fn from_reply(reply: Reply) -> Result<Pairs<T>, Reply> {
        let items = Vec::<Reply>::from_reply(reply)?;
        let mut pairs = Vec::with_capacity(items.len() / 2);
        let mut items = items.into_iter();
        while let (Some(name), Some(value)) = (items.next(), items.next()) {
            pairs.push((Vec::from_reply(name)?, T::from_reply(value)?));
        }
        Ok(Pairs(pairs))
    }
}

impl<A: FromReply, B: FromReply> FromReply for (A, B) {
    fn from_reply(reply: Reply) -> Result<(A, B), Reply> {
        match reply {
            Reply::Array(items) => match <[Reply; 2]>::try_from(items) {
                Ok([first, second]) => Ok((A::from_reply(first)?, B::from_reply(second)?)),
                Err(items) => Err(Reply::Array(items)),
            },
            other => Err(other),
        }
    }
}
