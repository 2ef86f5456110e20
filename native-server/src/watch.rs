//! WATCH: who wants to know whether a key has changed.
//!
//! Invariant: a flag is raised by the first change after it was put up, under the same lock that
//! the change happens under. Whoever put it up takes it down.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Raised when a watched key has changed; one for all keys that a client watches.
pub type Flag = Arc<AtomicBool>;

/// The watched keys of one database.
#[derive(Default)]
pub struct Watched {
    flags_by_key: HashMap<Box<[u8]>, Vec<Flag>>,
}

impl Watched {
    /// Whether nobody watches a key.
    pub fn is_empty(&self) -> bool {
        self.flags_by_key.is_empty()
    }

    /// Puts up a flag. False if it is up already.
    pub fn add(&mut self, key: &[u8], flag: &Flag) -> bool {
        let flags = self.flags_by_key.entry(key.into()).or_default();
        let is_new = !flags.iter().any(|other| Arc::ptr_eq(other, flag));
        if is_new {
            flags.push(Arc::clone(flag));
        }
        is_new
    }

    /// Takes a flag down.
    pub fn remove(&mut self, key: &[u8], flag: &Flag) {
        if let Some(flags) = self.flags_by_key.get_mut(key) {
            flags.retain(|other| !Arc::ptr_eq(other, flag));
            if flags.is_empty() {
                self.flags_by_key.remove(key);
            }
        }
    }

    /// A key has changed.
    pub fn touch(&self, key: &[u8]) {
        for flag in self.flags_by_key.get(key).into_iter().flatten() {
            flag.store(true, Ordering::Relaxed);
        }
    }

    /// The flags of keys of which `is_one` says so.
    pub fn flags_where(&self, mut is_one: impl FnMut(&[u8]) -> bool) -> Vec<Flag> {
        let flags = self.flags_by_key.iter().filter(|(key, _)| is_one(key));
        flags.flat_map(|(_, flags)| flags).cloned().collect()
    }

    /// Every key for which `has_changed` says so has changed.
    pub fn touch_where(&self, mut has_changed: impl FnMut(&[u8]) -> bool) {
        for (key, flags) in &self.flags_by_key {
            if has_changed(key) {
                flags.iter().for_each(|flag| flag.store(true, Ordering::Relaxed));
            }
        }
    }
}
