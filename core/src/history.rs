//! What a policy that learns remembers: of the keys that are there their uses, of those that were
//! evicted a fingerprint; and what it concludes from both.
//!
//! The age byte of a key holds how often it was used since it came (two bits, up to three) and the
//! value of a clock of 64 ticks at the last use. A key that is not used yet is on probation. One
//! that is evicted leaves 32 bits: its age byte and a part of its hash, in a set of sixteen that
//! another part chooses. Three are remembered for every two keys; in a set the oldest makes way.
//!
//! If keys come back that were on probation when they went, probation was too short, and its share
//! of the cache grows; if used ones come back it shrinks (as in ARC; Megiddo and Modha, 2003).
//!
//! How well pure LRU would do is known without simulating it: LRU holds the keys used last, as
//! many as there are, so counting all remembered keys by the tick of their last use tells how far
//! back it reaches. A key that is here although last used before that is a gain over LRU, one that
//! was evicted although LRU would still have it is a loss. When losses outweigh gains, plain
//! recency decides for some time, for longer each time that trying again did not pay.
//!
//! Invariants: `by_tick` counts every key and every fingerprint once; sets past `set_count` are
//! empty. Not here: who is evicted (evict.rs).

use alloc::vec::Vec;

use crate::arena::SEGMENT_BYTES;
use crate::linear::Buckets;

const SET_SLOTS: usize = 16;
const SETS_PER_PAGE: usize = SEGMENT_BYTES / size_of::<Set>();
/// Sets a cache of a few keys gets beyond its share.
const SETS_MIN: usize = 2;

/// The clock comes round after so many ticks; of the second there are so many while as many keys
/// come as there are.
const TICKS: usize = 64;
pub(crate) const TICKS_PER_TURNOVER: usize = 12;
/// A key unused for longer counts as unused for so long, lest the clock come round to it.
const AGE_MAX: u8 = 48;
/// Of an evicted key, which may be remembered for a whole turnover more, it is this.
const GONE_AGE_MAX: u8 = 32;

const USES_SHIFT: u32 = 6;
const USES_MAX: u8 = 3;
const TICK_MASK: u8 = TICKS as u8 - 1;
/// The part of a fingerprint that is the age byte. The bit above is set in every fingerprint.
const AGE_MASK: u32 = 0xff;
const USED_SLOT: u32 = 0x100;

/// Probation has at least a tenth of the keys, and at most nine.
const SHARE_DIVISOR: usize = 10;
/// One key that comes back moves the border by one key, or by more if few of its kind are
/// remembered, but by no more than this.
const SHARE_STEP_MAX: usize = 10;

/// A gain counts for +200, a loss for -200, an operation for +1: losing a hit in two hundred
/// operations is borne for good.
const WEIGHT: i64 = 200;
/// The balance is lost below losses of a tenth of the keys, and no better than twice that.
const LOSSES_DIVISOR: usize = 10;
const LOSSES_MIN: usize = 10;
/// For how many turnovers recency decides, the first time and at most.
const TURNOVERS_FIRST: usize = 2;
const TURNOVERS_MAX: usize = 64;

type Set = [u32; SET_SLOTS];
type Page = Vec<Set>;

pub(crate) struct History {
    pages: Vec<Page>,
    set_count: usize,
    /// Whether an evicted key was forgotten for want of a page.
    wants_page: bool,
    by_tick: [u32; TICKS],
    /// The ticks pure LRU reaches back.
    horizon: u8,
    /// Keys on probation, and how many there may be.
    probation: usize,
    probation_max: usize,
    /// Fingerprints of keys that were on probation when they went, and of others.
    gone_new: usize,
    gone_used: usize,
    balance: i64,
    /// Keys that are still to come while recency decides, and for how many turnovers next time.
    recency_left: usize,
    turnovers: usize,
}

/// How often a key was used.
pub(crate) fn uses_of(age: u8) -> u8 {
    age >> USES_SHIFT
}

/// Ticks since the last use.
pub(crate) fn unused_for(age: u8, clock: u8) -> u8 {
    clock.wrapping_sub(age) & TICK_MASK
}

/// The age byte, with a last use no longer ago than `max`.
fn clamped(age: u8, clock: u8, max: u8) -> u8 {
    if unused_for(age, clock) <= max {
        age
    } else {
        age_byte(uses_of(age), clock.wrapping_sub(max))
    }
}

fn age_byte(uses: u8, clock: u8) -> u8 {
    uses << USES_SHIFT | clock & TICK_MASK
}

impl History {
    pub(crate) fn new() -> History {
        History {
            pages: Vec::new(),
            set_count: 0,
            wants_page: false,
            by_tick: [0; TICKS],
            horizon: TICK_MASK,
            probation: 0,
            probation_max: 0,
            gone_new: 0,
            gone_used: 0,
            balance: 0,
            recency_left: 0,
            turnovers: TURNOVERS_FIRST,
        }
    }

