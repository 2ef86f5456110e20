//! What the server counts.
//!
//! Invariant: a figure that is counted with every command belongs to one I/O thread, which alone
//! writes it, so counting takes no lock and no thread waits for another's cache line. Who asks adds
//! up those of all threads.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use crate::commands::table;
use crate::limits::{ERROR_CODE_BYTES_MAX, ERROR_CODES_MAX};
use crate::process::Usage;

/// A number that one thread counts and any thread reads.
#[derive(Default)]
pub struct Tally(AtomicU64);

impl Tally {
    /// Counts so many more. Only for the thread that it belongs to.
    #[inline]
    pub fn add(&self, more: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(more), Relaxed);
    }

    /// How many there are.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    fn reset(&self) {
        self.0.store(0, Relaxed);
    }
}

/// The figures of one command.
#[derive(Default)]
pub struct CommandTally {
    /// Times that it was run.
    pub calls: Tally,
    /// How long that took.
    pub nanoseconds: Tally,
    /// Times that it was refused before it was run.
    pub rejected_calls: Tally,
    /// Times that it answered an error.
    pub failed_calls: Tally,
    /// Calls by how long they took: up to 1, 2, 4, 8 microseconds and so on.
    pub by_duration: [Tally; DURATIONS],
}

/// Durations that are told apart; the last is half a minute, and all beyond.
pub const DURATIONS: usize = 26;

impl CommandTally {
    /// Counts calls that took so long each.
    pub fn note(&self, calls: u64, nanoseconds_each: u64) {
        self.calls.add(calls);
        self.nanoseconds.add(nanoseconds_each.saturating_mul(calls));
        let us = nanoseconds_each.div_ceil(1000).max(1);
        let power = us.next_power_of_two().trailing_zeros() as usize;
        if let Some(tally) = self.by_duration.get(power.min(DURATIONS - 1)) {
            tally.add(calls);
        }
    }
}

/// The same, added up.
#[derive(Clone, Copy, Default)]
#[allow(missing_docs, reason = "as above")]
pub struct CommandSum {
    pub calls: u64,
    pub nanoseconds: u64,
    pub rejected_calls: u64,
    pub failed_calls: u64,
    pub by_duration: [u64; DURATIONS],
}

impl CommandSum {
    /// How long so many percent of the calls took at most, in microseconds: as exactly as durations
    /// are told apart.
    pub fn percentile_us(&self, percent: f64) -> u64 {
        let all: u64 = self.by_duration.iter().sum();
        let wanted = ((all as f64 * percent / 100.0).ceil() as u64).clamp(1, all.max(1));
        let mut counted = 0;
        let power = self.by_duration.iter().position(|calls| {
            counted += calls;
            counted >= wanted
        });
        power.map_or(0, |power| 1 << power)
    }
}

/// What one I/O thread counts.
pub struct ThreadStats {
    /// By the commands' numbers.
    pub commands: Box<[CommandTally]>,
    /// Bytes received.
    pub input_bytes: Tally,
    /// Bytes sent.
    pub output_bytes: Tally,
    /// Reads from sockets.
    pub reads: Tally,
    /// Writes to sockets.
    pub writes: Tally,
    errors_by_code: Mutex<BTreeMap<String, u64>>,
}

impl Default for ThreadStats {
    fn default() -> ThreadStats {
        ThreadStats {
            commands: (0..table().count()).map(|_| CommandTally::default()).collect(),
            input_bytes: Tally::default(),
            output_bytes: Tally::default(),
            reads: Tally::default(),
            writes: Tally::default(),
            errors_by_code: Mutex::default(),
        }
    }
}

impl ThreadStats {
    /// Counts a command that failed after it had waited, and its error line.
    pub fn count_failure(&self, command: &str, line: &[u8]) {
        self.count_error(line);
        let id = table().find(command.as_bytes()).map(|command| usize::from(command.id));
        let tally = id.and_then(|id| self.commands.get(id));
        tally.into_iter().for_each(|tally| tally.failed_calls.add(1));
    }

