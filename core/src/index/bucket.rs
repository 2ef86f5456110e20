//! A bucket of the index: what it has of ten records, in one line of the processor's cache.
//!
//! Not here: which bucket a record belongs to, and chains (mod.rs).

use crate::arena::Addr;
use crate::bytes::equal_bytes;

pub(crate) const BUCKET_BYTES: usize = 64;
pub(crate) const BUCKET_SLOTS: usize = 10;
/// Set in the number of an overflow bucket.
pub(crate) const OVERFLOW: u32 = 1 << 31;
/// Low bits of `Bucket::links`: which slots have a deadline. The rest is the next bucket.
const VOLATILE_MASK: u32 = (1 << BUCKET_SLOTS) - 1;

#[derive(Clone, Copy)]
#[cfg_attr(not(target_arch = "wasm32"), repr(align(64)))]
pub(crate) struct Bucket {
    pub(crate) tags: [u8; BUCKET_SLOTS],
    pub(crate) ages: [u8; BUCKET_SLOTS],
    pub(crate) links: u32,
    pub(crate) cells: [u32; BUCKET_SLOTS],
}

const _: () = assert!(size_of::<Bucket>() == BUCKET_BYTES);

/// Slots of a bucket, a bit each: of the first eight the highest bits of the bytes here, of the
/// last two the lowest bits of the first two bytes. So comparing leaves them.
#[derive(Clone, Copy)]
pub(crate) struct Slots(pub(crate) u64);

impl Slots {
    /// The slot that only full buckets use, and in an overflow bucket no record has.
    pub(crate) const LAST: Slots = Slots(1 << 8);

    /// One of them, taken out.
    #[inline(always)]
    pub(crate) fn next(&mut self) -> Option<usize> {
        let bit = self.0.trailing_zeros() as usize;
        if self.0 == 0 {
            return None;
        }
        self.0 &= self.0 - 1;
        Some(bit >> 3 | (!bit & 1) << 3)
    }
}

impl Bucket {
    pub(crate) const EMPTY: Bucket = Bucket {
        tags: [0; BUCKET_SLOTS],
        ages: [0; BUCKET_SLOTS],
        links: 0,
        cells: [0; BUCKET_SLOTS],
    };

    /// The slots that may have this tag. Eight tags are compared at once; a slot above a true one
    /// may be wrong, which costs a look at the record.
    #[inline(always)]
    pub(crate) fn slots_tagged(&self, tag: u8) -> Slots {
        let [first @ .., a, b] = self.tags;
        let last = u16::from_le_bytes([a, b]).into();
        let last = equal_bytes(last, tag) & 0x8080;
        Slots(equal_bytes(u64::from_le_bytes(first), tag) | last >> 7)
    }

    /// Fills or clears a slot.
    #[inline]
    pub(crate) fn put(&mut self, slot: u8, entry: Option<Entry>) {
        let Entry { addr, tag, age, is_volatile } = entry.unwrap_or(Entry::NONE);
        let at = usize::from(slot);
        if let (Some(old_addr), Some(old_tag), Some(old_age)) =
            (self.cells.get_mut(at), self.tags.get_mut(at), self.ages.get_mut(at))
        {
            (*old_addr, *old_tag, *old_age) = (addr.0, tag, age);
            self.set_volatile(slot, is_volatile);
        }
    }

    /// How many of its first slots have a record.
    #[inline]
    pub(crate) fn used(&self, slots: usize) -> usize {
        let [first @ .., last] = &self.cells;
        let count = first.iter().filter(|&&cell| cell != 0).count();
        count + usize::from(slots == BUCKET_SLOTS && *last != 0)
    }

    /// The overflow bucket after this one.
    pub(crate) fn next(&self) -> Option<u32> {
        match self.links >> BUCKET_SLOTS {
            0 => None,
            number => Some((number - 1) | OVERFLOW),
        }
    }

    pub(crate) fn set_volatile(&mut self, slot: u8, is_volatile: bool) {
        self.links = self.links & !(1 << slot) | u32::from(is_volatile) << slot;
    }

    pub(crate) fn set_next(&mut self, next: Option<u32>) {
        let number = next.map_or(0, |number| (number & !OVERFLOW) + 1);
        self.links = self.links & VOLATILE_MASK | number << BUCKET_SLOTS;
    }
}

/// What the index holds of a record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) addr: Addr,
    pub(crate) tag: u8,
    pub(crate) age: u8,
    pub(crate) is_volatile: bool,
}

impl Entry {
    /// What a slot without a record has.
    const NONE: Entry = Entry { addr: Addr::NONE, tag: 0, age: 0, is_volatile: false };
}
