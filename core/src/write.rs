//! Writing records: over the one that is there, beside it, or in pages.
//!
//! A write happens in two steps: `prepare` makes room, which may evict, move, or fail; `put` then
//! writes and leaves nothing half done.
//!
//! Not here: what a command means (string.rs), and the budget (room.rs).

use crate::arena::{Addr, Class, PAGE_BYTES};
use crate::bytes;
use crate::error::{Error, Result};
use crate::keyspace::{Cx, Found, Keyspace, Millis};
use crate::limits::{KEY_BYTES_MAX, VALUE_BYTES_MAX};
use crate::record::{Head, PAGE_VALUE_BYTES, PageHead};
use crate::value::{Joined, Source};

/// A record that is going to be written.
pub(crate) struct Draft<'a> {
    key: &'a [u8],
    hash: u64,
    head: Head,
    /// The record that is there under the key.
    pub(crate) found: Option<Found>,
    /// Pages at the front of its value that stay, and now belong to the new one.
    kept_pages: usize,
    /// The cells it needs: its own, its full pages, its last page.
    pub(crate) cells: [(Class, usize); 3],
}

impl<'a> Draft<'a> {
    /// # Errors
    /// [`Error::KeyTooLong`], [`Error::ValueTooLong`].
    pub(crate) fn new(
        key: &'a [u8],
        hash: u64,
        value_len: usize,
        deadline: Millis,
        found: Option<Found>,
    ) -> Result<Draft<'a>> {
        if key.len() > KEY_BYTES_MAX {
            return Err(Error::KeyTooLong);
        }
        if value_len > VALUE_BYTES_MAX {
            return Err(Error::ValueTooLong);
        }
        let head = Head::new(key.len(), value_len, deadline);
        let mut draft = Draft { key, hash, head, found, kept_pages: 0, cells: Default::default() };
        draft.keep_pages(0);
        Ok(draft)
    }

    /// Lets so many pages of the value that is there stay.
    fn keep_pages(&mut self, count: usize) {
        self.kept_pages = count;
        self.cells = Default::default();
        let [record, full, last] = &mut self.cells;
        *record = (Class::fitting(self.head.record_bytes()), 1);
        if self.head.is_paged() {
            let full_pages = self.head.full_pages();
            *full = (page_class(PAGE_VALUE_BYTES), full_pages.saturating_sub(count));
            *last = (page_class(self.head.page_len(full_pages)), self.head.pages() - full_pages);
        }
    }
}

impl Cx<'_> {
    /// Makes room for a record. That may move the one it takes the place of, and evicts it rather
    /// than others unless it is to be kept.
    pub(crate) fn prepare(&mut self, draft: &mut Draft<'_>, keep: bool) -> Result<()> {
        let Some(found) = draft.found else {
            return self.make_room_for_keys(&mut draft.cells, 1, true);
        };
        if self.keys.fits_in_place(&found, &draft.head) {
            return Ok(());
        }
        self.keys.pinned = if keep { found.addr } else { Addr::NONE };
        let room = self.make_room_for_keys(&mut draft.cells, 1, true);
        self.keys.pinned = Addr::NONE;
        draft.found = self.keys.locate(draft.key, draft.hash);
        room
    }

    /// Writes a value that was made from the one there is.
    pub(crate) fn replace(&mut self, mut draft: Draft<'_>, value: &mut dyn Source) -> Result<()> {
        self.prepare(&mut draft, true)?;
        self.keys.put(&draft, value)
    }

    /// Gives a value more bytes at its end, and another deadline. Its full pages stay where they
    /// are, so that only the rest is written again.
    pub(crate) fn extend(
        &mut self,
        key: &[u8],
        hash: u64,
        found: Option<Found>,
        suffix: &[u8],
        deadline: Millis,
    ) -> Result<usize> {
        let mut buffer = [0; PAGE_BYTES];
        let mut rest: &[u8] = &[];
        let (mut old_len, mut kept_pages) = (0, 0);
        if let Some(found) = &found {
            old_len = found.head.value_len();
            kept_pages = found.head.full_pages();
            let value = self.keys.value(found);
            if let Some(part) = value.parts().nth(kept_pages) {
                bytes::copy(&mut buffer, part);
                rest = buffer.get(..part.len()).unwrap_or_default();
            }
        }
        let len = old_len + suffix.len();
        let mut draft = Draft::new(key, hash, len, deadline, found)?;
        draft.keep_pages(kept_pages);
        self.replace(draft, &mut Joined(rest, suffix))?;
        Ok(len)
    }
}

