//! Eviction: which key goes when the memory is used up.
//!
//! One loop serves all policies. A hand goes round the buckets of the index, compares the next
//! sixteen keys or so by what the policy goes by, and the worst of them leaves. Buckets hold keys
//! in the order of their hashes, so this is Redis's sampling, without drawing the same key twice.
//! What a policy goes by is one byte in the index, the age: for LRU the value of a clock at the
//! last use, which moves on 64 times while the cache's contents turn over once; for LFU a
//! logarithmic count of uses, as Redis's, which fades as the hand passes; for the two policies that
//! Redis does not have both in small, and a history of what was evicted (history.rs).
//!
//! `allkeys-s3fifo` is S3-FIFO (Yang et al., 2023) by sampling. New keys are on probation, in the
//! order of their arrival, until they are used. Of the others the one unused for longest goes, and
//! later if it was used more often. A key that comes back while it is remembered counts as used.
//! Two things differ: the share of probation follows what comes back, and where plain recency
//! does better it takes over.
//!
//! `allkeys-gdsf` is GreedyDual-Size-Frequency (Cherkasova, 1998) by sampling: who goes has the
//! most bytes times ticks unused for each use. Many small keys stay in place of a large one: more
//! hits, fewer bytes.
//!
//! Not here: expiry, and when room is needed (room.rs).

use crate::arena::{Addr, PAGE_BYTES};
use crate::effects::Cause;
use crate::error::{Error, Result};
use crate::history::{History, TICKS_PER_TURNOVER as HISTORY_TICKS, unused_for, uses_of};
use crate::index::{Entry, Place};
use crate::keyspace::{Cx, Keyspace, Millis};
use crate::limits::{EVICTION_LOOK_KEYS, EVICTION_SAMPLE_KEYS};
use crate::options::Policy;

/// Ticks of the clock while as many keys are inserted as the cache holds.
const TICKS_PER_TURNOVER: usize = 64;
/// The count of uses a new key starts with (Redis's `LFU_INIT_VAL`), and how steeply the chance
/// of counting one more falls (its `lfu-log-factor`).
const LFU_FIRST: u8 = 5;
const LFU_LOG_FACTOR: u64 = 10;
/// The hand takes one from the counts of uses in a bucket once in so many passes.
const LFU_DECAY_PASSES: u64 = 16;
/// Set in the score of a key on probation when it is from there that one should go.
const PROBATION: u64 = 1 << 16;
/// How a tick without use counts for a key that was used so often: for S3-FIFO in sixths, for GDSF
/// in parts of 105. Both are slower the more uses a key has.
const S3FIFO_TICK: [u64; 4] = [6, 6, 4, 3];
const GDSF_TICK: [u64; 4] = [105, 35, 21, 15];
/// One new key in so many is not put on probation. Where a loop is longer than all that is
/// remembered no key would ever come back; so some stay, and are hit each time round.
const NEW_KEYS_PER_LUCKY_ONE: u64 = 128;
/// A key unused for so many ticks is not in use; one that was used within as few still is.
const COLD_TICKS: u8 = 4;
const HOT_TICKS: u8 = 1;
/// A key that comes with a use in the past gets the age of that moment if that is no more than so
/// many ticks back, or one of the ages beyond, up to the second figure. A moment that is known
/// within a sixteenth is near enough.
#[cfg(feature = "dump")]
const DATED_TICKS: u8 = TICKS_PER_TURNOVER as u8;
#[cfg(feature = "dump")]
const BACKDATED_TICKS: u8 = 3 * DATED_TICKS;
#[cfg(feature = "dump")]
const BACKDATED_DIVISOR: Millis = 16;
/// From here on ages are pulled along before the clock comes round to them.
const OLD_TICKS: u8 = 52;

/// How a key was used, as long as the policy is the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Age(u8);

