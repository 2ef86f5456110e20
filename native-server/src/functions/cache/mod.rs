//! Compiled code on disk: what was compiled once need not be at the next start.
//!
//! A folder of the server's user alone has a key and, under the digest of a module and of the
//! engine that compiled it, that engine's code, sealed by the key. Who has no such folder compiles.
//!
//! Invariant: the folder never holds more bytes than it may: what was of use longest ago goes.
//! Invariant: nothing that is wrong with it keeps a library from being loaded.
//!
//! Not here: modules themselves. Checkpoints, log and dump have the source, which is all that
//! loading needs.

mod folder;
mod seal;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use wasmtime::Module;

use crate::functions::cache::folder::{Folder, Unusable};
use crate::functions::cache::seal::{KEY_BYTES, Name, Seal};
use crate::functions::machine::Machine;
use crate::log::Log;

/// The file with the key.
const KEY: &str = "key";

/// A file that is longer is no key that was damaged.
const KEY_FILE_BYTES_MAX: u64 = 4096;

/// How the names of files with code end.
const CODE: &str = ".code";

/// Compiled code on disk.
pub struct Cache {
    path: Option<PathBuf>,
    bytes_max: u64,
    log: Arc<Log>,
    opened: OnceLock<Option<Opened>>,
    /// Held by whoever makes room and writes.
    writing: Mutex<()>,
}

struct Opened {
    folder: Folder,
    seal: Seal,
}

impl Cache {
    /// One in this folder, of at most so many bytes; none if there is no name or no room.
    pub fn new(path: &Path, bytes_max: u64, log: &Arc<Log>) -> Cache {
        let is_wanted = bytes_max > 0 && path.file_name().is_some();
        Cache {
            path: is_wanted.then(|| path.into()),
            bytes_max,
            log: Arc::clone(log),
            opened: OnceLock::new(),
            writing: Mutex::default(),
        }
    }

    /// None.
    pub fn none(log: &Arc<Log>) -> Cache {
        Cache::new(Path::new(""), 0, log)
    }

    /// What INFO says of it.
    pub fn state(&self) -> &'static str {
        match (&self.path, self.opened.get()) {
            (None, _) => "off",
            (Some(_), Some(None)) => "refused",
            (Some(_), _) => "on",
        }
    }

    /// The code of a module with this digest, if it is there.
    pub fn fetch(&self, machine: &Machine, digest: &[u8; 32]) -> Option<Module> {
        let Opened { folder, seal } = self.opened()?;
        let (name, file) = named(machine, digest);
        let sealed = match folder.read(&file, self.bytes_max) {
            Ok(sealed) => sealed,
            Err(why) if why.kind() == io::ErrorKind::NotFound => return None,
            Err(why) => {
                self.log.warning(format_args!("compiled code in {file} cannot be read: {why}"));
                return None;
            }
        };
        let module = seal.open(&machine.engine, &name, &sealed);
        match &module {
            Some(_) => folder.note_used(&file),
            // It is going to be compiled and written anew.
            None => {
                self.log.warning(format_args!("compiled code in {file} is damaged: not used"));
                folder.remove(&file);
            }
        }
        module
    }

    /// Keeps the code of a module with this digest.
    pub fn keep(&self, machine: &Machine, digest: &[u8; 32], module: &Module) {
        let Some(Opened { folder, seal }) = self.opened() else { return };
        let (name, file) = named(machine, digest);
        let Some(sealed) = seal.seal(&name, module) else { return };
        let _turn = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = sealed.len() as u64;
        let kept = make_room(folder, bytes, self.bytes_max).and_then(|has_room| match has_room {
            true => folder.write(&file, &sealed),
            false => Ok(()),
        });
        if let Err(why) = kept {
            self.log.warning(format_args!("compiled code cannot be kept: {why}"));
        }
    }

    fn opened(&self) -> Option<&Opened> {
        let path = self.path.as_ref()?;
        let opened = self.opened.get_or_init(|| match open(path) {
            Ok(opened) => Some(opened),
            Err(why) => {
                let path = path.display();
                self.log.warning(format_args!("compiled code is not kept in {path}: {why}"));
                None
            }
        });
        opened.as_ref()
    }
}

fn open(path: &Path) -> Result<Opened, Unusable> {
    let folder = Folder::open(path)?;
    let seal = Seal::new(key(&folder)?);
    Ok(Opened { folder, seal })
}

/// The folder's key, which is made if there is none. One of another length is none: what it sealed
/// is compiled again.
fn key(folder: &Folder) -> Result<[u8; KEY_BYTES], Unusable> {
    loop {
        match folder.read_private(KEY, KEY_FILE_BYTES_MAX) {
            Ok(bytes) => match bytes.try_into() {
                Ok(key) => return Ok(key),
                Err(_) => folder.remove(KEY),
            },
            Err(Unusable::Io(why)) if why.kind() == io::ErrorKind::NotFound => {}
            Err(why) => return Err(why),
        }
        let mut key = [0; KEY_BYTES];
        File::open("/dev/urandom")?.read_exact(&mut key)?;
        match folder.write_new(KEY, &key) {
            // Another server with the same folder was first: its key is read.
            Err(why) if why.kind() != io::ErrorKind::AlreadyExists => return Err(why.into()),
            _ => {}
        }
    }
}

/// What a module's code is kept under, and in which file.
fn named(machine: &Machine, digest: &[u8; 32]) -> (Name, String) {
    let name = machine.name_of(digest);
    let digits: String = name.iter().map(|byte| format!("{byte:02x}")).collect();
    (name, digits + CODE)
}

/// Removes what was of use longest ago, until so many bytes more may be there. False if that are
/// too many by themselves.
fn make_room(folder: &Folder, bytes: u64, bytes_max: u64) -> io::Result<bool> {
    let mut entries = folder.entries()?;
    let mut there: u64 = entries.iter().map(|entry| entry.bytes).sum();
    let kept: u64 =
        entries.iter().filter(|entry| !entry.name.ends_with(CODE)).map(|entry| entry.bytes).sum();
    if kept.saturating_add(bytes) > bytes_max {
        return Ok(false);
    }
    entries.retain(|entry| entry.name.ends_with(CODE));
    entries.sort_by_key(|entry| entry.used);
    for entry in entries {
        if there + bytes <= bytes_max {
            break;
        }
        folder.remove(&entry.name);
        there -= entry.bytes;
    }
    Ok(true)
}
