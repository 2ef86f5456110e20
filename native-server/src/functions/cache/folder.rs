//! A folder that is its owner's alone, and the files in it.
//!
//! Invariant: what was looked at is what is used: the folder is held open, files are opened in it
//! by their names and without following links. What is made has no rights for anybody else.
//! Invariant: a file has its name only when it is complete.
//!
//! Not here: what stands in the files.

use std::fs::{DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;
use std::time::SystemTime;

use rustix::fs::{AtFlags, Dir, Mode, OFlags, linkat, open, openat, renameat, unlinkat};
use thiserror::Error;

use crate::random;

/// Rights of anybody but the owner.
const OTHERS: u32 = 0o077;

/// How the names of files end that are not complete.
const TEMPORARY: &str = ".temporary";

/// Why a folder or a file is not used.
#[derive(Debug, Error)]
pub enum Unusable {
    /// The system says so.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Others have rights.
    #[error("the mode of {0} is {1:o}, nobody but its owner may have any rights")]
    Open(String, u32),
    /// It is somebody else's.
    #[error("{0} belongs to another user")]
    Stranger(String),
}

/// A file of the folder.
#[derive(Debug)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// When it was last of use.
    pub used: SystemTime,
}

/// The folder.
pub struct Folder {
    directory: File,
    owner: u32,
}

impl Folder {
    /// Opens a folder, which is made if it is not there.
    ///
    /// # Errors
    /// Why it is not to be used.
    pub fn open(path: &Path) -> Result<Folder, Unusable> {
        match DirBuilder::new().mode(0o700).create(path) {
            Err(why) if why.kind() != io::ErrorKind::AlreadyExists => return Err(why.into()),
            _ => {}
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = File::from(open(path, flags, Mode::empty()).map_err(io::Error::from)?);
        let about = directory.metadata()?;
        let folder = Folder { directory, owner: about.uid() };
        let name = path.display().to_string();
        if about.mode() & OTHERS != 0 {
            return Err(Unusable::Open(name, about.mode() & 0o7777));
        }
        for entry in folder.entries()?.iter().filter(|entry| entry.name.ends_with(TEMPORARY)) {
            folder.remove(&entry.name);
        }
        // Who this process is shows in what it makes.
        let (probe, file) = folder.begin(&[])?;
        folder.remove(&probe);
        match file.metadata()?.uid() == folder.owner {
            true => Ok(folder),
            false => Err(Unusable::Stranger(name)),
        }
    }

    /// What a file holds, which is at most so long.
    ///
    /// # Errors
    /// Why it cannot be read; [`io::ErrorKind::NotFound`] if there is none.
    pub fn read(&self, name: &str, bytes_max: u64) -> io::Result<Vec<u8>> {
        self.read_from(self.file(name)?, bytes_max)
    }

    /// The same for a file that nobody else may read or write.
    ///
    /// # Errors
    /// Also if anybody else may.
    pub fn read_private(&self, name: &str, bytes_max: u64) -> Result<Vec<u8>, Unusable> {
        let file = self.file(name)?;
        let about = file.metadata()?;
        if about.mode() & OTHERS != 0 {
            return Err(Unusable::Open(name.into(), about.mode() & 0o7777));
        }
        if about.uid() != self.owner {
            return Err(Unusable::Stranger(name.into()));
        }
        Ok(self.read_from(file, bytes_max)?)
    }

    fn file(&self, name: &str) -> io::Result<File> {
        // Without waiting: whoever put a pipe there does not hold up anybody.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(File::from(openat(&self.directory, name, flags, Mode::empty())?))
    }

    fn read_from(&self, file: File, bytes_max: u64) -> io::Result<Vec<u8>> {
        let about = file.metadata()?;
        if !about.is_file() || about.len() > bytes_max {
            return Err(io::Error::other("it is not a file of a sensible length"));
        }
        let mut bytes = Vec::with_capacity(about.len() as usize);
        file.take(bytes_max).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Puts a file there, in the place of one of its name.
    ///
    /// # Errors
    /// Those of the disk; nothing has changed then.
    pub fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let (temporary, file) = self.begin(bytes)?;
        // The system's own time of a write may be that of some milliseconds before.
        let _ = file.set_modified(SystemTime::now());
        let renamed = renameat(&self.directory, &temporary, &self.directory, name);
        renamed.map_err(|why| {
            self.remove(&temporary);
            why.into()
        })
    }

    /// Puts a file there if there is none of its name yet.
    ///
    /// # Errors
    /// Those of the disk, [`io::ErrorKind::AlreadyExists`] among them.
    pub fn write_new(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let (temporary, _) = self.begin(bytes)?;
        let flags = AtFlags::empty();
        let linked = linkat(&self.directory, &temporary, &self.directory, name, flags);
        self.remove(&temporary);
        Ok(linked?)
    }

    /// A complete file under a temporary name.
    fn begin(&self, bytes: &[u8]) -> io::Result<(String, File)> {
        let name = format!("{}{TEMPORARY}", random::hexadecimal(16));
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let mut file = File::from(openat(&self.directory, &name, flags, mode)?);
        match file.write_all(bytes) {
            Ok(()) => Ok((name, file)),
            Err(why) => {
                self.remove(&name);
                Err(why)
            }
        }
    }

    /// Removes a file. One that is not there, or cannot be removed, is no harm.
    pub fn remove(&self, name: &str) {
        let _ = unlinkat(&self.directory, name, AtFlags::empty());
    }

    /// Notes that a file was of use just now.
    pub fn note_used(&self, name: &str) {
        // It only decides which one is removed first.
        let _ = self.file(name).and_then(|file| file.set_modified(SystemTime::now()));
    }

    /// Its files.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn entries(&self) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in Dir::read_from(&self.directory)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            // One that was removed meanwhile is none.
            let Ok(about) = self.file(name).and_then(|file| file.metadata()) else { continue };
            if about.is_file() {
                let used = about.modified()?;
                entries.push(Entry { name: name.into(), bytes: about.len(), used });
            }
        }
        Ok(entries)
    }
}
