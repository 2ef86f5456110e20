//! What can go wrong, in Redis's words.

use std::fmt;

use crate::engine;

/// The line that Redis would send, without its minus.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Error {
    line: String,
}

/// The result of everything that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn new(line: String) -> Error {
        Error { line }
    }

    /// The error of a command, which some lines name.
    pub(crate) fn of(error: engine::Error, command: &str) -> Error {
        Error::new(error.parts(command).concat())
    }

    /// The first word of the line, by which errors are told apart: `ERR`, `WRONGTYPE`, `OOM`.
    pub fn code(&self) -> &str {
        self.line.split(' ').next().unwrap_or_default()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.line)
    }
}

impl std::error::Error for Error {}
