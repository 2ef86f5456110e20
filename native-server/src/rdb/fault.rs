//! What is wrong with a file, and where.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use ferrite_engine::Error;
use thiserror::Error as ThisError;

use crate::limits::SHOWN_KEY_BYTES_MAX;

/// What is wrong with a file.
#[derive(Debug, ThisError)]
pub enum Problem {
    /// It cannot be read, or written.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is no file of this kind, or has something that this does not read.
    #[error("{0}")]
    Content(String),
    /// It is shorter than it should be.
    #[error("the file ends in the middle of this")]
    Short,
    /// The engine refuses what it has.
    #[error("{}", told(*.0))]
    Engine(Error),
}

impl From<&str> for Problem {
    fn from(text: &str) -> Problem {
        Problem::Content(text.into())
    }
}

impl From<String> for Problem {
    fn from(text: String) -> Problem {
        Problem::Content(text)
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Problem {
        Problem::Engine(error)
    }
}

/// What an error of the engine means for whoever has a file.
fn told(error: Error) -> String {
    match error {
        Error::BadPayload => "this is damaged".into(),
        Error::BusyKey => "the key stands there twice".into(),
        Error::OutOfMemory => "there is no memory left for it: give 'maxmemory' more".into(),
        other => {
            let line = other.to_string();
            line.strip_prefix("ERR ").map(String::from).unwrap_or(line)
        }
    }
}

/// What is wrong with a file, and where.
#[derive(Debug)]
pub struct Fault {
    file: PathBuf,
    offset: Option<u64>,
    /// A database and a key of it, or a command.
    at: Option<String>,
    problem: Problem,
}

impl Fault {
    /// Something about a file as a whole.
    pub fn whole(file: &Path, problem: impl Into<Problem>) -> Fault {
        Fault { file: file.into(), offset: None, at: None, problem: problem.into() }
    }

    /// A file that cannot be read or written.
    pub fn io(file: &Path, why: io::Error) -> Fault {
        Fault::whole(file, why)
    }

    /// Something at a byte of a file.
    pub fn at(file: &Path, offset: u64, what: Option<String>, problem: Problem) -> Fault {
        Fault { file: file.into(), offset: Some(offset), at: what, problem }
    }

    /// What is wrong.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.file.display())?;
        if let Some(offset) = self.offset {
            write!(out, ", byte {offset}")?;
        }
        if let Some(at) = &self.at {
            write!(out, ", {at}")?;
        }
        write!(out, ": {}", self.problem)
    }
}

impl std::error::Error for Fault {}

/// A key or another string as it is shown in a message: in quotes, and not all of a long one.
pub fn shown(bytes: &[u8]) -> String {
    let part = bytes.get(..SHOWN_KEY_BYTES_MAX).unwrap_or(bytes);
    let dots = if part.len() < bytes.len() { "..." } else { "" };
    format!("\"{}{dots}\"", part.escape_ascii())
}
