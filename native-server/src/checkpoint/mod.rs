//! Checkpoints: all databases as they were at one moment, in a file of Ferrite's own form.
//!
//! A checkpoint is written while the server works. All databases are locked for an instant, in
//! which snapshots of them begin and the position of the log is noted; then one bounded step after
//! the other writes pages out, and commands that change a page which is not written yet save its
//! old bytes first. The pieces go through a bounded queue to a thread that writes the file. There
//! is no copy of the process, and no second copy of the keys.
//!
//! Invariant: a checkpoint has its name only once it is whole and on the disk. Older ones are
//! deleted only then. What changed since the last is a checkpoint of its own that follows it; when
//! such ones have grown to half of the full one they go with, the next is full again.
//!
//! Not here: the log (persist/), Redis's files, and when checkpoints are taken (saver.rs).

pub mod files;
pub mod format;
mod queue;
mod read;
mod reload;
pub mod saver;
mod write;

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

pub use reload::reload;

use crate::checkpoint::files::{File, list};
use crate::checkpoint::format::Fault;
use crate::database::Databases;
use crate::limits::{CHECKPOINT_CHAIN_MAX, CHECKPOINT_CHANGES_DIVISOR};

/// Why a checkpoint cannot be written or read.
#[derive(Debug, Error)]
pub enum CheckpointError {
    /// The system does not let us.
    #[error("{}: {why}", path.display())]
    Io {
        /// What it was about.
        path: PathBuf,
        /// Why.
        why: io::Error,
    },
    /// A file is not what it ought to be, and no other one can take its place.
    #[error("{}: {fault}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: Fault,
    },
    /// The directory is another server's, or cannot be written.
    #[error("{0}")]
    Directory(String),
    /// What it has beside keys.
    #[error("the functions of the checkpoint cannot be loaded: {0}")]
    Functions(String),
    /// The server is to end, or the snapshots were given up by somebody.
    #[error("the checkpoint was given up")]
    GivenUp,
}

/// The result of something with checkpoints.
pub type Result<T> = std::result::Result<T, CheckpointError>;

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> CheckpointError {
    let path = path.into();
    |why| CheckpointError::Io { path, why }
}

/// A checkpoint that was written.
#[derive(Clone, Debug)]
pub struct Saved {
    /// The file.
    pub path: PathBuf,
    /// Its number.
    pub sequence: u64,
    /// Whether it holds everything, not only what changed since the one before.
    pub is_full: bool,
    /// Bytes of the file.
    pub bytes: u64,
    /// What `at` said while all databases were locked.
    pub log_position: u64,
    /// How many changes of keys there had been then ([`Databases::changes`]).
    pub changes: u64,
    /// For how long they were.
    pub locked: std::time::Duration,
    /// Times that somebody had to wait for the disk because the queue was full.
    pub waits: u64,
}

/// What was loaded.
#[derive(Debug)]
pub struct Loaded {
    /// The newest checkpoint that is whole.
    pub path: PathBuf,
    /// What `at` said when it was begun.
    pub log_position: u64,
    /// What it has beside keys.
    pub extra: Vec<u8>,
    /// When it was begun, in milliseconds since the epoch.
    pub begun_ms: i64,
    /// Newer ones that are not whole, with what is wrong. What they had is lost, unless a log
    /// reaches back to `log_position`.
    pub damaged: Vec<(PathBuf, Fault)>,
}

/// The checkpoints that what is in memory goes back to. Who holds the lock of it writes one.
#[derive(Debug, Default)]
pub struct Chain {
    /// Where they are.
    directory: PathBuf,
    /// The numbers of the full one and of the last, and the checksum of the last. `None` if the
    /// next has to be a full one.
    last: Option<Link>,
    /// Files that were found damaged, and not used: the next checkpoint puts them aside.
    damaged: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    base: u64,
    base_bytes: u64,
    /// Bytes of what followed the full one.
    changes_bytes: u64,
    sequence: u64,
    checksum: u32,
    /// How many followed it.
    followers: usize,
}

