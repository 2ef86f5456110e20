//! The index: from the hash of a key to the address of its record.
//!
//! Linear hashing (linear.rs): the table grows and shrinks by one bucket at a time, so no
//! insertion ever pays for a rehash and memory comes and goes in pages of 16 KiB, the size of an
//! arena segment. A bucket is 64 bytes: for each of ten records an eighth of its hash (the tag),
//! its age for the eviction policy, one bit that says whether it has a deadline, and its address.
//! What does not fit goes to an overflow bucket, linked from the full one.
//!
//! Invariants: the entries of a chain are dense (only its last bucket has room, and an overflow
//! bucket is never empty); overflow buckets in use are numbered without gaps.
//!
//! Not here: keys. Callers say whether a record is the one they look for, and what its hash is.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::arena::{Addr, SEGMENT_BYTES};
pub(crate) use crate::index::bucket::Entry;
use crate::index::bucket::{BUCKET_BYTES, BUCKET_SLOTS, Bucket, OVERFLOW, Slots};
use crate::linear::Buckets;
use crate::snapshot::{BLOCKS_PER_PAGE, Blocks, Door, Mark, blocks};

mod bucket;
#[cfg(feature = "snapshot")]
pub(crate) mod image;

const BUCKETS_PER_PAGE: usize = SEGMENT_BYTES / BUCKET_BYTES;
const BUCKETS_PER_BLOCK: usize = BUCKETS_PER_PAGE / BLOCKS_PER_PAGE;
/// In an overflow bucket the last address names the bucket its chain starts at.
const OVERFLOW_SLOTS: usize = BUCKET_SLOTS - 1;

/// Records for each bucket above which the table grows, and below which it shrinks.
const LOAD_MAX: usize = 7;
const LOAD_MIN: usize = 3;

const OVERFLOW_BUCKETS_MAX: usize = (1 << (32 - BUCKET_SLOTS)) - 1;

/// Where an entry is: good until the next insertion or removal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    bucket: u32,
    slot: u8,
    /// The age it was found with: most uses need not look there again to leave it as it is.
    age: u8,
}

impl Place {
    /// The place of a record that the index does not know.
    pub(crate) const NOWHERE: Place = Place { bucket: u32::MAX, slot: 0, age: 0 };

    pub(crate) fn is_nowhere(&self) -> bool {
        self.bucket == u32::MAX
    }

    /// The age that the entry was found with.
    pub(crate) fn age(&self) -> u8 {
        self.age
    }
}

struct Page {
    /// Of a length that the compiler knows. None only while an image is read.
    buckets: Option<Box<[Bucket; BUCKETS_PER_PAGE]>>,
    mark: Mark,
}

pub(crate) struct Index {
    pages: Vec<Page>,
    overflow_pages: Vec<Page>,
    overflow_count: usize,
    bucket_count: usize,
    /// `Buckets::new(bucket_count)`.
    buckets: Buckets,
    entry_count: usize,
    /// An entry that was just asked for; none once one may have left its place, or have moved.
    recent: Option<(u64, Place, Addr)>,
    door: Door,
    /// Pages without those for overflow when the last snapshot began.
    #[cfg(feature = "snapshot")]
    split_at_begin: usize,
}

