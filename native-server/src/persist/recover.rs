//! Recovery: the newest checkpoint, then the log from its position on.
//!
//! Invariant: effects are replayed at time zero, without a budget and without eviction, so that
//! nothing happens but what they say.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use ferrite_engine::{Args, Error, Policy, Reply, Run, Value, all};

use crate::database::Held;
use crate::persist::entry::{Entries, Entry};
use crate::persist::files::Directory;
use crate::persist::reader::{self, End, Fault, Segments};
use crate::server::Server;

/// Effects whose keys the keyspace is shown before they are run.
const AHEAD: usize = 32;

/// How often progress is told.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

impl Segments for Directory {
    fn list(&self) -> std::io::Result<Vec<u64>> {
        Directory::list(self)
    }

    fn load(&self, number: u64, bytes_max: usize) -> std::io::Result<Vec<u8>> {
        Directory::load(self, number, bytes_max)
    }
}

/// What a command that concerns no key does when it is replayed.
pub type ReplayCommand<'c> = dyn FnMut(&[&[u8]]) -> Result<(), String> + 'c;

/// Replays the log of a directory from a position on.
///
/// # Errors
/// What was durable cannot be read, or means nothing to this server.
pub fn replay(
    directory: &Path,
    from: u64,
    server: &Server,
    policy: Policy,
    command: &mut ReplayCommand<'_>,
) -> Result<End, Fault> {
    let directory = Directory::to_read(directory);
    let databases = &server.databases;
    let mut held = databases.hold();
    held.take_all();
    let count = databases.count();
    (0..count).for_each(|index| held.get(index).keys.set_policy(Policy::NoEviction));
    let mut replayer = Replayer {
        server,
        held,
        count,
        runs: all().map(|spec| (spec.name.as_bytes(), spec.run)).collect(),
        database: 0,
        began: Instant::now(),
        told: 0,
        bytes: 0,
        command,
    };
    let outcome = reader::read(&directory, from, &mut |_, unit| replayer.unit(unit));
    let mut held = replayer.held;
    (0..count).for_each(|index| held.get(index).keys.set_policy(policy));
    outcome
}

/// Runs what the log says.
struct Replayer<'d, 'c> {
    server: &'d Server,
    held: Held<'d>,
    count: usize,
    runs: HashMap<&'static [u8], Run>,
    database: usize,
    began: Instant,
    told: u64,
    bytes: u64,
    command: &'c mut ReplayCommand<'c>,
}

/// Effects that are run together.
#[derive(Default)]
struct Batch<'a> {
    texts: Vec<&'a [u8]>,
    ends: Vec<usize>,
}

impl Replayer<'_, '_> {
    fn unit(&mut self, bytes: &[u8]) -> Result<(), String> {
        let mut entries = Entries::new(bytes);
        let mut batch = Batch::default();
        loop {
            match entries.read().map_err(|error| error.to_string())? {
                Some(Entry::Effect(texts)) => {
                    batch.texts.extend_from_slice(texts);
                    batch.ends.push(batch.texts.len());
                    if batch.ends.len() == AHEAD {
                        self.run(&mut batch)?;
                    }
                    continue;
                }
                Some(Entry::Database(number)) => {
                    self.run(&mut batch)?;
                    self.database = self.check(number)?;
                }
                Some(Entry::Swap(one, other)) => {
                    self.run(&mut batch)?;
                    let (one, other) = (self.check(one)?, self.check(other)?);
                    let (one, other) = self.held.get_two(one, other);
                    std::mem::swap(&mut one.keys, &mut other.keys);
                }
                Some(Entry::Command(texts)) => {
                    let texts = texts.to_vec();
                    self.run(&mut batch)?;
                    (self.command)(&texts)?;
                }
                None => break,
            }
        }
        self.run(&mut batch)?;
        self.tell(bytes.len() as u64);
        Ok(())
    }

    fn check(&self, number: usize) -> Result<usize, String> {
        match number < self.count {
            true => Ok(number),
            false => Err(format!("database {number} is beyond 'databases {}'", self.count)),
        }
    }

    fn run(&mut self, batch: &mut Batch<'_>) -> Result<(), String> {
        let keys = &mut self.held.get(self.database).keys;
        let mut starts = [0; AHEAD];
        for (start, end) in starts.iter_mut().skip(1).zip(&batch.ends) {
            *start = *end;
        }
        let mut first_keys = [&[][..]; AHEAD];
        let mut count = 0;
        for start in starts.iter().take(batch.ends.len()) {
            if let (Some(key), Some(place)) =
                (batch.texts.get(start + 1), first_keys.get_mut(count))
            {
                *place = key;
                count += 1;
            }
        }
        keys.preload(first_keys.get(..count).unwrap_or_default());
        for (start, end) in starts.into_iter().zip(&batch.ends) {
            let Some((name, arguments)) =
                batch.texts.get(start..*end).and_then(|texts| texts.split_first())
            else {
                continue;
            };
            let mut lower = [0; 32];
            let lower = lowered(name, &mut lower);
            let run = self.runs.get(lower).ok_or_else(|| {
                format!("'{}' is no command of this server", String::from_utf8_lossy(name))
            })?;
            let mut reply = Silent(None);
            let outcome = run(&mut keys.at(0), &mut Args::new(arguments), &mut reply);
            if let Some(why) = refusal(outcome, reply) {
                return Err(format!("{}: {why}", String::from_utf8_lossy(name)));
            }
        }
        batch.texts.clear();
        batch.ends.clear();
        Ok(())
    }

    fn tell(&mut self, bytes: u64) {
        self.bytes += bytes;
        let seconds = self.began.elapsed().as_secs() / PROGRESS_INTERVAL.as_secs();
        if seconds > self.told {
            self.told = seconds;
            let mb = self.bytes / 1_000_000;
            self.server.log.notice(format_args!("replaying the append-only log: {mb} MB"));
        }
    }
}

/// A name in lower case, without asking for memory.
fn lowered<'b>(name: &'b [u8], buffer: &'b mut [u8; 32]) -> &'b [u8] {
    match buffer.get_mut(..name.len()) {
        Some(place) => {
            place.copy_from_slice(name);
            place.make_ascii_lowercase();
            place
        }
        None => name,
    }
}

/// Why an effect could not be done again.
fn refusal(outcome: Result<(), Error>, reply: Silent) -> Option<String> {
    outcome.err().map(|error| error.to_string()).or(reply.0)
}

/// A reply that nobody reads, but for errors.
#[derive(Default)]
pub struct Silent(pub Option<String>);

impl Reply for Silent {
    fn error(&mut self, parts: &[&[u8]]) {
        self.0 = Some(String::from_utf8_lossy(&parts.concat()).into());
    }

    fn simple(&mut self, _: &'static str) {}
    fn integer(&mut self, _: i64) {}
    fn bulk(&mut self, _: Value<'_>) {}
    fn null(&mut self) {}
    fn array(&mut self, _: usize) {}
}
