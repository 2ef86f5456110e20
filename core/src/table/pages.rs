//! The pages of a table: a page for each bucket, of about the size of its entries; buckets that are
//! split and merged as entries come and go.
//!
//! Invariant: an entry stands on the page of its bucket, in no order.
//!
//! Not here: which bucket that is (linear.rs), and where pages are (object.rs).

use core::ops::Range;

use crate::arena::{Addr, Class, SEGMENT_BYTES};
use crate::bytes;
use crate::deque::COUNT_BYTES;
use crate::error::{Error, Result};
use crate::keyspace::{Cx, Found, Keyspace};
use crate::limits::TABLE_PAGE_BYTES;
use crate::linear::Buckets;
use crate::object::ObjectId;
use crate::packed::{Entries, Packed};
use crate::record::{HAS_COLLECTIONS, Kind, PAGE_HEAD_BYTES, PageHead};
use crate::table::find::{page_entries, used};
use crate::table::tags::{
    TAGS_MAX, Tags, change_length, clear_tags, push_tag, tag_of, tagged, tags_bytes,
};
use crate::table::{Spot, Target, apart};

/// Where entries begin on a page: behind the page's head and the count of their bytes.
pub(super) const ENTRIES_START: usize = PAGE_HEAD_BYTES + 2;

/// Bytes of entries that one page can hold.
const ENTRIES_BYTES_MAX: usize = SEGMENT_BYTES - ENTRIES_START - tags_bytes(TAGS_MAX);

/// Bytes of the shortest page, in which tags can be read by the word.
const PAGE_BYTES_MIN: usize = 20;

/// A table with less than this fraction of its pages' bytes in use merges two of them.
const MERGE_DIVISOR: usize = 4;

/// Splits or merges for one insertion or removal, at most.
const STEPS_MAX: usize = 2;

/// Sizes of pages: so many to each doubling. Few sizes leave few holes, and a page that has room
/// to grow is not moved for each entry.
const PAGE_STEPS: usize = 4;

