//! Writing records: over the one that is there, or beside it; and strings in pages.
//!
//! A write happens in two steps: `prepare` makes room, which may evict, move, or fail; `put` then
//! writes and leaves nothing half done.
//!
//! Not here: what a command means (string.rs), and the budget (room.rs).

use crate::arena::{Addr, Class, PAGE_BYTES};
use crate::bytes;
use crate::error::{Error, Result};
use crate::index::Place;
use crate::keyspace::{Cx, Found, Keyspace, Millis};
use crate::limits::{KEY_BYTES_MAX, VALUE_BYTES_MAX};
use crate::object::{DirectoryCells, ObjectId, directory_cells};
use crate::record::{Head, Kind, NEVER, PAGE_HEAD_BYTES, PAGE_VALUE_BYTES, PageHead, Text};
use crate::value::{Joined, Source};

/// A record that is going to be written.
pub(crate) struct Draft<'a> {
    key: &'a [u8],
    hash: u64,
    head: Head,
    /// The record that is there under the key.
    pub(crate) found: Option<Found>,
    /// Where its value comes from.
    origin: Origin,
    /// Whether it is written over the record that is there.
    is_in_place: bool,
    /// Whether it counts as a use of the key.
    is_use: bool,
    /// Objects it needs.
    pub(crate) objects: usize,
    /// The cells it needs: its own; the full pages of a large string, its last page, its directory.
    pub(crate) cells: [(Class, usize); 6],
}

/// Where the value of a record comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// A string is written; the value that was there goes.
    Text,
    /// What stands in the record is given; the value that was there goes.
    Stored,
    /// The same, and it is made of the value that was there.
    Same,
}

/// The cells that a string needs to grow in pages: full pages, the last page, the directory.
pub(crate) type StringCells = [(Class, usize); 5];

impl<'a> Draft<'a> {
    /// A string.
    ///
    /// # Errors
    /// [`Error::KeyTooLong`], [`Error::ValueTooLong`].
    #[cfg_attr(not(target_arch = "wasm32"), inline)]
    pub(crate) fn new(
        key: &'a [u8],
        hash: u64,
        value_len: usize,
        deadline: Millis,
        found: Option<Found>,
    ) -> Result<Draft<'a>> {
        if value_len > VALUE_BYTES_MAX {
            return Err(Error::ValueTooLong);
        }
        let is_large = Head::is_large_string(key.len(), value_len);
        let stored_len = if is_large { OBJECT_BYTES } else { value_len };
        let mut draft = Draft::of(key, hash, Kind::String, stored_len, deadline, found)?;
        draft.origin = Origin::Text;
        if !is_large {
            return Ok(draft);
        }
        draft.head = draft.head.with_large(true);
        draft.objects = 1;
        if let Some(cells) = draft.cells.last_chunk_mut() {
            let pages = value_len.div_ceil(PAGE_VALUE_BYTES);
            *cells = string_cells(0, value_len, directory_cells(pages));
        }
        Ok(draft)
    }

    /// A value that stands in an object, which the caller makes.
    pub(crate) fn of_object(
        key: &'a [u8],
        hash: u64,
        kind: Kind,
        deadline: Millis,
        found: Option<Found>,
    ) -> Result<Draft<'a>> {
        Draft::of_object_with(key, hash, kind, 0, deadline, found)
    }

    /// The same, with so many bytes behind the object's number.
    pub(crate) fn of_object_with(
        key: &'a [u8],
        hash: u64,
        kind: Kind,
        more_bytes: usize,
        deadline: Millis,
        found: Option<Found>,
    ) -> Result<Draft<'a>> {
        let stored_len = OBJECT_BYTES + more_bytes;
        let mut draft = Draft::of(key, hash, kind, stored_len, deadline, found)?;
        draft.head = draft.head.with_large(true);
        draft.objects = 1;
        Ok(draft)
    }

    /// A value of any type that takes so many bytes of the record.
    #[cfg_attr(not(target_arch = "wasm32"), inline)]
    pub(crate) fn of(
        key: &'a [u8],
        hash: u64,
        kind: Kind,
        stored_len: usize,
        deadline: Millis,
        found: Option<Found>,
    ) -> Result<Draft<'a>> {
        if key.len() > KEY_BYTES_MAX {
            return Err(Error::KeyTooLong);
        }
        let may_expire = found.is_some_and(|found| found.head.has_expiring_fields());
        let head = Head::new(kind, key.len(), stored_len, deadline)
            .with_expiring_fields(may_expire && kind == Kind::Hash);
        let mut draft = Draft {
            key,
            hash,
            head,
            found,
            origin: Origin::Stored,
            is_in_place: false,
            is_use: true,
            objects: 0,
            cells: Default::default(),
        };
        if let Some(own) = draft.cells.first_mut() {
            *own = (Class::fitting(head.record_bytes()), 1);
        }
        Ok(draft)
    }

    /// The same, where the value that is given was made from the one there is: nothing of that is
    /// let go.
    pub(crate) fn keeping(mut self) -> Self {
        self.origin = Origin::Same;
        self
    }
}

