//! How many files the process may have open (`ulimit -n`), and so how many clients may be there.
//!
//! The limit is raised to what `maxclients` needs, as far as the system allows; it is never
//! lowered, and what the system allows at most stays as it is.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use thiserror::Error;

use crate::config::Config;
use crate::limits::{OPEN_FILES_RESERVED, OPEN_FILES_THREAD};

/// What came of asking for so many open files as `maxclients` needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// They were allowed already.
    Enough,
    /// They are from now on.
    Raised {
        /// How many were.
        before: u64,
        /// How many are.
        now: u64,
    },
    /// They are not, but so many clients have room.
    Short(Shortage),
}

/// Fewer files may be open than are needed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error(
    "maxclients {wanted} needs {needed} open files, and {allowed} are allowed (ulimit -n): there \
     is room for {clients} clients"
)]
pub struct Shortage {
    /// What `maxclients` asks for.
    pub wanted: u64,
    /// Files that are needed.
    pub needed: u64,
    /// Files that may be open.
    pub allowed: u64,
    /// Clients that these are enough for.
    pub clients: u64,
}

/// Files that a server needs beside its clients'.
fn reserved(config: &Config) -> u64 {
    OPEN_FILES_RESERVED + config.io_threads.unsigned_abs() * OPEN_FILES_THREAD
}

/// Raises the limit to what `maxclients` needs, as far as that can be.
pub fn raise(config: &Config) -> Outcome {
    let (wanted, reserved) = (config.maxclients.unsigned_abs(), reserved(config));
    let needed = wanted.saturating_add(reserved);
    let limit = getrlimit(Resource::Nofile);
    // Nothing stands for no limit.
    let before = limit.current.unwrap_or(u64::MAX);
    if before >= needed {
        return Outcome::Enough;
    }
    let reachable = limit.maximum.map_or(needed, |maximum| maximum.min(needed));
    let raised = Rlimit { current: Some(reachable), maximum: limit.maximum };
    let allowed = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => reachable,
        // The system's own bound may have been lowered since.
        Err(_) => before,
    };
    if allowed < needed {
        let clients = allowed.saturating_sub(reserved);
        return Outcome::Short(Shortage { wanted, needed, allowed, clients });
    }
    Outcome::Raised { before, now: allowed }
}
