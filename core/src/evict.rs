//! Eviction: which key goes when the memory is used up.
//!
//! One loop serves all policies. A hand goes round the buckets of the index, compares the next
//! sixteen keys or so by what the policy goes by, and the worst of them leaves. Buckets hold keys
//! in the order of their hashes, so this is Redis's sampling, without drawing the same key twice.
//! What a policy goes by is one byte in the index, the age: for LRU the value of a clock at the
//! last use, which moves on 64 times while the cache's contents turn over once; for LFU a
//! logarithmic count of uses, as Redis's, which fades as the hand passes.
//!
//! Not here: expiry, and when room is needed (room.rs).

use crate::index::{Entry, Place};
use crate::keyspace::{Cx, Found, Keyspace};
use crate::limits::EVICTION_SAMPLE_KEYS;
use crate::options::Policy;

/// Ticks of the clock while as many keys are inserted as the cache holds.
const TICKS_PER_TURNOVER: usize = 64;
/// The count of uses a new key starts with (Redis's `LFU_INIT_VAL`), and how steeply the chance
/// of counting one more falls (its `lfu-log-factor`).
const LFU_FIRST: u8 = 5;
const LFU_LOG_FACTOR: u64 = 10;
/// The hand takes one from the counts of uses in a bucket once in so many passes.
const LFU_DECAY_PASSES: u64 = 16;

impl Keyspace {
    /// The age of a new entry.
    pub(crate) fn first_age(&self) -> u8 {
        if self.policy.is_lfu() { LFU_FIRST } else { self.clock }
    }

    /// Moves the clock on as keys come in.
    pub(crate) fn note_insertion(&mut self) {
        self.inserted_since_tick += 1;
        if self.inserted_since_tick * TICKS_PER_TURNOVER >= self.len() {
            self.inserted_since_tick = 0;
            self.clock = self.clock.wrapping_add(1);
        }
    }

    /// Notes that a key was used.
    #[inline]
    pub(crate) fn note_use(&mut self, place: Place) {
        if !self.policy.is_lfu() {
            self.index.set_age(place, self.clock);
            return;
        }
        let Some(entry) = self.index.entry(place) else { return };
        let above_first = u64::from(entry.age.saturating_sub(LFU_FIRST));
        if entry.age < u8::MAX && self.random.once_in(above_first * LFU_LOG_FACTOR + 1) {
            self.index.set_age(place, entry.age + 1);
        }
    }

    /// The next key to go: the hand stops behind it. `None` if the policy lets none go.
    fn victim(&mut self) -> Option<Found> {
        let candidates = match self.policy {
            Policy::NoEviction => 0,
            policy if policy.is_volatile() => self.counters.expires as usize,
            _ => self.len(),
        };
        if candidates == 0 {
            return None;
        }
        let mut worst: Option<(u64, Place)> = None;
        let mut seen = 0;
        // Once round at most: pinned records may be the only candidates.
        for _ in 0..self.index.bucket_count() {
            let bucket = self.bucket_at(self.eviction_hand);
            self.eviction_hand = bucket + 1;
            let is_candidate = |entry: &Entry| {
                !self.pins.contains(&entry.addr)
                    && (entry.is_volatile || !self.policy.is_volatile())
            };
            // One draw a bucket is enough: what differs between keys is their address.
            let salt = self.random.next();
            self.index.visit(bucket, &mut |place, entry| {
                if is_candidate(&entry) {
                    seen += 1;
                    let score = self.score(&entry, salt);
                    if worst.is_none_or(|(other, _)| score > other) {
                        worst = Some((score, place));
                    }
                }
            });
            if self.policy.is_lfu() && salt.is_multiple_of(LFU_DECAY_PASSES) {
                self.fade(bucket);
            }
            if seen >= EVICTION_SAMPLE_KEYS {
                break;
            }
        }
        self.found(worst?.1)
    }

    /// How much a key deserves to go.
    fn score(&self, entry: &Entry, salt: u64) -> u64 {
        match self.policy {
            Policy::AllKeysLru | Policy::VolatileLru | Policy::NoEviction => {
                self.clock.wrapping_sub(entry.age).into()
            }
            Policy::AllKeysLfu | Policy::VolatileLfu => (u8::MAX - entry.age).into(),
            Policy::AllKeysRandom | Policy::VolatileRandom => {
                salt.wrapping_mul(u64::from(entry.addr.0))
            }
            Policy::VolatileTtl => {
                let deadline = self.head(entry.addr).map_or(0, |head| head.deadline);
                u64::MAX - deadline.unsigned_abs()
            }
        }
    }

    /// Takes one from the counts of uses in a bucket.
    fn fade(&mut self, bucket: u32) {
        let mut position = 0;
        while let Some((place, entry)) = self.index.nth(bucket, position) {
            self.index.set_age(place, entry.age.saturating_sub(1));
            position += 1;
        }
    }

    /// The bucket a hand is at: the first one again when it has passed the last, or when the
    /// index has shrunk under it.
    pub(crate) fn bucket_at(&self, hand: u32) -> u32 {
        if (hand as usize) < self.index.bucket_count() { hand } else { 0 }
    }
}

impl Cx<'_> {
    /// Lets one key go. False if the policy lets none go.
    pub(crate) fn evict(&mut self) -> bool {
        let Some(victim) = self.keys.victim() else { return false };
        self.remove(&victim);
        self.keys.counters.evicted_keys += 1;
        self.keys.settle();
        true
    }
}