/// Bytes of an object's number.
const OBJECT_BYTES: usize = size_of::<ObjectId>();

impl Cx<'_> {
    /// Makes room for a record. That may move the one it takes the place of, and evicts it rather
    /// than others unless it is to be kept.
    pub(crate) fn prepare(&mut self, draft: &mut Draft<'_>, keep: bool) -> Result<()> {
        draft.is_in_place = self.keys.fits_in_place(draft);
        if let Some(own) = draft.cells.first_mut() {
            *own = (Class::fitting(draft.head.record_bytes()), 1);
            // A record that shrinks stays where it is rather than to push others out.
            draft.is_in_place |= draft.found.is_some_and(|found| {
                let cell_bytes = self.keys.arena.cell(found.addr).len();
                draft.head.record_bytes() <= cell_bytes && !self.keys.has_room(&[*own])
            });
            own.1 = usize::from(!draft.is_in_place);
        }
        if draft.is_in_place && draft.objects == 0 {
            return Ok(());
        }
        let (cells, objects) = (&mut draft.cells, draft.objects);
        // Most values have no page.
        let cells = if objects == 0 { cells.get_mut(..1).unwrap_or_default() } else { cells };
        match &mut draft.found {
            Some(found) if keep || draft.is_in_place => {
                self.pinning(found, |cx| cx.make_room_for_keys(cells, 3, 0, objects))?;
            }
            found => {
                if self.make_room_for_keys(cells, 3, 1, objects)? && found.is_some() {
                    *found = self.keys.locate(draft.key, draft.hash);
                }
            }
        }
        Ok(())
    }

    /// Writes a value that was made from the one there is.
    pub(crate) fn replace(
        &mut self,
        mut draft: Draft<'_>,
        value: &mut dyn Source,
    ) -> Result<Found> {
        self.prepare(&mut draft, true)?;
        self.keys.put(&draft, value)
    }

    /// Writes the record of a key again, with another deadline; the value stays.
    pub(crate) fn rewrite(&mut self, key: &[u8], found: Found, deadline: Millis) -> Result<()> {
        let mut buffer = [0; PAGE_BYTES];
        let stored = self.keys.copy_stored(&found, &mut buffer);
        let hash = self.keys.hash(key);
        let kind = found.head.kind();
        let mut draft = Draft::of(key, hash, kind, stored.len(), deadline, Some(found))?;
        draft.head = found.head.with_deadline(deadline);
        draft.origin = Origin::Same;
        self.replace(draft, &mut { stored })?;
        Ok(())
    }

    /// Writes the record of a key again with its string in plain form.
    pub(crate) fn make_plain(&mut self, key: &[u8], found: Found) -> Result<Found> {
        if !found.head.is_compressed() {
            return Ok(found);
        }
        let mut buffer = [0; PAGE_BYTES];
        let text = self.value_of(Some(found)).and_then(|value| value.as_slice());
        let text = text.unwrap_or_default();
        let text_len = text.len();
        bytes::copy(&mut buffer, text);
        let (hash, head) = (self.keys.hash(key), found.head);
        let mut draft =
            Draft::of(key, hash, Kind::String, text_len, head.deadline, Some(found))?.keeping();
        draft.head = draft.head.with_ascii(head.is_ascii());
        draft.is_use = false;
        self.replace(draft, &mut bytes::part(&buffer, 0..text_len))
    }

    /// Gives a key the value of another record, in place of what it has. That record, which must
    /// not be its own, then has lost its value, and is to be freed.
    pub(crate) fn put_stored(
        &mut self,
        key: &[u8],
        hash: u64,
        value: &mut Found,
        deadline: Millis,
        found: Option<Found>,
    ) -> Result<()> {
        let mut buffer = [0; PAGE_BYTES];
        let stored = self.keys.copy_stored(value, &mut buffer);
        let mut draft = Draft::of(key, hash, value.head.kind(), stored.len(), deadline, found)?;
        draft.head = value.head.resized(key.len(), stored.len()).with_deadline(deadline);
        self.pinning(value, |cx| cx.replace(draft, &mut { stored }).map(|_| true))
    }

    /// Gives a string more bytes at its end, from nothing if need be. Its length afterwards.
    pub(crate) fn extend(
        &mut self,
        key: &[u8],
        hash: u64,
        found: Option<Found>,
        suffix: &mut dyn Source,
    ) -> Result<usize> {
        let old_len = self.value_of(found).map_or(0, |value| value.len());
        let len = old_len.saturating_add(suffix.len());
        let deadline = found.map_or(NEVER, |found| found.head.deadline);
        let draft = Draft::new(key, hash, len, deadline, found)?;
        let object = found.and_then(|found| self.keys.object_of(&found));
        let (Some(found), Some(id)) = (found, object) else {
            let mut buffer = [0; PAGE_BYTES];
            let old = found.and_then(|found| self.keys.value(&found).as_slice());
            let old = old.unwrap_or_default();
            bytes::copy(&mut buffer, old);
            let mut old = bytes::part(&buffer, 0..old_len);
            self.replace(draft, &mut Joined(&mut old, suffix))?;
            return Ok(len);
        };
        let mut cells = self.keys.growth_cells(id, len);
        let mut found = found;
        self.make_room_beside(&mut found, &mut cells, 2, 0)?;
        self.keys.grow_string(id, len, &cells).ok_or(Error::OutOfMemory)?;
        let is_ascii = self.keys.write_string(id, old_len, suffix) && found.head.is_ascii();
        found.head.with_ascii(is_ascii).write(self.keys.arena.cell_mut(found.addr));
        Ok(len)
    }
}