impl Keyspace {
    /// What goes when the memory is used up.
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// Evicts by another policy from now on. Where the new one counts by other means than the old
    /// one did, every key starts anew.
    pub fn set_policy(&mut self, policy: Policy) {
        let means = |policy: Policy| (policy.learns(), policy.is_lfu());
        let is_another = means(policy) != means(self.policy);
        self.policy = policy;
        if !is_another {
            return;
        }
        self.history = History::new();
        for bucket in 0..self.index.bucket_count() as u32 {
            let mut position = 0;
            while let Some((place, entry)) = self.index.nth(bucket, position) {
                position += 1;
                let age = self.first_age(self.hash_of(entry.addr));
                self.index.set_age(place, age);
            }
        }
    }

    /// The age of a new entry.
    pub(crate) fn first_age(&mut self, hash: u64) -> u8 {
        if self.policy.learns() {
            let is_lucky = self.random.once_in(NEW_KEYS_PER_LUCKY_ONE);
            return self.history.enter(hash, is_lucky, self.clock, self.index.len());
        }
        if self.policy.is_lfu() { LFU_FIRST } else { self.clock }
    }

    /// Moves the clock on as keys come in.
    pub(crate) fn note_insertion(&mut self) {
        let learns = self.policy.learns();
        let ticks = if learns { HISTORY_TICKS } else { TICKS_PER_TURNOVER };
        self.inserted_since_tick += 1;
        if self.inserted_since_tick * ticks >= self.len() {
            self.inserted_since_tick = 0;
            self.clock = self.clock.wrapping_add(1);
            if learns {
                self.history.advance(self.clock, self.len());
            }
        }
    }

    /// Notes that a key was used.
    #[inline]
    pub(crate) fn note_use(&mut self, place: Place) {
        if self.policy.dates_uses() {
            self.index.set_age(place, self.clock);
        } else {
            self.count_use(place);
        }
    }

    /// Whether a key of this age is not in use: its value may be compressed.
    pub(crate) fn is_cold(&self, age: u8) -> bool {
        if self.policy.is_lfu() {
            age <= LFU_FIRST
        } else if self.policy.learns() {
            unused_for(age, self.clock) > 0
        } else {
            self.clock.wrapping_sub(age) >= COLD_TICKS
        }
    }

    /// Whether a key that had this age when it was used again is in use.
    pub(crate) fn is_hot(&self, age: u8) -> bool {
        if self.policy.is_lfu() {
            age > LFU_FIRST
        } else if self.policy.learns() {
            uses_of(age) > 0 && unused_for(age, self.clock) == 0
        } else {
            self.clock.wrapping_sub(age) <= HOT_TICKS
        }
    }

    #[inline(never)]
    fn count_use(&mut self, place: Place) {
        let Some(entry) = self.index.entry(place) else { return };
        if self.policy.learns() {
            let age = self.history.touch(entry.age, self.clock, self.len());
            self.index.set_age(place, age);
            return;
        }
        let above_first = u64::from(entry.age.saturating_sub(LFU_FIRST));
        if entry.age < u8::MAX && self.random.once_in(above_first * LFU_LOG_FACTOR + 1) {
            self.index.set_age(place, entry.age + 1);
        }
    }

