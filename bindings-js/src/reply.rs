//! Replies in the form that the package's decoder reads: a tag, then what belongs to it, numbers
//! with their lowest byte first.
//!
//! | tag | payload |
//! | --- | --- |
//! | `+` `-` | simple string, error: length (4 bytes), bytes |
//! | `$` `a` | bulk string, one that is ASCII: length (4 bytes), bytes |
//! | `:` | integer (8 bytes) |
//! | `*` | array: length (4 bytes); its elements follow |
//! | `_` | null |
//!
//! Invariant: what does not fit is handed over when the buffer is full, so no reply is too long.

use ferrite_engine::{Reply, Value};

use crate::host::flush_reply;

/// A sink over a part of the scratch area.
pub(crate) struct Sink<'a> {
    buffer: &'a mut [u8],
    used: usize,
}

// What each of these methods does is a call or two, which "s" would copy to all their callers.
impl<'a> Sink<'a> {
    pub(crate) fn new(buffer: &'a mut [u8]) -> Sink<'a> {
        Sink { buffer, used: 0 }
    }

    /// Bytes that were not handed over yet.
    pub(crate) fn used(&self) -> i32 {
        self.used as i32
    }

    #[inline(never)]
    fn put(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = self.buffer.get_mut(self.used..).unwrap_or_default();
            let len = rest.len().min(room.len());
            if let (Some(target), Some((now, later))) =
                (room.get_mut(..len), rest.split_at_checked(len))
            {
                target.copy_from_slice(now);
                rest = later;
            }
            self.used += len;
            if !rest.is_empty() {
                flush_reply(self.buffer.get(..self.used).unwrap_or_default());
                self.used = 0;
            }
        }
    }

    #[inline(never)]
    fn head(&mut self, tag: u8, len: usize) {
        let [a, b, c, d] = (len as u32).to_le_bytes();
        self.put(&[tag, a, b, c, d]);
    }
}

impl Reply for Sink<'_> {
    #[inline(never)]
    fn simple(&mut self, text: &'static str) {
        self.head(b'+', text.len());
        self.put(text.as_bytes());
    }

    #[inline(never)]
    fn integer(&mut self, number: i64) {
        self.put(b":");
        self.put(&number.to_le_bytes());
    }

    fn bulk(&mut self, value: Value<'_>) {
        // Keys do not know it, and reading ASCII is cheaper by far.
        let is_ascii = value.is_ascii() || value.as_slice().is_some_and(<[u8]>::is_ascii);
        self.head(if is_ascii { b'a' } else { b'$' }, value.len());
        value.parts().for_each(|part| self.put(part));
    }

    #[inline(never)]
    fn null(&mut self) {
        self.put(b"_");
    }

    #[inline(never)]
    fn array(&mut self, len: usize) {
        self.head(b'*', len);
    }

    fn error(&mut self, parts: &[&[u8]]) {
        self.head(b'-', parts.iter().map(|part| part.len()).sum());
        for part in parts {
            for &byte in *part {
                // As on the wire an error is one line, whatever was quoted in it.
                self.put(&[if byte == b'\r' || byte == b'\n' { b' ' } else { byte }]);
            }
        }
    }
}
