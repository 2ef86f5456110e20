//! Ordered maps: short keys with short values in the order of the keys' bytes, on the pages of one
//! object.
//!
//! A B+tree. Its nodes are named by their position in the object's directory (the slot), so that
//! one that moves is told to the directory and to no other node. The root has slot zero, and the
//! last slot takes the place of one that goes. An item is `length of all | bytes shared with the
//! key before it | length of the value | rest of the key | value`: a search goes from length to
//! length, compares only what the keys before did not settle, and keys with a long common front
//! take a few bytes each. A leaf has the items of the map; in any other node the value is the slot
//! of the node with the keys from there on, and the first key is empty: it is that of the branch
//! above.
//!
//! Invariant: keys ascend, each sharing with the one before just as much as it says; no node is
//! empty but a root without items; each slot but the root's is in exactly one branch.
//!
//! Not here: how it grows and shrinks (put.rs, remove.rs), and what the items mean (ledger.rs).

mod check;
mod put;
mod remove;

use core::cmp::Ordering;

use crate::arena::{Addr, Class};
use crate::bytes;
use crate::keyspace::Keyspace;
use crate::object::ObjectId;
use crate::record::{PAGE_HEAD_BYTES, PageHead};

/// Longest key.
pub(super) const KEY_BYTES_MAX: usize = 528;
/// Longest value.
pub(super) const VALUE_BYTES_MAX: usize = 544;
/// What an item has beside key and value: three bytes, or, behind a zero, three numbers of two.
const SHORT_HEAD_BYTES: usize = 3;
const ITEM_HEAD_BYTES: usize = 7;

/// Where a node says how many bytes of it are used, and how far it is from the leaves.
const USED_AT: usize = PAGE_HEAD_BYTES;
const HEIGHT_AT: usize = USED_AT + 2;
const NODE_START: usize = HEIGHT_AT + 1;
/// Bytes of a node: three of the longest items fit.
const NODE_BYTES_MAX: usize = 2048;
const USED_MAX: usize = NODE_BYTES_MAX - NODE_START;
/// A node that is longer is cut before it gets another branch or a short item, since it is searched
/// from the front. No item is as long.
const SEARCHED_BYTES_MAX: usize = 640;
const SHORT_ITEM_BYTES_MAX: usize = 64;
/// A node that is made has this fraction of its bytes to grow into.
const SLACK_DIVISOR: usize = 8;
const SLOT_BYTES: usize = 4;
/// Nodes from the root to a leaf, at most.
const DEPTH_MAX: usize = 20;

/// What stands in front of an item.
#[derive(Clone, Copy)]
struct Head {
    bytes: [u8; ITEM_HEAD_BYTES],
    len: usize,
}

impl Head {
    const NOTHING: Head = Head { bytes: [0; _], len: 0 };

    fn new(shared: usize, rest_len: usize, value_len: usize) -> Head {
        let total = SHORT_HEAD_BYTES + rest_len + value_len;
        if total <= u8::MAX.into() && shared <= u8::MAX.into() {
            let bytes = [total as u8, shared as u8, value_len as u8, 0, 0, 0, 0];
            return Head { bytes, len: SHORT_HEAD_BYTES };
        }
        let total = ITEM_HEAD_BYTES + rest_len + value_len;
        let [[a, b], [c, d], [e, f]] =
            [total, shared, value_len].map(|number| (number as u16).to_le_bytes());
        Head { bytes: [0, a, b, c, d, e, f], len: ITEM_HEAD_BYTES }
    }

    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// A key, put together.
#[derive(Clone, Copy)]
pub(crate) struct Key {
    bytes: [u8; KEY_BYTES_MAX],
    len: usize,
}

impl Key {
    pub(super) const EMPTY: Key = Key { bytes: [0; KEY_BYTES_MAX], len: 0 };

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// Keeps so many bytes, and appends others.
    pub(super) fn extend_from(&mut self, kept: usize, rest: &[u8]) {
        bytes::write_at(&mut self.bytes, kept, rest);
        self.len = (kept + rest.len()).min(KEY_BYTES_MAX);
    }
}

#[derive(Clone, Copy)]
struct Item<'a> {
    start: usize,
    end: usize,
    /// Bytes of its key that are those of the key before.
    shared: usize,
    /// Where the rest of the key begins.
    rest_at: usize,
    rest: &'a [u8],
    value: &'a [u8],
}