impl Cx<'_> {
    pub(super) fn splice_page(
        &mut self,
        target: &mut Target<'_>,
        id: ObjectId,
        spot: Spot,
        pieces: &[Packed<'_>],
        change: isize,
    ) -> Result<()> {
        let added: usize = pieces.iter().map(Packed::len).sum();
        let (mut page, cell) = self.keys.page_of(id, spot.page);
        let (used, cell_bytes) = (used(cell), cell.len());
        let new_used = used - (spot.end - spot.start) + added;
        let tags = tagged(cell).saturating_add_signed(change);
        if new_used > ENTRIES_BYTES_MAX {
            return Err(Error::OutOfMemory);
        }
        let bytes = page_bytes(new_used, tags);
        let fits = bytes <= cell_bytes && new_used > 0;
        let is_in_place = fits
            && (bytes >= cell_bytes / 2 || !self.keys.has_room(&[(page_class(new_used, tags), 1)]));
        if !is_in_place {
            page = self.replace_page(target, id, spot, added, change)?;
        } else if spot.end < used {
            let cell = self.keys.arena.cell_mut(page);
            if let Some(entries) = cell.get_mut(ENTRIES_START..ENTRIES_START + used.max(new_used)) {
                entries.copy_within(spot.end..used, spot.start + added);
            }
        }
        let cell = self.keys.arena.cell_mut(page);
        set_used(cell, new_used);
        pieces.iter().fold(ENTRIES_START + spot.start, |at, piece| piece.write(cell, at));
        let (end, longer) = (ENTRIES_START + new_used, new_used.wrapping_sub(used) as isize);
        match change {
            1 => push_tag(cell, spot.tag, added),
            0 if longer == 0 => {}
            0 => change_length(cell, spot.start, end, Some(longer)),
            _ => change_length(cell, spot.start, end, None),
        }
        Ok(())
    }

    /// Makes a page of another size for a bucket, with a gap of so many bytes in the place of what
    /// stands at a spot; none at all if nothing is left. Where it is.
    #[cfg_attr(not(target_arch = "wasm32"), inline(never))]
    fn replace_page(
        &mut self,
        target: &mut Target<'_>,
        id: ObjectId,
        spot: Spot,
        gap: usize,
        change: isize,
    ) -> Result<Addr> {
        let (_, cell) = self.keys.page_of(id, spot.page);
        let (used, cell_bytes, tags) = (used(cell), cell.len(), tagged(cell));
        let new_used = used - (spot.end - spot.start) + gap;
        let mut to = Addr::NONE;
        if new_used > 0 {
            let mut cells = [(page_class(new_used, tags + usize::from(change > 0)), 1)];
            let found = target.found.as_mut().ok_or(Error::OutOfMemory)?;
            self.make_room_beside(found, &mut cells, 1, 0)?;
            let [(class, _)] = cells;
            let added_page = self.keys.add_page(id, spot.page, class, new_used);
            to = added_page.ok_or(Error::OutOfMemory)?;
        }
        let (page, _) = self.keys.page_of(id, spot.page);
        let arena = &mut self.keys.arena;
        let to_end = arena.cell(to).len();
        arena.copy_part((page, ENTRIES_START), (to, ENTRIES_START), spot.start);
        let rest = ((page, ENTRIES_START + spot.end), (to, ENTRIES_START + spot.start + gap));
        arena.copy_part(rest.0, rest.1, used - spot.end);
        let tags_len = tags_bytes(tags).min(cell_bytes).min(to_end);
        arena.copy_part((page, cell_bytes - tags_len), (to, to_end - tags_len), tags_len);
        self.keys.swap_page(id, spot.page, page, to);
        Ok(to)
    }

    /// Splits or merges buckets until their number suits the bytes of the entries. When there is
    /// no memory for that the table stays as it is, only slower.
    pub(super) fn keep_balance(&mut self, target: &mut Target<'_>, has_grown: bool) {
        for _ in 0..STEPS_MAX {
            let Some(found) = &mut target.found else { return };
            let Some(id) = self.keys.object_of(found) else { return };
            let Some(object) = self.keys.objects.get(id) else { return };
            let (bytes, pages) = (object.bytes, object.pages as usize);
            let capacity = pages * TABLE_PAGE_BYTES;
            let step = if has_grown && bytes > capacity {
                self.split(found, id, pages)
            } else if !has_grown && pages > 1 && bytes < capacity / MERGE_DIVISOR {
                self.keys.merge(id, pages)
            } else {
                None
            };
            if step.is_none() {
                return;
            }
        }
    }

    /// Moves the entries of one bucket that belong to a new one there.
    #[cfg_attr(not(target_arch = "wasm32"), inline(never))]
    fn split(&mut self, found: &mut Found, id: ObjectId, pages: usize) -> Option<()> {
        let old = Buckets::new(pages).split();
        let (page, cell) = self.keys.page_of(id, old);
        let used = used(cell);
        let (staying, [tags, moving_tags]) = self.keys.part(found.head.kind(), page, pages);
        let moving = used - staying;
        let is_parted = usize::from(moving > 0 && staying > 0);
        let object = self.keys.objects.get(id)?;
        let mut cells = [(Class::default(), 0); 5];
        let [first, second, nodes @ ..] = &mut cells;
        *first = (page_class(staying, tags.len()), is_parted);
        *second = (page_class(moving, moving_tags.len()), is_parted);
        *nodes = object.cells_for(&self.keys.arena, pages + 1);
        self.make_room_beside(found, &mut cells, 2, 0).ok()?;
        let [(class, _), (moving_class, _), ..] = cells;
        let Keyspace { arena, objects, .. } = &mut *self.keys;
        let object = objects.get_mut(id)?;
        object.grow(arena, id, pages + 1)?;
        let page = object.page(arena, old);
        if is_parted == 0 {
            // All on one side: the page itself changes its bucket, or stays.
            let (stays, moves) = if moving == 0 { (page, Addr::NONE) } else { (Addr::NONE, page) };
            set_position(arena.cell_mut(moves), pages);
            object.set(arena, 0, old, stays);
            object.push(arena, moves);
            return Some(());
        }
        let moved = self.keys.add_page(id, pages, moving_class, moving)?;
        let Keyspace { arena, objects, .. } = &mut *self.keys;
        arena.copy_part((page, ENTRIES_START + staying), (moved, ENTRIES_START), moving);
        moving_tags.write(arena.cell_mut(moved), ENTRIES_START + moving);
        set_used(arena.cell_mut(page), staying);
        objects.get_mut(id)?.push(arena, moved);
        let shorter = self.keys.add_page(id, old, class, staying)?;
        self.keys.arena.copy_part((page, ENTRIES_START), (shorter, ENTRIES_START), staying);
        tags.write(self.keys.arena.cell_mut(shorter), ENTRIES_START + staying);
        self.keys.swap_page(id, old, page, shorter);
        Some(())
    }
}

