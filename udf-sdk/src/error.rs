//! What goes wrong, as one line: a code in capitals, then a message.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::raw;
use crate::reply::joined;

/// `Result` with this crate's [`Error`].
pub type Result<T> = core::result::Result<T, Error>;

/// An error: what a host function says, or what a function answers with.
///
/// If a function returns one, whatever it wrote is discarded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Error {
    line: Vec<u8>,
}

impl Error {
    /// An error of the code `ERR`.
    pub fn new(message: &str) -> Error {
        Error::with_code("ERR", message)
    }

    /// An error of another code, which is one word in capitals: `DENIED`.
    pub fn with_code(code: &str, message: &str) -> Error {
        Error { line: joined(&[code.as_bytes(), b" ", message.as_bytes()]) }
    }

    /// The line that the host has for what just failed.
    pub(crate) fn of_host() -> Error {
        Error { line: raw::last_reply() }
    }

    /// The whole line, or as much of it as is text: the server's lines may name keys of any bytes.
    pub fn line(&self) -> &str {
        self.line.utf8_chunks().next().map_or("", |chunk| chunk.valid())
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.line
    }

    /// Its first word: `ERR`, `WRONGTYPE`.
    pub fn code(&self) -> &str {
        self.line().split(' ').next().unwrap_or_default()
    }

    /// Ends the call with this error, from anywhere.
    pub fn fail(self) -> ! {
        raw::fail(&self.line)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.line())
    }
}

impl core::error::Error for Error {}

impl From<&str> for Error {
    fn from(message: &str) -> Error {
        Error::new(message)
    }
}

impl From<String> for Error {
    fn from(message: String) -> Error {
        Error::new(&message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_begins_with_its_code() {
        assert_eq!(Error::new("rate limit exceeded").line(), "ERR rate limit exceeded");
        let error = Error::with_code("DENIED", "no");
        assert_eq!((error.code(), error.line()), ("DENIED", "DENIED no"));
    }
}
