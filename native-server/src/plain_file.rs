//! Files that are read by name: what is none is refused, since a pipe that nobody writes to would
//! keep the server waiting for ever.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// What the system knows of a file.
///
/// # Errors
/// The system's, or what it is instead of a file.
pub fn look(path: &Path) -> io::Result<Metadata> {
    let found = fs::metadata(path)?;
    let kind = found.file_type();
    let other = match () {
        () if kind.is_file() => return Ok(found),
        () if kind.is_dir() => "a directory",
        () if kind.is_fifo() => "a pipe",
        () if kind.is_socket() => "a socket",
        () => "a device",
    };
    Err(io::Error::other(format!("it is {other}, and no file")))
}

/// Opens a file to read it.
///
/// # Errors
/// As for [`look`].
pub fn open(path: &Path) -> io::Result<File> {
    look(path)?;
    File::open(path)
}

/// Reads the whole of a file.
///
/// # Errors
/// As for [`look`].
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}