    /// Bytes held from the allocator.
    pub(crate) fn held_bytes(&self) -> usize {
        self.pages.len() * SEGMENT_BYTES + self.pages.capacity() * size_of::<Page>()
    }

    /// Whether recency alone decides who goes.
    pub(crate) fn is_recency_better(&self) -> bool {
        self.recency_left > 0
    }

    /// Whether of `len` keys more are on probation than may be.
    pub(crate) fn is_probation_full(&self, len: usize) -> bool {
        self.probation > self.probation_max.max(len / SHARE_DIVISOR)
    }

    /// A key comes: the age it starts with, that of one that was used if it is remembered or lucky.
    pub(crate) fn enter(&mut self, hash: u64, is_lucky: bool, clock: u8, len: usize) -> u8 {
        self.recency_left = self.recency_left.saturating_sub(1);
        let remembered = self.recall(hash);
        if let Some(age) = remembered {
            self.shift_border(age, clock, len);
            self.note_gone(age, -1);
        }
        let is_lost = remembered.is_some_and(|age| unused_for(age, clock) <= self.horizon);
        self.weigh(-i64::from(is_lost), len);
        let age = age_byte((is_lucky || remembered.is_some()).into(), clock);
        self.count(age, 1);
        age
    }

    /// Counts a key that an image has, of which nothing was counted yet.
    #[cfg(feature = "snapshot")]
    pub(crate) fn meet(&mut self, age: u8) {
        self.count(age, 1);
    }

    /// A key is used: its age from now on.
    pub(crate) fn touch(&mut self, age: u8, clock: u8, len: usize) -> u8 {
        let is_gained = unused_for(age, clock) > self.horizon;
        self.weigh(is_gained.into(), len);
        self.replace(age, age_byte((uses_of(age) + 1).min(USES_MAX), clock))
    }

    /// The age of a key that the clock would come round to, pulled along with it.
    pub(crate) fn pull(&mut self, age: u8, clock: u8) -> u8 {
        self.replace(age, clamped(age, clock, AGE_MAX))
    }

    /// A key goes, for whatever reason.
    pub(crate) fn leave(&mut self, age: u8) {
        self.count(age, -1);
    }

    /// Leaves the fingerprint of a key that was evicted.
    pub(crate) fn remember(&mut self, hash: u64, age: u8, clock: u8, len: usize) {
        self.grow(len);
        let age = clamped(age, clock, GONE_AGE_MAX);
        let mut carried = fingerprint(hash) | u32::from(age);
        let Some(set) = self.set(hash) else { return };
        for slot in set {
            core::mem::swap(slot, &mut carried);
            if carried == 0 {
                break;
            }
        }
        self.note_gone(age, 1);
        if carried != 0 {
            self.note_gone(carried as u8, -1);
        }
    }

    /// The clock has moved on: how far does LRU reach back now?
    pub(crate) fn advance(&mut self, clock: u8, len: usize) {
        let mut keys = 0;
        self.horizon = 0;
        while self.horizon < TICK_MASK {
            let tick = clock.wrapping_sub(self.horizon) & TICK_MASK;
            keys += self.by_tick.get(usize::from(tick)).map_or(0, |&count| count as usize);
            if keys > len {
                break;
            }
            self.horizon += 1;
        }
    }

    /// Whether a page is missing that `add_page` should bring.
    pub(crate) fn wants_page(&self) -> bool {
        self.wants_page
    }

    /// Adds a page, unless the allocator refuses it.
    pub(crate) fn add_page(&mut self) {
        self.wants_page = false;
        let mut page = Vec::new();
        if self.pages.try_reserve(1).is_ok() && page.try_reserve_exact(SETS_PER_PAGE).is_ok() {
            page.resize(SETS_PER_PAGE, [0; SET_SLOTS]);
            self.pages.push(page);
        }
    }

    /// Adds a set if there are too few, or says that there is no page for it. Of the fingerprints
    /// in the set that is split by that, half are where nobody looks for them any more.
    fn grow(&mut self, len: usize) {
        if sets_for(len) > self.set_count {
            self.wants_page = self.set_count == self.pages.len() * SETS_PER_PAGE;
            self.set_count += usize::from(!self.wants_page);
        }
    }

    /// Drops a set, with what it holds, if there are far too many.
    pub(crate) fn shrink(&mut self, len: usize) {
        if sets_for(len) + sets_for(len) / 4 + SETS_MIN >= self.set_count {
            return;
        }
        self.set_count -= 1;
        let last = self.set_at(self.set_count).map(core::mem::take).unwrap_or_default();
        for slot in last.into_iter().filter(|&slot| slot != 0) {
            self.note_gone(slot as u8, -1);
        }
        if self.set_count + 2 * SETS_PER_PAGE <= self.pages.len() * SETS_PER_PAGE {
            self.pages.pop();
        }
    }

