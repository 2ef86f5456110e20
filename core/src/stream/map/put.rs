//! Maps that grow: how an item comes in, or gets another value.
//!
//! A node that is full is cut in two before an item is added below it, from the top down: each cut
//! is complete in itself, so that the map is sound wherever memory runs out.

use super::{
    DEPTH_MAX, Head, ITEM_HEAD_BYTES, Item, KEY_BYTES_MAX, Key, NODE_START, Node, Path,
    SEARCHED_BYTES_MAX, SHORT_ITEM_BYTES_MAX, SLOT_BYTES, Spot, Step, USED_MAX, VALUE_BYTES_MAX,
    node_class,
};
use crate::arena::Class;
use crate::bytes;
use crate::error::{Error, Result};
use crate::keyspace::{Cx, Found, Keyspace};
use crate::object::ObjectId;

/// What takes the place of a part of a node.
pub(super) struct Edit<'a> {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) head: Head,
    pub(super) rest: &'a [u8],
    value: &'a [u8],
    /// What stands in front of the item behind it, which shares other bytes now.
    next: Head,
}

impl<'a> Edit<'a> {
    /// Nothing, in place of what is between two items.
    pub(super) fn cut(start: usize, end: usize) -> Edit<'a> {
        Edit { start, end, head: Head::NOTHING, rest: &[], value: &[], next: Head::NOTHING }
    }

    /// An item, at the spot that was found for it.
    fn put(node: Node<'_>, spot: &Spot, key: &'a [u8], value: &'a [u8]) -> Edit<'a> {
        let item = Item::read(node.bytes, spot.at);
        if let Some(Item { start, end, shared, .. }) = item.filter(|_| spot.is_exact) {
            let rest = key.get(shared..).unwrap_or_default();
            let head = Head::new(shared, rest.len(), value.len());
            return Edit { head, rest, value, ..Edit::cut(start, end) };
        }
        let rest = key.get(spot.before..).unwrap_or_default();
        let head = Head::new(spot.before, rest.len(), value.len());
        let mut edit = Edit { head, rest, value, ..Edit::cut(spot.at, spot.at) };
        if let Some(item) = item {
            let taken = spot.after.saturating_sub(item.shared);
            let left = item.rest.len().saturating_sub(taken);
            edit.end = item.rest_at + taken;
            edit.next = Head::new(spot.after, left, item.value.len());
        }
        edit
    }

    fn pieces(&self) -> [&[u8]; 4] {
        [self.head.as_bytes(), self.rest, self.value, self.next.as_bytes()]
    }

    /// Bytes that are used of a node of so many afterwards.
    pub(super) fn used(&self, used: usize) -> usize {
        let added: usize = self.pieces().iter().map(|piece| piece.len()).sum();
        used - (self.end - self.start) + added
    }
}

