//! Redis's files, so that people can come and leave: a `dump.rdb` and an append-only file are
//! loaded, a `dump.rdb` is written.
//!
//! Invariant: a file is loaded in full, or not at all; what was left out of it is told. Memory
//! holds a window of a file, never the whole.
//!
//! How values are encoded is the engine's affair (its module `rdb`); here is what stands around
//! them. Not here: Ferrite's own log and checkpoints.

mod aof;
mod fault;
mod file;
mod input;
mod manifest;
pub mod start;
mod summary;
pub mod tool;
mod write;

use std::fs;
use std::path::Path;

use ferrite_engine::Millis;

use crate::database::Databases;
use crate::plain_file;

pub use fault::{Fault, Problem};
pub use input::Progress;
pub use summary::Summary;
pub use write::{Written, export};

/// How files are read.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Whether checksums are compared (`rdbchecksum`).
    pub checks_sum: bool,
    /// Whether an append-only file may end in the middle of a command (`aof-load-truncated`).
    pub allows_cut: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options { checks_sum: true, allows_cut: true }
    }
}

/// Loads one of Redis's files into databases that hold nothing: a `dump.rdb`, an append-only file,
/// or the directory of one. Nobody is told of the changes. `progress` hears now and then how far it
/// is.
///
/// # Errors
/// What is wrong, and where. The databases are empty then.
pub fn load(
    path: &Path,
    databases: &Databases,
    now_ms: Millis,
    options: Options,
    progress: &mut dyn FnMut(&Progress),
) -> Result<Summary, Fault> {
    let started = std::time::Instant::now();
    let mut loader = file::Loader::new(databases, now_ms, options, progress);
    let outcome = fs::metadata(path).map_err(|why| Fault::io(path, why)).and_then(|metadata| {
        if metadata.is_dir() {
            let manifest = manifest::in_directory(path)?;
            aof::load_directory(&mut loader, path, &manifest)
        } else if let Err(why) = plain_file::look(path) {
            Err(Fault::io(path, why))
        } else if metadata.len() == 0 {
            Err(Fault::whole(path, "it is empty"))
        } else if manifest::is_one(path) {
            aof::load_directory(&mut loader, path.parent().unwrap_or(Path::new("")), path)
        } else {
            aof::load_file(&mut loader, path, true)
        }
    });
    let mut summary = loader.finish();
    summary.elapsed = started.elapsed();
    if let Err(fault) = outcome {
        databases.each(|_, database| database.keys.at(now_ms).flush());
        return Err(fault);
    }
    Ok(summary)
}
