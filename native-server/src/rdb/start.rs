//! Which of Redis's files a server begins with, as Redis would choose: with `appendonly yes` the
//! append-only file, else the `dump.rdb`.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{Fault, Options, Progress, load};
use crate::checkpoint::{CheckpointError, files};
use crate::config::Config;
use crate::persist::format::segment_number;
use crate::persist::manifest::MANIFEST;
use crate::plain_file;
use crate::server::Server;

/// How often a long load says how far it is.
const PROGRESS_PAUSE: Duration = Duration::from_secs(2);

/// What there is of Redis in a directory.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    /// What is to be loaded.
    pub path: Option<PathBuf>,
    /// What is there as well, and is not.
    pub ignored: Option<PathBuf>,
}

/// Looks what there is.
///
/// # Errors
/// What ought to be a file is none.
pub fn look(config: &Config) -> Result<Found, Fault> {
    let directory = Path::new(&config.dir);
    let manifest = format!("{}.manifest", config.appendfilename);
    let log = [
        directory.join(&config.appenddirname).join(manifest),
        // Before version 7 it was one file.
        directory.join(&config.appendfilename),
    ];
    let bytes_of = |path: &Path| match plain_file::look(path) {
        Ok(file) => Ok(Some(file.len())),
        // There is none; or what stands before its name is no directory.
        Err(why) if matches!(why.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(why) => Err(Fault::io(path, why)),
    };
    let dump = directory.join(&config.dbfilename);
    let dump = bytes_of(&dump)?.map(|_| dump);
    let mut found = None;
    for path in log {
        if found.is_none() && bytes_of(&path)?.is_some_and(|bytes| bytes > 0) {
            found = Some(path);
        }
    }
    Ok(match (found, dump, config.appendonly) {
        // Without a log Redis would begin with nothing, and lose what is there.
        (log, dump, true) if log.is_none() => Found { path: dump, ignored: None },
        (log, dump, true) => Found { path: log, ignored: dump },
        (log, dump, false) => Found { path: dump, ignored: log },
    })
}

/// Whether a directory has files of this server: then those of Redis are of the past.
///
/// # Errors
/// It cannot be read.
pub fn has_own_files(directory: &Path) -> Result<bool, CheckpointError> {
    let fault = |why| CheckpointError::Io { path: directory.into(), why };
    for entry in fs::read_dir(directory).map_err(fault)? {
        let name = entry.map_err(fault)?.file_name();
        if segment_number(&name.to_string_lossy()).is_some() || name == MANIFEST {
            return Ok(true);
        }
    }
    Ok(!files::list(directory)?.is_empty())
}

/// Loads what Redis left in a server's directory, unless the server has files of its own there.
///
/// # Errors
/// What is wrong with it. The databases are empty then.
pub fn begin(server: &Server, config: &Config) -> Result<(), Fault> {
    // A directory that cannot be read is the affair of who writes there.
    if has_own_files(Path::new(&config.dir)).unwrap_or(true) {
        return Ok(());
    }
    let Found { path, ignored } = look(config)?;
    if let Some(path) = path {
        load_saying(&path, config, server, &mut |line| server.log.notice(line))?;
    }
    if let Some(path) = ignored {
        let word = if config.appendonly { "yes" } else { "no" };
        let path = path.display();
        server.log.warning(format_args!("{path} is there, and not read with appendonly {word}"));
    }
    Ok(())
}

/// Loads a file and tells of it.
///
/// # Errors
/// Those of [`load`].
pub fn load_saying(
    path: &Path,
    config: &Config,
    server: &Server,
    say: &mut dyn FnMut(&str),
) -> Result<(), Fault> {
    let options = Options { checks_sum: config.rdbchecksum, allows_cut: config.aof_load_truncated };
    let mut told_at = Instant::now();
    let mut progress = |progress: &Progress| {
        if told_at.elapsed() >= PROGRESS_PAUSE {
            told_at = Instant::now();
            let Progress { bytes, bytes_total, keys } = progress;
            let percent = 100 * bytes / (*bytes_total).max(1);
            say(&format!("loading {}: {percent} %, {keys} keys", path.display()));
        }
    };
    let databases = &server.databases;
    let summary = load(path, databases, server.started_ms, options, &mut progress)?;
    server.saver.note_loaded(summary.keys, databases.changes());
    say(&format!("loaded {}: {summary}", path.display()));
    for note in &summary.notes {
        say(note);
    }
    for text in &summary.library_texts {
        let loaded = server.functions.make(text).and_then(|library| {
            server.functions.loaded.change(|registry| registry.add_any(&library, true))?;
            Ok(library.name().to_owned())
        });
        match loaded {
            Ok(name) => say(&format!("loaded the library of functions {name}")),
            Err(why) => say(&format!("a library of functions is left out: {why}")),
        }
    }
    Ok(())
}