impl Cx<'_> {
    /// Makes an object of a string that is part of a collection, or is going to be.
    pub(crate) fn add_text(&mut self, owner: &mut Option<Found>, text: &[u8]) -> Result<ObjectId> {
        let mut cells = text_cells(text.len())?;
        match owner {
            Some(owner) => self.make_room_beside(owner, &mut cells, 2, 1)?,
            None => {
                self.make_room_for_keys(&mut cells, 2, 0, 1)?;
            }
        }
        Ok(self.keys.add_string(&mut { text }, &cells)?.0)
    }
}

impl Cx<'_> {
    /// Gives a key the string of a pinned record, and its deadline.
    pub(crate) fn copy_string(&mut self, pin: usize, key: &[u8]) -> Result<()> {
        let hash = self.keys.hash(key);
        let found = self.lookup(key, hash);
        let mut source = self.keys.pinned(pin).ok_or(Error::NoSuchKey)?;
        let deadline = source.head.deadline;
        let Some(from) = self.keys.object_of(&source) else {
            return self.put_stored(key, hash, &mut source, deadline, found);
        };
        let len = self.keys.value(&source).len();
        let is_ascii = source.head.is_ascii();
        self.put_paged(key, found, deadline, len, |keys, id| {
            keys.copy_pages(from, id);
            is_ascii
        })
    }

    /// Gives a key a string in pages, in place of what it has. `fill` writes them once they are
    /// there, and says whether what it wrote is ASCII.
    pub(crate) fn put_paged(
        &mut self,
        key: &[u8],
        found: Option<Found>,
        deadline: Millis,
        len: usize,
        fill: impl FnOnce(&mut Keyspace, ObjectId) -> bool,
    ) -> Result<()> {
        let hash = self.keys.hash(key);
        let mut draft = Draft::of_object(key, hash, Kind::String, deadline, found)?;
        if let Some(cells) = draft.cells.last_chunk_mut() {
            let directory = directory_cells(len.div_ceil(PAGE_VALUE_BYTES));
            *cells = string_cells(0, len, directory);
        }
        self.prepare(&mut draft, false)?;
        let cells = draft.cells.last_chunk().copied().unwrap_or_default();
        let id = self.keys.objects.add(Kind::String).ok_or(Error::OutOfMemory)?;
        if self.keys.grow_string(id, len, &cells).is_none() {
            self.keys.release(id);
            return Err(Error::OutOfMemory);
        }
        draft.head = draft.head.with_ascii(fill(self.keys, id));
        self.keys.put(&draft, &mut &id.0.to_le_bytes()[..])?;
        Ok(())
    }
}

