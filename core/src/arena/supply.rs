//! Segments that somebody made ahead.
//!
//! Where a keyspace grows as fast as it can, most of the time goes into memory that the system
//! hands out page by page, when it is touched first. Another thread can do that (feature `supply`).
//!
//! Invariant: what is supplied counts as held, and is taken before the allocator is asked.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::arena::segment::whole;
use crate::arena::{Arena, SEGMENT_BYTES};
use crate::keyspace::Keyspace;

/// The memory of a segment, all of it touched.
pub struct SpareSegment(pub(super) Box<[u8; SEGMENT_BYTES]>);

impl SpareSegment {
    /// One, if the allocator has any left.
    pub fn new() -> Option<SpareSegment> {
        whole(Vec::new()).map(SpareSegment)
    }
}

impl Arena {
    /// The memory of the next segment, if there is any left.
    pub(super) fn new_bytes(&mut self) -> Option<Box<[u8; SEGMENT_BYTES]>> {
        match self.supply.pop() {
            Some(spare) => Some(spare.0),
            None => whole(Vec::new()),
        }
    }
}

impl Keyspace {
    /// Segments to grow by. Until they are needed they count as held: this is for a keyspace
    /// without a budget, while it is filled.
    pub fn supply(&mut self, segments: Vec<SpareSegment>) {
        self.arena.supply.extend(segments);
    }

    /// How many of them are left.
    pub fn supplied(&self) -> usize {
        self.arena.supply.len()
    }

    /// Gives back what was not needed.
    pub fn end_supply(&mut self) {
        self.arena.supply = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Result;
    use crate::options::Options;
    use crate::string::set::SetOptions;

    #[test]
    fn what_is_supplied_is_taken_first_and_counts_as_held() -> Result<()> {
        let mut keys = Keyspace::new(&Options::default())?;
        let held = |keys: &Keyspace| keys.arena.held_bytes();
        let set = |keys: &mut Keyspace, key: &[u8]| {
            keys.at(0).set(key, &[b'v'; 3000], &SetOptions::default())
        };
        set(&mut keys, b"first")?;
        let before = held(&keys);
        keys.supply((0..2).filter_map(|_| SpareSegment::new()).collect());
        assert_eq!((keys.supplied(), held(&keys)), (2, before + 2 * SEGMENT_BYTES));
        for number in 0..10_u32 {
            set(&mut keys, &number.to_le_bytes())?;
            assert_eq!(keys.validate(), Ok(()));
        }
        assert_eq!(keys.supplied(), 0);
        keys.supply(Vec::from_iter(SpareSegment::new()));
        let before = held(&keys);
        keys.end_supply();
        assert_eq!(held(&keys), before - SEGMENT_BYTES);
        Ok(())
    }
}
