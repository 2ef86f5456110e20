//! The directory of a server: where everything is kept, for as long as the server has it to itself.
//!
//! CONFIG SET dir moves on to another one. What was written stays where it is, and the next
//! checkpoint, a full one, stands in the new directory.
//!
//! Invariant: two servers never write one directory: whoever writes holds a [`Claim`], and the
//! directory is given back only when nobody does, or the server ends.
//! Invariant: a log stays in one directory, since a checkpoint is worth nothing beside another's.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FlockOperation, flock};

use crate::persist::format::segment_number;
use crate::persist::{OpenError, Persistence};
use crate::process::system_text;

/// What a server holds while it writes a directory.
pub(super) const LOCK: &str = "ferrite.lock";

/// Where a server keeps what it keeps.
pub(super) struct Home {
    pub(super) directory: PathBuf,
    lock: Option<Arc<File>>,
}

/// A directory that is this server's at least as long as somebody has this.
pub struct Claim {
    /// The directory.
    pub directory: PathBuf,
    _lock: Arc<File>,
}

impl Home {
    pub(super) fn new(directory: &str) -> Home {
        Home { directory: directory.into(), lock: None }
    }

    fn claim(&mut self) -> Result<Claim, OpenError> {
        let lock = match &self.lock {
            Some(lock) => Arc::clone(lock),
            None => Arc::new(lock(&self.directory)?),
        };
        self.lock = Some(Arc::clone(&lock));
        Ok(Claim { directory: self.directory.clone(), _lock: lock })
    }

    /// Gives the directory back at the end, whatever is being written: it ends with the process.
    pub(super) fn leave(&mut self) {
        if let Some(lock) = self.lock.take() {
            // Where that fails it is given back with the file.
            let _ = flock(&*lock, FlockOperation::Unlock);
        }
    }
}

/// Locks a directory against other servers.
fn lock(directory: &Path) -> Result<File, OpenError> {
    let name = || directory.display().to_string();
    let path = directory.join(LOCK);
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    let mut file = opened.map_err(|why| OpenError::Directory { directory: name(), why })?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        let owner = io::read_to_string(&file).unwrap_or_default();
        let owner = match owner.trim() {
            "" => String::new(),
            process => format!(" (process {process})"),
        };
        return Err(OpenError::InUse { directory: name(), owner });
    }
    // What is in the file only helps people; the lock is what counts.
    let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    Ok(file)
}

impl Persistence {
    /// Where everything is kept.
    pub fn directory(&self) -> PathBuf {
        self.home().directory.clone()
    }

    /// Takes the directory for this server alone, until it ends or moves on.
    ///
    /// # Errors
    /// Another server has it, or it cannot be written.
    pub fn claim(&self) -> Result<Claim, OpenError> {
        self.home().claim()
    }

    /// Moves on to another directory.
    ///
    /// # Errors
    /// Why it stays where it is.
    pub fn relocate(&self, directory: &str) -> Result<(), String> {
        let _switching = self.switching();
        let mut home = self.home();
        let canonical = |path: &Path| fs::canonicalize(path).map_err(|why| system_text(&why));
        let path = Path::new(directory);
        if canonical(path)? == canonical(&home.directory).unwrap_or_default() {
            home.directory = path.into();
            return Ok(());
        }
        if self.log().is_on() {
            return Err("the append-only log is on, and stays where it is: set appendonly to no \
                        first"
                .into());
        }
        for entry in fs::read_dir(path).map_err(|why| system_text(&why))? {
            let name = entry.map_err(|why| system_text(&why))?.file_name();
            if segment_number(&name.to_string_lossy()).is_some() {
                return Err("there is an append-only log, which would not fit what is saved \
                            beside it"
                    .into());
            }
        }
        let mut next = Home::new(directory);
        next.claim().map_err(|error| match error {
            OpenError::Directory { why, .. } => system_text(&why),
            other => other.to_string(),
        })?;
        *home = next;
        Ok(())
    }
}
