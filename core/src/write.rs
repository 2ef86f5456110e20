//! Writing records: over the one that is there, beside it, or in pages.
//!
//! A write happens in two steps: `prepare` makes room, which may evict, move, or fail; `put` then
//! writes and leaves nothing half done. What is found before `prepare` must be found again after.
//!
//! Not here: what a command means (string.rs), and the budget (room.rs).

use crate::arena::{Addr, Class, RECORD_CELL_KINDS};
use crate::error::{Error, Result};
use crate::keyspace::{Cx, Found, Keyspace, Millis};
use crate::limits::{KEY_BYTES_MAX, VALUE_BYTES_MAX};
use crate::record::{Head, PAGE_VALUE_BYTES, PageHead};
use crate::value::Source;

impl Cx<'_> {
    /// Writes a value that was made from the one there is, which must not be evicted for it.
    pub(crate) fn replace(
        &mut self,
        key: &[u8],
        hash: u64,
        head: Head,
        found: Option<Found>,
        value: &mut dyn Source,
    ) -> Result<()> {
        let found = self.prepare(key, hash, &head, found, true)?;
        self.keys.put(key, hash, head, found, value)?;
        self.grow_index();
        Ok(())
    }

    /// Makes room for a record, and finds again what `found` was: the search for room may have
    /// moved it, or evicted it unless it is to be kept.
    pub(crate) fn prepare(
        &mut self,
        key: &[u8],
        hash: u64,
        head: &Head,
        found: Option<Found>,
        keep: bool,
    ) -> Result<Option<Found>> {
        if found.is_some_and(|found| self.keys.fits_in_place(&found, head)) {
            return Ok(found);
        }
        let kept = found.filter(|_| keep).map_or(Addr::NONE, |found| found.addr);
        let cells = cells_for(head)?;
        self.pinning(kept, |cx| cx.make_room_for_keys(&cells, 1))?;
        Ok(found.and_then(|_| self.keys.locate(key, hash)))
    }

    /// Adds to a paged value: only its last page and its directory are written anew.
    pub(crate) fn append_to_pages(
        &mut self,
        key: &[u8],
        hash: u64,
        found: &Found,
        suffix: &[u8],
    ) -> Result<()> {
        let old = found.head;
        let new = Head::new(key.len(), old.value_len() + suffix.len(), old.deadline)
            .with_ascii(old.is_ascii() && suffix.is_ascii());
        // The page that has room, or the first new one.
        let first = old.value_len() / PAGE_VALUE_BYTES;
        let cells = [
            (record_class(&new)?, 1),
            (page_class(PAGE_VALUE_BYTES)?, new.pages() - first),
            (page_class(new.page_len(new.pages() - 1))?, 1),
        ];
        self.pinning(found.addr, |cx| cx.make_room(&cells, 0))?;
        let mut found = self.keys.locate(key, hash).ok_or(Error::OutOfMemory)?;
        if new.record_bytes() > self.keys.arena.cell(found.addr).len() {
            self.keys.move_record(&mut found, record_class(&new)?)?;
        }
        let mut rest = suffix;
        for position in first..new.pages() {
            self.keys.extend_page(&found, hash, position, &new, &mut rest)?;
        }
        new.write(self.keys.arena.cell_mut(found.addr));
        Ok(())
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

    /// Writes a record: over the one `found`, beside it and in its stead, or as a new key.
    pub(crate) fn put(
        &mut self,
        key: &[u8],
        hash: u64,
        head: Head,
        found: Option<Found>,
        value: &mut dyn Source,
    ) -> Result<()> {
        let in_place = found.filter(|found| self.fits_in_place(found, &head));
        let addr = match &in_place {
            Some(found) => found.addr,
            None => self.allocate_record(&head, hash)?,
        };
        let head = head.with_ascii(self.fill(addr, &head, value));
        let cell = self.arena.cell_mut(addr);
        head.write(cell);
        head.write_key(cell, key);
        let is_volatile = head.deadline.is_some();
        let Some(found) = found else {
            self.enter(hash, addr, is_volatile);
            return Ok(());
        };
        if in_place.is_none() {
            self.free_pages(&found, 0);
            self.arena.free(found.addr);
            self.index.set_addr(found.place, addr);
        }
        self.set_volatile(&found, is_volatile);
        self.note_use(found.place);
        Ok(())
    }

    /// Keeps the index's mark and the count of deadlines in step with a record.
    pub(crate) fn set_volatile(&mut self, found: &Found, is_volatile: bool) {
        self.counters.expires -= u64::from(found.head.deadline.is_some());
        self.counters.expires += u64::from(is_volatile);
        self.index.set_volatile(found.place, is_volatile);
    }

    /// Allocates a record and its pages; nothing stays if one is refused.
    fn allocate_record(&mut self, head: &Head, hash: u64) -> Result<Addr> {
        let addr = self.arena.allocate(record_class(head)?).ok_or(Error::OutOfMemory)?;
        head.write(self.arena.cell_mut(addr));
        for position in 0..head.pages() {
            let page = page_class(head.page_len(position))
                .and_then(|class| self.arena.allocate(class).ok_or(Error::OutOfMemory));
            match page {
                Ok(page) => self.link_page(addr, head, position, hash, page),
                Err(error) => {
                    for position in 0..position {
                        let directory = head.stored(self.arena.cell(addr));
                        self.arena.free(Head::page_addr(directory, position));
                    }
                    self.arena.free(addr);
                    return Err(error);
                }
            }
        }
        Ok(addr)
    }

    /// Writes the head of a page, and its address into the directory.
    fn link_page(&mut self, record: Addr, head: &Head, position: usize, hash: u64, page: Addr) {
        PageHead { position, owner_hash: hash }.write(self.arena.cell_mut(page));
        let directory = head.stored_mut(self.arena.cell_mut(record));
        Head::set_page_addr(directory, position, page);
    }

    /// Fills the value of a record from its source. Whether it is ASCII.
    fn fill(&mut self, addr: Addr, head: &Head, value: &mut dyn Source) -> bool {
        if !head.is_paged() {
            let target = head.stored_mut(self.arena.cell_mut(addr));
            value.fill(target);
            return target.is_ascii();
        }
        let mut is_ascii = true;
        for position in 0..head.pages() {
            let page = Head::page_addr(head.stored(self.arena.cell(addr)), position);
            let len = head.page_len(position);
            let target = PageHead::value_mut(self.arena.cell_mut(page), len);
            value.fill(target);
            is_ascii &= target.is_ascii();
        }
        is_ascii
    }

    /// Moves a record to a cell of another class. Room for it was made before.
    pub(crate) fn move_record(&mut self, found: &mut Found, class: Class) -> Result<()> {
        let to = self.arena.allocate(class).ok_or(Error::OutOfMemory)?;
        let bytes = class.bytes().min(self.arena.cell(found.addr).len());
        self.arena.copy(found.addr, to, bytes);
        self.arena.free(found.addr);
        self.index.set_addr(found.place, to);
        found.addr = to;
        Ok(())
    }

    /// Brings one page of a value that grows from `found` to `new` to its new length.
    fn extend_page(
        &mut self,
        found: &Found,
        hash: u64,
        position: usize,
        new: &Head,
        rest: &mut &[u8],
    ) -> Result<()> {
        let (old_len, len) = (found.head.page_len(position), new.page_len(position));
        let directory = found.head.stored(self.arena.cell(found.addr));
        let mut page = Head::page_addr(directory, position);
        if old_len == 0 {
            page = Addr::NONE;
        }
        if PageHead::cell_bytes(len) > self.arena.cell(page).len() {
            let to = self.arena.allocate(page_class(len)?).ok_or(Error::OutOfMemory)?;
            if page != Addr::NONE {
                self.arena.copy(page, to, PageHead::cell_bytes(old_len));
                self.arena.free(page);
            }
            self.link_page(found.addr, new, position, hash, to);
            page = to;
        }
        let value = PageHead::value_mut(self.arena.cell_mut(page), len);
        if let Some(target) = value.get_mut(old_len..) {
            rest.fill(target);
        }
        Ok(())
    }
}

