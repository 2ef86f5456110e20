//! The names of checkpoints: `checkpoint-0000000000000042.ferrite`, and `.temporary` while one is
//! written.

use std::path::{Path, PathBuf};

use crate::checkpoint::{Result, io_error};

const PREFIX: &str = "checkpoint-";
const WHOLE: &str = "ferrite";
const TEMPORARY: &str = "temporary";

/// A checkpoint, by its name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct File {
    /// Where it is.
    pub path: PathBuf,
    /// Its number.
    pub sequence: u64,
    /// Whether it was never completed.
    pub is_temporary: bool,
}

impl File {
    /// The whole checkpoint of a number.
    pub fn whole(directory: &Path, sequence: u64) -> File {
        let path = directory.join(format!("{PREFIX}{sequence:016}.{WHOLE}"));
        File { path, sequence, is_temporary: false }
    }

    /// The same while it is written.
    pub fn temporary(directory: &Path, sequence: u64) -> File {
        let path = directory.join(format!("{PREFIX}{sequence:016}.{TEMPORARY}"));
        File { path, sequence, is_temporary: true }
    }

    /// Whether it is the whole checkpoint of this number.
    pub fn is(&self, sequence: u64) -> bool {
        self.sequence == sequence && !self.is_temporary
    }
}

/// The checkpoints of a directory, in no order.
///
/// # Errors
/// Why it cannot be read.
pub fn list(directory: &Path) -> Result<Vec<File>> {
    let entries = std::fs::read_dir(directory).map_err(io_error(directory))?;
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry.map_err(io_error(directory))?;
        let name = entry.file_name();
        let stem = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        let Some((digits, extension)) = stem.and_then(|stem| stem.split_once('.')) else {
            continue;
        };
        if let Ok(sequence) = digits.parse()
            && (extension == WHOLE || extension == TEMPORARY)
        {
            let is_temporary = extension == TEMPORARY;
            files.push(File { path: entry.path(), sequence, is_temporary });
        }
    }
    Ok(files)
}

/// Brings a directory's entries to the disk.
///
/// # Errors
/// Why that cannot be done.
pub fn sync(directory: &Path) -> Result<()> {
    let synced = std::fs::File::open(directory).and_then(|directory| directory.sync_all());
    synced.map_err(io_error(directory))
}
