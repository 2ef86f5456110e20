//! Where a command's answer goes.
//!
//! A command writes its reply straight into the host's sink, whatever that makes of it: the wire,
//! a buffer for JavaScript, a script's stack. There is no tree of values in between.

use crate::Value;

/// A sink for replies. An array announces its length, then its elements follow.
///
/// What a sink does not tell apart, as RESP2 and JavaScript's do not, it need not implement: such
/// a reply then comes in the shape that Redis gives it in RESP2.
pub trait Reply {
    /// A short fixed text such as `OK`.
    fn simple(&mut self, text: &'static str);
    /// A 64-bit integer.
    fn integer(&mut self, number: i64);
    /// A string of bytes.
    fn bulk(&mut self, value: Value<'_>);
    /// Nothing: what a missing key has for a value.
    fn null(&mut self);
    /// An array; its elements are the next `len` replies.
    fn array(&mut self, len: usize);
    /// An error line, in parts. What it repeats of a request may hold line ends, which Redis
    /// turns into spaces: so does every sink.
    fn error(&mut self, parts: &[&[u8]]);

    /// Nothing where there would be an array.
    fn null_array(&mut self) {
        self.null();
    }

    /// A map; the next replies are `len` keys, each followed by its value.
    fn map(&mut self, len: usize) {
        self.array(len.saturating_mul(2));
    }

    /// An array whose order means nothing, and in which nothing comes twice.
    fn set(&mut self, len: usize) {
        self.array(len);
    }

    /// An array of `len` pairs, each begun by [`pair`](Reply::pair): flat, or one array a pair.
    fn pairs(&mut self, len: usize) {
        self.array(len.saturating_mul(2));
    }

    /// The two halves of a pair follow.
    fn pair(&mut self) {}

    /// A map of `len` entries, each begun by [`entry`](Reply::entry): where there are no maps, an
    /// array of pairs.
    fn entries(&mut self, len: usize) {
        self.array(len);
    }

    /// The key and the value of an entry follow.
    fn entry(&mut self) {
        self.array(2);
    }

    /// A number with decimals, as text.
    fn double(&mut self, text: Value<'_>) {
        self.bulk(text);
    }
}