impl Keyspace {
    /// Copies what stands on the pages of a string to those of another as long.
    fn copy_pages(&mut self, from: ObjectId, to: ObjectId) {
        let Keyspace { arena, objects, .. } = self;
        let (Some(from), Some(to)) = (objects.get(from), objects.get(to)) else { return };
        for position in 0..from.pages as usize {
            let len = (from.len - position * PAGE_VALUE_BYTES).min(PAGE_VALUE_BYTES);
            let pages = [from, to].map(|object| (object.page(arena, position), PAGE_HEAD_BYTES));
            arena.copy_part(pages[0], pages[1], len);
        }
    }

    /// Whether a record can be written over the one that is there: the cell is neither too small
    /// nor much too large.
    fn fits_in_place(&self, draft: &Draft<'_>) -> bool {
        let bytes = draft.head.record_bytes();
        draft.found.is_some_and(|found| {
            let cell_bytes = self.arena.cell(found.addr).len();
            bytes <= cell_bytes && bytes >= cell_bytes - cell_bytes / 8
        })
    }

    /// Where the string of a key stands in the record at an address, if it does.
    #[inline(always)]
    pub(crate) fn text_at(&self, addr: Addr, key_len: usize) -> Option<Text> {
        Text::read(self.arena.record(addr)?, key_len)
    }

    /// Writes a string over one as long, if both expire or neither does: nothing else of the
    /// record changes.
    #[inline]
    pub(crate) fn overwrite_text(
        &mut self,
        place: Place,
        addr: Addr,
        old: &Text,
        value: &mut dyn Source,
        deadline: Millis,
    ) -> bool {
        if old.len() != value.len() || (old.deadline == NEVER) != (deadline == NEVER) {
            return false;
        }
        let cell = self.arena.cell_mut(addr);
        let is_ascii = value.fill_scanned(old.of_mut(cell));
        old.write_head(cell, deadline, is_ascii);
        self.note_use(place);
        self.reap();
        true
    }

    /// Writes a shorter record in the place of the one there is, or beside it if there is room:
    /// nothing else moves, and it does not count as a use.
    pub(crate) fn shorten(
        &mut self,
        mut draft: Draft<'_>,
        value: &mut dyn Source,
    ) -> Result<Found> {
        let [own, ..] = draft.cells;
        draft.is_in_place = !self.has_room(&[own]);
        draft.is_use = false;
        self.put(&draft, value)
    }

