//! Room: the memory budget, kept before each allocation.
//!
//! An operation says which cells and index pages it is going to need. If the holes of their
//! classes and what the budget has left are enough, it goes ahead, and nothing can fail or move
//! under it. Else a segment is emptied into the holes of its class, or, when there are too few
//! holes for that, strings are compressed, if that was asked for, or a key is evicted; and so on
//! until there is room.
//!
//! Not here: who is evicted (evict.rs), and how a segment is chosen (arena.rs).

use core::hint::black_box;

use crate::arena::{Addr, Arena, Class, SEGMENT_BYTES};
use crate::deque::LINKED;
use crate::error::{Error, Result};
use crate::keyspace::{Cx, Found, Keyspace, hash_record};
use crate::limits::{COMPRESSION_STEPS_MAX, REAPS_MAX};
use crate::record::PageHead;

impl Cx<'_> {
    /// Makes sure that all of `cells` and so many `pages` can be had within the budget. Of the
    /// first few cells the caller can do with `substitutes`: their classes may change. Whether
    /// anything else may have changed: keys gone, records and pages moved.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] when they could not even be had in an empty cache (nothing is
    /// evicted then), or the policy lets nothing more go.
    pub(crate) fn make_room(
        &mut self,
        cells: &mut [(Class, usize)],
        substitutes: usize,
        pages: usize,
    ) -> Result<bool> {
        let (mut has_moved, mut is_checked) = (false, false);
        let (mut is_compacted, mut reaps, mut compressions) = (false, 0, 0);
        loop {
            let missing = self.keys.arena.segments_missing(cells) + pages;
            if missing == 0 {
                return Ok(has_moved);
            }
            if missing <= self.keys.segments_left() {
                // What lies in holes is used before more is taken, once it is a good part: one
                // segment is emptied for what is taken, so that no single operation does it all.
                if !is_compacted && self.keys.arena.is_wasteful() && self.keys.compact() {
                    (has_moved, is_compacted) = (true, true);
                    continue;
                }
                return Ok(has_moved);
            }
            let first_count = substitutes.min(cells.len());
            let first = cells.get_mut(..first_count).unwrap_or_default();
            if self.keys.arena.substitute(first) {
                continue;
            }
            has_moved = true;
            if !is_checked {
                is_checked = true;
                if !self.keys.could_ever_hold(Arena::segments_for(cells) + pages) {
                    return Err(Error::OutOfMemory);
                }
            }
            // The pages of a dying object may lie in as many segments: before all of them are given
            // back one by one, their holes are filled.
            reaps += 1;
            compressions += 1;
            #[cfg(feature = "snapshot")]
            if self.keys.thaw() {
                continue;
            }
            let has_progress = reaps <= REAPS_MAX && self.keys.reap()
                || self.keys.compact()
                || self.keys.reap()
                || compressions <= COMPRESSION_STEPS_MAX && self.keys.compress_some()
                || self.evict()
                || self.keys.compress_rest();
            if !has_progress {
                return Err(Error::OutOfMemory);
            }
        }
    }

    /// The same, for up to so many new keys and objects: they may need pages as well.
    pub(crate) fn make_room_for_keys(
        &mut self,
        cells: &mut [(Class, usize)],
        substitutes: usize,
        keys: usize,
        objects: usize,
    ) -> Result<bool> {
        let pages = self.keys.index.pages_for(keys) + self.keys.objects.pages_for(objects);
        let has_moved = self.make_room(cells, substitutes, pages)?;
        self.keys.index.add_pages(keys).ok_or(Error::OutOfMemory)?;
        Ok(has_moved)
    }

    /// The same for an operation on a key that is there, which is not evicted, though it may move.
    pub(crate) fn make_room_beside(
        &mut self,
        found: &mut Found,
        cells: &mut [(Class, usize)],
        substitutes: usize,
        objects: usize,
    ) -> Result<()> {
        let pages = self.keys.objects.pages_for(objects);
        self.pinning(found, |cx| cx.make_room(cells, substitutes, pages))
    }

    /// Keeps a record from being evicted while room is made, and finds it again afterwards: also
    /// where there was not enough to be had, since others may have gone by then.
    pub(crate) fn pinning(
        &mut self,
        found: &mut Found,
        make_room: impl FnOnce(&mut Self) -> Result<bool>,
    ) -> Result<()> {
        self.keys.pins.push(found.addr);
        let room = make_room(self);
        found.addr = self.keys.pins.pop().unwrap_or(Addr::NONE);
        if !matches!(room, Ok(false)) {
            found.place = self.keys.place_of(found.addr);
        }
        room.map(drop)
    }

    /// Lends a command so many bytes of the budget, for buffers of its own, in place of what it was
    /// lent before. They count as used until the next command begins.
    pub(crate) fn lend_bytes(&mut self, bytes: usize) -> Result<bool> {
        self.keys.lent_bytes = 0;
        let has_moved = self.make_room(&mut [], 0, bytes.div_ceil(SEGMENT_BYTES))?;
        self.keys.lent_bytes = bytes;
        Ok(has_moved)
    }

    /// Grows the index by a bucket if it is too full for its size. When there is no memory for
    /// that it stays as it is, only slower. It comes after the effect of the write that filled the
    /// index, since it may evict, and evict that very key.
    pub(crate) fn grow_index(&mut self) {
        self.notice_clock();
        self.grow_history();
        self.keep_reserve();
        if !self.keys.index.wants_growth() {
            return;
        }
        let pages = self.keys.index.growth_pages();
        if pages > 0 && self.make_room(&mut [], 0, pages).is_err() {
            return;
        }
        // Evictions may have shrunk the table to where growing needs a page it did not before.
        if self.keys.index.wants_growth() && self.keys.index.growth_pages() <= pages {
            self.keys.split_bucket();
        }
    }

    /// Takes a few steps towards a budget that was lowered. Whether there is more to do.
    pub fn shrink(&mut self, steps_max: usize) -> bool {
        for _ in 0..steps_max {
            if self.keys.is_within_budget() {
                return false;
            }
            if !(self.keys.reap() || self.keys.compact() || self.evict()) {
                return false;
            }
        }
        !self.keys.is_within_budget()
    }

    /// Compresses some strings if little memory is left, and lets a key go if too little is.
    fn keep_reserve(&mut self) {
        self.keys.compress_some();
        if self.keys.wants_reserve() && !self.keys.compact() {
            self.evict();
        }
    }

    /// Makes room for somebody else: drops keys until so many bytes went back to the allocator, or
    /// nothing more goes, or so many steps were taken. Whether any bytes went.
    pub fn give_back(&mut self, bytes: usize, steps_max: usize) -> bool {
        let before = self.keys.used_bytes();
        for _ in 0..steps_max {
            if self.keys.used_bytes() + bytes <= before {
                break;
            }
            if !(self.keys.reap() || self.keys.compact() || self.evict()) {
                break;
            }
        }
        self.keys.used_bytes() < before
    }

    /// Gives the history the page that an eviction found missing, or lets it go on without.
    fn grow_history(&mut self) {
        if self.keys.history.wants_page() && self.make_room(&mut [], 0, 1).is_ok() {
            self.keys.history.add_page();
        }
    }
}

