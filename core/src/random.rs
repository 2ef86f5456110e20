//! Random choices from a seed (SplitMix64; Steele, Lea and Flood, 2014). Not for secrets.

use crate::error::{Error, Result};
use crate::limits::RANDOM_DRAWS_MAX;

/// How many random entries a negative count asks for. Redis goes on for as long as it takes; here
/// the answer has a limit, since nothing else runs meanwhile.
pub(crate) fn draws(count: i64) -> Result<usize> {
    let count = usize::try_from(count.unsigned_abs()).ok();
    count.filter(|&count| count <= RANDOM_DRAWS_MAX).ok_or(Error::TooManyDraws)
}

pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// What `new` takes to go on as this one does.
    #[cfg(feature = "snapshot")]
    pub(crate) fn state(&self) -> u64 {
        self.0
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// True once in `times`.
    pub(crate) fn once_in(&mut self, times: u64) -> bool {
        self.next().is_multiple_of(times.max(1))
    }

    /// A number below `bound`, or zero. The bias of the remainder is below one in 2^32 for any
    /// count of things in memory.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.next().checked_rem(bound as u64).unwrap_or_default() as usize
    }
}
