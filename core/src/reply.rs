//! Where a command's answer goes.
//!
//! A command writes its reply straight into the host's sink, whatever that makes of it: the wire,
//! a buffer for JavaScript, a script's stack. There is no tree of values in between.

use crate::Value;

/// A sink for replies. An array announces its length, then its elements follow.
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
}