impl<'a> Item<'a> {
    #[inline]
    fn read(bytes: &'a [u8], start: usize) -> Option<Item<'a>> {
        let from = bytes.get(start..)?;
        let &[total, shared, value_len] = from.first_chunk()?;
        let (mut total, mut shared, mut value_len) =
            (usize::from(total), usize::from(shared), usize::from(value_len));
        let mut head = SHORT_HEAD_BYTES;
        if total == 0 {
            let &[_, a, b, c, d, e, f] = from.first_chunk::<ITEM_HEAD_BYTES>()?;
            [total, shared, value_len] =
                [[a, b], [c, d], [e, f]].map(|number| u16::from_le_bytes(number).into());
            head = ITEM_HEAD_BYTES;
        }
        let (key, value) = from.get(..total)?.split_at_checked(total.checked_sub(value_len)?)?;
        let rest = key.get(head..)?;
        Some(Item { start, end: start + total, shared, rest_at: start + head, rest, value })
    }

    /// The slot that a branch leads to.
    fn slot(&self) -> usize {
        self.value.first_chunk().map_or(0, |slot| u32::from_le_bytes(*slot) as usize)
    }
}

/// What is used of a node, and its height: zero for a leaf.
#[derive(Clone, Copy)]
struct Node<'a> {
    height: u8,
    bytes: &'a [u8],
}

/// Where a key is in a node, or where it would be.
#[derive(Clone, Copy, Default)]
struct Spot {
    /// Where the first item stands that is not before it, and the last that is.
    at: usize,
    last: Option<usize>,
    /// Bytes that it shares with either.
    before: usize,
    after: usize,
    is_exact: bool,
}

impl<'a> Node<'a> {
    fn items(self) -> impl Iterator<Item = Item<'a>> {
        let mut start = 0;
        core::iter::from_fn(move || {
            let item = Item::read(self.bytes, start)?;
            start = item.end;
            Some(item)
        })
    }

    /// Looks for a key. What an item shares with the one before tells most of them apart from it.
    #[inline]
    fn search(self, key: &[u8]) -> Spot {
        let mut spot = Spot::default();
        loop {
            // Most are told to be before it by a few of their bytes.
            let first = key.get(spot.before).copied();
            while let Some(&[total, shared, _, next]) =
                self.bytes.get(spot.at..).and_then(<[u8]>::first_chunk)
                && total > 0
            {
                let shared = usize::from(shared);
                if shared < spot.before || shared == spot.before && first <= Some(next) {
                    break;
                }
                spot.last = Some(spot.at);
                spot.at += usize::from(total);
            }
            let Some(item) = Item::read(self.bytes, spot.at) else { break };
            let mut order = Ordering::Less;
            if item.shared < spot.before {
                (order, spot.after) = (Ordering::Greater, item.shared);
            } else if item.shared == spot.before {
                let rest = key.get(spot.before..).unwrap_or_default();
                let same = item.rest.iter().zip(rest).take_while(|(a, b)| a == b).count();
                order = item.rest.get(same).cmp(&rest.get(same));
                if order.is_lt() {
                    spot.before += same;
                } else {
                    spot.after = spot.before + same;
                }
            }
            if order.is_ge() {
                spot.is_exact = order.is_eq();
                return spot;
            }
            (spot.last, spot.at) = (Some(item.start), item.end);
        }
        spot.after = 0;
        spot
    }

    /// The branch in which a key is.
    fn branch(self, spot: &Spot) -> Option<Item<'a>> {
        let at = if spot.is_exact { spot.at } else { spot.last.unwrap_or(0) };
        Item::read(self.bytes, at)
    }

    /// The item before a place.
    fn item_before(self, at: usize) -> Option<Item<'a>> {
        self.items().take_while(|item| item.start < at).last()
    }

    /// The key of the item at a place.
    fn key_at(self, at: usize) -> Key {
        let mut key = Key::EMPTY;
        for item in self.items().take_while(|item| item.start <= at) {
            key.extend_from(item.shared, item.rest);
        }
        key
    }
}

/// One node on the way down, and the item that was taken, or the place in the leaf.
#[derive(Clone, Copy, Default)]
struct Step {
    slot: usize,
    at: usize,
}

/// The way from the root to a place in a leaf.
#[derive(Clone, Copy)]
struct Path {
    steps: [Step; DEPTH_MAX],
    len: usize,
}

impl Path {
    fn step(&self, level: usize) -> Step {
        self.steps.get(level).copied().unwrap_or_default()
    }

    fn last(&self) -> Step {
        self.step(self.len.saturating_sub(1))
    }
}

/// A place in a map that does not change meanwhile: an item, or the end.
pub(crate) struct Cursor {
    path: Path,
    key: Key,
}