    /// Writes a record: over the one that was found, beside it and in its stead, or as a new key.
    pub(crate) fn put(&mut self, draft: &Draft<'_>, value: &mut dyn Source) -> Result<Found> {
        if !draft.head.is_large() || draft.origin != Origin::Text {
            return self.put_record(draft, value, draft.head.is_ascii());
        }
        let cells = draft.cells.last_chunk().copied().unwrap_or_default();
        let (id, is_ascii) = self.add_string(value, &cells)?;
        self.put_record(draft, &mut &id.0.to_le_bytes()[..], is_ascii)
    }

    fn put_record(
        &mut self,
        draft: &Draft<'_>,
        stored: &mut dyn Source,
        is_ascii: bool,
    ) -> Result<Found> {
        let Draft { key, hash, head, found, origin, .. } = draft;
        let is_in_place = draft.is_in_place || self.fits_in_place(draft);
        let [(class, _), ..] = draft.cells;
        let addr = match found.filter(|_| is_in_place) {
            Some(found) => found.addr,
            None => self.arena.allocate(class).ok_or(Error::OutOfMemory)?,
        };
        if let Some(found) = found.filter(|_| *origin != Origin::Same) {
            self.bury_value(&found);
        }
        let cell = self.arena.cell_mut(addr);
        let target = head.stored_mut(cell);
        let is_text = *origin == Origin::Text && !head.is_large();
        let is_stored_ascii = stored.fill_scanned(target);
        let head = head.with_ascii(if is_text { is_stored_ascii } else { is_ascii });
        head.write(cell);
        head.write_key(cell, key);
        let Some(found) = found else {
            let place = self.enter(*hash, addr, &head);
            return Ok(Found { place, addr, head });
        };
        if !is_in_place {
            self.arena.free(found.addr);
            self.index.set_addr(found.place, addr);
        }
        self.recount(found, &head);
        if draft.is_use {
            self.note_use(found.place);
        }
        self.reap();
        Ok(Found { place: found.place, addr, head })
    }

