//! Linear hashing (Litwin, 1980): which bucket a hash belongs to while a table grows and shrinks by
//! one bucket at a time, and the cursor of a scan that such a table does not disturb.
//!
//! Not here: the buckets (index.rs for keys, table/ for the entries of a collection).

/// How many buckets there are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Buckets {
    /// The mask for buckets not yet split in this round.
    low: usize,
    /// How many are split already.
    split: usize,
}

impl Buckets {
    #[inline]
    pub(crate) fn new(count: usize) -> Buckets {
        let round = 1 << count.checked_ilog2().unwrap_or_default();
        Buckets { low: round - 1, split: count.max(1) - round }
    }

    /// The bucket that is split next; after a merge, the one that took the last one in.
    pub(crate) fn split(self) -> usize {
        self.split
    }

    #[inline]
    pub(crate) fn of(self, hash: u64) -> usize {
        let coarse = hash as usize & self.low;
        if coarse < self.split { hash as usize & (self.low << 1 | 1) } else { coarse }
    }

    /// The bucket a scan cursor stands for, and the cursor after it; zero ends the scan.
    ///
    /// The cursor counts up in reversed bits (Pieter Noordhuis's algorithm in Redis's `dict.c`),
    /// so that the buckets still to come are the same after any number of splits and merges.
    pub(crate) fn scan_step(self, cursor: u64) -> (u32, u64) {
        let is_split = (cursor as usize & self.low) < self.split;
        let mask = if is_split { self.low << 1 | 1 } else { self.low } as u32;
        let bucket = cursor as u32 & mask;
        // Adds one at the highest bit of the mask, and carries downwards.
        let mut next = bucket;
        let mut bit = ((mask >> 1) + 1) & mask;
        while next & bit != 0 {
            next &= !bit;
            bit >>= 1;
        }
        (bucket, (next | bit).into())
    }
}