impl Keyspace {
    fn map_addr(&self, map: ObjectId, slot: usize) -> Addr {
        self.objects.get(map).map_or(Addr::NONE, |object| object.page(&self.arena, slot))
    }

    #[inline]
    fn map_node(&self, map: ObjectId, slot: usize) -> Node<'_> {
        let cell = self.arena.cell(self.map_addr(map, slot));
        let Some(&[a, b, height]) = cell.get(USED_AT..).and_then(<[u8]>::first_chunk) else {
            return Node { height: 0, bytes: &[] };
        };
        let used = usize::from(u16::from_le_bytes([a, b]));
        Node { height, bytes: cell.get(NODE_START..NODE_START + used).unwrap_or_default() }
    }

    /// The way to the leaf of a key, and where it is there.
    fn map_path(&self, map: ObjectId, key: &[u8]) -> (Path, Spot) {
        let mut path = Path { steps: [Step::default(); DEPTH_MAX], len: 0 };
        let (mut slot, mut spot) = (0, Spot::default());
        for step in &mut path.steps {
            let node = self.map_node(map, slot);
            spot = node.search(key);
            *step = Step { slot, at: spot.at };
            path.len += 1;
            if node.height == 0 {
                break;
            }
            let Some(branch) = node.branch(&spot) else { break };
            step.at = branch.start;
            slot = branch.slot();
        }
        (path, spot)
    }

    /// The leaf of a key, and where it is there.
    fn map_leaf(&self, map: ObjectId, key: &[u8]) -> (usize, Spot) {
        let mut slot = 0;
        loop {
            let node = self.map_node(map, slot);
            let spot = node.search(key);
            match node.branch(&spot) {
                Some(branch) if node.height > 0 => slot = branch.slot(),
                _ => return (slot, spot),
            }
        }
    }

    /// The value of a key.
    pub(super) fn map_get(&self, map: ObjectId, key: &[u8]) -> Option<&[u8]> {
        let (slot, spot) = self.map_leaf(map, key);
        Some(Item::read(self.map_node(map, slot).bytes, spot.at)?.value).filter(|_| spot.is_exact)
    }

    /// Changes a value, which keeps its length.
    pub(super) fn map_change(&mut self, map: ObjectId, key: &[u8], change: impl FnOnce(&mut [u8])) {
        let (slot, spot) = self.map_leaf(map, key);
        let item = Item::read(self.map_node(map, slot).bytes, spot.at);
        let Some(item) = item.filter(|_| spot.is_exact) else { return };
        let end = NODE_START + item.end;
        let start = end - item.value.len();
        let cell = self.arena.cell_mut(self.map_addr(map, slot));
        if let Some(value) = cell.get_mut(start..end) {
            change(value);
        }
    }

    /// Where the last key is that is not above one: the slot of its leaf, and the place there.
    fn map_floor_place(&self, map: ObjectId, key: &[u8]) -> Option<(usize, usize)> {
        let (path, spot) = self.map_path(map, key);
        let slot = path.last().slot;
        if spot.is_exact || spot.last.is_some() {
            return Some((slot, self.map_node(map, slot).branch(&spot)?.start));
        }
        // It is the last below the branch before.
        let before = (0..path.len.saturating_sub(1)).rev().find_map(|level| {
            let Step { slot, at } = path.step(level);
            self.map_node(map, slot).item_before(at)
        });
        let mut slot = before?.slot();
        loop {
            let node = self.map_node(map, slot);
            let last = node.items().last()?;
            if node.height == 0 {
                return Some((slot, last.start));
            }
            slot = last.slot();
        }
    }

    /// The value of the last key that is not above one.
    pub(super) fn map_floor(&self, map: ObjectId, key: &[u8]) -> Option<&[u8]> {
        let (slot, at) = self.map_floor_place(map, key)?;
        Some(Item::read(self.map_node(map, slot).bytes, at)?.value)
    }

    /// The last key that is not above one.
    pub(super) fn map_last(&self, map: ObjectId, key: &[u8]) -> Option<Key> {
        let (slot, at) = self.map_floor_place(map, key)?;
        Some(self.map_node(map, slot).key_at(at))
    }

    /// The place of the first key that is not below one.
    pub(super) fn map_seek(&self, map: ObjectId, key: &[u8]) -> Cursor {
        let (path, _) = self.map_path(map, key);
        let Step { slot, at } = path.last();
        let mut cursor = Cursor { path, key: Key::EMPTY };
        match Item::read(self.map_node(map, slot).bytes, at) {
            Some(item) => {
                cursor.key.extend_from(0, key.get(..item.shared).unwrap_or_default());
                cursor.key.extend_from(item.shared, item.rest);
            }
            None => self.next_map_leaf(map, &mut cursor),
        }
        cursor
    }

    /// The item at a place: key and value.
    pub(super) fn map_item<'a>(
        &'a self,
        map: ObjectId,
        cursor: &'a Cursor,
    ) -> Option<(&'a [u8], &'a [u8])> {
        let Step { slot, at } = cursor.path.last();
        let item = Item::read(self.map_node(map, slot).bytes, at)?;
        Some((cursor.key.as_bytes(), item.value))
    }

    /// Moves on to the next item.
    pub(super) fn map_advance(&self, map: ObjectId, cursor: &mut Cursor) {
        let Step { slot, at } = cursor.path.last();
        let bytes = self.map_node(map, slot).bytes;
        let Some(item) = Item::read(bytes, at) else { return };
        if let Some(last) = cursor.path.steps.get_mut(cursor.path.len.saturating_sub(1)) {
            last.at = item.end;
        }
        match Item::read(bytes, item.end) {
            Some(next) => cursor.key.extend_from(next.shared, next.rest),
            None => self.next_map_leaf(map, cursor),
        }
    }

    /// Moves from the end of a leaf to the first item of the next; it stays where there is none.
    fn next_map_leaf(&self, map: ObjectId, cursor: &mut Cursor) {
        let path = &mut cursor.path;
        let next = (0..path.len.saturating_sub(1)).rev().find_map(|level| {
            let Step { slot, at } = path.step(level);
            let bytes = self.map_node(map, slot).bytes;
            let next = Item::read(bytes, Item::read(bytes, at)?.end)?;
            Some((level, next.start, next.slot()))
        });
        let Some((level, at, mut slot)) = next else { return };
        for (number, step) in path.steps.iter_mut().enumerate().take(path.len).skip(level) {
            if number == level {
                step.at = at;
                continue;
            }
            *step = Step { slot, at: 0 };
            slot = Item::read(self.map_node(map, slot).bytes, 0).map_or(0, |first| first.slot());
        }
        if let Some(item) = Item::read(self.map_node(map, path.last().slot).bytes, 0) {
            cursor.key.extend_from(0, item.rest);
        }
    }
}