impl Index {
    /// A table of one bucket, which gets its page with the first entry.
    pub(crate) fn new() -> Index {
        Index {
            pages: Vec::new(),
            overflow_pages: Vec::new(),
            overflow_count: 0,
            bucket_count: 1,
            buckets: Buckets::new(1),
            entry_count: 0,
            recent: None,
            door: Door::new(),
            #[cfg(feature = "snapshot")]
            split_at_begin: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entry_count
    }

    /// Bytes held from the allocator.
    pub(crate) fn held_bytes(&self) -> usize {
        (self.pages.len() + self.overflow_pages.len()) * SEGMENT_BYTES
            + (self.pages.capacity() + self.overflow_pages.capacity()) * size_of::<Page>()
    }

    /// Buckets without their overflow: what a cursor or a hand goes round.
    pub(crate) fn bucket_count(&self) -> usize {
        self.bucket_count
    }

    /// How hashes fall into them.
    pub(crate) fn buckets(&self) -> Buckets {
        self.buckets
    }

    /// The entry with this hash that `check` recognises, and what it found there. It recognises
    /// no record at `Addr::NONE`.
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    #[cfg_attr(target_arch = "wasm32", inline)]
    pub(crate) fn find<T>(
        &self,
        hash: u64,
        check: impl Fn(Addr) -> Option<T>,
    ) -> Option<(Place, T)> {
        let tag = tag_of(hash);
        let mut number = self.bucket_of(hash);
        let mut bucket = bucket_in(&self.pages, number)?;
        let mut slots = bucket.slots_tagged(tag);
        loop {
            while let Some(slot) = slots.next() {
                let addr = Addr(*bucket.cells.get(slot)?);
                if let Some(found) = check(addr) {
                    let age = *bucket.ages.get(slot)?;
                    return Some((Place { bucket: number, slot: slot as u8, age }, found));
                }
            }
            number = bucket.next()?;
            bucket = bucket_in(&self.overflow_pages, number)?;
            slots = Slots(bucket.slots_tagged(tag).0 & !Slots::LAST.0);
        }
    }

    /// A word of the bucket of a hash.
    pub(crate) fn glance(&self, hash: u64) -> u32 {
        bucket_in(&self.pages, self.bucket_of(hash)).map_or(0, |bucket| bucket.links)
    }

    /// The address at which an entry with this hash most likely is, if there is one.
    pub(crate) fn likely_addr(&self, hash: u64) -> Addr {
        let bucket = bucket_in(&self.pages, self.bucket_of(hash));
        let cell =
            bucket.and_then(|bucket| bucket.cells.get(bucket.slots_tagged(tag_of(hash)).next()?));
        cell.map_or(Addr::NONE, |&cell| Addr(cell))
    }

    pub(crate) fn entry(&self, place: Place) -> Option<Entry> {
        let bucket = self.bucket(place.bucket)?;
        let slot = usize::from(place.slot);
        let addr = Addr(*bucket.cells.get(slot)?);
        if slot >= slots_of(place.bucket) || addr == Addr::NONE {
            return None;
        }
        Some(Entry {
            addr,
            tag: *bucket.tags.get(slot)?,
            age: *bucket.ages.get(slot)?,
            is_volatile: bucket.links >> slot & 1 == 1,
        })
    }

    /// The entry that was remembered, if no entry has left its place since, and no record its cell.
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    pub(crate) fn recent(&self) -> Option<(u64, Place, Addr)> {
        // At the edge the code for it would weigh more than the time is worth.
        if cfg!(target_arch = "wasm32") {
            return None;
        }
        let (hash, place, addr) = self.recent?;
        let age = *self.bucket(place.bucket)?.ages.get(usize::from(place.slot))?;
        Some((hash, Place { age, ..place }, addr))
    }

    /// Remembers an entry of this hash that may be asked for again soon.
    pub(crate) fn remember(&mut self, hash: u64, place: Place, addr: Addr) {
        self.recent = Some((hash, place, addr));
    }

    pub(crate) fn set_addr(&mut self, place: Place, addr: Addr) {
        self.recent = None;
        if let Some(bucket) = self.bucket_mut(place.bucket)
            && let Some(cell) = bucket.cells.get_mut(usize::from(place.slot))
        {
            *cell = addr.0;
        }
    }

    /// Gives an entry another age. A read does that: to snapshots it is no change.
    #[inline]
    pub(crate) fn set_age(&mut self, place: Place, age: u8) {
        if place.age != age
            && let Some(page) = self.page_mut(place.bucket)
            && let Some(bucket) = page.bucket_mut(place.bucket)
            && let Some(old) = bucket.ages.get_mut(usize::from(place.slot))
        {
            *old = age;
        }
    }

    pub(crate) fn set_volatile(&mut self, place: Place, is_volatile: bool) {
        if let Some(bucket) = self.bucket_mut(place.bucket) {
            bucket.set_volatile(place.slot, is_volatile);
        }
    }

    /// Pages to be added (`add_pages`) before `count` insertions: each may hit a full chain.
    pub(crate) fn pages_for(&self, count: usize) -> usize {
        let overflow = count.saturating_sub(self.overflow_spare()).div_ceil(BUCKETS_PER_PAGE);
        overflow + usize::from(self.pages.is_empty())
    }

    /// Adds the pages that `count` insertions may need.
    pub(crate) fn add_pages(&mut self, count: usize) -> Option<()> {
        if self.pages.is_empty() {
            add_page(&mut self.pages, &self.door)?;
        }
        while self.overflow_spare() < count {
            self.add_overflow_page()?;
        }
        Some(())
    }

    /// Adds an entry. `None`, and nothing done, when it would need a page that is not there.
    pub(crate) fn insert(
        &mut self,
        hash: u64,
        addr: Addr,
        age: u8,
        is_volatile: bool,
    ) -> Option<Place> {
        let entry = Entry { addr, tag: tag_of(hash), age, is_volatile };
        let place = self.append(self.bucket_of(hash), entry)?;
        self.entry_count += 1;
        Some(place)
    }

    /// Takes an entry out. The last one of its chain takes its place.
    pub(crate) fn remove(&mut self, place: Place) {
        self.detach(place);
        self.entry_count -= 1;
    }

    fn add_overflow_page(&mut self) -> Option<()> {
        if self.overflow_capacity() + BUCKETS_PER_PAGE > OVERFLOW_BUCKETS_MAX {
            return None;
        }
        add_page(&mut self.overflow_pages, &self.door)
    }

    /// Whether the table wants one more bucket.
    pub(crate) fn wants_growth(&self) -> bool {
        self.entry_count > self.bucket_count * LOAD_MAX
    }

    /// Pages that bucket needs.
    pub(crate) fn growth_pages(&self) -> usize {
        let bucket = self.bucket_count == self.pages.len() * BUCKETS_PER_PAGE;
        usize::from(bucket) + usize::from(self.split_needs_overflow())
    }

    /// While both chains exist, the new one may need the overflow buckets that the old one has.
    fn split_needs_overflow(&self) -> bool {
        self.overflow_spare() + 1 < self.chain_length(self.buckets.split() as u32)
    }

    /// Splits the next bucket in turn. `None`, and nothing done, when a page was refused.
    pub(crate) fn grow(&mut self, hash_of: impl Fn(Addr) -> u64) -> Option<()> {
        let (old, new) = (self.buckets.split() as u32, self.bucket_count as u32);
        if self.split_needs_overflow() {
            self.add_overflow_page()?;
        }
        if self.bucket_count == self.pages.len() * BUCKETS_PER_PAGE {
            add_page(&mut self.pages, &self.door)?;
        }
        self.set_bucket_count(self.bucket_count + 1);
        let mut position = 0;
        while let Some((place, entry)) = self.nth(old, position) {
            if self.bucket_of(hash_of(entry.addr)) == new {
                self.append(new, entry);
                self.detach(place);
            } else {
                position += 1;
            }
        }
        Some(())
    }

    /// Whether the table wants one bucket less.
    pub(crate) fn wants_shrinking(&self) -> bool {
        self.bucket_count > 1 && self.entry_count < self.bucket_count * LOAD_MIN
    }

    /// Merges the last bucket into the one it was split from, and gives back an empty page.
    pub(crate) fn shrink(&mut self) {
        if self.bucket_count < 2 {
            return;
        }
        let last = (self.bucket_count - 1) as u32;
        let target = Buckets::new(self.bucket_count - 1).split() as u32;
        let entries = self.chain_entries(last) + self.chain_entries(target);
        if entries > BUCKET_SLOTS && self.overflow_spare() < self.chain_length(last) {
            return;
        }
        while let Some((place, entry)) = self.nth(last, 0) {
            self.append(target, entry);
            self.detach(place);
        }
        self.set_bucket_count(self.bucket_count - 1);
        if self.bucket_count + BUCKETS_PER_PAGE <= self.pages.len() * BUCKETS_PER_PAGE {
            self.prepare(self.bucket_count as u32, Blocks::MAX);
            self.pages.pop();
        }
        self.drop_spare_overflow();
    }

    /// The entry at a position in the chain of a bucket. Positions have no gaps; removing an
    /// entry moves the last one to its position.
    pub(crate) fn nth(&self, bucket: u32, position: usize) -> Option<(Place, Entry)> {
        let mut place = Place { bucket, slot: 0, age: 0 };
        let mut position = position;
        while position >= slots_of(place.bucket) {
            position -= slots_of(place.bucket);
            place.bucket = self.bucket(place.bucket)?.next()?;
        }
        place.slot = position as u8;
        let entry = self.entry(place)?;
        Some((Place { age: entry.age, ..place }, entry))
    }

    /// Shows every entry of a bucket.
    pub(crate) fn visit(&self, bucket: u32, show: &mut dyn FnMut(Place, Entry)) {
        let mut number = bucket;
        while let Some(bucket) = self.bucket(number) {
            let slots = bucket.cells.iter().zip(&bucket.ages).zip(&bucket.tags);
            for (slot, ((&cell, &age), &tag)) in slots.take(slots_of(number)).enumerate() {
                if cell == 0 {
                    break;
                }
                let is_volatile = bucket.links >> slot & 1 == 1;
                let place = Place { bucket: number, slot: slot as u8, age };
                show(place, Entry { addr: Addr(cell), tag, age, is_volatile });
            }
            let Some(next) = bucket.next() else { break };
            number = next;
        }
    }

    /// Checks the invariants of the file header; the message names the broken one.
    pub(crate) fn validate(&self, hash_of: impl Fn(Addr) -> u64) -> Result<(), &'static str> {
        let mut entries = 0;
        let mut overflow = 0;
        for bucket in 0..self.bucket_count {
            let mut number = bucket as u32;
            loop {
                let used = self.used(number);
                let next = self.bucket(number).and_then(Bucket::next);
                if used < slots_of(number) && next.is_some() || number >= OVERFLOW && used == 0 {
                    return Err("index: a chain is not dense");
                }
                for slot in 0..used {
                    let place = Place { bucket: number, slot: slot as u8, age: 0 };
                    let entry = self.entry(place).ok_or("index: a gap in a bucket")?;
                    let hash = hash_of(entry.addr);
                    if self.bucket_of(hash) != bucket as u32 || tag_of(hash) != entry.tag {
                        return Err("index: an entry is in the wrong bucket");
                    }
                }
                entries += used;
                match next {
                    Some(next) => number = next,
                    None => break,
                }
                overflow += 1;
                if self.chain_start(number) != Some(bucket as u32) {
                    return Err("index: an overflow bucket names the wrong start");
                }
            }
        }
        if entries != self.entry_count || overflow != self.overflow_count {
            return Err("index: the counts are off");
        }
        Ok(())
    }