    /// The next key to go: the hand stops behind it. `None` if the policy lets none go.
    fn victim(&mut self, weigh: Weigh<'_>) -> Option<(Place, Entry)> {
        let candidates = match self.policy {
            Policy::NoEviction => 0,
            policy if policy.is_volatile() => self.counters.expires as usize,
            _ => self.len(),
        };
        if candidates == 0 {
            return None;
        }
        let goes_by_age = self.policy == Policy::AllKeysLru && self.pins.is_empty();
        if cfg!(feature = "shortcuts") && goes_by_age {
            return self.oldest();
        }
        let wanted = self.wanted_score();
        let enough = if wanted == 0 { EVICTION_SAMPLE_KEYS } else { EVICTION_SAMPLE_KEYS / 2 };
        let mut worst: Option<(u64, Place, Entry)> = None;
        let (mut seen, mut looked_at) = (0, 0);
        // Once round at most: pinned records may be the only candidates.
        for _ in 0..self.index.bucket_count() {
            let bucket = self.bucket_at(self.eviction_hand);
            self.eviction_hand = bucket + 1;
            // One draw a bucket is enough: what differs between keys is their address.
            let salt = self.random.next();
            let mut has_old = false;
            self.index.visit(bucket, &mut |place, entry| {
                has_old |= unused_for(entry.age, self.clock) >= OLD_TICKS;
                let is_spared = self.policy.is_volatile() && !entry.is_volatile;
                if is_spared || self.pins.contains(&entry.addr) {
                    return;
                }
                looked_at += 1;
                let score = self.score(&entry, salt, wanted, weigh);
                seen += usize::from(score >= wanted);
                if worst.is_none_or(|(other, ..)| score > other) {
                    worst = Some((score, place, entry));
                }
            });
            let fades = self.policy.is_lfu() && salt.is_multiple_of(LFU_DECAY_PASSES);
            if fades || self.policy.learns() && has_old {
                self.renew_ages(bucket);
            }
            if seen >= enough || looked_at >= EVICTION_LOOK_KEYS {
                break;
            }
        }
        worst.map(|(_, place, entry)| (place, entry))
    }

    /// The same where nothing but the ages has to be looked at.
    fn oldest(&mut self) -> Option<(Place, Entry)> {
        let mut worst: Option<(u8, Place, Entry)> = None;
        let mut seen = 0;
        for _ in 0..self.index.bucket_count() {
            let bucket = self.bucket_at(self.eviction_hand);
            self.eviction_hand = bucket + 1;
            self.index.visit(bucket, &mut |place, entry| {
                seen += 1;
                let ticks = self.clock.wrapping_sub(entry.age);
                if worst.is_none_or(|(most, ..)| ticks > most) {
                    worst = Some((ticks, place, entry));
                }
            });
            if seen >= EVICTION_SAMPLE_KEYS {
                break;
            }
        }
        worst.map(|(_, place, entry)| (place, entry))
    }

    /// The score of the keys of which one should go; others are looked at in passing.
    fn wanted_score(&self) -> u64 {
        if self.policy != Policy::AllKeysS3Fifo || self.history.is_recency_better() {
            0
        } else if self.history.is_probation_full(self.len()) {
            PROBATION
        } else {
            1
        }
    }

    /// How much a key deserves to go.
    fn score(&self, entry: &Entry, salt: u64, wanted: u64, weigh: Weigh<'_>) -> u64 {
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
            Policy::AllKeysS3Fifo => {
                let unused_ticks = u64::from(unused_for(entry.age, self.clock));
                match (wanted, uses_of(entry.age)) {
                    (0, _) => unused_ticks,
                    (PROBATION, 0) => PROBATION + unused_ticks,
                    (_, 0) => 0,
                    (_, uses) => 1 + unused_ticks * weight(&S3FIFO_TICK, uses),
                }
            }
            Policy::AllKeysGdsf => {
                let unused_ticks = 1 + u64::from(unused_for(entry.age, self.clock));
                let bytes = weigh(self, entry.addr);
                bytes.saturating_mul(unused_ticks * weight(&GDSF_TICK, uses_of(entry.age)))
            }
        }
    }

    /// Takes one from the counts of uses in a bucket, or pulls old ages along with the clock.
    fn renew_ages(&mut self, bucket: u32) {
        let mut position = 0;
        while let Some((place, entry)) = self.index.nth(bucket, position) {
            position += 1;
            let age = if self.policy.learns() {
                self.history.pull(entry.age, self.clock)
            } else {
                entry.age.saturating_sub(1)
            };
            self.index.set_age(place, age);
        }
    }

    /// Bytes that a key's going gives back: of its cell, and of the pages of its value.
    fn bytes_at(&self, addr: Addr) -> u64 {
        let cell = self.arena.cell(addr);
        let object = self.head(addr).and_then(|head| head.object(cell));
        let pages = object.and_then(|id| self.objects.get(id)).map_or(0, |object| object.pages);
        cell.len() as u64 + u64::from(pages) * PAGE_BYTES as u64
    }

    /// The bucket a hand is at: the first one again when it has passed the last, or when the
    /// index has shrunk under it.
    pub(crate) fn bucket_at(&self, hand: u32) -> u32 {
        if (hand as usize) < self.index.bucket_count() { hand } else { 0 }
    }
}