impl Keyspace {
    /// Where a page is, and its cell.
    fn page_of(&self, id: ObjectId, position: usize) -> (Addr, &[u8]) {
        let object = self.objects.get(id);
        let page = object.map_or(Addr::NONE, |object| object.page(&self.arena, position));
        (page, self.arena.cell(page))
    }

    /// Makes a page for so many bytes of entries.
    pub(super) fn add_page(
        &mut self,
        id: ObjectId,
        position: usize,
        class: Class,
        used: usize,
    ) -> Option<Addr> {
        let page = self.arena.allocate(class)?;
        let cell = self.arena.cell_mut(page);
        PageHead { object: id, level: 0, position: position as u32 }.write(cell);
        set_used(cell, used);
        clear_tags(cell);
        Some(page)
    }

    /// Adds an entry at the end of its page, if there is room for it and for its tag.
    pub(super) fn append_entry(
        &mut self,
        found: &Found,
        spot: &Spot,
        pieces: &[Packed<'_>],
    ) -> bool {
        let id = self.object_of(found);
        let Keyspace { arena, objects, .. } = self;
        let Some(object) = id.and_then(|id| objects.get_mut(id)) else { return false };
        let cell = arena.cell_mut(object.page(arena, spot.page));
        let added: usize = pieces.iter().map(Packed::len).sum();
        let used = spot.end + added;
        if cell.len() < page_bytes(used, tagged(cell) + 1) {
            return false;
        }
        set_used(cell, used);
        pieces.iter().fold(ENTRIES_START + spot.end, |at, piece| piece.write(cell, at));
        push_tag(cell, spot.tag, added);
        object.len += 1;
        object.bytes += added;
        true
    }

    /// Puts a page, or none, in the place of another, or of none.
    fn swap_page(&mut self, id: ObjectId, position: usize, from: Addr, to: Addr) {
        if let Some(object) = self.objects.get(id) {
            object.set(&mut self.arena, 0, position, to);
        }
        self.free_cell(from);
    }

    fn free_cell(&mut self, addr: Addr) {
        if addr != Addr::NONE {
            self.arena.free(addr);
        }
    }

    /// Puts the entries of a page that belong to the bucket after the last one behind all others.
    /// Bytes of those others, and the tags of both.
    #[cfg_attr(not(target_arch = "wasm32"), inline(never))]
    fn part(&mut self, kind: Kind, page: Addr, pages: usize) -> (usize, [Tags; 2]) {
        let buckets = Buckets::new(pages + 1);
        let end = ENTRIES_START + used(self.arena.cell(page));
        let (mut border, mut at) = (ENTRIES_START, ENTRIES_START);
        let mut tags = [Tags::new(), Tags::new()];
        let [staying, moving] = &mut tags;
        while let Some(rest) = self.arena.bytes_from(page).get(at..end)
            && let Some(entry) = Entries::new(kind, rest).next()
        {
            let len = entry.end;
            let hash = self.hash_item(entry.name);
            if buckets.of(hash) == pages {
                moving.push(tag_of(hash), len);
            } else {
                staying.push(tag_of(hash), len);
                let cell = self.arena.cell_mut(page);
                if let Some(movers) = cell.get_mut(border..at + len) {
                    movers.rotate_right(len);
                }
                border += len;
            }
            at += len;
        }
        let mut all = staying.clone();
        all.append(moving);
        all.write(self.arena.cell_mut(page), end);
        (border - ENTRIES_START, tags)
    }

    /// Moves the entries of the last bucket to the one it was split from. `None`, and nothing
    /// done, if that needs memory that is not there.
    fn merge(&mut self, id: ObjectId, pages: usize) -> Option<()> {
        let (last, target) = (pages - 1, Buckets::new(pages - 1).split());
        let [(from, moving), (page, staying)] = [last, target].map(|page| {
            let (addr, cell) = self.page_of(id, page);
            (addr, used(cell))
        });
        let mut tags = Tags::read(self.arena.cell(page));
        tags.append(&Tags::read(self.arena.cell(from)));
        let cells = [(page_class(staying + moving, tags.len()), 1)];
        if moving > 0 && staying > 0 {
            if staying + moving > ENTRIES_BYTES_MAX || !self.has_room(&cells) {
                return None;
            }
            let [(class, _)] = cells;
            let to = self.add_page(id, target, class, staying + moving)?;
            let start = (to, ENTRIES_START);
            self.arena.copy_part((page, ENTRIES_START), start, staying);
            let end = (to, ENTRIES_START + staying);
            self.arena.copy_part((from, ENTRIES_START), end, moving);
            tags.write(self.arena.cell_mut(to), ENTRIES_START + staying + moving);
            self.swap_page(id, target, page, to);
            self.free_cell(from);
        } else if moving > 0 {
            set_position(self.arena.cell_mut(from), target);
            self.swap_page(id, target, Addr::NONE, from);
        }
        let Keyspace { arena, objects, .. } = self;
        let object = objects.get_mut(id)?;
        object.pop(arena);
        let kind = object.kind.unwrap_or(Kind::String);
        let merged = Entries::new(kind, page_entries(arena, object, target)).count();
        object.page_len_max = object.page_len_max.max(merged as u16);
        // A sweep must see the entries that came to a page it has left behind.
        object.sweep = object.sweep.min(target as u32 + 1);
        Some(())
    }

    /// Frees a page of a table, with what its entries name.
    pub(crate) fn free_page(&mut self, kind: Kind, page: Addr) {
        #[cfg(feature = "stream")]
        if kind == Kind::Stream {
            self.bury_entries(page);
            self.arena.free(page);
            return;
        }
        if !HAS_COLLECTIONS {
            self.arena.free(page);
            return;
        }
        let end = ENTRIES_START + used(self.arena.cell(page));
        self.bury_items(kind, page, ENTRIES_START..end);
        self.free_cell(page);
    }

    /// Notes that nobody names the objects any more that are named by entries in a cell.
    pub(crate) fn bury_items(&mut self, kind: Kind, addr: Addr, place: Range<usize>) {
        if !HAS_COLLECTIONS {
            return;
        }
        if kind == Kind::List {
            self.bury_elements(addr, place.start + COUNT_BYTES..place.end);
            return;
        }
        let mut at = place.start;
        while kind != Kind::String && at < place.end {
            let rest = self.arena.cell(addr).get(at..place.end);
            let entry = rest.and_then(|rest| Entries::new(kind, rest).next());
            let Some(entry) = entry else { break };
            let (len, apart) = (entry.end, [apart(entry.name), apart(entry.value)]);
            apart.into_iter().flatten().for_each(|id| self.objects.bury(id));
            at += len;
        }
    }
}

/// Bytes of a page with so many bytes of entries, of which so many have a tag.
fn page_bytes(used: usize, tags: usize) -> usize {
    (ENTRIES_START + used + tags_bytes(tags)).max(PAGE_BYTES_MIN)
}

/// The class of such a page.
pub(super) fn page_class(used: usize, tags: usize) -> Class {
    let bytes = page_bytes(used, tags);
    let step = (1usize << bytes.checked_ilog2().unwrap_or_default()) / PAGE_STEPS;
    Class::fitting(bytes.next_multiple_of(step.max(1)).min(SEGMENT_BYTES))
}

fn set_used(cell: &mut [u8], used: usize) {
    bytes::write_at(cell, PAGE_HEAD_BYTES, &(used as u16).to_le_bytes());
}

fn set_position(cell: &mut [u8], position: usize) {
    if let Some(page) = PageHead::read(cell) {
        PageHead { position: position as u32, ..page }.write(cell);
    }
}
