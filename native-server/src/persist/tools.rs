//! `ferrite check`: what is in a log, and whether it is well.
//!
//! Invariant: it changes nothing. Not here: what is done about it (repair.rs).

use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ferrite_engine::Policy;

use crate::checkpoint;
use crate::database::Databases;
use crate::limits::DATABASES_MAX;
use crate::persist::entry::{Entries, Entry};
use crate::persist::files::Directory;
use crate::persist::format::{
    BadHead, RECORD_HEAD_BYTES, RecordHead, SEGMENT_HEAD_BYTES, SegmentHead, segment_number,
};
use crate::persist::manifest::{MANIFEST, Needs};
use crate::persist::reader::{self, Segments};
use crate::plain_file;

/// A segment, looked at on its own.
pub(super) struct Looked {
    /// The positions of its first record and behind its last.
    pub start: Option<u64>,
    pub end: u64,
    pub records: u64,
    /// Where the records end that follow each other.
    pub offset: u64,
    /// Records that verify behind that.
    pub later: u64,
    pub len: u64,
}

pub(super) fn look(bytes: &[u8]) -> Result<Looked, BadHead> {
    let head = SegmentHead::read(bytes.get(..SEGMENT_HEAD_BYTES).unwrap_or(bytes))?;
    let block = head.block_bytes as usize;
    if bytes.len() < block {
        return Err(BadHead::Damaged);
    }
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

    fn needs(&self) -> io::Result<Option<Needs>> {
        Ok(None)
    }

    fn read_at(&self, _: u64, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        plain_file::open(&self.path)?.read_at(buffer, offset)
    }
}

pub(super) fn number_of(path: &Path) -> Option<u64> {
    path.file_name().and_then(|name| name.to_str()).and_then(segment_number)
}

/// Tells what is in a directory, or in one file of a log. Whether all is well.
///
/// # Errors
/// There is nothing.
pub fn check(path: &str) -> Result<bool, String> {
    let path = Path::new(path);
    if !path.is_dir() {
        let number = number_of(path).ok_or_else(|| told(path, &"its name is none of a log"))?;
        let directory = Directory::to_read(path.parent().unwrap_or(path));
        let from = show(&directory, &[number])?.unwrap_or_default();
        let single = Single { path: path.into(), number };
        return Ok(check_log(&single, &directory, from).is_ok());
    }
    let directory = Directory::to_read(path);
    let numbers = directory.list().map_err(|why| told(path, &why))?;
    let saved = check_checkpoints(path);
    let has_manifest = path.join(MANIFEST).exists();
    if numbers.is_empty() && saved == Saved::default() && !has_manifest {
        return Err(told(path, &"there is no log and no checkpoint"));
    }
    show(&directory, &numbers)?;
    let from = saved.log_position.unwrap_or_default();
    let orphan = check_log(&directory, &directory, from);
    if let Ok(Some(number)) = orphan {
        println!(
            "{}: goes with a checkpoint that is not there: a start {}",
            directory.segment(number).display(),
            if saved.is_damaged { "is refused" } else { "leaves out what it says" }
        );
    }
    Ok(!saved.is_damaged && orphan == Ok(None))
}

/// What the checkpoints of a directory are.
#[derive(Default, PartialEq, Eq)]
pub(super) struct Saved {
    /// From which position on the log knows more than the newest that is whole.
    pub log_position: Option<u64>,
    is_damaged: bool,
}

/// Loads the newest, and tells what is in it.
pub(super) fn check_checkpoints(path: &Path) -> Saved {
    let news = Arc::default();
    let databases = Databases::new(DATABASES_MAX, 0, Policy::NoEviction, || 0, &news);
    match checkpoint::load(path, &databases) {
        Ok(None) => Saved::default(),
        Err(why) => {
            println!("not well: {why}");
            Saved { log_position: None, is_damaged: true }
        }
        Ok(Some(loaded)) => {
            for (path, fault) in &loaded.damaged {
                println!("not well: {}: {fault}", path.display());
            }
            let mut keys = 0;
            databases.each(|_, database| keys += database.keys.len());
            let (path, position) = (loaded.path.display(), loaded.log_position);
            println!("{path}: {keys} keys; the log goes on at position {position}");
            Saved { log_position: Some(position), is_damaged: !loaded.damaged.is_empty() }
        }
    }
}

/// Shows segments. The position of the first record there is.
fn show(directory: &Directory, numbers: &[u64]) -> Result<Option<u64>, String> {
    let mut first = None;
    for &number in numbers {
        let file = directory.segment(number);
        let bytes = plain_file::read(&file).map_err(|why| told(&file, &why))?;
        match look(&bytes) {
            Err(why) => println!("{}: {why}", file.display()),
            Ok(Looked { start: None, later: 0, .. }) => println!("{}: empty", file.display()),
            Ok(Looked { start: None, later, .. }) => {
                println!("{}: the first record is damaged, {later} behind are not", file.display());
            }
            Ok(Looked { start: Some(start), end, records, offset, len, .. }) => {
                first = Some(first.map_or(start, |first: u64| first.min(start)));
                println!(
                    "{}: positions {start} to {end} in {records} records; {offset} of {len} bytes",
                    file.display()
                );
            }
        }
    }
    Ok(first)
}

/// It is not well, and somebody was told.
#[derive(PartialEq, Eq)]
struct Unwell;

/// Reads a log as a start does. A segment of it that goes with a checkpoint that is not there.
fn check_log<S: Segments>(
    source: &S,
    directory: &Directory,
    from: u64,
) -> Result<Option<u64>, Unwell> {
    let mut changes = 0_u64;
    let mut count = |_: u64, unit: &[u8]| {
        let (mut entries, mut texts) = (Entries::new(unit), Vec::new());
        while let Some(entry) = entries.read(&mut texts).map_err(|why| why.to_string())? {
            changes += u64::from(entry == Entry::Effect);
            texts.clear();
        }
        Ok(())
    };
    let end = reader::read(source, from, &mut count).map_err(|fault| {
        println!("not well: {fault}");
        Unwell
    })?;
    println!("{changes} changes, up to position {}", end.position);
    if let Some(torn) = end.torn {
        let file = directory.segment(torn.number);
        println!(
            "torn: {} ends in the middle of a write at offset {}: a start cuts it",
            file.display(),
            torn.offset
        );
        return Err(Unwell);
    }
    Ok(end.orphan)
}

pub(super) fn told(path: &Path, why: &dyn std::fmt::Display) -> String {
    format!("{}: {why}", path.display())
}