/// How heavy the record at an address is, for a policy that asks.
type Weigh<'a> = &'a dyn Fn(&Keyspace, Addr) -> u64;

/// The ticks that stand for an idle time where there is a choice: four for each doubling.
#[cfg(feature = "dump")]
fn usual_ticks(idle_ms: Millis) -> u8 {
    let idle_s = (idle_ms / 1000).max(1).unsigned_abs();
    let doublings = idle_s.ilog2();
    let quarters = (idle_s << 2 >> doublings) & 3;
    let ticks = u64::from(doublings * 4) + quarters + 1 + u64::from(DATED_TICKS);
    u8::try_from(ticks).unwrap_or(u8::MAX)
}

fn weight(weights: &[u64], uses: u8) -> u64 {
    weights.get(usize::from(uses)).copied().unwrap_or(1)
}

impl Cx<'_> {
    /// Notices when the clock has moved on.
    pub(crate) fn notice_clock(&mut self) {
        let clock = self.keys.clock;
        while self.keys.noticed_clock != clock {
            self.keys.noticed_clock = self.keys.noticed_clock.wrapping_add(1);
            let slot = usize::from(self.keys.noticed_clock);
            if let Some(at) = self.keys.noticed_at.get_mut(slot) {
                *at = self.now;
            }
            #[cfg(feature = "dump")]
            if let Some(is_given) = self.keys.backdated.get_mut(slot) {
                *is_given = false;
            }
        }
    }

    /// For how long a key was not used, at least: since the clock moved on from the value it had
    /// at the last use.
    ///
    /// # Errors
    /// [`Error::NoIdleTime`] if the policy does not go by when keys were used.
    #[cfg(feature = "object")]
    pub(crate) fn idle_ms(&self, place: Place) -> Result<Millis> {
        let entry = self.keys.index.entry(place).ok_or(Error::NoSuchKey)?;
        if self.keys.policy.is_lfu() || self.keys.policy.learns() {
            return Err(Error::NoIdleTime);
        }
        if entry.age == self.keys.noticed_clock {
            return Ok(0);
        }
        let left_at = self.keys.noticed_at.get(usize::from(entry.age.wrapping_add(1)));
        // At time 0 a log was replayed, which says nothing of when.
        let left_at = left_at.filter(|&&at| at > 0);
        Ok(left_at.map_or(0, |&at| self.now.saturating_sub(at).max(0)))
    }

    /// How a key was used, as its policy has it. `None` if it is not there.
    pub fn age_of(&mut self, key: &[u8]) -> Option<Age> {
        let found = self.lookup(key, self.keys.hash(key))?;
        self.keys.index.entry(found.place).map(|entry| Age(entry.age))
    }

    /// Gives a key the age that it had, or another: what was done in between is no use of it.
    pub fn set_age(&mut self, key: &[u8], Age(age): Age) {
        let found = self.lookup(key, self.keys.hash(key));
        let found =
            found.and_then(|found| Some((found.place, self.keys.index.entry(found.place)?)));
        let Some((place, entry)) = found else { return };
        let learns = self.keys.policy.learns();
        let age = if learns { self.keys.history.replace(entry.age, age) } else { age };
        self.keys.index.set_age(place, age);
    }

    /// Gives a key the age of one that was not used for so long.
    #[cfg(feature = "dump")]
    pub(crate) fn date_back(&mut self, place: Place, idle_ms: Millis) {
        let ticks = self.ticks_back(idle_ms);
        self.keys.index.set_age(place, self.keys.clock.wrapping_sub(ticks));
    }

    /// Ticks since a moment. One before all that are known of the last turnover is given to an age
    /// beyond that: there are four of them for each doubling, in the order of time, whichever key
    /// comes first. Keys of that age that were unused for longer than a turnover share the moment.
    #[cfg(feature = "dump")]
    fn ticks_back(&mut self, idle_ms: Millis) -> u8 {
        let (mut nearest, mut nearest_ms, mut beyond) = (0, 0, BACKDATED_TICKS);
        for ticks in 1..BACKDATED_TICKS {
            let Some(known_ms) = self.known_idle_ms(ticks) else { continue };
            if known_ms > idle_ms {
                beyond = ticks;
                break;
            }
            (nearest, nearest_ms) = (ticks, known_ms);
        }
        let is_near = idle_ms - nearest_ms <= idle_ms / BACKDATED_DIVISOR;
        let last = nearest.max(DATED_TICKS);
        if is_near || beyond.saturating_sub(last) < 2 {
            return nearest;
        }
        let ticks = usual_ticks(idle_ms).clamp(last + 1, beyond - 1);
        let slot = self.end_of(ticks);
        let places = (self.keys.noticed_at.get_mut(slot), self.keys.backdated.get_mut(slot));
        if let (Some(at), Some(is_given)) = places {
            (*at, *is_given) = (self.now.saturating_sub(idle_ms).max(1), true);
        }
        ticks
    }

    /// For how long a key of so many ticks has not been used; `None` if nobody knows.
    #[cfg(feature = "dump")]
    fn known_idle_ms(&self, ticks: u8) -> Option<Millis> {
        let slot = self.end_of(ticks);
        let at = *self.keys.noticed_at.get(slot)?;
        let is_given = *self.keys.backdated.get(slot)?;
        let is_known = at > 0 && (ticks <= DATED_TICKS || is_given);
        is_known.then(|| self.now.saturating_sub(at))
    }

    /// Where it stands when the tick ended that is so many back.
    #[cfg(feature = "dump")]
    fn end_of(&self, ticks: u8) -> usize {
        self.keys.clock.wrapping_sub(ticks).wrapping_add(1).into()
    }

    /// MEMORY USAGE: bytes that the going of a key would give back, without those that the values
    /// of its elements hold apart. `None` if it is not there.
    pub fn memory_usage(&mut self, key: &[u8]) -> Option<u64> {
        let hash = self.keys.hash(key);
        let found = self.lookup(key, hash)?;
        Some(self.keys.bytes_at(found.addr))
    }

    /// Lets one key go. False if the policy lets none go.
    pub(crate) fn evict(&mut self) -> bool {
        self.evict_weighed(&Keyspace::bytes_at)
    }

    /// The same in a simulation, where not the values' own sizes count but those that they name:
    /// what stands in the value, as a little-endian number of eight bytes.
    #[cfg(feature = "simulate")]
    pub fn evict_simulated(&mut self) -> bool {
        self.evict_weighed(&|keys, addr| {
            let stored = keys.head(addr).map(|head| head.stored(keys.arena.cell(addr)));
            stored.and_then(<[u8]>::first_chunk).map_or(0, |&bytes| u64::from_le_bytes(bytes))
        })
    }

    fn evict_weighed(&mut self, weigh: Weigh<'_>) -> bool {
        let Some((place, entry)) = self.keys.victim(weigh) else { return false };
        let Some(victim) = self.keys.found(place) else { return false };
        let learns = self.keys.policy.learns();
        let hash = if learns { self.keys.hash_of(victim.addr) } else { 0 };
        self.tell_cause(Cause::Evicted);
        self.remove(&victim);
        let keys = &mut *self.keys;
        keys.counters.evicted_keys += 1;
        if learns {
            keys.history.remember(hash, entry.age, keys.clock, keys.index.len());
        }
        keys.settle();
        true
    }
}
