//! The directory of a server: where everything is kept, for as long as the server has it to itself.
//!
//! CONFIG SET dir moves on to another one. What was written stays where it is, and the next
//! checkpoint, a full one, stands in the new directory.
//!
//! Invariant: two servers never write one directory: whoever writes holds a [`Claim`], and the
//! directory is given back only when nobody does, or the server ends.
//! Invariant: what is removed, or replaced by another directory, is noticed: the log takes nothing
//! any more then, until somebody wants everything written into the new one.
//! Invariant: a log stays in one directory, since a checkpoint is worth nothing beside another's.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FlockOperation, flock};

use crate::checkpoint;
use crate::persist::files::{PROBE, SPARE};
use crate::persist::format::segment_number;
use crate::persist::log::Trouble;
use crate::persist::manifest::{MANIFEST, MANIFEST_SPARE};
use crate::persist::{OpenError, Persistence};
use crate::plain_file;
use crate::process::system_text;
use crate::rdb::start::has_own_files;

/// What a server holds while it writes a directory.
pub(super) const LOCK: &str = "ferrite.lock";

/// Where a server keeps what it keeps.
pub(super) struct Home {
    pub(super) directory: PathBuf,
    hold: Option<Hold>,
    /// The one that somebody wants to be taken in its place.
    accepted: Option<File>,
}

/// What a server has of the directory that it took. Both stay what they are whatever becomes of
/// their names.
struct Hold {
    lock: Arc<File>,
    directory: File,
}

/// What stands under the directory's name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Standing {
    /// What was taken, as it was taken; or nobody can tell now.
    Same,
    /// The same directory, in which the lock's file was removed.
    Unlocked,
    /// Another one, or none.
    Other,
}

/// A directory that is this server's at least as long as somebody has this.
pub struct Claim {
    /// The directory.
    pub directory: PathBuf,
    _lock: Arc<File>,
}

impl Home {
    pub(super) fn new(directory: &str) -> Home {
        Home { directory: directory.into(), hold: None, accepted: None }
    }

    fn claim(&mut self) -> Result<Claim, OpenError> {
        let standing = self.standing();
        if standing == Standing::Other {
            // What is there is no affair of this server, and would not fit what it writes.
            if has_own_files(&self.directory)? {
                return Err(OpenError::Replaced(self.directory.display().to_string()));
            }
            // It may be the place of a file system that comes back: nobody would look there.
            let accepted = self.accepted.take();
            if !accepted.is_some_and(|file| is_under(&self.directory, &file).unwrap_or(false)) {
                return Err(self.gone());
            }
        }
        let hold = match self.hold.take_if(|_| standing == Standing::Same) {
            Some(hold) => hold,
            None => Hold::take(&self.directory)?,
        };
        let lock = Arc::clone(&self.hold.insert(hold).lock);
        Ok(Claim { directory: self.directory.clone(), _lock: lock })
    }

    fn standing(&self) -> Standing {
        let Some(hold) = &self.hold else { return Standing::Same };
        let lock = is_under(&self.directory.join(LOCK), &hold.lock);
        match lock.and_then(|is_same| Ok((is_same, is_under(&self.directory, &hold.directory)?))) {
            Ok((true, _)) | Err(_) => Standing::Same,
            Ok((false, true)) => Standing::Unlocked,
            Ok((false, false)) => Standing::Other,
        }
    }

    /// Why nothing may be written there any more, if that is so. A lock whose file was removed is
    /// made again.
    fn look(&mut self) -> Result<(), OpenError> {
        match self.standing() {
            Standing::Same => Ok(()),
            Standing::Unlocked => match self.claim() {
                // It is just being removed, one after the other.
                Err(OpenError::Directory { why, .. }) if why.kind() == ErrorKind::NotFound => {
                    Err(self.gone())
                }
                outcome => outcome.map(drop),
            },
            Standing::Other => Err(self.gone()),
        }
    }

    /// What stands under the name now is wanted.
    fn accept(&mut self) {
        // Open, so that no other one can have its number.
        let is_other = self.standing() == Standing::Other;
        self.accepted = File::open(&self.directory).ok().filter(|_| is_other);
    }

    fn gone(&self) -> OpenError {
        OpenError::Gone(self.directory.display().to_string())
    }

    /// Gives the directory back at the end, whatever is being written: it ends with the process.
    pub(super) fn leave(&mut self) {
        if let Some(hold) = self.hold.take() {
            // Where that fails it is given back with the file.
            let _ = flock(&*hold.lock, FlockOperation::Unlock);
        }
    }
}

impl Hold {
    fn take(directory: &Path) -> Result<Hold, OpenError> {
        let lock = Arc::new(lock(directory)?);
        let unusable = |why| unusable(directory, why);
        Ok(Hold { lock, directory: File::open(directory).map_err(unusable)? })
    }
}

/// Whether a file is what stands under a name.
fn is_under(path: &Path, file: &File) -> io::Result<bool> {
    let identity = |found: &Metadata| (found.dev(), found.ino());
    match fs::metadata(path) {
        Ok(found) => Ok(identity(&found) == identity(&file.metadata()?)),
        Err(why) if matches!(why.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(false)
        }
        Err(why) => Err(why),
    }
}

fn unusable(directory: &Path, why: io::Error) -> OpenError {
    OpenError::Directory { directory: directory.display().to_string(), why }
}

/// Locks a directory against other servers.
pub(super) fn lock(directory: &Path) -> Result<File, OpenError> {
    let path = directory.join(LOCK);
    match plain_file::look(&path) {
        Err(why) if why.kind() != ErrorKind::NotFound => {
            return Err(unusable(&path, why));
        }
        _ => {}
    }
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    let mut file = opened.map_err(|why| unusable(directory, why))?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        let owner = io::read_to_string(&file).unwrap_or_default();
        let owner = match owner.trim() {
            "" => String::new(),
            process => format!(" (process {process})"),
        };
        return Err(OpenError::InUse { directory: directory.display().to_string(), owner });
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
        // What is in other files than the log writes is lost, whatever comes next.
        self.look_at_home();
        self.home().claim()
    }

    /// The next checkpoint may take the directory that has the name now, if the one that this
    /// server had is gone.
    pub fn accept_directory(&self) {
        self.home().accept();
    }

    /// Looks whether the directory is still the one that the log is written to, and refuses writes
    /// if it is not.
    pub(super) fn look_at_home(&self) {
        if !self.log().is_on() || self.log().has_failed() {
            return;
        }
        let looked = self.home().look();
        if let Err(why) = looked {
            self.log().set_trouble(Some(Trouble::Failed(why.to_string())));
            self.log().bell.ring();
        }
    }

    /// Removes files that somebody was writing when their server ended. Where another server has
    /// the directory they are its own.
    pub(super) fn sweep(&self) {
        let mut home = self.home();
        let directory = home.directory.clone();
        let mut left: Vec<PathBuf> =
            [SPARE, PROBE, MANIFEST_SPARE].map(|name| directory.join(name)).into();
        let known = checkpoint::files::list(&directory).unwrap_or_default();
        left.extend(known.into_iter().filter(|file| file.is_temporary).map(|file| file.path));
        left.retain(|path| fs::symlink_metadata(path).is_ok());
        if left.is_empty() {
            return;
        }
        let is_held = home.hold.is_some();
        if home.claim().is_ok() {
            // What cannot be removed now is tried again before one of its name is written.
            left.iter().for_each(|path| drop(fs::remove_file(path)));
            if !is_held {
                home.leave();
            }
        }
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
            if segment_number(&name.to_string_lossy()).is_some() || name == MANIFEST {
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
