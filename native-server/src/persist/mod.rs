//! Persistence: what the server keeps on disk, and how it comes back.
//!
//! Invariant: a position of the log counts the bytes of all changes that were ever appended to it,
//! so it never goes back; whoever holds the lock of every database knows what it stands for.

use std::path::{Path, PathBuf};

use crate::config::Config;

/// What the server keeps on disk.
pub struct Persistence {
    directory: PathBuf,
}

impl Persistence {
    /// With what the configuration says.
    pub fn new(config: &Config) -> Persistence {
        Persistence { directory: PathBuf::from(&config.dir) }
    }

    /// Where everything is kept.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Up to where the log has been written by commands; 0 where there is none.
    pub fn position(&self) -> u64 {
        0
    }
}
