//! `ferrite check` and `ferrite repair`: what is in a log, and cutting one that is damaged.
//!
//! Invariant: `check` changes nothing. `repair` changes nothing before it was told to, and removes
//! nothing: files behind the cut get another name.

use std::fs;
use std::io::{self, BufRead, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::persist::entry::{Entries, Entry};
use crate::persist::files::Directory;
use crate::persist::format::{
    RECORD_HEAD_BYTES, RecordHead, SEGMENT_HEAD_BYTES, SegmentHead, segment_number,
};
use crate::persist::home::LOCK;
use crate::persist::reader::{self, Segments};

/// A segment, looked at on its own.
struct Looked {
    /// The positions of its first record and behind its last.
    start: Option<u64>,
    end: u64,
    records: u64,
    /// Where the records end that follow each other.
    offset: u64,
    /// Records that verify behind that.
    later: u64,
    len: u64,
}

fn look(bytes: &[u8]) -> Result<Looked, String> {
    let head = SegmentHead::read(bytes.get(..SEGMENT_HEAD_BYTES).unwrap_or(bytes));
    let head = head.map_err(|why| why.to_string())?;
    let block = head.block_bytes as usize;
    let (mut at, len) = (block, bytes.len() as u64);
    let mut looked = Looked { start: None, end: 0, records: 0, offset: 0, later: 0, len };
    looked.offset = at as u64;
    let mut has_ended = false;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let is_known = looked.start.is_none() || RecordHead::claimed_position(rest) >= looked.end;
        let record = is_known.then(|| RecordHead::read(head.salt, rest)).flatten();
        let Some((record, _)) = record else {
            has_ended = true;
            at += block;
            continue;
        };
        at += (RECORD_HEAD_BYTES + record.len).next_multiple_of(block);
        if has_ended || looked.start.is_some() && record.position != looked.end {
            has_ended = true;
            looked.later += 1;
            continue;
        }
        looked.start.get_or_insert(record.position);
        looked.end = record.end();
        looked.records += 1;
        looked.offset = at.min(bytes.len()) as u64;
    }
    Ok(looked)
}

/// One file of a log, as a log of its own.
struct Single {
    path: PathBuf,
    number: u64,
}

impl Segments for Single {
    fn list(&self) -> io::Result<Vec<u64>> {
        Ok(vec![self.number])
    }

    fn read_at(&self, _: u64, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        fs::File::open(&self.path)?.read_at(buffer, offset)
    }
}

fn number_of(path: &Path) -> Option<u64> {
    path.file_name().and_then(|name| name.to_str()).and_then(segment_number)
}

/// Tells what is in a log. Whether all is well.
///
/// # Errors
/// There is no log.
pub fn check(path: &str) -> Result<bool, String> {
    let path = Path::new(path);
    let numbers = match path.is_dir() {
        true => Directory::to_read(path).list().map_err(|why| told(path, &why))?,
        false => vec![number_of(path).ok_or_else(|| told(path, &"its name is none of a log"))?],
    };
    if numbers.is_empty() {
        return Err(told(path, &"there is no log"));
    }
    let directory = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
    let directory = Directory::to_read(directory);
    let mut from = u64::MAX;
    for &number in &numbers {
        let file = directory.segment(number);
        let bytes = fs::read(&file).map_err(|why| told(&file, &why))?;
        match look(&bytes) {
            Err(why) => println!("{}: {why}", file.display()),
            Ok(Looked { start: None, .. }) => println!("{}: empty", file.display()),
            Ok(looked) => {
                let start = looked.start.unwrap_or_default();
                from = from.min(start);
                let Looked { end, records, offset, len, .. } = looked;
                println!(
                    "{}: positions {start} to {end} in {records} records; {offset} of {len} bytes",
                    file.display()
                );
            }
        }
    }
    let mut changes = 0_u64;
    let from = if from == u64::MAX { 0 } else { from };
    let mut count = |_: u64, unit: &[u8]| {
        let (mut entries, mut texts) = (Entries::new(unit), Vec::new());
        while let Some(entry) = entries.read(&mut texts).map_err(|why| why.to_string())? {
            changes += u64::from(entry == Entry::Effect);
            texts.clear();
        }
        Ok(())
    };
    let outcome = match (path.is_dir(), numbers.first()) {
        (false, Some(&number)) => {
            reader::read(&Single { path: path.into(), number }, from, &mut count)
        }
        _ => reader::read(&directory, from, &mut count),
    };
    Ok(match outcome {
        Err(fault) => {
            println!("not well: {fault}");
            false
        }
        Ok(end) => {
            println!("{changes} changes, up to position {}", end.position);
            if let Some(torn) = end.torn {
                let file = directory.segment(torn.number);
                println!(
                    "torn: {} ends in the middle of a write at offset {}: a start cuts it",
                    file.display(),
                    torn.offset
                );
            }
            end.torn.is_none()
        }
    })
}

fn told(path: &Path, why: &dyn std::fmt::Display) -> String {
    format!("{}: {why}", path.display())
}

/// Cuts a file of a log behind its last whole record.
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
    let bytes = fs::read(path).map_err(|why| told(path, &why))?;
    let looked = look(&bytes).map_err(|why| told(path, &why))?;
    let numbers = directory.list().map_err(|why| told(directory.path(), &why))?;
    let behind: Vec<u64> = numbers.into_iter().filter(|other| *other > number).collect();
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
    for number in &behind {
        println!(
            "{}: follows this file, and will be set aside",
            directory.segment(*number).display()
        );
    }
    if !is_sure && !ask("Cut it there? What stands behind is lost. [y/N] ")? {
        println!("nothing was changed");
        return Ok(());
    }
    for number in behind {
        let file = directory.segment(number);
        let aside = file.with_extension("log.lost");
        fs::rename(&file, aside).map_err(|why| told(&file, &why))?;
    }
    directory.cut(number, looked.offset).map_err(|why| told(path, &why))?;
    println!("{}: cut at {} bytes", path.display(), looked.offset);
    Ok(())
}

fn ask(question: &str) -> Result<bool, String> {
    print!("{question}");
    io::stdout().flush().map_err(|why| why.to_string())?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(|why| why.to_string())?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