    /// Copies what stands in a record behind its key.
    fn copy_stored<'b>(&self, found: &Found, buffer: &'b mut [u8]) -> &'b [u8] {
        let stored = found.head.stored(self.arena.cell(found.addr));
        bytes::copy(buffer, stored);
        bytes::part(buffer, 0..stored.len())
    }

    /// Keeps the index's mark and what is counted in step with a record that gets another head.
    pub(crate) fn recount(&mut self, found: &Found, head: &Head) {
        self.count_in(head);
        self.count_out(&found.head);
        self.index.set_volatile(found.place, head.is_volatile());
    }

    /// Makes an object of a string, for which there is room. Whether that is ASCII.
    pub(crate) fn add_string(
        &mut self,
        value: &mut dyn Source,
        cells: &StringCells,
    ) -> Result<(ObjectId, bool)> {
        let id = self.objects.add(Kind::String).ok_or(Error::OutOfMemory)?;
        if self.grow_string(id, value.len(), cells).is_none() {
            self.release(id);
            return Err(Error::OutOfMemory);
        }
        Ok((id, self.write_string(id, 0, value)))
    }

    /// Writes over a part of a string, which is long enough already. Nothing moves.
    pub(crate) fn overwrite(&mut self, found: &Found, start: usize, part: &[u8]) {
        let is_ascii = if let Some(id) = self.object_of(found) {
            // Whether the rest of it still is: nobody looks at all of a large string for that.
            self.write_string(id, start, &mut { part }) && found.head.is_ascii()
        } else {
            let stored = found.head.stored_mut(self.arena.cell_mut(found.addr));
            bytes::write_at(stored, start, part);
            stored.is_ascii()
        };
        found.head.with_ascii(is_ascii).write(self.arena.cell_mut(found.addr));
        self.note_use(found.place);
    }

    /// The cells that a string in pages needs to become so long.
    fn growth_cells(&self, id: ObjectId, len: usize) -> StringCells {
        let Some(object) = self.objects.get(id) else { return Default::default() };
        let directory = object.cells_for(&self.arena, len.div_ceil(PAGE_VALUE_BYTES));
        string_cells(object.len, len, directory)
    }

    /// Gives a string in pages another length, which is not smaller; what is new has no content
    /// yet. `None` if the allocator refused a page.
    fn grow_string(&mut self, id: ObjectId, len: usize, cells: &StringCells) -> Option<()> {
        let [(full, _), (last, _), ..] = *cells;
        let Keyspace { arena, objects, .. } = self;
        let object = objects.get_mut(id)?;
        let pages = len.div_ceil(PAGE_VALUE_BYTES);
        object.grow(arena, id, pages)?;
        let old_len = object.len;
        for position in old_len / PAGE_VALUE_BYTES..pages {
            let page_len = (len - position * PAGE_VALUE_BYTES).min(PAGE_VALUE_BYTES);
            let class = if page_len == PAGE_VALUE_BYTES { full } else { last };
            let is_there = position < object.pages as usize;
            let old = if is_there { object.page(arena, position) } else { Addr::NONE };
            if is_there && arena.cell(old).len() >= PAGE_HEAD_BYTES + page_len {
                continue;
            }
            let page = arena.allocate(class)?;
            if is_there {
                let kept = PAGE_HEAD_BYTES + old_len - position * PAGE_VALUE_BYTES;
                arena.copy(old, page, kept);
                object.set(arena, 0, position, page);
                arena.free(old);
            } else {
                let head = PageHead { object: id, level: 0, position: position as u32 };
                head.write(arena.cell_mut(page));
                object.push(arena, page);
            }
        }
        object.len = len;
        Some(())
    }

    /// Writes a part of a string in pages. Whether that part is ASCII.
    pub(crate) fn write_string(&mut self, id: ObjectId, at: usize, part: &mut dyn Source) -> bool {
        let Keyspace { arena, objects, .. } = self;
        let Some(object) = objects.get(id) else { return false };
        let (mut at, mut is_ascii) = (at, true);
        while !part.is_empty() {
            let start = at % PAGE_VALUE_BYTES;
            let len = part.len().min(PAGE_VALUE_BYTES - start);
            let cell = arena.cell_mut(object.page(arena, at / PAGE_VALUE_BYTES));
            let start = PAGE_HEAD_BYTES + start;
            let Some(target) = cell.get_mut(start..start + len) else { return false };
            part.fill(target);
            is_ascii &= bytes::is_ascii(target);
            at += len;
        }
        is_ascii
    }
}

/// The cells that a string in pages needs from the start.
pub(crate) fn text_cells(len: usize) -> Result<StringCells> {
    if len > VALUE_BYTES_MAX {
        return Err(Error::ValueTooLong);
    }
    Ok(string_cells(0, len, directory_cells(len.div_ceil(PAGE_VALUE_BYTES))))
}

/// The cells that a string in pages needs to become so long from `old_len`.
fn string_cells(old_len: usize, len: usize, directory: DirectoryCells) -> StringCells {
    let full_pages = len / PAGE_VALUE_BYTES - old_len / PAGE_VALUE_BYTES;
    let rest = len % PAGE_VALUE_BYTES;
    let [a, b, c] = directory;
    let full = (page_class(PAGE_VALUE_BYTES), full_pages);
    [full, (page_class(rest), usize::from(rest > 0)), a, b, c]
}

/// The class of a page with so many bytes of a string.
fn page_class(value_bytes: usize) -> Class {
    Class::fitting(PAGE_HEAD_BYTES + value_bytes)
}