impl Chain {
    /// In another directory a chain begins anew.
    fn enter(&mut self, directory: &Path) {
        if self.directory != directory {
            *self = Chain { directory: directory.into(), ..Chain::default() };
        }
    }

    /// What is in memory follows no checkpoint any more: the next one is a full one.
    pub fn forget(&mut self) {
        self.last = None;
    }

    /// What the next checkpoint can follow.
    fn to_follow(&self) -> Option<Link> {
        self.last.filter(|link| {
            link.changes_bytes <= link.base_bytes / CHECKPOINT_CHANGES_DIVISOR
                && link.followers + 1 < CHECKPOINT_CHAIN_MAX
        })
    }
}

/// Writes a checkpoint of all databases into a directory, and then deletes those that it makes
/// needless. `at` is called while all databases are locked, so nothing changes meanwhile; what
/// `extra` says after that is kept beside the keys.
///
/// # Errors
/// Why there is none. The one before it stays.
pub fn save(
    databases: &Databases,
    directory: &Path,
    at: impl FnOnce() -> u64,
    extra: impl FnOnce() -> Vec<u8>,
) -> Result<Saved> {
    let mut chain = databases.chain();
    chain.enter(directory);
    let known = list(directory)?;
    let newest = known.iter().map(|file| file.sequence).max().unwrap_or_default();
    let sequence = newest.max(chain.last.map_or(0, |link| link.sequence)).checked_add(1);
    let none = || io::Error::other("there is no number behind that of its last checkpoint");
    let sequence = sequence.ok_or_else(none).map_err(io_error(directory))?;
    for stale in known.iter().filter(|file| file.is_temporary) {
        std::fs::remove_file(&stale.path).map_err(io_error(&stale.path))?;
    }
    let follows = chain.to_follow().filter(|link| {
        // Somebody may have tidied up.
        let is_there = |number| known.iter().any(|file| file.is(number));
        (link.base..=link.sequence).all(is_there)
    });
    // Whatever happens: what is in memory does not follow it any more.
    chain.last = None;
    let (saved, link) = write::write(databases, directory, sequence, follows, at, extra)?;
    chain.last = Some(link);
    for damaged in chain.damaged.drain(..) {
        let _ = std::fs::rename(&damaged, damaged.with_extension("damaged"));
    }
    for file in known.iter().filter(|file| file.sequence < link.base && !file.is_temporary) {
        // One that cannot be deleted is older than what is read, and is tried again next time.
        let _ = std::fs::remove_file(&file.path);
    }
    Ok(saved)
}

/// Loads the newest checkpoint of a directory that is whole. `None` if there is none at all.
///
/// Where the newest is damaged the one before it is taken, and `damaged` tells. With a log that is
/// no loss if the log reaches back to the `log_position` of the one that was loaded; the caller
/// must look. Without one, what was saved last is lost: the caller must say so.
///
/// # Errors
/// What is wrong, with file and place, if none is whole, or one is of another version.
pub fn load(directory: &Path, databases: &Databases) -> Result<Option<Loaded>> {
    let mut chain = databases.chain();
    chain.enter(directory);
    let mut files: Vec<File> = list(directory)?;
    files.retain(|file| !file.is_temporary);
    files.sort_by_key(|file| std::cmp::Reverse(file.sequence));
    let mut damaged = Vec::new();
    for newest in &files {
        match read::read(newest, &files, databases) {
            Ok((loaded, link)) => {
                chain.last = Some(link);
                chain.damaged =
                    damaged.iter().map(|(path, _): &(PathBuf, _)| path.clone()).collect();
                return Ok(Some(Loaded { damaged, ..loaded }));
            }
            Err(CheckpointError::Damaged { path, fault }) if fault.is_damage() => {
                if !damaged.iter().any(|(other, _)| *other == path) {
                    damaged.push((path, fault));
                }
            }
            Err(other) => return Err(other),
        }
    }
    match damaged.into_iter().next() {
        Some((path, fault)) => Err(CheckpointError::Damaged { path, fault }),
        None => Ok(None),
    }
}
