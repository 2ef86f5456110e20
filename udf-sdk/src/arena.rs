//! Where the next block of the arena goes: the arithmetic, apart from the memory.
//!
//! Blocks are handed out one behind the other. Only the last one can grow, shrink or be given back,
//! which is what a growing vector does; the rest is gone when the call ends, with the memory.
//! Invariant: `next` and `end` are addresses of one free run, and `next <= end`.

/// The free run of the arena.
#[cfg_attr(not(all(target_arch = "wasm32", feature = "arena")), allow(dead_code))]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Free {
    pub(crate) next: usize,
    pub(crate) end: usize,
}

#[cfg_attr(not(all(target_arch = "wasm32", feature = "arena")), allow(dead_code))]
impl Free {
    /// Takes `size` bytes at a multiple of `align`, a power of two. Their address; `None` if they
    /// do not fit.
    pub(crate) fn take(&mut self, size: usize, align: usize) -> Option<usize> {
        let start = self.next.checked_next_multiple_of(align)?;
        let next = start.checked_add(size)?;
        if next > self.end {
            return None;
        }
        self.next = next;
        Some(start)
    }

    /// Gives the block at `start` another size, if it is the last one and there is room.
    pub(crate) fn resize_last(&mut self, start: usize, old: usize, new: usize) -> bool {
        let is_last = start.checked_add(old) == Some(self.next);
        let next = start.checked_add(new).filter(|next| is_last && *next <= self.end);
        self.next = next.unwrap_or(self.next);
        next.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_aligned_and_never_overlap() {
        let mut free = Free { next: 1001, end: 1100 };
        assert_eq!(free.take(3, 1), Some(1001));
        assert_eq!(free.take(8, 8), Some(1008));
        assert_eq!(free.take(1, 64), Some(1024));
        assert_eq!(free.take(76, 1), None);
        assert_eq!(free.take(75, 1), Some(1025));
        assert_eq!(free, Free { next: 1100, end: 1100 });
        assert_eq!(free.take(0, 1), Some(1100));
    }

    #[test]
    fn sizes_that_overflow_do_not_fit() {
        let mut free = Free { next: 8, end: usize::MAX };
        assert_eq!(free.take(usize::MAX, 1), None);
        free.next = usize::MAX - 2;
        assert_eq!(free.take(1, 16), None);
        assert!(!free.resize_last(usize::MAX - 4, 2, usize::MAX));
    }

    #[test]
    fn only_the_last_block_changes_its_size() {
        let mut free = Free { next: 0, end: 100 };
        let (first, last) = (free.take(10, 1).unwrap(), free.take(10, 1).unwrap());
        assert!(!free.resize_last(first, 10, 5));
        assert!(free.resize_last(last, 10, 90));
        assert!(!free.resize_last(last, 90, 91));
        assert!(free.resize_last(last, 90, 0));
        assert_eq!(free.next, 10);
    }
}
