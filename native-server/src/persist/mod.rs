//! Persistence: what the server keeps on disk, and how it comes back.
//!
//! Changes leave the databases as entries (entry.rs) and gather in the log's buffer (log.rs), which
//! one thread (writer.rs) brings to segments (format.rs) on a disk (disk.rs). A start reads them
//! back (reader.rs) and does again what they say (recover.rs).
//!
//! Invariant: a position of the log counts the bytes of all changes that were ever appended to it,
//! so it never goes back; whoever holds the lock of every database knows what it stands for.
//! Invariant: two servers never write one directory.

pub mod disk;
pub mod entry;
pub mod files;
pub mod format;
mod home;
pub mod info;
pub mod log;
pub mod manifest;
pub mod reader;
pub mod recover;
mod reload;
pub mod repair;
pub mod replies;
mod rewrite;
pub mod simulated;
pub mod tools;
mod uring;
mod walk;
mod window;
pub mod writer;

use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use thiserror::Error;

use crate::checkpoint::{CheckpointError, saver};
use crate::config::Config;
use crate::persist::disk::{Bell, Disk};
use crate::persist::files::{Directory, Files};
use crate::persist::home::Home;
use crate::persist::log::{Fsync, Log, Request};
use crate::persist::manifest::{Manifest, Needs};
use crate::persist::reader::{End, Fault};
use crate::persist::writer::{Options, Segment, Writer};
use crate::server::Server;

/// Why a log cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The directory is not there, or cannot be written.
    #[error("cannot write in the directory {directory} ('dir'): {why}{}", remedy(why))]
    Directory {
        /// The directory.
        directory: String,
        /// Why not.
        why: io::Error,
    },
    /// Somebody else writes there.
    #[error("another server{owner} uses the directory {directory}: give each its own 'dir'")]
    InUse {
        /// The directory.
        directory: String,
        /// Its process, if that is known.
        owner: String,
    },
    /// It is not there any more, or another one is.
    #[error(
        "the directory {0} was removed or replaced while the server used it: BGREWRITEAOF writes \
         everything anew where an empty one is there"
    )]
    Gone(String),
    /// Another one is in its place, and is somebody's.
    #[error("the directory {0} was replaced by one that has files of a server: move that away")]
    Replaced(String),
    /// What is there cannot be read.
    #[error("{0}; 'ferrite check {1}' tells more")]
    Unreadable(Fault, String),
    /// Its end is torn, and the configuration says not to go on then.
    #[error(
        "the log ends in the middle of a record, in {file} at offset {offset}: 'ferrite repair' \
         cuts it, 'aof-load-truncated yes' does so at every start"
    )]
    Torn {
        /// The file.
        file: String,
        /// Where.
        offset: u64,
    },
    /// The log goes on from a checkpoint that is damaged.
    #[error(
        "{log} goes on from {checkpoint}, which is damaged: with an older checkpoint what was \
         acknowledged since would be missing. Bring that file back, or remove it and the log, with \
         ferrite.manifest, to go on without"
    )]
    Orphan {
        /// A file of the log.
        log: String,
        /// The checkpoint.
        checkpoint: String,
    },
    /// A checkpoint cannot be read, or not be written where one is needed.
    #[error("{why}{remedy}", why = .0, remedy = remedy_of(.0))]
    Checkpoint(#[from] CheckpointError),
    /// The first file of the log cannot be made.
    #[error("cannot begin the log in {directory}: {why}{}", remedy(why))]
    Begin {
        /// The directory.
        directory: String,
        /// Why not.
        why: io::Error,
    },
}

/// What helps against an error of the system, if that is known.
fn remedy(why: &io::Error) -> &'static str {
    match why.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            ": make room there, for the log begins with a file of 32 MB"
        }
        ErrorKind::FileTooLarge => {
            ": the system lets no file grow so large (see ulimit -f), and the log begins with \
             one of 32 MB"
        }
        _ => "",
    }
}

fn remedy_of(error: &CheckpointError) -> &'static str {
    if let CheckpointError::Io { why, .. } = error { remedy(why) } else { "" }
}

/// What the server keeps on disk.
pub struct Persistence {
    home: Mutex<Home>,
    /// Held while the log is turned on or off, or moves: by nobody who holds a database.
    switching: Mutex<()>,
    log: Arc<Log>,
    state: Mutex<State>,
}

/// What one who asks may see.
#[derive(Clone, Default)]
pub struct Figures {
    /// The disk that the log is written with.
    pub backend: &'static str,
    /// How long the last recovery took, and how much it read.
    pub recovery_ms: u64,
    /// See `recovery_ms`.
    pub recovery_bytes: u64,
    /// Where the log began to grow: at the last checkpoint, and how large that is.
    pub base_position: u64,
    /// See `base_position`.
    pub base_bytes: u64,
    /// Whether the last checkpoint could not be written, and how long it took.
    pub rewrite_failed: bool,
    /// See `rewrite_failed`.
    pub rewrite_seconds: Option<u64>,
}