    fn set_bucket_count(&mut self, count: usize) {
        self.bucket_count = count;
        self.buckets = Buckets::new(count);
    }

    pub(crate) fn bucket_of(&self, hash: u64) -> u32 {
        self.buckets.of(hash) as u32
    }

    fn bucket(&self, number: u32) -> Option<&Bucket> {
        bucket_in(if number >= OVERFLOW { &self.overflow_pages } else { &self.pages }, number)
    }

    /// A bucket, to be changed.
    #[inline]
    fn bucket_mut(&mut self, number: u32) -> Option<&mut Bucket> {
        let block = bucket_on_page(number) / BUCKETS_PER_BLOCK;
        self.prepare(number, blocks(&(block..block + 1)));
        self.page_mut(number)?.bucket_mut(number)
    }

    #[inline]
    fn page_mut(&mut self, bucket: u32) -> Option<&mut Page> {
        let pages = if bucket >= OVERFLOW { &mut self.overflow_pages } else { &mut self.pages };
        pages.get_mut(page_of(bucket))
    }

    /// Some blocks of the page of a bucket are about to change.
    #[inline]
    fn prepare(&mut self, bucket: u32, blocks: Blocks) {
        let is_overflow = bucket >= OVERFLOW;
        let Index { pages, overflow_pages, door, .. } = self;
        let pages = if is_overflow { overflow_pages } else { pages };
        if let Some(page) = pages.get_mut(page_of(bucket))
            && !door.is_open(&page.mark, blocks)
        {
            page.let_out(door, is_overflow, page_of(bucket), blocks);
        }
    }

