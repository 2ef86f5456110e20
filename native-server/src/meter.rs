//! How long commands take.
//!
//! To look at the clock takes as long as a GET does. So commands that are always brief are measured
//! together, as many as come in a row, and share what they took; all others are measured one by
//! one, and so is everything if the slow log wants to know of less than a millisecond.

use std::time::{Duration, Instant};

use crate::stats::ThreadStats;
use crate::waiting::Unblocked;

/// Different brief commands in a row that are measured together.
const KINDS_MAX: usize = 16;

/// Measures the commands of one thread.
pub struct Meter {
    /// When what is measured next began.
    mark: Instant,
    /// Brief commands since then: their numbers, and how often each was run.
    brief: Vec<(u16, u64)>,
    /// Every command is measured by itself.
    pub is_exact: bool,
    /// What takes longer is slow.
    pub slow_ns: u128,
    /// What takes longer is late.
    pub late_ns: u128,
    /// Commands that waited and were run by what is measured now, to be noted behind it.
    pub unblocked: Vec<Unblocked>,
}

impl Meter {
    /// A meter that nothing was measured with.
    pub fn new() -> Meter {
        Meter {
            mark: Instant::now(),
            brief: Vec::new(),
            is_exact: false,
            slow_ns: u128::MAX,
            late_ns: u128::MAX,
            unblocked: Vec::new(),
        }
    }

    /// A batch begins.
    pub fn start(&mut self, slow_us: i64, late_ms: i64) {
        self.set_limits(slow_us, late_ms);
        self.mark = Instant::now();
    }

    /// From when on a command is slow, and late. Negative microseconds: nothing is slow. No
    /// milliseconds: nothing is late.
    pub fn set_limits(&mut self, slow_us: i64, late_ms: i64) {
        self.is_exact = (0..1000).contains(&slow_us);
        let late_ms = u128::try_from(late_ms).ok().filter(|ms| *ms > 0);
        self.late_ns = late_ms.map_or(u128::MAX, |ms| ms * 1_000_000);
        self.slow_ns = u128::try_from(slow_us).map_or(u128::MAX, |us| us * 1000);
    }

    /// Notes a brief command that was run.
    #[inline]
    pub fn note(&mut self, command: u16, stats: &ThreadStats) {
        match self.brief.last_mut() {
            Some((last, count)) if *last == command => *count += 1,
            _ => self.note_other(command, stats),
        }
    }

    fn note_other(&mut self, command: u16, stats: &ThreadStats) {
        if self.brief.len() == KINDS_MAX {
            self.begin(stats);
        }
        self.brief.push((command, 1));
    }

    /// What was run up to here is measured; a command that is measured by itself begins.
    pub fn begin(&mut self, stats: &ThreadStats) {
        if self.brief.is_empty() {
            return;
        }
        let elapsed = self.lap().as_nanos() as u64;
        let count: u64 = self.brief.iter().map(|(_, count)| count).sum();
        for (command, calls) in self.brief.drain(..) {
            if let Some(tally) = stats.commands.get(usize::from(command)) {
                tally.note(calls, elapsed / count);
            }
        }
    }

    /// A command that is measured by itself is over.
    pub fn end(&mut self, command: u16, stats: &ThreadStats) -> Duration {
        let elapsed = self.lap();
        if let Some(tally) = stats.commands.get(usize::from(command)) {
            tally.note(1, elapsed.as_nanos() as u64);
        }
        elapsed
    }

    /// When what is measured now began.
    pub fn began(&self) -> Instant {
        self.mark
    }

    /// What is measured now began at this time: what was measured within it is its own.
    pub fn set_began(&mut self, began: Instant) {
        self.mark = began;
    }

    /// What is not to be counted as a command's time has passed.
    pub fn skip(&mut self) {
        self.mark = Instant::now();
    }

    fn lap(&mut self) -> Duration {
        let now = Instant::now();
        let elapsed = now.saturating_duration_since(self.mark);
        self.mark = now;
        elapsed
    }
}

impl Default for Meter {
    fn default() -> Meter {
        Meter::new()
    }
}