#[derive(Default)]
struct State {
    /// What recovery has found.
    end: Option<End>,
    thread: Option<JoinHandle<()>>,
    /// The log began anew, and the checkpoint of at least this position that it goes with is not
    /// there yet.
    anew: Option<u64>,
    figures: Figures,
}

impl Persistence {
    /// With what the configuration says.
    pub fn new(config: &Config, log: &Arc<Log>) -> Persistence {
        log.set_policy(policy(config));
        Persistence {
            home: Mutex::new(Home::new(&config.dir)),
            switching: Mutex::default(),
            log: Arc::clone(log),
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn home(&self) -> MutexGuard<'_, Home> {
        self.home.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn switching(&self) -> MutexGuard<'_, ()> {
        self.switching.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Up to where the log has been appended to; 0 where there never was one.
    pub fn position(&self) -> u64 {
        self.log.position()
    }

    /// The log.
    pub fn log(&self) -> &Arc<Log> {
        &self.log
    }

    /// What it has to tell.
    pub fn figures(&self) -> Figures {
        self.state().figures.clone()
    }

    /// Brings back what is on disk: the newest checkpoint, then the log behind it. Whether there
    /// was anything.
    ///
    /// # Errors
    /// Nothing is lost: whatever cannot be read stops the start.
    pub fn recover(&self, server: &Arc<Server>, config: &Config) -> Result<bool, OpenError> {
        if config.appendonly {
            self.claim()?;
        }
        self.sweep();
        let loaded = saver::load_at_start(server)?;
        let (from, damaged) = loaded.clone().unwrap_or_default();
        let end = self.replay(server, config, from).map_err(|error| match (error, &damaged) {
            (OpenError::Unreadable(Fault::NoCheckpoint { .. }, _), Some(checkpoint)) => {
                let checkpoint = checkpoint.display().to_string();
                OpenError::Orphan { log: "the log".into(), checkpoint }
            }
            (error, _) => error,
        })?;
        if let Some(number) = end.orphan {
            let log = format::segment_name(number);
            if let Some(checkpoint) = damaged {
                let checkpoint = checkpoint.display().to_string();
                return Err(OpenError::Orphan { log, checkpoint });
            }
            server.log.warning(format_args!(
                "{log} goes with a checkpoint that is not there: what it says is left out"
            ));
        }
        let is_something = loaded.is_some() || end.bytes > 0;
        self.log.open(end.position, 0);
        self.log.shut();
        let mut state = self.state();
        state.figures.base_position = from;
        state.end = Some(end);
        Ok(is_something)
    }

    /// Begins to log, if the configuration says so. What is in the databases and came from
    /// elsewhere than [`Persistence::recover`] is saved in a checkpoint first.
    ///
    /// # Errors
    /// The log cannot be written.
    pub fn begin(
        &self,
        server: &Arc<Server>,
        config: &Config,
        is_recovered: bool,
    ) -> Result<(), OpenError> {
        let end = self.state().end.take().unwrap_or_default();
        if !config.appendonly {
            return Ok(());
        }
        let mut is_empty = true;
        server.databases.each(|_, database| is_empty &= database.keys.is_empty());
        if is_recovered || is_empty {
            self.go_on(server, &end)
        } else {
            self.checkpoint(server)?;
            self.go_on(server, &End { position: self.position(), ..end })
        }
    }

    fn replay(&self, server: &Arc<Server>, config: &Config, from: u64) -> Result<End, OpenError> {
        let began = Instant::now();
        let databases = &server.databases;
        let mut command = |request: &[&[u8]]| replay_command(server, request);
        databases.set_max_bytes(0);
        let outcome =
            recover::replay(&self.directory(), from, server, config.maxmemory_policy, &mut command);
        databases.set_max_bytes(config.maxmemory);
        let directory = self.directory().display().to_string();
        let end = outcome.map_err(|fault| OpenError::Unreadable(fault, directory))?;
        if end.bytes > 0 {
            let (mb, ms) = (end.bytes as f64 / 1e6, began.elapsed().as_millis());
            server
                .log
                .notice(format_args!("replayed {mb:.1} MB of the append-only log in {ms} ms"));
        }
        if let Some(torn) = end.torn {
            let file = self.directory().join(format::segment_name(torn.number));
            let (file, offset) = (file.display().to_string(), torn.offset);
            if !config.aof_load_truncated {
                return Err(OpenError::Torn { file, offset });
            }
            server.log.warning(format_args!(
                "the append-only log ends in the middle of a write, in {file} at offset {offset}: \
                 what stands there was never acknowledged"
            ));
        }
        let mut state = self.state();
        state.figures.recovery_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        state.figures.recovery_bytes = end.bytes;
        Ok(end)
    }

    /// Begins to log behind what was recovered.
    fn go_on(&self, server: &Arc<Server>, end: &End) -> Result<(), OpenError> {
        let writer = self.writer(server, end);
        self.launch(server, writer)
    }

    /// Begins a log that needs a checkpoint of at least its position.
    fn begin_anew(&self, server: &Arc<Server>, position: u64) -> Result<(), OpenError> {
        let writer = || {
            self.log.bell.mount()?;
            let directory = Directory::to_write(&self.directory())?;
            let numbers = directory.list()?;
            // Whatever they hold ends below the checkpoint.
            let older = numbers.iter().map(|&number| Segment { number, start: 0 }).collect();
            let number = next_number(&numbers)?;
            let manifest = Manifest::anew(position);
            let disk = open_disk(server, directory, manifest, &self.log.bell);
            let options = Options { anew: position, ..Options::default() };
            self.log.open(position, options.record_bytes());
            Writer::new(Arc::clone(&self.log), disk, older, number, options, Instant::now())
        };
        self.launch(server, writer())
    }

    /// Starts the log's thread, and lets the databases know.
    fn launch(&self, server: &Arc<Server>, writer: io::Result<Writer>) -> Result<(), OpenError> {
        let begin = || {
            let writer = writer?;
            let backend = writer.backend();
            let thread = std::thread::Builder::new().name("ferrite-log".into());
            Ok((backend, thread.spawn(move || writer.run())?))
        };
        let (backend, thread) = begin().map_err(|why| {
            self.log.shut();
            OpenError::Begin { directory: self.directory().display().to_string(), why }
        })?;
        let mut state = self.state();
        state.figures.backend = backend;
        state.thread = Some(thread);
        drop(state);
        let mut held = server.databases.hold();
        held.take_all();
        (0..server.databases.count()).for_each(|index| held.get(index).is_logged = true);
        Ok(())
    }

    /// Prepares the directory and the log for being written.
    fn writer(&self, server: &Server, end: &End) -> io::Result<Writer> {
        self.log.bell.mount()?;
        let directory = Directory::to_write(&self.directory())?;
        let mut segments = end.segments.clone();
        if let Some(torn) = end.torn {
            segments.retain(|segment| segment.number <= torn.number);
        }
        let needs = Needs {
            position: segments.first().map_or(end.position, |first| first.start),
            end: None,
            numbers: segments.iter().map(|segment| segment.number).collect(),
        };
        directory.note(&needs)?;
        if let Some(torn) = end.torn {
            directory.cut(torn.number, torn.offset)?;
        } else if let Some((number, len)) = end.whole {
            directory.trim(number, len);
        }
        // What is not needed, or was never acknowledged.
        let numbers = directory.list()?;
        for &number in &numbers {
            if !segments.iter().any(|segment| segment.number == number) {
                std::fs::remove_file(directory.segment(number))?;
            }
        }
        let number = next_number(&numbers)?;
        let disk = open_disk(server, directory, Manifest::noted(needs), &self.log.bell);
        let options = Options::default();
        self.log.open(end.position, options.record_bytes());
        let log = Arc::clone(&self.log);
        Writer::new(log, disk, segments, number, options, Instant::now())
    }

    /// Ends the log, and gives the directory back.
    pub fn close(&self) {
        self.end_log();
        self.home().leave();
    }

    /// Ends the log: everything is written, and durable.
    fn end_log(&self) {
        let thread = self.state().thread.take();
        if let Some(thread) = thread {
            self.log.ask(Request::Close);
            // A thread that panicked has said so, and the log has failed by that.
            let _ = thread.join();
            self.log.shut();
        }
    }
}

/// The number behind those of the files that are there, in order.
fn next_number(numbers: &[u64]) -> io::Result<u64> {
    let next = numbers.last().map_or(Some(1), |last| last.checked_add(1));
    next.ok_or_else(|| io::Error::other("there is no number behind that of its last file"))
}

/// With io_uring, or without where it is refused.
fn open_disk(
    server: &Server,
    directory: Directory,
    manifest: Manifest,
    bell: &Arc<Bell>,
) -> Box<dyn Disk> {
    let (disk, refused) = Files::new(directory, manifest, Arc::clone(bell));
    if let Some(why) = refused {
        server.log.warning(format_args!(
            "io_uring is refused ({why}): the append-only log is written with plain files"
        ));
    }
    Box::new(disk)
}

/// What `appendfsync` says.
pub fn policy(config: &Config) -> Fsync {
    match config.appendfsync.as_str() {
        "always" => Fsync::Always,
        "no" => Fsync::No,
        _ => Fsync::EverySecond,
    }
}

/// Does again what concerns no key.
fn replay_command(server: &Arc<Server>, request: &[&[u8]]) -> Result<(), String> {
    match request.first() {
        Some(name) if name.eq_ignore_ascii_case(b"function") => server.functions.redo(request),
        name => {
            let name = String::from_utf8_lossy(name.copied().unwrap_or_default());
            Err(format!("'{name}' is no command that this server does again"))
        }
    }
}
