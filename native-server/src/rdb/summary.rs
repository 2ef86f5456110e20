//! What was loaded, in a line.

use std::fmt;
use std::time::Duration;

/// What was loaded.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Version of the RDB format, if there was such a file.
    pub version: u32,
    /// The version of Redis that the file says to be of.
    pub redis_version: String,
    /// Keys that are there.
    pub keys: u64,
    /// Keys that were left out since their time had passed.
    pub expired: u64,
    /// Keys that were left out since their values had no elements.
    pub empty: u64,
    /// Commands of append-only files that were run.
    pub commands: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// How long it took.
    pub elapsed: Duration,
    /// Libraries of functions, with their engines, and their texts.
    pub libraries: Vec<String>,
    /// See `libraries`.
    pub library_texts: Vec<Vec<u8>>,
    /// What was left out, or is odd, in sentences.
    pub notes: Vec<String>,
}

impl fmt::Display for Summary {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} keys", self.keys)?;
        if self.expired > 0 {
            write!(out, ", {} left out that had expired", self.expired)?;
        }
        if self.empty > 0 {
            write!(out, ", {} left out that were empty", self.empty)?;
        }
        if self.commands > 0 {
            write!(out, ", {} commands", self.commands)?;
        }
        let seconds = self.elapsed.as_secs_f64();
        let megabytes = self.bytes as f64 / 1e6;
        write!(out, ", {megabytes:.1} MB in {seconds:.2} s")?;
        if self.version > 0 {
            write!(out, " (RDB version {}", self.version)?;
            if !self.redis_version.is_empty() {
                write!(out, ", written by Redis {}", self.redis_version)?;
            }
            write!(out, ")")?;
        }
        Ok(())
    }
}