    fn used(&self, number: u32) -> usize {
        self.bucket(number).map_or(0, |bucket| bucket.used(slots_of(number)))
    }

    /// The last bucket of a chain and how many of its slots are in use.
    fn chain_end(&self, start: u32) -> Option<(u32, usize)> {
        let mut number = start;
        while let Some(next) = self.bucket(number)?.next() {
            number = next;
        }
        Some((number, self.used(number)))
    }

    fn chain_length(&self, start: u32) -> usize {
        let mut length = 1;
        let mut number = start;
        while let Some(next) = self.bucket(number).and_then(Bucket::next) {
            number = next;
            length += 1;
        }
        length
    }

    /// The primary bucket at which the chain of an overflow bucket starts.
    fn chain_start(&self, number: u32) -> Option<u32> {
        self.bucket(number)?.cells.last().copied()
    }

    fn chain_entries(&self, start: u32) -> usize {
        let mut entries = 0;
        while self.nth(start, entries).is_some() {
            entries += 1;
        }
        entries
    }

    fn append(&mut self, start: u32, entry: Entry) -> Option<Place> {
        let (mut last, mut used) = self.chain_end(start)?;
        if used == slots_of(last) {
            if self.overflow_spare() == 0 {
                return None;
            }
            let new = self.overflow_count as u32 | OVERFLOW;
            self.overflow_count += 1;
            if let Some(bucket) = self.bucket_mut(new) {
                *bucket = Bucket::EMPTY;
                if let Some(cell) = bucket.cells.last_mut() {
                    *cell = start;
                }
            }
            if let Some(bucket) = self.bucket_mut(last) {
                bucket.set_next(Some(new));
            }
            (last, used) = (new, 0);
        }
        let place = Place { bucket: last, slot: used as u8, age: entry.age };
        self.put(place, Some(entry));
        Some(place)
    }

