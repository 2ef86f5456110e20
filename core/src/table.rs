//! Tables: the entries of hashes, sets and sorted sets, found by name.
//!
//! A few entries are packed in the key's record, in the order they came. More of them stand on
//! pages of an object, one a bucket, by linear hashing: whenever the entries outgrow the pages, one
//! bucket in turn is split, so no insertion pays for a rehash. A page is a cell just large enough
//! for its entries; a bucket without entries has none.
//!
//! Invariant: a table has at least one entry; its object counts entries and their bytes.
//!
//! Not here: what entries mean (hash.rs, set.rs, sorted_set/), and how they are packed
//! (packed.rs).

use core::ops::Range;

use alloc::vec::Vec;

use crate::arena::{Addr, Arena, Class, SEGMENT_BYTES};
use crate::bytes;
use crate::deque::COUNT_BYTES;
use crate::error::{Error, Result};
use crate::expire::earlier;
use crate::index::Place;
use crate::keyspace::{Cx, Found, Keyspace, Millis};
use crate::limits::{PACKED_BYTES_MAX, TABLE_PAGE_BYTES};
use crate::linear::Buckets;
use crate::object::{Object, ObjectId, Objects, directory_cells};
use crate::packed::{Entries, Entry, ITEM_BYTES_MAX, Item, Packed, deadline_prefix, find_short};
use crate::record::{Head, Kind, NEVER, PAGE_HEAD_BYTES, PAGE_VALUE_BYTES, PageHead};
use crate::value::Value;
use crate::write::Draft;

/// Where entries begin on a page: behind the page's head and the count of their bytes.
const ENTRIES_START: usize = PAGE_HEAD_BYTES + 2;
/// Bytes of entries that one page can hold.
const ENTRIES_BYTES_MAX: usize = SEGMENT_BYTES - ENTRIES_START;
/// A table with less than this fraction of its pages' bytes in use merges two of them.
const MERGE_DIVISOR: usize = 4;
/// Splits or merges for one insertion or removal, at most.
const STEPS_MAX: usize = 2;
/// Sizes of pages: so many to each doubling. Few sizes leave few holes, and a page that has room
/// to grow is not moved for each entry.
const PAGE_STEPS: usize = 4;

/// A key that has a table, or is to have one.
pub(crate) struct Target<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) hash: u64,
    pub(crate) kind: Kind,
    pub(crate) found: Option<Found>,
}