/// The head of a new string record.
pub(crate) fn new_head(key: &[u8], value_len: usize, deadline: Option<Millis>) -> Result<Head> {
    if key.len() > KEY_BYTES_MAX {
        return Err(Error::KeyTooLong);
    }
    if value_len > VALUE_BYTES_MAX {
        return Err(Error::ValueTooLong);
    }
    Ok(Head::new(key.len(), value_len, deadline))
}

/// The cells a record needs: its own, its full pages, its last page.
pub(crate) fn cells_for(head: &Head) -> Result<[(Class, usize); RECORD_CELL_KINDS]> {
    let record = record_class(head)?;
    if !head.is_paged() {
        return Ok([(record, 1), (record, 0), (record, 0)]);
    }
    let full_pages = head.value_len() / PAGE_VALUE_BYTES;
    let last_page = head.pages() - full_pages;
    let full = page_class(PAGE_VALUE_BYTES)?;
    Ok([(record, 1), (full, full_pages), (page_class(head.page_len(full_pages))?, last_page)])
}

fn record_class(head: &Head) -> Result<Class> {
    Class::fitting(head.record_bytes()).ok_or(Error::ValueTooLong)
}

fn page_class(value_bytes: usize) -> Result<Class> {
    Class::fitting(PageHead::cell_bytes(value_bytes)).ok_or(Error::ValueTooLong)
}