    /// Fills or clears a slot.
    fn put(&mut self, place: Place, entry: Option<Entry>) {
        if let Some(bucket) = self.bucket_mut(place.bucket) {
            bucket.put(place.slot, entry);
        }
    }

    /// Empties a slot, filling it from the end of the chain, without counting.
    fn detach(&mut self, place: Place) {
        self.recent = None;
        let start = if place.bucket >= OVERFLOW {
            self.chain_start(place.bucket)
        } else {
            Some(place.bucket)
        };
        let Some((last, used)) = start.and_then(|start| self.chain_end(start)) else { return };
        let Some(slot) = used.checked_sub(1) else { return };
        let end = Place { bucket: last, slot: slot as u8, age: 0 };
        let moved = self.entry(end);
        if (end.bucket, end.slot) != (place.bucket, place.slot) {
            self.put(place, moved);
        }
        self.put(end, None);
        if slot == 0 && last >= OVERFLOW {
            self.remove_overflow(last);
        }
    }

    /// Unlinks an empty overflow bucket, the last of its chain; the highest one gets its number.
    fn remove_overflow(&mut self, number: u32) {
        self.redirect(number, None);
        self.overflow_count -= 1;
        let highest = self.overflow_count as u32 | OVERFLOW;
        if highest != number {
            self.redirect(highest, Some(number));
            if let Some(bucket) = self.bucket(highest).copied()
                && let Some(target) = self.bucket_mut(number)
            {
                *target = bucket;
            }
        }
        self.drop_spare_overflow();
    }

    /// Makes the bucket that links to `number` link to `to` instead.
    fn redirect(&mut self, number: u32, to: Option<u32>) {
        let Some(mut at) = self.chain_start(number) else { return };
        while let Some(next) = self.bucket(at).and_then(Bucket::next) {
            if next == number {
                if let Some(bucket) = self.bucket_mut(at) {
                    bucket.set_next(to);
                }
                return;
            }
            at = next;
        }
    }

    fn overflow_capacity(&self) -> usize {
        self.overflow_pages.len() * BUCKETS_PER_PAGE
    }

    fn overflow_spare(&self) -> usize {
        self.overflow_capacity() - self.overflow_count
    }

    /// Gives overflow pages back, but for one to spare, so that the border is no place to thrash.
    pub(crate) fn drop_spare_overflow(&mut self) {
        while self.overflow_count + 2 * BUCKETS_PER_PAGE <= self.overflow_capacity() {
            self.prepare((self.overflow_capacity() - 1) as u32 | OVERFLOW, Blocks::MAX);
            self.overflow_pages.pop();
        }
    }
}

impl Page {
    #[inline]
    fn bucket_mut(&mut self, number: u32) -> Option<&mut Bucket> {
        self.buckets.as_mut()?.get_mut(bucket_on_page(number))
    }

    #[cfg(not(feature = "snapshot"))]
    fn let_out(&mut self, _: &mut Door, _: bool, _: usize, _: Blocks) {}
}

#[inline(always)]
fn bucket_in(pages: &[Page], number: u32) -> Option<&Bucket> {
    pages.get(page_of(number))?.buckets.as_ref()?.get(bucket_on_page(number))
}

/// The page that a bucket is on, among its kind.
#[inline]
fn page_of(bucket: u32) -> usize {
    (bucket & !OVERFLOW) as usize / BUCKETS_PER_PAGE
}

#[inline]
fn bucket_on_page(bucket: u32) -> usize {
    bucket as usize % BUCKETS_PER_PAGE
}

fn slots_of(bucket: u32) -> usize {
    if bucket >= OVERFLOW { OVERFLOW_SLOTS } else { BUCKET_SLOTS }
}

fn tag_of(hash: u64) -> u8 {
    (hash >> 56) as u8
}

fn add_page(pages: &mut Vec<Page>, door: &Door) -> Option<()> {
    pages.try_reserve(1).ok()?;
    pages.push(Page { buckets: Some(empty_buckets()?), mark: door.mark() });
    Some(())
}

fn empty_buckets() -> Option<Box<[Bucket; BUCKETS_PER_PAGE]>> {
    let mut buckets = Vec::new();
    buckets.try_reserve_exact(BUCKETS_PER_PAGE).ok()?;
    buckets.resize(BUCKETS_PER_PAGE, Bucket::EMPTY);
    buckets.into_boxed_slice().try_into().ok()
}
