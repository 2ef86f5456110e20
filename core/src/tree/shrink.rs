//! Trees that shrink: how a member goes, and what becomes of nodes that are left with little.
//!
//! Nothing here can fail: nodes are merged, and cells made smaller, only if there is room for it.

use super::{
    BRANCH_BYTES_MAX, Branch, DEPTH_MAX, MERGED_MAX, NODE_START, Node, POOR_MAX, Path, Step,
    node_class,
};
use crate::bytes;
use crate::keyspace::Keyspace;
use crate::object::ObjectId;
use crate::packed::Item;

impl Keyspace {
    /// Takes a member out that is there with this score.
    pub(crate) fn tree_remove(&mut self, id: ObjectId, score: f64, member: Item<'_>) {
        let path = self.path_to(id, score, member);
        let leaf = path.last();
        let node = self.node_at(leaf.addr);
        let Some(entry) = node.entries().from(leaf.at).next() else { return };
        let removed = (entry.start, entry.end);
        let used = node.bytes.len() - (entry.end - entry.start);
        // A node that shrinks leaves a cell that is much too large, if there is another.
        let class = node_class(used);
        let cell_bytes = self.arena.cell(leaf.addr).len();
        let is_wide = NODE_START + used < cell_bytes / 2 && self.has_room(&[(class, 1)]);
        let class = is_wide.then_some(class);
        if self.splice_node(id, leaf, removed, &[], class).is_none() {
            return;
        }
        self.count_on(id, &path, -1);
        if used < POOR_MAX {
            for _ in 0..2 * DEPTH_MAX {
                let path = self.path_to(id, score, member);
                if self.tend(id, &path).is_none() {
                    break;
                }
            }
        }
    }

    /// Takes an empty leaf out of the tree, or a root with a single branch, or merges a node that
    /// is poor, if there is any on the way. `None` if nothing was done.
    fn tend(&mut self, id: ObjectId, path: &Path) -> Option<()> {
        if path.len > 1 && self.node(id, path.last().slot).bytes.is_empty() {
            return self.unlink(id, path);
        }
        let root = self.node(id, 0);
        if root.height > 0 {
            let only = Branch::read(root.bytes, 0)?;
            if only.end == root.bytes.len() {
                let slot = only.slot;
                let (old, child) = (self.node_addr(id, 0), self.node_addr(id, slot));
                self.place_node(id, 0, child);
                self.arena.free(old);
                self.vacate(id, slot);
                return Some(());
            }
        }
        for level in (1..path.len).rev() {
            let used = self.node(id, path.step(level).slot).bytes.len();
            if used < POOR_MAX && self.merge_nodes(id, path.step(level - 1)).is_some() {
                return Some(());
            }
        }
        None
    }

    /// Takes an empty leaf out of the tree, with the nodes that led to nothing else.
    fn unlink(&mut self, id: ObjectId, path: &Path) -> Option<()> {
        let mut top = path.len - 1;
        let branch = loop {
            let parent = path.step(top - 1);
            let bytes = self.node(id, parent.slot).bytes;
            let branch = Branch::read(bytes, parent.at)?;
            if branch.len() < bytes.len() || top == 1 {
                break branch;
            }
            top -= 1;
        };
        let range = (branch.start, branch.end);
        self.splice_node(id, path.step(top - 1), range, &[], None)?;
        let mut slots = [0; DEPTH_MAX];
        for (slot, level) in slots.iter_mut().zip(top..path.len) {
            *slot = path.step(level).slot;
            self.arena.free(self.node_addr(id, *slot));
        }
        // From the last on, so that none of them is moved to another's slot.
        slots.sort_unstable_by(|a, b| b.cmp(a));
        slots.into_iter().take(path.len - top).for_each(|slot| self.vacate(id, slot));
        Some(())
    }

    /// Merges the node below a branch with the one beside it, if both are small together and there
    /// is a cell for them.
    fn merge_nodes(&mut self, id: ObjectId, parent: Step) -> Option<()> {
        let bytes = self.node(id, parent.slot).bytes;
        let at = Branch::read(bytes, parent.at)?;
        let (left, right) = match Branch::read(bytes, at.end) {
            Some(next) => (at, next),
            None => {
                let node = Node { height: 1, fences: &[], bytes };
                (node.branches().take_while(|branch| branch.start < at.start).last()?, at)
            }
        };
        let (a, b) = (self.node(id, left.slot), self.node(id, right.slot));
        // What was the first branch of the right node now has others before it: it starts where
        // the node did.
        let first = Branch::read(b.bytes, 0).filter(|_| b.height > 0);
        let first = first.map(|first| Branch { score: right.score, text: right.text, ..first });
        let (head, first_end) = first.map_or(([0; _], 0), |first| (first.head(), first.end));
        let head = if first.is_some() { &head[..] } else { &[] };
        let text = if first.is_some() { right.text } else { &[] };
        let middle = a.bytes.len() + head.len() + text.len();
        let used = middle + b.bytes.len() - first_end;
        let class = node_class(used);
        if used > MERGED_MAX || !self.has_room(&[(class, 1)]) {
            return None;
        }
        let mut moved = [0; BRANCH_BYTES_MAX];
        bytes::write_at(&mut moved, 0, head);
        bytes::write_at(&mut moved, head.len(), text);
        let (a_len, b_len, height) = (a.bytes.len(), b.bytes.len() - first_end, a.height);
        let (left_slot, right_slot) = (left.slot, right.slot);
        let (left_start, count) = (left.start, left.count + right.count);
        let removed = (right.start, right.end);
        let to = self.add_node(id, left_slot, height, class)?;
        let (a, b) = (self.node_addr(id, left_slot), self.node_addr(id, right_slot));
        self.arena.copy_part((a, NODE_START), (to, NODE_START), a_len);
        self.arena.copy_part((b, NODE_START + first_end), (to, NODE_START + middle), b_len);
        let cell = self.arena.cell_mut(to);
        let moved = moved.get(..middle - a_len).unwrap_or_default();
        bytes::write_at(cell, NODE_START + a_len, moved);
        self.set_used(to, used);
        [a, b].into_iter().for_each(|node| self.arena.free(node));
        self.set_node(id, left_slot, to);
        let parent = self.fresh(id, parent);
        self.set_count(id, Step { at: left_start, ..parent }, count);
        self.splice_node(id, parent, removed, &[], None)?;
        self.vacate(id, right_slot);
        Some(())
    }

    /// Gives up a slot whose node is gone: the last node takes its place.
    fn vacate(&mut self, id: ObjectId, slot: usize) {
        let Some(last) = self.objects.get(id).map(|object| object.pages as usize - 1) else {
            return;
        };
        if slot != last {
            if let Some(parent) = self.parent_of(id, last) {
                let at = NODE_START + parent.at;
                let cell = self.arena.cell_mut(self.node_addr(id, parent.slot));
                bytes::write_at(cell, at, &(slot as u32).to_le_bytes());
            }
            let addr = self.node_addr(id, last);
            self.place_node(id, slot, addr);
        }
        let Keyspace { arena, objects, .. } = self;
        if let Some(object) = objects.get_mut(id) {
            object.pop(arena);
        }
    }

    /// The branch that leads to a node: on the way to its first entry.
    fn parent_of(&self, id: ObjectId, slot: usize) -> Option<Step> {
        let (score, member) = self.first_below(id, slot)?;
        let path = self.path_to(id, score, member);
        (1..path.len).find(|&level| path.step(level).slot == slot).map(|level| path.step(level - 1))
    }
}