/// The class of a node in which so many bytes are used.
fn node_class(used: usize) -> Class {
    let bytes = NODE_START + used;
    Class::fitting((bytes + bytes / SLACK_DIVISOR).min(NODE_BYTES_MAX))
}

/// The class of the only node of an empty map.
pub(super) fn root_class() -> Class {
    node_class(2 * ITEM_HEAD_BYTES)
}

impl Keyspace {
    /// Makes the root of a map, whose object has room for it.
    pub(super) fn add_map_root(&mut self, map: ObjectId, class: Class) -> Option<()> {
        let root = self.add_map_node(map, 0, 0, class)?;
        self.objects.get_mut(map)?.push(&mut self.arena, root);
        Some(())
    }

    /// Makes an empty node.
    fn add_map_node(
        &mut self,
        map: ObjectId,
        slot: usize,
        height: u8,
        class: Class,
    ) -> Option<Addr> {
        let addr = self.arena.allocate(class)?;
        let cell = self.arena.cell_mut(addr);
        PageHead { object: map, level: 0, position: slot as u32 }.write(cell);
        bytes::write_at(cell, USED_AT, &[0, 0, height]);
        Some(addr)
    }

    fn set_map_used(&mut self, node: Addr, used: usize) {
        bytes::write_at(self.arena.cell_mut(node), USED_AT, &(used as u16).to_le_bytes());
    }

    /// Puts a node in the place of another.
    fn set_map_node(&mut self, map: ObjectId, slot: usize, addr: Addr) {
        if let Some(object) = self.objects.get(map) {
            object.set(&mut self.arena, 0, slot, addr);
        }
    }

    /// Gives a node a slot that nobody else has.
    fn place_map_node(&mut self, map: ObjectId, slot: usize, addr: Addr) {
        let head = PageHead { object: map, level: 0, position: slot as u32 };
        head.write(self.arena.cell_mut(addr));
        self.set_map_node(map, slot, addr);
    }

    /// Counts items.
    fn count_map(&mut self, map: ObjectId, change: isize) {
        if let Some(object) = self.objects.get_mut(map) {
            object.len = object.len.wrapping_add_signed(change);
        }
    }
}
