//! Tables: the entries of hashes, sets and sorted sets, found by name.
//!
//! A few entries are packed in the key's record, in the order they came. More of them stand on
//! pages of an object, one a bucket, by linear hashing: whenever the entries outgrow the pages, one
//! bucket in turn is split, so no insertion pays for a rehash. A page is a cell just large enough
//! for its entries; a bucket without entries has none.
//!
//! Invariant: a table has at least one entry; its object counts entries and their bytes.
//!
//! Not here: what entries mean (hash/, set/, sorted_set/), and how they are packed
//! (packed.rs).

mod find;
mod pages;
mod tags;
mod walk;

use crate::arena::{Addr, Class, SEGMENT_BYTES};
use crate::bytes;
use crate::error::{Error, Result};
use crate::expire::earlier;
use crate::index::Place;
use crate::keyspace::{Cx, Found, Keyspace, Millis};
use crate::limits::{PACKED_BYTES_MAX, TABLE_PAGE_BYTES};
use crate::object::{ObjectId, directory_cells};
use crate::packed::{Entries, ITEM_BYTES_MAX, Item, Packed, deadline_prefix};
use crate::record::{Head, Kind, NEVER};
use crate::value::Source;
use crate::write::Draft;

pub(crate) use find::{Bucket, page_entries, text_of};
use pages::{ENTRIES_START, page_class};
pub(crate) use walk::Cursor;

/// A key that has a table, or is to have one.
pub(crate) struct Target<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) hash: u64,
    pub(crate) kind: Kind,
    pub(crate) found: Option<Found>,
}

/// Where an entry is, or where one may be added.
#[derive(Clone, Copy, Default)]
pub(crate) struct Spot {
    pub(crate) page: usize,
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// The tag of what may be added, if it is known.
    tag: Option<u8>,
}

/// What was at a spot: strings that stand apart, and when the field expires.
#[derive(Clone, Copy, Default)]
pub(crate) struct Old {
    pub(crate) name: Option<ObjectId>,
    value: Option<ObjectId>,
    deadline: Millis,
}

impl Old {
    /// Whether all of it stands among others, and it does not expire.
    fn is_plain(&self) -> bool {
        self.name.is_none() && self.value.is_none() && self.deadline == NEVER
    }
}

impl Cx<'_> {
    /// Finds a key to change its collection.
    pub(crate) fn target<'k>(&mut self, key: &'k [u8], kind: Kind) -> Result<Target<'k>> {
        let (hash, found) = self.lookup_collection(key);
        of_kind(&found, kind)?;
        Ok(Target { key, hash, kind, found })
    }

    /// Finds a key to read its collection.
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    pub(crate) fn read(&mut self, key: &[u8], kind: Kind) -> Result<Option<Found>> {
        let (_, found) = self.lookup_collection(key);
        self.keys.count_look(found.is_some());
        if let Some(found) = &found {
            self.keys.note_use(found.place);
        }
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

    /// Makes room for a target's next record. The target knows afterwards where its record is,
    /// which may have moved, whether there was room or not.
    pub(crate) fn prepare_target(
        &mut self,
        target: &mut Target<'_>,
        draft: &mut Draft<'_>,
    ) -> Result<()> {
        let prepared = self.prepare(draft, true);
        target.found = draft.found;
        prepared
    }

    /// Writes a target's next record.
    pub(crate) fn replace_target(
        &mut self,
        target: &mut Target<'_>,
        mut draft: Draft<'_>,
        value: &mut dyn Source,
    ) -> Result<()> {
        self.prepare_target(target, &mut draft)?;
        target.found = Some(self.keys.put(&draft, value)?);
        Ok(())
    }

    /// Gives an empty collection of no key its entries, which are packed already.
    #[cfg(any(feature = "zset", not(target_arch = "wasm32")))]
    pub(crate) fn pack(&mut self, floating: &mut Target<'_>, mut entries: &[u8]) -> Result<()> {
        let Target { key, hash, kind, found } = *floating;
        let draft = Draft::of(key, hash, kind, entries.len(), NEVER, found)?;
        self.replace_target(floating, draft, &mut entries)
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
        if let Some(found) = target.found.filter(|_| deadline == NEVER)
            && self.put_plain(&found, name, value, &spot, &old)
        {
            self.keys.note_use(found.place);
            if old.is_none() {
                self.keep_balance(target, true);
            }
            return Ok(old.is_none());
        }
        self.put_at(target, name, value, deadline, spot, old)
    }

    /// The same where nothing has to move, neither the entry nor any other. False if it has to.
    #[cfg_attr(not(target_arch = "wasm32"), inline)]
    fn put_plain(
        &mut self,
        found: &Found,
        name: &[u8],
        value: &[u8],
        spot: &Spot,
        old: &Option<Old>,
    ) -> bool {
        let value_piece = match found.head.kind() {
            Kind::Hash => Packed::new(Item::Here(value)),
            Kind::Set => Packed::NOTHING,
            _ => return false,
        };
        let pieces = [Packed::new(Item::Here(name)), value_piece];
        match old {
            Some(old) => {
                let len: usize = pieces.iter().map(Packed::len).sum();
                let fits = old.is_plain() && spot.end - spot.start == len;
                if fits {
                    self.keys.overwrite_entry(found, *spot, value);
                }
                fits
            }
            // At the edge the code for it would weigh more than the time is worth.
            None => {
                !cfg!(target_arch = "wasm32")
                    && name.len().max(value.len()) <= ITEM_BYTES_MAX
                    && self.keys.append_entry(found, spot, &pieces)
            }
        }
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
        let done = self.splice_page(target, id, spot, pieces, change);
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

    #[cfg_attr(not(target_arch = "wasm32"), inline(never))]
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
        let draft = Draft::of(key, hash, kind, len, deadline, found)?.keeping();
        self.replace_target(target, draft, &mut buffer.get(..len).unwrap_or_default())
    }

    /// Moves packed entries, if there are any, to the first page of a new object.
    pub(crate) fn make_table(&mut self, target: &mut Target<'_>) -> Result<()> {
        let Target { key, hash, kind, found } = *target;
        let deadline = found.map_or(NEVER, |found| found.head.deadline);
        let len = found.map_or(0, |found| found.head.stored_len());
        let entries = found.map(|found| self.keys.entries(&found, 0));
        let deadlines = entries.into_iter().flatten().map(|entry| entry.deadline);
        let earliest = deadlines.fold(NEVER, earlier);
        let mut draft = Draft::of_object(key, hash, kind, deadline, found)?.keeping();
        let [_, page, _, nodes @ ..] = &mut draft.cells;
        let tags = self.keys.tags_of(&found);
        *page = (page_class(len, tags.len()), usize::from(len > 0));
        *nodes = directory_cells(1);
        self.prepare_target(target, &mut draft)?;
        let [_, (class, _), ..] = draft.cells;
        let id = self.keys.objects.add(kind).ok_or(Error::OutOfMemory)?;
        let mut page = Some(Addr::NONE);
        if let Some(found) = draft.found.filter(|_| len > 0) {
            page = self.keys.add_page(id, 0, class, len);
            let from = (found.addr, found.head.stored_start());
            let to = (page.unwrap_or(Addr::NONE), ENTRIES_START);
            self.keys.arena.copy_part(from, to, len);
            tags.write(self.keys.arena.cell_mut(to.0), ENTRIES_START + len);
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
}

impl Cx<'_> {
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

impl Keyspace {
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
}

#[cfg_attr(not(target_arch = "wasm32"), inline(always))]
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