    /// Counts an error line by its first word. As in Redis one that has none, or too long a one,
    /// counts as any error.
    pub fn count_error(&self, line: &[u8]) {
        let line = line.split(|&byte| byte == b'\r').next().unwrap_or_default();
        let start = line.get(..ERROR_CODE_BYTES_MAX).unwrap_or(line);
        let code = start.iter().position(|&byte| byte == b' ').and_then(|end| line.get(..end));
        let code = String::from_utf8_lossy(code.unwrap_or(b"ERR"));
        let mut errors = self.errors_by_code.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = errors.get_mut(&*code) {
            *count += 1;
        } else if errors.len() < ERROR_CODES_MAX {
            errors.insert(code.into(), 1);
        }
    }
}

/// What all threads count.
#[derive(Default)]
pub struct Stats {
    /// The threads' own figures.
    pub threads: Vec<std::sync::Arc<ThreadStats>>,
    /// Connections that came, in all.
    pub connections_received: AtomicU64,
    /// Connections that were not let in.
    pub connections_rejected: AtomicU64,
    /// Commands a second, lately.
    pub commands_per_second: AtomicU64,
    /// Bytes a second, lately: received and sent.
    pub bytes_per_second: [AtomicU64; 2],
    /// The most memory that was ever held.
    pub used_memory_peak: AtomicU64,
    /// How long the clock's work on keys that expire took, in microseconds.
    pub expiry_us: AtomicU64,
    /// How often that came to its end before the keys did.
    pub expiry_cut: AtomicU64,
    /// Clients dropped for what waited to be sent to them.
    pub clients_dropped: AtomicU64,
    /// Clients dropped for what they sent and was not run yet.
    pub inputs_dropped: AtomicU64,
    /// Figures of the keyspaces when CONFIG RESETSTAT was run: hits, misses, expired, evicted, and
    /// freed step by step.
    pub keyspace_base: [AtomicU64; 5],
    /// What the process takes of the machine.
    pub usage: Usage,
}

impl Stats {
    /// The figures of a command, by its number.
    pub fn command(&self, id: u16) -> CommandSum {
        let mut sum = CommandSum::default();
        for thread in &self.threads {
            let Some(tally) = thread.commands.get(usize::from(id)) else { continue };
            sum.calls += tally.calls.get();
            sum.nanoseconds += tally.nanoseconds.get();
            sum.rejected_calls += tally.rejected_calls.get();
            sum.failed_calls += tally.failed_calls.get();
            let durations = sum.by_duration.iter_mut().zip(&tally.by_duration);
            durations.for_each(|(sum, tally)| *sum += tally.get());
        }
        sum
    }

    /// One of the threads' figures.
    pub fn sum(&self, figure: impl Fn(&ThreadStats) -> u64) -> u64 {
        self.threads.iter().map(|thread| figure(thread)).sum()
    }

    /// All commands that were run.
    pub fn commands_processed(&self) -> u64 {
        self.sum(|thread| thread.commands.iter().map(|command| command.calls.get()).sum())
    }

    /// Errors that were answered, by their first words.
    pub fn errors(&self) -> BTreeMap<String, u64> {
        let mut sums = BTreeMap::new();
        for thread in &self.threads {
            let errors = thread.errors_by_code.lock().unwrap_or_else(PoisonError::into_inner);
            errors.iter().for_each(|(code, count)| *sums.entry(code.clone()).or_default() += count);
        }
        sums
    }

    /// Begins to count anew. A thread that counts at this moment may keep a last figure.
    pub fn reset(&self, keyspace: [u64; 5]) {
        for thread in &self.threads {
            for command in &thread.commands {
                let CommandTally { calls, nanoseconds, rejected_calls, failed_calls, by_duration } =
                    command;
                by_duration.iter().for_each(Tally::reset);
                let tallies = [calls, nanoseconds, rejected_calls, failed_calls];
                tallies.into_iter().for_each(Tally::reset);
            }
            let ThreadStats { input_bytes, output_bytes, reads, writes, .. } = &**thread;
            let tallies = [input_bytes, output_bytes, reads, writes];
            tallies.into_iter().for_each(Tally::reset);
            thread.errors_by_code.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
        for figure in [
            &self.connections_received,
            &self.connections_rejected,
            &self.expiry_us,
            &self.expiry_cut,
            &self.clients_dropped,
            &self.inputs_dropped,
        ] {
            figure.store(0, Relaxed);
        }
        self.keyspace_base.iter().zip(keyspace).for_each(|(base, now)| base.store(now, Relaxed));
    }
}