    /// Checks the invariants of the file header against the ages of all keys.
    pub(crate) fn validate(&self, ages: &[u8]) -> Result<(), &'static str> {
        let mut by_tick = [0; TICKS];
        let mut count = |age: u8| {
            if let Some(count) = by_tick.get_mut(usize::from(age & TICK_MASK)) {
                *count += 1;
            }
            uses_of(age) == 0
        };
        let probation = ages.iter().filter(|&&age| count(age)).count();
        let (mut new, mut used) = (0, 0);
        for (number, set) in self.pages.iter().flatten().enumerate() {
            for &slot in set.iter().filter(|&&slot| slot != 0) {
                if number >= self.set_count {
                    return Err("history: a fingerprint in a set that is not in use");
                }
                let is_new = count(slot as u8);
                new += usize::from(is_new);
                used += usize::from(!is_new);
            }
        }
        if by_tick != self.by_tick || probation != self.probation {
            return Err("history: the count of keys is off");
        }
        if [new, used] != [self.gone_new, self.gone_used] {
            return Err("history: the count of fingerprints is off");
        }
        Ok(())
    }

    /// Moves the border between keys on probation and others by what came back.
    fn shift_border(&mut self, age: u8, clock: u8, len: usize) {
        let least = len / SHARE_DIVISOR;
        let step = |rarer: usize, other: usize| {
            (other.checked_div(rarer).unwrap_or(1)).clamp(1, SHARE_STEP_MAX)
        };
        if uses_of(age) > 0 {
            let step = step(self.gone_used, self.gone_new);
            self.probation_max = self.probation_max.saturating_sub(step);
        } else if unused_for(age, clock) <= self.horizon {
            let step = step(self.gone_new, self.gone_used);
            self.probation_max = (self.probation_max.max(least) + step).min(len - least);
        }
    }

    /// An operation that recency would have served worse (1), better (-1), or as well.
    fn weigh(&mut self, gain: i64, len: usize) {
        if self.recency_left > 0 {
            return;
        }
        let limit = (len / LOSSES_DIVISOR).max(LOSSES_MIN) as i64 * WEIGHT;
        self.balance = (self.balance + 1 + gain * WEIGHT).min(2 * limit);
        if self.balance >= limit {
            self.turnovers = TURNOVERS_FIRST;
        } else if self.balance < -limit {
            self.balance = 0;
            self.recency_left = self.turnovers.saturating_mul(len);
            self.turnovers = (self.turnovers * 2).min(TURNOVERS_MAX);
        }
    }

    /// Takes the fingerprint of a key out. The age it left.
    fn recall(&mut self, hash: u64) -> Option<u8> {
        let wanted = fingerprint(hash);
        let found = self.set(hash)?.iter_mut().find(|slot| **slot & !AGE_MASK == wanted)?;
        Some(core::mem::take(found) as u8)
    }

    fn set(&mut self, hash: u64) -> Option<&mut Set> {
        if self.set_count == 0 {
            return None;
        }
        self.set_at(Buckets::new(self.set_count).of(hash >> 32))
    }

    fn set_at(&mut self, number: usize) -> Option<&mut Set> {
        self.pages.get_mut(number / SETS_PER_PAGE)?.get_mut(number % SETS_PER_PAGE)
    }

    /// Counts a fingerprint with this age, or no longer.
    fn note_gone(&mut self, age: u8, change: i32) {
        let counter = if uses_of(age) == 0 { &mut self.gone_new } else { &mut self.gone_used };
        *counter = counter.wrapping_add_signed(change as isize);
        self.note_tick(age, change);
    }

    /// The same for a key that is there.
    fn count(&mut self, age: u8, change: i32) {
        if uses_of(age) == 0 {
            self.probation = self.probation.wrapping_add_signed(change as isize);
        }
        self.note_tick(age, change);
    }

    /// A key has another age.
    pub(crate) fn replace(&mut self, age: u8, new: u8) -> u8 {
        self.count(age, -1);
        self.count(new, 1);
        new
    }

    fn note_tick(&mut self, age: u8, change: i32) {
        if let Some(count) = self.by_tick.get_mut(usize::from(age & TICK_MASK)) {
            *count = count.wrapping_add_signed(change);
        }
    }
}

/// Sets for half as many fingerprints again as there are keys.
fn sets_for(len: usize) -> usize {
    (len + len / 2) / SET_SLOTS + SETS_MIN
}

fn fingerprint(hash: u64) -> u32 {
    hash as u32 & !AGE_MASK | USED_SLOT
}
