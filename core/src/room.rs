//! Room: the memory budget, kept before each allocation.
//!
//! An operation says which cells and index pages it is going to need. If the holes of their
//! classes and what the budget has left are enough, it goes ahead, and nothing can fail or move
//! under it. Else a segment is emptied into the holes of its class, or, when there are too few
//! holes for that, a key is evicted; and so on until there is room.
//!
//! Not here: who is evicted (evict.rs), and how a segment is chosen (arena.rs).

use crate::arena::{Addr, Arena, Class};
use crate::error::{Error, Result};
use crate::keyspace::{Cx, Keyspace, hash_record};
use crate::record::{Head, PageHead};

impl Cx<'_> {
    /// Makes sure that all of `cells` and `index_pages` can be had within the budget. If the
    /// caller can do with `substitutes`, the classes of single cells may change.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] when they could not even be had in an empty cache (nothing is
    /// evicted then), or the policy lets nothing more go.
    fn make_room(
        &mut self,
        cells: &mut [(Class, usize)],
        index_pages: usize,
        substitutes: bool,
    ) -> Result<()> {
        let mut is_checked = false;
        loop {
            let missing = self.keys.arena.segments_missing(cells) + index_pages;
            if missing == 0 || missing <= self.keys.segments_left() {
                return Ok(());
            }
            if substitutes && self.keys.arena.substitute(cells) {
                continue;
            }
            if !is_checked {
                is_checked = true;
                if !self.keys.could_ever_hold(Arena::segments_for(cells) + index_pages) {
                    return Err(Error::OutOfMemory);
                }
            }
            if !self.keys.compact() && !self.evict() {
                return Err(Error::OutOfMemory);
            }
        }
    }

    /// The same, for up to `count` new keys: their index entries may need pages as well.
    pub(crate) fn make_room_for_keys(
        &mut self,
        cells: &mut [(Class, usize)],
        count: usize,
        substitutes: bool,
    ) -> Result<()> {
        self.make_room(cells, self.keys.index.pages_for(count), substitutes)?;
        self.keys.index.add_pages(count).ok_or(Error::OutOfMemory)
    }

    /// Grows the index by a bucket if it is too full for its size. When there is no memory for
    /// that it stays as it is, only slower. It comes after the effect of the write that filled the
    /// index, since it may evict, and evict that very key.
    pub(crate) fn grow_index(&mut self) {
        if !self.keys.index.wants_growth() {
            return;
        }
        let pages = self.keys.index.growth_pages();
        if pages > 0 && self.make_room(&mut [], pages, false).is_err() {
            return;
        }
        // Evictions may have shrunk the table to where growing needs a page it did not before.
        if self.keys.index.wants_growth() && self.keys.index.growth_pages() <= pages {
            self.keys.split_bucket();
        }
    }
}

impl Keyspace {
    /// Empties one segment into the holes of its class. False when no class has enough holes.
    fn compact(&mut self) -> bool {
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
            self.redirect_page(page, from, to);
        } else {
            self.index.replace_addr(self.hash_of(from), from, to);
            if self.pinned == from {
                self.pinned = to;
            }
        }
        self.arena.free(from);
        true
    }

    /// Notes in the directory of a page's owner that the page moved.
    fn redirect_page(&mut self, page: PageHead, from: Addr, to: Addr) {
        let bucket = self.index.bucket_of(page.owner_hash);
        let mut position = 0;
        while let Some((_, entry)) = self.index.nth(bucket, position) {
            position += 1;
            let cell = self.arena.cell_mut(entry.addr);
            let Some(head) = Head::read(cell).filter(Head::is_paged) else { continue };
            let directory = head.stored_mut(cell);
            if Head::page_addr(directory, page.position) == from {
                Head::set_page_addr(directory, page.position, to);
            }
        }
    }

    /// Splits a bucket of the index. When a page is refused the bucket just stays full.
    fn split_bucket(&mut self) {
        let Keyspace { index, arena, hasher, .. } = self;
        let _ = index.grow(|addr| hash_record(hasher, arena.cell(addr)));
    }
}