impl Cx<'_> {
    /// Gives a key a value, in place of the one it has. Whether it had none. The record that the
    /// map belongs to stays.
    pub(in crate::stream) fn map_put(
        &mut self,
        found: &mut Found,
        map: ObjectId,
        key: &[u8],
        value: &[u8],
    ) -> Result<bool> {
        self.map_replace(found, map, key, value, |_| ()).map(|old| old.is_none())
    }

    /// The same; what `read` made of the value that it had.
    pub(in crate::stream) fn map_replace<T>(
        &mut self,
        found: &mut Found,
        map: ObjectId,
        key: &[u8],
        value: &[u8],
        read: impl Fn(&[u8]) -> T,
    ) -> Result<Option<T>> {
        if key.len() > KEY_BYTES_MAX || value.len() > VALUE_BYTES_MAX {
            return Err(Error::NameTooLong);
        }
        loop {
            let (path, spot) = self.keys.map_path(map, key);
            let added = ITEM_HEAD_BYTES + key.len() + value.len();
            if let Some(level) = self.keys.full_map_level(map, &path, added) {
                self.split_map_node(found, map, &path, level)?;
                continue;
            }
            let slot = path.last().slot;
            let node = self.keys.map_node(map, slot);
            let edit = Edit::put(node, &spot, key, value);
            let mut cells = [self.keys.map_cell_for(map, slot, edit.used(node.bytes.len()))];
            if cells[0].1 > 0 {
                self.make_room_beside(found, &mut cells, 1, 0)?;
            }
            let [(class, count)] = cells;
            let class = (count > 0).then_some(class);
            let item = Item::read(self.keys.map_node(map, slot).bytes, spot.at);
            let old = item.filter(|_| spot.is_exact).map(|item| read(item.value));
            self.keys.edit_map_node(map, slot, &edit, class).ok_or(Error::OutOfMemory)?;
            self.keys.count_map(map, isize::from(!spot.is_exact));
            return Ok(old);
        }
    }

    /// Cuts a node in two, where its parent has room for one more branch.
    fn split_map_node(
        &mut self,
        found: &mut Found,
        map: ObjectId,
        path: &Path,
        level: usize,
    ) -> Result<()> {
        let Step { slot, at } = path.step(level);
        if level == 0 && path.len == DEPTH_MAX {
            return Err(Error::OutOfMemory);
        }
        let node = self.keys.map_node(map, slot);
        let (height, used) = (node.height, node.bytes.len());
        let cut = node.cut(at);
        let right = Right::new(node, cut).ok_or(Error::OutOfMemory)?;
        let (split_key, right_used) =
            (right.split_key.as_bytes(), right.len() + used - right.tail_at);
        let object = self.keys.objects.get(map).ok_or(Error::OutOfMemory)?;
        let pages = object.pages as usize;
        let new_pages = if level > 0 { 1 } else { 2 };
        let [a, b, c] = object.cells_for(&self.keys.arena, pages + new_pages);
        let right_slot = (pages + new_pages - 1) as u32;
        let slot_bytes = right_slot.to_le_bytes();
        let parent = if level > 0 { path.step(level - 1).slot } else { 0 };
        let (edit, upper) = if level > 0 {
            let node = self.keys.map_node(map, parent);
            let edit = Edit::put(node, &node.search(split_key), split_key, &slot_bytes);
            let upper = self.keys.map_cell_for(map, parent, edit.used(node.bytes.len()));
            (edit, upper)
        } else {
            let root = node_class(2 * (ITEM_HEAD_BYTES + SLOT_BYTES) + split_key.len());
            (Edit::cut(0, 0), (root, 1))
        };
        let mut cells = [(node_class(right_used), 1), upper, a, b, c];
        self.make_room_beside(found, &mut cells, 2, 0)?;
        let [(right_class, _), (upper_class, upper_count), ..] = cells;
        let Keyspace { arena, objects, .. } = &mut *self.keys;
        let object = objects.get_mut(map).ok_or(Error::OutOfMemory)?;
        object.grow(arena, map, pages + new_pages).ok_or(Error::OutOfMemory)?;
        let to = self.keys.add_map_node(map, right_slot as usize, height, right_class);
        let to = to.ok_or(Error::OutOfMemory)?;
        let left = self.keys.map_addr(map, slot);
        let upper_class = (upper_count > 0).then_some(upper_class);
        let done = if level > 0 {
            self.keys.edit_map_node(map, parent, &edit, upper_class)
        } else {
            self.keys.raise_root(map, height + 1, upper_class, split_key)
        };
        if done.is_none() {
            self.keys.arena.free(to);
            return Err(Error::OutOfMemory);
        }
        let Keyspace { arena, objects, .. } = &mut *self.keys;
        let (from, tail_start) = (NODE_START + right.tail_at, NODE_START + right.len());
        arena.copy_part((left, from), (to, tail_start), used - right.tail_at);
        right.write(arena.cell_mut(to));
        objects.get_mut(map).ok_or(Error::OutOfMemory)?.push(arena, to);
        self.keys.set_map_used(to, right_used);
        self.keys.set_map_used(left, cut);
        self.keys.narrow_map_node(map, if level > 0 { slot } else { pages });
        Ok(())
    }
}

/// The right part of a node that is cut in two: what it begins with, in place of what stands before
/// a place in the node.
struct Right {
    /// What tells its keys from those before.
    split_key: Key,
    /// The first item of a branch, which leaves its key to the branch above.
    lead: Head,
    slot: [u8; SLOT_BYTES],
    slot_len: usize,
    /// The item that now has all of its key.
    head: Head,
    key: Key,
    tail_at: usize,
}

impl Right {
    fn new(node: Node<'_>, cut: usize) -> Option<Right> {
        let item = Item::read(node.bytes, cut)?;
        let first = node.key_at(cut);
        let mut right = Right {
            split_key: first,
            lead: Head::NOTHING,
            slot: [0; _],
            slot_len: 0,
            head: Head::new(0, first.len, item.value.len()),
            key: first,
            tail_at: item.end - item.value.len(),
        };
        if node.height == 0 {
            // Leaves are told apart by as little as can be.
            right.split_key = Key::of(&[first.as_bytes().get(..=item.shared)?]);
            return Some(right);
        }
        (right.slot, right.slot_len) = (*item.value.first_chunk()?, SLOT_BYTES);
        right.lead = Head::new(0, 0, SLOT_BYTES);
        (right.head, right.key, right.tail_at) = (Head::NOTHING, Key::EMPTY, item.end);
        if let Some(second) = Item::read(node.bytes, item.end) {
            right.key = node.key_at(second.start);
            right.head = Head::new(0, right.key.len, SLOT_BYTES);
            right.tail_at = second.end - SLOT_BYTES;
        }
        Some(right)
    }

    fn pieces(&self) -> [&[u8]; 4] {
        let slot = self.slot.get(..self.slot_len).unwrap_or_default();
        [self.lead.as_bytes(), slot, self.head.as_bytes(), self.key.as_bytes()]
    }

    fn len(&self) -> usize {
        self.pieces().iter().map(|piece| piece.len()).sum()
    }