impl Keyspace {
    /// Whether a record can be written over the one that is there: neither is in pages, and the
    /// cell is neither too small nor much too large.
    fn fits_in_place(&self, found: &Found, head: &Head) -> bool {
        let cell_bytes = self.arena.cell(found.addr).len();
        let bytes = head.record_bytes();
        !head.is_paged()
            && !found.head.is_paged()
            && bytes <= cell_bytes
            && bytes >= cell_bytes - cell_bytes / 8
    }

    /// Writes a record: over the one that was found, beside it and in its stead, or as a new key.
    pub(crate) fn put(&mut self, draft: &Draft<'_>, value: &mut dyn Source) -> Result<()> {
        let Draft { key, hash, head, found, kept_pages, .. } = draft;
        let in_place = found.filter(|found| self.fits_in_place(found, head));
        let addr = match &in_place {
            Some(found) => found.addr,
            None => self.allocate_record(draft)?,
        };
        let mut is_ascii = self.fill(addr, head, *kept_pages, value);
        if let Some(found) = found {
            is_ascii &= *kept_pages == 0 || found.head.is_ascii();
        }
        let cell = self.arena.cell_mut(addr);
        head.with_ascii(is_ascii).write(cell);
        head.write_key(cell, key);
        let is_volatile = head.is_volatile();
        let Some(found) = found else {
            self.enter(*hash, addr, is_volatile);
            return Ok(());
        };
        if in_place.is_none() {
            self.free_pages(found.addr, &found.head, *kept_pages..found.head.pages());
            self.arena.free(found.addr);
            self.index.set_addr(found.place, addr);
        }
        self.set_volatile(found, is_volatile);
        self.note_use(found.place);
        Ok(())
    }

    /// Keeps the index's mark and the count of deadlines in step with a record.
    pub(crate) fn set_volatile(&mut self, found: &Found, is_volatile: bool) {
        self.counters.expires -= u64::from(found.head.is_volatile());
        self.counters.expires += u64::from(is_volatile);
        self.index.set_volatile(found.place, is_volatile);
    }

    /// Allocates a record and those of its pages that are not kept; nothing stays if the
    /// allocator refuses one.
    fn allocate_record(&mut self, draft: &Draft<'_>) -> Result<Addr> {
        let head = &draft.head;
        let [(class, _), (full, _), (last, _)] = draft.cells;
        let addr = self.arena.allocate(class).ok_or(Error::OutOfMemory)?;
        head.write(self.arena.cell_mut(addr));
        for position in draft.kept_pages..head.pages() {
            let class = if position < head.full_pages() { full } else { last };
            let Some(page) = self.arena.allocate(class) else {
                self.free_pages(addr, head, draft.kept_pages..position);
                self.arena.free(addr);
                return Err(Error::OutOfMemory);
            };
            let page_head = PageHead { position, owner_hash: draft.hash };
            page_head.write(self.arena.cell_mut(page));
            self.set_page(addr, head, position, page);
        }
        if let Some(found) = &draft.found {
            for position in 0..draft.kept_pages {
                let page = self.page(found.addr, &found.head, position);
                self.set_page(addr, head, position, page);
            }
        }
        Ok(addr)
    }

    fn set_page(&mut self, record: Addr, head: &Head, position: usize, page: Addr) {
        let directory = head.stored_mut(self.arena.cell_mut(record));
        Head::set_page_addr(directory, position, page);
    }

    /// Fills the value of a record from position `from` of its pages on. Whether that is ASCII.
    fn fill(&mut self, addr: Addr, head: &Head, from: usize, value: &mut dyn Source) -> bool {
        if !head.is_paged() {
            let target = head.stored_mut(self.arena.cell_mut(addr));
            value.fill(target);
            return target.is_ascii();
        }
        let mut is_ascii = true;
        for position in from..head.pages() {
            let page = self.page(addr, head, position);
            let target = PageHead::value_mut(self.arena.cell_mut(page), head.page_len(position));
            value.fill(target);
            is_ascii &= target.is_ascii();
        }
        is_ascii
    }
}

/// The class of a page with so many bytes of a value.
fn page_class(value_bytes: usize) -> Class {
    Class::fitting(PageHead::cell_bytes(value_bytes))
}
