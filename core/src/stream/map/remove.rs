//! Maps that shrink: how items go, and what becomes of nodes that are left with nothing.
//!
//! Nothing here can fail. Nodes are not merged: one that has little left has a small cell, and one
//! that has nothing left is taken out.

use super::put::Edit;
use super::{DEPTH_MAX, Head, Item, Key, NODE_START, Path, SLOT_BYTES, Step, USED_AT};
use crate::bytes;
use crate::keyspace::Keyspace;
use crate::object::ObjectId;

impl Keyspace {
    /// Takes a key out. Whether it was there.
    pub(in crate::stream) fn map_remove(&mut self, map: ObjectId, key: &[u8]) -> bool {
        self.map_take(map, key, |_| ()).is_some()
    }

    /// The same; what `read` made of its value.
    pub(in crate::stream) fn map_take<T>(
        &mut self,
        map: ObjectId,
        key: &[u8],
        read: impl FnOnce(&[u8]) -> T,
    ) -> Option<T> {
        let (path, spot) = self.map_path(map, key);
        let Step { slot, at } = path.last();
        let item = Item::read(self.map_node(map, slot).bytes, at).filter(|_| spot.is_exact)?;
        let (end, value) = (item.end, read(item.value));
        self.cut_items(map, &path, end);
        self.count_map(map, -1);
        Some(value)
    }

    /// Takes out all keys that begin with a prefix.
    pub(in crate::stream) fn map_remove_all(&mut self, map: ObjectId, prefix: &[u8]) {
        loop {
            let cursor = self.map_seek(map, prefix);
            if !self.map_item(map, &cursor).is_some_and(|(key, _)| key.starts_with(prefix)) {
                return;
            }
            let Step { slot, at } = cursor.path.last();
            let (mut end, mut count) = (at, 0);
            while let Some(item) = Item::read(self.map_node(map, slot).bytes, end)
                && (count == 0 || item.shared >= prefix.len())
            {
                end = item.end;
                count += 1;
            }
            self.cut_items(map, &cursor.path, end);
            self.count_map(map, -count);
        }
    }

    /// Takes the items from the place of a path up to another out of their leaf. Each of them
    /// shares with the first whatever the item behind them shares with the last.
    fn cut_items(&mut self, map: ObjectId, path: &Path, end: usize) {
        let Step { slot, at } = path.last();
        self.cut_from_node(map, slot, at, end);
        if path.len > 1 && self.map_node(map, slot).bytes.is_empty() {
            self.unlink_map_node(map, path);
        }
    }

    fn cut_from_node(&mut self, map: ObjectId, slot: usize, at: usize, end: usize) {
        let bytes = self.map_node(map, slot).bytes;
        let mut lost = Key::EMPTY;
        let mut edit = Edit::cut(at, end);
        if let (Some(first), Some(next)) = (Item::read(bytes, at), Item::read(bytes, end))
            && let Some(missing) = next.shared.checked_sub(first.shared)
            && missing > 0
        {
            // What it shared with them, and did not share with the one before, it has itself now.
            lost.extend_from(0, first.rest.get(..missing).unwrap_or_default());
            edit.end = next.rest_at;
            edit.head = Head::new(first.shared, missing + next.rest.len(), next.value.len());
        }
        edit.rest = lost.as_bytes();
        self.edit_map_node(map, slot, &edit, None);
        self.narrow_map_node(map, slot);
    }

    /// Takes an empty leaf out of the map, with the nodes that led to nothing else.
    fn unlink_map_node(&mut self, map: ObjectId, path: &Path) {
        let mut slots = [0; DEPTH_MAX];
        let mut top = path.len;
        loop {
            top -= 1;
            if let Some(slot) = slots.get_mut(top) {
                *slot = path.step(top).slot;
            }
            let Step { slot, at } = path.step(top - 1);
            if self.cut_branch(map, slot, at) {
                break;
            }
            if top == 1 {
                // Nothing is left at all.
                let root = self.map_addr(map, 0);
                bytes::write_at(self.arena.cell_mut(root), USED_AT, &[0, 0, 0]);
                self.narrow_map_node(map, 0);
                break;
            }
        }
        let slots = slots.get_mut(top..path.len).unwrap_or_default();
        slots.iter().for_each(|&slot| self.arena.free(self.map_addr(map, slot)));
        // From the last on, so that none of them is moved to another's slot.
        slots.sort_unstable_by(|a, b| b.cmp(a));
        slots.iter().for_each(|&slot| self.vacate_map_slot(map, slot));
        self.lower_root(map);
    }

    /// Takes a branch out of a node that has others. The place of the first, which has no key, is
    /// taken by the next.
    fn cut_branch(&mut self, map: ObjectId, slot: usize, at: usize) -> bool {
        let bytes = self.map_node(map, slot).bytes;
        let Some(branch) = Item::read(bytes, at) else { return false };
        let (mut start, mut end) = (branch.start, branch.end);
        if branch.start == 0 {
            let Some(next) = Item::read(bytes, end) else { return false };
            let heir = (next.slot() as u32).to_le_bytes();
            let value_at = NODE_START + end - SLOT_BYTES;
            (start, end) = (next.start, next.end);
            bytes::write_at(self.arena.cell_mut(self.map_addr(map, slot)), value_at, &heir);
        }
        self.cut_from_node(map, slot, start, end);
        true
    }

    /// While the root has a single branch, the node below takes its place.
    fn lower_root(&mut self, map: ObjectId) {
        loop {
            let root = self.map_node(map, 0);
            let Some(only) = Item::read(root.bytes, 0).filter(|_| root.height > 0) else { return };
            if only.end < root.bytes.len() {
                return;
            }
            let slot = only.slot();
            let (old, child) = (self.map_addr(map, 0), self.map_addr(map, slot));
            self.place_map_node(map, 0, child);
            self.arena.free(old);
            self.vacate_map_slot(map, slot);
        }
    }

    /// Gives up a slot whose node is gone: the last node takes its place.
    fn vacate_map_slot(&mut self, map: ObjectId, slot: usize) {
        let Some(object) = self.objects.get(map) else { return };
        let last = (object.pages as usize).saturating_sub(1);
        if slot != last {
            if let Some(parent) = self.map_parent_of(map, last) {
                let addr = self.map_addr(map, parent.slot);
                let item = Item::read(self.map_node(map, parent.slot).bytes, parent.at);
                let value_end = item.map_or(0, |item| item.end);
                let at = NODE_START + value_end - SLOT_BYTES;
                bytes::write_at(self.arena.cell_mut(addr), at, &(slot as u32).to_le_bytes());
            }
            let addr = self.map_addr(map, last);
            self.place_map_node(map, slot, addr);
        }
        let Keyspace { arena, objects, .. } = self;
        if let Some(object) = objects.get_mut(map) {
            object.pop(arena);
        }
    }

    /// The branch that leads to a node: on the way to its first key.
    fn map_parent_of(&self, map: ObjectId, slot: usize) -> Option<Step> {
        let mut node = self.map_node(map, slot);
        while node.height > 0 {
            node = self.map_node(map, Item::read(node.bytes, 0)?.slot());
        }
        let (path, _) = self.map_path(map, Item::read(node.bytes, 0)?.rest);
        (1..path.len).find(|&level| path.step(level).slot == slot).map(|level| path.step(level - 1))
    }
}