impl Keyspace {
    /// Whether all of `cells` can be had as things are: nothing moves, nobody is evicted.
    pub(crate) fn has_room(&self, cells: &[(Class, usize)]) -> bool {
        let missing = self.arena.segments_missing(cells);
        missing == 0 || missing <= self.segments_left()
    }

    /// Empties one segment into the holes of its class. False when no class has enough holes.
    pub(crate) fn compact(&mut self) -> bool {
        let Some(start) = self.arena.detach_emptiest() else { return false };
        let mut from = start;
        while let Some((addr, class)) = self.arena.next_cell(from) {
            if !self.relocate(addr, class) {
                return false;
            }
            from = addr;
        }
        true
    }

    /// Moves a cell to a hole of its class, and tells its owner.
    fn relocate(&mut self, from: Addr, class: Class) -> bool {
        let Some(to) = self.arena.allocate(class) else { return false };
        self.arena.copy(from, to, class.bytes());
        self.counters.compacted_bytes += class.bytes() as u64;
        if let Some(page) = PageHead::read(self.arena.cell(from)) {
            if cfg!(feature = "list") && page.level == LINKED {
                self.rejoin(page.object, to);
            } else if let Some(object) = self.objects.get_mut(page.object) {
                object.redirect(&mut self.arena, page, to);
            }
        } else {
            self.index.set_addr(self.place_of(from), to);
            self.pins.iter_mut().filter(|pin| **pin == from).for_each(|pin| *pin = to);
        }
        self.arena.free(from);
        true
    }

    /// Splits a bucket of the index. When a page is refused the bucket just stays full.
    fn split_bucket(&mut self) {
        let Keyspace { index, arena, hasher, .. } = self;
        if !cfg!(target_arch = "wasm32") {
            // Its records are all over the memory, which delivers them side by side if it is told
            // of all before the first is worked on.
            let mut seen = 0;
            index.visit(index.buckets().split() as u32, &mut |_, entry| {
                seen ^= arena.bytes_from(entry.addr).first().copied().unwrap_or_default();
            });
            black_box(seen);
        }
        let _ = index.grow(|addr| hash_record(hasher, arena.cell(addr)));
    }
}
