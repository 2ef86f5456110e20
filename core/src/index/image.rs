//! Pages of the index in a snapshot: out, and in again.

use alloc::boxed::Box;
use core::hint::black_box;
use core::ops::Range;

use crate::arena::Addr;
use crate::bytes;
use crate::index::{
    BUCKET_BYTES, BUCKET_SLOTS, BUCKETS_PER_BLOCK, BUCKETS_PER_PAGE, Bucket, Index,
    OVERFLOW_BUCKETS_MAX, Page, empty_buckets,
};
use crate::snapshot::{Blocks, Broken, Door, Pages, Piece, Place};

const BLOCK_BYTES: usize = BUCKETS_PER_BLOCK * BUCKET_BYTES;
/// Where the parts of a bucket stand in its 64 bytes.
const AGES_AT: usize = BUCKET_SLOTS;
const LINKS_AT: usize = 2 * BUCKET_SLOTS;
const CELLS_AT: usize = LINKS_AT + 4;

/// How many buckets and entries an index has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct IndexCounts {
    pub(crate) buckets: usize,
    pub(crate) overflow_buckets: usize,
    pub(crate) entries: usize,
    pub(crate) pages: usize,
    pub(crate) overflow_pages: usize,
}

impl Page {
    /// Lets some blocks out, as far as they are still to be written.
    #[cold]
    #[inline(never)]
    pub(crate) fn let_out(
        &mut self,
        door: &mut Door,
        is_overflow: bool,
        number: usize,
        blocks: Blocks,
    ) {
        let buckets = self.buckets.as_ref().map_or(&[][..], |page| page.as_slice());
        door.change(&mut self.mark, blocks, 0, &mut put(buckets, is_overflow, number));
    }
}

/// Writes a run of blocks of a page.
fn put(
    buckets: &[Bucket],
    is_overflow: bool,
    number: usize,
) -> impl FnMut(&mut dyn Pages, Range<usize>, u16) -> usize {
    let place = if is_overflow { Place::Overflow } else { Place::Index };
    move |pages, run, _| {
        let blocks = buckets.chunks(BUCKETS_PER_BLOCK).enumerate();
        for (block, buckets) in blocks.skip(run.start).take(run.len()) {
            let mut bytes = [0; BLOCK_BYTES];
            let (slots, _) = bytes.as_chunks_mut();
            slots.iter_mut().zip(buckets).for_each(|(slot, bucket)| *slot = bucket.to_bytes());
            let start = block * BLOCK_BYTES;
            let piece = Piece { place, class: 0, cells: 0, number: number as u32, start };
            pages.piece(&piece.head(BLOCK_BYTES), &bytes);
        }
        run.len() * BLOCK_BYTES
    }
}

impl Bucket {
    fn to_bytes(self) -> [u8; BUCKET_BYTES] {
        let mut bytes = [0; BUCKET_BYTES];
        bytes::write_at(&mut bytes, 0, &self.tags);
        bytes::write_at(&mut bytes, AGES_AT, &self.ages);
        bytes::write_at(&mut bytes, LINKS_AT, &self.links.to_le_bytes());
        for (slot, cell) in self.cells.iter().enumerate() {
            bytes::write_at(&mut bytes, CELLS_AT + 4 * slot, &cell.to_le_bytes());
        }
        bytes
    }

    fn of_bytes(bytes: &[u8; BUCKET_BYTES]) -> Bucket {
        let mut bucket = Bucket::EMPTY;
        bytes::copy(&mut bucket.tags, bytes);
        bytes::copy(&mut bucket.ages, bytes::part(bytes, AGES_AT..LINKS_AT));
        let (words, _) = bytes::part(bytes, LINKS_AT..BUCKET_BYTES).as_chunks();
        let mut words = words.iter().map(|word| u32::from_le_bytes(*word));
        bucket.links = words.next().unwrap_or_default();
        bucket.cells.iter_mut().zip(words).for_each(|(cell, word)| *cell = word);
        bucket
    }
}

impl Index {
    /// Begins a snapshot of all pages.
    pub(crate) fn begin_snapshot(&mut self, is_full: bool, pages: Box<dyn Pages>) {
        self.door.begin(is_full, self.pages.len() + self.overflow_pages.len(), pages);
        self.split_at_begin = self.pages.len();
    }

    pub(crate) fn door(&mut self) -> &mut Door {
        &mut self.door
    }

