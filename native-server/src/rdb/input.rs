//! The bytes of a file that is loaded, as the engine's reader takes them.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::rc::Rc;

use ferrite_engine::RdbInput;

use crate::limits::PROGRESS_BYTES;
use crate::plain_file;

/// How far a load is.
#[derive(Clone, Debug)]
pub struct Progress {
    /// Bytes of the file that were read.
    pub bytes: u64,
    /// Bytes that it has.
    pub bytes_total: u64,
    /// Keys that were read so far, of all files.
    pub keys: u64,
}

/// A file that is read from its beginning to its end.
pub struct Source<'p> {
    file: File,
    bytes: u64,
    bytes_total: u64,
    told_at: u64,
    keys: Rc<Cell<u64>>,
    progress: &'p mut dyn FnMut(&Progress),
    /// Why nothing more came.
    pub error: Option<io::Error>,
}

impl<'p> Source<'p> {
    /// Opens a file.
    pub fn open(
        path: &Path,
        keys: Rc<Cell<u64>>,
        progress: &'p mut dyn FnMut(&Progress),
    ) -> io::Result<Source<'p>> {
        let file = plain_file::open(path)?;
        let bytes_total = file.metadata()?.len();
        Ok(Source { file, bytes: 0, bytes_total, told_at: 0, keys, progress, error: None })
    }

    /// Goes to a byte of the file.
    pub fn seek(&mut self, position: u64) -> io::Result<()> {
        self.bytes = self.file.seek(SeekFrom::Start(position))?;
        Ok(())
    }

    /// How long the file is.
    pub fn bytes_total(&self) -> u64 {
        self.bytes_total
    }
}

impl RdbInput for Source<'_> {
    fn read(&mut self, space: &mut [u8]) -> usize {
        loop {
            match self.file.read(space) {
                Ok(count) => {
                    self.bytes += count as u64;
                    if self.bytes - self.told_at >= PROGRESS_BYTES {
                        self.told_at = self.bytes;
                        let (bytes, bytes_total) = (self.bytes, self.bytes_total);
                        let keys = self.keys.get();
                        (self.progress)(&Progress { bytes, bytes_total, keys });
                    }
                    return count;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.error = Some(error);
                    return 0;
                }
            }
        }
    }
}
