//! Recovery: the newest checkpoint, then the log from its position on.
//!
//! Invariant: effects are replayed at time zero, without a budget and without eviction, so that
//! nothing happens but what they say.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use ferrite_engine::{Args, Error, Policy, Reply, Run, Value, all};

use crate::database::Held;
use crate::limits::SUPPLY_BYTES_MIN;
use crate::persist::entry::{Entries, Entry};
use crate::persist::files::Directory;
use crate::persist::manifest::Needs;
use crate::persist::reader::{self, End, Fault, Segments};
use crate::server::Server;
use crate::supply::Supply;

/// Effects whose keys the keyspace is shown before they are run.
const AHEAD: usize = 32;

/// How often progress is told.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

impl Segments for Directory {
    fn list(&self) -> std::io::Result<Vec<u64>> {
        Directory::list(self)
    }

    fn needs(&self) -> std::io::Result<Option<Needs>> {
        Needs::read(self.path())
    }

    fn read_at(&self, number: u64, offset: u64, buffer: &mut [u8]) -> std::io::Result<usize> {
        Directory::read_at(self, number, offset, buffer)
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
        recent: None,
        database: 0,
        began: Instant::now(),
        told: 0,
        bytes: 0,
        supply: None,
        command,
    };
    let outcome = reader::read(&directory, from, &mut |_, unit| replayer.unit(unit));
    let mut held = replayer.held;
    for index in 0..count {
        let keys = &mut held.get(index).keys;
        keys.end_supply();
        keys.set_policy(policy);
    }
    outcome
}

/// Runs what the log says.
struct Replayer<'d, 'c> {
    server: &'d Server,
    held: Held<'d>,
    count: usize,
    runs: HashMap<&'static [u8], Run>,
    /// The last of them: most often it is the next as well.
    recent: Option<(&'static [u8], Run)>,
    database: usize,
    began: Instant,
    told: u64,
    bytes: u64,
    supply: Option<Supply>,
    command: &'c mut ReplayCommand<'c>,
}

/// Effects that are run together: their texts, and where those of each end.
#[derive(Default)]
struct Batch<'a> {
    texts: Vec<&'a [u8]>,
    ends: Vec<usize>,
}

impl Replayer<'_, '_> {
    fn unit(&mut self, bytes: &[u8]) -> Result<(), String> {
        let mut entries = Entries::new(bytes);
        let mut batch = Batch::default();
        while let Some(entry) = entries.read(&mut batch.texts).map_err(|no| no.to_string())? {
            if entry == Entry::Effect {
                batch.ends.push(batch.texts.len());
                if batch.ends.len() == AHEAD {
                    self.run(&mut batch)?;
                }
                continue;
            }
            // What concerns more than the keys of one database comes behind what came before.
            let command = batch.texts.split_off(batch.ends.last().copied().unwrap_or_default());
            self.run(&mut batch)?;
            match entry {
                Entry::Effect => {}
                Entry::Database(number) => self.database = self.check(number)?,
                Entry::Swap(one, other) => {
                    let (one, other) = (self.check(one)?, self.check(other)?);
                    let (one, other) = self.held.get_two(one, other);
                    std::mem::swap(&mut one.keys, &mut other.keys);
                    // As when it was done first (`Database::swap_keys`).
                    one.keys.forget_base();
                    other.keys.forget_base();
                }
                Entry::Command => (self.command)(&command)?,
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
        let mut effects: [&[&[u8]]; AHEAD] = [&[]; AHEAD];
        let mut start = 0;
        for (effect, &end) in effects.iter_mut().zip(&batch.ends) {
            *effect = batch.texts.get(start..end).unwrap_or_default();
            start = end;
        }
        let effects = effects.get(..batch.ends.len()).unwrap_or_default();
        let keys = &mut self.held.get(self.database).keys;
        if let Some(supply) = &self.supply {
            supply.refill(keys);
        }
        keys.preload(effects);
        for effect in effects {
            let Some((name, arguments)) = effect.split_first() else { continue };
            let run = match self.recent {
                Some((recent, run)) if name.eq_ignore_ascii_case(recent) => run,
                _ => {
                    let lower = name.to_ascii_lowercase();
                    let found = self.runs.get_key_value(&lower[..]).ok_or_else(|| {
                        format!("'{}' is no command of this server", String::from_utf8_lossy(name))
                    })?;
                    self.recent = Some((*found.0, *found.1));
                    *found.1
                }
            };
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
        if self.supply.is_none() && self.bytes >= SUPPLY_BYTES_MIN {
            self.supply = Supply::begin();
        }
        let seconds = self.began.elapsed().as_secs() / PROGRESS_INTERVAL.as_secs();
        if seconds > self.told {
            self.told = seconds;
            let mb = self.bytes / 1_000_000;
            self.server.log.notice(format_args!("replaying the append-only log: {mb} MB"));
        }
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