    /// Writes the next page of the snapshot. Whether there was one.
    pub(crate) fn write_next(&mut self) -> bool {
        let Some(next) = self.door.next() else { return false };
        let (is_overflow, number) = match next.checked_sub(self.split_at_begin) {
            None => (false, next),
            Some(number) => (true, number),
        };
        let Index { pages, overflow_pages, door, .. } = self;
        let pages = if is_overflow { overflow_pages } else { pages };
        if let Some(page) = pages.get_mut(number) {
            let buckets = page.buckets.as_ref().map_or(&[][..], |page| page.as_slice());
            door.visit(&mut page.mark, 0, &mut put(buckets, is_overflow, number));
        }
        true
    }

    pub(crate) fn counts(&self) -> IndexCounts {
        IndexCounts {
            buckets: self.bucket_count,
            overflow_buckets: self.overflow_count,
            entries: self.entry_count,
            pages: self.pages.len(),
            overflow_pages: self.overflow_pages.len(),
        }
    }

    /// Takes a piece of a page out of an image.
    pub(crate) fn restore(&mut self, piece: &Piece, bytes: &[u8]) -> Result<(), Broken> {
        let is_overflow = piece.place == Place::Overflow;
        let (buckets, rest) = bytes.as_chunks::<BUCKET_BYTES>();
        let first = piece.start / BUCKET_BYTES;
        let is_aligned = rest.is_empty() && piece.start.is_multiple_of(BUCKET_BYTES);
        if !is_aligned || first + buckets.len() > BUCKETS_PER_PAGE {
            return Err(Broken("a part of the index is none"));
        }
        let number = piece.number as usize;
        if number > OVERFLOW_BUCKETS_MAX / BUCKETS_PER_PAGE {
            return Err(Broken("a page of the index has a number that is none"));
        }
        let Index { pages, overflow_pages, door, .. } = self;
        let pages = if is_overflow { overflow_pages } else { pages };
        // Those before it get their buckets when they come: a number may be wrong.
        while pages.len() <= number {
            pages.try_reserve(1).map_err(|_| Broken::NO_MEMORY)?;
            pages.push(Page { buckets: None, mark: door.unchanged_mark() });
        }
        let Some(page) = pages.get_mut(number) else { return Ok(()) };
        if page.buckets.is_none() {
            page.buckets = Some(empty_buckets().ok_or(Broken::NO_MEMORY)?);
        }
        let places = page.buckets.iter_mut().flat_map(|page| page.iter_mut()).skip(first);
        let places = places.zip(buckets);
        places.for_each(|(place, bytes)| *place = Bucket::of_bytes(bytes));
        Ok(())
    }

    /// Completes the index of an image, and shows every entry. The structure is checked, so that
    /// every chain has an end, and every overflow bucket belongs to one. What entries name is all
    /// over the memory: `glance` looks there, at all of a bucket before the first is checked, so
    /// that memory delivers it side by side.
    pub(crate) fn settle_image(
        &mut self,
        counts: &IndexCounts,
        glance: &dyn Fn(Addr) -> u8,
        check: &mut dyn FnMut(Addr, bool) -> Result<(), Broken>,
    ) -> Result<(), Broken> {
        const BROKEN: Broken = Broken("the index is not one");
        self.pages.truncate(counts.pages);
        self.overflow_pages.truncate(counts.overflow_pages);
        let mut pages = self.pages.iter().chain(&self.overflow_pages);
        if pages.any(|page| page.buckets.is_none())
            || self.pages.len() != counts.pages
            || self.overflow_pages.len() != counts.overflow_pages
            || counts.buckets == 0
            || counts.buckets > (counts.pages * BUCKETS_PER_PAGE).max(1)
            || counts.overflow_buckets > self.overflow_capacity()
        {
            return Err(BROKEN);
        }
        self.overflow_count = counts.overflow_buckets;
        self.entry_count = counts.entries;
        self.set_bucket_count(counts.buckets);
        let (mut entries, mut overflow) = (0, 0);
        for bucket in 0..counts.buckets as u32 {
            let mut number = bucket;
            while let Some(at) = self.bucket(number) {
                let used = self.used(number);
                let seen =
                    at.cells.iter().take(used).fold(0, |seen, &cell| seen ^ glance(Addr(cell)));
                black_box(seen);
                for (slot, &cell) in at.cells.iter().take(used).enumerate() {
                    check(Addr(cell), at.links >> slot & 1 == 1)?;
                }
                entries += used;
                let Some(next) = at.next() else { break };
                overflow += 1;
                let is_dense = used == super::slots_of(number);
                if !is_dense
                    || overflow > counts.overflow_buckets
                    || self.chain_start(next) != Some(bucket)
                    || self.used(next) == 0
                {
                    return Err(BROKEN);
                }
                number = next;
            }
        }
        if entries != counts.entries || overflow != counts.overflow_buckets {
            return Err(BROKEN);
        }
        Ok(())
    }
}