    fn write(&self, cell: &mut [u8]) {
        self.pieces().iter().fold(NODE_START, |at, piece| {
            bytes::write_at(cell, at, piece);
            at + piece.len()
        });
    }
}

impl Node<'_> {
    /// Where to cut it in two, as something is to be added near `at`: there if that is in the upper
    /// half, so that what grows on there leaves full nodes behind; else in the middle.
    fn cut(self, at: usize) -> usize {
        let (mut first_end, mut last_start, mut middle) = (0, 0, 0);
        for item in self.items() {
            first_end = if item.start == 0 { item.end } else { first_end };
            last_start = item.start;
            middle = if item.start <= self.bytes.len() / 2 { item.start } else { middle };
        }
        if at >= last_start {
            last_start
        } else if at > self.bytes.len() / 2 {
            at
        } else {
            middle.max(first_end)
        }
    }
}

impl Keyspace {
    /// The highest of the nodes that must be split before a leaf can take so many bytes more.
    fn full_map_level(&self, map: ObjectId, path: &Path, added: usize) -> Option<usize> {
        let mut used_max = match added {
            0..=SHORT_ITEM_BYTES_MAX => SEARCHED_BYTES_MAX,
            _ => USED_MAX - added,
        };
        let mut full = None;
        for level in (0..path.len).rev() {
            if self.map_node(map, path.step(level).slot).bytes.len() <= used_max {
                break;
            }
            full = Some(level);
            used_max = SEARCHED_BYTES_MAX;
        }
        full
    }

    /// The cell that a node needs to become so long: none if its own is large enough.
    fn map_cell_for(&self, map: ObjectId, slot: usize, used: usize) -> (Class, usize) {
        let cell_bytes = self.arena.cell(self.map_addr(map, slot)).len();
        (node_class(used), usize::from(NODE_START + used > cell_bytes))
    }

    /// Edits a node: in a new cell of a class, or where it is.
    pub(super) fn edit_map_node(
        &mut self,
        map: ObjectId,
        slot: usize,
        edit: &Edit<'_>,
        class: Option<Class>,
    ) -> Option<()> {
        let Node { height, bytes } = self.map_node(map, slot);
        let (used, new_used) = (bytes.len(), edit.used(bytes.len()));
        let mut addr = self.map_addr(map, slot);
        let tail = used - edit.end;
        let (from, to) = (NODE_START + edit.end, NODE_START + new_used - tail);
        if let Some(class) = class {
            let new = self.add_map_node(map, slot, height, class)?;
            self.arena.copy_part((addr, NODE_START), (new, NODE_START), edit.start);
            self.arena.copy_part((addr, from), (new, to), tail);
            self.set_map_node(map, slot, new);
            self.arena.free(addr);
            addr = new;
        } else {
            self.arena.copy_part((addr, from), (addr, to), tail);
        }
        self.set_map_used(addr, new_used);
        let cell = self.arena.cell_mut(addr);
        edit.pieces().iter().fold(NODE_START + edit.start, |at, piece| {
            bytes::write_at(cell, at, piece);
            at + piece.len()
        });
        Some(())
    }

    /// Gives the root the next slot, and puts a new one with two branches in its place: to it, and
    /// to the slot after.
    fn raise_root(
        &mut self,
        map: ObjectId,
        height: u8,
        class: Option<Class>,
        split_key: &[u8],
    ) -> Option<()> {
        let pages = self.objects.get(map)?.pages;
        let old = self.map_addr(map, 0);
        let root = self.add_map_node(map, 0, height, class?)?;
        self.objects.get_mut(map)?.push(&mut self.arena, old);
        self.place_map_node(map, pages as usize, old);
        self.set_map_node(map, 0, root);
        let cell = self.arena.cell_mut(root);
        let mut end = NODE_START;
        for (key, slot) in [(&[][..], pages), (split_key, pages + 1)] {
            let (head, slot) = (Head::new(0, key.len(), SLOT_BYTES), slot.to_le_bytes());
            for piece in [head.as_bytes(), key, &slot] {
                bytes::write_at(cell, end, piece);
                end += piece.len();
            }
        }
        self.set_map_used(root, end - NODE_START);
        Some(())
    }

    /// Gives a node that became much smaller than its cell another, if there is one.
    pub(super) fn narrow_map_node(&mut self, map: ObjectId, slot: usize) {
        let used = self.map_node(map, slot).bytes.len();
        let cell_bytes = self.arena.cell(self.map_addr(map, slot)).len();
        let class = node_class(used);
        if NODE_START + used < cell_bytes / 2 && self.has_room(&[(class, 1)]) {
            self.edit_map_node(map, slot, &Edit::cut(0, 0), Some(class));
        }
    }
}

impl Key {
    /// A key of bytes at hand, of which those beyond the longest are left out.
    pub(in crate::stream) fn of(parts: &[&[u8]]) -> Key {
        let mut key = Key::EMPTY;
        for part in parts {
            key.extend_from(key.len, part);
        }
        key
    }
}
