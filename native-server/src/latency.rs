//! The latency monitor: when something took longer than `latency-monitor-threshold`.
//!
//! Invariant: so many samples are kept of each event, and no more.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Samples that are kept of an event (Redis's figure).
const SAMPLES_MAX: usize = 160;

/// What was noted of one event.
#[derive(Clone, Default)]
pub struct History {
    /// Seconds since the epoch, and how long it took in milliseconds; the oldest first.
    pub samples: VecDeque<(i64, i64)>,
    /// The longest ever, in milliseconds.
    pub max_ms: i64,
}

/// The latency monitor.
#[derive(Default)]
pub struct Latency {
    events: Mutex<BTreeMap<&'static str, History>>,
}

impl Latency {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, History>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that something took so long.
    pub fn note(&self, event: &'static str, at_s: i64, ms: i64) {
        let mut events = self.lock();
        let history = events.entry(event).or_default();
        history.max_ms = history.max_ms.max(ms);
        match history.samples.back_mut() {
            // Of one second only the longest is kept.
            Some((second, longest)) if *second == at_s => *longest = ms.max(*longest),
            _ => history.samples.push_back((at_s, ms)),
        }
        if history.samples.len() > SAMPLES_MAX {
            history.samples.pop_front();
        }
    }

    /// Every event.
    pub fn all(&self) -> Vec<(&'static str, History)> {
        self.lock().iter().map(|(event, history)| (*event, history.clone())).collect()
    }

    /// One event.
    pub fn get(&self, event: &str) -> Option<History> {
        self.lock().get(event).cloned()
    }

    /// Forgets some events, or all. How many there were.
    pub fn reset(&self, names: &[&[u8]]) -> usize {
        let mut events = self.lock();
        let before = events.len();
        events.retain(|event, _| !names.is_empty() && !names.contains(&event.as_bytes()));
        before - events.len()
    }
}