/// Where an entry is, or where one may be added.
#[derive(Clone, Copy)]
pub(crate) struct Spot {
    pub(crate) page: usize,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// What was at a spot: strings that stand apart, and when the field expires.
#[derive(Clone, Copy, Default)]
pub(crate) struct Old {
    pub(crate) name: Option<ObjectId>,
    value: Option<ObjectId>,
    deadline: Millis,
}

impl Cx<'_> {
    /// Finds a key to change its collection.
    pub(crate) fn target<'k>(&mut self, key: &'k [u8], kind: Kind) -> Result<Target<'k>> {
        let hash = self.keys.hash(key);
        let found = self.lookup(key, hash);
        of_kind(&found, kind)?;
        Ok(Target { key, hash, kind, found })
    }

    /// Finds a key to read its collection.
    pub(crate) fn read(&mut self, key: &[u8], kind: Kind) -> Result<Option<Found>> {
        let found = self.lookup_read(key);
        of_kind(&found, kind)?;
        Ok(found)
    }

    /// Makes an empty collection of no key, to be filled and then installed. It is known by a pin,
    /// so that it outlives whatever makes room meanwhile.
    pub(crate) fn float(&mut self, kind: Kind) -> Result<Target<'static>> {
        let head = Head::new(kind, 0, 0, NEVER);
        let mut cells = [(Class::fitting(head.record_bytes()), 1)];
        self.make_room(&mut cells, 1, 0)?;
        let [(class, _)] = cells;
        let addr = self.keys.arena.allocate(class).ok_or(Error::OutOfMemory)?;
        head.write(self.keys.arena.cell_mut(addr));
        let found = Found { place: Place::NOWHERE, addr, head };
        Ok(Target { key: &[], hash: 0, kind, found: Some(found) })
    }

    /// Drops a collection of no key.
    pub(crate) fn sink(&mut self, floating: &Target<'_>) {
        if let Some(found) = &floating.found {
            self.keys.free_record(found);
        }
    }

    /// Gives a key the value of a collection of no key, in place of whatever it has. An empty one
    /// leaves no key. The key's deadline is gone, unless another is given.
    pub(crate) fn install(
        &mut self,
        key: &[u8],
        floating: Target<'_>,
        deadline: Millis,
    ) -> Result<()> {
        let Some(mut value) = floating.found else { return Ok(()) };
        let hash = self.keys.hash(key);
        let found = self.lookup(key, hash);
        if value.head.stored_len() == 0 {
            self.keys.arena.free(value.addr);
            found.iter().for_each(|found| self.keys.drop_found(found));
            self.keys.settle();
            return Ok(());
        }
        let installed = self.put_stored(key, hash, &mut value, deadline, found);
        match installed {
            // The value has moved; its record has not.
            Ok(()) => self.keys.arena.free(value.addr),
            Err(_) => self.keys.free_record(&value),
        }
        installed
    }

    /// Gives an entry its value, and the entry to the table if it is not there. Whether it is new.
    pub(crate) fn put_entry(
        &mut self,
        target: &mut Target<'_>,
        name: &[u8],
        value: &[u8],
        deadline: Millis,
    ) -> Result<bool> {
        let (spot, old) = self.keys.find_spot(target, name);
        self.put_at(target, name, value, deadline, spot, old)
    }

    /// The same at a spot that was found for it.
    pub(crate) fn put_at(
        &mut self,
        target: &mut Target<'_>,
        name: &[u8],
        value: &[u8],
        deadline: Millis,
        spot: Spot,
        old: Option<Old>,
    ) -> Result<bool> {
        let is_new = old.is_none();
        let Old { name: old_name, value: old_value, deadline: old_deadline } =
            old.unwrap_or_default();
        let was_live = !self.is_past(old_deadline);
        let added_name = match old_name {
            None if is_new => self.stand_apart(target, name)?,
            kept => kept,
        };
        let added_value = self.stand_apart(target, value);
        let prefix = deadline_prefix(deadline);
        let packed_value = match (target.kind, added_value) {
            (Kind::Hash, Ok(apart)) => Packed::new(item(value, apart)),
            (Kind::SortedSet, _) => Packed::raw(value),
            _ => Packed::NOTHING,
        };
        let pieces = [
            Packed::raw(if deadline == NEVER { &[] } else { &prefix }),
            Packed::new(item(name, added_name)),
            packed_value,
        ];
        let change = if is_new { 1 } else { 0 };
        let done = added_value.and_then(|_| self.splice(target, spot, &pieces, change));
        if done.is_err() {
            // What was made for the entry goes again.
            let name = added_name.filter(|_| is_new);
            [name, added_value.unwrap_or_default()].into_iter().flatten().for_each(|id| {
                self.keys.release(id);
            });
        } else if let Some(id) = old_value {
            self.keys.release(id);
        }
        done?;
        self.note_deadline(target, deadline);
        self.keep_balance(target, true);
        Ok(is_new || !was_live)
    }

    /// Gives the field of a hash another deadline, or none; its value stays.
    pub(crate) fn set_entry_deadline(
        &mut self,
        target: &mut Target<'_>,
        name: &[u8],
        deadline: Millis,
    ) -> Result<()> {
        let (spot, Some(old)) = self.keys.find_spot(target, name) else { return Ok(()) };
        let prefix = deadline_prefix(deadline);
        let [old_len, len] =
            [old.deadline, deadline].map(|at| if at == NEVER { 0 } else { prefix.len() });
        let spot = Spot { end: spot.start + old_len, ..spot };
        let pieces = [Packed::raw(prefix.get(..len).unwrap_or_default())];
        self.splice(target, spot, &pieces, 0)?;
        self.note_deadline(target, deadline);
        self.keep_balance(target, len > old_len);
        Ok(())
    }

    /// Notes that a field of a hash expires, if it does.
    fn note_deadline(&mut self, target: &mut Target<'_>, deadline: Millis) {
        let Some(found) = target.found.as_mut().filter(|_| deadline != NEVER) else { return };
        let id = self.keys.object_of(found);
        if let Some(object) = id.and_then(|id| self.keys.objects.get_mut(id)) {
            object.deadline = earlier(object.deadline, deadline);
        }
        self.keys.set_expiring_fields(found, true);
    }

    /// Makes an object of a string that is too long to stand among others.
    pub(crate) fn stand_apart(
        &mut self,
        target: &mut Target<'_>,
        text: &[u8],
    ) -> Result<Option<ObjectId>> {
        if text.len() <= ITEM_BYTES_MAX {
            return Ok(None);
        }
        self.add_text(&mut target.found, text).map(Some)
    }

    /// Takes an entry out. Whether it was there; the key goes with the last one.
    pub(crate) fn remove_entry(&mut self, target: &mut Target<'_>, name: &[u8]) -> Result<bool> {
        let (spot, old) = self.keys.find_spot(target, name);
        let old = old.filter(|old| !self.is_past(old.deadline));
        let Some(Old { name, value, .. }) = old else { return Ok(false) };
        self.take_out(target, spot, [name, value])?;
        self.settle_down(target);
        Ok(true)
    }

    /// Takes out what stands at a spot, with the strings it refers to.
    fn take_out(
        &mut self,
        target: &mut Target<'_>,
        spot: Spot,
        apart: [Option<ObjectId>; 2],
    ) -> Result<()> {
        self.splice(target, spot, &[], -1)?;
        apart.into_iter().flatten().for_each(|id| self.keys.release(id));
        Ok(())
    }

    /// Gives back what a table no longer needs after a removal, or the index if the key is gone.
    pub(crate) fn settle_down(&mut self, target: &mut Target<'_>) {
        self.keep_balance(target, false);
        if target.found.is_none() {
            self.keys.settle();
        }
    }

    /// Puts `pieces` in the place of what stands at a spot. `change` is how many entries more there
    /// will be.
    fn splice(
        &mut self,
        target: &mut Target<'_>,
        spot: Spot,
        pieces: &[Packed<'_>],
        change: isize,
    ) -> Result<()> {
        let added: usize = pieces.iter().map(Packed::len).sum();
        let is_large = target.found.is_some_and(|found| found.head.is_large());
        if !is_large {
            let old_len = target.found.map_or(0, |found| found.head.stored_len());
            let len = old_len - (spot.end - spot.start) + added;
            if len <= PACKED_BYTES_MAX {
                return self.splice_packed(target, spot, pieces, len);
            }
            self.make_table(target)?;
        }
        let object = target.found.and_then(|found| self.keys.object_of(&found));
        let id = object.ok_or(Error::OutOfMemory)?;
        let done = self.splice_page(target, id, spot, pieces, added);
        if let Some(object) = self.keys.objects.get_mut(id) {
            if done.is_ok() {
                object.len = object.len.wrapping_add_signed(change);
                object.bytes = object.bytes + added - (spot.end - spot.start);
            }
            // The last entry went, or the first one did not fit.
            if object.len == 0 {
                self.keys.release(id);
                self.drop_target(target);
            }
        }
        done
    }

    /// Drops the key of an empty collection. The index is still to settle.
    pub(crate) fn drop_target(&mut self, target: &mut Target<'_>) {
        if let Some(found) = target.found.take() {
            self.keys.forget(&found);
        }
    }

    fn splice_packed(
        &mut self,
        target: &mut Target<'_>,
        spot: Spot,
        pieces: &[Packed<'_>],
        len: usize,
    ) -> Result<()> {
        if len == 0 {
            self.drop_target(target);
            return Ok(());
        }
        let mut buffer = [0; PACKED_BYTES_MAX];
        let mut deadline = NEVER;
        if let Some(found) = &target.found {
            deadline = found.head.deadline;
            let old = found.head.stored(self.keys.arena.cell(found.addr));
            let (before, after) = old.split_at_checked(spot.start).unwrap_or_default();
            bytes::copy(&mut buffer, before);
            let rest = after.get(spot.end - spot.start..).unwrap_or_default();
            bytes::write_at(&mut buffer, len - rest.len(), rest);
        }
        pieces.iter().fold(spot.start, |at, piece| piece.write(&mut buffer, at));
        let Target { key, hash, kind, found } = *target;
        let draft = Draft::of(key, hash, kind, len, deadline, found)?.keeping_value();
        target.found = Some(self.replace(draft, &mut buffer.get(..len).unwrap_or_default())?);
        Ok(())
    }

    /// Moves packed entries, if there are any, to the first page of a new object.
    pub(crate) fn make_table(&mut self, target: &mut Target<'_>) -> Result<()> {
        let Target { key, hash, kind, found } = *target;
        let deadline = found.map_or(NEVER, |found| found.head.deadline);
        let len = found.map_or(0, |found| found.head.stored_len());
        let entries = found.map(|found| self.keys.entries(&found, 0));
        let deadlines = entries.into_iter().flatten().map(|entry| entry.deadline);
        let earliest = deadlines.fold(NEVER, earlier);
        let mut draft = Draft::of_object(key, hash, kind, deadline, found)?.keeping_value();
        let [_, page, _, nodes @ ..] = &mut draft.cells;
        *page = (page_class(len), usize::from(len > 0));
        *nodes = directory_cells(1);
        self.prepare(&mut draft, true)?;
        let [_, (class, _), ..] = draft.cells;
        let id = self.keys.objects.add(kind).ok_or(Error::OutOfMemory)?;
        let mut page = Some(Addr::NONE);
        if let Some(found) = draft.found.filter(|_| len > 0) {
            page = self.keys.add_page(id, 0, class, len);
            let from = (found.addr, found.head.stored_start());
            let to = (page.unwrap_or(Addr::NONE), ENTRIES_START);
            self.keys.arena.copy_part(from, to, len);
        }
        let Keyspace { arena, objects, .. } = &mut *self.keys;
        let object = objects.get_mut(id).ok_or(Error::OutOfMemory)?;
        match (page, object.grow(arena, id, 1)) {
            (Some(page), Some(())) => object.push(arena, page),
            _ => {
                self.keys.release(id);
                return Err(Error::OutOfMemory);
            }
        }
        object.bytes = len;
        object.len = Entries::new(kind, page_entries(arena, object, 0)).count();
        // The entry that made it a table is still to come.
        object.page_len_max = object.len as u16 + 1;
        object.deadline = earliest;
        target.found = Some(self.keys.put(&draft, &mut &id.0.to_le_bytes()[..])?);
        Ok(())
    }

    fn splice_page(
        &mut self,
        target: &mut Target<'_>,
        id: ObjectId,
        spot: Spot,
        pieces: &[Packed<'_>],
        added: usize,
    ) -> Result<()> {
        let (mut page, used) = self.keys.page_of(id, spot.page);
        let removed = spot.end - spot.start;
        let new_used = used - removed + added;
        if new_used > ENTRIES_BYTES_MAX {
            return Err(Error::OutOfMemory);
        }
        let cell_bytes = self.keys.arena.cell(page).len();
        let bytes = ENTRIES_START + new_used;
        let mut cells = [(page_class(new_used), 1)];
        let fits = bytes <= cell_bytes && new_used > 0;
        if fits && (bytes >= cell_bytes / 2 || !self.keys.has_room(&cells)) {
            let cell = self.keys.arena.cell_mut(page);
            let rest = ENTRIES_START + spot.end..ENTRIES_START + used;
            if rest.end <= cell.len() && ENTRIES_START + spot.start + added <= cell.len() {
                cell.copy_within(rest, ENTRIES_START + spot.start + added);
            }
        } else {
            let mut to = Addr::NONE;
            if new_used > 0 {
                let found = target.found.as_mut().ok_or(Error::OutOfMemory)?;
                self.make_room_beside(found, &mut cells, 1, 0)?;
                (page, _) = self.keys.page_of(id, spot.page);
                let [(class, _)] = cells;
                let added_page = self.keys.add_page(id, spot.page, class, new_used);
                to = added_page.ok_or(Error::OutOfMemory)?;
                let arena = &mut self.keys.arena;
                arena.copy_part((page, ENTRIES_START), (to, ENTRIES_START), spot.start);
                let rest_from = (page, ENTRIES_START + spot.end);
                let rest_to = (to, ENTRIES_START + spot.start + added);
                arena.copy_part(rest_from, rest_to, used - spot.end);
            }
            self.keys.swap_page(id, spot.page, page, to);
            page = to;
        }
        let cell = self.keys.arena.cell_mut(page);
        set_used(cell, new_used);
        pieces.iter().fold(ENTRIES_START + spot.start, |at, piece| piece.write(cell, at));
        Ok(())
    }

    /// Splits or merges buckets until their number suits the bytes of the entries. When there is
    /// no memory for that the table stays as it is, only slower.
    fn keep_balance(&mut self, target: &mut Target<'_>, has_grown: bool) {
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
    fn split(&mut self, found: &mut Found, id: ObjectId, pages: usize) -> Option<()> {
        let old = Buckets::new(pages).split();
        let (_, used) = self.keys.page_of(id, old);
        let (movers, moving) = self.keys.movers(id, found.head.kind(), old, pages);
        let object = self.keys.objects.get(id)?;
        let mut cells = [(Class::default(), 0); 5];
        let [first, second, nodes @ ..] = &mut cells;
        *first = (page_class(used - moving), usize::from(moving > 0 && moving < used));
        *second = (page_class(moving), usize::from(moving > 0 && moving < used));
        *nodes = object.cells_for(&self.keys.arena, pages + 1);
        self.make_room_beside(found, &mut cells, 2, 0).ok()?;
        let (page, _) = self.keys.page_of(id, old);
        let [(class, _), (moving_class, _), ..] = cells;
        let Keyspace { arena, objects, .. } = &mut *self.keys;
        objects.get_mut(id)?.grow(arena, id, pages + 1)?;
        if moving == 0 || moving == used {
            // All on one side: the page itself changes its bucket, or stays.
            let (stays, moves) = if moving == 0 { (page, Addr::NONE) } else { (Addr::NONE, page) };
            set_position(self.keys.arena.cell_mut(moves), pages);
            let Keyspace { arena, objects, .. } = &mut *self.keys;
            let object = objects.get_mut(id)?;
            object.set(arena, 0, old, stays);
            object.push(arena, moves);
            return Some(());
        }
        let stayers = self.keys.add_page(id, old, class, used - moving)?;
        let Some(moved) = self.keys.add_page(id, pages, moving_class, moving) else {
            self.keys.arena.free(stayers);
            return None;
        };
        self.keys.deal(page, found.head.kind(), &movers, [stayers, moved]);
        let Keyspace { arena, objects, .. } = &mut *self.keys;
        objects.get_mut(id)?.push(arena, moved);
        self.keys.swap_page(id, old, page, stayers);
        Some(())
    }
}

/// Where a walk through a table is: good as long as the table does not change.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) page: usize,
    pub(crate) start: usize,
}

/// Draws after which a random choice takes what it finds: pages that lost nearly all they had.
const DRAWS_MAX: usize = 1000;

impl Cx<'_> {
    /// The next entry of a walk that has not expired.
    pub(crate) fn next_entry(&self, found: &Found, cursor: &mut Cursor) -> Option<Entry<'_>> {
        loop {
            let entry = self.keys.next_entry(found, cursor)?;
            if !self.is_past(entry.deadline) {
                return Some(entry);
            }
        }
    }

    /// The entry of this name, if it has not expired.
    pub(crate) fn live_entry(&self, found: &Found, name: Item<'_>) -> Option<Entry<'_>> {
        self.keys.find_entry(found, name).filter(|entry| !self.is_past(entry.deadline))
    }

    /// How many entries there are.
    pub(crate) fn count_entries(&self, found: &Found) -> usize {
        if let Some(object) = self.keys.large(found) {
            return object.len;
        }
        let entries = self.keys.entries(found, 0);
        entries.filter(|entry| !self.is_past(entry.deadline)).count()
    }

    /// Shows every entry that has not expired.
    pub(crate) fn each_entry(&self, found: &Found, show: &mut dyn FnMut(&Entry<'_>)) {
        let mut cursor = Cursor::default();
        while let Some(entry) = self.next_entry(found, &mut cursor) {
            show(&entry);
        }
    }

    /// Any entry, each with the same chance: a random position on a random page, drawn again until
    /// there is an entry at it.
    pub(crate) fn random_entry(&mut self, found: &Found) -> Option<Cursor> {
        let (pages, positions) = match self.keys.large(found) {
            Some(object) => (object.pages as usize, object.page_len_max as usize),
            None => (1, self.keys.entries(found, 0).count()),
        };
        for _ in 0..DRAWS_MAX {
            let page = self.keys.random.below(pages);
            let position = self.keys.random.below(positions);
            let entry = self.keys.entries(found, page).nth(position);
            if let Some(entry) = entry.filter(|entry| !self.is_past(entry.deadline)) {
                return Some(Cursor { page, start: entry.start });
            }
        }
        let mut cursor = Cursor::default();
        let start = self.next_entry(found, &mut cursor)?.start;
        Some(Cursor { start, ..cursor })
    }

    /// Shows so many different entries, each choice with the same chance; all of them if there
    /// are no more. One walk through the table, unless only a few are wanted.
    pub(crate) fn sample(
        &mut self,
        found: &Found,
        count: usize,
        show: &mut dyn FnMut(&Keyspace, &Entry<'_>),
    ) {
        let mut found = *found;
        let size = self.count_entries(&found);
        if count < size / SAMPLE_DIVISOR && self.sample_few(&mut found, count, show) {
            return;
        }
        // Selection sampling: Knuth, The Art of Computer Programming, 3.4.2, algorithm S.
        let (mut left, mut wanted) = (size, count.min(size));
        let mut cursor = Cursor::default();
        while wanted > 0 {
            let chance = self.keys.random.below(left);
            let Some(entry) = self.next_entry(&found, &mut cursor) else { break };
            if chance < wanted {
                show(self.keys, &entry);
                wanted -= 1;
            }
            left -= 1;
        }
    }

    /// The same by drawing at random, and drawing again what was drawn before. False, and nothing
    /// shown, if there is no memory to note the draws.
    fn sample_few(
        &mut self,
        found: &mut Found,
        count: usize,
        show: &mut dyn FnMut(&Keyspace, &Entry<'_>),
    ) -> bool {
        let slots = 2 * count + 1;
        let bytes = slots * size_of::<Option<Cursor>>();
        let room = self.pinning(found, |cx| cx.reserve_bytes(bytes).map(|()| true));
        let mut drawn: Vec<Option<Cursor>> = Vec::new();
        if room.is_err() || drawn.try_reserve_exact(slots).is_err() {
            return false;
        }
        drawn.resize(slots, None);
        let mut left = count;
        while left > 0 {
            let Some(cursor) = self.random_entry(found) else { break };
            let mut slot = (cursor.page.wrapping_mul(31) + cursor.start) % slots;
            let is_new = loop {
                match drawn.get_mut(slot) {
                    Some(Some(other)) if *other == cursor => break false,
                    Some(free @ None) => {
                        *free = Some(cursor);
                        break true;
                    }
                    _ => slot = (slot + 1) % slots,
                }
            };
            if is_new && let Some(entry) = self.keys.next_entry(found, &mut { cursor }) {
                show(self.keys, &entry);
                left -= 1;
            }
        }
        true
    }

    /// Takes out the entry at which a walk is.
    pub(crate) fn remove_at(&mut self, target: &mut Target<'_>, at: Cursor) -> Result<()> {
        self.cut_at(target, at)?;
        self.settle_down(target);
        Ok(())
    }

    /// The same without settling down: the walk may go on at that place.
    pub(crate) fn cut_at(&mut self, target: &mut Target<'_>, at: Cursor) -> Result<()> {
        let Some(found) = &target.found else { return Ok(()) };
        let Some(entry) = self.keys.next_entry(found, &mut { at }) else { return Ok(()) };
        let Cursor { page, start } = at;
        let spot = Spot { page, start, end: entry.end };
        let gone = [apart(entry.name), apart(entry.value)];
        self.take_out(target, spot, gone)
    }

    /// Makes room for entries of so many bytes in all before the first of them is written, so that
    /// a command that adds several does so completely or not at all. (A small collection whose
    /// pages do not suit each other may still be refused the last few.)
    pub(crate) fn reserve_entries(&mut self, target: &mut Target<'_>, bytes: usize) -> Result<()> {
        if bytes <= TABLE_PAGE_BYTES {
            return Ok(());
        }
        let pages = (bytes + bytes / 4).div_ceil(SEGMENT_BYTES);
        match &mut target.found {
            Some(found) => self.pinning(found, |cx| cx.make_room(&mut [], 0, pages)),
            None => self.make_room(&mut [], 0, pages).map(|_| ()),
        }
    }
}

/// A sample of fewer than one in so many entries is drawn, not walked for.
const SAMPLE_DIVISOR: usize = 8;

/// Entries of a page that are to move, as a bit each.
type Marks = [u64; ENTRIES_BYTES_MAX / 2 / 64 + 1];

impl Keyspace {
    /// The entries in a record, or on one of the pages.
    pub(crate) fn entries(&self, found: &Found, page: usize) -> Entries<'_> {
        Entries::new(found.head.kind(), self.entry_bytes(found, page))
    }

    fn entry_bytes(&self, found: &Found, page: usize) -> &[u8] {
        let cell = self.arena.cell(found.addr);
        match found.head.object(cell).and_then(|id| self.objects.get(id)) {
            Some(object) => page_entries(&self.arena, object, page),
            None => found.head.stored(cell),
        }
    }

    /// The next entry of a walk. Its place is given from the start of the page.
    pub(crate) fn next_entry(&self, found: &Found, cursor: &mut Cursor) -> Option<Entry<'_>> {
        let pages = self.table_pages(found);
        while cursor.page < pages {
            let mut entries = self.entries(found, cursor.page).from(cursor.start);
            if let Some(entry) = entries.next() {
                cursor.start = entry.end;
                return Some(entry);
            }
            *cursor = Cursor { page: cursor.page + 1, start: 0 };
        }
        None
    }

    /// How many pages a table has; a record counts as one.
    pub(crate) fn table_pages(&self, found: &Found) -> usize {
        self.large(found).map_or(1, |object| object.pages as usize)
    }

    /// The object of a large value.
    pub(crate) fn large(&self, found: &Found) -> Option<&Object> {
        self.objects.get(self.object_of(found)?)
    }

    /// The entry of this name, expired or not. A name from outside stands `Here`, however long.
    pub(crate) fn find_entry(&self, found: &Found, name: Item<'_>) -> Option<Entry<'_>> {
        let cell = self.arena.cell(found.addr);
        let bytes = match found.head.object(cell).and_then(|id| self.objects.get(id)) {
            Some(object) => {
                let page = Buckets::new(object.pages as usize).of(self.hash_item(name));
                page_entries(&self.arena, object, page)
            }
            None => found.head.stored(cell),
        };
        let kind = found.head.kind();
        let mut from = 0;
        if let Item::Here(name) = name
            && name.len() <= ITEM_BYTES_MAX
        {
            match find_short(kind, bytes, name, &mut 0) {
                Ok(start) => return Entries::new(kind, bytes).from(start?).next(),
                Err(place) => from = place,
            }
        }
        let mut entries = Entries::new(kind, bytes).from(from);
        entries.find(|entry| self.is_same(entry.name, name))
    }

    /// Where the entry of this name is.
    #[cfg(feature = "zset")]
    pub(crate) fn cursor_of(&self, found: &Found, name: Item<'_>) -> Option<Cursor> {
        let start = self.find_entry(found, name)?.start;
        Some(Cursor { page: self.bucket_of(found, name), start })
    }

    /// Writes other bytes over the end of an entry on a page.
    #[cfg(feature = "zset")]
    pub(crate) fn overwrite_entry(&mut self, found: &Found, spot: Spot, bytes: &[u8]) {
        let start = ENTRIES_START + spot.end - bytes.len();
        if let Some(object) = self.large(found) {
            let page = object.page(&self.arena, spot.page);
            bytes::write_at(self.arena.cell_mut(page), start, bytes);
        }
    }

    fn bucket_of(&self, found: &Found, name: Item<'_>) -> usize {
        self.large(found)
            .map_or(0, |object| Buckets::new(object.pages as usize).of(self.hash_item(name)))
    }

    /// Where the entry of this name is, with what it was; or where it may be added.
    pub(crate) fn find_spot(&mut self, target: &Target<'_>, name: &[u8]) -> (Spot, Option<Old>) {
        let Some(found) = &target.found else {
            return (Spot { page: 0, start: 0, end: 0 }, None);
        };
        let kind = found.head.kind();
        let page = self.bucket_of(found, Item::Here(name));
        let bytes = self.entry_bytes(found, page);
        let (mut count, mut from, mut old) = (0, 0, None);
        let is_short = name.len() <= ITEM_BYTES_MAX;
        let found_short = if is_short { find_short(kind, bytes, name, &mut count) } else { Err(0) };
        match found_short {
            Ok(Some(start)) => old = Entries::new(kind, bytes).from(start).next(),
            Ok(None) => from = bytes.len(),
            Err(place) => from = place,
        }
        if old.is_none() {
            let mut entries = Entries::new(kind, bytes).from(from);
            old = entries.find(|entry| {
                count += 1;
                self.is_same(entry.name, Item::Here(name))
            });
        }
        if let Some(entry) = old {
            let spot = Spot { page, start: entry.start, end: entry.end };
            let (name, value) = (apart(entry.name), apart(entry.value));
            return (spot, Some(Old { name, value, deadline: entry.deadline }));
        }
        let end = bytes.len();
        if let Some(object) = self.object_of(found).and_then(|id| self.objects.get_mut(id)) {
            object.page_len_max = object.page_len_max.max(count as u16 + 1);
        }
        (Spot { page, start: end, end }, None)
    }

    /// Says in the record of a hash whether any of its fields may expire.
    pub(crate) fn set_expiring_fields(&mut self, found: &mut Found, may_expire: bool) {
        let head = found.head.with_expiring_fields(may_expire);
        if head == found.head {
            return;
        }
        head.write(self.arena.cell_mut(found.addr));
        // The index does not know a collection of no key: it is counted when it is installed.
        if !found.place.is_nowhere() {
            self.recount(found, &head);
        }
        found.head = head;
    }

    /// The string that an item is.
    pub(crate) fn text<'a>(&'a self, item: Item<'a>) -> Value<'a> {
        text_of(&self.arena, &self.objects, item)
    }

    pub(crate) fn is_same(&self, item: Item<'_>, other: Item<'_>) -> bool {
        match (item, other) {
            (Item::Here(a), Item::Here(b)) => bytes::same(a, b),
            _ => {
                let (a, b) = (self.text(item), self.text(other));
                a.len() == b.len() && a.parts().flatten().eq(b.parts().flatten())
            }
        }
    }

    /// The hash of a field or a member. A long one is hashed part by part, as it is stored.
    pub(crate) fn hash_item(&self, item: Item<'_>) -> u64 {
        match item {
            Item::Here(text) if text.len() <= ITEM_BYTES_MAX => self.hash(text),
            Item::Here(text) => {
                text.chunks(PAGE_VALUE_BYTES).fold(0, |hash, part| self.hash_on(hash, part))
            }
            Item::Apart(_) => {
                self.text(item).parts().fold(0, |hash, part| self.hash_on(hash, part))
            }
        }
    }

    fn hash_on(&self, hash: u64, part: &[u8]) -> u64 {
        hash.rotate_left(17).wrapping_mul(5) ^ self.hash(part)
    }

    /// The cell of a page and the bytes of entries in it.
    fn page_of(&self, id: ObjectId, position: usize) -> (Addr, usize) {
        let object = self.objects.get(id);
        let page = object.map_or(Addr::NONE, |object| object.page(&self.arena, position));
        (page, used(self.arena.cell(page)))
    }

    /// Makes a page for so many bytes of entries.
    fn add_page(
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
        Some(page)
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

    /// Which entries of a bucket belong to the new one once there are more than `pages`, and the
    /// bytes they take.
    fn movers(&self, id: ObjectId, kind: Kind, old: usize, pages: usize) -> (Marks, usize) {
        let mut marks = [0; ENTRIES_BYTES_MAX / 2 / 64 + 1];
        let mut moving = 0;
        let Some(object) = self.objects.get(id) else { return (marks, moving) };
        let buckets = Buckets::new(pages + 1);
        let entries = Entries::new(kind, page_entries(&self.arena, object, old));
        for (number, entry) in entries.enumerate() {
            if buckets.of(self.hash_item(entry.name)) == pages
                && let Some(word) = marks.get_mut(number / 64)
            {
                *word |= 1 << (number % 64);
                moving += entry.end - entry.start;
            }
        }
        (marks, moving)
    }

    /// Copies the entries of a page to two others: those without a mark, those with one.
    fn deal(&mut self, page: Addr, kind: Kind, marks: &Marks, targets: [Addr; 2]) {
        let used = used(self.arena.cell(page));
        let mut ends = [ENTRIES_START; 2];
        let (mut at, mut number) = (0, 0);
        while at < used {
            let rest = self.arena.cell(page).get(ENTRIES_START + at..ENTRIES_START + used);
            let entry = rest.and_then(|rest| Entries::new(kind, rest).next());
            let Some(len) = entry.map(|entry| entry.end) else { return };
            let side = marks.get(number / 64).is_some_and(|word| word >> (number % 64) & 1 == 1);
            if let (Some(&target), Some(end)) =
                (targets.get(usize::from(side)), ends.get_mut(usize::from(side)))
            {
                self.arena.copy_part((page, ENTRIES_START + at), (target, *end), len);
                *end += len;
            }
            at += len;
            number += 1;
        }
    }

    /// Moves the entries of the last bucket to the one it was split from. `None`, and nothing
    /// done, if that needs memory that is not there.
    fn merge(&mut self, id: ObjectId, pages: usize) -> Option<()> {
        let (last, target) = (pages - 1, Buckets::new(pages - 1).split());
        let (from, moving) = self.page_of(id, last);
        let (page, staying) = self.page_of(id, target);
        let cells = [(page_class(staying + moving), 1)];
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
        let end = ENTRIES_START + used(self.arena.cell(page));
        self.bury_items(kind, page, ENTRIES_START..end);
        self.free_cell(page);
    }

    /// Notes that nobody names the objects any more that are named by entries in a cell.
    pub(crate) fn bury_items(&mut self, kind: Kind, addr: Addr, place: Range<usize>) {
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

/// The string that an item is.
pub(crate) fn text_of<'a>(arena: &'a Arena, objects: &'a Objects, item: Item<'a>) -> Value<'a> {
    match item {
        Item::Here(bytes) => bytes.into(),
        Item::Apart(id) => match objects.get(id) {
            Some(object) => Value::paged(arena, object, false),
            None => Value::whole(&[], false),
        },
    }
}

fn of_kind(found: &Option<Found>, kind: Kind) -> Result<()> {
    match found {
        Some(found) if found.head.kind() != kind => Err(Error::WrongType),
        _ => Ok(()),
    }
}

fn item(text: &[u8], apart: Option<ObjectId>) -> Item<'_> {
    apart.map_or(Item::Here(text), Item::Apart)
}

pub(crate) fn apart(item: Item<'_>) -> Option<ObjectId> {
    match item {
        Item::Apart(id) => Some(id),
        Item::Here(_) => None,
    }
}

/// The class of a page with so many bytes of entries.
fn page_class(used: usize) -> Class {
    let bytes = ENTRIES_START + used;
    let step = (1usize << bytes.checked_ilog2().unwrap_or_default()) / PAGE_STEPS;
    Class::fitting(bytes.next_multiple_of(step.max(1)).min(SEGMENT_BYTES))
}

pub(crate) fn page_entries<'a>(arena: &'a Arena, object: &Object, position: usize) -> &'a [u8] {
    let cell = arena.cell(object.page(arena, position));
    cell.get(ENTRIES_START..ENTRIES_START + used(cell)).unwrap_or_default()
}

/// Bytes of entries on a page.
fn used(cell: &[u8]) -> usize {
    let bytes = cell.get(PAGE_HEAD_BYTES..).and_then(<[u8]>::first_chunk);
    bytes.map_or(0, |bytes| u16::from_le_bytes(*bytes).into())
}

fn set_used(cell: &mut [u8], used: usize) {
    bytes::write_at(cell, PAGE_HEAD_BYTES, &(used as u16).to_le_bytes());
}

fn set_position(cell: &mut [u8], position: usize) {
    if let Some(page) = PageHead::read(cell) {
        PageHead { position: position as u32, ..page }.write(cell);
    }
}
