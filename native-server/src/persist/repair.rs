//! `ferrite repair`: a file of a log that is damaged is cut, or set aside.
//!
//! Invariant: nothing is changed before somebody said so. No file is removed: those that cannot be
//! read get another name, which none has.

use std::fs;
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::persist::files::Directory;
use crate::persist::format::BadHead;
use crate::persist::home::LOCK;
use crate::persist::manifest::{MANIFEST, Needs};
use crate::persist::reader::{self, Segments, first_record};
use crate::persist::tools::{Looked, check_checkpoints, look, number_of, told};
use crate::plain_file;

/// Repairs a file of a log, after asking if it is not told that this is wanted.
///
/// # Errors
/// It is none, a server uses it, or it cannot be written.
pub fn repair(path: &str, is_sure: bool) -> Result<(), String> {
    let path = Path::new(path);
    let number = number_of(path).ok_or_else(|| told(path, &"its name is none of a log"))?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = Directory::to_read(parent.unwrap_or(Path::new(".")));
    let lock = directory.path().join(LOCK);
    let lock =
        fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(lock);
    let lock = lock.map_err(|why| told(directory.path(), &why))?;
    flock(&lock, FlockOperation::NonBlockingLockExclusive)
        .map_err(|_| told(directory.path(), &"a server uses this directory: stop it first"))?;
    let bytes = plain_file::read(path).map_err(|why| told(path, &why))?;
    let damage = Damage { directory, number, is_sure };
    let is_done = match look(&bytes) {
        Ok(looked) => damage.cut(&looked),
        // What another version wrote is not damaged.
        Err(why @ BadHead::Version(_)) => return Err(told(path, &why)),
        Err(why) => damage.set_aside(why),
    }?;
    if !is_done {
        println!("nothing was changed");
    }
    Ok(())
}

/// A file that is damaged.
struct Damage {
    directory: Directory,
    number: u64,
    is_sure: bool,
}

impl Damage {
    fn path(&self) -> PathBuf {
        self.directory.segment(self.number)
    }

    /// The files behind it.
    fn behind(&self) -> Result<Vec<u64>, String> {
        let numbers = self.list().map_err(|why| told(self.directory.path(), &why))?;
        Ok(numbers.into_iter().filter(|other| *other > self.number).collect())
    }

    fn announce(&self, behind: &[u64]) {
        for number in behind {
            let path = self.directory.segment(*number);
            println!("{}: follows this file, and will be set aside", path.display());
        }
    }

    /// Cuts it behind its last whole record. False if that is not wanted.
    fn cut(&self, looked: &Looked) -> Result<bool, String> {
        let path = self.path();
        println!(
            "{}: {} records up to position {}, then {} of {} bytes that do not follow; {} whole \
             records stand behind",
            path.display(),
            looked.records,
            looked.end,
            looked.len - looked.offset,
            looked.len,
            looked.later
        );
        let behind = self.behind()?;
        self.announce(&behind);
        if !self.is_wanted("Cut it there? What stands behind is lost. [y/N] ")? {
            return Ok(false);
        }
        self.rename(&behind)?;
        self.directory.cut(self.number, looked.offset).map_err(|why| told(&path, &why))?;
        println!("{}: cut at {} bytes", path.display(), looked.offset);
        Ok(true)
    }

    /// Gives it another name, since no record in it can be read without its head; and those behind
    /// it, where they are of no use without what was in it. False if that is not wanted.
    fn set_aside(&self, why: BadHead) -> Result<bool, String> {
        let path = self.path();
        println!("{}: {why}: no record in it can be read", path.display());
        let from = check_checkpoints(self.directory.path()).log_position.unwrap_or_default();
        let is_well = reader::read(self, from, &mut |_, _| Ok(()));
        let is_well = is_well.is_ok_and(|end| end.torn.is_none());
        let is_known = |number| {
            let found = first_record(self, number);
            found.is_ok_and(|(_, start)| start.is_some_and(|start| start <= from))
        };
        let mut behind = self.behind()?;
        if is_well {
            if behind.drain(..).any(is_known) {
                println!("the log goes on behind it: a checkpoint has what was in it");
            }
        } else {
            self.announce(&behind);
        }
        let question = "Set it aside? What it has, and no checkpoint, is lost to a start. [y/N] ";
        if !self.is_wanted(question)? {
            return Ok(false);
        }
        behind.push(self.number);
        self.rename(&behind)?;
        Ok(true)
    }

    fn is_wanted(&self, question: &str) -> Result<bool, String> {
        Ok(self.is_sure || ask(question)?)
    }

    /// Gives files another name, durably. What is noted of the log is not so any more: the next
    /// start notes it anew.
    fn rename(&self, numbers: &[u64]) -> Result<(), String> {
        let manifest = self.directory.path().join(MANIFEST);
        match fs::remove_file(&manifest) {
            Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(told(&manifest, &why)),
            _ => {}
        }
        for number in numbers {
            let path = self.directory.segment(*number);
            let aside = free_name(&path);
            fs::rename(&path, &aside).map_err(|why| told(&path, &why))?;
            println!("{}: is {} now", path.display(), aside.display());
        }
        let synced = fs::File::open(self.directory.path()).and_then(|file| file.sync_all());
        synced.map_err(|why| told(self.directory.path(), &why))
    }
}

/// The log without that file.
impl Segments for Damage {
    fn list(&self) -> io::Result<Vec<u64>> {
        let numbers = self.directory.list()?;
        Ok(numbers.into_iter().filter(|other| *other != self.number).collect())
    }

    fn needs(&self) -> io::Result<Option<Needs>> {
        Ok(None)
    }

    fn read_at(&self, number: u64, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.directory.read_at(number, offset, buffer)
    }
}

/// What a file that is set aside is called: what was set aside before stays as well.
fn free_name(path: &Path) -> PathBuf {
    let first = path.with_extension("log.lost");
    let later = (2..).map(|number: u64| path.with_extension(format!("log.lost.{number}")));
    let mut names = std::iter::once(first.clone()).chain(later);
    names.find(|name| fs::symlink_metadata(name).is_err()).unwrap_or(first)
}

fn ask(question: &str) -> Result<bool, String> {
    print!("{question}");
    io::stdout().flush().map_err(|why| why.to_string())?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(|why| why.to_string())?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
